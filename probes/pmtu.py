"""Path MTU: the largest packet that comes back unfragmented, and whether larger ones vanish without a word.

Echoes with "don't fragment" of several sizes at once, narrowed down in a few steps. A hole is silence for large
packets while small ones are answered; "too big" from a router is the working form of the same limit.

What must stay true: an echo crosses the path twice, so a limit is the path's, there or back, and never the target's
alone: a size that was agreed and vanishes ends in silence at the stage `answer`, which accuses the whole path. A
target or a filter that refuses large pings looks like a hole; `protocol: tcp` tells them apart.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal

import msgspec

from probes.kit.address import FAMILY_HELP, Endpoint, host_endpoint
from probes.kit.hop_socket import LEAST_BYTES, Answer, HopSocket
from probes.kit.resolver import RESOLVE_FAULTS, ResolveError, resolve_result
from probes.kit.result import Outcome, Result, Stage
from probes.kit.size_search import TRIES, SizeSearch
from probes.kit.sockets import ready
from probes.kit.spec import Clock, Fault, Flow, Kit, Metric, Spec
from probes.kit.trouble import LATE, LOCAL_FAULTS, TIMEOUT, Trouble, local_trouble, path_faults, result_of

_ETHERNET: Final = 1500
_LARGEST: Final = 65535
# RFC 8200 section 5: every IPv6 link carries this much, so an IPv6 path that does not is broken whatever was agreed.
_LEAST_AGREED: Final = {4: 0, 6: 1280}
_STEP_SECONDS: Final = 0.1  # silence is waited for at least so long: a busy router answers some tens of ms late
_STEP_TRIPS: Final = 3
_MOST_PACKETS: Final = 60  # of one attempt; an undisturbed search takes 3 to 35


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where to, and what must pass."""

    target: str
    expect: int = 0
    largest: int = _ETHERNET
    family: Literal[4, 6] = 4


SPEC: Final = Spec(
    type="pmtu",
    summary="Path MTU: the largest packet that passes unfragmented, compared with what was agreed.",
    settings=Settings,
    key_help={
        "target": "Address or name of something that answers pings of every size.",
        "expect": "The agreed size in bytes, with IP header (1438 for many IPsec tunnels); without it the size is "
        "measured and judged by nobody.",
        "largest": "Where the search ends, in bytes with IP header.",
        "family": FAMILY_HELP,
    },
    phases=("resolve", "answer"),
    faults=(
        *path_faults(Stage.CONNECT),
        Fault(
            "mtu-hole",
            Stage.ANSWER,
            "Packets of the agreed size vanish without a word, smaller ones pass.",
            "Correct the MTU, clamp the MSS or let ICMP `too big` pass; the values say by how many bytes it is short.",
        ),
        Fault(
            "mtu-low",
            Stage.ANSWER,
            "A router says that packets of the agreed size are too big (degraded: senders can adapt).",
            "Compare MTU and encapsulation of the link behind that router with what was agreed.",
        ),
        Fault(
            "unfinished",
            None,
            "The time was up before it was certain that the agreed size does not pass.",
            "Raise `timeout`: every step waits for three round trips.",
        ),
        *RESOLVE_FAULTS,
        *LOCAL_FAULTS,
    ),
    metrics=(
        Metric("pmtu_bytes", "Largest packet (IP header included) that came back in the last attempt."),
        Metric("pmtu_shortfall_bytes", "By how much the working size is below `expect`; 0 when it is not."),
        Metric("pmtu_black_hole", "1 if larger packets vanish without any router saying that they are too big."),
    ),
    default_interval=300.0,
    minimum_interval=10.0,
    leaves_traces=f"Up to {_MOST_PACKETS} pings an attempt, three where everything passes.",
)


def flow(settings: Settings) -> Flow:
    """Return the flow to the target; ValueError says what is wrong with the settings."""
    end = _endpoint(settings)
    return Flow(
        host=end.host,
        protocol="icmp",
        family=end.family,
        function="echo",
        connect_bytes=LEAST_BYTES[end.family],
        carry_bytes=max(_agreed(settings, end.family), LEAST_BYTES[end.family]),
        named=end.named,
        packets=2 * _MOST_PACKETS,
    )


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator["PmtuRunner"]:  # noqa: A001 - the probe interface's name
    """Open the shared runner; every attempt has a socket of its own."""
    yield PmtuRunner(kit)


def _endpoint(settings: Settings) -> Endpoint:
    end = host_endpoint(settings.target, settings.family)
    least = max(_LEAST_AGREED[end.family], LEAST_BYTES[end.family])
    if not least <= settings.largest <= _LARGEST:
        raise ValueError(f"largest: {settings.largest} is out of bounds; write {least} to {_LARGEST}")
    if settings.expect and not least <= settings.expect <= settings.largest:
        raise ValueError(f"expect: {settings.expect} is out of bounds; write {least} to `largest`, {settings.largest}")
    return end


def _agreed(settings: Settings, family: int) -> int:
    return settings.expect or _LEAST_AGREED[family]


class PmtuRunner:
    """All pmtu probes of the agent."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:
        """Search the largest packet that passes; `fresh` (a confirmation) looks no further than the agreed size."""
        clock = self._kit.clock
        start = clock.boot()
        end = _endpoint(settings)
        phases: dict[str, float] = {}
        address = end.host
        if end.named:
            try:
                address = await self._kit.resolver.resolve(end.host, end.family, deadline)
            except ResolveError as error:
                return resolve_result(error, clock.boot() - start)
            phases["resolve"] = clock.boot() - start
        if clock.boot() >= deadline:
            return result_of(LATE, Stage.CONNECT)
        agreed = _agreed(settings, end.family)
        search = SizeSearch(LEAST_BYTES[end.family], agreed if fresh and agreed else settings.largest, agreed)
        try:
            sock = HopSocket("icmp", end.family, address, 0, clock=clock)
        except OSError as error:
            return result_of(local_trouble(error), Stage.CONNECT)
        try:
            look = Look(sock, search, clock)
            await look.run(deadline)
        finally:
            sock.close()
        if look.trip is not None:
            phases["answer"] = look.trip
        return judged(look, agreed, phases, clock.boot() - start)


class Look:
    """One search on one socket: what was sent, and the first trouble that was neither silence nor size."""

    def __init__(self, sock: HopSocket, search: SizeSearch, clock: Clock) -> None:
        self._sock = sock
        self._clock = clock
        self._sizes: list[int] = []  # by packet number
        self._waiting: set[int] = set()
        self._slowest = 0.0
        self.search = search
        self.trouble: Trouble | None = None
        self.trip: float | None = None  # of the first answer: a small packet's, unless that one was lost

    async def run(self, deadline: float) -> None:
        """Send step after step until all is known or the time is up."""
        silence = (deadline - self._clock.boot()) / (TRIES + 1)  # so that a target may be silent in every try
        while self._clock.boot() < deadline and (sizes := self.search.next()):
            if self.trouble is not None and self.trouble.local:
                return
            self._waiting.clear()
            for size in sizes[: _MOST_PACKETS - len(self._sizes)]:
                self._send(size)
            await self._collect(self._clock.boot(), silence, deadline)

    def _send(self, size: int) -> None:
        number = len(self._sizes)
        self._sizes.append(size)
        refused = self._sock.send(number, size=size)
        if refused is None:
            self._waiting.add(number)
        elif refused.fault == "too-big-here":
            self.search.too_big(size, "", self._sock.link_mtu)
        else:
            self.trouble = self.trouble or refused

    async def _collect(self, sent: float, silence: float, deadline: float) -> None:
        """Take answers until all are in, or silence has lasted long enough beside the round trips seen."""
        while self._waiting:
            patience = silence if self.trip is None else _STEP_SECONDS + _STEP_TRIPS * self._slowest
            if not await ready(self._sock.fileno(), seconds=min(deadline, sent + patience) - self._clock.boot()):
                return
            for answer in self._sock.take():
                self._take(answer)

    def _take(self, answer: Answer) -> None:
        self._waiting.discard(answer.number)
        size = self._sizes[answer.number]
        if answer.trouble is None:
            self.search.answered(size)
            self.trip = answer.seconds if self.trip is None else self.trip
            self._slowest = max(self._slowest, answer.seconds)
        elif answer.trouble.fault == "too-big":
            self.search.too_big(size, answer.address, answer.mtu)
        else:
            self.trouble = self.trouble or answer.trouble


def judged(look: Look, agreed: int, phases: dict[str, float], seconds: float) -> Result:
    """Return the result of a search that took `seconds`."""
    search = look.search
    rows = tuple(_row(search, size) for size in sorted(search.tries))
    if not search.working:
        failed = result_of(look.trouble or TIMEOUT, Stage.CONNECT, seconds, phases)
        return msgspec.structs.replace(failed, rows=rows)
    working, word = search.working, search.router
    values = {"pmtu_bytes": float(working), "pmtu_black_hole": float(search.hole)}
    if agreed:
        values["pmtu_shortfall_bytes"] = float(max(0, agreed - working))
    outcome, fault = _verdict(search, agreed)
    return Result(
        outcome=outcome,
        stage=Stage.ANSWER if outcome is Outcome.FAILED else None,
        fault=fault,
        seconds=None if outcome is Outcome.UNKNOWN else sum(phases.values()),
        by=(word.by or None) if word and fault else None,
        packet_bytes=working,
        detail=described(search, agreed),
        phases=phases,
        values=values,
        rows=rows,
    )


def _verdict(search: SizeSearch, agreed: int) -> tuple[Outcome, str | None]:
    """Return outcome and fault of a search in which something passed."""
    if search.working >= agreed:
        return Outcome.OK, None
    if not search.certain(agreed):
        return Outcome.UNKNOWN, "unfinished"
    if search.router is None:
        return Outcome.FAILED, "mtu-hole"
    return (Outcome.DEGRADED, "mtu-low") if search.router.by else (Outcome.UNKNOWN, "too-big-here")


def described(search: SizeSearch, agreed: int) -> str:
    """Return what was found, on one line."""
    parts = [f"{search.working} bytes pass" if search.exact else f"{search.working} bytes pass, maybe more"]
    if agreed:
        short = agreed - search.working
        parts.append(f"{short} fewer than the {agreed} agreed" if short > 0 else f"{agreed} are agreed")
    word = search.router
    if word is not None:
        parts.append(f"{word.by or 'this host'} forwards {word.mtu}")
    elif search.hole:
        parts.append("larger ones vanish without a word")
    return ", ".join(parts)


def _row(search: SizeSearch, size: int) -> dict[str, str | int | float | None]:
    word = search.told.get(size)
    if word is not None:
        return {
            "bytes": size,
            "sent": search.tries[size],
            "answer": "too big",
            "mtu": word.mtu,
            "by": word.by or "here",
        }
    answer = "passes" if size <= search.working else "silence"
    return {"bytes": size, "sent": search.tries[size], "answer": answer, "mtu": None, "by": None}
