"""TCP connect: does something accept connections on this address and port, and how fast.

What must stay true: one connection to one address, never a second try; the kernel's own round-trip
estimate stands beside the elapsed time, because our wake-up is not the wire.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Final, Literal

import msgspec

from probes.kit.address import FAMILY_HELP, KEPT, Endpoint, endpoint
from probes.kit.resolver import RESOLVE_FAULTS, ResolveError, resolve_result
from probes.kit.result import Result, Stage, ok
from probes.kit.sockets import connect_tcp, tcp_info
from probes.kit.spec import Flow, Kit, Metric, Spec
from probes.kit.trouble import LOCAL_FAULTS, Trouble, path_faults, result_of


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where to connect."""

    target: str
    family: Literal[4, 6] = 4


SPEC: Final = Spec(
    type="tcp",
    summary="TCP connect: a port accepts connections, and how fast.",
    settings=Settings,
    key_help={"target": "`address:port`, `name:port` or `[v6]:port`.", "family": FAMILY_HELP},
    phases=("resolve", "connect"),
    faults=(*path_faults(Stage.CONNECT), *RESOLVE_FAULTS, *LOCAL_FAULTS),
    metrics=(
        Metric("tcp_handshake_seconds", "The kernel's round trip of the handshake (SYN to SYN-ACK)."),
        Metric("tcp_retransmits", "Packets that the kernel sent again while connecting."),
    ),
    leaves_traces="One connection opened and closed; some servers log it.",
)


def flow(settings: Settings) -> Flow:
    """Return the connection's flow; ValueError says what is wrong with the target."""
    end = _endpoint(settings)
    return Flow(
        host=end.host,
        protocol="tcp",
        port=end.port,
        family=end.family,
        function=f"tcp/{end.port}",
        connect_bytes=60,  # a SYN with its options
        carry_bytes=60,
        named=end.named,
    )


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator["ConnectRunner"]:  # noqa: A001 - the probe interface's name
    """Open the shared runner; every attempt has a socket of its own."""
    yield ConnectRunner(kit)


def _endpoint(settings: Settings) -> Endpoint:
    return endpoint(settings.target, settings.family)


class ConnectRunner:
    """All tcp probes of the agent."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._endpoint = lru_cache(KEPT)(_endpoint)

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:  # noqa: ARG002
        """Connect once and close; every attempt is `fresh`."""
        clock = self._kit.clock
        start = clock.boot()
        end = self._endpoint(settings)
        phases: dict[str, float] = {}
        address = end.host
        if end.named:
            try:
                address = await self._kit.resolver.resolve(end.host, end.family, deadline)
            except ResolveError as error:
                return resolve_result(error, clock.boot() - start)
            phases["resolve"] = clock.boot() - start
        made = await connect_tcp(address, end.port or 0, end.family, deadline=deadline, clock=clock)
        if isinstance(made, Trouble):
            return result_of(made, Stage.CONNECT, clock.boot() - start, phases)
        with made.sock as sock:
            info = tcp_info(sock, end.family)
        phases["connect"] = made.seconds
        values: dict[str, float] = {}
        if info is not None:
            values = {"tcp_handshake_seconds": info.round_trip, "tcp_retransmits": float(info.retransmits)}
        return ok(clock.boot() - start, phases, values=values)
