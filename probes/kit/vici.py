"""strongSwan's control protocol VICI over asyncio: one session, every wait the caller's to bound.

The codec is the `vici` package's; its own client blocks without timeouts. Framing, from
strongSwan's src/libcharon/plugins/vici/README.md: every packet is preceded by its length as a 32-bit
integer in network order; a packet starts with a type byte; named packets carry a length byte and the
name; a streamed command answers with events of one name and ends with a response.

What must stay true: whatever bytes arrive, the outcome is a message or a `ViciError`; a session that
was left in the middle of an exchange is closed, never used again.
"""

import asyncio
import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from vici.exception import DeserializationException
from vici.protocol import FiniteStream, Message, Packet

# Longer packets are refused by strongSwan too (vici_socket.h: VICI_MESSAGE_SIZE_MAX is 512 KiB).
MAX_PACKET_BYTES = 512 * 1024

# A value is bytes, a list of bytes, or a section of values.
Value = bytes | list[bytes] | Mapping[str, object]
Section = Mapping[str, Value]


class ViciError(Exception):
    """The other end does not speak VICI as we know it, or refused the command."""


class ViciUnknownError(ViciError):
    """The other end does not know the command or event, or does not let us have it."""


class Parsed(NamedTuple):
    """A packet: its type byte, the event's name (empty for others) and its message."""

    kind: int
    event: str
    message: Section


class _Whole(FiniteStream):  # type: ignore[misc]  # the package has no types
    """A message's bytes; reading beyond their end is an error, where the package's own stream gives what is left."""

    def read(self, size: int | None = -1) -> bytes:
        """Return exactly `size` bytes; all that is left for -1."""
        data: bytes = super().read(size)
        if size is not None and len(data) < size:
            raise DeserializationException("the message ends too early")
        return data


def parse(packet: bytes) -> Parsed:
    """Return what `packet` (without its length) says; ViciError for anything else."""
    if packet[:1] == bytes([Packet.EVENT]) and len(packet) < 2 + sum(packet[1:2]):
        raise ViciError("a packet that ends within its name")
    try:
        parsed = Packet.parse(packet)
        name = parsed.event_type.decode("ascii") if parsed.response_type == Packet.EVENT else ""
        message = Message.deserialize(_Whole(parsed.payload.read()))
    except (struct.error, UnicodeDecodeError, DeserializationException) as error:
        raise ViciError(f"not a VICI packet: {type(error).__name__}") from error
    return Parsed(parsed.response_type, name, message)


def frame(packet: bytes) -> bytes:
    """Return `packet` with its length before it."""
    return struct.pack("!I", len(packet)) + packet


class Session:
    """One connection to a charon's VICI socket; one exchange at a time (the caller serialises)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._registered: set[str] = set()

    @classmethod
    async def connect(cls, path: str) -> "Session":
        """Open the unix socket `path`; OSError when there is none, or none for us."""
        return cls(*await asyncio.open_unix_connection(path))

    def close(self) -> None:
        """Close at once; safe to call twice."""
        self._writer.transport.abort()

    async def request(self, command: str) -> Section:
        """Run a command that answers at once; raises as `stream` does."""
        message, _ = await self._exchange(Packet.request(command), Packet.CMD_RESPONSE)
        return message

    async def stream(self, command: str, event: str) -> list[Section]:
        """Run a streamed command and return its events' messages in order.

        Raises ViciError, OSError or asyncio.IncompleteReadError (the daemon went away).
        """
        await self.register((event,))
        _, events = await self._exchange(Packet.request(command), Packet.CMD_RESPONSE, event)
        return events

    async def register(self, events: Iterable[str]) -> None:
        """Have the daemon tell of these events from now on; raises as `stream` does."""
        for event in events:
            if event not in self._registered:
                await self._exchange(Packet.register_event(event), Packet.EVENT_CONFIRM)
                self._registered.add(event)

    async def heard(self) -> tuple[str, Section]:
        """Wait for the next event of those that are registered; raises as `stream` does."""
        while True:
            kind, name, message = parse(await self._read())
            if kind == Packet.EVENT:
                return name, message

    async def _exchange(self, packet: bytes, expected: int, event: str = "") -> tuple[Section, list[Section]]:
        self._writer.write(frame(packet))
        await self._writer.drain()
        events: list[Section] = []
        while True:
            kind, name, message = parse(await self._read())
            if kind == Packet.EVENT:
                if name == event:
                    events.append(message)
                continue
            if kind in (Packet.CMD_UNKNOWN, Packet.EVENT_UNKNOWN):
                raise ViciUnknownError("the daemon does not know the command, or a gate does not pass it on")
            if kind != expected:
                raise ViciError(f"packet type {kind} where {expected} was expected")
            if message.get("success", b"yes") != b"yes":
                raise ViciError("the daemon refused the command")
            return message, events

    async def _read(self) -> bytes:
        return await read_packet(self._reader)


async def read_packet(reader: asyncio.StreamReader, most: int = MAX_PACKET_BYTES) -> bytes:
    """Read one packet without its length; ViciError for one of more than `most` bytes."""
    (length,) = struct.unpack("!I", await reader.readexactly(4))
    if length > most:
        raise ViciError(f"a packet of {length} bytes is longer than VICI allows")
    return await reader.readexactly(length)
