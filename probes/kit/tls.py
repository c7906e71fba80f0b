"""TLS for probes: contexts made once, certificate dates, and OpenSSL's errors as faults.

What must stay true: a context is loaded once per CA file, its version and kind of check; a handshake is never
resumed; an error that came from the peer's own bytes is `answered`.
"""

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from probes.kit.trouble import Trouble

_Key = tuple[str, int, bool]  # CA file, when it was written (ns), whether to verify
_KEPT: Final = 64  # contexts; each holds a CA bundle of up to some MB
# openssl/x509_vfy.h
_VERIFY_FAULTS: Final[dict[int, str]] = {
    9: "certificate-not-yet-valid",
    10: "certificate-expired",
    62: "certificate-hostname",
    64: "certificate-hostname",  # X509_V_ERR_IP_ADDRESS_MISMATCH
}


class CaError(msgspec.Struct, frozen=True):
    """A CA file that cannot be used, and why."""

    detail: str


class Contexts:
    """TLS client contexts, shared by all attempts; loading happens in a thread (18 ms for a system's bundle)."""

    def __init__(self) -> None:
        self._kept: dict[_Key, ssl.SSLContext] = {}
        self._locks: dict[_Key, asyncio.Lock] = {}

    def kept(self, ca_file: str, *, verify: bool) -> ssl.SSLContext | None:
        """Return the context for `ca_file` if it need not be loaded."""
        try:
            return self._kept.get(_key(ca_file, verify=verify))
        except OSError:
            return None

    async def get(self, ca_file: str, *, verify: bool) -> ssl.SSLContext | CaError:
        """Return the context for `ca_file` ("": the system's authorities); a changed file is loaded again."""
        try:
            key = _key(ca_file, verify=verify)
        except OSError as error:
            return CaError(f"{ca_file}: {error.strerror}")
        context = self._kept.get(key)
        if context is not None:
            return context
        async with self._locks.setdefault(key, asyncio.Lock()):  # many probes start at once; one of them loads
            return self._kept.get(key) or await self._load(key, ca_file)

    async def _load(self, key: _Key, ca_file: str) -> ssl.SSLContext | CaError:
        try:
            context = await asyncio.to_thread(_load, ca_file, key[2])
        except (OSError, ssl.SSLError) as error:
            return CaError(f"{ca_file}: {getattr(error, 'reason', None) or error.strerror}")
        finally:
            self._locks.pop(key, None)
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        self._kept[key] = context
        return context


def _key(ca_file: str, *, verify: bool) -> _Key:
    """Return what a context depends on; raises OSError when the file is not there."""
    return (ca_file, Path(ca_file).stat().st_mtime_ns, verify) if ca_file and verify else ("", 0, verify)


def _load(ca_file: str, verify: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_file:
        context.load_verify_locations(ca_file)
    else:
        context.load_default_certs()
    return context


def tls_trouble(error: ssl.SSLError) -> Trouble:
    """Return the trouble that OpenSSL reports; all but a bare end of stream rest on the peer's own bytes."""
    if isinstance(error, ssl.SSLCertVerificationError):
        fault = _VERIFY_FAULTS.get(error.verify_code, "certificate-untrusted")
        return Trouble(fault=fault, detail=error.verify_message, answered=True)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Trouble(fault="closed", detail="the peer closed the connection")
    reason = error.reason or "unknown"
    fault = "tls-alert" if "_ALERT_" in reason else "tls-protocol"
    return Trouble(fault=fault, detail=reason.replace("_", " ").lower(), answered=True)


def not_after(certificate: bytes) -> float | None:
    """Return the end of validity (UTC epoch seconds) of a DER certificate, None when it is not one.

    RFC 5280 section 4.1: Certificate { tbsCertificate { [0] version, serial, signature, issuer,
    validity { notBefore, notAfter }, … } … }. The ssl module decodes only certificates that it verified.
    """
    try:
        body = _inside(certificate, 0)
        position = _inside(certificate, body)
        if certificate[position] == 0xA0:  # the optional explicit version
            position = _behind(certificate, position)
        for _ in range(3):  # serial number, signature algorithm, issuer
            position = _behind(certificate, position)
        start = _behind(certificate, _inside(certificate, position))
        return _moment(certificate[start], certificate[_inside(certificate, start) : _behind(certificate, start)])
    except (IndexError, ValueError):
        return None


def _moment(kind: int, text: bytes) -> float:
    """Return a UTCTime or GeneralizedTime (RFC 5280 section 4.1.2.5) as UTC epoch seconds; ValueError otherwise."""
    digits = text.decode("ascii")
    if kind == 0x17 and len(digits) == 13:
        digits = ("19" if digits >= "50" else "20") + digits
    elif kind != 0x18:
        raise ValueError("not a time")
    if len(digits) != 15 or digits[14] != "Z" or not digits[:14].isdigit():
        raise ValueError("not a time")
    month, day, hour, minute, second = (int(digits[n : n + 2]) for n in range(4, 14, 2))
    return datetime(int(digits[:4]), month, day, hour, minute, second, tzinfo=UTC).timestamp()


def _length(der: bytes, position: int) -> tuple[int, int]:
    """Return (start of the content, its length) of the DER element at `position` (X.690 section 8.1.3)."""
    first = der[position + 1]
    if first < 0x80:
        return position + 2, first
    count = first & 0x7F
    if not 1 <= count <= 4 or position + 2 + count > len(der):
        raise ValueError("not a DER length")
    return position + 2 + count, int.from_bytes(der[position + 2 : position + 2 + count])


def _inside(der: bytes, position: int) -> int:
    return _length(der, position)[0]


def _behind(der: bytes, position: int) -> int:
    start, length = _length(der, position)
    return start + length
