"""The families of single probes: the self-check's too, under its name `self`."""

from collections.abc import Iterator

from agent.metrics.family import AnyFamily, Family, FamilyKind, ProbeFamily, Row
from agent.metrics.tally import DURATION_BOUNDS, Tally
from agent.metrics.view import View
from agent.observation import SELF
from probes.kit.result import Outcome
from probes.kit.spec import Metric

# Bound here: in Python 3.11 reading a member from its enumeration costs ten times as much.
_FAILED, _UNKNOWN = Outcome.FAILED, Outcome.UNKNOWN
_TIMER = "Probes run on their own timer, not at the scrape; demarc_probe_last_result_timestamp_seconds says when."


def _success(tally: Tally) -> int | None:
    last = tally.last
    return None if last is None or last.outcome is _UNKNOWN else int(last.outcome is not _FAILED)


def _probe_info(view: View) -> Iterator[Row]:
    yield (SELF, SELF, "", ""), 1
    for probe in view.chain.probes_of(view.vantage):
        yield (probe.id, probe.type, probe.target, probe.service or ""), 1


def _probe_segments(view: View) -> Iterator[Row]:
    for probe in view.chain.probes_of(view.vantage):
        for segment in probe.path:
            role = "answers" if segment == probe.path[-1] else "crossed"
            yield (probe.id, segment, role), 1


def _intervals(view: View) -> Iterator[Row]:
    for probe in view.chain.probes_of(view.vantage):
        yield (probe.id,), probe.interval


PROBE_FAMILIES: tuple[AnyFamily, ...] = (
    ProbeFamily(
        name="demarc_probe_results_total",
        kind=FamilyKind.COUNTER,
        labels=("probe", "outcome"),
        help=f"Results by outcome (ok, degraded, failed, unknown). {_TIMER}",
        each=lambda tally: tally.outcomes,
    ),
    ProbeFamily(
        name="demarc_probe_faults_total",
        kind=FamilyKind.COUNTER,
        labels=("probe", "fault"),
        help="Results that were not ok, by fault (`demarc probes` explains each). Starts with a fault's first time.",
        each=lambda tally: tally.faults,
    ),
    ProbeFamily(
        name="demarc_probe_success",
        help=f"Last result: 1 ok or degraded, 0 failed; absent while unknown or overdue. {_TIMER}",
        each=_success,
        holds=True,
    ),
    ProbeFamily(
        name="demarc_probe_duration_seconds",
        kind=FamilyKind.HISTOGRAM,
        help=f"Duration of the whole attempt, failed ones included, unknown ones not. {_TIMER}",
        each=lambda tally: tally.durations,
        bounds=DURATION_BOUNDS,
    ),
    ProbeFamily(
        name="demarc_probe_phase_seconds",
        labels=("probe", "phase"),
        written="%.9f",
        help=f"Phases of the last attempt; only those that were reached. {_TIMER}",
        each=lambda tally: None if tally.last is None else tally.last.phases,
        holds=True,
    ),
    ProbeFamily(
        name="demarc_probe_last_result_timestamp_seconds",
        help="When the last attempt started (UTC epoch seconds).",
        each=lambda tally: None if tally.last is None else tally.last.time,
    ),
    ProbeFamily(
        name="demarc_probe_verified",
        help="1 once the probe has passed with its present settings; until then it accuses nobody.",
        each=lambda tally: None if tally.last is None else int(tally.last.verified),
    ),
    ProbeFamily(
        name="demarc_probe_bugs_total",
        kind=FamilyKind.COUNTER,
        help="Attempts that ended in a defect of the agent itself; their result is unknown.",
        each=lambda tally: tally.bugs,
    ),
    Family(
        name="demarc_probe_info",
        kind=FamilyKind.INFO,
        labels=("probe", "type", "target", "svc"),
        help="The agent's own probes, to join by probe.",
        read=_probe_info,
        same=lambda view: (view.vantage, view.chain),
    ),
    Family(
        name="demarc_probe_segment_info",
        kind=FamilyKind.INFO,
        labels=("probe", "segment", "role"),
        help="The segments of a probe's path: crossed, or the one that answers.",
        read=_probe_segments,
        same=lambda view: (view.vantage, view.chain),
    ),
    Family(
        name="demarc_probe_interval_seconds",
        labels=("probe",),
        help="How often the probe runs on its own timer, whatever the scrape interval.",
        read=_intervals,
        same=lambda view: (view.vantage, view.chain),
    ),
)
# What the self-check shows beside its outcome, under the probe's name `self`.
SELF_METRICS = (
    Metric("self_cpu_steal_ratio", "Share of processor time that the hypervisor gave to others since the last check."),
    Metric("self_clock_synchronised", "1 while the kernel calls its clock synchronised, 0 when it does not."),
    Metric("self_clock_error_seconds", "The most by which the wall clock may be wrong, as the kernel estimates it."),
)
