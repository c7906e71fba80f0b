"""The schedule: stable phases, no drift, no bunching, missed runs skipped and counted."""

from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.daemon.schedule import GRIDS, Schedule, fraction, grid, phase

TOLERANCE = 1e-6


class Run(NamedTuple):
    """One run of one probe."""

    at: float
    planned: float
    probe: str


def run(schedule: Schedule, now: float, until: float) -> list[Run]:
    """Drive the schedule as a timer that is always on time does."""
    ran = []
    while (following := schedule.next()) is not None and following <= until:
        now = max(now, following)
        ran += [Run(now, due.planned, probe) for due in schedule.due(now) for probe in due.probes]
    return ran


def test_empty_schedule_has_nothing_to_run() -> None:
    """Without a probe there is no next run."""
    schedule = Schedule()
    assert schedule.next() is None
    assert schedule.due(1e9) == ()


@given(
    st.text(min_size=1),
    st.floats(min_value=0.1, max_value=3600),
    st.sampled_from([1, *(most + 1 for most, _ in GRIDS)]),
)
def test_phase_lies_on_the_grid_within_the_interval(name: str, interval: float, probes: int) -> None:
    """A phase is stable, on the grid and inside the interval."""
    step = grid(probes)
    value = phase(name, interval, step)
    assert value == phase(name, interval, step)
    assert 0 <= value <= interval
    assert value / step == pytest.approx(round(value / step), abs=1e-6)


def test_names_spread_over_the_interval() -> None:
    """A hundred names leave no tenth of the interval empty and none with more than a quarter of them."""
    tenths = [int(fraction(f"probe-{n}") * 10) for n in range(100)]
    counts = [tenths.count(tenth) for tenth in range(10)]
    assert min(counts) > 0
    assert max(counts) < 25


@given(st.floats(min_value=0, max_value=1e7), st.sampled_from([0.2, 1.0, 1.5, 5.0, 60.0]))
def test_runs_never_drift(start: float, interval: float) -> None:
    """After the first run every run is due one interval after the one before it."""
    schedule = Schedule()
    schedule.replace({"erp": interval}, start)
    planned = [ran.planned for ran in run(schedule, start, start + 20 * interval)]
    steps = [later - earlier for earlier, later in pairwise(planned[1:])]
    assert len(planned) >= 19
    assert steps == pytest.approx([interval] * len(steps), abs=TOLERANCE)


@given(st.floats(min_value=0, max_value=1e7), st.sampled_from([0.2, 1.0, 5.0, 60.0]))
def test_first_run_comes_within_a_third_of_a_second(start: float, interval: float) -> None:
    """A probe of any interval is tried at once after a start."""
    schedule = Schedule()
    schedule.replace({"erp": interval}, start)
    first = schedule.next()
    assert first is not None
    assert start <= first <= start + 0.3


@given(st.floats(min_value=0, max_value=1e7), st.sampled_from([0.2, 1.0, 5.0, 60.0]), st.text(min_size=1, max_size=8))
def test_the_second_run_keeps_its_distance(start: float, interval: float, name: str) -> None:
    """Whatever its phase, what was tried at once after a start is left alone for half its interval."""
    schedule = Schedule()
    schedule.replace({name: interval}, start)
    first, second, *_ = [ran.planned for ran in run(schedule, start, start + 3 * interval)]
    assert interval / 2 - TOLERANCE <= second - first <= 1.5 * interval + TOLERANCE


def test_slightly_late_timer_runs_at_once() -> None:
    """A timer that is a tenth of a second late costs no run, and the next one is on the old grid."""
    schedule = Schedule()
    schedule.replace({"erp": 1.0}, 0.0)
    run(schedule, 0.0, 2.0)
    following = schedule.next()
    assert following is not None
    (due,) = schedule.due(following + 0.1)
    assert due.planned == following
    assert schedule.next() == pytest.approx(following + 1)
    assert schedule.take_missed() == 0


def test_standstill_skips_and_counts() -> None:
    """After a minute of standstill nothing is made up for: a run a second is left out and counted."""
    schedule = Schedule()
    schedule.replace({f"probe-{n}": 1.0 for n in range(20)}, 0.0)
    run(schedule, 0.0, 2.0)
    schedule.take_missed()
    assert schedule.due(62.0) == ()
    missed = schedule.take_missed()
    ran = run(schedule, 62.0, 62.999)
    assert 20 * 58 <= missed <= 20 * 60
    assert 20 <= len(ran) <= 40
    assert max([each.planned for each in ran].count(each.planned) for each in ran) < 10


def test_slow_probe_runs_soon_after_a_standstill() -> None:
    """A probe of a minute does not wait for its next minute."""
    schedule = Schedule()
    schedule.replace({"entra": 60.0}, 0.0)
    run(schedule, 0.0, 70.0)
    following = schedule.next()
    assert following is not None
    assert schedule.due(following + 8) == ()
    again = schedule.next()
    assert again is not None
    assert again <= following + 8.3
    schedule.due(again)
    assert schedule.next() == pytest.approx(following + 60)


def test_reload_keeps_the_times_of_unchanged_probes() -> None:
    """A reload moves nothing that it does not concern, takes up what is new and drops what is gone."""
    schedule = Schedule()
    schedule.replace({"stays": 5.0, "goes": 1.0, "changes": 1.0}, 0.0)
    run(schedule, 0.0, 7.0)
    expected = [each.planned for each in run(schedule, 7.0, 7.0 + 10) if each.probe == "stays"]
    again = Schedule()
    again.replace({"stays": 5.0, "goes": 1.0, "changes": 1.0}, 0.0)
    run(again, 0.0, 7.0)
    again.replace({"stays": 5.0, "changes": 2.0, "new": 1.0}, 7.0)
    ran = run(again, 7.0, 7.0 + 10)
    assert [each.planned for each in ran if each.probe == "stays"] == expected
    assert {each.probe for each in ran} == {"stays", "changes", "new"}
    assert again.take_missed() == 0


def test_big_chain_does_not_burst_at_start() -> None:
    """Five thousand first attempts spread over ten seconds, or over their interval when it is shorter."""
    schedule = Schedule()
    schedule.replace({f"probe-{n}": 60.0 for n in range(5000)}, 0.0)
    assert len(run(schedule, 0.0, 1.0)) < 800


def test_probes_of_one_phase_move_together() -> None:
    """Once on the grid, a large chain comes in as many groups as the grid has places, each probe once an interval."""
    schedule = Schedule()
    schedule.replace({f"probe-{n}": 1.0 for n in range(5000)}, 0.0)
    run(schedule, 0.0, 11.0)
    groups: list[int] = []
    names: set[str] = set()
    while (following := schedule.next()) is not None and following <= 12.0:
        for due in schedule.due(following):
            groups.append(len(due.probes))
            names.update(due.probes)
    assert len(groups) == 50
    assert sum(groups) == len(names) == 5000


def test_another_grid_runs_nothing_twice() -> None:
    """A reload that changes the grid moves the probes that stay to it after their next run, one run an interval."""
    schedule = Schedule()
    schedule.replace({f"probe-{n}": 1.0 for n in range(GRIDS[0][0])}, 0.0)
    run(schedule, 0.0, 5.0)
    schedule.replace({f"probe-{n}": 1.0 for n in range(GRIDS[0][0] + 1)}, 5.0)
    ran = run(schedule, 5.0, 15.0)
    for name in ("probe-0", "probe-7"):
        planned = [each.planned for each in ran if each.probe == name]
        assert len(planned) in (10, 11)
        assert min(later - earlier for earlier, later in pairwise(planned)) > 0.85
