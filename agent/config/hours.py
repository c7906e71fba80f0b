"""Opening hours: `Mo-Fr 07:00-19:00, Sa 09:00-12:00` or `24/7`, in the chain's local time.

The grammar is a small part of OpenStreetMap's opening_hours. A range ends on the day on which it
began; hours across midnight are written as two ranges. A day range may wrap (`Sa-Mo`).
"""

import re
from itertools import pairwise

import msgspec

DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
ALWAYS = "24/7"
MINUTES_A_DAY = 1440

_PART = re.compile(r"(?:([A-Za-z]{2})(?:-([A-Za-z]{2}))? +)?([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})")
_EXAMPLE = "write such as `Mo-Fr 07:00-19:00, Sa 09:00-12:00` or `24/7`"


class Opening(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One open stretch: `day` 0 is Monday; minutes since local midnight, `end` exclusive."""

    day: int
    start: int
    end: int


def parse_hours(text: str) -> tuple[Opening, ...]:
    """Return the open stretches of a week, sorted; ValueError says what to write instead.

    A part without days takes those of the part before it (`Mo-Fr 08:00-12:00, 13:00-17:00`).
    Empty text means always.
    """
    if text.strip() in ("", ALWAYS):
        return tuple(Opening(day=day, start=0, end=MINUTES_A_DAY) for day in range(7))
    openings: list[Opening] = []
    days: tuple[int, ...] = ()
    for part in re.split(r"[,;]", text):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"`{part.strip()[:40]}` is no opening time; {_EXAMPLE}")
        if match[1]:
            days = _days(match[1], match[2] or match[1])
        if not days:
            raise ValueError(f"`{part.strip()}` names no day; {_EXAMPLE}")
        start, end = _minute(match[3], match[4]), _minute(match[5], match[6])
        if end <= start:
            raise ValueError(
                f"`{part.strip()}` ends before it starts; across midnight write two, "
                "such as `Mo-Fr 22:00-24:00, Tu-Sa 00:00-06:00`"
            )
        openings.extend(Opening(day=day, start=start, end=end) for day in days)
    return _apart(sorted(openings))


def _days(first: str, last: str) -> tuple[int, ...]:
    for name in (first, last):
        if name not in DAYS:
            raise ValueError(f"`{name}` is no day; write {', '.join(DAYS)}")
    start = DAYS.index(first)
    count = (DAYS.index(last) - start) % 7 + 1
    return tuple((start + step) % 7 for step in range(count))


def _minute(hour: str, minute: str) -> int:
    total = int(hour) * 60 + int(minute)
    if int(minute) > 59 or total > MINUTES_A_DAY:
        raise ValueError(f"`{hour}:{minute}` is no time of day; write 00:00 to 24:00")
    return total


def _apart(openings: list[Opening]) -> tuple[Opening, ...]:
    for before, after in pairwise(openings):
        if before.day == after.day and after.start < before.end:
            raise ValueError(f"two ranges overlap on {DAYS[after.day]}; {_EXAMPLE}")
    return tuple(openings)
