"""Months and service hours, across the days on which the clock is set."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from agent.availability.calendar import month, open_seconds
from agent.availability.seconds import total

AMSTERDAM = "Europe/Amsterdam"


def at(text: str, timezone: str = AMSTERDAM, fold: int = 0) -> int:
    """Return the UTC second of a local moment."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(timezone), fold=fold).timestamp())


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("2026-01", 744),
        ("2026-02", 672),
        ("2026-03", 743),
        ("2026-10", 745),
        ("2026-11", 720),
        ("2026-12", 744),
        ("2028-02", 696),
    ],
)
def test_a_month_has_as_many_hours_as_it_has(text: str, hours: int) -> None:
    """March loses one, October gains one."""
    start, stop = month(text, AMSTERDAM)
    assert stop - start == hours * 3600
    assert start == at(f"{text}-01T00:00")


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "2026-00", "2026-1", "26-01", "2026-01-01", "0000-01"])
def test_what_is_no_month(text: str) -> None:
    """The error says what to write."""
    with pytest.raises(ValueError, match="write such as 2026-11"):
        month(text, AMSTERDAM)


HOURS = {
    "always, a plain day": ("", "2026-11-03", 24),
    "24/7, the long day": ("24/7", "2026-10-25", 25),
    "24/7, the short day": ("24/7", "2026-03-29", 23),
    "a weekday": ("Mo-Fr 07:00-19:00", "2026-11-03", 12),
    "a Saturday": ("Mo-Fr 07:00-19:00", "2026-11-07", 0),
    "two ranges": ("Mo-Fr 08:00-12:00, 13:00-17:00, Sa 09:00-12:00", "2026-11-03", 8),
    "the Saturday of those": ("Mo-Fr 08:00-12:00, 13:00-17:00, Sa 09:00-12:00", "2026-11-07", 3),
    "across the repeated hour": ("Su 01:00-04:00", "2026-10-25", 4),
    "across the missing hour": ("Su 01:00-04:00", "2026-03-29", 2),
    "the repeated hour itself is open twice": ("Su 02:00-03:00", "2026-10-25", 2),
    "half of it: from the first to the second": ("Su 02:00-02:30", "2026-10-25", 1.5),
    "the missing hour is not there": ("Su 02:00-03:00", "2026-03-29", 0),
    "until midnight": ("Tu 22:00-24:00", "2026-11-03", 2),
}


@pytest.mark.parametrize(("hours", "day", "expected"), HOURS.values(), ids=HOURS.keys())
def test_service_hours_of_a_day(hours: str, day: str, expected: float) -> None:
    """Counted in real seconds."""
    start = at(f"{day}T00:00")
    stop = at(f"{day[:8]}{int(day[8:]) + 1:02}T00:00")
    assert total(open_seconds(hours, AMSTERDAM, start, stop)) == expected * 3600


def test_service_hours_are_clipped_to_the_period() -> None:
    """A period that begins and ends within the hours."""
    start, stop = at("2026-11-03T08:30"), at("2026-11-04T07:15")
    assert open_seconds("Mo-Fr 07:00-19:00", AMSTERDAM, start, stop) == (
        (start, at("2026-11-03T19:00")),
        (at("2026-11-04T07:00"), stop),
    )


def test_another_timezone_has_other_seconds() -> None:
    """Hours are the chain's local time."""
    start, stop = month("2026-11", "UTC")
    assert open_seconds("Mo 00:00-24:00", "UTC", start, stop)[0][0] == at("2026-11-02T00:00", "UTC")


def test_hours_that_cannot_be_read() -> None:
    """The chain file's parser says what to write."""
    with pytest.raises(ValueError, match="write such as"):
        open_seconds("every day", AMSTERDAM, 0, 10)
