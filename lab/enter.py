"""Become a program inside a node: join its network, give it its own resolv.conf and /sys, then exec.

usage: python -m lab.enter RUN_DIR NODE DIRECTORY [--die-with-parent] -- COMMAND…   (run from the checkout)

The process that runs this *is* the program afterwards: the process id of a started agent is its own, and a
signal sent to it reaches it. What must stay true: nothing is changed for any other process of the machine.
"""

import os
import signal
import sys
from pathlib import Path

from lab import kernel
from lab.rundir import GUEST_MARK, MARK, NODE_MARK, LabError, State, read_state
from lab.topology import NODES

RESOLVER = "/etc/resolv.conf"
USAGE_STATUS = 64  # EX_USAGE of sysexits.h


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _join(state: State, node: str) -> None:
    network = _open(state.network_path(node))
    if state.user_namespace:
        kernel.setns(_open(f"/proc/{state.pid}/ns/user"), kernel.CLONE_NEWUSER)
    kernel.setns(network, kernel.CLONE_NEWNET)


def _dress(run_dir: Path, node: str) -> None:
    """Show the node's own name servers and devices to this process alone."""
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.attach("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.attach("sysfs", "/sys", "sysfs", 0)
    if not Path(RESOLVER).exists():
        raise LabError(f"This machine has no {RESOLVER} that the node's own could lie upon; create an empty file.")
    kernel.attach(str(run_dir / "nodes" / f"{node}.resolv.conf"), RESOLVER, None, kernel.MS_BIND)


def enter(run_dir: Path, node: str) -> None:
    """Move this process into the node; LabError when there is no such lab or node, OSError from the kernel."""
    state = read_state(run_dir)
    if state is None:
        raise LabError(f"No lab is up in {run_dir}.")
    if node not in NODES:
        raise LabError(f"No node {node!r}; known: {', '.join(NODES)}.")
    _join(state, node)
    _dress(run_dir, node)
    os.environ.update({MARK: str(run_dir), NODE_MARK: node, GUEST_MARK: "1"})


def main(arguments: list[str]) -> None:
    """Enter and exec; on failure say why and exit with a status that a shell would give."""
    place, separator, command = arguments[:3], "--" in arguments, arguments[arguments.index("--") + 1 :]
    if len(place) != 3 or not separator or not command:
        sys.exit(USAGE_STATUS)
    run_dir, node, directory = place
    if "--die-with-parent" in arguments[: arguments.index("--")]:
        kernel.die_with_parent(signal.SIGKILL)
    try:
        enter(Path(run_dir), node)
        os.chdir(directory)
        os.execvp(command[0], command)
    except FileNotFoundError as error:
        sys.stderr.write(f"{error.filename or command[0]}: not found\n")
        sys.exit(127)
    except (LabError, OSError) as error:
        sys.stderr.write(f"lab exec: {error}\n")
        sys.exit(126)


if __name__ == "__main__":
    main(sys.argv[1:])
