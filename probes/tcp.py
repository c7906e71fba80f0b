"""TCP connect: does something accept connections on this address and port, and how fast.

What must stay true: one connection to one address, never a second try; `connect` is the time from
the first SYN to the SYN-ACK as the kernel measured it, because our wake-up is not the wire. Only a
failed attempt lasts until we noticed, which in a batch is up to a tick of the agent's wheel later.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Final, Literal

import msgspec

from probes.kit.address import FAMILY_HELP, KEPT, Endpoint, endpoint
from probes.kit.handshake import Ended, Handshakes, hang_up, shake
from probes.kit.resolver import RESOLVE_FAULTS, ResolveError, locate, resolve_result
from probes.kit.result import Result, Stage, ok
from probes.kit.spec import Flow, Kit, Metric, Spec
from probes.kit.trouble import LOCAL_FAULTS, path_faults, result_of

# Whom a batch tells how an attempt ended.
Done = Callable[[Result], None]


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
        Metric(
            "tcp_handshake_seconds",
            "The kernel's round trip of the handshake (SYN to SYN-ACK); absent after a lost SYN.",
        ),
        Metric("tcp_syn_retransmits", "SYNs that the kernel sent again, answered in the end or not."),
    ),
    leaves_traces="One connection, ended by FIN and, once that is acknowledged, RST; some servers log it.",
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
    runner = ConnectRunner(kit)
    try:
        yield runner
    finally:
        runner.close()


def _endpoint(settings: Settings) -> Endpoint:
    return endpoint(settings.target, settings.family)


class ConnectRunner:
    """All tcp probes of the agent."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._endpoint = lru_cache(KEPT)(_endpoint)
        self._handshakes: Handshakes[Done] = Handshakes(kit.clock)

    def close(self) -> None:
        """Give up what is under way."""
        self._handshakes.close()

    def harvest(self) -> float | None:
        """End what has been decided; see `BatchRunner`."""
        for done, ended in self._handshakes.ended():
            done(result(ended, {}))
        return self._handshakes.earliest()

    def launch(self, settings: Settings, deadline: float, done: Done) -> bool:
        """Send the SYN at once; the kernel keeps the time. False for a name that must be asked for."""
        end = self._endpoint(settings)
        address = self._kit.resolver.known(end.host, end.family) if end.named else end.host
        if address is None:
            return False
        self._handshakes.start(address, end.port or 0, end.family, deadline, done)
        return True

    def flush(self) -> float | None:
        """Tell those whose SYN did not leave, or was refused at once; return the earliest deadline under way."""
        for done, ended in self._handshakes.refused():
            done(result(ended, {}))
        return self._handshakes.earliest()

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:  # noqa: ARG002
        """Connect once and close; every attempt is `fresh`."""
        clock = self._kit.clock
        start = clock.boot()
        end = self._endpoint(settings)
        phases: dict[str, float] = {}
        try:
            address = await locate(self._kit, end, deadline, phases)
        except ResolveError as error:
            return resolve_result(error, clock.boot() - start)
        sock, ended = await shake(address, end.port or 0, end.family, deadline=deadline, clock=clock)
        if sock is not None:
            hang_up(sock)
        return result(ended, phases)


def result(ended: Ended, before: dict[str, float]) -> Result:
    """Return what the end of an attempt means; `before` holds the phases before the connect."""
    seconds = sum(before.values()) + ended.seconds
    values = {"tcp_syn_retransmits": float(ended.handshake.syn_retransmits)}
    if ended.trouble is not None:
        if ended.trouble.local:
            values = {}
        found = result_of(ended.trouble, Stage.CONNECT, seconds, before)
        return msgspec.structs.replace(found, values=values)
    if ended.handshake.round_trip is not None:
        values["tcp_handshake_seconds"] = ended.handshake.round_trip
    return ok(seconds, {**before, "connect": ended.seconds}, values=values)
