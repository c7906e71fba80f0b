"""An IKE daemon's answer to an IKE_SA_INIT that it refuses, read from its bytes. Pure.

RFC 7296 sections 3.1, 3.2 and 3.10; a daemon that knows IKEv1 only answers in RFC 2408's form. What
must stay true: the reader takes any bytes and returns a value, nothing else; an answer is ours only
with our SPI.
"""

import struct
from typing import Final

import msgspec

NON_ESP_MARKER: Final = bytes(4)  # RFC 3948 section 2.2: before every IKE message on port 4500
# Initiator's and responder's SPI, next payload, version, exchange type, flags, message id, length.
HEADER: Final = struct.Struct("!8s8sBBBBII")
_PAYLOAD: Final = struct.Struct("!BxH")  # next payload, flags, length with these four bytes
_ANSWERS: Final = 0x20  # flag R of IKEv2; without flag I it comes from the responder
_FROM_INITIATOR: Final = 0x08
_INFORMATIONAL: Final = 5  # RFC 2408 section 3.1: all that an IKEv1 daemon says to our version
# Version -> the Notify payload's number, and where its type stands in it: behind protocol and size of
# the SPI, and in IKEv1 behind the domain of interpretation too (RFC 7296 3.10, RFC 2408 3.14).
_NOTIFY: Final = {1: (11, 10), 2: (41, 6)}
_KEY_EXCHANGE: Final = 34

# IANA, IKEv2 Notify Message Types; the two that IKEv1 can answer with have the same numbers there.
NOTIFY_NAMES: Final = {
    1: "UNSUPPORTED_CRITICAL_PAYLOAD",
    4: "INVALID_IKE_SPI",
    5: "INVALID_MAJOR_VERSION",
    7: "INVALID_SYNTAX",
    9: "INVALID_MESSAGE_ID",
    14: "NO_PROPOSAL_CHOSEN",
    17: "INVALID_KE_PAYLOAD",
    24: "AUTHENTICATION_FAILED",
    16388: "NAT_DETECTION_SOURCE_IP",
    16389: "NAT_DETECTION_DESTINATION_IP",
    16390: "COOKIE",
    16407: "REDIRECT",
}
COOKIE: Final = 16390


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A well-formed answer: IKE's major version, its first Notify's type if it has one.

    `accepted`: it holds a key exchange, so the peer took the proposal and now keeps a half-open SA.
    """

    version: int
    notify: int | None = None
    accepted: bool = False


class Unusable(msgspec.Struct, frozen=True):
    """Bytes that are no answer: why, and whether they carry our SPI (so they come from who read it)."""

    why: str
    ours: bool


def read_answer(data: bytes, spi: bytes) -> Answer | Unusable:
    """Read one datagram (without marker) as the answer to a request with this initiator's SPI."""
    if len(data) < HEADER.size:
        return Unusable("shorter than an IKE header", ours=False)
    initiator, _responder, following, version, exchange, flags, _ident, length = HEADER.unpack_from(data)
    if initiator != spi:
        return Unusable("not our SPI", ours=False)
    major = version >> 4
    wrong = _wrong_header(major, exchange, flags)
    if wrong is None and length != len(data):
        wrong = f"says {length} bytes, has {len(data)}"
    if wrong is not None:
        return Unusable(wrong, ours=True)
    payloads = _payloads(data, following)
    if payloads is None:
        return Unusable("its payloads do not fill it", ours=True)
    kind, offset = _NOTIFY[major]
    notify = next((body[offset : offset + 2] for number, body in payloads if number == kind), None)
    if notify is not None and len(notify) < 2:
        return Unusable("a cut Notify payload", ours=True)
    return Answer(
        version=major,
        notify=None if notify is None else int.from_bytes(notify),
        accepted=any(number == _KEY_EXCHANGE for number, _ in payloads),
    )


def _wrong_header(major: int, exchange: int, flags: int) -> str | None:
    if major not in _NOTIFY:
        return f"IKE version {major}"
    if major == 1:
        return None if exchange == _INFORMATIONAL else f"IKEv1 exchange {exchange}"
    return None if flags & _ANSWERS and not flags & _FROM_INITIATOR else "a request, not an answer"


def _payloads(data: bytes, following: int) -> list[tuple[int, bytes]] | None:
    """Return number and bytes (header included) of each payload; None when they do not fill the message."""
    found = []
    at = HEADER.size
    while following:
        if at + _PAYLOAD.size > len(data):
            return None
        number = following
        following, length = _PAYLOAD.unpack_from(data, at)
        if length < _PAYLOAD.size or at + length > len(data):
            return None
        found.append((number, data[at : at + length]))
        at += length
    return found if at == len(data) else None
