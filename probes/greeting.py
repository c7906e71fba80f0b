"""Greeting: the application at this address and port introduces itself, as its protocol says it does.

A connect proves a listening socket; a few bytes of the application prove that it is served. What
must stay true: one connection, at most one message of ours before the answer and a farewell after
it; no credentials; what a peer sends is bounded; a protocol is a row of `kit/greetings.py`.
"""

import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Final, Literal

import msgspec

from probes.kit.address import FAMILY_HELP, KEPT, Endpoint, endpoint
from probes.kit.greetings import GREETINGS, LARGEST, Greeting, Verdict, judge, printable
from probes.kit.handshake import Ended, shake
from probes.kit.resolver import RESOLVE_FAULTS, ResolveError, locate, resolve_result
from probes.kit.result import Result, Stage, failed, ok
from probes.kit.sockets import came_back, ready, tcp_info
from probes.kit.spec import Clock, Fault, Flow, Kit, Metric, Spec
from probes.kit.trouble import LOCAL_FAULTS, TIMEOUT, Trouble, path_faults, result_of

_DETAIL: Final = 200


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where to connect, and who must answer."""

    target: str
    protocol: Literal[
        "smtp",
        "submission",
        "ftp",
        "imap",
        "pop3",
        "ssh",
        "ldap",
        "kerberos",
        "rpc",
        "smb",
        "rdp",
        "mssql",
        "postgres",
        "mysql",
        "redis",
        "mqtt",
    ]
    expect: str = ""
    family: Literal[4, 6] = 4


SPEC: Final = Spec(
    type="greeting",
    summary="An application answers as its protocol says: mail, directory, database, file or terminal server.",
    settings=Settings,
    key_help={
        "target": "`address`, `name` or `[v6]`, with `:port` when it is not the protocol's own.",
        "protocol": "; ".join(f"{name} ({row.port}; {row.source})" for name, row in GREETINGS.items()) + ".",
        "expect": "Text that the answer must hold, where it has any (a version, a name); empty: any answer passes.",
        "family": FAMILY_HELP,
    },
    phases=("resolve", "connect", "answer"),
    faults=(
        *path_faults(Stage.CONNECT),
        *path_faults(Stage.ANSWER),
        Fault("closed", Stage.ANSWER, "The server closed before a whole answer.", "Look at the server's log."),
        Fault(
            "refused-by-service",
            Stage.ANSWER,
            "The application answers that it does not serve us.",
            "See the detail: too many sessions, maintenance, an access list.",
        ),
        Fault("answer-mismatch", Stage.ANSWER, "The answer lacks the expected text.", "Check the server, or `expect`."),
        Fault("malformed", Stage.ANSWER, "The answer is not of this protocol.", "What really listens there?"),
        *RESOLVE_FAULTS,
        *LOCAL_FAULTS,
    ),
    metrics=(Metric("greeting_syn_retransmits", "SYNs that the kernel sent again, answered in the end or not."),),
    default_interval=5.0,
    leaves_traces="One session a probe, ended before anybody signs in; servers log it. MySQL counts it as a connection "
    "error: raise `max_connect_errors` there. Domain controllers log the Kerberos question as failed.",
)


def flow(settings: Settings) -> Flow:
    """Return the exchange's flow; ValueError says what is wrong with the target or `expect`."""
    end = _endpoint(settings)
    if settings.expect and not GREETINGS[settings.protocol].worded:
        raise ValueError(f"expect: an answer of {settings.protocol} holds no text; leave it out")
    return Flow(
        host=end.host,
        protocol="tcp",
        port=end.port,
        family=end.family,
        function=f"{settings.protocol} greeting",
        connect_bytes=60,  # a SYN with its options
        carry_bytes=576,  # the largest answer known, SMB's, has some 450 bytes
        named=end.named,
    )


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator["GreetingRunner"]:  # noqa: A001 - the probe interface's name
    """Open the shared runner; every attempt has a connection of its own."""
    yield GreetingRunner(kit)


def _endpoint(settings: Settings) -> Endpoint:
    return endpoint(settings.target, settings.family, default_port=GREETINGS[settings.protocol].port)


class GreetingRunner:
    """All greeting probes of the agent."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._endpoint = lru_cache(KEPT)(_endpoint)

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:  # noqa: ARG002
        """Connect, let the service introduce itself, take leave; every attempt is `fresh`."""
        clock = self._kit.clock
        start = clock.boot()
        end = self._endpoint(settings)
        phases: dict[str, float] = {}
        try:
            address = await locate(self._kit, end, deadline, phases)
        except ResolveError as error:
            return resolve_result(error, clock.boot() - start)
        begun = clock.boot()
        sock, ended = await shake(address, end.port or 0, end.family, deadline=deadline, clock=clock)
        if sock is None:
            return _unconnected(ended, clock.boot() - start, phases)
        with sock:
            phases["connect"] = ended.seconds
            # A service that speaks first may do so from the SYN-ACK on, before we have woken up.
            begun = clock.boot() if GREETINGS[settings.protocol].opening else begun + ended.seconds
            data, heard = await hear(sock, end.family, settings.protocol, deadline=deadline, clock=clock)
            seconds = clock.boot() - begun
            info = tcp_info(sock, end.family)
        if not isinstance(heard, Trouble):
            phases["answer"] = seconds
        found = judged(heard, data, settings.expect, phases.get("resolve", 0.0) + ended.seconds + seconds, phases)
        return msgspec.structs.replace(
            found, values=_values(ended), packet_bytes=info.packet_bytes if info is not None and data else None
        )


async def hear(
    sock: socket.socket, family: int, protocol: str, *, deadline: float, clock: Clock
) -> tuple[bytes, Verdict | Trouble]:
    """Return what the peer said until it could be judged, and the verdict; or the trouble that came before."""
    row, data = GREETINGS[protocol], b""
    try:
        sock.send(row.opening)  # fits the empty send buffer of a new connection
        while await ready(sock.fileno(), seconds=deadline - clock.boot()):
            try:
                chunk = sock.recv(LARGEST - len(data))
            except BlockingIOError:
                continue
            if not chunk:
                return data, Trouble(fault="closed", detail=_heard(data, "then closed"), answered=bool(data))
            data += chunk
            verdict = judge(protocol, data)
            if verdict is not None:
                if verdict.fault != "malformed":
                    _take_leave(sock, row)
                return data, verdict
    except OSError as error:
        return data, came_back(sock, family, error)
    return data, Trouble(fault=TIMEOUT.fault, detail=_heard(data, "then silence"))


def _take_leave(sock: socket.socket, row: Greeting) -> None:
    with contextlib.suppress(OSError):  # the peer may have gone already; its answer stands
        sock.send(row.farewell)


def _heard(data: bytes, then: str) -> str:
    return f"{len(data)} bytes, {then}: {printable(data)}"[:_DETAIL] if data else f"no byte, {then}"


def judged(heard: Verdict | Trouble, data: bytes, expect: str, seconds: float, phases: dict[str, float]) -> Result:
    """Return what was heard means for these settings; everything in a verdict is the peer's own word."""
    if isinstance(heard, Trouble):
        return result_of(heard, Stage.ANSWER, seconds, phases)
    fault = heard.fault
    if fault is None and expect and expect not in heard.text:
        fault = "answer-mismatch"
    if fault is None:
        return ok(seconds, phases)
    detail = heard.text or printable(data)
    return failed(Stage.ANSWER, fault, seconds=seconds, phases=phases, answered=True, detail=detail[:_DETAIL])


def _unconnected(ended: Ended, seconds: float, phases: dict[str, float]) -> Result:
    trouble = ended.trouble or TIMEOUT
    found = result_of(trouble, Stage.CONNECT, seconds, phases)
    return found if trouble.local else msgspec.structs.replace(found, values=_values(ended))


def _values(ended: Ended) -> dict[str, float]:
    return {"greeting_syn_retransmits": float(ended.handshake.syn_retransmits)}
