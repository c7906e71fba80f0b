"""Which echo request an answer belongs to, and what its time stamps are worth. Pure; `now` is an argument.

What must stay true: a reply counts only with the sequence, payload and address of a request of ours, an ICMP error
only for the request that it quotes; each request ends once, as answered, in trouble or timed out; requests are
remembered a while longer, so that duplicates and late replies are known for what they are; memory is bounded.
"""

import heapq
from collections import deque
from math import ceil
from typing import Final

import msgspec

from probes.kit.echo import ICMP_HEADER, TAIL, TOKEN_BYTES
from probes.kit.echo_burst import KERNEL, LOOSE, USER, Burst, History
from probes.kit.trouble import TIMEOUT, Trouble

_SEQUENCES: Final = 0x10000
REMEMBERED_SECONDS: Final = 5.0  # how long after its time a reply is still known as late, and of how many requests
_REMEMBERED: Final = 8192
_GRAIN: Final = 100  # deadlines are kept in hundredths of a second, each with all its requests
_SLACK_NS: Final = 1_000_000  # the reply's stamp and our look at boot time are not of the same moment
_CLOCK_DOUBT_NS: Final = 50_000  # how exactly one clock is known by the other, doubled (stamps.WallClock)


class Echo(msgspec.Struct, eq=False, gc=False):
    """One request. `packet` is what was sent, `address` is packed.

    `boot` is when it was sent, `until` when its answer is too late, both boot time.

    `steps` is how often the wall clock had stepped when it was sent, `key` under what the kernel's stamp is found.
    `burst` is the attempt that waits for it, None once it ended. `alone` says that `boot` is of the moment before its
    own system call, not before one for many.
    """

    burst: Burst | None
    history: History
    number: int
    sequence: int
    key: int
    address: bytes
    packet: bytes
    boot: float
    until: float
    steps: int
    grain: "Grain"
    alone: bool
    replied: bool = False


class Grain(msgspec.Struct, eq=False):
    """The requests whose time is up in the same hundredth of a second, and how many of them still wait."""

    until: float
    waiting: int = 0
    echoes: list[Echo] = []


class Moment(msgspec.Struct, frozen=True, gc=False):
    """When answers were taken in: boot time, wall minus boot (seconds), and the wall clock's steps so far.

    `prompt` says that they are taken in as they come, not at the next turn of a wheel.
    """

    boot: float
    ahead: float
    steps: int
    prompt: bool = False


class EchoTable:
    """The requests of one socket. What is over stands in `finished` until it is taken away.

    `stamps` is where the kernel's stamps of sent packets (UTC epoch ns) are put, by the requests' keys; `unstamped`
    says that there was none for a request that was not sent alone.
    """

    def __init__(self, first_sequence: int) -> None:
        self._next = first_sequence
        self._by_sequence: dict[int, Echo] = {}
        self._grains: dict[int, Grain] = {}
        self._order: list[int] = []
        self._past: deque[Grain] = deque()
        self._remembered = 0
        self.waiting = 0
        self.finished: list[Burst] = []
        self.stamps: dict[int, int] = {}
        self.unstamped = False

    def free_sequence(self, pending: int = 0) -> int | None:
        """Return the next sequence number that no waiting request has; None when all are taken.

        `pending` are those returned last that have not been entered yet.
        """
        if self.waiting + pending >= _SEQUENCES:
            return None
        number = self._next
        while True:
            number = (number + 1) % _SEQUENCES
            held = self._by_sequence.get(number)
            if held is None or held.burst is None:
                self._next = number
                return number

    def enter(  # noqa: PLR0917 - one call a packet: names cost time
        self,
        burst: Burst,
        sequence: int,
        key: int,
        packet: bytes,
        boot: float,
        until: float,
        steps: int,
        alone: bool = True,
    ) -> None:
        """Wait for the answer to a request of `burst` that left at `boot`, stamped by the kernel under `key`."""
        at = ceil(until * _GRAIN)
        grain = self._grains.get(at)
        if grain is None:
            grain = self._grains[at] = Grain(at / _GRAIN)
            heapq.heappush(self._order, at)
        history = burst.history
        number, address = history.asked, burst.aim.packed
        echo = Echo(burst, history, number, sequence, key, address, packet, boot, until, steps, grain, alone)
        self._by_sequence[sequence] = echo
        grain.echoes.append(echo)
        grain.waiting += 1
        self.waiting += 1
        history.asked = number + 1
        burst.left += 1
        burst.under_way += 1

    def settle(self, burst: Burst) -> None:
        """Put `burst` among the finished ones if nothing more can come of it."""
        if burst.over:
            self.finished.append(burst)

    def replied(self, tail: bytes, address: bytes, stamp: int | None, moment: Moment) -> bool:
        """Take an echo reply that the kernel stamped (UTC epoch ns) when it came in; False if we never asked that.

        `tail` is what it repeats: identifier, sequence, payload.
        """
        # By sequence, not by these bytes: of entries that are a second old every look-up is a miss of the caches.
        echo = self._by_sequence.get(int.from_bytes(tail[2:TAIL]))
        if echo is None or tail != echo.packet[TAIL:] or address != echo.address:
            return False
        if echo.replied:
            echo.history.duplicates += 1
            return True
        echo.replied = True
        sent = self.stamps.pop(echo.key, None)
        if sent is None and not echo.alone:
            self.unstamped = True
        round_trip, precision = measure(echo, sent, stamp, moment)
        burst = echo.burst
        if burst is None or echo.boot + round_trip > echo.until:
            echo.history.late += 1
            self._lose(echo, TIMEOUT)
            return True
        echo.burst = None
        echo.grain.waiting -= 1
        self.waiting -= 1
        burst.answered(echo.number, round_trip, precision)
        if burst.due == 0 and burst.under_way == 0:
            self.finished.append(burst)
        return True

    def changed(self, sequence: int, address: bytes, payload: bytes) -> None:
        """Take a reply that is none of those we wait for, but may be one of ours that was altered on the way."""
        echo = self._by_sequence.get(sequence)
        if echo is None or address != echo.address:
            return
        asked = echo.packet[ICMP_HEADER:]
        token = asked[:TOKEN_BYTES]
        if token and payload != asked and payload[: len(token)] == token:
            self._lose(echo, _changed(asked, payload))

    def troubled(self, sequence: int, address: bytes, trouble: Trouble) -> None:
        """Take an ICMP error that quotes the request with `sequence` to `address`."""
        echo = self._by_sequence.get(sequence)
        if echo is not None and address == echo.address:
            self._lose(echo, trouble)

    def expire(self, now: float, blind_until: float, blind: Trouble) -> None:
        """End what waited its time; `blind` is the reason for what was sent up to `blind_until` (boot time)."""
        while self._order:
            grain = self._grains[self._order[0]]
            if grain.waiting and grain.until <= now:
                for echo in grain.echoes:
                    self._lose(echo, blind if echo.boot <= blind_until else TIMEOUT)
            if grain.waiting:
                break
            del self._grains[heapq.heappop(self._order)]
            self._past.append(grain)
            self._remembered += len(grain.echoes)
        while self._past and (self._remembered > _REMEMBERED or self._past[0].until + REMEMBERED_SECONDS <= now):
            grain = self._past.popleft()
            self._remembered -= len(grain.echoes)
            for echo in grain.echoes:
                self._forget(echo)
            grain.echoes.clear()  # no cycle is left for the collector
        if not self.waiting or len(self.stamps) > _SEQUENCES:
            self.stamps.clear()  # of packets that no request is known for

    def earliest(self) -> float | None:
        """Return when the first waiting request times out, as of the last `expire`; None when none waits."""
        return self._order[0] / _GRAIN if self._order else None

    def abandon(self, burst: Burst) -> None:
        """Forget the requests of `burst`, whose result nobody wants any more."""
        for echo in [echo for echo in self._by_sequence.values() if echo.burst is burst]:
            self._ended(echo, burst)
            self._forget(echo)

    def clear(self) -> None:
        """Forget all: what is under way is never over. Requests and their grains hold each other until then."""
        for grain in (*self._grains.values(), *self._past):
            grain.echoes.clear()
        self._by_sequence.clear()

    def _forget(self, echo: Echo) -> None:
        if self._by_sequence.get(echo.sequence) is echo:
            del self._by_sequence[echo.sequence]
        if not echo.replied:
            self.stamps.pop(echo.key, None)

    def _lose(self, echo: Echo, trouble: Trouble) -> None:
        """End `echo` by `trouble`, if it still waits."""
        if echo.burst is not None:
            burst = self._ended(echo, echo.burst)
            burst.lost(trouble)
            self.settle(burst)

    def _ended(self, echo: Echo, burst: Burst) -> Burst:
        self.waiting -= 1
        echo.burst = None
        echo.grain.waiting -= 1
        return burst


def measure(echo: Echo, sent: int | None, stamp: int | None, moment: Moment) -> tuple[float, int]:
    """Return the round trip in seconds by the best stamps (UTC epoch ns) there are, and which they were."""
    noticed = moment.boot - echo.boot
    if stamp is not None and moment.steps == echo.steps:
        most = noticed * 1e9 + _SLACK_NS
        asked = (echo.boot + moment.ahead) * 1e9
        if sent is not None and 0 < stamp - sent <= most and sent >= asked - _CLOCK_DOUBT_NS:
            return (stamp - sent) / 1e9, KERNEL
        if 0 < stamp - asked <= most:
            return (stamp - asked) / 1e9, USER if echo.alone else LOOSE
    return noticed, USER if moment.prompt else LOOSE


def _changed(sent: bytes, received: bytes) -> Trouble:
    return Trouble(
        fault="payload-changed", detail=f"sent {len(sent)} bytes, {len(received)} came back changed", answered=True
    )
