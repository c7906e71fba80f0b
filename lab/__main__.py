"""The command line: `python -m lab up|down|status|break FAULT|heal|faults|exec NODE -- COMMAND`."""

import argparse
import os
import sys
import time

from lab import rundir
from lab.api import Lab
from lab.chainfile import SHOWN, Pace
from lab.faults import FAULTS
from lab.rundir import LabError
from lab.services import CHECKOUT
from lab.supervisor import Reply
from lab.topology import NODES


def arguments_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(prog="python -m lab", description="A hybrid environment on one machine.")
    orders = parser.add_subparsers(dest="order", required=True, metavar="ORDER")
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", default=rundir.DEFAULT_NAME, help="which lab, where several run")
    usual = SHOWN
    up = orders.add_parser("up", parents=[named], help="bring the lab up, tunnel included")
    up.add_argument("--interval", type=float, default=usual.interval, help="seconds between ICMP probes")
    up.add_argument("--slow-interval", type=float, default=usual.slow_interval, help="seconds between http, dns probes")
    up.add_argument("--spacing", type=float, default=usual.spacing, help="seconds between confirmation rounds")
    up.add_argument("--timeout", type=float, default=usual.timeout, help="seconds an attempt may take")
    orders.add_parser("down", parents=[named], help="end the lab and all that was started in it")
    orders.add_parser("status", parents=[named], help="show servers, tunnel, active faults")
    broken = orders.add_parser("break", parents=[named], help="make a fault; see `faults`")
    broken.add_argument("fault", choices=FAULTS, metavar="FAULT")
    broken.add_argument("--cable", help="for delay, jitter, loss, rate: near, core or last-mile")
    for name in sorted({name for fault in FAULTS.values() for name in fault.parameters}):
        users = [fault for fault, row in FAULTS.items() if name in row.parameters]
        broken.add_argument(f"--{name}", type=float, help=f"for {', '.join(users)}")
    heal = orders.add_parser("heal", parents=[named], help="undo one fault, or all")
    heal.add_argument("fault", nargs="?", default="", metavar="FAULT")
    orders.add_parser("faults", help="list the faults")
    entered = orders.add_parser("exec", parents=[named], help="become a program inside a node")
    entered.add_argument("node", choices=NODES, metavar="NODE")
    entered.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    return parser


def _show(lab: Lab, reply: Reply) -> None:
    print(f"lab      {lab.name}  {lab.run_dir}")
    held = ", ".join(f"{node} {count}" for node, count in reply.associations.items())
    print(f"tunnel   {'up on both sides' if reply.tunnel else 'down'} (SAs installed: {held})")
    for node in NODES:
        guests = len(rundir.processes(lab.run_dir, guests_of=node))
        print(f"node     {node:<18}{f'{guests} started here' if guests else ''}")
    for name, alive in reply.servers.items():
        print(f"server   {name:<18}{'runs' if alive else 'stopped'}")
    for name, parameters in reply.faults.items():
        print(f"fault    {name:<18}{' '.join(f'{key}={value}' for key, value in parameters.items())}")
    if not reply.faults:
        print("fault    none")


def _up(given: argparse.Namespace) -> int:
    began = time.monotonic()
    pace = Pace(
        interval=given.interval,
        slow_interval=given.slow_interval,
        spacing=given.spacing,
        timeout=given.timeout,
        peer_interval=SHOWN.peer_interval,
    )
    lab = Lab.up(given.name, tied=False, pace=pace)
    print(f"The lab {lab.name!r} is up, tunnel included, in {time.monotonic() - began:.1f} s: {lab.run_dir}")
    return 0


def _down(given: argparse.Namespace) -> int:
    found = Lab(given.name).down()
    print(f"The lab {given.name!r} is gone." if found else f"There was no lab {given.name!r}.")
    return 0


def _status(given: argparse.Namespace) -> int:
    lab = Lab.attach(given.name)
    _show(lab, lab.status())
    return 0


def _break(given: argparse.Namespace) -> int:
    names = [*FAULTS[given.fault].parameters, *(["cable"] if FAULTS[given.fault].parameters else [])]
    asked = {name: value for name in names if (value := getattr(given, name.replace("-", "_"))) is not None}
    lab = Lab.attach(given.name)
    reply = lab.break_(given.fault, **asked)
    print(FAULTS[given.fault].does)
    _show(lab, reply)
    return 0


def _heal(given: argparse.Namespace) -> int:
    lab = Lab.attach(given.name)
    _show(lab, lab.heal(given.fault))
    return 0


def _faults(_: argparse.Namespace) -> int:
    for name, fault in FAULTS.items():
        options = " ".join(f"--{key} {value.default:g}" for key, value in fault.parameters.items())
        print(f"{name:<22}{fault.does}{f' [{options} --cable last-mile]' if options else ''}")
    return 0


def _exec(given: argparse.Namespace) -> int:
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    if not command:
        raise LabError("What shall run in the node? Write it after `--`.")
    line = Lab.attach(given.name).command(given.node, command, die_with_parent=False)
    os.chdir(CHECKOUT)
    os.execv(line[0], line)


ORDERS = {
    "up": _up,
    "down": _down,
    "status": _status,
    "break": _break,
    "heal": _heal,
    "faults": _faults,
    "exec": _exec,
}


def main() -> int:
    """Run one order; 1 and a plain sentence when it cannot be done."""
    given = arguments_parser().parse_args()
    try:
        status = ORDERS[given.order](given)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough (`| head`); what stands unflushed must not raise again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
