"""Opening hours: the grammar and its refusals."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config.hours import Opening, parse_hours


def on(days: list[int], *spans: tuple[int, int]) -> tuple[Opening, ...]:
    """Return openings in hours of the day, sorted."""
    return tuple(sorted(Opening(day=d, start=a * 60, end=b * 60) for d in days for a, b in spans))


GOOD = [
    ("", on(list(range(7)), (0, 24))),
    ("24/7", on(list(range(7)), (0, 24))),
    ("Mo-Fr 07:00-19:00", on([0, 1, 2, 3, 4], (7, 19))),
    ("Sa 09:00-12:00", on([5], (9, 12))),
    ("Mo-Fr 08:00-12:00, 13:00-17:00", on([0, 1, 2, 3, 4], (8, 12), (13, 17))),
    ("Mo-Tu 07:00-19:00, Sa 09:00-12:00", tuple(sorted(on([0, 1], (7, 19)) + on([5], (9, 12))))),
    ("Mo 07:00-08:00; We 07:00-08:00", on([0, 2], (7, 8))),
    ("Sa-Mo 00:00-24:00", on([5, 6, 0], (0, 24))),
    ("Mo 08:00-12:00, Mo 12:00-13:00", on([0], (8, 12), (12, 13))),
]


@pytest.mark.parametrize(("text", "openings"), GOOD)
def test_good(text: str, openings: tuple[Opening, ...]) -> None:
    """Hours become the open stretches of a week."""
    assert parse_hours(text) == openings


BAD = [
    ("9-17", "`9-17` is no opening time; "),
    ("Mo-Fr", "`Mo-Fr` is no opening time; "),
    ("07:00-19:00", "`07:00-19:00` names no day; "),
    ("Ma-Vr 07:00-19:00", "`Ma` is no day; write Mo, Tu, We, Th, Fr, Sa, Su"),
    ("Mo 19:00-07:00", "`Mo 19:00-07:00` ends before it starts; across midnight write two, "),
    ("Mo 07:60-08:00", "`07:60` is no time of day; write 00:00 to 24:00"),
    ("Mo 07:00-24:30", "`24:30` is no time of day; write 00:00 to 24:00"),
    ("Mo 08:00-12:00, Mo-We 11:00-13:00", "two ranges overlap on Mo; "),
    ("Mo 08:00-12:00,", "`` is no opening time; "),
]


@pytest.mark.parametrize(("text", "start"), BAD)
def test_bad(text: str, start: str) -> None:
    """What is no opening time is refused with an example."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is compared
        parse_hours(text)
    assert str(caught.value).startswith(start)


@settings(deadline=None)
@given(st.text(alphabet="MoTuWeFrSa-0123456789:, ;/", max_size=30))
def test_any_text(text: str) -> None:
    """Any text gives sorted openings apart from each other, or a ValueError."""
    try:
        openings = parse_hours(text)
    except ValueError:
        return
    assert list(openings) == sorted(openings)
    assert all(0 <= o.start < o.end <= 1440 for o in openings)
