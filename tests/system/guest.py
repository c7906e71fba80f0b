"""What the guest's steps share: commands, waiting, the agent's web side, and a line for each finding.

Runs on the standard library of Debian's Python: the product is looked at from outside.
"""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from typing import Any

WEB = "http://127.0.0.1:10199"
# An emulated processor, on a machine that may be busy too; every wait ends as soon as its condition holds.
PATIENCE_SECONDS = 180.0


def run(command: str, *, within: float = 120.0) -> tuple[int, str]:
    """Run a command of the shell; return its exit code and what it printed."""
    done = subprocess.run(
        ("/bin/sh", "-c", command),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        timeout=within,
    )
    return done.returncode, done.stdout


def sh(command: str) -> str:
    """Run a command that must succeed and return what it printed; RuntimeError."""
    code, printed = run(command)
    if code:
        raise RuntimeError(f"{command}: exit code {code}\n{printed}")
    return printed


def told(step: str, finding: object) -> None:
    """Report what a step found, with the guest's uptime."""
    sys.stdout.write(f"RESULT {json.dumps([step, finding, round(time.monotonic(), 1)])}\n")
    sys.stdout.flush()


def eventually(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait until `condition` gives something true and return it; RuntimeError after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.5)  # each look costs the emulated processor a good part of that
    return found


def web(path: str) -> str:
    """Ask the agent's web side; an empty text while it does not answer."""
    try:
        with urllib.request.urlopen(WEB + path, timeout=20) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def result(probe: str) -> dict[str, Any]:
    """Return a probe's last result, empty where there is none."""
    text = web("/api/v1/probes")
    return next((one for one in json.loads(text or "[]") if one["probe"] == probe), {})


def observed(probe: str, outcome: str, since: float = 0.0) -> dict[str, Any]:
    """Wait for a result of this outcome whose attempt began at `since` (UTC epoch seconds) or later; RuntimeError."""

    def found() -> dict[str, Any] | None:
        last = result(probe)
        return last if last.get("outcome") == outcome and last["time"] >= since else None

    try:
        return dict(eventually(found, f"{probe} {outcome}"))
    except RuntimeError as error:
        raise RuntimeError(f"{error}; last {result(probe)}") from None


def metric(name: str, probe: str = "") -> float | None:
    """Return a series' value on the metrics page, None where there is none."""
    label = f'probe="{probe}"'
    for line in web("/metrics").splitlines():
        if line.startswith((f"{name}{{", f"{name} ")) and (not probe or label in line):
            return float(line.rpartition("} ")[2].split()[0] if "}" in line else line.split()[1])
    return None


def unit(name: str = "demarc") -> dict[str, str]:
    """Return a unit's properties."""
    lines = sh(f"systemctl show {name}").splitlines()
    return {key: value for key, _, value in (line.partition("=") for line in lines)}


def pid() -> int:
    """Return the agent's process, 0 where none runs."""
    return int(unit()["MainPID"])


def active(other_than: int = 0) -> None:
    """Wait until the agent runs, in a process other than that one, and answers."""

    def ready() -> bool:
        found = unit()
        return found["ActiveState"] == "active" and int(found["MainPID"]) != other_than and bool(web("/-/ready"))

    eventually(ready, "an agent that runs")


def as_agent(command: str) -> tuple[int, str]:
    """Run a command as the agent's user, without a right of its unit."""
    return run(f"setpriv --reuid=demarc --regid=demarc --init-groups --inh-caps=-all {command}")
