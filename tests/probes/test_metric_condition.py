"""Conditions on a number: what is one, when it holds, and when two share a value."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probes.kit.condition import Condition, overlap, parse_condition

# text -> (values for which it holds, values for which it does not)
HOLDS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "> 0": ((0.1, 5, math.inf), (0, -1, -math.inf)),
    ">= 1": ((1, 2), (0.999,)),
    "== 1": ((1,), (0, 1.0001, math.inf)),
    "!= 3": ((2, math.inf), (3,)),
    "< 7200": ((7199.9, -5, -math.inf), (7200, math.inf)),
    "<=7200": ((7200,), (7201,)),
    "  < -1.5e3 ": ((-1501,), (-1500,)),
    "0..5": ((0, 2.5, 5), (-0.1, 5.1, math.inf)),
    "-5 .. -1": ((-5, -1), (0,)),
    "1..1": ((1,), (0.5, 1.5)),
    "+0.5..2": ((0.5,), (0.4,)),
    "< 2h": ((7199,), (7200,)),
    "1m..1d": ((60, 86400), (59, 86401)),
    "<90s": ((89,), (90,)),
    "== 1 or == 3": ((1, 3), (2,)),
    "0..5 or  > 9 or==7": ((5, 10, 7), (6, 9)),
}

REFUSED: dict[str, tuple[str, str]] = {
    "nothing": ("", "at character 1, a number belongs here"),
    "a number alone": ("5", "at character 2, a number alone needs a sign"),
    "one equals sign": ("= 1", "at character 1, a number"),
    "turned round": ("0 <", "at character 3, a number alone"),
    "and": ("> 0 and < 5", "at character 5, nothing but `or`"),
    "or nothing": ("> 0 or ", "at character 8, a number belongs here"),
    "a word that begins with or": ("> 0 order", "at character 5, nothing but `or`"),
    "a word": ("> many", "at character 3, a number"),
    "an unknown unit": ("< 2w", "at character 3, a number"),
    "two units": ("< 2hm", "at character 3, a number"),
    "NaN": ("== nan", "at character 4, a number"),
    "infinity": ("< inf", "at character 3, a number"),
    "three dots": ("0...5", "at character 4, a number"),
    "a half range": ("0..", "at character 4, a number"),
    "digits of another script": ("> \u0665", "at character 3, a number"),
    "a comma": ("> 0,5", "at character 4, nothing but"),
    "two lines": ("> 0\n> 1", "at character 4, nothing but"),
    "an empty range": ("5..0", "at character 1, .*smaller number first"),
    "too large": ("< 1e999", "at character 3, .*too large"),
    "too many digits": ("< " + "9" * 400, "at character 3, .*too large"),
    "too large with its unit": ("< 1e308d", "at character 3, .*too large"),
    "too many tests": (" or ".join(["== 1"] * 17), "more than 16 tests"),
}

OVERLAPS: dict[str, tuple[str, str, bool]] = {
    "apart": ("< 5", "> 5", False),
    "touching": ("<= 5", ">= 5", True),
    "a range beside": ("< 5", "5..9", False),
    "a range within": ("< 5", "1..2", True),
    "a range across": ("1..3", "2..4", True),
    "between two bounds only": ("> 1", "< 2", True),
    "no number between neighbours": ("> 1", f"< {math.nextafter(1.0, 2.0)!r}", False),
    "both below every bound": ("< 5", "< 9", True),
    "both above every bound": ("> 5", "> 9", True),
    "equal and not": ("== 1", "!= 1", False),
    "two that are not": ("!= 1", "!= 2", True),
    "one of several": ("== 1 or == 5", "4..6", True),
    "none of several": ("== 1 or == 7", "4..6 or == 0", False),
}

CONDITIONS = st.one_of(
    st.builds(
        "{} {}".format, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), st.floats(-9, 9).map(lambda x: f"{x:.2f}")
    ),
    st.tuples(st.integers(-9, 9), st.integers(0, 9)).map(lambda pair: f"{pair[0]}..{pair[0] + pair[1]}"),
).map(parse_condition)


def read(text: str) -> Condition | None:
    """Return the condition, None when it is refused."""
    try:
        return parse_condition(text)
    except ValueError:
        return None


@pytest.mark.parametrize("text", HOLDS)
def test_a_condition_holds_or_not(text: str) -> None:
    """Bounds are included or not as the sign says; infinities are numbers."""
    condition = parse_condition(text)
    met, missed = HOLDS[text]
    assert all(condition.holds(value) for value in met)
    assert not any(condition.holds(value) for value in missed)
    assert condition.text == text.strip()


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_condition_is_refused(name: str) -> None:
    """The error quotes what is written and says what to write."""
    text, complaint = REFUSED[name]
    with pytest.raises(ValueError, match=complaint):
        parse_condition(text)


@given(st.text(max_size=80) | st.text("0123456789.<>=!eE+- orsmhd", max_size=20))
@example("> 1e308")
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    """A value or a ValueError, nothing else; a condition reads its own text again."""
    condition = read(text)
    if condition is not None:
        assert read(condition.text) == condition
        assert condition.holds(0.0) in (True, False)


@pytest.mark.parametrize("name", OVERLAPS)
def test_two_conditions_share_a_value_or_not(name: str) -> None:
    """Overlap is exact, and the same from both sides."""
    one, other, expected = OVERLAPS[name]
    assert overlap(parse_condition(one), parse_condition(other)) is expected
    assert overlap(parse_condition(other), parse_condition(one)) is expected


@given(CONDITIONS, CONDITIONS, st.floats(allow_nan=False))
def test_no_value_meets_two_that_do_not_overlap(one: Condition, other: Condition, value: float) -> None:
    """A value that meets both is found whatever the value."""
    if one.holds(value) and other.holds(value):
        assert overlap(one, other)
