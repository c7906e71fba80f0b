"""A very short campaign of slow and lossy things; `python -m tools.campaign.late` runs the long one."""

import pytest

from tools.campaign.chains import TOPOLOGIES
from tools.campaign.late import ALLOWED, CELLS, Score, calm, run


def flaws(score: Score) -> list[str]:
    """Return what must not be of a score."""
    return [name for name in ("false", "late", "over", "lost") if getattr(score, name)]


@pytest.mark.parametrize("cell", ["1 slow thing", "1 lossy thing"])
def test_no_innocent_is_named(cell: str) -> None:
    """Nobody is named wrongly, nor for too long, nor for more than there was; what is slow stays possible."""
    score = run(cell, TOPOLOGIES[1], f"1/{cell}")["demarc"]
    assert flaws(score) == []
    assert score.opened is not None


@pytest.mark.soak
@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell not in ALLOWED])
def test_no_innocent_is_named_in_many_trials(cell: str, topology: str) -> None:
    """The same in all cells."""
    for number in range(10):
        score = run(cell, topology, f"soak/{cell}/{number}")["demarc"]
        assert flaws(score) == [], number


@pytest.mark.soak
def test_a_day_of_noise_opens_nothing() -> None:
    """Daily load, spikes, losses by chance and rate-limited hops open nothing."""
    assert calm(1.0, 7).endswith("opened 0.0 a day")
