"""The forms of JSON, base64 and details that ledger files have: one value has one form, and no other is read.

Pure. FORMAT.md, sections Body, Proof file and Export.
"""

import base64
import hashlib
import json
from typing import Any

BODY_BYTES = 65_536
DEPTH = 16

_LINE = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
_PAGE = json.JSONEncoder(ensure_ascii=False, sort_keys=True, indent=1)


class Bad(Exception):  # noqa: N818 - it is what is bad that is told, and nothing has failed
    """What is wrong with a text, in a sentence."""


def read_base64(text: str) -> bytes:
    """Read standard base64 in its one form (RFC 4648 section 3.5)."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Bad(f"{text[:40]!r} is not base64") from error
    if base64.b64encode(raw).decode() != text:
        raise Bad(f"{text[:40]!r} is not base64 in its one form")
    return raw


def one_form(value: Any, indent: int | None = None) -> str:
    """Return JSON in the one form that bodies and files have."""
    return (_LINE if indent is None else _PAGE).encode(value)


def read_object(text: str, what: str, indent: int | None = None) -> dict[str, Any]:
    """Read a JSON object in its one form."""
    try:
        value = _READER.decode(text)
        same = one_form(value, indent) == text
    except (ValueError, RecursionError) as error:
        raise Bad(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict) or not same:
        raise Bad(f"{what} is not a JSON object in its one form")
    return value


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is not an integer")


def _integer(text: str) -> int:
    if len(text) > 20:
        raise ValueError("an integer beyond 64 bits")
    return int(text)


_READER = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse, parse_int=_integer)


def read_body(text: str) -> dict[str, Any]:
    """Read a canonical body (FORMAT.md, Body)."""
    if len(text.encode()) > BODY_BYTES:
        raise Bad(f"the body has more than {BODY_BYTES} bytes")
    value = read_object(text, "the body")
    _check_value(value, 1)
    return value


def _check_value(value: Any, depth: int) -> None:
    """Check what is no string."""
    kind = type(value)
    if kind is int:
        if not -(2**63) <= value < 2**63:
            raise Bad("the body holds an integer beyond 64 bits")
    elif kind not in (dict, list):
        raise Bad("the body holds more than integers and strings")
    elif depth >= DEPTH and value:
        raise Bad(f"the body is nested deeper than {DEPTH}")
    else:
        if kind is dict and not all(key and key.isascii() and key.isprintable() for key in value):
            raise Bad("a key in the body is not printable ASCII")
        for one in value.values() if kind is dict else value:
            if type(one) is not str:
                _check_value(one, depth + 1)


def check_details(body: dict[str, Any], details: Any) -> None:
    """Check disclosed details against the commitments in a body."""
    bound = body.get("details", {})
    for name, detail in details.items() if isinstance(details, dict) else [("", details)]:
        if not isinstance(detail, dict) or set(detail) != {"data", "salt"}:
            raise Bad("details are by name, each with data and salt")
        data = read_base64(str(detail["salt"])) + read_base64(str(detail["data"]))
        if not isinstance(bound, dict) or bound.get(name) != hashlib.sha256(data).hexdigest():
            raise Bad(f"the detail {name!r} does not match its commitment")
