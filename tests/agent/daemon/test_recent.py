"""The last two minutes of our own observations: nothing changed, nothing out of order, bounded."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.daemon.recent import KEEP_SECONDS, TOGETHER, UNPACKED_SECONDS, Recent, packed, unpacked
from agent.observation import Observation
from probes.kit.result import Outcome, Stage


def seen(time: float, number: int, probe: str = "gw") -> Observation:
    """Return an observation."""
    return Observation(time=time, round=number, vantage="cloud", probe=probe, outcome=Outcome.OK, seconds=0.01)


OBSERVATIONS = st.builds(
    Observation,
    time=st.floats(0, 1e10),
    round=st.integers(0, 2**53),
    vantage=st.just("cloud"),
    probe=st.sampled_from(["gw", "self"]),
    outcome=st.sampled_from(Outcome),
    stage=st.none() | st.sampled_from(Stage),
    fault=st.none() | st.text(max_size=5),
    seconds=st.none() | st.floats(0, 100),
    detail=st.text(max_size=20),
    phases=st.dictionaries(st.sampled_from(["connect", "answer"]), st.floats(0, 1)),
)


@given(st.lists(OBSERVATIONS, min_size=1, max_size=10))
def test_packing_changes_nothing(found: list[Observation]) -> None:
    """What is unpacked is what was packed, line feeds in texts included."""
    assert unpacked(packed(found)) == found


@pytest.mark.parametrize("rate", [1, 20, 400])
def test_two_minutes_are_kept_and_no_more(rate: int) -> None:
    """From any round on everything that came in since, in order, whatever is packed by then."""
    recent, given_ = Recent(), list[Observation]()
    order = random.Random(1)
    for tick in range(int((KEEP_SECONDS + 60) * rate)):
        time = 1000 + tick / rate
        given_.append(seen(time, int(time) - order.choice([0, 0, 1]), f"p{tick % rate}"))
        recent.observation(given_[-1])
    last = given_[-1].time
    for back in (0, 1, 5, UNPACKED_SECONDS + 2, 60, KEEP_SECONDS - TOGETHER / rate - 2):
        if back < 0:
            continue
        wanted = int(last - back)
        assert recent.since(wanted) == tuple(one for one in given_ if one.round > wanted)
    everything = recent.since(-1)
    assert everything[0].time >= last - KEEP_SECONDS - TOGETHER / rate - 1
    assert recent.since(int(last) + 5) == ()


def test_after_a_long_silence_only_the_new_is_left() -> None:
    """A result after a standstill drives out all that is too old."""
    recent = Recent()
    for number in range(1000):
        recent.observation(seen(number / 10, number // 10))
    late = seen(10_000.0, 10_000)
    recent.observation(late)
    assert recent.since(-1) == (late,)
