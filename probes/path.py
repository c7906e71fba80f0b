"""Path: the hops to a target, with round trip and loss of each, and when the way changes.

All packets of a probe have one flow id, so that routers that spread load send them the same way (Paris traceroute,
Augustin et al. 2006): they differ in their TTL and in a number that no router hashes. A confirmation has a flow id of
its own; it neither compares nor remembers.

What must stay true: the outcome speaks of the target alone. A hop that is silent, or answers sparingly, is no
evidence against anybody; one that answered proves the way up to it, and is named when the target is silent.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final, Literal

import msgspec

from probes.kit import hops
from probes.kit.address import FAMILY_HELP, Endpoint, host_endpoint
from probes.kit.hop_packets import LEAST_BYTES, SYN_LEAST
from probes.kit.hop_socket import Answer, HopSocket, not_opened
from probes.kit.resolver import RESOLVE_FAULTS, ResolveError, locate, resolve_result
from probes.kit.result import Outcome, Result, Stage
from probes.kit.sockets import ready
from probes.kit.spec import Fault, Flow, Kit, Metric, Pace, Spec
from probes.kit.trouble import LATE, LOCAL_FAULTS, TIMEOUT, Trouble, path_faults, result_of

_MOST_HOPS: Final = 64
_MOST_ROUNDS: Final = 10
_ROUND_NUMBERS: Final = 256  # packets of one round have numbers below the next one's
# Beyond the last known distance of the target, so that a way that grew a little is seen in one round.
_MARGIN_HOPS: Final = 2
# Once the target has answered, slower hops get this long, or thrice the slowest trip: routers answer from their
# control plane, some tens of milliseconds late when they are busy.
_GRACE_SECONDS: Final = 0.1
_GRACE_TRIPS: Final = 3
_PORTS: Final = {"udp": 33434, "tcp": 443}  # traceroute(8)'s first port; a web server's
_FUNCTIONS: Final = {"icmp": "echo", "udp": "port unreachable"}
_REMEMBERED: Final = 1024  # targets; more path probes than one agent runs


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where to, by which packets, and which hops belong to whom."""

    target: str
    protocol: Literal["icmp", "udp", "tcp"] = "icmp"
    port: int = 0
    rounds: int = 3
    max_hops: int = 30
    hops: dict[str, tuple[str, ...]] = {}
    on_change: Literal["ok", "degraded"] = "ok"
    family: Literal[4, 6] = 4


SPEC: Final = Spec(
    type="path",
    summary="Path: every hop to a target with its round trip and loss, and when the way changes.",
    settings=Settings,
    key_help={
        "target": "Address or name.",
        "protocol": "`icmp` (echo), `udp` or `tcp` (SYN). UDP needs no right on this host, but routers that quote "
        "8 bytes only stay unseen.",
        "port": "Destination port: of `tcp` the service's (default 443), of `udp` one on which nobody listens, since "
        "the target's refusal is its answer (default 33434).",
        "rounds": f"Packets for each hop, spread over half of `timeout` (1 to {_MOST_ROUNDS}).",
        "max_hops": f"How far to look (1 to {_MOST_HOPS}).",
        "hops": "Segments and the address prefixes of their hops; the longest prefix counts, `?` is in none.",
        "on_change": "What an attempt is that sees the way changed: `ok` or `degraded`.",
        "family": FAMILY_HELP,
    },
    phases=("resolve", "answer"),
    faults=(
        *path_faults(Stage.CONNECT),
        Fault(
            "path-changed",
            Stage.CONNECT,
            "The way to the target is another one than at the last attempt (degraded).",
            "See the detail: ask the owner of the hop that changed.",
        ),
        *RESOLVE_FAULTS,
        *LOCAL_FAULTS,
    ),
    metrics=(
        Metric("path_hops", "Hops to the target, itself included; absent while it does not answer."),
        Metric("path_silent_hops", "Hops on the way that do not answer."),
        Metric("path_loss_ratio", "Share of the packets to the target without an answer in the last attempt, 0 to 1."),
        Metric("path_changes", "Changes of the way since the agent started."),
        Metric("path_kernel_stamps", "1 if the kernel stamped every packet and answer, 0 if stamps of ours stand in."),
    ),
    pace=Pace.OWN,
    default_interval=60.0,
    minimum_interval=5.0,
    segment_keys=("hops",),
    leaves_traces="Routers on the way send an ICMP error for each packet that dies there. With `tcp`, connections that "
    "are reset before they stand: a service does not notice, a firewall may.",
)


def flow(settings: Settings) -> Flow:
    """Return the flow to the target; ValueError says what is wrong with the settings."""
    end = _endpoint(settings)
    size = _packet_bytes(settings, end.family)
    return Flow(
        host=end.host,
        protocol=settings.protocol,
        port=end.port,
        family=end.family,
        function=_FUNCTIONS.get(settings.protocol, f"tcp/{end.port}"),
        connect_bytes=size,
        carry_bytes=size,
        named=end.named,
        packets=2 * settings.rounds * settings.max_hops,
    )


def _packet_bytes(settings: Settings, family: int) -> int:
    return (SYN_LEAST if settings.protocol == "tcp" else LEAST_BYTES)[family]


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator["PathRunner"]:  # noqa: A001 - the probe interface's name
    """Open the shared runner; every attempt has a socket of its own."""
    yield PathRunner(kit)


def _endpoint(settings: Settings) -> Endpoint:
    bounds = (("port", 0, 65535), ("rounds", 1, _MOST_ROUNDS), ("max_hops", 1, _MOST_HOPS))
    for key, least, most in bounds:
        if not least <= getattr(settings, key) <= most:
            raise ValueError(f"{key}: {getattr(settings, key)} is out of bounds; write {least} to {most}")
    try:
        hops.networks(settings.hops)
    except ValueError as error:
        raise ValueError(f"hops: {error}") from None
    if settings.protocol == "icmp" and settings.port:
        raise ValueError("port: pings have none; leave it out, or set `protocol`")
    port = settings.port or _PORTS.get(settings.protocol)
    return host_endpoint(settings.target, settings.family, port)


class View:
    """What one attempt has sent and seen."""

    def __init__(self) -> None:
        self.sent: dict[int, int] = {}
        self.answers: list[Answer] = []
        self.trouble: Trouble | None = None
        self.reached = False

    def add(self, answers: Iterable[Answer]) -> None:
        """Take what came."""
        for one in answers:
            self.answers.append(one)
            self.reached = self.reached or one.trouble is None

    def is_end(self, one: Answer) -> bool:
        """Return whether a packet went as far as any can: to the target, or to what stopped all of them."""
        return one.trouble is None or (one.end and not self.reached)

    @property
    def end(self) -> int | None:
        """Return the least TTL at which a packet went as far as any can, None as long as none did."""
        return min((ttl_of(one) for one in self.answers if self.is_end(one)), default=None)

    def complete(self) -> bool:
        """Return whether every packet up to the end has its answer."""
        end = self.end
        if end is None:
            return False
        wanted = sum(count for ttl, count in self.sent.items() if ttl <= end)
        return sum(1 for one in self.answers if ttl_of(one) <= end) >= wanted

    def table(self) -> tuple[hops.Hop, ...]:
        """Return the hops; our own kernel's word about a silent neighbour is no hop."""
        seen = (
            hops.Seen(
                ttl=ttl_of(one),
                address=one.address,
                seconds=one.seconds,
                end=self.is_end(one),
                labels=one.labels,
            )
            for one in self.answers
            if one.trouble is None or one.trouble.fault != "neighbour-silent"
        )
        return hops.hops(self.sent, seen)

    def failure(self, max_hops: int) -> Trouble:
        """Return why the target did not answer, with the last router that did as witness.

        Only the last round in which anything answered counts: what answered before may have gone since.
        """
        stopped = next((one.trouble for one in self.answers if self.is_end(one)), None)
        if stopped is not None:
            return stopped
        if not self.answers:
            return TIMEOUT
        newest = max(one.number // _ROUND_NUMBERS for one in self.answers)
        round_ = sorted((one for one in self.answers if one.number // _ROUND_NUMBERS == newest), key=ttl_of)
        first_at = {one.address: ttl_of(one) for one in reversed(round_)}
        last = max(first_at, key=lambda address: first_at[address])  # in a loop: the router that came last
        if ttl_of(round_[-1]) == max_hops:
            told = f"{max_hops} hops and no target: a loop, or a way longer than `max_hops`"
            return Trouble(fault="ttl-exceeded", detail=told, by=last)
        return Trouble(fault="timeout", detail=f"silence behind {last}, hop {first_at[last]}", by=last)


def ttl_of(answer: Answer) -> int:
    """Return the TTL of the packet that was answered."""
    return answer.number % _ROUND_NUMBERS


class _Known(msgspec.Struct):
    """What is kept of a probe between its attempts."""

    flow: int = 0
    path: tuple[hops.Hop, ...] = ()
    changes: int = 0


class PathRunner:
    """All path probes of the agent."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._known: dict[tuple[str, str, int, int], _Known] = {}

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:
        """Look at every hop in several rounds; `fresh` uses a flow id of its own and remembers nothing."""
        clock = self._kit.clock
        start = clock.boot()
        end = _endpoint(settings)
        phases: dict[str, float] = {}
        try:
            address = await locate(self._kit, end, deadline, phases)
        except ResolveError as error:
            return resolve_result(error, clock.boot() - start)
        known = _Known() if fresh else self._remembered(settings, address, end)
        view = View()
        if clock.boot() >= deadline:
            view.trouble = LATE
        else:
            try:
                sock = HopSocket(settings.protocol, end.family, address, end.port or 0, clock=clock, flow=known.flow)
            except OSError as error:
                view.trouble = not_opened(error, "`protocol: udp` needs no right")
            else:
                try:
                    await self._look(sock, view, settings, len(known.path), deadline)
                finally:
                    sock.close()
                if sock.flow != known.flow:  # another flow may go another way: nothing to compare
                    known.flow, known.path = sock.flow, ()
        return _result(settings, view, known, phases, clock.boot() - start)

    def _remembered(self, settings: Settings, address: str, end: Endpoint) -> _Known:
        """Return what is known of a target, and forget the one longest unused when there are too many."""
        key = (address, settings.protocol, end.port or 0, settings.max_hops)
        known = self._known[key] = self._known.pop(key, _Known())
        if len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]
        return known

    async def _look(self, sock: HopSocket, view: View, settings: Settings, distance: int, deadline: float) -> None:
        """Send all rounds, to every hop at once, and collect what comes until nothing more is to be expected."""
        clock = self._kit.clock
        start = clock.boot()
        pause = (deadline - start) / 2 / settings.rounds
        margin = 0 if settings.protocol == "tcp" else _MARGIN_HOPS  # a service shall not get one SYN after the other
        for number in range(settings.rounds):
            reach = view.end or (distance + margin if distance and not number else settings.max_hops)
            for ttl in range(1, min(reach, settings.max_hops) + 1):
                refused = sock.send(number * _ROUND_NUMBERS + ttl, ttl=ttl)
                view.trouble = view.trouble or refused
                view.sent[ttl] = view.sent.get(ttl, 0) + (refused is None)
            if not any(view.sent.values()):
                return
            if number < settings.rounds - 1:
                await self._collect(sock, view, start + (number + 1) * pause)
        last_sent = clock.boot()
        while not view.complete() and (left := self._until(view, last_sent, deadline) - clock.boot()) > 0:
            if await ready(sock.fileno(), seconds=left):
                view.add(sock.take())

    async def _collect(self, sock: HopSocket, view: View, until: float) -> None:
        while await ready(sock.fileno(), seconds=until - self._kit.clock.boot()):
            view.add(sock.take())

    @staticmethod
    def _until(view: View, last_sent: float, deadline: float) -> float:
        """Return how long to wait for what is still missing."""
        if view.end is None:
            return deadline
        slowest = max(one.seconds for one in view.answers)
        return min(deadline, last_sent + max(_GRACE_SECONDS, _GRACE_TRIPS * slowest))


def _result(settings: Settings, view: View, known: _Known, phases: dict[str, float], seconds: float) -> Result:
    """Judge a view, and remember it."""
    if view.trouble is not None and not view.reached:
        return result_of(view.trouble, Stage.CONNECT)  # what was not sent cannot have been lost on the way
    prefixes = hops.networks(settings.hops)
    table = view.table()
    changed = hops.change(known.path, table)
    known.changes += bool(changed)
    known.path = hops.remembered(known.path, table, changed=bool(changed))
    detail = hops.described(table, prefixes) + (f"; the way changed: {changed}" if changed else "")
    values = {
        "path_changes": float(known.changes),
        "path_silent_hops": float(sum(1 for hop in table if not hop.answered)),
    }
    rows = hops.rows(table, prefixes)
    if not view.reached:
        failed = result_of(view.failure(settings.max_hops), Stage.CONNECT, seconds, phases)
        return msgspec.structs.replace(failed, detail=f"{failed.detail}; {detail}", values=values, rows=rows)
    target = table[-1]
    stamped = all(answer.stamped for answer in view.answers)
    values |= {
        "path_hops": float(target.ttl),
        "path_loss_ratio": target.lost,
        "path_kernel_stamps": float(stamped),
    }
    if target.median is not None:
        phases["answer"] = target.median
    degraded = bool(changed) and settings.on_change == "degraded"
    return Result(
        outcome=Outcome.DEGRADED if degraded else Outcome.OK,
        fault="path-changed" if degraded else None,
        seconds=sum(phases.values()),
        phases=phases,
        packet_bytes=_packet_bytes(settings, _endpoint(settings).family),
        detail=detail,
        values=values,
        rows=rows,
    )
