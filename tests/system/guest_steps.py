"""Runs in the guest: installs as the documents say, and looks at what systemd and a real kernel make of it.

One line a step; a step that raises reports `error` and the next one goes on.
"""

import json
import os
import re
import signal
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.system.guest import active, as_agent, eventually, metric, observed, pid, result, run, sh, told, unit, web
from tests.system.guest_places import chain, disturb, lay, lay_tunnels

SOURCE = Path("/opt/demarc/src")
PLAN = json.loads(Path("/opt/test/plan.json").read_text())
CHAIN = Path("/etc/demarc/chain.yml")
DATA = "/var/lib/demarc"
DEMARC = "/opt/demarc/bin/demarc"
DROP_IN = Path("/etc/systemd/system/demarc.service.d")
PROPERTIES = (
    *("ActiveState", "SubState", "Type", "NotifyAccess", "WatchdogUSec", "StatusText", "NRestarts", "Result"),
    *("User", "ExecMainStatus", "ExecMainCode", "TasksCurrent", "MemoryCurrent"),
)
FIELDS = ("Uid", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")


def state() -> dict[str, str]:
    """Return what is of interest of the agent's unit."""
    found = unit()
    return {name: found.get(name, "") for name in PROPERTIES}


def documented(lines: list[str]) -> list[list[object]]:
    """Run lines of the documents in the checkout; return each with its exit code, its end and its seconds."""
    found: list[list[object]] = []
    for line in lines:
        begun = time.monotonic()
        code, printed = run(f"cd {SOURCE} && {line}")
        found.append([line, code, printed[-1500:], round(time.monotonic() - begun, 1)])
    return found


def install() -> object:
    """README and docs/operations.md, line by line; the agent is enabled and started by the last one."""
    lay()
    return documented(PLAN["install"])


def first_start() -> object:
    """The agent with the files of `demarc init`: its unit, and how soon it was ready and had a result."""
    active()
    found = unit()
    ready = (int(found["ActiveEnterTimestampMonotonic"]) - int(found["ExecMainStartTimestampMonotonic"])) / 1e6
    first = observed("gw", "ok")
    started = metric("process_start_time_seconds") or 0.0
    return {**state(), "ready": ready, "first": first["time"] - started, "log": sh("journalctl -b -o short -u demarc")}


def process() -> object:
    """What the kernel says of the agent's process."""
    lines = Path(f"/proc/{pid()}/status").read_text().splitlines()
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    mounts = Path(f"/proc/{pid()}/mountinfo").read_text().splitlines()
    root = next(line.split() for line in mounts if line.split()[4] == "/")
    return {**{name: fields[name] for name in FIELDS}, "root": root[5].split(",")[0]}


def security() -> object:
    """Systemd's own figures, of the loaded units."""
    printed = {name: sh(f"systemd-analyze security --no-pager {name}") for name in ("demarc", "demarc-vici")}
    found = {name: re.search(r"level for \S+: ([\d.]+)", text) for name, text in printed.items()}
    return {name: float(match[1]) for name, match in found.items() if match}


def tunnels() -> object:
    """Gate and right to ask by docs/vpn.md, a sealed key by docs/dispute.md, then the chain with every tunnel."""
    key = lay_tunnels()
    lines = documented(PLAN["gate"])
    sealed = PLAN["credential"].rpartition(":")[2]
    sh(f"systemctl stop demarc; systemd-creds encrypt --name=ledger-key {DATA}/ledger.key {sealed}")
    Path(DATA, "ledger.key").unlink()
    DROP_IN.mkdir(exist_ok=True)
    (DROP_IN / "right.conf").write_text(f"{PLAN['right']}{PLAN['credential']}\n")
    CHAIN.write_text(chain(key))
    sh("systemctl daemon-reload; systemctl start demarc")
    active()
    eventually(_initiated, "an agent that hears of its tunnel")
    socket = Path("/run/demarc-vici.sock").stat()
    group = sh(f"getent group {socket.st_gid}").split(":")[0]
    return {"lines": lines, "socket": f"{socket.st_mode & 0o777:o} {socket.st_uid} {group}", **state()}


def _initiated() -> bool:
    """Begin the tunnel (anew) and tell whether the agent heard of it: what is before it listens, no event tells."""
    run("swanctl --terminate --child net --timeout 30")
    sh("swanctl --initiate --child net --timeout 60")
    time.sleep(3)
    return result("tunnel").get("outcome") == "ok"


def all_well() -> object:
    """Each probe's first good answer."""
    names = re.findall(r"^  (\S+): {type", CHAIN.read_text(), re.MULTILINE)
    return {name: observed(name, "ok") for name in names}


def doctor() -> object:
    """`demarc doctor` with the unit's rights as docs/operations.md says, those of the drop-in too."""
    rights = '"AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN"'
    return documented([PLAN["doctor"].replace("AmbientCapabilities=CAP_NET_RAW", rights)])


def esp() -> object:
    """What the kernel's associations have carried while the anchor answered, and what the carrier saw of it."""
    state = sh("ip -s xfrm state")
    counted = [int(one) for one in re.findall(r"lifetime current:\s+(\d+)\(bytes\)", state)]
    names = ("vpn_tunnels_configured", "vpn_tunnels_established", "vpn_passing", "vpn_received_packets_total")
    values = {p: {name: metric(f"demarc_{name}", p) for name in names} for p in ("tunnel", "kernel", "wire")}
    outside = sh("ip netns exec carrier cat /proc/net/dev")
    return {"bytes": counted, "values": values, "size": metric("demarc_pmtu_bytes", "size"), "carrier": outside}


def gate() -> object:
    """As the agent's user: the gate answers and ends nothing, charon's own socket stays shut."""
    uri = "--uri unix:///run/demarc-vici.sock"
    listed = as_agent(f"swanctl --list-sas {uri}")
    ended = as_agent(f"swanctl --terminate --ike site {uri}")
    direct = as_agent("swanctl --list-sas --uri unix:///run/charon.vici")
    stands = "ESTABLISHED" in sh("swanctl --list-sas")
    log = sh("journalctl -b -o cat -u demarc-vici")
    return {
        "listed": listed,
        "ended": ended,
        "direct": direct,
        "stands": stands,
        "log": log[-1500:],
        "unit": gate_unit(),
    }


def gate_unit() -> dict[str, str]:
    """Return what is of interest of the gate's unit and process."""
    found = unit("demarc-vici")
    lines = Path(f"/proc/{found['MainPID']}/status").read_text().splitlines()
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return {"ActiveState": found["ActiveState"], **{name: fields[name] for name in FIELDS}}


def terminate() -> object:
    """One tunnel ended and begun again: who hears of it, in seconds from the end of the command."""
    found: dict[str, object] = {}
    for command, outcome, incidents in (("--terminate", "failed", 1), ("--initiate", "ok", 0)):
        begun = time.time()
        sh(f"swanctl {command} --child net --timeout 30")
        ended = time.time()
        for name in ("tunnel", "kernel"):
            seen = observed(name, outcome, begun)
            found[f"{name} {outcome}"] = [seen.get("fault"), round(seen["time"] - ended, 3)]
        found[f"incidents {outcome}"] = eventually(partial(_incidents, incidents), f"{incidents} incidents")
    return {**found, "events": metric("demarc_vpn_downs_total", "tunnel")}


def _incidents(count: int) -> list[object]:
    """Return how many incidents are open, once it is `count`, and their segments."""
    open_ = json.loads(web("/api/v1/incidents?state=open"))
    return [len(open_), [one["segments"] for one in open_]] if len(open_) == count else []


def netem() -> object:
    """Delay, loss and duplicates of a real netem on the carrier's port, by the underlay's bursts."""
    found: dict[str, object] = {}

    def settled(name: str, right: Callable[[float], bool]) -> float:
        def look() -> list[float] | None:
            value = metric(name, "underlay")
            return [value] if value is not None and right(value) else None

        return float(eventually(look, name)[0])

    clean = settled("demarc_icmp_rtt_min_seconds", lambda value: value > 0)
    disturb("delay 120ms")
    found["delay"] = [clean, settled("demarc_icmp_rtt_min_seconds", lambda value: value >= 0.12)]
    disturb("loss 50%")
    found["loss"] = settled("demarc_icmp_loss_ratio", lambda value: 0.2 <= value <= 0.8)
    disturb("duplicate 100%")
    before = metric("demarc_icmp_duplicates_total", "underlay") or 0.0
    found["duplicates"] = settled("demarc_icmp_duplicates_total", lambda value: value > before)
    disturb("loss 100%")
    begun = time.time()
    found["cut"] = observed("underlay", "failed", begun)["fault"]
    disturb("")
    found["healed"] = observed("underlay", "ok", time.time())["outcome"]
    return found


def reload() -> object:
    """A good reload, a refused one, and the unit's state after each."""
    text, before = CHAIN.read_text(), pid()
    CHAIN.write_text(text.replace("interval: 30s", "interval: 31s"))
    good: list[object] = [run("systemctl reload demarc")[0]]
    eventually(lambda: "reloaded" in sh("journalctl -b -o cat -u demarc"), "a reload")
    eventually(lambda: state()["ActiveState"] == "active", "a reload that ends")
    good += ["active", pid() == before]
    CHAIN.write_text(text.replace("owner: carrier", "owner: nobody"))
    bad: list[object] = [run("systemctl reload demarc")[0]]
    eventually(lambda: metric("demarc_config_last_reload_successful") == 0, "a refused reload")
    eventually(lambda: state()["ActiveState"] == "active", "a refused reload that ends")
    bad += ["active", state()["StatusText"], pid() == before]
    CHAIN.write_text(text)
    sh("systemctl reload demarc")
    eventually(lambda: metric("demarc_config_last_reload_successful") == 1, "a reload")
    return {"good": good, "bad": bad}


def crash(sent: int) -> object:
    """Send the agent a signal that it cannot handle; return how it came back, and whether the ledger is whole."""
    before, restarts = pid(), int(unit()["NRestarts"])
    begun = time.monotonic()
    os.kill(before, sent)
    active(other_than=before)
    again = round(time.monotonic() - begun, 1)
    since = time.time()
    observed("anchor", "ok", since)
    return {
        "restarts": int(unit()["NRestarts"]) - restarts,
        "again": again,
        "ledger": as_agent(f"{DEMARC} ledger verify {DATA}"),
        "log": sh("journalctl -b -o cat _PID=1 UNIT=demarc.service")[-2000:],
    }


def stop() -> object:
    """Stop in order."""
    begun = time.monotonic()
    sh("systemctl stop demarc")
    seconds = round(time.monotonic() - begun, 1)
    ledger = as_agent(f"{DEMARC} ledger verify {DATA}")
    modes = sh(f"ls -ln --time-style=+ {DATA} | tail -n +2")
    return {"seconds": seconds, **state(), "ledger": ledger, "data": modes}


def wrong_configuration() -> object:
    """A chain file with an error: the exit code, and that systemd does not try again."""
    text = CHAIN.read_text()
    CHAIN.write_text(text.replace("owner: carrier", "owner: nobody"))
    run("systemctl start demarc")
    time.sleep(3)  # RestartSec is 1
    found = state()
    CHAIN.write_text(text)
    return {**found, "log": sh("journalctl -b -n 20 -o cat -u demarc")[-1000:]}


def stalls() -> object:
    """The longest standstills of the agent's loop, with where it stood: an emulated processor shows what costs most."""
    lines = sh("journalctl -b -o cat -u demarc | grep loop-blocked || true").splitlines()
    found = [(float(match[1]), line[-700:]) for line in lines if (match := re.search(r" seconds=([\d.]+)", line))]
    return sorted(found, reverse=True)[:4]


STEPS: dict[str, Callable[[], object]] = {
    "install": install,
    "first start": first_start,
    "process": process,
    "tunnels": tunnels,
    "all well": all_well,
    "process with the right": process,
    "security": security,
    "doctor": doctor,
    "esp": esp,
    "gate": gate,
    "terminate": terminate,
    "netem": netem,
    "reload": reload,
    "killed": lambda: crash(signal.SIGKILL),
    "hanging": lambda: crash(signal.SIGSTOP),
    "stop": stop,
    "wrong configuration": wrong_configuration,
    "stalls": stalls,
}


def main() -> None:
    """Take every step."""
    for name, step in STEPS.items():
        try:
            told(name, step())
        except Exception:
            told(name, {"error": traceback.format_exc()[-3000:], "log": run("journalctl -b -n 60 -o cat")[1][-6000:]})
    told("dmesg", sh("dmesg --level=emerg,alert,crit,err,warn | tail -40"))
    told("end", True)


if __name__ == "__main__":
    main()
