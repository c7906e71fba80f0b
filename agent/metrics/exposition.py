"""What a scrape shows: the agent's families, those of the probe types, and the process's own cost.

Made to run in a thread: it works on a view and reads /proc. Only samples that exist are written:
an absent series means that nothing is known.
"""

import time
from collections.abc import Callable, Iterable, Iterator

import psutil

from agent.metrics.families import FAMILIES, Family, FamilyKind, Row
from agent.metrics.text import OPENMETRICS, PLAIN, Writer, chosen
from agent.metrics.view import View
from probes.kit.spec import Metric

PREFIX = "demarc_"


class Exposition:
    """Renders views; one per agent, used by one thread at a time."""

    def __init__(self) -> None:
        # Sleeping for nothing hands the interpreter to the thread of the probes if it waits.
        self._writers = {kind: Writer(kind, lambda: time.sleep(0)) for kind in (PLAIN, OPENMETRICS)}

    def render(self, view: View, accept: str = "", *, process: bool = True) -> tuple[bytes, str]:
        """Return the exposition and its content type for an Accept header."""
        writer = self._writers[chosen(accept)]
        families = (*FAMILIES, *extra_families(view.extra.values()), *(process_families() if process else ()))
        return writer.write(view, families), writer.content_type


def extra_name(metric: Metric) -> str:
    """Return the full name of a probe type's own metric."""
    return metric.name if metric.name.startswith(PREFIX) else PREFIX + metric.name


def extra_families(metrics: Iterable[Metric]) -> Iterator[Family]:
    """Yield the families of the metrics that probe types declare."""
    for metric in metrics:
        yield Family(name=extra_name(metric), labels=("probe",), help=metric.help, read=_reader(metric.name))


def _reader(name: str) -> Callable[[View], Iterator[Row]]:
    def read(view: View) -> Iterator[Row]:
        for probe in view.tallies:
            tally = view.fresh(probe)
            if tally is not None and name in tally.values:
                yield (probe,), tally.values[name]

    return read


def process_families() -> tuple[Family, ...]:
    """Return what every Prometheus client says of its process, by the names of their convention."""
    own = psutil.Process()
    with own.oneshot():
        cpu, memory = own.cpu_times(), own.memory_info()
        rows = (
            ("process_cpu_seconds_total", FamilyKind.COUNTER, "Processor time used (s).", cpu.user + cpu.system),
            ("process_resident_memory_bytes", FamilyKind.GAUGE, "Resident memory (bytes).", memory.rss),
            ("process_virtual_memory_bytes", FamilyKind.GAUGE, "Virtual memory (bytes).", memory.vms),
            ("process_start_time_seconds", FamilyKind.GAUGE, "Start of the process (UTC epoch).", own.create_time()),
            ("process_open_fds", FamilyKind.GAUGE, "Open file descriptors.", own.num_fds()),
            (
                "process_max_fds",
                FamilyKind.GAUGE,
                "Most file descriptors that may be open.",
                own.rlimit(psutil.RLIMIT_NOFILE)[0],
            ),
        )
    return tuple(Family(name=name, kind=kind, help=text, read=_constant(value)) for name, kind, text, value in rows)


def _constant(value: float) -> Callable[[View], list[Row]]:
    return lambda _: [((), value)]
