"""What is usual, and when a change is noticed."""

import math
import random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.excess.reference import LEAST_SAMPLES, SETTLED, SavedSketch, Sketch, hour_class
from agent.excess.trigger import for_delay, for_loss

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


@pytest.mark.parametrize(
    ("time", "kind"),
    [
        (1795442585.0, "workday-day"),  # Monday 2026-11-23 15:03 in Amsterdam
        (1795442585.0 + 5 * 3600, "workday-evening"),
        (1795442585.0 + 10 * 3600, "workday-night"),
        (1795442585.0 + 5 * 86400, "weekend-day"),
    ],
)
def test_hour_class(time: float, kind: str) -> None:
    """The kind of hour is the chain's local one."""
    assert hour_class(time, AMSTERDAM) == kind


def test_too_little_says_nothing() -> None:
    """Before enough was measured nothing is usual."""
    sketch = Sketch()
    for _ in range(LEAST_SAMPLES - 1):
        sketch.add(0.01)
    assert sketch.level(math.inf) is None
    sketch.add(0.01)
    level = sketch.level(math.inf)
    assert level is not None
    assert level.middle == pytest.approx(0.01, rel=0.02)
    assert level.spread >= level.middle * 0.02


@given(st.lists(st.floats(1e-7, 1e4), min_size=LEAST_SAMPLES, max_size=LEAST_SAMPLES + 50))
@settings(max_examples=30)
def test_quantiles_are_near_the_samples(samples: list[float]) -> None:
    """Quartiles are within a bin of the samples' own."""
    sketch = Sketch()
    for sample in samples:
        sketch.add(sample)
    level, ordered = sketch.level(math.inf), sorted(samples)
    assert level is not None
    for found, place in ((level.low, 0.25), (level.middle, 0.5), (level.high, 0.75)):
        beside = ordered[int(place * len(ordered)) - 1 : int(place * len(ordered)) + 2]
        assert min(beside) * 0.98 <= found <= max(beside) * 1.02


def test_old_samples_fade_and_size_is_bounded() -> None:
    """After many samples of a new level the old one is forgotten."""
    sketch = Sketch()
    for _ in range(150_000):
        sketch.add(0.01)
    for _ in range(450_000):
        sketch.add(0.02)
        sketch.attempt(lost=False)
    level = sketch.level(math.inf)
    assert level is not None
    assert level.low == pytest.approx(0.02, rel=0.02)
    assert len(sketch.bins) <= 2
    assert sketch.sent <= 200_000


def ramp(sketch: Sketch, least: float, steps: int) -> None:
    """Let what is measured rise by a millisecond at a time, each step for long enough to be learned."""
    for step in range(steps):
        for _ in range(2 * SETTLED):
            sketch.add(least + step * 0.001)
        sketch.level(0.005)


def test_what_worsens_in_small_steps_does_not_become_usual() -> None:
    """The reference follows by what is allowed and no further, also after a restart."""
    sketch = Sketch()
    ramp(sketch, 0.020, 60)
    level, free = sketch.level(0.005), sketch.level(math.inf)
    assert level is not None
    assert free is not None
    assert free.middle > 0.040
    assert level.middle == pytest.approx(0.025, rel=0.03)
    again = Sketch(sketch.save()).level(0.005)
    assert again is not None
    assert again.middle == pytest.approx(level.middle, rel=0.01)


def test_loss_that_grows_slowly_does_not_become_usual() -> None:
    """The usual share follows by what is allowed and no further."""
    sketch = Sketch()
    assert sketch.usual_loss(0.005) is None
    for number in range(SETTLED):
        sketch.attempt(lost=number % 100 == 0)
    assert sketch.usual_loss(0.005) == pytest.approx(0.01)
    for number in range(100_000):
        sketch.attempt(lost=number % 20 == 0)
    assert sketch.usual_loss(0.005) == pytest.approx(0.015, rel=0.01)
    assert sketch.usual_loss(0.5) == pytest.approx(0.05, rel=0.05)
    few = Sketch()
    for number in range(SETTLED - 1):
        few.attempt(lost=number % 10 == 0)
    assert few.usual_loss(0.0) == pytest.approx(0.1, rel=0.01)


def test_a_restart_keeps_quartiles_and_forgets_weight() -> None:
    """What is usual is the same after a restart, and makes room for what comes."""
    pick, sketch = random.Random(3), Sketch()
    assert sketch.save() == SavedSketch()
    for _ in range(50_000):
        sketch.add(0.020 + pick.lognormvariate(-7, 1))
        sketch.attempt(lost=False)
    before, restored = sketch.level(math.inf), Sketch(sketch.save())
    after = restored.level(math.inf)
    assert before is not None
    assert after is not None
    for name in ("low", "middle", "high"):
        assert getattr(after, name) == pytest.approx(getattr(before, name), rel=0.001)
    assert restored.weight < sketch.weight
    assert restored.sent == sketch.sent


def raised(samples: list[float], middle: float, spread: float) -> list[int]:
    """Return at which samples the trigger is raised."""
    cusum, found = for_delay(), []
    for n, x in enumerate(samples):
        cusum.late((x - middle) / spread, float(n))
        if cusum.raised:
            found.append(n)
    return found


def test_a_lasting_change_is_noticed_and_a_heavy_tail_is_not() -> None:
    """In a day of heavy-tailed samples nothing is raised; 6 ms more are noticed within a minute."""
    pick = random.Random(2)
    calm = [0.020 + pick.lognormvariate(-7.5, 0.8) for _ in range(86_400)]
    ordered = sorted(calm)
    middle, spread = ordered[43_200], (ordered[64_800] - ordered[21_600]) / 1.349
    assert raised(calm, middle, spread) == []
    assert 600 <= raised([*calm[:600], *(x + 0.006 for x in calm[:120])], middle, spread)[0] <= 660


def test_it_knows_since_when_and_ends() -> None:
    """The sum tells when the change began, falls back soon after it is over, and can begin anew."""
    cusum = for_delay()
    for n in range(1000):
        cusum.late(9.0, float(n))
    assert cusum.since == 0.0
    for n in range(20):
        cusum.late(0.0, 1000.0 + n)
    assert cusum == for_delay()
    cusum.late(9.0, 2000.0)
    cusum.reset()
    assert cusum == for_delay()


@pytest.mark.parametrize(("share", "usual", "soon"), [(0.003, 0.003, False), (0.05, 0.0, True), (0.3, 0.05, True)])
def test_loss_is_noticed(share: float, usual: float, soon: bool) -> None:
    """Loss five times the usual is noticed in minutes; the usual is not in a day."""
    pick, cusum = random.Random(4), for_loss()
    for n in range(600 if soon else 86_400):
        cusum.lost(usual, float(n), lost=pick.random() < share)
        if cusum.raised:
            break
    assert cusum.raised is soon
