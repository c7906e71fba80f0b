"""Path MTU: the largest packet that comes back unfragmented, and whether larger ones vanish without a word.

Several sizes at once, narrowed down in a few steps: echoes with "don't fragment", or TCP connections whose segments
are limited, where pings are filtered. A hole is silence for large packets while small ones are answered; "too big"
from a router is the working form of the same limit, and so is a clamped MSS.

What must stay true: packets cross the path twice, so a limit is the path's, there or back, and never the target's
alone: a size that was agreed and vanishes ends in silence at the stage `answer`, which accuses the whole path. A
target or a filter that refuses large pings looks like a hole; TCP tells them apart.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import Final, Literal

import msgspec

from probes.kit.address import FAMILY_HELP, Endpoint, endpoint, host_endpoint
from probes.kit.client_hello import client_hello
from probes.kit.echo_sizes import MOST_PACKETS, EchoSizes
from probes.kit.hop_packets import LEAST_BYTES
from probes.kit.hop_socket import HopSocket, not_opened
from probes.kit.resolver import RESOLVE_FAULTS, ResolveError, locate, resolve_result
from probes.kit.result import Outcome, Result, Stage
from probes.kit.size_search import BREADTH, SizeSearch
from probes.kit.spec import Fault, Flow, Kit, Metric, Spec
from probes.kit.tcp_sizes import BREADTH as TCP_BREADTH
from probes.kit.tcp_sizes import MOST_CONNECTIONS, TcpSizes
from probes.kit.trouble import LATE, LOCAL_FAULTS, TIMEOUT, path_faults, result_of

_ETHERNET: Final = 1500
_LARGEST: Final = {"icmp": 65535, "tls": 16_000, "http": 16_000}  # a TLS record holds 16,389 bytes
# Below it no TCP is limited: 536 bytes and headers (RFC 9293 section 3.7.1), IPv6's least MTU.
_LEAST_TCP: Final = {4: 576, 6: 1280}
_PORTS: Final = {"tls": 443, "http": 80}
# RFC 8200 section 5: every IPv6 link carries this much, so an IPv6 path that does not is broken whatever was agreed.
_LEAST_AGREED: Final = {4: 0, 6: 1280}
_SYN_BYTES: Final = {4: 60, 6: 80}
_CONNECTION_PACKETS: Final = 16  # handshake, two segments, a certificate, the end; counted on loopback
_REMEMBERED: Final = 1024  # targets; more pmtu probes than one agent runs
_OWN_LINK: Final = "this host's link carries no more"
_OWN_TCP: Final = "TCP sends no more: this host's link, the peer's MSS, a clamp or a router's word"
_NO_RIGHT: Final = "`protocol: tls` or `http` needs no right"
_FUNCTIONS: Final = {"icmp": "echo", "tls": "TLS hello", "http": "GET /"}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where to, and what must pass."""

    target: str
    protocol: Literal["icmp", "tls", "http"] = "icmp"
    expect: int = 0
    largest: int = _ETHERNET
    family: Literal[4, 6] = 4


SPEC: Final = Spec(
    type="pmtu",
    summary="Path MTU: the largest packet that passes unfragmented, compared with what was agreed.",
    settings=Settings,
    key_help={
        "target": "Address or name; with `tls` and `http` also `:port` (443 and 80 by default).",
        "protocol": "`icmp`: pings. Where they are filtered, a web server is asked over TCP: `tls` says hello, `http` "
        "sends a GET, both filled up to the size.",
        "expect": "The agreed size in bytes, with IP header (1438 for many IPsec tunnels); without it the size is "
        "measured and judged by nobody.",
        "largest": "Where the search ends, in bytes with IP header.",
        "family": FAMILY_HELP,
    },
    path_facts=True,
    phases=("resolve", "answer"),
    faults=(
        *path_faults(Stage.CONNECT),
        *path_faults(Stage.ANSWER),
        Fault(
            "mtu-hole",
            Stage.ANSWER,
            "Packets of the agreed size vanish without a word, smaller ones pass.",
            "Correct the MTU, clamp the MSS or let ICMP `too big` pass; the values say by how many bytes it is short.",
        ),
        Fault(
            "mtu-low",
            Stage.ANSWER,
            "Packets of the agreed size are too big, and senders are told: by a router, or by TCP's MSS (degraded).",
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
    leaves_traces=f"Up to {MOST_PACKETS} pings an attempt, three where everything passes; over TCP up to "
    f"{MOST_CONNECTIONS} connections that end after one request, two where everything passes.",
)


def flow(settings: Settings) -> Flow:
    """Return the flow to the target; ValueError says what is wrong with the settings."""
    end = _endpoint(settings)
    echo = settings.protocol == "icmp"
    least = _least(settings, end.family)
    agreed = _agreed(settings, end.family)
    # A function of its own: that the target answers small pings does not say that it answers large ones, so a hole
    # may be its own doing as long as nothing that large was answered there.
    function = _FUNCTIONS[settings.protocol] + (f" of {agreed} bytes" if agreed else "")
    return Flow(
        host=end.host,
        protocol="icmp" if echo else "tcp",
        port=end.port,
        family=end.family,
        function=function,
        connect_bytes=least if echo else _SYN_BYTES[end.family],
        carry_bytes=max(agreed, least),
        named=end.named,
        packets=2 * MOST_PACKETS if echo else _CONNECTION_PACKETS * MOST_CONNECTIONS,
    )


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator["PmtuRunner"]:  # noqa: A001 - the probe interface's name
    """Open the shared runner; every attempt has a socket of its own."""
    yield PmtuRunner(kit)


def _endpoint(settings: Settings) -> Endpoint:
    if settings.protocol == "icmp":
        end = host_endpoint(settings.target, settings.family)
    else:
        end = endpoint(settings.target, settings.family, _PORTS[settings.protocol])
    least, most = max(_LEAST_AGREED[end.family], _least(settings, end.family)), _LARGEST[settings.protocol]
    if not least <= settings.largest <= most:
        raise ValueError(f"largest: {settings.largest} is out of bounds; write {least} to {most}")
    if settings.expect and not least <= settings.expect <= settings.largest:
        raise ValueError(f"expect: {settings.expect} is out of bounds; write {least} to `largest`, {settings.largest}")
    return end


def _least(settings: Settings, family: int) -> int:
    """Return the size that is tried beside the large ones, to tell a hole from a target that is silent."""
    return LEAST_BYTES[family] if settings.protocol == "icmp" else _LEAST_TCP[family]


def _agreed(settings: Settings, family: int) -> int:
    return settings.expect or _LEAST_AGREED[family]


def get_request(length: int, host: str) -> bytes:
    """Return a GET of at least `length` bytes; `host` as in a URL."""
    head = f"GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: demarc\r\nConnection: close\r\nX-Fill: ".encode("ascii")
    return head + b"x" * max(0, length - len(head) - 4) + b"\r\n\r\n"


class PmtuRunner:
    """All pmtu probes of the agent."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._working: dict[tuple[str, str], int] = {}

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:
        """Search the largest packet that passes; `fresh` (a confirmation) looks no further than it must."""
        clock = self._kit.clock
        start = clock.boot()
        end = _endpoint(settings)
        phases: dict[str, float] = {}
        try:
            address = await locate(self._kit, end, deadline, phases)
        except ResolveError as error:
            return resolve_result(error, clock.boot() - start)
        if clock.boot() >= deadline:
            return result_of(LATE, Stage.CONNECT)
        agreed = _agreed(settings, end.family)
        key = (address, settings.protocol)
        largest = (agreed or self._working.get(key, settings.largest)) if fresh else settings.largest
        search = SizeSearch(_least(settings, end.family), largest, agreed, BREADTH if end.port is None else TCP_BREADTH)
        try:
            look = await self._look(settings, address, end, search, deadline)
        except OSError as error:
            return result_of(not_opened(error, _NO_RIGHT), Stage.CONNECT)
        if look.trip is not None:
            phases["answer"] = look.trip
        if search.exact and not fresh and len(self._working) < _REMEMBERED:
            self._working[key] = search.working
        result = judged(look, agreed, phases, clock.boot() - start)
        return msgspec.structs.replace(result, facts=None if fresh else facts(search))

    async def _look(
        self, settings: Settings, address: str, end: Endpoint, search: SizeSearch, deadline: float
    ) -> EchoSizes | TcpSizes:
        """Run the search; OSError when this host gives no socket for it."""
        clock = self._kit.clock
        if end.port is not None:
            connections = TcpSizes((address, end.port, end.family), _request(settings, end), search, clock)
            await connections.run(deadline)
            return connections
        with closing(HopSocket("icmp", end.family, address, 0, clock=clock)) as sock:
            echoes = EchoSizes(sock, search, clock)
            await echoes.run(deadline)
            return echoes


def _request(settings: Settings, end: Endpoint) -> Callable[[int], bytes]:
    """Return what makes a request of at least so many bytes."""
    if settings.protocol == "tls":
        return partial(client_hello, name=end.host if end.named else "")
    return partial(get_request, host=settings.target)


def judged(look: EchoSizes | TcpSizes, agreed: int, phases: dict[str, float], seconds: float) -> Result:
    """Return the result of a search that took `seconds`."""
    search = look.search
    if look.trouble is not None and look.trouble.local:
        return result_of(look.trouble, Stage.CONNECT)  # what was not sent cannot have been lost on the way
    rows = tuple(_row(search, size) for size in sorted(search.tries))
    if not search.working:
        stage = Stage.ANSWER if look.connected else Stage.CONNECT
        failed = result_of(look.trouble or TIMEOUT, stage, seconds, phases)
        return msgspec.structs.replace(failed, rows=rows)
    word = search.router
    values = {"pmtu_bytes": float(search.working), "pmtu_black_hole": float(search.hole)}
    if agreed:
        values["pmtu_shortfall_bytes"] = float(max(0, agreed - search.working))
    echo = isinstance(look, EchoSizes)
    outcome, fault = _verdict(search, agreed, echo=echo)
    return Result(
        outcome=outcome,
        stage=Stage.ANSWER if outcome is Outcome.FAILED else None,
        fault=fault,
        seconds=None if outcome is Outcome.UNKNOWN else sum(phases.values()),
        by=word.by if word and fault == "mtu-low" else None,
        packet_bytes=look.back,
        detail=described(search, agreed, look.back, _OWN_LINK if echo else _OWN_TCP),
        phases=phases,
        values=values,
        rows=rows,
    )


def facts(search: SizeSearch) -> dict[str, str] | None:
    """Return what to compare with the approved size; a search that was cut short (every confirmation's) tells none."""
    return {"path mtu": str(search.working)} if search.exact and search.working else None


def _verdict(search: SizeSearch, agreed: int, *, echo: bool) -> tuple[Outcome, str | None]:
    """Return outcome and fault of a search in which something passed."""
    if search.working >= agreed:
        return Outcome.OK, None
    if not search.certain(agreed):
        return Outcome.UNKNOWN, "unfinished"
    if search.router is not None:
        return Outcome.DEGRADED, "mtu-low"
    if search.hole or not search.capped:
        return Outcome.FAILED, "mtu-hole"
    return (Outcome.UNKNOWN, "too-big-here") if echo else (Outcome.DEGRADED, "mtu-low")


def described(search: SizeSearch, agreed: int, back: int, cap: str) -> str:
    """Return what was found, on one line; `cap` says what keeps us from sending more, if anything does."""
    parts = [f"{search.working} bytes pass" + ("" if search.exact else ", maybe more")]
    if agreed:
        short = agreed - search.working
        parts.append(f"{short} fewer than the {agreed} agreed" if short > 0 else f"{agreed} are agreed")
    if search.router is not None:
        parts.append(f"{search.router.by} forwards {search.router.mtu}")
    elif search.hole:
        parts.append("larger ones vanish without a word")
    elif search.capped:
        parts.append(cap)
    if back < search.working:
        parts.append(f"what came back had at most {back}")
    return ", ".join(parts)


def _row(search: SizeSearch, size: int) -> dict[str, str | int | float | None]:
    word = search.told.get(size)
    row: dict[str, str | int | float | None] = {"bytes": size, "sent": search.tries[size], "mtu": None, "by": None}
    if size <= search.working:
        return {**row, "answer": "passes"}
    if word is not None:
        return {**row, "answer": "too big", "mtu": word.mtu, "by": word.by}
    return {**row, "answer": "silence" if size <= search.largest else "not sent"}
