"""Kerberos without a credential: the first request of a sign-on, and how a key server answers it (RFC 4120). Pure.

The request names a client that need not exist: to say so (or that it wants proof first) the key server must have
looked into its database, which is what is to be shown. What must stay true: no key, password or ticket is asked
for or kept; any bytes lead to a `KdcReply`, a Trouble or the wish for more.
"""

import re
import secrets
from datetime import UTC, datetime
from typing import Final

import msgspec

from probes.kit import ber
from probes.kit.ber import BerError, Element
from probes.kit.dialogue import Done
from probes.kit.trouble import Trouble

LARGEST: Final = 16384  # the answers have some hundred bytes, a ticket with many groups some thousand
AS_REP, KRB_ERROR = 0x6B, 0x7E  # section 5.4.2, 5.9.1: APPLICATION 11 and 30
_AS_REQ: Final = 0x6A
_ENCRYPTIONS: Final = (18, 17, 20, 19)  # RFC 3962, RFC 8009: AES with SHA-1, then with SHA-2
_UNTIL: Final = b"20370913024805Z"  # the latest that common servers take (2^31 - 1 is close): as long as they like
# Section 7.5.9. By these a key server says that it has looked the client up: one that does not exist or may not sign
# on, or who must first prove himself. Nothing more is wanted of it.
WORKS: Final = {
    1: "KDC_ERR_NAME_EXP",
    6: "KDC_ERR_C_PRINCIPAL_UNKNOWN",
    12: "KDC_ERR_POLICY",
    14: "KDC_ERR_ETYPE_NOSUPP",
    18: "KDC_ERR_CLIENT_REVOKED",
    23: "KDC_ERR_KEY_EXPIRED",
    24: "KDC_ERR_PREAUTH_FAILED",
    25: "KDC_ERR_PREAUTH_REQUIRED",
}
OTHER_REALM: Final = {7: "KDC_ERR_S_PRINCIPAL_UNKNOWN", 68: "KDC_ERR_WRONG_REALM"}
_CODES: Final = {**WORKS, **OTHER_REALM, 29: "KDC_ERR_SVC_UNAVAILABLE", 37: "KRB_AP_ERR_SKEW", 60: "KRB_ERR_GENERIC"}
_TIME: Final = re.compile(rb"\d{14}Z\Z")


class KdcReply(msgspec.Struct, frozen=True, kw_only=True):
    """What a key server said: an error's code (None: it granted a ticket), its realm, its clock (UTC epoch seconds)."""

    code: int | None
    realm: str = ""
    server_time: float | None = None

    @property
    def shown(self) -> str:
        """Return the answer in words."""
        if self.code is None:
            return "a ticket without any proof of identity"
        return f"{_CODES.get(self.code, 'KRB_ERROR')} ({self.code})"


def request(client: str, realm: str, nonce: int) -> bytes:
    """Return an AS-REQ (section 5.4.1) for `client`, behind its length as TCP wants it (section 7.2.2)."""
    named = _text(realm)
    body = ber.encode(
        ber.SEQUENCE,
        ber.encode(0xA0, b"\x03\x05\x00\x00\x00\x00\x00"),  # no options
        ber.encode(0xA1, _principal(1, client)),  # NT-PRINCIPAL
        ber.encode(0xA2, named),
        ber.encode(0xA3, _principal(2, "krbtgt", realm)),  # NT-SRV-INST
        ber.encode(0xA5, ber.encode(ber.GENERALIZED_TIME, _UNTIL)),
        ber.encode(0xA7, ber.encode_integer(nonce)),
        ber.encode(0xA8, ber.encode(ber.SEQUENCE, *map(ber.encode_integer, _ENCRYPTIONS))),
    )
    message = ber.encode(
        _AS_REQ,
        ber.encode(
            ber.SEQUENCE,
            ber.encode(0xA1, ber.encode_integer(5)),
            ber.encode(0xA2, ber.encode_integer(10)),
            ber.encode(0xA4, body),
        ),
    )
    return len(message).to_bytes(4) + message


def _principal(kind: int, *names: str) -> bytes:
    parts = ber.encode(ber.SEQUENCE, *map(_text, names))
    return ber.encode(ber.SEQUENCE, ber.encode(0xA0, ber.encode_integer(kind)), ber.encode(0xA1, parts))


def _text(text: str) -> bytes:
    return ber.encode(ber.GENERAL_STRING, text.encode())


class SignOnQuestion:
    """The request as a dialogue; `found` holds the answer once it is done."""

    def __init__(self, client: str, domain: str) -> None:
        self.first: Final = request(client, domain.upper(), secrets.randbits(31))
        self.found: KdcReply | None = None
        self._data = b""

    def feed(self, data: bytes) -> Done | Trouble | None:
        """Take bytes until the whole answer has come."""
        if not data:
            detail = f"closed after {len(self._data)} bytes" if self._data else "closed without an answer"
            return Trouble(fault="closed", detail=detail, answered=bool(self._data))
        self._data += data
        if self._data[0] or (len(self._data) > 4 and self._data[4] not in (AS_REP, KRB_ERROR)):
            return _malformed("no answer of a key server")
        if len(self._data) < 4:
            return None
        length = int.from_bytes(self._data[:4])
        if length > LARGEST:
            return _malformed("the answer is too long")
        if len(self._data) < 4 + length:
            return None
        try:
            self.found = read(self._data[4 : 4 + length])
        except BerError as error:
            return _malformed(str(error))
        return Done()


def read(data: bytes) -> KdcReply:
    """Read a KRB-ERROR or AS-REP; BerError when it is neither."""
    message = ber.elements(data)
    if len(message) != 1 or message[0].tag not in (AS_REP, KRB_ERROR):
        raise BerError("neither KRB-ERROR nor AS-REP")
    fields = {part.tag & 0x1F: part for part in ber.only(message[0].data, ber.SEQUENCE).inside()}
    kind = 11 if message[0].tag == AS_REP else 30
    if _number(fields, 0) != 5 or _number(fields, 1) != kind:
        raise BerError("another version or kind of message")
    if kind == 11:
        return KdcReply(code=None, realm=_name(fields, 3))
    return KdcReply(code=_number(fields, 6), realm=_name(fields, 9), server_time=_moment(fields))


def _inner(fields: dict[int, Element], number: int, tag: int) -> Element:
    field = fields.get(number)
    if field is None:
        raise BerError(f"field {number} is missing")
    return ber.only(field.data, tag)


def _number(fields: dict[int, Element], number: int) -> int:
    return _inner(fields, number, ber.INTEGER).integer()


def _name(fields: dict[int, Element], number: int) -> str:
    text = _inner(fields, number, ber.GENERAL_STRING).text()[:255]
    return "".join(c if " " < c <= "~" else "?" for c in text)


def _moment(fields: dict[int, Element]) -> float | None:
    """Return the server's clock: `stime` and its microseconds."""
    digits = _inner(fields, 4, ber.GENERALIZED_TIME).data
    if not _TIME.match(digits):
        return None
    try:
        whole = datetime.strptime(digits.decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
    return whole + min(max(_number(fields, 5), 0), 999_999) / 1e6


def _malformed(detail: str) -> Trouble:
    return Trouble(fault="malformed", detail=detail, answered=True)
