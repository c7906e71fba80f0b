"""X.509 certificates as far as a probe tells of them: who issued whom, until when, with what key.

Pure. The ssl module decodes only certificates that it verified, and `cryptography` costs 25 MB. What must stay true:
any bytes give a certificate or a ValueError, in one pass; nothing in here decides whether to trust anybody.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

# X.690: tags of the elements that are read.
_INTEGER: Final = 0x02
_BIT_STRING: Final = 0x03
_OID: Final = 0x06
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_TEXT_LENGTH: Final = 200
# RFC 5280 appendix A.1: the attributes that people know an issuer by; the others are left out of the text.
_ATTRIBUTES: Final = {
    bytes.fromhex("550403"): "CN",
    bytes.fromhex("550406"): "C",
    bytes.fromhex("55040a"): "O",
    bytes.fromhex("55040b"): "OU",
}
_ENCODINGS: Final = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}
_RSA: Final = bytes.fromhex("2a864886f70d010101")  # RFC 8017 appendix A.1
_EC: Final = bytes.fromhex("2a8648ce3d0201")  # RFC 5480 section 2.1.1
_CURVES: Final = {  # RFC 5480 section 2.1.1.1
    bytes.fromhex("2a8648ce3d030107"): 256,
    bytes.fromhex("2b81040022"): 384,
    bytes.fromhex("2b81040023"): 521,
    bytes.fromhex("2a8648ce3d030101"): 192,
    bytes.fromhex("2b81040021"): 224,
}
_OLD_DIGESTS: Final = {  # RFC 3279 section 2.2, RFC 8017 appendix A.2.4
    bytes.fromhex("2a864886f70d010104"): "MD5",
    bytes.fromhex("2a864886f70d010105"): "SHA-1",
    bytes.fromhex("2a8648ce380403"): "SHA-1",
    bytes.fromhex("2a8648ce3d0401"): "SHA-1",
}
_LEAST_RSA_BITS: Final = 2048  # NIST SP 800-131A revision 2, table 2: less is not to be used since 2014
_LEAST_EC_BITS: Final = 224


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What a certificate says. Times in UTC epoch seconds; `key` is "rsa", "ec" or "", `key_bits` 0 if not known.

    `pin` is the SHA-256 of its subject public key info in hex (RFC 7469 section 2.4), `digest` that of the whole
    certificate; `old_digest` a digest of its signature that is no longer safe, "" when it is another.
    """

    subject: str
    issuer: str
    self_issued: bool
    not_before: float
    not_after: float
    key: str
    key_bits: int
    pin: str
    digest: str
    old_digest: str

    @property
    def weakness(self) -> str:
        """Return what is weak in it, "" when nothing is known to be."""
        if self.old_digest and not self.self_issued:  # nobody checks the signature of a trust anchor
            return f"{self.old_digest} signature of {self.subject or 'a certificate'}"
        least = {"rsa": _LEAST_RSA_BITS, "ec": _LEAST_EC_BITS}.get(self.key, 0)
        if 0 < self.key_bits < least:
            return f"{self.key_bits} bit {self.key.upper()} key of {self.subject or 'a certificate'}"
        return ""

    @property
    def facts(self) -> dict[str, str]:
        """Return what to compare with the approved certificate."""
        return {
            "certificate sha256": self.digest,
            "certificate key sha256": self.pin,
            "certificate subject": self.subject,
            "certificate issuer": self.issuer,
            "certificate expires": datetime.fromtimestamp(self.not_after, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


class _Element(msgspec.Struct, frozen=True):
    """A DER element: tag, content, and all of it."""

    tag: int
    content: bytes
    whole: bytes


def read_certificate(der: bytes) -> Certificate:
    """Return what a DER certificate (RFC 5280 section 4.1) says; ValueError when it is none."""
    parts = _one(der, _SEQUENCE, "Certificate")
    body = list(_elements(_next(parts, _SEQUENCE, "tbsCertificate").content))
    if body and body[0].tag == _VERSION:
        del body[0]
    if len(body) < 6:
        raise ValueError("not a certificate: too few fields")
    _serial, signature, issuer, validity, subject, key = body[:6]
    start, end = _pair(validity.content, "validity")
    kind, bits = _public_key(key)
    return Certificate(
        subject=_name(subject),
        issuer=_name(issuer),
        self_issued=subject.whole == issuer.whole,
        not_before=_moment(start),
        not_after=_moment(end),
        key=kind,
        key_bits=bits,
        pin=hashlib.sha256(key.whole).hexdigest(),
        digest=hashlib.sha256(der).hexdigest(),
        old_digest=_OLD_DIGESTS.get(_next(_elements(signature.content), _OID, "signature").content, ""),
    )


def _elements(der: bytes) -> Iterator[_Element]:
    """Yield the elements that `der` consists of (X.690 sections 8.1, 10.1)."""
    position = 0
    while position < len(der):
        length, start = _length(der, position + 1)
        if start + length > len(der):
            raise ValueError("not DER: an element is cut")
        yield _Element(der[position], der[start : start + length], der[position : start + length])
        position = start + length


def _length(der: bytes, position: int) -> tuple[int, int]:
    """Return the length written at `position`, and where the content starts."""
    first = der[position] if position < len(der) else 0xFF
    if first < 0x80:
        return first, position + 1
    count = first & 0x7F
    digits = der[position + 1 : position + 1 + count]
    length = int.from_bytes(digits)
    if not 1 <= count <= 4 or len(digits) < count or digits[0] == 0 or length < 0x80:
        raise ValueError("not DER: a length")
    return length, position + 1 + count


def _next(parts: Iterator[_Element], tag: int, what: str) -> _Element:
    found = next(parts, None)
    if found is None or found.tag != tag:
        raise ValueError(f"not a certificate: {what}")
    return found


def _one(der: bytes, tag: int, what: str) -> Iterator[_Element]:
    """Return the elements inside the one element that `der` is."""
    parts = _elements(der)
    found = _next(parts, tag, what)
    if len(found.whole) != len(der):
        raise ValueError(f"not a certificate: bytes behind {what}")
    return _elements(found.content)


def _pair(der: bytes, what: str) -> tuple[_Element, _Element]:
    parts = list(_elements(der))
    if len(parts) != 2:
        raise ValueError(f"not a certificate: {what}")
    return parts[0], parts[1]


def _moment(element: _Element) -> float:
    """Return a UTCTime or GeneralizedTime (RFC 5280 section 4.1.2.5) as UTC epoch seconds."""
    digits = element.content.decode("ascii")
    if element.tag == _UTC_TIME and len(digits) == 13:
        digits = ("19" if digits >= "50" else "20") + digits
    elif element.tag != _GENERALIZED_TIME:
        raise ValueError("not a certificate: a time")
    if len(digits) != 15 or digits[14] != "Z" or not digits[:14].isdigit():
        raise ValueError("not a certificate: a time")
    month, day, hour, minute, second = (int(digits[n : n + 2]) for n in range(4, 14, 2))
    return datetime(int(digits[:4]), month, day, hour, minute, second, tzinfo=UTC).timestamp()


def _public_key(element: _Element) -> tuple[str, int]:
    """Return kind and bits of a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7)."""
    algorithm, key = _pair(element.content, "public key")
    parts = list(_elements(algorithm.content))
    if not parts or parts[0].tag != _OID or key.tag != _BIT_STRING:
        raise ValueError("not a certificate: public key")
    if parts[0].content == _RSA:
        modulus = _next(_one(key.content[1:], _SEQUENCE, "RSA key"), _INTEGER, "RSA modulus")
        return "rsa", int.from_bytes(modulus.content).bit_length()
    if parts[0].content == _EC:
        return "ec", _CURVES.get(parts[1].content, 0) if len(parts) > 1 else 0
    return "", 0


def _name(element: _Element) -> str:
    """Return a Name (RFC 5280 section 4.1.2.4) as `CN=…, O=…`, without what could disturb a line of text."""
    if element.tag != _SEQUENCE:
        raise ValueError("not a certificate: a name")
    shown = []
    for group in _elements(element.content):
        for attribute in _elements(group.content):
            kind, value = _pair(attribute.content, "a name")
            label, encoding = _ATTRIBUTES.get(kind.content), _ENCODINGS.get(value.tag)
            if label and encoding:
                text = value.content.decode(encoding, "replace")
                shown.append(f"{label}={''.join(c if c.isprintable() else '?' for c in text)}")
    return ", ".join(reversed(shown))[:_TEXT_LENGTH]
