"""What single values of the files mean: one function per sort of value.

Each takes a scalar node and returns the value, or raises ValueError with what to write instead.
None of them guesses: a number where text is meant is refused, since `4.10` would lose its zero in
the next tool that reads the file.
"""

import math
import operator
import re
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from agent.config.document import Scalar
from agent.config.hours import parse_hours
from agent.config.problem import shown
from probes.kit.spec import Duration

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
RESERVED_NAME = "self"
LONGEST_NAME = 63  # a DNS label's length: names end up in labels, URLs and file names
LARGEST_INT = 2**53 - 1  # beyond it the canonical JSON of RFC 8785 is not exact
LONGEST_DURATION = 10 * 366 * 86_400.0  # ten years in seconds; more is a typing error

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?) ?%")
_LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def text(node: Scalar) -> str:
    """Return any text."""
    if isinstance(node.value, str):
        return node.value
    if node.value is None:
        raise ValueError("has no value; write one or remove the key")
    raise ValueError(f'{shown(node.text)} is not text; write it in quotes: "{node.text[:40]}"')


def prose(node: Scalar) -> str:
    """Return text for people: line breaks and tabs are allowed, other control characters are not."""
    written = text(node)
    if not all(c.isprintable() or c in "\n\t\u00a0" for c in written):
        raise ValueError(f"{shown(written)} holds a control character; remove it")
    return written


def line(node: Scalar) -> str:
    """Return one line of text for people, not empty."""
    written = prose(node)
    if not written.strip():
        raise ValueError("is empty; write a value or remove the key")
    if "\n" in written:
        raise ValueError(f"{shown(written)} has more than one line; write one line")
    return written


def name(node: Scalar) -> str:
    """Return a name, as a key or as a reference to one."""
    written = text(node)
    if fault := name_fault(written):
        raise ValueError(fault)
    return written


def name_fault(written: str) -> str:
    """Return why `written` is no name, or nothing."""
    if not NAME.fullmatch(written):
        return f"{shown(written)} is no name; use letters, digits, `.`, `_`, `-`, and a letter or digit first"
    if len(written) > LONGEST_NAME:
        return f"{shown(written)} has {len(written)} characters; a name has at most {LONGEST_NAME}"
    if written == RESERVED_NAME:
        return "the name `self` is reserved for the self-check; choose another"
    return ""


def integer(node: Scalar) -> int:
    """Return a whole number."""
    if isinstance(node.value, int) and not isinstance(node.value, bool) and abs(node.value) <= LARGEST_INT:
        return node.value
    raise ValueError(f"{shown(node.text)} is no whole number; write one such as 3, without quotes")


def number(node: Scalar) -> float:
    """Return a finite number."""
    if isinstance(node.value, int | float) and not isinstance(node.value, bool) and math.isfinite(node.value):
        return float(node.value)
    raise ValueError(f"{shown(node.text)} is no number; write one such as 0.5, without quotes")


def boolean(node: Scalar) -> bool:
    """Return true or false; YAML 1.2 knows no `yes` and `on`."""
    if isinstance(node.value, bool):
        return node.value
    raise ValueError(f"{shown(node.text)} is neither true nor false; write true or false, without quotes")


def duration(node: Scalar) -> Duration:
    """Return seconds from `250ms`, `1s`, `2m`, `1h`, `3d` or a bare number of seconds."""
    value = node.value
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        seconds = float(match[1]) * _UNITS[match[2]]
        if match[2] == "ms":  # 0.001 is not exact in binary; a quotient rounds once
            seconds = float(match[1]) / 1000.0
    else:
        raise ValueError(f"{shown(node.text)} is no duration; write one such as 250ms, 1s, 2m, 1h or 3d")
    if not 0 <= seconds <= LONGEST_DURATION:
        raise ValueError(f"{shown(node.text)} is not between 0s and ten years")
    return Duration(seconds)


def percentage(node: Scalar) -> float:
    """Return a share of 1 from `99.5%`; a bare number is refused, `1` could mean two things."""
    match = _PERCENT.fullmatch(node.value.strip()) if isinstance(node.value, str) else None
    if match is None:
        raise ValueError(f"{shown(node.text)} is no percentage; write one such as 99.5%")
    if not 0 < float(match[1]) <= 100:
        raise ValueError(f"{shown(node.text)} is not above 0% and at most 100%")
    return float(match[1]) / 100.0


def hours(node: Scalar) -> str:
    """Return opening hours as written, once they are understood."""
    written = text(node)
    parse_hours(written)
    return written


def local_time(node: Scalar) -> str:
    """Return a local date-time without offset; the file's `timezone` says which one it is."""
    written = text(node)
    if _LOCAL.fullmatch(written):
        try:
            datetime.fromisoformat(written).replace(tzinfo=UTC)
        except ValueError as error:
            raise ValueError(f"{shown(written)} does not exist: {error}") from None
        return written
    raise ValueError(f"{shown(written)} is no local date and time; write one such as 2027-01-15T00:00, without offset")


def day(node: Scalar) -> str:
    """Return a calendar date."""
    written = text(node)
    if _DATE.fullmatch(written):
        try:
            date.fromisoformat(written)
        except ValueError as error:
            raise ValueError(f"{shown(written)} does not exist: {error}") from None
        return written
    raise ValueError(f"{shown(written)} is no date; write one such as 2028-07-01")


def url(node: Scalar) -> str:
    """Return the base URL of a web server: http or https, without credentials, query or fragment."""
    written = text(node)
    try:
        parts = urlsplit(written)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"{shown(written)} is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{shown(written)} is no web address; write one such as https://10.20.0.30:10199")
    if "@" in parts.netloc:
        raise ValueError("holds credentials; keep them out of the file (by file or systemd credential)")
    if parts.query or parts.fragment or not written.isprintable() or " " in written:
        raise ValueError(f"{shown(written)} is more than a base address; remove what follows the path")
    return written.rstrip("/")


def out_of_bounds(value: Any, meta: msgspec.Meta) -> str:
    """Return which bound `value` breaks, or nothing."""
    for bound, keeps, words in (
        (meta.ge, operator.ge, "at least"),
        (meta.gt, operator.gt, "more than"),
        (meta.le, operator.le, "at most"),
        (meta.lt, operator.lt, "less than"),
    ):
        if bound is not None and not keeps(value, bound):
            return f"{value} is out of bounds; {words} {bound:g} is meant"
    if meta.min_length is not None and len(value) < meta.min_length:
        return f"{shown(value)} is too short; at least {meta.min_length} are meant"
    if meta.max_length is not None and len(value) > meta.max_length:
        return f"{shown(value)} is too long; at most {meta.max_length} are meant"
    if meta.pattern is not None and not re.search(meta.pattern, value):
        return f"{shown(value)} does not match {shown(meta.pattern)}"
    return ""
