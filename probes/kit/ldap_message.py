"""The one question that a directory answers to anybody: its root DSE (RFC 4511, RFC 4512 section 5.1). Pure.

What must stay true: any bytes, cut anywhere, lead to a `RootDse`, a Trouble or the wish for more; at most `LARGEST`
bytes are kept; nobody signs in, and only attributes are asked for that Active Directory shows to everybody
([MS-ADTS] 3.1.1.3.2).
"""

import re
from datetime import UTC, datetime
from typing import Final

import msgspec

from probes.kit import ber
from probes.kit.ber import BerError, Element
from probes.kit.dialogue import Done
from probes.kit.trouble import Trouble

LARGEST: Final = 16384  # the answers have some hundred bytes, a ticket with many groups some thousand
_MOST_VALUES: Final = 64  # of one attribute; the root DSE's longest list that we ask for has a handful
_ATTRIBUTES: Final = (
    "defaultNamingContext",
    "dnsHostName",
    "currentTime",
    "isSynchronized",
    "isGlobalCatalogReady",
    "supportedLDAPVersion",
)
_SEARCH, _ENTRY, _DONE, _REFERENCE, _EXTENDED = 0x63, 0x64, 0x65, 0x73, 0x78
_IDENT: Final = 1
# RFC 4511 appendix A.1; others are told by their number.
_CODES: Final = {
    1: "operationsError",
    2: "protocolError",
    8: "strongerAuthRequired",
    11: "adminLimitExceeded",
    13: "confidentialityRequired",
    50: "insufficientAccessRights",
    51: "busy",
    52: "unavailable",
    53: "unwillingToPerform",
    80: "other",
}
_TIME: Final = re.compile(r"(\d{14})(?:\.\d{1,9})?Z\Z", re.ASCII)
_DOMAIN_PART: Final = re.compile(r"DC=([A-Za-z0-9_-]{1,63})\Z", re.IGNORECASE)


class RootDse(msgspec.Struct, frozen=True, kw_only=True):
    """What a directory says of itself: its domain's DNS name ("" when it keeps none), its own name, its clock.

    `current_time` in UTC epoch seconds (whole ones); `synchronized` false: it has not yet caught up with its
    partners and is not advertised; `catalog`: it is ready as a global catalogue. None: not said.
    """

    domain: str = ""
    host: str = ""
    current_time: float | None = None
    synchronized: bool | None = None
    catalog: bool | None = None


def request() -> bytes:
    """Return the search for the root DSE: base "", scope base, filter (objectClass=*)."""
    wanted = b"".join(ber.encode(ber.OCTET_STRING, name.encode()) for name in _ATTRIBUTES)
    search = ber.encode(
        _SEARCH,
        ber.encode(ber.OCTET_STRING),
        ber.encode_integer(0, ber.ENUMERATED),  # scope: the base itself
        ber.encode_integer(0, ber.ENUMERATED),  # aliases are not followed
        ber.encode_integer(1),  # one entry at most
        ber.encode_integer(0),  # no time limit of the server's own
        b"\x01\x01\x00",  # values too, not types only
        ber.encode(0x87, b"objectClass"),
        ber.encode(ber.SEQUENCE, wanted),
    )
    return ber.encode(ber.SEQUENCE, ber.encode_integer(_IDENT), search)


class RootQuestion:
    """The question as a dialogue; `found` holds the answer once it is done."""

    def __init__(self) -> None:
        self.first: Final = request()
        self.found: RootDse | None = None
        self._data = b""

    def feed(self, data: bytes) -> Done | Trouble | None:
        """Take bytes until the end of the search has come."""
        if not data:
            detail = f"closed after {len(self._data)} bytes" if self._data else "closed without an answer"
            return Trouble(fault="closed", detail=detail, answered=bool(self._data) or self.found is not None)
        self._data += data
        if len(self._data) > LARGEST:
            return _malformed("the answer is too long")
        try:
            return self._read()
        except BerError as error:
            return _malformed(str(error))

    def _read(self) -> Done | Trouble | None:
        """Read every message that has come whole."""
        while self._data:
            if self._data[0] != ber.SEQUENCE:
                raise BerError("no LDAP message")
            length = ber.size(self._data)
            if length is not None and length > LARGEST:
                raise BerError("the answer is too long")
            if length is None or length > len(self._data):
                return None
            message, self._data = self._data[:length], self._data[length:]
            ended = self._take(ber.only(message, ber.SEQUENCE).inside())
            if ended is not None:
                return ended
        return None

    def _take(self, parts: tuple[Element, ...]) -> Done | Trouble | None:
        """Take one message: number, operation, perhaps controls."""
        if len(parts) < 2 or parts[0].tag != ber.INTEGER:
            raise BerError("no LDAP message")
        ident, operation = parts[0].integer(), parts[1]
        if operation.tag == _EXTENDED and ident == 0:  # RFC 4511 section 4.4.1: notice of disconnection
            return _refused("disconnects", operation.inside())
        if ident != _IDENT or operation.tag not in (_ENTRY, _DONE, _REFERENCE):
            raise BerError("no answer to a search")
        if operation.tag == _ENTRY:
            self.found = _entry(operation.inside())
        if operation.tag != _DONE:
            return None
        result = operation.inside()
        if not result or result[0].tag != ber.ENUMERATED:
            raise BerError("no result code")
        if result[0].integer() == 0 and self.found is not None:
            return Done()
        return _refused("answers", result)


def _entry(parts: tuple[Element, ...]) -> RootDse:
    if len(parts) != 2 or parts[1].tag != ber.SEQUENCE:
        raise BerError("no search result entry")
    found: dict[str, str] = {}
    for attribute in parts[1].inside():
        kind = attribute.inside()
        if len(kind) != 2 or kind[1].tag != ber.SET:
            raise BerError("no attribute")
        values = kind[1].inside()
        if len(values) > _MOST_VALUES:
            raise BerError("too many values")
        if values:
            found[kind[0].text().lower()] = values[0].text()
    return RootDse(
        domain=domain_of(found.get("defaultnamingcontext", "")),
        host=_name(found.get("dnshostname", "")),
        current_time=_moment(found.get("currenttime", "")),
        synchronized=_truth(found.get("issynchronized", "")),
        catalog=_truth(found.get("isglobalcatalogready", "")),
    )


def domain_of(context: str) -> str:
    """Return the DNS name of a naming context (`DC=corp,DC=lab`), in lower case; "" when it has none."""
    parts = [_DOMAIN_PART.match(part.strip()) for part in context[:512].split(",")]
    return ".".join(part[1].lower() for part in parts if part) if all(parts) else ""


def _name(text: str) -> str:
    return "".join(c if " " < c <= "~" else "?" for c in text[:255]).lower()


def _truth(text: str) -> bool | None:
    return {"TRUE": True, "FALSE": False}.get(text.upper())


def _moment(text: str) -> float | None:
    """Return a GeneralizedTime in UTC as epoch seconds; None when it is none."""
    found = _TIME.match(text[:32])
    if found is None:
        return None
    try:
        return datetime.strptime(found[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _refused(how: str, result: tuple[Element, ...]) -> Trouble:
    code = result[0].integer() if result and result[0].tag == ber.ENUMERATED else 0
    if code == 0:
        return _malformed("the search ended without the root DSE")
    shown = f"{_CODES[code]} ({code})" if code in _CODES else str(code)
    return Trouble(fault="refused-by-service", detail=f"the directory {how} with LDAP result {shown}", answered=True)


def _malformed(detail: str) -> Trouble:
    return Trouble(fault="malformed", detail=detail, answered=True)
