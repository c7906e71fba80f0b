"""The shell of a cable: two TAP ends in two network namespaces, this relay between them, a control socket.

usage: python -m lab.wire NAMESPACE_FD:DEVICE NAMESPACE_FD:DEVICE CONTROL_SOCKET

Each connection to the control socket carries one JSON line, a `Command`, and gets one back, a `Report`.
What must stay true: the relay never blocks on a frame or on a client; a bad command changes nothing.
"""

import fcntl
import os
import select
import socket
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import msgspec

from lab.cable import Counters, Direction, Settings
from lab.kernel import inside

# <linux/if_tun.h>
TUNSETIFF = 0x400454CA
TUNSETCARRIER = 0x400454E2
IFF_TAP_NO_PI = 0x0002 | 0x1000
LONGEST_FRAME = 65600
FRAMES_A_TURN = 64  # bounds how long one end can keep the relay from the other
CLIENT_SECONDS = 0.2


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """New settings for the directions named (`ab`, `ba`), and whether both ends see a carrier; None: unchanged."""

    ab: Settings | None = None
    ba: Settings | None = None
    carrier: bool | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the cable does and has done; `error` says why a command was refused."""

    settings: dict[str, Settings] = {}
    counters: dict[str, Counters] = {}
    error: str = ""


def open_end(place: str) -> int:
    """Create the TAP device `FD:DEVICE` in the namespace behind that descriptor; return its own descriptor."""
    namespace, _, device = place.partition(":")
    with inside(int(namespace)):
        end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TAP_NO_PI))
    return end


class Relay:
    """The two ends and the two directions between them."""

    def __init__(self, one: int, other: int, control: socket.socket) -> None:
        self._ends = {"ab": (one, other), "ba": (other, one)}
        self._directions = {name: Direction(Random()) for name in self._ends}
        self._control = control

    def run(self) -> None:
        """Relay until killed."""
        sources = {source: self._directions[name] for name, (source, _) in self._ends.items()}
        control = self._control.fileno()
        while True:
            self._deliver()
            ready, _, _ = select.select([*sources, control], [], [], self._pause())
            for source in ready:
                if source == control:
                    self._serve()
                else:
                    self._collect(source, sources[source])

    def _pause(self) -> float | None:
        due = [moment for direction in self._directions.values() if (moment := direction.next_due()) is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _deliver(self) -> None:
        now = time.monotonic()
        for name, (_, sink) in self._ends.items():
            direction = self._directions[name]
            for frame in direction.due(now):
                try:
                    os.write(sink, frame)
                    direction.counters.sent += 1
                except OSError:  # the far end is down: its frames are lost, as on a real cable
                    direction.counters.refused += 1

    @staticmethod
    def _collect(source: int, direction: Direction) -> None:
        for _ in range(FRAMES_A_TURN):
            try:
                frame = os.read(source, LONGEST_FRAME)
            except OSError:  # nothing left, or the end is down
                return
            direction.accept(frame, time.monotonic())

    def _serve(self) -> None:
        client, _ = self._control.accept()
        with client, suppress(OSError):
            client.settimeout(CLIENT_SECONDS)
            try:
                command = msgspec.json.decode(client.makefile("rb").readline(), type=Command)
            except msgspec.DecodeError as error:
                report = Report(error=str(error))
            else:
                report = self._obey(command)
            client.sendall(msgspec.json.encode(report) + b"\n")

    def _obey(self, command: Command) -> Report:
        for name, settings in (("ab", command.ab), ("ba", command.ba)):
            if settings is not None:
                self._directions[name].settings = settings
        if command.carrier is not None:
            for end, _ in self._ends.values():
                fcntl.ioctl(end, TUNSETCARRIER, struct.pack("i", int(command.carrier)))
        return Report(
            settings={name: direction.settings for name, direction in self._directions.items()},
            counters={name: direction.counters for name, direction in self._directions.items()},
        )


def order(control_path: Path, command: Command) -> Report:
    """Send one command to a running cable; OSError when it does not answer, ValueError when it refuses."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2.0)
        connection.connect(str(control_path))
        connection.sendall(msgspec.json.encode(command) + b"\n")
        report = msgspec.json.decode(connection.makefile("rb").readline(), type=Report)
    if report.error:
        raise ValueError(report.error)
    return report


def main(one: str, other: str, control_path: str) -> None:
    """Lay the cable and relay until killed."""
    with socket.socket(socket.AF_UNIX) as control:
        ends = open_end(one), open_end(other)
        control.bind(control_path)
        control.listen(8)
        Relay(*ends, control).run()


if __name__ == "__main__":
    main(*sys.argv[1:4])
