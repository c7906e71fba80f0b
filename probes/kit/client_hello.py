"""A TLS ClientHello of any length, for measuring which lengths arrive. Pure.

RFC 8446 section 4.1.2 and, for servers without TLS 1.3, RFC 5246; filled up by the padding extension (RFC 7685).
What must stay true: every server that speaks TLS 1.2 or 1.3 can answer it, and nobody can finish a handshake with
it: the key share is random, and we keep no key.
"""

import secrets
import struct
from typing import Final

# AES-GCM and ChaCha20 of TLS 1.3, then ECDHE with AES-GCM and ChaCha20 of TLS 1.2 (IANA, TLS Cipher Suites).
_SUITES: Final = (0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8)
_GROUPS: Final = (0x001D, 0x0017, 0x0018)  # X25519, P-256, P-384
# ECDSA, RSA-PSS, RSA-PKCS1 with SHA-256 and SHA-384, Ed25519
_SIGNATURES: Final = (0x0403, 0x0503, 0x0804, 0x0805, 0x0401, 0x0501, 0x0807)
_VERSIONS: Final = (0x0304, 0x0303)
_NAME, _GROUPS_, _POINTS, _SIGNATURES_, _PADDING, _VERSIONS_, _SHARE = 0, 10, 11, 13, 21, 43, 51
_EMPTY_EXTENSION: Final = 4
_RECORD_LIMIT: Final = 1 << 14  # RFC 8446 section 5.1


def client_hello(length: int, name: str = "") -> bytes:
    """Return one record of `length` bytes, or of its least length when that is more; `name`: the server's, for SNI.

    ValueError for more than a record holds (16,389 bytes).
    """
    extensions = [
        _extension(_GROUPS_, _listed(_GROUPS, "!H")),
        _extension(_POINTS, b"\x01\x00"),
        _extension(_SIGNATURES_, _listed(_SIGNATURES, "!H")),
        _extension(_VERSIONS_, _listed(_VERSIONS, "!B")),
        _extension(_SHARE, _sized("!H", struct.pack("!H", _GROUPS[0]) + _sized("!H", secrets.token_bytes(32)))),
    ]
    if name:
        extensions.insert(0, _extension(_NAME, _sized("!H", b"\0" + _sized("!H", name.encode("ascii")))))
    bare = _record(extensions)
    if length >= len(bare) + _EMPTY_EXTENSION:
        bare = _record([*extensions, _extension(_PADDING, bytes(length - len(bare) - _EMPTY_EXTENSION))])
    if len(bare) > 5 + _RECORD_LIMIT:
        raise ValueError(f"{length} bytes are more than a TLS record holds")
    return bare


def _record(extensions: list[bytes]) -> bytes:
    suites = _listed(_SUITES, "!H")
    hello = b"\x03\x03" + secrets.token_bytes(32) + b"\0" + suites + b"\x01\x00" + _sized("!H", b"".join(extensions))
    message = b"\x01" + len(hello).to_bytes(3) + hello
    return b"\x16\x03\x01" + _sized("!H", message)


def _extension(kind: int, body: bytes) -> bytes:
    return struct.pack("!H", kind) + _sized("!H", body)


def _listed(numbers: tuple[int, ...], length: str) -> bytes:
    return _sized(length, struct.pack(f"!{len(numbers)}H", *numbers))


def _sized(length: str, body: bytes) -> bytes:
    try:
        return struct.pack(length, len(body)) + body
    except struct.error as error:
        raise ValueError(f"{len(body)} bytes are more than a field of TLS holds") from error
