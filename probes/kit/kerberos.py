"""Kerberos sign-on to a web service: one token for its `Authorization: Negotiate` field (RFC 4559).

MIT Kerberos by its C interface (gssapi.h), which every Debian has for ssh's sake; Python has no binding that installs
without a compiler. Asking a key server blocks, so that it happens in a thread of its own that nobody waits for past
the deadline. What must stay true: no token, password or key is in an error, a log or a result; at most `_THREADS`
threads wait for a key server that is silent; whatever fails is our own host's or the key server's affair, never the
probed service's.
"""

import asyncio
import base64
import contextlib
import ctypes
import threading
from pathlib import Path
from typing import Any, Final

from probes.kit.secret import Secret, secret_path
from probes.kit.spec import Clock

_THREADS: Final = 4
_COMPLETE: Final = 0
_CONTINUE_NEEDED: Final = 1  # GSS_S_CONTINUE_NEEDED: the token must be sent
_GSS_CODE: Final = 1  # GSS_C_GSS_CODE, GSS_C_MECH_CODE: whose message gss_display_status gives
_MECH_CODE: Final = 2
_INITIATE: Final = 1  # GSS_C_INITIATE
_KRB5: Final = bytes.fromhex("2a864886f712010202")  # RFC 1964 section 1
_SPNEGO: Final = bytes.fromhex("2b0601050502")  # RFC 4178 section 3
_HOST_SERVICE: Final = bytes.fromhex("2a864886f71201020104")  # GSS_C_NT_HOSTBASED_SERVICE, RFC 2743 section 4.1


class SignOnError(Exception):
    """No token; the text is for people."""


class _Buffer(ctypes.Structure):
    _fields_ = (("length", ctypes.c_size_t), ("value", ctypes.c_void_p))


class _Oid(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint32), ("elements", ctypes.c_void_p))


class _OidSet(ctypes.Structure):
    _fields_ = (("count", ctypes.c_size_t), ("elements", ctypes.POINTER(_Oid)))


class _Pair(ctypes.Structure):
    _fields_ = (("key", ctypes.c_char_p), ("value", ctypes.c_char_p))


class _Pairs(ctypes.Structure):
    _fields_ = (("count", ctypes.c_uint32), ("elements", ctypes.POINTER(_Pair)))


class SignOn:
    """The host's Kerberos library and the tickets that it keeps, one cache in memory for each keytab."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._room = threading.BoundedSemaphore(_THREADS)

    async def token(self, host: str, keytab: str, deadline: float) -> Secret:
        """Return a token for the web service on `host` by `deadline` (boot time); raises SignOnError.

        `keytab` is a file or `credential:NAME`; "" uses what the host's user has (its ticket cache).
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Secret] = loop.create_future()
        if not self._room.acquire(blocking=False):
            raise SignOnError("earlier attempts still wait for the key server")

        def work() -> None:
            try:
                made: Secret | Exception = _token(host, keytab)
            except Exception as error:
                made = error
            finally:
                self._room.release()
            with contextlib.suppress(RuntimeError):  # the loop has closed, nobody waits any more
                loop.call_soon_threadsafe(_settle, future, made)

        threading.Thread(target=work, name="sign-on", daemon=True).start()
        try:
            async with asyncio.timeout(max(deadline - self._clock.boot(), 0.0)):
                return await future
        except TimeoutError:
            raise SignOnError("the key server did not answer in time") from None


def _settle(future: "asyncio.Future[Secret]", made: Secret | Exception) -> None:
    if future.done():
        return
    if isinstance(made, Exception):
        future.set_exception(made)
    else:
        future.set_result(made)


def _token(host: str, keytab: str) -> Secret:
    """Return a token in SPNEGO's wrapping; where that has none, Kerberos itself has better words for why."""
    try:
        return _wrapped(host, keytab, _SPNEGO)
    except SignOnError:
        _wrapped(host, keytab, _KRB5)
        raise


def _wrapped(host: str, keytab: str, mechanism: bytes) -> Secret:
    gss = _library()
    name, context, credential = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    minor, out = ctypes.c_uint32(), _Buffer()
    try:
        service = f"HTTP@{host}".encode()
        given = _Buffer(len(service), ctypes.cast(ctypes.c_char_p(service), ctypes.c_void_p))
        _check(gss, gss.gss_import_name(_at(minor), _at(given), _at(_oid(_HOST_SERVICE)), _at(name)), minor)
        if keytab:
            credential = _credential(gss, keytab, mechanism)
        oid = _oid(mechanism)
        major = gss.gss_init_sec_context(
            _at(minor), credential, _at(context), name, _at(oid), 0, 0, None, None, None, _at(out), None, None
        )
        _check(gss, major, minor)
        return Secret(base64.b64encode(ctypes.string_at(out.value, out.length)).decode())
    finally:
        gss.gss_release_buffer(_at(minor), _at(out))
        gss.gss_delete_sec_context(_at(minor), _at(context), None)
        gss.gss_release_cred(_at(minor), _at(credential))
        gss.gss_release_name(_at(minor), _at(name))


def _credential(gss: Any, keytab: str, mechanism: bytes) -> ctypes.c_void_p:
    """Return the credentials of a keytab (krb5's credential store extension, gssapi_ext.h)."""
    try:
        path = secret_path(keytab)
        Path(path).stat()
    except OSError as error:  # the library would only say that there are no credentials
        raise SignOnError(f"keytab {keytab}: {error.strerror or error}") from None
    pairs = (_Pair * 2)(_Pair(b"client_keytab", path.encode()), _Pair(b"ccache", b"MEMORY:" + path.encode()))
    store = _Pairs(2, ctypes.cast(pairs, ctypes.POINTER(_Pair)))
    oid = _oid(mechanism)
    wanted = _OidSet(1, ctypes.pointer(oid))
    minor, found = ctypes.c_uint32(), ctypes.c_void_p()
    major = gss.gss_acquire_cred_from(_at(minor), None, 0, _at(wanted), _INITIATE, _at(store), _at(found), None, None)
    _check(gss, major, minor)
    return found


def _library() -> Any:
    try:
        return ctypes.CDLL("libgssapi_krb5.so.2")
    except OSError:
        raise SignOnError("MIT Kerberos is not installed: install libgssapi-krb5-2 (Debian) or krb5-libs") from None


def _at(value: Any) -> Any:
    return ctypes.byref(value)


def _oid(encoded: bytes) -> _Oid:
    return _Oid(len(encoded), ctypes.cast(ctypes.c_char_p(encoded), ctypes.c_void_p))


def _check(gss: Any, major: int, minor: ctypes.c_uint32) -> None:
    """Raise SignOnError with the library's own words when `major` is an error (its upper 16 bits, RFC 2744)."""
    if not major & 0xFFFF0000 and major in (_COMPLETE, _CONTINUE_NEEDED):
        return
    words = []
    for code, kind in ((major, _GSS_CODE), (minor.value, _MECH_CODE)):
        text, ignored, more = _Buffer(), ctypes.c_uint32(), ctypes.c_uint32()
        gss.gss_display_status(_at(ignored), code, kind, None, _at(more), _at(text))
        if text.value:
            words.append(ctypes.string_at(text.value, text.length).decode("utf-8", "replace"))
        gss.gss_release_buffer(_at(ignored), _at(text))
    raise SignOnError(": ".join(words) or f"Kerberos error {major:#x}")
