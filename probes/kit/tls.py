"""TLS for probes: contexts made once, the peer's chains, and OpenSSL's errors as faults.

What must stay true: a context is loaded once for its files, their versions and kind of check; a handshake is never
resumed; an error that came from the peer's own bytes is `answered`.
"""

import _ssl
import asyncio
import ssl
from pathlib import Path
from typing import Final

import msgspec

from probes.kit.result import Stage
from probes.kit.secret import secret_path
from probes.kit.spec import Fault
from probes.kit.trouble import Trouble

_KEPT: Final = 64  # contexts; each holds a CA bundle of up to some MB
# openssl/x509_vfy.h
_VERIFY_FAULTS: Final[dict[int, str]] = {
    9: "certificate-not-yet-valid",
    10: "certificate-expired",
    62: "certificate-hostname",
    64: "certificate-hostname",  # X509_V_ERR_IP_ADDRESS_MISMATCH
}


TLS_FAULTS: Final = (
    Fault("closed", Stage.SECURE, "Closed in the TLS handshake.", "Look at the server's log."),
    Fault("certificate-expired", Stage.SECURE, "The certificate has expired.", "Renew it."),
    Fault("certificate-not-yet-valid", Stage.SECURE, "The certificate is not valid yet.", "Check clocks."),
    Fault("certificate-untrusted", Stage.SECURE, "No trusted authority signed it.", "Set `ca_file`."),
    Fault("certificate-hostname", Stage.SECURE, "It is for another name.", "Set `server_name` or renew it."),
    Fault("tls-alert", Stage.SECURE, "The peer ended the handshake with an alert.", "See the detail."),
    Fault("tls-protocol", Stage.SECURE, "The peer does not speak TLS as we do.", "Is this a TLS port?"),
    Fault("ca-unreadable", None, "The CA file cannot be read.", "Check `ca_file` and its permissions."),
    Fault("certificate-unreadable", None, "Our own certificate cannot be read.", "Check its files."),
)


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to trust and how to show oneself. Files are PEM, named by path or as `credential:NAME` of systemd.

    `ca_file` "" is the system's authorities. `certificate_file` holds our own chain, `key_file` its key ("": in the
    same file). `protocols` are offered by ALPN.
    """

    ca_file: str = ""
    verify: bool = True
    certificate_file: str = ""
    key_file: str = ""
    protocols: tuple[str, ...] = ("http/1.1",)

    def __post_init__(self) -> None:
        """Refuse a key without its certificate; ValueError says what to write."""
        if self.key_file and not self.certificate_file:
            raise ValueError("key_file: write the certificate's file as `certificate_file`")


class FileError(msgspec.Struct, frozen=True):
    """A file that cannot be used: the `unknown` fault, and which file and why."""

    fault: str
    detail: str


class CaError(msgspec.Struct, frozen=True):
    """A CA file that cannot be used, and why."""

    detail: str


_Key = tuple[Trust, tuple[int, ...]]  # and when each of its files was written (ns)


class Contexts:
    """TLS client contexts, shared by all attempts; loading happens in a thread (18 ms for a system's bundle)."""

    def __init__(self) -> None:
        self._kept: dict[_Key, ssl.SSLContext] = {}
        self._locks: dict[_Key, asyncio.Lock] = {}

    async def get(self, ca_file: str, *, verify: bool) -> ssl.SSLContext | CaError:
        """Return the context for `ca_file` alone; see `load`."""
        found = await self.load(Trust(ca_file=ca_file, verify=verify))
        return CaError(found.detail) if isinstance(found, FileError) else found

    def kept(self, trust: Trust) -> ssl.SSLContext | None:
        """Return the context for `trust` if nothing need be loaded."""
        try:
            return self._kept.get((trust, _stamps(trust)))
        except OSError:
            return None

    async def load(self, trust: Trust) -> ssl.SSLContext | FileError:
        """Return the context for `trust`; changed files are loaded again."""
        try:
            key = (trust, _stamps(trust))
        except OSError as error:
            named = str(error.filename or trust.ca_file)
            fault = "ca-unreadable" if trust.ca_file == named else "certificate-unreadable"
            return FileError(fault, f"{named}: {error.strerror or error}")
        context = self._kept.get(key)
        if context is not None:
            return context
        async with self._locks.setdefault(key, asyncio.Lock()):  # many probes start at once; one of them loads
            return self._kept.get(key) or await self._load(key)

    async def _load(self, key: _Key) -> ssl.SSLContext | FileError:
        try:
            context = await asyncio.to_thread(_load, key[0])
        finally:
            self._locks.pop(key, None)
        if isinstance(context, FileError):
            return context
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        self._kept[key] = context
        return context


def _stamps(trust: Trust) -> tuple[int, ...]:
    """Return when the files of `trust` were written; raises OSError when one is not there."""
    files = (trust.ca_file if trust.verify else "", trust.certificate_file, trust.key_file)
    return tuple(Path(secret_path(file)).stat().st_mtime_ns for file in files if file)


def _load(trust: Trust) -> ssl.SSLContext | FileError:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trust.protocols:
        context.set_alpn_protocols(list(trust.protocols))
    try:
        if not trust.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif trust.ca_file:
            context.load_verify_locations(secret_path(trust.ca_file))
        else:
            context.load_default_certs()
    except (OSError, ssl.SSLError) as error:
        return FileError("ca-unreadable", f"{trust.ca_file}: {_why(error)}")
    if trust.certificate_file:
        key_file = trust.key_file or trust.certificate_file
        try:
            context.load_cert_chain(
                secret_path(trust.certificate_file),
                secret_path(key_file),
                password=lambda: b"",  # without it OpenSSL asks the terminal
            )
        except (OSError, ssl.SSLError) as error:
            return FileError("certificate-unreadable", f"{trust.certificate_file}, {key_file}: {_why(error)}")
    return context


def _why(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror)


def presented(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """Return the certificates (DER) that the peer sent, its own first; also after it was refused for them."""
    return _chain(tls, "get_unverified_chain")


def verified(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """Return the certificates (DER) from the peer's own to the authority that we trust."""
    return _chain(tls, "get_verified_chain")


def _chain(tls: ssl.SSLObject, name: str) -> tuple[bytes, ...]:
    """Ask for a chain: public since Python 3.13; before, on the object inside, whose members are not yet bytes."""
    getter = getattr(tls, name, None) or getattr(tls._sslobj, name)  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    found = getter() or ()
    return tuple(one if isinstance(one, bytes) else one.public_bytes(_ssl.ENCODING_DER) for one in found)


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
