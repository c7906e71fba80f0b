"""Sets of seconds, and the partition of a period: against Python's own sets."""

from hypothesis import given
from hypothesis import strategies as st

from agent.availability.fold import Span, State, covering
from agent.availability.partition import SecondClass, in_state, masked, partition, together
from agent.availability.seconds import Seconds, difference, intersection, total, union

PERIOD = 60
INTERVALS = st.lists(st.tuples(st.integers(-5, PERIOD + 5), st.integers(-5, PERIOD + 5)), max_size=6)
SETS = INTERVALS.map(union)
STATES = st.lists(st.tuples(st.sampled_from(State), st.integers(1, 12)), max_size=12)


def listed(seconds: Seconds) -> set[int]:
    """Return them one by one."""
    return {second for start, stop in seconds for second in range(start, stop)}


def spans_from(states: list[tuple[State, int]]) -> tuple[Span, ...]:
    """Return spans that cover the period."""
    at, spans = 0, []
    for state, length in states:
        spans.append(Span(at, at + length, state))
        at += length
    return covering(spans, 0, PERIOD)


def state_at(spans: tuple[Span, ...], second: int) -> State:
    """Return the state of one second."""
    return next(span.state for span in spans if span.start <= second < span.stop)


@given(one=SETS, other=SETS)
def test_operations_are_those_of_sets(one: Seconds, other: Seconds) -> None:
    """And the result is in its one form: sorted, apart, not empty."""
    for seconds, expected in (
        (union(one, other), listed(one) | listed(other)),
        (intersection(one, other), listed(one) & listed(other)),
        (difference(one, other), listed(one) - listed(other)),
    ):
        assert listed(seconds) == expected
        assert total(seconds) == len(expected)
        assert union(seconds) == seconds


@given(states=STATES, hours=SETS, excused=SETS)
def test_every_second_is_in_exactly_one_class(
    states: list[tuple[State, int]], hours: Seconds, excused: Seconds
) -> None:
    """The first class that applies, second by second; the classes add up."""
    spans = spans_from(states)
    parts = partition(spans, hours, excused, 0, PERIOD)
    assert sum(parts.counts().values()) == PERIOD
    for second in range(PERIOD):
        state = state_at(spans, second)
        if second not in listed(hours):
            expected = SecondClass.OUTSIDE
        elif second in listed(excused):
            expected = SecondClass.MAINTENANCE
        elif state in (State.DOWN, State.UNMEASURED):
            expected = SecondClass(state.value)
        else:
            expected = SecondClass.UP
        assert [one for one in SecondClass if second in listed(getattr(parts, one.value))] == [expected]
        assert (second in listed(parts.degraded)) == (expected is SecondClass.UP and state is State.DEGRADED)
        assert (second in listed(parts.errored)) == (expected is SecondClass.UP and state is State.ERRORED)


@given(probes=st.lists(STATES, max_size=3))
def test_a_service_is_as_bad_as_its_worst_measured_probe(probes: list[list[tuple[State, int]]]) -> None:
    """Down before errored, degraded and up; unmeasured only when nobody measured."""
    order = [State.DOWN, State.ERRORED, State.DEGRADED, State.UP, State.UNMEASURED]
    spans = [spans_from(states) for states in probes]
    joint = together(spans, 0, PERIOD)
    for second in range(PERIOD):
        found = [state_at(one, second) for one in spans]
        assert state_at(joint, second) is min(found, key=order.index, default=State.UNMEASURED)


@given(states=STATES, blind=SETS)
def test_blind_seconds_are_unmeasured(states: list[tuple[State, int]], blind: Seconds) -> None:
    """And the others are as they were."""
    spans = spans_from(states)
    seen = masked(spans, blind)
    assert listed(in_state(seen, *State)) == set(range(PERIOD))
    for second in range(PERIOD):
        expected = State.UNMEASURED if second in listed(blind) else state_at(spans, second)
        assert state_at(seen, second) is expected
