"""IKE: whether the daemon of the peer's VPN gateway is alive, whatever becomes of our tunnel.

One IKE_SA_INIT with a proposal that every peer refuses, from a port of its own; whatever well-formed
answer it gets proves a live daemon and an open path for IKE, there and back. So a dead gateway, a
filtered port and a misconfigured tunnel are told apart.

What must stay true: the peer keeps nothing of us. The proposal is refused before the peer makes any
state, a cookie is never returned, and one target gets one packet in SPACING_SECONDS at most, whoever
asks: accepted proposals fill the peer's half-open table and held a real tunnel down for 22 s.
"""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Final, Literal

import msgspec

from probes.kit.address import FAMILY_HELP, KEPT, Endpoint, address_family, endpoint
from probes.kit.ike_message import COOKIE, NON_ESP_MARKER, NOTIFY_NAMES, Answer, Unusable, read_answer
from probes.kit.packets import PacketError, Template, Transform, open_workshop
from probes.kit.resolver import RESOLVE_FAULTS, ResolveError, locate, resolve_result
from probes.kit.result import Result, Stage, ok, unknown
from probes.kit.sockets import ask_for_errors, came_back, ready
from probes.kit.spec import Clock, Fault, Flow, Kit, Metric, Pace, Spec
from probes.kit.trouble import LATE, LOCAL_FAULTS, TIMEOUT, Trouble, local_trouble, path_faults, path_trouble, result_of

SPACING_SECONDS: Final = 30.0
# An attempt that comes this much too early waits: schedulers are late by milliseconds, never by more than this.
_PATIENCE_SECONDS: Final = 0.25
_REBUILD_SECONDS: Final = 60.0  # between two tries to build the packet

# RFC 7296 section 3.3.2: 1024 to 65535 are for private use in each of these types; no implementation
# is known to use this one (strongSwan's own are 1024 to 1053 and 65535).
_NOBODYS: Final = 64222
REFUSED: Final = tuple(Transform(type=kind, id=_NOBODYS) for kind in (1, 2, 3, 4))  # encryption, PRF, integrity, group
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 32  # RFC 7296 section 2.10 asks for 16 to 256
_SPI_BYTES: Final = 8
# Header 28, SA 4 + 8 + four transforms of 8, key exchange 8 + 32, nonce 4 + 32.
REQUEST_BYTES: Final = 28 + 44 + 8 + _KEY_BYTES + 4 + _NONCE_BYTES
_HEADERS: Final = {4: 28, 6: 48}  # IP and UDP
_LARGEST: Final = 65535
_NAT_TRAVERSAL_PORT: Final = 4500
_PORT: Final = 500


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Which daemon to ask, and on which of its ports."""

    target: str
    nat_traversal: bool = False
    family: Literal[4, 6] = 4


SPEC: Final = Spec(
    type="ike",
    summary="IKE: the daemon of the peer's VPN gateway answers, without any state left there.",
    settings=Settings,
    key_help={
        "target": "The gateway: `address`, `address:port` or `[v6]:port`; port 500 by default, 4500 for NAT traversal.",
        "nat_traversal": "Speak as behind a NAT: with the non-ESP marker (RFC 3948), on port 4500.",
        "family": FAMILY_HELP,
    },
    phases=("resolve", "answer"),
    faults=(
        *path_faults(Stage.CONNECT),
        Fault("malformed", Stage.ANSWER, "What came back is no answer to our request.", "What really listens there?"),
        Fault(
            "too-soon",
            None,
            f"The last packet to this target was less than {SPACING_SECONDS:g} s ago.",
            f"Set `interval` to {SPACING_SECONDS:g} s or more, and give a target one probe.",
        ),
        Fault(
            "no-packet",
            None,
            "The packet could not be built.",
            "See the detail: the child process needs scapy and 70 MB for a second.",
        ),
        *RESOLVE_FAULTS,
        *LOCAL_FAULTS,
    ),
    metrics=(Metric("ike_notify_type", "IANA's number of the answer's first notification; 14: no proposal chosen."),),
    pace=Pace.OWN,
    default_interval=60.0,
    minimum_interval=SPACING_SECONDS,
    leaves_traces="No half-open SA. Some lines in the daemon's log for each attempt (strongSwan: eight, one of them "
    '"received proposals unacceptable"): tell the peer\'s operator, before somebody takes them for an attack.',
)


def flow(settings: Settings) -> Flow:
    """Return the request's flow; ValueError says what is wrong with the target."""
    end = _endpoint(settings)
    wire_bytes = _HEADERS[end.family] + REQUEST_BYTES + len(_marker(settings))
    return Flow(
        host=end.host,
        protocol="udp",
        port=end.port,
        family=end.family,
        function="IKE_SA_INIT",
        connect_bytes=wire_bytes,
        carry_bytes=wire_bytes,
        named=end.named,
    )


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator["IkeRunner"]:  # noqa: A001 - the probe interface's name
    """Open the shared runner once its packet is built, or could not be; every attempt has a socket of its own."""
    runner = IkeRunner(kit)
    try:
        await runner.prepared()
        yield runner
    finally:
        await runner.close()


async def build_request() -> Template:
    """Return the request to patch; raises PacketError."""
    async with open_workshop() as workshop:
        return await workshop.build_ike_sa_init(REFUSED, key_bytes=_KEY_BYTES, nonce_bytes=_NONCE_BYTES)


def _endpoint(settings: Settings) -> Endpoint:
    end = endpoint(settings.target, settings.family, _NAT_TRAVERSAL_PORT if settings.nat_traversal else _PORT)
    # RFC 7296 section 2.23: port 4500 takes IKE with the marker only, port 500 without it only.
    if settings.nat_traversal and end.port == _PORT:
        raise ValueError("port 500 takes no non-ESP marker; leave the port out, or set `nat_traversal: false`")
    if not settings.nat_traversal and end.port == _NAT_TRAVERSAL_PORT:
        raise ValueError("port 4500 asks for the non-ESP marker; set `nat_traversal: true`")
    return end


def _marker(settings: Settings) -> bytes:
    return NON_ESP_MARKER if settings.nat_traversal else b""


class IkeRunner:
    """All ike probes of the agent."""

    def __init__(self, kit: Kit, build: Callable[[], Awaitable[Template]] = build_request) -> None:
        self._kit = kit
        self._build = build
        self._endpoint = lru_cache(KEPT)(_endpoint)
        self._sent: dict[tuple[str, int], float] = {}
        self._start_building()

    async def prepared(self) -> None:
        """Wait until the packet is built, or could not be; attempts may be made before."""
        await asyncio.wait((self._building,))

    async def close(self) -> None:
        """End the child process if it is still at work."""
        self._building.cancel()
        await asyncio.gather(self._building, return_exceptions=True)

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:  # noqa: ARG002
        """Send one request and wait for its answer; every attempt is `fresh`, and none comes too soon."""
        template = await self._template(deadline)
        if isinstance(template, PacketError):
            return unknown("no-packet", str(template))
        clock = self._kit.clock
        start = clock.boot()
        end = self._endpoint(settings)
        phases: dict[str, float] = {}
        try:
            address = await locate(self._kit, end, deadline, phases)
        except ResolveError as error:
            return resolve_result(error, clock.boot() - start)
        peer = (address, end.port or _PORT)
        if not await self._turn(peer, deadline):
            return unknown("too-soon", f"less than {SPACING_SECONDS:g} s since the last packet to this target")
        outcome = await self._exchange(peer, end.family, template, _marker(settings), deadline)
        if isinstance(outcome, Trouble):
            stage = Stage.ANSWER if outcome.fault == "malformed" else Stage.CONNECT
            return result_of(outcome, stage, clock.boot() - start, phases)
        answer, size, phases["answer"] = outcome
        # Whichever of the two packets is the smaller one has its size proven both ways.
        packet_bytes = _HEADERS[end.family] + min(size, REQUEST_BYTES + len(_marker(settings)))
        values = {} if answer.notify is None else {"ike_notify_type": float(answer.notify)}
        return ok(sum(phases.values()), phases, packet_bytes=packet_bytes, detail=describe(answer), values=values)

    async def _turn(self, peer: tuple[str, int], deadline: float) -> bool:
        """Return whether a packet may go to `peer` now; what is early by a little waits for it."""
        early = self._early(peer)
        if 0 < early <= _PATIENCE_SECONDS and self._kit.clock.boot() + early < deadline:
            await asyncio.sleep(early)
            early = self._early(peer)
        return early <= 0

    def _early(self, peer: tuple[str, int]) -> float:
        """Return how many seconds too early it is for a packet to `peer`; 0 or less: not at all."""
        now = self._kit.clock.boot()
        return self._sent.get(peer, now - SPACING_SECONDS) + SPACING_SECONDS - now

    async def _exchange(
        self, peer: tuple[str, int], family: int, template: Template, marker: bytes, deadline: float
    ) -> tuple[Answer, int, float] | Trouble:
        """Return the answer, its bytes with marker and the seconds that it took, or what came instead."""
        clock = self._kit.clock
        start = clock.boot()
        if start >= deadline:
            return LATE
        try:
            sock = socket.socket(address_family(family), socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            return local_trouble(error)
        with sock:
            spi = secrets.token_bytes(_SPI_BYTES)
            try:
                ask_for_errors(sock, family)
                sock.connect(peer)
                self._note(peer, start)
                sock.send(marker + template.patched(spi, secrets.token_bytes(_NONCE_BYTES)))
            except ConnectionRefusedError as error:  # on loopback the ICMP error can be there before send returns
                return path_trouble(error)
            except OSError as error:
                return local_trouble(error)
            return await _answer(sock, family, marker, spi, deadline=deadline, clock=clock)

    def _note(self, peer: tuple[str, int], now: float) -> None:
        """Remember the packet to `peer`, and forget those that no longer matter."""
        self._sent = {key: sent for key, sent in self._sent.items() if now - sent < SPACING_SECONDS}
        self._sent[peer] = now

    def _start_building(self) -> None:
        self._began_building = self._kit.clock.boot()
        self._building = asyncio.ensure_future(self._build())

    async def _template(self, deadline: float) -> Template | PacketError:
        """Return the packet once it is built; a build that failed is tried again after a while."""
        now = self._kit.clock.boot()
        if self._building.done() and self._failure() is not None and now - self._began_building >= _REBUILD_SECONDS:
            self._start_building()
        await asyncio.wait((self._building,), timeout=max(0.0, deadline - now))
        if not self._building.done():
            return PacketError("late", "it is being built")
        return self._failure() or self._building.result()

    def _failure(self) -> PacketError | None:
        error = self._building.exception()
        if error is None or isinstance(error, PacketError):
            return error
        raise error


async def _answer(
    sock: socket.socket, family: int, marker: bytes, spi: bytes, *, deadline: float, clock: Clock
) -> tuple[Answer, int, float] | Trouble:
    """Wait for the answer; what is none is ignored, and named if nothing better comes by the deadline."""
    start = clock.boot()
    nothing = TIMEOUT
    while await ready(sock.fileno(), seconds=deadline - clock.boot()):
        try:
            data = sock.recv(_LARGEST)
        except BlockingIOError:
            continue
        except OSError as error:
            return came_back(sock, family, error)
        outcome = read_datagram(data, marker, spi)
        if isinstance(outcome, Answer):
            return outcome, len(data), clock.boot() - start
        # Without our SPI it may be anybody's: only with it are these the responder's own bytes.
        if not nothing.answered:
            nothing = Trouble(fault="malformed", detail=outcome.why, answered=outcome.ours)
    return nothing


def read_datagram(data: bytes, marker: bytes, spi: bytes) -> Answer | Unusable:
    """Read a datagram as the answer to a request that was sent behind `marker`."""
    if not data.startswith(marker):
        return Unusable("no non-ESP marker", ours=False)
    return read_answer(data[len(marker) :], spi)


def describe(answer: Answer) -> str:
    """Return what the peer said, for people."""
    if answer.accepted:
        return "the peer accepted a proposal that nobody should, and keeps a half-open SA until it gives up"
    name = "no notification" if answer.notify is None else NOTIFY_NAMES.get(answer.notify, f"notify {answer.notify}")
    if answer.notify == COOKIE:
        name += ": the peer has many half-open SAs and guards itself"
    return name if answer.version > 1 else f"{name} (IKEv1 only)"
