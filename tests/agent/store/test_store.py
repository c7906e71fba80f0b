"""The observation store: what goes in comes out, bounded, and every way in which its file can fail."""

import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.availability.fold import Cadence, Span, State, spans_of
from agent.observation import Observation, decode, encode
from agent.store import DATABASE, StoreHealth
from agent.store.store import export, lost_beyond
from agent.store.tables import StoreGap, Tables, connect, connect_reading, read_observations, read_spans, read_states
from probes.kit.result import Outcome, Stage
from tests.agent.store.opened import CADENCES, NOW, QUICK, WAIT, Opened, seen

OBSERVATIONS = st.builds(
    Observation,
    time=st.integers(0, 4 * 10**15).map(lambda micro: micro / 1_000_000),
    round=st.integers(0, 10**9),
    vantage=st.sampled_from(["cloud", "onprem"]),
    probe=st.sampled_from(["self", "erp", "gw"]),
    outcome=st.sampled_from(Outcome),
    stage=st.none() | st.sampled_from(Stage),
    fault=st.none() | st.text(max_size=5),
    seconds=st.none() | st.floats(0, 100),
    answered=st.booleans(),
    by=st.none() | st.just("192.0.2.1"),
    packet_bytes=st.none() | st.integers(0, 9000),
    verified=st.booleans(),
    detail=st.text(max_size=20),
    phases=st.dictionaries(st.sampled_from(["connect", "answer"]), st.floats(0, 1)),
)


@given(found=st.lists(OBSERVATIONS, max_size=20, unique_by=lambda one: (one.key, round(one.time * 1e6))))
def test_what_goes_in_comes_out(found: list[Observation]) -> None:
    """In the contract's form, in order of time, whatever the order of arrival."""
    connection = connect(Path(":memory:"))
    tables = Tables(connection, {})
    assert tables.write(found) == len(found)
    assert tables.write(found) == 0  # a peer may send a result twice
    read = list(read_observations(connection, 0, None))
    tables.close()
    assert sorted(encode(one) for one in read) == sorted(encode(one) for one in found)
    assert [one.time for one in read] == sorted(one.time for one in found)


def test_results_are_written_in_batches_and_counted(tmp_path: Path) -> None:
    """Health tells what was written."""
    opened = Opened(tmp_path)
    opened.take(*(seen(number) for number in range(100)))
    assert opened.store.health == StoreHealth(recording=True, written=100)
    assert len(list(opened.store.export(NOW + 10, NOW + 20))) == 10
    assert opened.store.close(WAIT)
    assert opened.alarms == []
    assert not opened.store.health.recording


def test_recent_results_of_a_vantage(tmp_path: Path) -> None:
    """By round, by time, the newest first to be kept and the oldest first in order."""
    opened = Opened(tmp_path)
    opened.take(*(seen(number) for number in range(10)), seen(5, vantage="onprem"), seen(9, probe="self"))
    recent = opened.store.recent
    assert [one.round for one in recent("cloud", since_round=6)] == [7, 8, 9, 9]
    assert [one.round for one in recent("cloud", since=NOW + 8)] == [8, 9, 9]
    assert [one.round for one in recent("cloud", limit=2)] == [9, 9]
    assert [one.round for one in recent("onprem")] == [5]
    assert recent("nobody") == ()
    opened.store.close(WAIT)


def test_states_are_those_of_the_observations_across_restarts(tmp_path: Path) -> None:
    """Spans in the file are what folding the raw results gives, wherever the agent stopped."""
    found = [seen(n, Outcome.FAILED if 20 <= n < 45 or n % 11 == 0 else Outcome.OK) for n in range(100)]
    for start in range(0, 100, 17):
        opened = Opened(tmp_path)
        opened.take(*found[start : start + 17])
        opened.store.close(WAIT)
    expected = spans_of(found, CADENCES["cloud>erp"], int(NOW), int(NOW) + 110)
    assert read_states(tmp_path / DATABASE, CADENCES, int(NOW), int(NOW) + 110) == {"cloud>erp": expected}
    assert any(span.state is State.DOWN for span in expected)


def test_a_crash_costs_no_seconds(tmp_path: Path) -> None:
    """Spans that were not written yet are folded anew from the raw results."""
    found = [seen(n, Outcome.FAILED if 20 <= n < 45 else Outcome.OK) for n in range(100)]
    tables = Tables(connect(tmp_path / DATABASE), CADENCES)
    tables.write(found[:30])
    tables.write_spans()
    tables.write(found[30:60])
    tables.close()  # without writing the spans
    tables = Tables(connect(tmp_path / DATABASE), CADENCES)
    tables.write(found[60:])
    tables.write_spans()
    tables.close()
    expected = spans_of(found, CADENCES["cloud>erp"], int(NOW), int(NOW) + 100)
    assert read_states(tmp_path / DATABASE, CADENCES, int(NOW), int(NOW) + 100)["cloud>erp"] == expected


def test_a_probe_that_gains_a_cadence_is_folded_from_an_hour_back(tmp_path: Path) -> None:
    """Its earlier results were kept raw."""
    tables = Tables(connect(tmp_path / DATABASE), {})
    tables.write([seen(number) for number in (0, 100, 101, 3700)])
    tables.write_spans()
    tables.close()
    tables = Tables(connect(tmp_path / DATABASE), CADENCES)
    tables.write([seen(3701)])
    tables.write_spans()
    tables.close()
    connection = connect_reading(tmp_path / DATABASE)
    spans = read_spans(connection, 0, 2**40)["cloud>erp"]
    connection.close()
    assert spans[0] == Span(int(NOW) + 100, int(NOW) + 104, State.UP)


def test_states_of_a_probe_that_was_never_seen(tmp_path: Path) -> None:
    """Unmeasured."""
    opened = Opened(tmp_path)
    opened.take(seen(1, probe="other"))
    opened.store.close(WAIT)
    assert read_states(tmp_path / DATABASE, CADENCES, 0, 10) == {"cloud>erp": (Span(0, 10, State.UNMEASURED),)}


def test_minutes_are_merged_over_batches(tmp_path: Path) -> None:
    """Two batches in one minute are one row."""
    opened = Opened(tmp_path)
    opened.take(seen(0), seen(1, Outcome.FAILED))
    opened.take(seen(2, Outcome.DEGRADED), seen(60))
    opened.store.close(WAIT)
    connection = connect_reading(tmp_path / DATABASE)
    rows = connection.execute("SELECT ok, degraded, failed, unknown, timed, sum FROM minute ORDER BY minute").fetchall()
    connection.close()
    assert rows == [(1, 1, 1, 0, 2, 20000), (1, 0, 0, 0, 1, 10000)]


def minutes(path: Path) -> list[tuple[int, int, int, int]]:
    """Return (passed, failed, timed, microseconds) of every minute in the file."""
    connection = connect_reading(path)
    rows = connection.execute("SELECT ok, failed, timed, sum FROM minute ORDER BY minute, source").fetchall()
    connection.close()
    return rows


def test_a_crash_costs_no_minute(tmp_path: Path) -> None:
    """Minutes that were not written yet are counted anew, those that were are not counted twice."""
    found = [seen(n, Outcome.FAILED if n % 10 == 0 else Outcome.OK) for n in range(180)]
    tables = Tables(connect(tmp_path / DATABASE), {})
    tables.write(found[:100])
    tables.write_spans()
    tables.write(found[100:150])
    tables.close()  # without writing the minutes
    tables = Tables(connect(tmp_path / DATABASE), {})
    whole = minutes(tmp_path / DATABASE)
    assert sum(ok + failed for ok, failed, _, _ in whole) == 150
    tables.write(found[150:])
    tables.write_spans()
    tables.close()
    tables = Tables(connect(tmp_path / DATABASE), {})
    tables.close()
    counted = minutes(tmp_path / DATABASE)
    assert [sum(column) for column in zip(*counted, strict=True)] == [162, 18, 162, 1_620_000]
    assert len(counted) in (3, 4)


def test_a_late_result_is_added_to_its_minute(tmp_path: Path) -> None:
    """What a peer tells a minute later, once or twice, is counted once and beside what was there."""
    tables = Tables(connect(tmp_path / DATABASE), {})
    tables.write([seen(0), seen(70)])
    tables.write_spans()
    assert tables.write([seen(70), seen(1), seen(71)]) == 2
    tables.write_spans()
    tables.close()
    assert sum(ok for ok, _, _, _ in minutes(tmp_path / DATABASE)) == 4


def test_other_cadences_are_taken_up_while_running(tmp_path: Path) -> None:
    """A reload that gives a probe a service has its seconds kept from then on, and loses nothing."""
    opened = Opened(tmp_path)
    opened.take(*(seen(n, probe="hr") for n in range(5)))
    opened.store.configure({"cloud>hr": Cadence(interval=1.0, timeout=1.0)})
    opened.take(*(seen(n, probe="hr") for n in range(5, 20)))
    opened.store.close(WAIT)
    assert opened.store.health.written == 20
    assert opened.alarms == []
    cadences = {"cloud>hr": Cadence(interval=1.0, timeout=1.0)}
    (span,) = read_states(tmp_path / DATABASE, cadences, int(NOW) + 1, int(NOW) + 19)["cloud>hr"]
    assert span.state is State.UP


def test_what_is_old_is_forgotten_in_steps(tmp_path: Path) -> None:
    """Raw results by age, minutes and spans by theirs."""
    opened = Opened(tmp_path, msgspec.structs.replace(QUICK, raw_seconds=100.0, minute_seconds=200.0))
    opened.take(*(seen(number) for number in range(5000)))
    opened.clock.now = NOW + 4950.0
    deadline = threading.Event()
    for _ in range(500):
        if sum(1 for _ in opened.store.export(0, NOW + 4849)) == 0:
            break
        deadline.wait(0.02)
    opened.store.close(WAIT)
    assert len(list(export(tmp_path / DATABASE, 0, 5e9))) == 5000 - 4850
    connection = connect_reading(tmp_path / DATABASE)
    assert connection.execute("SELECT min(minute) * 60 FROM minute").fetchone()[0] >= NOW + 4750 - 60
    connection.close()


def test_too_many_bytes_are_forgotten_oldest_first(tmp_path: Path) -> None:
    """The size is bounded though nothing is old."""
    tables = Tables(connect(tmp_path / DATABASE), {})
    tables.write([seen(number) for number in range(20_000)])
    full = tables.used_bytes()
    more = True
    while more:
        more = tables.forget(before=0, minutes_before=0, most_bytes=full // 2)
    assert tables.used_bytes() <= full // 2
    tables.close()
    lines = list(export(tmp_path / DATABASE, 0, 5e9))
    assert 1000 < len(lines) < 18_000
    assert decode(lines[-1]).round == 19_999


def test_a_full_queue_drops_counts_and_leaves_a_gap(tmp_path: Path) -> None:
    """The sink never blocks; what was lost is told and recorded."""
    opened = Opened(tmp_path, msgspec.structs.replace(QUICK, queue=10, batch_seconds=0.5))
    for number in range(25):
        opened.store.observation(seen(number))
    assert opened.store.health.dropped == 15
    opened.take(seen(100))
    opened.store.close(WAIT)
    assert [gap.dropped for gap in opened.gaps] in ([15], [16])
    assert opened.gaps[0].reason == "the queue was full"
    connection = connect_reading(tmp_path / DATABASE)
    assert connection.execute("SELECT count(*) FROM gap").fetchone()[0] == 1
    connection.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"time": 1e300},
        {"time": -1.0},
        {"time": float("nan")},
        {"round": 2**63},
        {"round": -1},
        {"seconds": 1e300},
        {"seconds": -1.0},
    ],
)
def test_what_cannot_be_stored_is_dropped_alone(tmp_path: Path, changes: dict[str, float]) -> None:
    """A peer that sends nonsense does not stop the store."""
    opened = Opened(tmp_path)
    opened.take(seen(0), msgspec.structs.replace(seen(1), **changes), seen(2))
    assert opened.store.health == StoreHealth(recording=True, written=2, dropped=1)
    opened.store.close(WAIT)
    assert opened.alarms == []


def test_what_is_lost_while_a_gap_is_written_is_told_in_the_next_one() -> None:
    """No loss is told twice, none is forgotten."""
    told = StoreGap(opened=1.0, closed=5.0, dropped=3, reason="full")
    more = StoreGap(opened=1.0, closed=7.0, dropped=5, reason="full")
    assert lost_beyond(told, told, 6.0) is None
    assert lost_beyond(None, None, 6.0) is None
    assert lost_beyond(None, more, 6.0) == more
    assert lost_beyond(told, more, 6.0) == StoreGap(opened=6.0, closed=7.0, dropped=2, reason="full")


def test_after_closing_results_are_counted_as_lost(tmp_path: Path) -> None:
    """Nothing hangs."""
    opened = Opened(tmp_path)
    assert opened.store.close(WAIT)
    opened.store.observation(seen(1))
    assert opened.store.health.dropped == 1
