"""Reads this host's state for the self-check: clocks, links, routes, descriptors, what the hypervisor took.

It asks through ioctl, netlink and /proc/self/net rather than /sys/class/net, which shows the network
namespace it was mounted in, not the process's own. What must stay true: a look costs a bounded time
however long the routing table is; not being able to look is no fault of the host. While the kernel tells
of changes (`told`), links and routes are read only after one, and once in LOOK_AGAIN_SECONDS.
"""

import contextlib
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec

from agent.daemon.kernel_clock import read_kernel_clock
from agent.daemon.selfcheck import Readings, count_routes
from probes.kit.spec import Clock

LOOK_AGAIN_SECONDS = 30.0
# Of a routing table the first 500 lines are read; the default route stands first.
TABLE_BYTES = 65_536
# Targets whose way is asked for: 10 us each; the first ones stand for the others.
TARGETS = 32
# linux/if.h: IFF_UP, IFF_LOOPBACK, IFF_RUNNING (carrier present and operational).
_UP, _LOOPBACK, _RUNNING = 0x1, 0x8, 0x40
_SIOCGIFFLAGS, _SIOCGIFHWADDR = 0x8913, 0x8927  # linux/sockios.h
_ARPHRD_ETHER = 1  # linux/if_arp.h; tunnels have other types
_STEAL_AT, _COUNTED = 7, 8  # proc(5), /proc/stat: user nice system idle iowait irq softirq steal


class _Look(msgspec.Struct, frozen=True):
    """What was found of links and routes, at which boot time."""

    at: float
    links: tuple[str, ...]
    routes: int
    gateways: int
    used: tuple[str, ...]
    dark: frozenset[str]


class Reader:
    """Reads the host's state, cheaply enough for once a round: 20 us, or 150 us when links and routes are read."""

    def __init__(
        self,
        clock: Clock,
        *,
        text_of: Callable[[Path], str] | None = None,
        device_of: Callable[[str], int | None] | None = None,
    ) -> None:
        """`text_of` reads a file of /proc; `device_of` gives the number of the interface to an address."""
        self._clock = clock
        self._text_of = text_of or read_text
        self._device_of = device_of
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._stat = _opened(Path("/proc/stat"))
        self._ticks: tuple[int, int] | None = None
        self._stolen: float | None = None
        self._targets: tuple[str, ...] = ()
        self._look: _Look | None = None
        self._lost: frozenset[int] = frozenset()
        self.told = False

    def close(self) -> None:
        """Release what is open."""
        self._socket.close()
        if self._stat is not None:
            os.close(self._stat)
            self._stat = None

    def reach(self, targets: Collection[str]) -> None:
        """Take the plain addresses that probes are sent to."""
        self._targets = tuple(dict.fromkeys(targets))[:TARGETS]
        self._look = None

    def changed(self, lost: frozenset[int] = frozenset()) -> None:
        """Hear that links or routes changed; `lost` are links that were without use for however short a time."""
        self._look = None
        self._lost |= lost

    def read(self) -> Readings:
        """Look once. Descriptors are gone when a file cannot be opened for want of one."""
        boot, wall = self._clock.boot(), self._clock.wall()
        values = self._values()
        try:
            os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
            look = self._look
            if look is None or not self.told or boot - look.at > LOOK_AGAIN_SECONDS:
                look = self._anew(boot)
                # What was lost for a moment is missing in this look only.
                self._look, self._lost = None if self._lost else look, frozenset()
        except OSError as error:
            self._look = None
            if error.errno in (errno.EMFILE, errno.ENFILE):
                return Readings(boot=boot, wall=wall, descriptors=False, values=values)
            # Claims nothing: a /proc that may not be read is no fault of the host.
            return Readings(boot=boot, wall=wall, links=("?",), routes=1, gateways=1, values=values)
        return Readings(
            boot=boot,
            wall=wall,
            links=look.links,
            routes=look.routes,
            gateways=look.gateways,
            used=look.used,
            dark=look.dark,
            values=values,
        )

    def _anew(self, boot: float) -> _Look:
        lost = self._lost
        names = dict(socket.if_nameindex())
        links = tuple(name for number, name in names.items() if number not in lost and self._is_up(name))
        routes, gateways = self._routes(links)
        ways = {target: names.get(self._device(target) or 0, "") for target in self._targets}
        dark = {name for name in ways.values() if name and name not in links and self._is_own_port(name)}
        return _Look(
            at=boot,
            links=links,
            routes=routes,
            gateways=gateways,
            used=tuple(sorted({name for name in ways.values() if name in links or name in dark})),
            dark=frozenset(target for target, name in ways.items() if name in dark),
        )

    def _device(self, target: str) -> int | None:
        return None if self._device_of is None else self._device_of(target)

    def _routes(self, links: Collection[str]) -> tuple[int, int]:
        texts = [self._text(name) for name in ("route", "ipv6_route")]
        routes, gateways = count_routes(texts[0], texts[1], links)
        if not gateways and any(len(text) >= TABLE_BYTES for text in texts):
            return max(routes, 1), 1  # what was not read may hold one
        return routes, gateways

    def _text(self, name: str) -> str:
        try:
            return self._text_of(Path("/proc/self/net") / name)
        except FileNotFoundError:
            return ""

    def _is_up(self, name: str) -> bool:
        flags = self._asked(name, _SIOCGIFFLAGS)
        wanted = _UP | _RUNNING
        return flags is not None and flags & wanted == wanted and not flags & _LOOPBACK

    def _is_own_port(self, name: str) -> bool:
        return self._asked(name, _SIOCGIFHWADDR) == _ARPHRD_ETHER

    def _asked(self, name: str, question: int) -> int | None:
        # struct ifreq: 16 bytes of name, then a union that starts with the flags, or with the address's family.
        request = struct.pack("16s24x", name.encode()[:15])
        try:
            return int(struct.unpack_from("H", fcntl.ioctl(self._socket, question, request), 16)[0])
        except OSError:
            return None

    def _values(self) -> dict[str, float]:
        values = {}
        if (steal := self._steal()) is not None:
            values["self_cpu_steal_ratio"] = steal
        if (clock := read_kernel_clock()) is not None:
            values["self_clock_synchronised"] = float(clock.synchronised)
            values["self_clock_error_seconds"] = clock.error
        return values

    def _steal(self) -> float | None:
        """Return the share of processor time that was stolen since the last look; None at the first."""
        if self._stat is None:
            return None
        with contextlib.suppress(OSError):
            ticks, before = stolen_and_all(os.pread(self._stat, 256, 0)), self._ticks
            if ticks and (before is None or ticks[1] > before[1]):  # the kernel counts in hundredths of a second
                self._ticks = ticks
                if before is not None:
                    self._stolen = min(1.0, max(0.0, (ticks[0] - before[0]) / (ticks[1] - before[1])))
        return self._stolen


def stolen_and_all(stat: bytes) -> tuple[int, int] | None:
    """Return stolen ticks and all ticks of the first line of /proc/stat; None when it has none."""
    fields = stat.partition(b"\n")[0].split()[1 : _COUNTED + 1]
    if len(fields) < _COUNTED or not all(field.isdigit() for field in fields):
        return None
    return int(fields[_STEAL_AT]), sum(map(int, fields))


def read_text(path: Path) -> str:
    """Return the beginning of what the kernel prints there."""
    with path.open("rb") as file:
        return file.read(TABLE_BYTES).decode("ascii", "replace")


def _opened(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
