"""One-minute rollups: merging in any order and any grouping gives the same."""

from hypothesis import given
from hypothesis import strategies as st

from agent.observation import Observation
from agent.store.minute import BUCKET_SECONDS, Minute, add
from probes.kit.result import Outcome

OBSERVATIONS = st.builds(
    Observation,
    time=st.just(0.0),
    round=st.just(0),
    vantage=st.just("v"),
    probe=st.just("p"),
    outcome=st.sampled_from(Outcome),
    seconds=st.none() | st.floats(0, 5),
)


@given(found=st.lists(OBSERVATIONS, max_size=20), cut=st.integers(0, 20))
def test_minutes_add_up(found: list[Observation], cut: int) -> None:
    """Counts by outcome, and durations of what passed."""
    left, right = Minute(), Minute()
    for observation in found[:cut]:
        left.take(observation)
    for observation in reversed(found[cut:]):
        right.take(observation)
    assert add(left, right) == add(right, left)
    whole = add(left, right)
    counts = {outcome: sum(one.outcome is outcome for one in found) for outcome in Outcome}
    assert {outcome: getattr(whole, outcome.value) for outcome in Outcome} == counts
    timed = [
        round(one.seconds * 1e6)
        for one in found
        if one.seconds is not None and one.outcome in {Outcome.OK, Outcome.DEGRADED}
    ]
    assert (whole.timed, whole.sum) == (len(timed), sum(timed))
    assert (whole.min, whole.max) == (min(timed, default=None), max(timed, default=None))
    assert sum(whole.buckets) == len(timed)


def test_a_duration_on_a_bound_belongs_below_it() -> None:
    """Buckets include their upper bound, as Prometheus has it."""
    for place, bound in enumerate(BUCKET_SECONDS):
        observation = Observation(time=0, round=0, vantage="v", probe="p", outcome=Outcome.OK, seconds=bound)
        minute = Minute()
        minute.take(observation)
        assert minute.buckets[place] == 1
