"""Canonical JSON of ledger bodies: one value has exactly one form, and the parser accepts no other.

FORMAT.md, section Body, is the specification. Pure. What must stay true: `decode(encode(v)) == v`,
and `encode(decode(b)) == b` for every `b` that `decode` accepts. The second half is not a hope: the
parser encodes again and compares, so duplicate keys, spaces, other escapes and other number forms
are all refused by the same line, and nothing has to be enumerated.
"""

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

Json: TypeAlias = "int | str | list[Json] | dict[str, Json]"

BODY_BYTES = 65536
"""Largest body. Bulk goes into a detail, which the body binds by hash."""

DEPTH = 16
"""Deepest nesting; the deepest known body has four levels."""

_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_INT_DIGITS = 20  # sign and 19 digits of a signed 64-bit integer


class CanonicalError(ValueError):
    """The value has no canonical form, or the bytes are not one."""


def encode(body: Mapping[str, Any]) -> bytes:
    """Return the one canonical form of `body`; CanonicalError says what cannot be written and where."""
    _check(dict(body), "body", 1)
    try:
        form = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise CanonicalError("body: a string holds half a surrogate pair, which UTF-8 cannot write") from error
    if len(form) > BODY_BYTES:
        raise CanonicalError(f"body: {len(form)} bytes, at most {BODY_BYTES}; put bulk into a detail")
    return form


def decode(form: bytes) -> dict[str, Json]:
    """Read a canonical body; CanonicalError for everything else, never another exception."""
    if len(form) > BODY_BYTES:
        raise CanonicalError(f"body: {len(form)} bytes, at most {BODY_BYTES}")
    try:
        value = json.loads(form.decode(), parse_float=_no_float, parse_constant=_no_float, parse_int=_integer)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise CanonicalError(f"body: not JSON in UTF-8: {error}") from error
    if not isinstance(value, dict):
        raise CanonicalError("body: not an object")
    if encode(value) != form:
        raise CanonicalError("body: not in canonical form")
    return value


def _no_float(text: str) -> int:
    raise CanonicalError(f"body: {text} is not an integer")


def _integer(text: str) -> int:
    if len(text) > _INT_DIGITS:
        raise CanonicalError("body: an integer beyond 64 bits")
    return int(text)


def _check(value: object, where: str, depth: int) -> None:
    """Refuse what has no canonical form: bool and None are not integers, tuples are lists."""
    if depth > DEPTH:
        raise CanonicalError(f"{where}: nested deeper than {DEPTH}")
    if isinstance(value, str):
        return
    if isinstance(value, int) and not isinstance(value, bool):
        if not _INT_MIN <= value <= _INT_MAX:
            raise CanonicalError(f"{where}: an integer beyond 64 bits")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check(item, f"{where}[{index}]", depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not (isinstance(key, str) and key and key.isascii() and key.isprintable()):
                raise CanonicalError(f"{where}: the key {key!r} is not printable ASCII")
            _check(item, f"{where}.{key}", depth + 1)
    else:
        raise CanonicalError(f"{where}: {type(value).__name__} has no canonical form, only integers and strings do")
