"""A view as Prometheus text or OpenMetrics; pure but for the process metrics, made to run in a thread.

Only samples that exist are written: an absent series means that nothing is known.
"""

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import ProcessCollector
from prometheus_client.core import Metric as Exposed
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from agent.metrics.families import FAMILIES, Family, FamilyKind, Row
from agent.metrics.tally import Histogram
from agent.metrics.view import View
from probes.kit.spec import Metric

PREFIX = "demarc_"


def render(view: View, accept: str = "", *, process: bool = True) -> tuple[bytes, str]:
    """Return the exposition and its content type for an Accept header; the text format by default."""
    encoder, content_type = choose_encoder(accept)
    return encoder(_Picture(view, process=process)), content_type


def extra_name(metric: Metric) -> str:
    """Return the full name of a probe type's own metric."""
    return metric.name if metric.name.startswith(PREFIX) else PREFIX + metric.name


class _Picture(Collector):
    """One view in the shape that the encoders of prometheus_client read."""

    def __init__(self, view: View, *, process: bool) -> None:
        self._view = view
        self._process = process

    def collect(self) -> Iterator[Exposed]:
        """Yield every family; those without a sample keep their HELP."""
        for family in FAMILIES:
            yield _exposed(family, self._view)
        for metric in self._view.extra.values():
            yield _extra(metric, self._view)
        if self._process:
            yield from ProcessCollector(registry=None).collect()


def _exposed(family: Family, view: View) -> Exposed:
    base = family.name.removesuffix("_total") if family.kind is FamilyKind.COUNTER else family.name
    exposed = Exposed(base, family.help, family.kind.value)
    for row in family.read(view):
        _add(exposed, family, row)
    return exposed


def _add(exposed: Exposed, family: Family, row: Row) -> None:
    values, sample = row
    labels = dict(zip(family.labels, values, strict=True))
    if not isinstance(sample, Histogram):
        exposed.add_sample(family.name, labels, sample)
        return
    bounds = [*map(floatToGoString, family.bounds), "+Inf"]
    for bound, number in zip(bounds, accumulate(sample.counts), strict=True):
        exposed.add_sample(f"{family.name}_bucket", {**labels, "le": bound}, number)
    exposed.add_sample(f"{family.name}_count", labels, sum(sample.counts))
    exposed.add_sample(f"{family.name}_sum", labels, sample.total)


def _extra(metric: Metric, view: View) -> Exposed:
    name = extra_name(metric)
    exposed = Exposed(name, metric.help, "gauge")
    for probe in view.tallies:
        tally = view.fresh(probe)
        if tally is not None and metric.name in tally.values:
            exposed.add_sample(name, {"probe": probe}, tally.values[metric.name])
    return exposed
