"""Families as Prometheus text or OpenMetrics: a writer that renders only what changed since the last scrape.

A probe's lines of a family are kept as one text for as long as its tally is the same value, and written
in one go when it is not; the lines of both formats are the same, only headings and end differ. What must
stay true: a writer is used by one thread at a time; it calls `pause` again and again, so that the thread
of the probes waits for tenths of a millisecond, not for a whole scrape; what is gone is not kept.
Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ (0.0.4) and
https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md (1.0.0; `_created` is optional
and left out, since it is a series more for each counter).
"""

from collections.abc import Callable, Iterable
from itertools import accumulate

from agent.metrics.family import AnyFamily, Family, FamilyKind, ProbeFamily, Sample, Several
from agent.metrics.tally import Histogram, Tally
from agent.metrics.view import View

# Probes rendered, and lines made or joined, between two pauses: a few tenths of a millisecond of one core.
PROBES, LINES = 25, 250
# OpenMetrics names a family without what its samples' names end in.
_SUFFIXES = {FamilyKind.COUNTER: "_total", FamilyKind.INFO: "_info"}
# OpenMetrics' `# UNIT`, for a family whose name ends in one.
_UNITS = ("seconds", "bytes", "ratio")

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


_NOTHING = object()


class _Kept:
    """One probe's lines, by family: what stands before the values, the last sample and its text.

    For a family with a second label also that label's values and the template of their lines.
    """

    __slots__ = ("fixed", "samples", "shapes", "tally", "texts")

    def __init__(self, fixed: list[str]) -> None:
        self.fixed = fixed
        self.samples: list[object] = [_NOTHING] * len(fixed)
        self.texts = [""] * len(fixed)
        self.shapes: list[tuple[tuple[str, ...], str]] = [((), "")] * len(fixed)
        self.tally: Tally | None = None


class Writer:
    """Writes views, with what it has kept of the last one."""

    def __init__(self, pause: Callable[[], None] = lambda: None) -> None:
        self._pause = pause
        self._families: tuple[ProbeFamily, ...] = ()
        self._probes: dict[str, _Kept] = {}
        self._rows: dict[str, tuple[object, str]] = {}
        self._ends: dict[str, str] = {}

    def write(self, view: View, families: Iterable[AnyFamily], *, openmetrics: bool) -> bytes:
        """Return the exposition of `view`."""
        families = tuple(families)
        self._take(view, tuple(family for family in families if isinstance(family, ProbeFamily)))
        whole, holding = list(self._probes.values()), [self._probes[probe] for probe in view.holding()]
        index, parts, chunks = 0, list[str](), list[bytes]()
        for family in families:
            parts.append(heading(family, openmetrics=openmetrics))
            if isinstance(family, ProbeFamily):
                parts += [kept.texts[index] for kept in (holding if family.holds else whole)]
                index += 1
            else:
                parts.append(self._of_rows(family, view))
            if len(parts) >= LINES:
                chunks.append("".join(parts).encode())
                parts.clear()
                self._pause()
        parts.append("# EOF\n" if openmetrics else "")
        return b"".join([*chunks, "".join(parts).encode()])

    def _take(self, view: View, families: tuple[ProbeFamily, ...]) -> None:
        """Render the probes whose tally is another one than at the last scrape."""
        before = self._probes if _names(families) == _names(self._families) else {}
        self._families, self._probes = families, {}
        for index, (probe, tally) in enumerate(view.tallies.items(), start=1):
            kept = before.get(probe)
            if kept is None:
                kept = _Kept([_before_values(family, probe) for family in families])
            if kept.tally is not tally:
                self._render(kept, tally)
            self._probes[probe] = kept
            if index % PROBES == 0:
                self._pause()

    def _render(self, kept: _Kept, tally: Tally) -> None:
        kept.tally = tally
        samples, texts, fixed = kept.samples, kept.texts, kept.fixed
        for index, family in enumerate(self._families):
            sample = family.each(tally)
            if sample is samples[index]:
                continue
            samples[index] = sample
            if isinstance(sample, dict):
                texts[index] = self._several(family.written, kept, index, sample)
            elif isinstance(sample, Histogram):
                texts[index] = _histogram(fixed[index], sample)
            else:
                texts[index] = "" if sample is None else f"{fixed[index]}{number(sample)}\n"

    def _several(self, written: str, kept: _Kept, index: int, samples: Several) -> str:
        """Return the lines of a family with a second label; mostly its values are the ones of last time."""
        values = tuple(samples.values())
        if (total := sum(values)) - total != 0:  # something is not finite
            return "".join([f"{kept.fixed[index]}{self._end(key)}{number(value)}\n" for key, value in samples.items()])
        seconds, template = kept.shapes[index]
        if (now := tuple(samples)) != seconds:
            fixed = kept.fixed[index]
            lines = [f"{fixed}{self._end(second)}".replace("%", "%%") + f"{written}\n" for second in now]
            template = "".join(lines)
            kept.shapes[index] = now, template
        return template % values

    def _end(self, second: str) -> str:
        """Return a second label's value and what follows; kept, since outcomes, phases and faults are few."""
        end = self._ends.get(second)
        if end is None:
            end = self._ends[second] = f'{_escaped(second)}"}} '
        return end

    def _of_rows(self, family: Family, view: View) -> str:
        same = None if family.same is None else family.same(view)
        kept = self._rows.get(family.name)
        if same is not None and kept is not None and kept[0] == same:
            return kept[1]
        lines: list[str] = []
        for index, (labels, sample) in enumerate(family.read(view), start=1):
            lines.append(_row(family, labels, sample))
            if index % LINES == 0:
                self._pause()
        text = "".join(lines)
        self._rows[family.name] = same, text
        return text


def _names(families: tuple[ProbeFamily, ...]) -> list[str]:
    return [family.name for family in families]


def number(value: float) -> str:
    """Return a sample's value as both formats read it."""
    if value - value == 0:  # not so for what is not finite, and cheaper than asking
        return repr(value)
    return "+Inf" if value > 0 else "-Inf" if value < 0 else "NaN"


def heading(family: AnyFamily, *, openmetrics: bool) -> str:
    """Return the lines above a family's samples."""
    if not openmetrics:
        kind = FamilyKind.GAUGE if family.kind is FamilyKind.INFO else family.kind
        return f"# HELP {family.name} {family.help.translate(_HELP_ESCAPES)}\n# TYPE {family.name} {kind.value}\n"
    name = family.name.removesuffix(_SUFFIXES.get(family.kind, ""))
    unit = next((f"# UNIT {name} {unit}\n" for unit in _UNITS if name.endswith("_" + unit)), "")
    return f"# HELP {name} {family.help.translate(_ESCAPES)}\n# TYPE {name} {family.kind.value}\n{unit}"


def _escaped(value: str) -> str:
    # A lone surrogate has no UTF-8; one in a label must not cost the whole scrape.
    return value.translate(_ESCAPES).encode("utf-8", "replace").decode()


def _before_values(family: ProbeFamily, probe: str) -> str:
    """Return what stands before a probe's value; before the second label's; a histogram's lines as a template."""
    first = f'{family.labels[0]}="{_escaped(probe)}"'
    if family.kind is FamilyKind.HISTOGRAM:
        return _template(family, first)
    if len(family.labels) > 1:
        return f'{family.name}{{{first},{family.labels[1]}="'
    return f"{family.name}{{{first}}} "


def _row(family: Family, values: tuple[str, ...], sample: Sample) -> str:
    """Return the lines of one series."""
    pairs = zip(family.labels, values, strict=True)
    labels = ",".join([f'{name}="{_escaped(value)}"' for name, value in pairs])
    if isinstance(sample, Histogram):
        return _histogram(_template(family, labels), sample)
    return f"{family.name}{{{labels}}} {number(sample)}\n" if labels else f"{family.name} {number(sample)}\n"


def _template(family: AnyFamily, labels: str) -> str:
    """Return a histogram's lines with %d for counts and %s for the sum."""
    name, safe = family.name, labels.replace("%", "%%")
    between, around = ("," if labels else ""), (f"{{{safe}}}" if labels else "")
    bounds = [*(number(bound) for bound in family.bounds), "+Inf"]
    buckets = [f'{name}_bucket{{{safe}{between}le="{bound}"}} %d\n' for bound in bounds]
    return "".join([*buckets, f"{name}_count{around} %d\n", f"{name}_sum{around} %s\n"])


def _histogram(template: str, sample: Histogram) -> str:
    counts = tuple(accumulate(sample.counts))
    return template % (*counts, counts[-1], number(sample.total))
