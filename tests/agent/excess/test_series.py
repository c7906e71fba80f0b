"""One probe's attempts over time: bounded, of one cadence, and learned only while all is well."""

import math
from zoneinfo import ZoneInfo

import pytest

from agent.excess.reference import LEAST_SAMPLES
from agent.excess.series import KEPT, LOST, Rise, Series

START = 1_795_442_400.0
USUAL = 0.020


def series(*spans: tuple[int, float], learn: bool = True, begin: float = START) -> Series:
    """Return a series of one attempt a second: so many of so many seconds each."""
    made = Series(ZoneInfo("UTC"), 1.0, Rise(0.005, 0.005), {})
    extend(made, *spans, learn=learn, begin=begin)
    return made


def extend(made: Series, *spans: tuple[int, float], learn: bool = True, begin: float | None = None) -> None:
    """Go on with a series."""
    time = made.newest + 1.0 if begin is None else begin
    for count, seconds in spans:
        for _ in range(count):
            made.add(time, seconds, learn=learn)
            time += 1.0


def test_nothing_is_shown_before_anything_is_usual() -> None:
    """Without a reference there is neither delay nor loss, nor an end of them."""
    made = series((LEAST_SAMPLES + 59, USUAL))
    assert made.delay(START) is made.losing(START) is made.quick_since(1.0) is None
    assert series().whole_since(0.1, START) is None
    assert series().newest == -math.inf


def test_bounds_of_a_delay() -> None:
    """From the change on, the excess lies between its bounds; before nineteen attempts it has no upper one."""
    made = series((300, USUAL), (10, USUAL + 0.030))
    low, high = made.delay(START + 300) or (0.0, 0.0)
    assert 0.0285 < low <= 0.030
    assert high == math.inf
    extend(made, (10, USUAL + 0.030))
    low, high = made.delay(START + 300) or (0.0, 0.0)
    assert 0.0285 < low <= 0.030 <= high < 0.0315
    assert made.delay(START + 315) is None
    assert made.late.raised
    assert made.late.since == START + 300


def test_a_lost_attempt_is_no_quick_one() -> None:
    """What was lost counts as slow where something is bounded from above, and not at all from below."""
    made = series((300, USUAL), (20, USUAL + 0.030), (10, LOST))
    low, high = made.delay(START + 300) or (0.0, 0.0)
    assert low > 0.028
    assert high == math.inf


def test_attempts_between_are_not_taken() -> None:
    """Those that confirm a failure come when it is worst: only the probe's own cadence counts."""
    made = series((300, USUAL))
    for tenth in range(1, 9):
        made.add(START + 299 + tenth / 10, LOST, learn=True)
    assert made.newest == START + 299
    assert not made.loss.raised


def test_what_was_lost_is_known_late() -> None:
    """An attempt that later ones overtook, since it waited for its timeout, has its place all the same."""
    made = series((300, USUAL))
    for second in (302, 303, 301):
        made.add(START + second, LOST if second == 301 else USUAL, learn=True)
    assert made.newest == START + 303
    assert made.lossy_since(START + 300) == START + 301


def test_a_clock_that_is_set_back() -> None:
    """A few attempts of long ago are passed over; when all are, the clock was set back and the series goes on there."""
    made = series((300, USUAL), begin=START + 7200)
    extend(made, (20, USUAL), begin=START)
    assert made.newest == START + 7499
    extend(made, (10, USUAL), begin=START + 20)
    assert made.newest == START + 29
    assert not made.late.raised
    assert made.level(made.newest) is not None


def test_what_changes_is_not_learned_until_it_has_settled() -> None:
    """A change is kept out of the reference for a quarter of an hour, and may rise by what is allowed after that."""
    made = series((4000, USUAL), (800, USUAL + 0.004))
    before = made.level(made.newest)
    assert before is not None
    assert before.middle == pytest.approx(USUAL, rel=0.02)
    extend(made, (6000, USUAL + 0.030))
    after = made.level(made.newest)
    assert after is not None
    assert after.middle == pytest.approx(USUAL + 0.005, rel=0.03)


def test_nothing_is_learned_that_may_not_be() -> None:
    """What an open incident touches is kept out of the reference."""
    made = series((4000, USUAL))
    extend(made, (4000, 1.1 * USUAL), learn=False)
    level = made.level(made.newest)
    assert level is not None
    assert level.middle == pytest.approx(USUAL, rel=0.02)


def test_a_young_reference_learns_on() -> None:
    """One that was begun in a quiet minute must not keep an incident open that it made."""
    made = series((200, USUAL), (1500, 3 * USUAL), learn=False)
    level = made.level(made.newest)
    assert level is not None
    assert level.middle == pytest.approx(3 * USUAL, rel=0.02)


def test_an_outage_is_no_loss() -> None:
    """What was silent until an outage was confirmed is forgotten, also by what is usual."""
    made = series((300, USUAL), (9, LOST))
    assert made.loss.raised
    made.forget_silence()
    assert made.newest == START + 299
    assert not made.loss.raised
    extend(made, (100, USUAL))
    assert made.losing(START) == pytest.approx((0.0, 0.0165), abs=0.001)
    extend(made, (3, LOST))
    made.forget_silence()
    extend(made, (100, USUAL))
    assert made.save()["workday-day"].lost == 0.0


def test_bounds_of_a_loss() -> None:
    """The share lost beyond the usual lies between its bounds, and the first lost attempt is where it began."""
    made = series((200, USUAL), (1, LOST), (50, USUAL))
    for _ in range(30):
        extend(made, (1, LOST), (4, USUAL))
    assert made.loss.raised
    assert made.loss.since == START + 200
    began = made.lossy_since(START + 200)
    assert began == START + 251
    low, high = made.losing(began + 0.001) or (0.0, 0.0)
    assert 0.08 < low < 0.23 < high < 0.4
    assert series((9, USUAL)).lossy_since(START) == START


def test_the_end_of_a_delay() -> None:
    """It is over after eight attempts and ten seconds within the margin; something lost is not within it."""
    made = series((300, USUAL), (60, USUAL + 0.030))
    assert made.quick_since(0.015) is None
    extend(made, (7, USUAL))
    assert made.quick_since(0.015) is None
    extend(made, (1, USUAL))
    assert made.quick_since(0.015) == (START + 360, False)
    extend(made, (2, USUAL))
    assert made.quick_since(0.015) == (START + 360, True)
    extend(made, (1, LOST))
    assert made.quick_since(0.015) is None
    assert series((300, USUAL)).quick_since(0.015) == (START, True)


def test_the_end_of_a_loss() -> None:
    """It is over where less is lost with certainty; a stray one later does not put that off."""
    made = series((200, USUAL))
    for _ in range(40):
        extend(made, (1, LOST), (4, USUAL))
    assert made.whole_since(0.05, START + 200) is None
    extend(made, (100, USUAL))
    assert made.whole_since(0.05, START + 200) is None
    extend(made, (60, USUAL))
    assert made.whole_since(0.05, START + 200) == START + 396
    extend(made, (1, LOST), (200, USUAL))
    assert made.whole_since(0.05, START + 200) == START + 396


def test_size_is_bounded() -> None:
    """However long it runs, the newest attempts are kept and no more."""
    made = series((3 * KEPT, USUAL))
    assert KEPT <= len(made._times) == len(made._seconds) <= KEPT + 100


def test_each_kind_of_hour_has_its_own() -> None:
    """What is usual at night is not held against the day."""
    made = series((300, USUAL), begin=START - 10 * 3600)
    assert made.level(made.newest) is not None
    assert made.level(START) is None
    extend(made, (300, 2 * USUAL), begin=START)
    by_day = made.level(made.newest)
    assert by_day is not None
    assert by_day.middle == pytest.approx(2 * USUAL, rel=0.02)
    again = Series(ZoneInfo("UTC"), 1.0, Rise(0.005, 0.005), made.save())
    assert again.level(START) is not None
    assert made.level(START + 3600) is not None
