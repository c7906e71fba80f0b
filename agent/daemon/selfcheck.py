"""The self-check: only what lies inside the vantage's own segment, once a round.

What must stay true: an attempt that was in flight while this process stood still never counts, in
neither direction; a self-check that fails makes its whole round unknown. What blinds one probe only
(no right to open a socket, no IPv6 route) is that probe's own `unknown` and not a matter of this module.

Pure; `agent.daemon.host_reader` asks the kernel.
"""

from collections import deque
from collections.abc import Collection

import msgspec

from probes.kit.result import Outcome, Result, Stage, ok

# A loop that did not come round for longer than this stood still; the watchdog uses the same bound.
STALL_SECONDS = 0.25
# Beyond this the process was not late but absent (stopped, suspended, starved): the round is lost.
ABSENT_SECONDS = 1.0
# NTP slews at most 500 ppm, so half a second within a round is a step; half the guard band between vantages.
STEP_SECONDS = 0.5
FAULTS = {
    "suspended": "the process did not run for more than a second (stopped, suspended or starved of CPU)",
    "clock-stepped": "the wall clock was stepped",
    "no-descriptors": "no file descriptor is left",
    "no-link": "no network interface by which targets are reached is up with a carrier",
    "no-route": "no route leads away from this host's own links",
}
# What a hypervisor takes beyond this share makes user-space times worthless, and is told; kernel stamps stay true.
STEAL_TELLS = 0.1


class Readings(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at the host gave. `boot` and `wall` in seconds, read together.

    `links` are the interfaces other than loopback that are up with a carrier; `routes` and `gateways`
    count the routes over them, and those of them that lead to a gateway (at least; a long table is not read
    to its end). `used` are the interfaces by which the probes' targets are reached, where that is known;
    `dark` those targets whose interface is this host's own port (no tunnel) and has no carrier.
    `values` are what the self-check shows beside its outcome, by the names of
    `agent.metrics.probe_families.SELF_METRICS`.
    """

    boot: float
    wall: float
    links: tuple[str, ...] = ()
    routes: int = 0
    gateways: int = 0
    descriptors: bool = True
    used: tuple[str, ...] = ()
    dark: frozenset[str] = frozenset()
    values: dict[str, float] = {}


def evaluate(now: Readings, before: Readings | None, *, absent: float, off_host: bool, off_link: bool) -> Result:
    """Return the self-check's result: the first fault that holds, in the order of `FAULTS`.

    `before` are the readings of the check before, None at the first one. `absent` is the longest time
    in seconds that the process stood still since then. `off_host`: some probe leaves this host;
    `off_link`: a gateway was known once, so that losing every gateway blinds the vantage.
    """
    stepped = 0.0 if before is None else abs((now.wall - before.wall) - (now.boot - before.boot))
    found = {
        "suspended": absent > ABSENT_SECONDS,
        "clock-stepped": stepped > STEP_SECONDS,
        "no-descriptors": not now.descriptors,
        "no-link": now.descriptors and off_host and (not now.links or _all_dark(now)),
        "no-route": now.descriptors and off_host and (not now.routes or (off_link and not now.gateways)),
    }
    fault = next((name for name in FAULTS if found[name]), None)
    if fault is None:
        return ok(0.0, detail=_remark(now), values=now.values)
    return Result(outcome=Outcome.FAILED, stage=Stage.ANSWER, fault=fault, detail=FAULTS[fault], values=now.values)


def _all_dark(now: Readings) -> bool:
    return bool(now.dark) and not set(now.used) & set(now.links)


def _remark(now: Readings) -> str:
    stolen = now.values.get("self_cpu_steal_ratio", 0.0)
    return f"the hypervisor took {stolen:.0%} of the processor" if stolen > STEAL_TELLS else ""


class Heartbeat:
    """Remembers when the loop stood still. Times are boot-time seconds; `beat` at least every 100 ms."""

    def __init__(self, now: float) -> None:
        self._last = now
        # Enough for every stall of two minutes of the worst stutter; older ones concern no attempt in flight.
        self._stalls: deque[tuple[float, float]] = deque(maxlen=512)
        self._longest = 0.0
        self.stalls = 0

    @property
    def last(self) -> float:
        """Return when the loop last ran; read by the watchdog's thread."""
        return self._last

    def beat(self, now: float) -> float:
        """Note that the loop runs at `now`; return how long it stood still, 0 when it did not."""
        gap = now - self._last
        self._last = max(now, self._last)
        if gap <= STALL_SECONDS:
            return 0.0
        self._stalls.append((now - gap, now))
        self._longest = max(self._longest, gap)
        self.stalls += 1
        return gap

    def stood_still(self, begin: float, end: float) -> bool:
        """Say whether the loop stood still at any time between `begin` and `end`."""
        # In order of time: when the last one ended before `begin`, all did.
        if not self._stalls or self._stalls[-1][1] <= begin:
            return False
        return any(start < end and begin < stop for start, stop in self._stalls)

    def take_longest(self) -> float:
        """Return the longest standstill since the last call."""
        longest, self._longest = self._longest, 0.0
        return longest


_RTF_UP, _RTF_GATEWAY, _RTF_REJECT = 0x1, 0x2, 0x200  # linux/route.h


def count_routes(ipv4: str, ipv6: str, links: Collection[str]) -> tuple[int, int]:
    """Return how many routes lead over the interfaces `links`, and how many of them to a gateway.

    The other arguments are the texts of /proc/net/route and ipv6_route; lines that make no sense do
    not count. A route over an interface without a carrier stays in the table and leads nowhere.
    """
    flags: list[int] = []
    for line in ipv4.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 4 and fields[0] in links:
            flags.append(_hexadecimal(fields[3]))
    for line in ipv6.splitlines():
        fields = line.split()
        # A link-local prefix and multicast exist on every interface: they lead nowhere.
        if len(fields) == 10 and fields[9] in links and not fields[0].startswith(("fe80", "ff")):
            flags.append(_hexadecimal(fields[8]))
    usable = [flag for flag in flags if flag & _RTF_UP and not flag & _RTF_REJECT]
    return len(usable), sum(1 for flag in usable if flag & _RTF_GATEWAY)


def _hexadecimal(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0
