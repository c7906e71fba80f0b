"""Months and service hours of the chain's local time, as UTC seconds. Pure but for the tz database.

What must stay true: everything is counted in UTC seconds, so a month has as many as it has (October
2026 has 745 hours in Europe/Amsterdam, March 743). A wall time that does not exist is taken with the
offset before the change; of one that occurs twice, a start means the first and an end the second.
"""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from agent.availability.seconds import Seconds, intersection, union
from agent.config.hours import parse_hours

_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


def month(text: str, timezone: str) -> tuple[int, int]:
    """Return [start, stop) of a month `2026-11` in UTC seconds; ValueError if it is not written so."""
    match = _MONTH.fullmatch(text)
    if match is None or match[1] == "0000":
        raise ValueError(f"`{text}` is no month; write such as 2026-11")
    year, number = int(match[1]), int(match[2])
    zone = ZoneInfo(timezone)
    following = date(year + number // 12, number % 12 + 1, 1)
    return _utc(date(year, number, 1), 0, zone, fold=0), _utc(following, 0, zone, fold=0)


def open_seconds(hours: str, timezone: str, start: int, stop: int) -> Seconds:
    """Return the seconds of [start, stop) within service hours; ValueError if those cannot be read.

    `hours` as the chain file has them (`Mo-Fr 07:00-19:00`; empty or `24/7`: always).
    """
    openings = parse_hours(hours)
    zone = ZoneInfo(timezone)
    day = datetime.fromtimestamp(start, UTC).astimezone(zone).date()
    last = datetime.fromtimestamp(stop, UTC).astimezone(zone).date()
    found: list[tuple[int, int]] = []
    while day <= last:
        found += [
            (_utc(day, opening.start, zone, fold=0), _utc(day, opening.end, zone, fold=1))
            for opening in openings
            if opening.day == day.weekday()
        ]
        day += timedelta(days=1)
    return intersection(union(found), ((start, stop),))


def _utc(day: date, minutes: int, zone: ZoneInfo, *, fold: int) -> int:
    """Return the UTC second of a local wall time; 24:00 is the next day's midnight."""
    day += timedelta(days=minutes // 1440)
    hour, minute = divmod(minutes % 1440, 60)
    return int(datetime(day.year, day.month, day.day, hour, minute, fold=fold, tzinfo=zone).timestamp())
