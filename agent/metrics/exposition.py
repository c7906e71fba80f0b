"""What a scrape shows: the agent's families, those of the probe types, and the process's own cost.

Made to run in a thread: it works on a view and reads /proc. Only samples that exist are written:
an absent series means that nothing is known.
"""

import time
from collections.abc import Callable, Iterable, Iterator

import psutil

from agent.metrics.families import FAMILIES
from agent.metrics.family import Family, FamilyKind, ProbeFamily, Row
from agent.metrics.negotiation import OPENMETRICS, PLAIN
from agent.metrics.tally import Tally
from agent.metrics.text import Writer
from agent.metrics.view import View
from probes.kit.spec import Metric

PREFIX = "demarc_"
# A real sleep, however short: only that gives the interpreter to the thread of the probes if it waits.
# Without one it would take it after sys.getswitchinterval(), 5 ms.
PAUSE_SECONDS = 50e-6


class Exposition:
    """Renders views; one per agent, used by one thread at a time."""

    def __init__(self) -> None:
        self._writer = Writer(lambda: time.sleep(PAUSE_SECONDS))
        self._spent = 0.0

    def render(self, view: View, form: str = PLAIN, *, process: bool = True) -> bytes:
        """Return the exposition in a content type of `agent.metrics.negotiation`."""
        began = time.thread_time()
        own = (*process_families(), _cost(self._spent)) if process else ()
        families = (*FAMILIES, *extra_families(view.extra.values()), *own)
        body = self._writer.write(view, families, openmetrics=form == OPENMETRICS)
        self._spent += time.thread_time() - began
        return body


def extra_name(metric: Metric) -> str:
    """Return the full name of a probe type's own metric."""
    return metric.name if metric.name.startswith(PREFIX) else PREFIX + metric.name


def extra_families(metrics: Iterable[Metric]) -> Iterator[ProbeFamily]:
    """Yield the families of the metrics that probe types declare."""
    for metric in metrics:
        kind = FamilyKind.COUNTER if metric.counter else FamilyKind.GAUGE
        yield ProbeFamily(name=extra_name(metric), kind=kind, help=metric.help, each=_value(metric.name), holds=True)


def _value(name: str) -> Callable[[Tally], float | None]:
    return lambda tally: tally.values.get(name)


def _cost(spent: float) -> Family:
    return Family(
        name="demarc_exposition_cpu_seconds_total",
        kind=FamilyKind.COUNTER,
        help="Processor time of all scrapes before this one.",
        read=_constant(spent),
    )


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
