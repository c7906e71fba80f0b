"""What a good web answer is, and whether one is good.

Pure. What must stay true: an answer that is judged leads to a verdict whatever bytes it holds; a packed body is
unpacked no further than its limit (a few KB can unpack to GB); a pattern takes time in proportion to the body (RE2,
since Python's own patterns can take hours over a body made for them).
"""

import fnmatch
import re
import zlib
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, Final, Protocol

import msgspec

from probes.kit.json_errors import JSON_ERRORS
from probes.kit.response import Body, Head
from probes.kit.trouble import Trouble

_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")  # RFC 6901 section 4; no body has more elements
# zlib's window bits: 47 tells gzip and zlib apart by itself; -15 is the bare deflate that some servers send.
_WINDOWS: Final = {b"gzip": (47,), b"x-gzip": (47,), b"deflate": (47, -15)}
_PATTERN_BYTES: Final = 1 << 20  # RE2's memory for one pattern
_SHOWN: Final = 60


class Pattern(Protocol):
    """A compiled pattern."""

    def search(self, text: bytes) -> object | None:
        """Return something when it occurs."""
        ...


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer must be; `fields` maps lower-case names to globs ("*": present), `pointers` RFC 6901 to values."""

    status: tuple[tuple[int, int], ...]
    fields: Mapping[str, re.Pattern[str]] = {}
    contains: bytes = b""
    lacks: bytes = b""
    pattern: Any = None  # a Pattern, of whatever class RE2's binding has
    pointers: Mapping[str, str] = {}
    max_bytes: int = 262144

    def accepts(self, head: Head) -> bool:
        """Return whether the status is an accepted one."""
        return any(low <= head.status <= high for low, high in self.status)

    def verdict(self, head: Head, body: Body | None) -> Trouble | None:
        """Return what is wrong with an answer that came whole; `body` None was not wanted."""
        if not self.accepts(head):
            return _trouble("status", f"HTTP {head.status} {head.reason}".strip())
        return self._fields(head) or (None if body is None else self._body(head, body))

    def _fields(self, head: Head) -> Trouble | None:
        for name, pattern in self.fields.items():
            values = [value.decode("latin-1") for field, value in head.fields if field.decode("latin-1") == name]
            if not any(pattern.match(value) for value in values):
                shown = f"is {values[0][:_SHOWN]!r}" if values else "is missing"
                return _trouble("header-mismatch", f"header {name} {shown}")
        return None

    def _body(self, head: Head, body: Body) -> Trouble | None:
        if not (self.contains or self.lacks or self.pattern or self.pointers):
            return None
        unpacked = unpack(body, head.fields, self.max_bytes)
        if isinstance(unpacked, Trouble):
            return unpacked
        cut = "the first part of " if unpacked.cut else ""
        if self.contains and self.contains not in unpacked.content:
            return _trouble("body-mismatch", f"{cut}the body lacks the expected text")
        if self.lacks and self.lacks in unpacked.content:
            return _trouble("body-mismatch", "the body holds the text that it must not")
        if self.pattern is not None and self.pattern.search(unpacked.content) is None:
            return _trouble("body-mismatch", f"{cut}the body does not match the pattern")
        return _json(unpacked, self.pointers) if self.pointers else None


def parse_status(text: str) -> tuple[tuple[int, int], ...]:
    """Read `200`, `200-399` or `200,401-403` into inclusive ranges; ValueError says what to write."""
    ranges = []
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        bounds = (low, high if dash else low)
        if not all(bound.isascii() and bound.isdigit() and len(bound) == 3 for bound in bounds):
            raise ValueError(f"status {text!r}: write codes as `200`, `200-399` or `200,401`")
        ranges.append((int(bounds[0]), int(bounds[1])))
    return tuple(ranges)


def parse_fields(fields: Mapping[str, str]) -> dict[str, re.Pattern[str]]:
    """Read names and globs; an empty glob asks for presence only."""
    return {name.lower(): re.compile(fnmatch.translate(glob or "*")) for name, glob in fields.items()}


def parse_pattern(text: str) -> Any:
    """Compile a pattern; ValueError says what is wrong with it, or that RE2 is not installed."""
    try:
        re2 = import_module("re2")
    except ImportError:
        raise ValueError("body_matches needs RE2: install `demarc-agent[patterns]`, or use `body_contains`") from None
    options = re2.Options()
    options.max_mem, options.log_errors, options.encoding = _PATTERN_BYTES, False, re2.Options.Encoding.LATIN1
    try:
        return re2.compile(text.encode(), options=options)
    except re2.error as error:
        raise ValueError(f"body_matches {text!r}: {error}") from None


def parse_pointers(pointers: Mapping[str, str]) -> Mapping[str, str]:
    """Check JSON pointers; ValueError says what to write."""
    for pointer in pointers:
        if pointer and not pointer.startswith("/"):
            raise ValueError(f"body_json {pointer!r}: write a JSON pointer as `/status` or `/checks/0/name`")
    return pointers


def unpack(body: Body, fields: Iterable[tuple[bytes, bytes]], max_bytes: int) -> Body | Trouble:
    """Return the body as it was before it was packed for the way, up to `max_bytes` of it."""
    codings = [value.strip().lower() for name, value in fields if name == b"content-encoding"]
    codings = [coding for coding in codings if coding not in (b"", b"identity")]
    if not codings:
        return body
    if len(codings) > 1 or codings[0] not in _WINDOWS:
        return _trouble("body-unreadable", f"packed as {b', '.join(codings).decode('latin-1')[:_SHOWN]}")
    for window in _WINDOWS[codings[0]]:
        unpacker = zlib.decompressobj(window)
        try:
            content = unpacker.decompress(body.content, max_bytes)
        except zlib.error:
            continue
        if not unpacker.eof and len(content) < max_bytes and not body.cut:
            break
        return Body(content, cut=body.cut or not unpacker.eof)
    return _trouble("body-unreadable", "the packed body cannot be unpacked")


def _json(body: Body, pointers: Mapping[str, str]) -> Trouble | None:
    try:
        document = msgspec.json.decode(body.content)
    except JSON_ERRORS:
        cut = ", it is longer than `max_bytes`" if body.cut else ""
        return _trouble("body-unreadable", f"the body is not JSON{cut}")
    for pointer, wanted in pointers.items():
        found = _at(document, pointer)
        if found != wanted:
            return _trouble(
                "body-mismatch", f"{pointer or 'the body'} is {'missing' if found is None else found[:_SHOWN]}"
            )
    return None


def _at(document: Any, pointer: str) -> str | None:
    """Return what stands at a JSON pointer: a text as it is, anything else as JSON; None when nothing does."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and key in document:
            document = document[key]
        elif isinstance(document, list) and _INDEX.fullmatch(key) and int(key) < len(document):
            document = document[int(key)]
        else:
            return None
    return document if isinstance(document, str) else msgspec.json.encode(document).decode()


def _trouble(fault: str, detail: str) -> Trouble:
    return Trouble(fault=fault, detail=detail, answered=True)
