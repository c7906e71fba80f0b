"""Links and routes that change in a network namespace of its own, and what the agent hears and reads of them.

Run by test_host_changes.py only, in a fresh namespace: prints one JSON object, step name -> what was found.
"""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Self

from agent.daemon.host_reader import Reader
from agent.daemon.host_watch import HostWatch
from agent.daemon.selfcheck import Readings
from probes.kit.clock import SystemClock
from probes.kit.netlink_socket import Changes, HostEvents, Ways
from tests.agent.daemon.world import FakeLog

ROUTES = 10_000
STORM = "".join(f"route add 10.{n >> 8}.{n & 255}.0/24 via 192.0.2.2\n" for n in range(ROUTES))
CALM = STORM.replace("route add", "route del")


def sh(command: str, text: str = "") -> None:
    """Run a command of the shell."""
    subprocess.run(command, shell=True, check=True, input=text, text=True)


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, for as long as a loaded machine may take."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - a list that the loop fills
            await asyncio.sleep(0.001)


class Host:
    """The agent's eyes: a watch, a reader, and what they found."""

    def __init__(self, receive_bytes: int) -> None:
        self.ways = Ways()
        self.reader = Reader(SystemClock(), device_of=self.ways.device)
        self.reader.reach(["198.51.100.1", "192.0.2.9", "127.0.0.1"])
        self.watch = HostWatch(self._changed, FakeLog(), lambda: HostEvents(receive_bytes))
        self.changes: list[Changes] = []

    def _changed(self, changes: Changes) -> None:
        self.reader.changed(changes.lost)
        self.changes.append(changes)

    def look(self) -> dict[str, object]:
        """Return what the reader reads now, once a moment's loss has had its one look."""
        self.reader.read()
        return told(self.reader.read())

    def __enter__(self) -> Self:
        self.watch.start()
        self.reader.told = self.watch.listening
        return self

    def __exit__(self, *_: object) -> None:
        self.watch.stop()
        self.reader.close()
        self.ways.close()


def told(found: Readings) -> dict[str, object]:
    """Return readings as JSON."""
    return {
        "links": sorted(found.links),
        "routes": found.routes > 0,
        "gateways": found.gateways > 0,
        "used": found.used,
        "dark": sorted(found.dark),
    }


async def changed_by(host: Host, command: str, settle_seconds: float = 0.3) -> dict[str, object]:
    """Return what is read after a command, once its change was heard and what follows from it."""
    before = len(host.changes)
    await asyncio.to_thread(sh, command)
    await until(lambda: len(host.changes) > before)
    await asyncio.sleep(settle_seconds)
    return host.look()


async def storm(host: Host, batch: str) -> int:
    """Return how many changes a batch of route commands made the kernel tell."""
    before = host.watch.events
    child = await asyncio.create_subprocess_exec("ip", "-batch", "-", stdin=asyncio.subprocess.PIPE)
    await child.communicate(batch.encode())
    heard = -1
    while heard != host.watch.events:
        heard = host.watch.events
        await asyncio.sleep(0.2)
    return host.watch.events - before


async def main() -> dict[str, object]:
    """Play the scene."""
    sh("ip link set lo up; ip link add a0 type veth peer name b0; ip link set a0 up; ip link set b0 up")
    sh("ip link add c0 type veth peer name d0; ip link set c0 up; ip link set d0 up; ip addr add 203.0.113.1/24 dev c0")
    sh("ip addr add 192.0.2.1/24 dev a0; ip route add default via 192.0.2.2")
    found: dict[str, object] = {}
    with Host(8_000_000) as host:
        await asyncio.sleep(0.2)
        found["well"] = host.look()
        # A lost carrier is told up to a second late when another change was told just before, and not at all when it
        # is back by then (net/core/link_watch.c).
        found["carrier lost"] = await changed_by(host, "ip link set b0 down", settle_seconds=1.3)
        found["carrier again"] = await changed_by(host, "ip link set b0 up")
        before, port = len(host.changes), socket.if_nametoindex("a0")
        await asyncio.to_thread(sh, "ip link set b0 down; sleep 1.2; ip link set b0 up")
        await until(lambda: any(port in changes.lost for changes in host.changes[before:]))
        found["a flap"] = {"dark": sorted(host.reader.read().dark)}
        await asyncio.sleep(0.2)
        found["after the flap"] = host.look()
        found["default route gone"] = await changed_by(host, "ip route del default")
        found["default route again"] = await changed_by(host, "ip route add default via 192.0.2.2")
        found["switched off"] = await changed_by(host, "ip link set a0 down")
        await changed_by(host, "ip link set a0 up; ip route add default via 192.0.2.2")
        found["heard"] = await storm(host, STORM)
        found["after a storm"] = host.look()
        found["calm"] = await storm(host, CALM + "route del default\n")
        found["after it"] = host.look()
        await changed_by(host, "ip route add default via 192.0.2.2")
    with Host(4096) as host:
        await storm(host, STORM)
        await storm(host, CALM + "route del default\n")
        found["overruns"] = host.watch.overruns > 0
        found["after an overrun"] = host.look()
    return found


if __name__ == "__main__":
    json.dump(asyncio.run(main()), sys.stdout)
