"""ICMP echo: does this address answer, and how long does it take.

One socket per address family serves all probes; a confirmation gets a socket and identifier of its
own. An unprivileged datagram socket is taken where net.ipv4.ping_group_range allows it (icmp(7)),
else a raw one with a filter. What must stay true: a reply counts only with our identifier,
sequence, random token and from the address that we asked; an ICMP error counts for the request
that it quotes; the kernel's receive stamp, not our wake-up, ends the round trip.
"""

import asyncio
import secrets
import socket
import struct
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Final, Literal

import msgspec

from probes.kit import echo
from probes.kit.address import FAMILY_HELP, KEPT, Endpoint, address_family, canonical, host_endpoint
from probes.kit.resolver import RESOLVE_FAULTS, ResolveError, resolve_result
from probes.kit.result import Result, Stage, ok
from probes.kit.sockets import ask_for_errors, name_sender, next_error
from probes.kit.spec import Clock, Fault, Flow, Kit, Spec
from probes.kit.trouble import (
    LATE,
    LOCAL_FAULTS,
    TIMEOUT,
    Trouble,
    local_trouble,
    path_faults,
    result_of,
)

# asm-generic/socket.h, linux/in.h, linux/in6.h; Python 3.11's socket module lacks them.
_SO_ATTACH_FILTER: Final = 26
_SO_TIMESTAMPNS: Final = 35
_IP_MTU_DISCOVER: Final = 10
_IPV6_MTU_DISCOVER: Final = 23
_PMTUDISC_PROBE: Final = 3  # always "don't fragment", and no remembered path MTU
_IPPROTO: Final = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}
_TIMESPEC: Final = struct.Struct("@ll")
_TOKEN_BYTES: Final = 8
_BURST: Final = 64  # replies taken per wake-up, so that a flood cannot hold the loop
_SEND_TRIES: Final = 4  # pending errors of earlier packets that one send may clear away


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to ping."""

    target: str
    size: int = 56
    family: Literal[4, 6] = 4


SPEC: Final = Spec(
    type="icmp",
    summary="ICMP echo: an address answers, and how fast; errors of routers on the way are named.",
    settings=Settings,
    key_help={
        "target": "Address or name.",
        "size": "Payload bytes (0 to 65507); always sent unfragmented.",
        "family": FAMILY_HELP,
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
        *RESOLVE_FAULTS,
        *LOCAL_FAULTS,
    ),
)


def flow(settings: Settings) -> Flow:
    """Return the echo's flow; ValueError says what is wrong with the target or size."""
    end = _endpoint(settings)
    wire_bytes = settings.size + echo.ICMP_HEADER + echo.IP_HEADER[end.family]
    return Flow(
        host=end.host,
        protocol="icmp",
        family=end.family,
        function="echo",
        connect_bytes=wire_bytes,
        carry_bytes=wire_bytes,
        named=end.named,
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
        raise ValueError(f"size {settings.size}: write 0 to 65507 bytes")
    return host_endpoint(settings.target, settings.family)


class _Waiting(msgspec.Struct):
    """A request on its way: who waits, what was sent where, and when by both clocks."""

    future: "asyncio.Future[Trouble | float]"
    address: str
    payload: bytes
    boot: float
    wall: float


class EchoPort:
    """One socket with one identifier, and the requests that wait for an answer on it."""

    def __init__(self, family: int, clock: Clock) -> None:
        """Open and register the socket; OSError when the host does not allow it."""
        self._family = family
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._sequence = secrets.randbits(16)
        self._waiting: dict[int, _Waiting] = {}
        self._sock, self._raw = _open_socket(family)
        try:
            self._ident = self._prepare()
            self._loop.add_reader(self._sock.fileno(), self._on_readable)
        except BaseException:
            self._sock.close()
            raise

    def close(self) -> None:
        """Close the socket; whoever still waits is cancelled."""
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        for waiting in self._waiting.values():
            waiting.future.cancel()
        self._waiting.clear()

    async def ask(self, address: str, size: int, deadline: float) -> Trouble | float:
        """Send one request and return the round trip in seconds, or what came instead by `deadline`."""
        if len(self._waiting) > 0xFFFF:
            return Trouble(fault="no-buffers", detail="65536 requests are under way", local=True)
        sequence = self._next_sequence()
        payload = (secrets.token_bytes(_TOKEN_BYTES) + bytes(size))[:size]
        future: asyncio.Future[Trouble | float] = self._loop.create_future()
        packet = echo.request(self._family, self._ident, sequence, payload)
        boot = self._clock.boot()
        if boot >= deadline:
            return LATE
        self._waiting[sequence] = _Waiting(future, canonical(address), payload, boot, self._clock.wall())
        timer = self._loop.call_later(deadline - boot, _settle, future, TIMEOUT)
        try:
            refused = self._send(packet, address)
            outcome = refused if refused is not None else await future
        finally:
            timer.cancel()
            self._waiting.pop(sequence, None)
        return TIMEOUT if isinstance(outcome, float) and outcome > deadline - boot else outcome

    def _next_sequence(self) -> int:
        while True:
            self._sequence = (self._sequence + 1) & 0xFFFF
            if self._sequence not in self._waiting:
                return self._sequence

    def _send(self, packet: bytes, address: str) -> Trouble | None:
        """Send once. A call that only reports an earlier packet's error has sent nothing: it is made again."""
        for _ in range(_SEND_TRIES):
            try:
                self._sock.sendto(packet, (address, 0))
            except OSError as error:
                failure = error
                if not self._drain_errors():
                    break
            else:
                return None
        return local_trouble(failure)

    def _on_readable(self) -> None:
        for count in range(_BURST):
            try:
                data, ancillary, _flags, sender = self._sock.recvmsg(65535, 64)
            except BlockingIOError:
                if count == 0:
                    self._drain_errors()
                return
            except OSError:  # an error of an earlier packet; the queue says whose
                self._drain_errors()
                continue
            reply = echo.parse_reply(self._family, data, with_ip_header=self._raw and self._family == 4)
            if reply is not None and reply.ident == self._ident:
                self._take(reply, str(sender[0]), _stamp(ancillary))

    def _take(self, reply: echo.Reply, sender: str, stamp: float | None) -> None:
        waiting = self._waiting.get(reply.sequence)
        if waiting is None or canonical(sender) != waiting.address:
            return
        if reply.payload != waiting.payload:
            if reply.payload[:_TOKEN_BYTES] == waiting.payload[:_TOKEN_BYTES]:
                _settle(waiting.future, _changed(waiting.payload, reply.payload))
            return
        elapsed = self._clock.boot() - waiting.boot
        stamped = elapsed if stamp is None else stamp - waiting.wall
        # A wall clock that stepped between the two stamps makes their difference useless.
        _settle(waiting.future, stamped if 0 < stamped <= elapsed else elapsed)

    def _drain_errors(self) -> bool:
        """Hand every queued error to the request that it quotes; return whether there was any."""
        found = False
        while (error := next_error(self._sock)) is not None:
            found = True
            quote = echo.parse_quote(self._family, error.quote)
            waiting = self._waiting.get(quote[1]) if quote and quote[0] == self._ident else None
            if waiting is not None and canonical(error.to) == waiting.address:
                _settle(waiting.future, name_sender(error, self._family))
        return found

    def _prepare(self) -> int:
        """Set the socket's options and return its identifier."""
        ask_for_errors(self._sock, self._family)
        self._sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        if self._family == 4:
            self._sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
        else:
            self._sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)
        if not self._raw:
            self._sock.bind(("", 0))
            return int(self._sock.getsockname()[1])  # the kernel's identifier of a datagram ICMP socket
        ident = secrets.randbits(16)
        program = array("B", echo.reply_filter(self._family, ident))
        address, length = program.buffer_info()
        self._sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", length // 8, address))
        return ident


class EchoRunner:
    """All icmp probes of the agent."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._endpoint = lru_cache(KEPT)(_endpoint)
        self._ports: dict[int, EchoPort] = {}

    def close(self) -> None:
        """Close the shared sockets."""
        for port in self._ports.values():
            port.close()
        self._ports.clear()

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:
        """Send one echo request; `fresh` uses a socket and identifier of its own."""
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
        outcome = await self._ask(address, end.family, settings.size, deadline, fresh=fresh)
        if isinstance(outcome, Trouble):
            stage = Stage.ANSWER if outcome.answered else Stage.CONNECT
            return result_of(outcome, stage, clock.boot() - start, phases)
        phases["answer"] = outcome
        wire_bytes = settings.size + echo.ICMP_HEADER + echo.IP_HEADER[end.family]
        return ok(sum(phases.values()), phases, packet_bytes=wire_bytes)

    async def _ask(self, address: str, family: int, size: int, deadline: float, *, fresh: bool) -> Trouble | float:
        try:
            port = EchoPort(family, self._kit.clock) if fresh else self._shared(family)
        except OSError as error:
            return local_trouble(error)
        try:
            return await port.ask(address, size, deadline)
        finally:
            if fresh:
                port.close()

    def _shared(self, family: int) -> EchoPort:
        port = self._ports.get(family)
        if port is None:
            port = self._ports[family] = EchoPort(family, self._kit.clock)
        return port


def _open_socket(family: int) -> tuple[socket.socket, bool]:
    """Return a non-blocking ICMP socket and whether it is a raw one."""
    constant, protocol = address_family(family), _IPPROTO[family]
    try:
        return socket.socket(constant, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, protocol), False
    except PermissionError:
        return socket.socket(constant, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol), True


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> float | None:
    """Return the kernel's receive stamp (UTC epoch seconds), None without one."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return float(seconds + nanoseconds / 1e9)
    return None


def _changed(sent: bytes, received: bytes) -> Trouble:
    return Trouble(
        fault="payload-changed", detail=f"sent {len(sent)} bytes, {len(received)} came back changed", answered=True
    )


def _settle(future: "asyncio.Future[Trouble | float]", outcome: Trouble | float) -> None:
    if not future.done():
        future.set_result(outcome)
