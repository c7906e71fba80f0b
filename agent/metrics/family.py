"""What a metric family is: a row of the tables that the exposition and docs/metrics.md are made from."""

from collections.abc import Callable, Iterable
from enum import StrEnum

import msgspec

from agent.metrics.tally import Histogram, Tally
from agent.metrics.view import View

Sample = float | Histogram
Several = dict[str, int] | dict[str, float]
Row = tuple[tuple[str, ...], Sample]


class FamilyKind(StrEnum):
    """The types that the agent uses. The text format has no `info` and calls it a gauge.

    A state metric is no OpenMetrics stateset: there the label would have to bear the metric's own name.
    """

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """One family. `name` is what a query uses: a counter's ends in `_total`, an info's in `_info`.

    `read` gives its rows. While `same` gives an equal value for the family, its text is not written anew.
    """

    name: str
    kind: FamilyKind = FamilyKind.GAUGE
    labels: tuple[str, ...] = ()
    help: str
    read: Callable[[View], Iterable[Row]]
    bounds: tuple[float, ...] = ()
    same: Callable[[View], object] | None = None


class ProbeFamily(msgspec.Struct, frozen=True, kw_only=True):
    """One family with a series (or, with a second label, a few) for each probe, read from its tally alone.

    `each` gives a sample, samples by the second label's value, or None for no series. With `holds` a
    probe has series only while its last result holds. `written` is how the values by a second label are
    formatted: the kernel's nanoseconds, say, since seventeen digits cost more and say no more.
    """

    name: str
    kind: FamilyKind = FamilyKind.GAUGE
    labels: tuple[str, ...] = ("probe",)
    help: str
    each: Callable[[Tally], Sample | Several | None]
    bounds: tuple[float, ...] = ()
    holds: bool = False
    written: str = "%s"


AnyFamily = Family | ProbeFamily
