"""Families as Prometheus text or OpenMetrics: a writer that keeps what does not change between scrapes.

A line is a fixed part (name and labels) and a value; the fixed parts are made once per series. What
must stay true: a writer is used by one thread at a time; after each CHUNK of lines it calls
`pause`, so that the thread of the probes need never wait longer than a chunk takes.
Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ (0.0.4) and
https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md (1.0.0).
"""

import math
from collections.abc import Callable, Iterable
from itertools import accumulate

from agent.metrics.families import Family, FamilyKind
from agent.metrics.tally import Histogram
from agent.metrics.view import View

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# Lines between two pauses: about half a millisecond of one core.
CHUNK = 1000
# A family whose kept parts outnumber its series so many times has lost most of them to a reload.
STALE = 2

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})

Fixed = tuple[str, ...]


def number(value: float) -> str:
    """Return a sample's value as Go and OpenMetrics write it."""
    if math.isfinite(value):
        return repr(float(value))
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def chosen(accept: str) -> str:
    """Return the content type for an Accept header: the first one that we have, plain text by default."""
    for part in accept.lower().split(","):
        kind, *parameters = [text.strip() for text in part.split(";")]
        refused = any(p.replace(" ", "") in ("q=0", "q=0.0") for p in parameters)
        if not refused and kind in ("application/openmetrics-text", "text/plain"):
            return OPENMETRICS if kind.startswith("application") else PLAIN
    return PLAIN


class Writer:
    """Writes views in one format (its content type), with the fixed parts that it has made so far."""

    def __init__(self, content_type: str, pause: Callable[[], None] = lambda: None) -> None:
        self.content_type = content_type
        self._open = content_type == OPENMETRICS
        self._pause = pause
        self._kept: dict[str, dict[Fixed, Fixed]] = {}

    def write(self, view: View, families: Iterable[Family]) -> bytes:
        """Return the exposition of `view`."""
        chunks: list[bytes] = []
        lines: list[str] = []
        for family in families:
            lines += self._heading(family)
            self._samples(family, view, lines, chunks)
        if self._open:
            lines.append("# EOF\n")
        return b"".join([*chunks, "".join(lines).encode()])

    def _heading(self, family: Family) -> Fixed:
        name = family.name
        if self._open and family.kind is FamilyKind.COUNTER:
            name = name.removesuffix("_total")
        text = family.help.translate(_ESCAPES if self._open else _HELP_ESCAPES)
        return f"# HELP {name} {text}\n", f"# TYPE {name} {family.kind.value}\n"

    def _samples(self, family: Family, view: View, lines: list[str], chunks: list[bytes]) -> None:
        """Add the lines of every series; full chunks go to `chunks`."""
        kept = self._kept.setdefault(family.name, {})
        rows = 0
        for labels, sample in family.read(view):
            rows += 1
            fixed = kept.get(labels)
            if fixed is None:
                fixed = kept[labels] = _fixed(family, labels)
            if isinstance(sample, Histogram):
                values = [*accumulate(sample.counts), sum(sample.counts), sample.total]
                lines += [f"{part}{number(value)}\n" for part, value in zip(fixed, values, strict=True)]
            else:
                lines.append(f"{fixed[0]}{number(sample)}\n")
            if len(lines) >= CHUNK:
                chunks.append("".join(lines).encode())
                lines.clear()
                self._pause()
        if len(kept) > STALE * rows:
            kept.clear()


def _fixed(family: Family, values: Fixed) -> Fixed:
    """Return what stands before the value in each line of one series."""
    labels = [f'{name}="{value.translate(_ESCAPES)}"' for name, value in zip(family.labels, values, strict=True)]
    if family.kind is not FamilyKind.HISTOGRAM:
        return (_line(family.name, labels),)
    bounds = [*(number(bound) for bound in family.bounds), "+Inf"]
    buckets = [_line(f"{family.name}_bucket", [*labels, f'le="{bound}"']) for bound in bounds]
    return (*buckets, _line(f"{family.name}_count", labels), _line(f"{family.name}_sum", labels))


def _line(name: str, labels: list[str]) -> str:
    return f"{name}{{{','.join(labels)}}} " if labels else f"{name} "
