"""Round numbers: one tick of boot time each, rising for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.daemon.rounds import RESERVE, Rounds, first_round


@pytest.mark.parametrize(
    ("saved", "wall", "expected"),
    [
        pytest.param(None, 1_795_442_400.7, 1_795_442_400, id="first start: from the wall clock"),
        pytest.param(1_795_442_000, 1_795_442_400.0, 1_795_442_400, id="restart later: from the wall clock"),
        pytest.param(1_795_442_500, 1_795_442_400.0, 1_795_442_501, id="restart within the reserve"),
        pytest.param(1_795_442_500, 12.0, 1_795_442_501, id="wall clock lost: never back"),
    ],
)
def test_first_round(saved: int | None, wall: float, expected: int) -> None:
    """Numbers rise over a restart whatever the wall clock says."""
    assert first_round(saved, wall, 1.0) == expected


@given(st.floats(min_value=0, max_value=1e7), st.sampled_from([0.2, 0.5, 1.0, 3.0]), st.integers(0, 100_000))
def test_start_of_a_round_lies_in_it(epoch: float, spacing: float, ticks: int) -> None:
    """The start of a round belongs to it and a moment before belongs to the one before."""
    rounds = Rounds(spacing, epoch, 700)
    number = 700 + ticks
    assert rounds.at(rounds.start(number)) == number
    assert rounds.at(rounds.start(number) + spacing * 0.999) == number
    assert rounds.at(rounds.start(number) - spacing / 2) == max(700, number - 1)


def test_reserve_covers_the_time_between_two_saves() -> None:
    """A kill right before a save repeats no number as long as saves are half a reserve apart."""
    saved = 1000 + RESERVE
    assert first_round(saved, 0.0, 1.0) > 1000 + RESERVE // 2
