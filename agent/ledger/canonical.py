"""Canonical JSON of ledger bodies: one value has exactly one form, and the parser accepts no other.

FORMAT.md, section Body, is the specification. Pure. What must stay true: `decode(encode(v)) == v`,
and `encode(decode(b)) == b` for every `b` that `decode` accepts. The second half is not a hope: the
parser encodes again and compares, so duplicate keys, spaces, other escapes and other number forms
are all refused by the same line, and nothing has to be enumerated.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

Json: TypeAlias = "int | str | list[Json] | dict[str, Json]"

BODY_BYTES = 65536
"""Largest body. Bulk goes into a detail, which the body binds by hash."""

DEPTH = 16
"""Deepest nesting; the deepest known body has four levels."""

_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1

# Its escapes are those of FORMAT.md: a test compares every character with what the standard library writes.
_WRITER = msgspec.json.Encoder(order="sorted")


class CanonicalError(ValueError):
    """The value has no canonical form, or the bytes are not one."""


def encode(body: Mapping[str, Any]) -> bytes:
    """Return the one canonical form of `body`; CanonicalError says what cannot be written and where."""
    value = dict(body)
    if not _sound(value, 1):
        _explain(value, "body", 1)
    try:
        form = _WRITER.encode(value)
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
        value = msgspec.json.decode(form)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CanonicalError(f"body: not JSON in UTF-8: {error}") from error
    if not isinstance(value, dict):
        raise CanonicalError("body: not an object")
    if encode(value) != form:
        raise CanonicalError("body: not in canonical form")
    return value


def _sound(value: object, depth: int) -> bool:
    """Say whether a value has a canonical form: this is asked of every body, `_explain` only where it has none."""
    kind = type(value)
    if kind is str:
        return True
    if kind is int:
        return _INT_MIN <= value <= _INT_MAX  # type: ignore[operator]  # an int, as the line above says
    if kind is dict:
        if depth == DEPTH and value:
            return False
        for key, item in value.items():  # type: ignore[attr-defined]  # a dict
            if type(key) is not str or not key or not key.isascii() or not key.isprintable():
                return False
            if type(item) is not str and not _sound(item, depth + 1):
                return False
        return True
    if kind is not list and kind is not tuple:
        return False
    return not (depth == DEPTH and value) and all(_sound(one, depth + 1) for one in value)  # type: ignore[attr-defined]


def _explain(value: object, where: str, depth: int) -> None:
    """Raise for what has no canonical form: bool and None are not integers, tuples are lists."""
    if depth > DEPTH:
        raise CanonicalError(f"{where}: nested deeper than {DEPTH}")
    if isinstance(value, str):
        return
    if isinstance(value, int) and not isinstance(value, bool):
        if not _INT_MIN <= value <= _INT_MAX:
            raise CanonicalError(f"{where}: an integer beyond 64 bits")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _explain(item, f"{where}[{index}]", depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not (isinstance(key, str) and key and key.isascii() and key.isprintable()):
                raise CanonicalError(f"{where}: the key {key!r} is not printable ASCII")
            _explain(item, f"{where}.{key}", depth + 1)
    else:
        raise CanonicalError(f"{where}: {type(value).__name__} has no canonical form, only integers and strings do")
