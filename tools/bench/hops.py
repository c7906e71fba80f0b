"""Paths and packet sizes in the lab, and the child process that builds IKE packets: CPU time, memory, duration.

A path has five hops and three packets each; traceroute sends the same by ICMP. CPU time is that of the process that
looks, system calls included, in the lab, where those also carry the packets through the virtual routers. The child
process is what a `scapy` packet costs: started once when an `ike` probe is configured, and gone a moment later.
"""

import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from lab.api import Lab
from lab.topology import ADDRESSES
from probes import ike, path, pmtu
from probes.kit.clock import SystemClock
from probes.kit.packets import CHILD
from probes.kit.resolver import SystemResolver
from tools.bench.table import Row, ratios, spread

RUNS = 5
ATTEMPTS = 20
WITHIN = 0.5
TARGET = ADDRESSES["onprem-gw-outer"]


class Kit:
    """The real clock and resolver."""

    clock = SystemClock()
    resolver = SystemResolver(clock)


def measure() -> list[Row]:
    """Return the rows of this group; the lab needs root or user namespaces."""
    with Lab.up("bench") as lab:
        sound = [_looked(lab) for _ in range(RUNS)]
        theirs = [_traced(lab) for _ in range(RUNS)] if shutil.which("traceroute") else []
        lab.break_("mtu-hole")
        hole = [_looked(lab)["size"] for _ in range(RUNS)]
    ours = [one["path"] for one in sound]
    rows = [
        Row(what="path, 5 hops of 3 packets: CPU", measured=spread(ours, "ms", 1000)),
        Row(what="pmtu where all passes: CPU", measured=spread([one["size"] for one in sound], "ms", 1000)),
        Row(what="pmtu that finds a hole's edge: CPU", measured=spread(hole, "ms", 1000)),
    ]
    if theirs:
        rows += [
            Row(what="traceroute -I, the same packets: CPU", measured=spread(theirs, "ms", 1000)),
            Row(what="path against traceroute: CPU", measured=ratios(ours, theirs)),
        ]
    built = [_built() for _ in range(RUNS)]
    return [
        *rows,
        Row(what="scapy's child: from its start to the packet", measured=spread([one[0] for one in built])),
        Row(what="scapy's child: CPU", measured=spread([one[1] for one in built])),
        Row(what="scapy's child: memory at its peak", measured=spread([one[2] for one in built], "MB")),
    ]


def _looked(lab: Lab) -> dict[str, float]:
    """Return CPU seconds of one path and one pmtu attempt, from inside the lab."""
    done = lab.run("cloud-host", [sys.executable, "-m", "tools.bench.hops"], seconds=120)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _traced(lab: Lab) -> float:
    """Return CPU seconds of one traceroute."""
    command = lab.command("cloud-host", ["traceroute", "-n", "-I", "-q", "3", "-w", str(WITHIN), TARGET])
    empty = lab.command("cloud-host", ["true"])
    return _children(command) - _children(empty)


def _children(command: list[str]) -> float:
    """Return CPU seconds of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(ATTEMPTS):
        subprocess.run(command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) / ATTEMPTS


def _built() -> tuple[float, float, float]:
    """Return seconds, CPU seconds and peak MB of a child that builds one packet, its start included."""
    request = {"work": "build_ike_sa_init", "transforms": [[t.type, t.id] for t in ike.REFUSED]}
    line = json.dumps({**request, "key_bytes": 32, "nonce_bytes": 32}).encode() + b"\n"
    start = time.perf_counter()
    child = subprocess.Popen(CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin, child.stdout:
        child.stdin.write(line)
        child.stdin.flush()
        child.stdout.readline()
        took = time.perf_counter() - start
    _, _, used = os.wait4(child.pid, 0)
    return took, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


async def _attempts() -> dict[str, float]:
    kit = Kit()
    found: dict[str, float] = {}
    async with path.open(kit) as ways, pmtu.open(kit) as sizes:
        for name, runner, settings in (
            ("path", ways, path.Settings(target=TARGET)),
            ("size", sizes, pmtu.Settings(target=TARGET)),
        ):
            await runner.attempt(settings, kit.clock.boot() + WITHIN)  # type: ignore[arg-type] # each its own
            before = time.process_time()
            for _ in range(ATTEMPTS):
                await runner.attempt(settings, kit.clock.boot() + WITHIN)  # type: ignore[arg-type] # each its own
            found[name] = (time.process_time() - before) / ATTEMPTS
    return found


if __name__ == "__main__":
    json.dump(asyncio.run(_attempts()), sys.stdout)
