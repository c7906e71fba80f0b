"""NTP on the wire: a client's request, a server's answer, and what both clocks' stamps say. Pure.

RFC 5905 section 7.3. What must stay true: any bytes give a Reply, a sentence that says what is wrong
with them, or None when they answer another request; an answer is ours only by the cookie that our
request carried as its transmit time (so our clock is told to nobody, and nobody can answer blindly).
"""

import struct
from typing import Final

import msgspec

_HEADER: Final = struct.Struct("!BBbbII4s8s8sQQ")
_MODE_CLIENT, _MODE_SERVER = 3, 4
_VERSION: Final = 4
_UNKNOWN_LEAP: Final = 3
_UNSYNCHRONISED_STRATUM: Final = 16
_SHORT: Final = 65536.0  # NTP short format: 16 bits of seconds, 16 of fraction
_FRACTION: Final = 1 << 32
_ERA: Final = 1 << 64
# Seconds from 1900, where NTP counts from, to 1970 (RFC 5905 figure 4).
_UNIX_EPOCH: Final = 2_208_988_800
COOKIE_BYTES: Final = 8
PACKET_BYTES: Final = 48


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A server's answer. Delay and dispersion to its reference in seconds; `received` and `sent` are NTP timestamps.

    `kiss` is the code of a kiss-o'-death ("" in any other answer); `synchronised`: the server trusts its own clock.
    """

    leap: int
    stratum: int
    root_delay: float
    root_dispersion: float
    kiss: str
    synchronised: bool
    received: int
    sent: int


def request(cookie: bytes) -> bytes:
    """Return a client's request: all zeros but version, mode and the cookie in the place of the transmit time."""
    return bytes([_VERSION << 3 | _MODE_CLIENT]) + bytes(PACKET_BYTES - 1 - COOKIE_BYTES) + cookie


def parse_reply(data: bytes, cookie: bytes) -> Reply | str | None:
    """Return the answer in `data`, what is wrong with it, or None when it does not answer the request with `cookie`."""
    if len(data) < PACKET_BYTES:
        return f"{len(data)} bytes are no NTP packet"
    first, stratum, _poll, _precision, delay, dispersion, reference, _updated, origin, received, sent = (
        _HEADER.unpack_from(data)
    )
    if origin != cookie:
        return None
    leap, version, mode = first >> 6, first >> 3 & 7, first & 7
    if mode != _MODE_SERVER or not 1 <= version <= _VERSION:
        return f"version {version}, mode {mode} is no server's answer"
    kiss = reference.rstrip(b"\0").decode("latin-1") if stratum == 0 else ""
    if not all(" " < character <= "~" for character in kiss):
        return "the kiss code is no text"
    return Reply(
        leap=leap,
        stratum=stratum,
        root_delay=delay / _SHORT,
        root_dispersion=dispersion / _SHORT,
        kiss=kiss,
        synchronised=leap != _UNKNOWN_LEAP and 0 < stratum < _UNSYNCHRONISED_STRATUM and sent != 0,
        received=received,
        sent=sent,
    )


def timestamp(epoch_seconds: float) -> int:
    """Return UTC epoch seconds as an NTP timestamp; eras (from 2036 on) fold into each other."""
    return round((epoch_seconds + _UNIX_EPOCH) * _FRACTION) % _ERA


def _between(earlier: int, later: int) -> float:
    """Return the seconds from one timestamp to another, over the shorter way around the era."""
    return ((later - earlier + _ERA // 2) % _ERA - _ERA // 2) / _FRACTION


def offset_and_delay(reply: Reply, sent: float, seconds: float) -> tuple[float, float] | None:
    """Return how far the server's clock is ahead of ours, and the time on the way; both in seconds (section 8).

    `sent` is when our request left (UTC epoch, our clock), `seconds` what passed until the answer.
    None when the server's stamps lie: it cannot have taken less than no time, or more than passed.
    """
    ours = timestamp(sent)
    served = _between(reply.received, reply.sent)
    delay = seconds - served
    if served < 0 or delay < 0:
        return None
    outward = _between(ours, reply.received)
    return outward - delay / 2, delay
