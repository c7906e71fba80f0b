"""ICMP echo: does this address answer, how fast, how steadily, and is anything lost on the way.

Steady probes share one socket per address family, turned by the agent's wheel; a confirmation gets a socket and
identifier of its own. What must stay true: a reply counts only with our identifier, sequence, random token and
from the address that we asked; an ICMP error counts for the request that it quotes; the kernel's stamps of request
and reply, not our wake-ups, make the round trip, and the result says when they could not.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import Final, Literal

import msgspec

from probes.kit import echo
from probes.kit.address import FAMILY_HELP, KEPT, Endpoint, host_endpoint
from probes.kit.echo_aim import aim_at
from probes.kit.echo_burst import Aim, Burst, History, Limits, Plan
from probes.kit.echo_port import EchoPort
from probes.kit.echo_pump import EchoPump, settle
from probes.kit.resolver import RESOLVE_FAULTS, ResolveError, locate, resolve_result
from probes.kit.result import Result, Stage
from probes.kit.spec import Duration, Fault, Flow, Kit, Metric, Spec
from probes.kit.trouble import LOCAL_FAULTS, local_trouble, path_faults, result_of

_MOST_PACKETS: Final = 100  # per attempt: a measurement, not a load test
_LEAST_GAP: Final = 0.01  # below it a burst measures its own queue at the responder; iputils asks for root below 2 ms
# What every link carries whole (RFC 791, RFC 8200): all that a packet proves that may have been fragmented.
_CARRIED_ANYWHERE: Final = {4: 68, 6: 1280}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to ping, with how many packets, and what is still good."""

    target: str
    size: int = 56
    family: Literal[4, 6] = 4
    dont_fragment: bool = True
    dscp: int = 0
    count: int = 1
    gap: Duration = Duration(0.02)
    max_loss: float | None = None
    max_rtt: Duration | None = None
    max_jitter: Duration | None = None


SPEC: Final = Spec(
    type="icmp",
    summary="ICMP echo: an address answers, how fast and how steadily; errors of routers on the way are named.",
    settings=Settings,
    key_help={
        "target": "Address or name.",
        "size": "Payload bytes (0 to 65507).",
        "family": FAMILY_HELP,
        "dont_fragment": 'Send with "don\'t fragment"; `false` lets large packets be split, and then proves no size.',
        "dscp": "DSCP of the packets, 0 to 63: 46 is EF (voice).",
        "count": f"Packets an attempt, 1 to {_MOST_PACKETS}: a burst measures loss.",
        "gap": "Time between the packets of a burst, at least 10ms; the agent's wheel sends every 20ms.",
        "max_loss": "Share of a burst (0 to 1) whose loss still counts as ok. Degraded once the burst proves more: the"
        " lower end of the 95 % interval lies above it (0.05 with 10 packets: from 2 lost on).",
        "max_rtt": "Round trip (a burst: the median) that still counts as ok.",
        "max_jitter": "RFC 3550 jitter over the probe's attempts that still counts as ok.",
    },
    phases=("resolve", "answer"),
    faults=(
        *path_faults(Stage.CONNECT),
        Fault(
            "payload-changed",
            Stage.ANSWER,
            "The echo does not carry what we sent.",
            "Look for a device that alters packets.",
        ),
        Fault("packet-loss", Stage.ANSWER, "More of a burst was lost than `max_loss`.", "Compare with other probes."),
        Fault("slow-answer", Stage.ANSWER, "The round trip took longer than `max_rtt`.", "Look for load on the path."),
        Fault("unsteady", Stage.ANSWER, "The jitter is above `max_jitter`.", "Look for load on the path."),
        *RESOLVE_FAULTS,
        *LOCAL_FAULTS,
    ),
    metrics=(
        Metric("icmp_kernel_stamps", "1 when the kernel stamped request and reply, 0 when a stamp of ours stands in."),
        Metric("icmp_jitter_seconds", "Jitter of the round trips, smoothed over attempts (RFC 3550 section 6.4.1)."),
        Metric("icmp_loss_ratio", "Share of the last burst that was lost."),
        Metric("icmp_loss_ratio_low", "Lower end of the 95 % interval (Wilson) of that share."),
        Metric("icmp_loss_ratio_high", "Upper end of the 95 % interval (Wilson) of that share."),
        Metric("icmp_rtt_min_seconds", "Shortest round trip of the last burst."),
        Metric("icmp_rtt_max_seconds", "Longest round trip of the last burst."),
        Metric("icmp_duplicates_total", "Replies after the first to the same request, since the start.", counter=True),
        Metric(
            "icmp_reordered_total",
            "Replies after the reply to a later request, since the start.",
            counter=True,
        ),
        Metric("icmp_late_total", "Replies that came after their time, since the start.", counter=True),
    ),
)


def flow(settings: Settings) -> Flow:
    """Return the echo's flow; ValueError says what is wrong with a setting."""
    end = _endpoint(settings)
    crossed = _plan(settings, end.family).packet_bytes
    # Whoever answers small echoes need not answer larger ones than every host must accept (RFC 791, 3.2).
    large = f" of {crossed} bytes" if crossed > 576 else ""
    return Flow(
        host=end.host,
        protocol="icmp",
        family=end.family,
        function=f"echo{large}",
        connect_bytes=crossed,
        carry_bytes=crossed,
        named=end.named,
        packets=2 * settings.count,
        lasts=round((settings.count - 1) * settings.gap, 6),
    )


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator["EchoRunner"]:  # noqa: A001 - the probe interface's name
    """Open the shared runner; its sockets are made when first needed."""
    runner = EchoRunner(kit)
    try:
        yield runner
    finally:
        runner.close()


def _endpoint(settings: Settings) -> Endpoint:
    if not 0 <= settings.size <= 65507:  # RFC 791: 65535 less the headers
        raise ValueError(f"size: {settings.size} is out of range; write 0 to 65507 bytes")
    if not 0 <= settings.dscp <= 63:
        raise ValueError(f"dscp: {settings.dscp} is out of range; write 0 to 63")
    if not 1 <= settings.count <= _MOST_PACKETS:
        raise ValueError(f"count: {settings.count} is out of range; write 1 to {_MOST_PACKETS} packets")
    if settings.count > 1 and settings.gap < _LEAST_GAP:
        raise ValueError(f"gap: {settings.gap:g} s is too close; write at least 10ms")
    if settings.max_loss is not None and not 0 <= settings.max_loss < 1:
        raise ValueError(f"max_loss: {settings.max_loss:g} is no share; write a number from 0 to below 1, as 0.05")
    if settings.max_loss is not None and settings.count == 1:
        raise ValueError("max_loss: one packet is lost or not; write `count: 10` or more beside it")
    return host_endpoint(settings.target, settings.family)


def _plan(settings: Settings, family: int) -> Plan:
    wire_bytes = settings.size + echo.ICMP_HEADER + echo.IP_HEADER[family]
    limits = Limits(loss=settings.max_loss, rtt=settings.max_rtt, jitter=settings.max_jitter)
    return Plan(
        count=settings.count,
        gap=settings.gap,
        size=settings.size,
        traffic_class=settings.dscp << 2,  # RFC 2474: the upper six bits
        packet_bytes=wire_bytes if settings.dont_fragment else min(wire_bytes, _CARRIED_ANYWHERE[family]),
        limits=None if limits == Limits() else limits,
    )


class _Prepared(msgspec.Struct):
    """What of a probe stays the same from attempt to attempt, and what it remembers.

    `port` and `aim` serve its steady attempts; None until they are known, and for a name always.
    """

    settings: Settings
    end: Endpoint
    kind: "_Kind"
    plan: Plan
    history: History
    port: EchoPort | None = None
    aim: Aim | None = None


_Kind = tuple[int, bool]  # address family; whether packets may be fragmented


class EchoRunner:
    """All icmp probes of the agent."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._boot = kit.clock.boot
        self._plans: dict[Plan, Plan] = {}  # one for all probes that send the same
        self._prepared = lru_cache(KEPT)(self._prepare)
        self._at_hand: dict[int, _Prepared] = {}
        self._aim = lru_cache(KEPT)(aim_at)
        self._steady: dict[_Kind, EchoPort] = {}
        self._pumps: dict[_Kind, EchoPump] = {}
        self._refused: list[tuple[Callable[[Result], None], Result]] = []

    def close(self) -> None:
        """Close the shared sockets; results of what is under way never come."""
        for port in self._steady.values():
            port.close()
        for pump in self._pumps.values():
            pump.close()
        self._steady.clear()
        self._pumps.clear()

    def harvest(self) -> float | None:
        """End what was answered, came to grief or waited its time; see `BatchRunner`."""
        refused, self._refused = self._refused, []
        for done, result in refused:
            done(result)
        return _earliest([port.harvest() for port in self._steady.values()])

    def launch(self, settings: Settings, deadline: float, done: Callable[[Result], None]) -> bool:
        """Queue an attempt; False for a name that must be asked for, and without the kernel's stamps."""
        ready = self._at_hand.get(id(settings))
        if ready is None or ready.settings is not settings:
            ready = self._ready(settings)
        port, aim = ready.port, ready.aim
        if port is None or aim is None:
            end = ready.end
            address = self._kit.resolver.known(end.host, end.family) if end.named else end.host
            if address is None:
                return False
            try:
                port, aim = self._port(ready.kind), self._aim(address, end.family)
            except OSError as error:
                self._refused.append((done, _refusal(error)))
                return True
            if not port.stamping:
                return False
            if not end.named:
                ready.port, ready.aim = port, aim
        port.add(Burst(ready.plan, aim, ready.history, done, self._boot(), deadline, ready.plan.count, {}))
        return True

    def flush(self) -> float | None:
        """Send what is due; return when the next packet of a burst is."""
        return _earliest([port.flush() for port in self._steady.values()])

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:
        """Make one attempt and wait for it; `fresh` uses a socket and identifier of its own."""
        clock = self._kit.clock
        start = clock.boot()
        ready = self._ready(settings)
        end = ready.end
        phases: dict[str, float] = {}
        try:
            address = await locate(self._kit, end, deadline, phases)
        except ResolveError as error:
            return resolve_result(error, clock.boot() - start)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        try:
            aim = self._aim(address, end.family)
            pump = self._new_pump(ready.kind) if fresh else self._pump(ready.kind)
        except OSError as error:
            return _refusal(error)
        done = partial(settle, future)
        burst = Burst(ready.plan, aim, ready.history, done, clock.boot(), deadline, ready.plan.count, phases)
        try:
            pump.start(burst)
            return await future
        finally:
            pump.stop(burst)
            if fresh:
                pump.close()

    def _ready(self, settings: Settings) -> _Prepared:
        """Return what is prepared for `settings`, to be found by the object: a hash of all its keys costs more."""
        ready = self._prepared(settings)
        if ready.settings is settings:
            if len(self._at_hand) >= KEPT:
                self._at_hand.clear()
            self._at_hand[id(settings)] = ready
        return ready

    def _prepare(self, settings: Settings) -> _Prepared:
        end = _endpoint(settings)
        kind = (end.family, not settings.dont_fragment)
        plan = _plan(settings, end.family)
        if len(self._plans) >= KEPT:
            self._plans.clear()
        return _Prepared(settings, end, kind, self._plans.setdefault(plan, plan), History())

    def _new_pump(self, kind: _Kind) -> EchoPump:
        clock = self._kit.clock
        return EchoPump(EchoPort(kind[0], clock, fragment=kind[1], prompt=True), clock)

    def _port(self, kind: _Kind) -> EchoPort:
        """Return the port of the steady probes."""
        port = self._steady.get(kind)
        if port is None:
            port = self._steady[kind] = EchoPort(kind[0], self._kit.clock, fragment=kind[1])
        return port

    def _pump(self, kind: _Kind) -> EchoPump:
        """Return what serves single attempts: a port of its own, so that steady replies wake nobody up."""
        pump = self._pumps.get(kind)
        if pump is None:
            pump = self._pumps[kind] = self._new_pump(kind)
        return pump


def _earliest(times: list[float | None]) -> float | None:
    return min((at for at in times if at is not None), default=None)


def _refusal(error: OSError) -> Result:
    return result_of(local_trouble(error), Stage.CONNECT)
