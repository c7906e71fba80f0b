"""Which echo request an answer belongs to, and what its time stamps are worth. Pure; `now` is an argument.

What must stay true: a reply counts only with the sequence, payload and address of a request of ours, an ICMP error
only for the request that it quotes; each request ends once, as answered, in trouble or timed out; requests are
remembered a while longer, so that duplicates and late replies are known for what they are; memory is bounded by
65,536 sequence numbers.
"""

import heapq
import math
from collections import deque
from typing import Final

import msgspec

from probes.kit.echo import TOKEN_BYTES
from probes.kit.echo_burst import Burst, Precision
from probes.kit.trouble import TIMEOUT, Trouble

_SEQUENCES: Final = 0x10000
REMEMBERED_SECONDS: Final = 5.0  # how long after its time a reply is still known as late
_GRAIN: Final = 100  # deadlines are kept in hundredths of a second, each with all its requests
_SLACK_NS: Final = 1_000_000  # the reply's stamp and our look at boot time are not of the same moment
_CLOCK_DOUBT_NS: Final = 50_000  # how exactly one clock is known by the other, doubled (stamps.WallClock)


class Echo(msgspec.Struct, kw_only=True, eq=False):
    """One request. `address` is packed; `boot` when it was sent, `wait` for how many seconds it may be answered.

    `steps` is how often the wall clock had stepped when it was sent; `sent_ns` the kernel's stamp, once known.
    """

    burst: Burst
    number: int
    sequence: int
    address: bytes
    payload: bytes
    boot: float
    wait: float
    steps: int
    key: int = -1
    sent_ns: int | None = None
    waiting: bool = True
    replied: bool = False
    grain: "_Grain | None" = None


class _Grain(msgspec.Struct, eq=False):
    """The requests whose time is up in the same hundredth of a second, and how many of them still wait."""

    until: float
    waiting: int = 0
    echoes: list[Echo] = []


class Moment(msgspec.Struct, frozen=True):
    """When answers were taken in: boot time, wall minus boot (seconds), and the wall clock's steps so far."""

    boot: float
    ahead: float
    steps: int


class EchoTable:
    """The requests of one socket. What is over stands in `finished` until it is taken away."""

    def __init__(self, first_sequence: int) -> None:
        self._next = first_sequence
        self._by_sequence: dict[int, Echo] = {}
        self._by_key: dict[int, Echo] = {}
        self._grains: dict[int, _Grain] = {}
        self._order: list[int] = []
        self._past: deque[_Grain] = deque()
        self.waiting = 0
        self.finished: list[Burst] = []

    def free_sequence(self) -> int | None:
        """Return the next sequence number that no waiting request has; None when all are taken."""
        if self.waiting >= _SEQUENCES:
            return None
        while True:
            self._next = (self._next + 1) % _SEQUENCES
            held = self._by_sequence.get(self._next)
            if held is None or not held.waiting:
                return self._next

    def enter(self, echo: Echo) -> None:
        """Wait for the answer to `echo`, which leaves now."""
        self._by_sequence[echo.sequence] = echo
        at = math.ceil((echo.boot + echo.wait) * _GRAIN)
        grain = self._grains.get(at)
        if grain is None:
            grain = self._grains[at] = _Grain(at / _GRAIN)
            heapq.heappush(self._order, at)
        grain.echoes.append(echo)
        grain.waiting += 1
        echo.grain = grain
        self.waiting += 1
        echo.burst.sent()

    def settle(self, burst: Burst) -> None:
        """Put `burst` among the finished ones if nothing more can come of it."""
        if burst.over:
            self.finished.append(burst)

    def numbered(self, echo: Echo, key: int) -> None:
        """Hear that the kernel will stamp `echo` under `key`."""
        echo.key = key
        self._by_key[key] = echo

    def forget_numbers(self) -> None:
        """Hear that the kernel counts from 0 again; stamps that are still to come are not ours any more."""
        self._by_key.clear()

    def stamped(self, key: int, stamp: int) -> None:
        """Take the kernel's stamp (UTC epoch ns) of the request under `key`."""
        echo = self._by_key.pop(key, None)
        if echo is not None:
            echo.sent_ns = stamp

    def replied(self, sequence: int, address: bytes, payload: bytes, stamp: int | None, moment: Moment) -> None:
        """Take an echo reply that the kernel stamped (UTC epoch ns) when it came in."""
        echo = self._by_sequence.get(sequence)
        if echo is None or address != echo.address:
            return
        if payload != echo.payload:
            token = echo.payload[:TOKEN_BYTES]
            if echo.waiting and token and payload[: len(token)] == token:
                self._lose(echo, _changed(echo.payload, payload))
            return
        history = echo.burst.history
        if echo.replied:
            history.duplicates += 1
            return
        echo.replied = True
        round_trip, precision = measure(echo, stamp, moment)
        if not echo.waiting or round_trip > echo.wait:
            history.late += 1
            if echo.waiting:
                self._lose(echo, TIMEOUT)
            return
        history.arrived(echo.number)
        self._ended(echo)
        echo.burst.answered(round_trip, precision)
        self.settle(echo.burst)

    def troubled(self, sequence: int, address: bytes, trouble: Trouble) -> None:
        """Take an ICMP error that quotes the request with `sequence` to `address`."""
        echo = self._by_sequence.get(sequence)
        if echo is not None and echo.waiting and address == echo.address:
            self._lose(echo, trouble)

    def expire(self, now: float, blind_until: float, blind: Trouble) -> None:
        """End what waited its time; `blind` is the reason for what was sent up to `blind_until` (boot time)."""
        while self._order:
            grain = self._grains[self._order[0]]
            if grain.until <= now:
                for echo in grain.echoes:
                    if echo.waiting:
                        self._lose(echo, blind if echo.boot <= blind_until else TIMEOUT)
            if grain.waiting:
                break
            del self._grains[heapq.heappop(self._order)]
            self._past.append(grain)
        while self._past and self._past[0].until + REMEMBERED_SECONDS <= now:
            for echo in self._past.popleft().echoes:
                self._forget(echo)

    def earliest(self) -> float | None:
        """Return when the first waiting request times out, as of the last `expire`; None when none waits."""
        return self._order[0] / _GRAIN if self._order else None

    def abandon(self, burst: Burst) -> None:
        """Forget the requests of `burst`, whose result nobody wants any more."""
        for echo in [echo for echo in self._by_sequence.values() if echo.burst is burst]:
            if echo.waiting:
                self._ended(echo)
            self._forget(echo)

    def _forget(self, echo: Echo) -> None:
        if self._by_sequence.get(echo.sequence) is echo:
            del self._by_sequence[echo.sequence]
        if self._by_key.get(echo.key) is echo:
            del self._by_key[echo.key]

    def _lose(self, echo: Echo, trouble: Trouble) -> None:
        self._ended(echo)
        echo.burst.lost(trouble)
        self.settle(echo.burst)

    def _ended(self, echo: Echo) -> None:
        echo.waiting = False
        self.waiting -= 1
        if echo.grain is not None:
            echo.grain.waiting -= 1


def measure(echo: Echo, stamp: int | None, moment: Moment) -> tuple[float, Precision]:
    """Return the round trip in seconds by the best stamps there are, and which they were."""
    noticed = moment.boot - echo.boot
    if stamp is not None and moment.steps == echo.steps:
        most = noticed * 1e9 + _SLACK_NS
        asked = (echo.boot + moment.ahead) * 1e9
        sent = echo.sent_ns
        if sent is not None and 0 < stamp - sent <= most and sent >= asked - _CLOCK_DOUBT_NS:
            return (stamp - sent) / 1e9, Precision.KERNEL
        if 0 < stamp - asked <= most:
            return (stamp - asked) / 1e9, Precision.USER
    return noticed, Precision.LOOSE


def _changed(sent: bytes, received: bytes) -> Trouble:
    return Trouble(
        fault="payload-changed", detail=f"sent {len(sent)} bytes, {len(received)} came back changed", answered=True
    )
