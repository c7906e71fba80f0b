"""Series out of a Prometheus exposition (text format 0.0.4, OpenMetrics) that may be large, foreign or hostile.

Sources: prometheus.io/docs/instrumenting/exposition_formats and OpenMetrics 1.0, which differs for
us in seconds for milliseconds and in exemplars. A `Sieve` takes the body as it arrives
and keeps only the lines that can be the wanted series, so an exposition of 10 MB costs a search
for the name and no memory; the lines that are left go to prometheus_client's parser, which the caller
hands in, since importing it is dear.

What must stay true: pure; any bytes give readings or a `Malformed`; what the parser gets is at most
MAX_KEPT_BYTES for each wanted series (it takes up to 1 us a byte, measured on the worst lines that we
found), so that no series takes another one's room; how the bytes
are cut into pieces does not matter; an exposition that was cut short is never read.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from probes.kit.matcher import Matcher

# A line longer than this is no series that an exporter means: Prometheus stores labels, not documents.
MAX_LINE_BYTES: Final = 16 * 1024
MAX_KEPT_BYTES: Final = 256 * 1024
_BLANK: Final = b" \t\r"
# What prometheus_client's parser raises on lines that are none (IndexError and OverflowError too).
_PARSE_ERRORS: Final = (ArithmeticError, LookupError, ValueError)
_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})

# A sample up to its exemplar, the only `#` outside of quotes. Possessive, so that no line takes more than one pass.
_BEFORE_EXEMPLAR: Final = re.compile(rb'((?:[^"#]++|"(?:[^"\\]++|\\.)*+")*+)#')

# prometheus_client.parser.text_string_to_metric_families
Parser = Callable[[str], Iterable[Any]]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Series: their name, the labels that they must have with these values ("": must not have), and matchers."""

    name: str
    labels: Mapping[str, str] = {}
    matchers: tuple[Matcher, ...] = ()


def selector(wanted: Wanted) -> str:
    """Return the series as a query writes it, on one line."""
    labels = [f'{name}="{value.translate(_ESCAPES)}"' for name, value in sorted(wanted.labels.items())]
    for one in wanted.matchers:
        values = "|".join(one.values).translate(_ESCAPES)
        labels.append(f'{one.label}{"!=" if one.forbidden else "="}"{values}"')
    return f"{wanted.name}{{{','.join(labels)}}}" if labels else wanted.name


class Sifted(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of an exposition: its first sample line, and the lines that may be wanted.

    `flooded` are the series of which lines had to be left out.
    """

    first: bytes
    kept: tuple[bytes, ...]
    flooded: tuple[Wanted, ...] = ()

    def of(self, wanted: Sequence[Wanted]) -> "Sifted":
        """Return what may be one of `wanted`, so that nobody reads, or stumbles over, what others want."""
        names = tuple(one.name.encode() for one in wanted)
        return Sifted(first=self.first, kept=tuple(x for x in self.kept if x.lstrip(_BLANK).startswith(names)))


class Malformed(msgspec.Struct, frozen=True):
    """Why the bytes cannot be used as an exposition."""

    detail: str


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One sample; `timestamp` (UTC epoch seconds) only where the exposition gives one."""

    name: str
    labels: dict[str, str]
    value: float
    timestamp: float | None = None


class Missing(msgspec.Struct, frozen=True):
    """No sample is the wanted one."""


class Several(msgspec.Struct, frozen=True):
    """More than one sample is; `labels` are the names of the labels in which they differ, sorted."""

    count: int
    labels: tuple[str, ...]


class _Sought(msgspec.Struct):
    """A wanted series as patterns on bytes: of the line's start, and of each label; `room` for its lines is left."""

    wanted: Wanted
    start: re.Pattern[bytes]
    labels: tuple[re.Pattern[bytes], ...]
    room: int = MAX_KEPT_BYTES
    flooded: bool = False

    def keeps(self, line: bytes) -> bool:
        """Return whether `line` may be the series, and there is room for it."""
        if self.start.match(line) is None or not all(label.search(line) for label in self.labels):
            return False
        self.flooded = self.flooded or len(line) > self.room
        self.room -= 0 if self.flooded else len(line)
        return not self.flooded


class Sieve:
    """Takes an exposition piece by piece and keeps the lines that may be one of the wanted series."""

    def __init__(self, wanted: Sequence[Wanted]) -> None:
        self._sought: dict[bytes, list[_Sought]] = {}
        for one in wanted:
            self._sought.setdefault(one.name.encode(), []).append(_sought(one))
        self._carry = b""  # the last line, as far as it has come
        self._skipping = False  # within a line that is too long
        self._first = b""
        self._kept: list[bytes] = []
        self._trouble = ""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        if self._skipping:
            _, ended, data = data.partition(b"\n")
            if not ended:
                return
            self._skipping = False
        data = self._carry + data
        end = data.rfind(b"\n") + 1
        if end:
            self._sift(data[:end])
        self._carry = data[end:]
        if len(self._carry) > MAX_LINE_BYTES:
            self._sift(self._carry + b"\n")
            self._carry, self._skipping = b"", True

    def finish(self) -> Sifted | Malformed:
        """Return what was kept, once the body has ended."""
        if self._skipping or self._carry.strip(_BLANK):
            return Malformed("the exposition does not end with a line feed; it was cut short, or is none")
        if self._trouble:
            return Malformed(self._trouble)
        flooded = tuple(one.wanted for sought in self._sought.values() for one in sought if one.flooded)
        return Sifted(first=self._first, kept=tuple(self._kept), flooded=flooded)

    def _sift(self, lines: bytes) -> None:
        """Look at whole lines; a line whose name comes first holds it first, so one look a line is enough."""
        if not self._first:
            self._first = _first_sample(lines)
            if len(self._first) > MAX_LINE_BYTES:
                self._trouble = f"the first line is longer than {MAX_LINE_BYTES} bytes"
        for name, sought in self._sought.items():
            at = lines.find(name)
            while at >= 0:
                start, stop = lines.rfind(b"\n", 0, at) + 1, lines.find(b"\n", at)
                self._consider(lines[start:stop], sought)
                at = lines.find(name, stop)

    def _consider(self, line: bytes, sought: list[_Sought]) -> None:
        if len(line) > MAX_LINE_BYTES:  # judged by its start alone, because the rest may not have come yet
            if any(one.start.match(line[:MAX_LINE_BYTES]) for one in sought):
                self._trouble = f"a line of the series is longer than {MAX_LINE_BYTES} bytes"
            return
        if sum(one.keeps(line) for one in sought):  # every one of them counts it against its room
            self._kept.append(line)


def _sought(wanted: Wanted) -> _Sought:
    """Return the patterns; they may let through lines that the parser's labels then rule out, never the reverse."""
    labels = tuple(
        re.compile(
            rb"[{,\s]" + re.escape(name.encode()) + rb'\s*=\s*"' + re.escape(value.translate(_ESCAPES).encode()) + b'"'
        )
        for name, value in wanted.labels.items()
        if value
    )
    start = re.compile(rb"[ \t\r]*" + re.escape(wanted.name.encode()) + rb"[ \t{]")
    return _Sought(wanted=wanted, start=start, labels=labels)


def _first_sample(lines: bytes) -> bytes:
    """Return the first line that is neither blank nor a comment, cut once it is too long; b"" without one."""
    for line in lines.split(b"\n"):
        start = line[: MAX_LINE_BYTES + 1]
        if start.lstrip(_BLANK)[:1] not in (b"", b"#"):
            return start
    return b""


def read(sifted: Sifted, parser: Parser, *, openmetrics: bool = False) -> tuple[Reading, ...] | Malformed:
    """Parse what was kept, and the first sample line, which tells an exposition from any other text."""
    first, kept = sifted.first, sifted.kept
    if openmetrics:
        first, kept = _without_exemplar(first), tuple(map(_without_exemplar, kept))
    try:
        tuple(parser(first.decode()))
        families = parser(b"\n".join(kept).decode())
        return tuple(_reading(sample, openmetrics) for family in families for sample in family.samples)
    except _PARSE_ERRORS:
        return Malformed("a line is not of the Prometheus text format")


def _without_exemplar(line: bytes) -> bytes:
    found = _BEFORE_EXEMPLAR.match(line)
    return found[1] if found else line


def _reading(sample: Any, openmetrics: bool) -> Reading:
    """Return a sample as the parser gives it, which takes every time for milliseconds."""
    timestamp = None if sample.timestamp is None else float(sample.timestamp) * (1000 if openmetrics else 1)
    return Reading(name=sample.name, labels=sample.labels, value=float(sample.value), timestamp=timestamp)


def fitting(readings: Iterable[Reading], wanted: Wanted) -> tuple[Reading, ...]:
    """Return the readings of the wanted series."""
    return tuple(reading for reading in readings if _is(reading, wanted))


def choose(readings: Iterable[Reading], wanted: Wanted) -> Reading | Missing | Several:
    """Return the only reading that is the wanted series."""
    found = fitting(readings, wanted)
    if len(found) == 1:
        return found[0]
    if not found:
        return Missing()
    names = {name for reading in found for name in reading.labels}
    differing = (name for name in names if len({reading.labels.get(name, "") for reading in found}) > 1)
    return Several(len(found), tuple(sorted(differing)))


def _is(reading: Reading, wanted: Wanted) -> bool:
    return (
        reading.name == wanted.name
        and all(reading.labels.get(name, "") == value for name, value in wanted.labels.items())
        and all(one.fits(reading.labels.get(one.label, "")) for one in wanted.matchers)
    )
