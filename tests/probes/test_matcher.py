"""Matchers of label values."""

import fnmatch
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.matcher import Matcher, parse_matcher

# matcher -> (values that fit, values that do not)
FITS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "volume=C:": (("C:",), ("D:", "", "C:\\")),
    "volume=C:|D:": (("C:", "D:"), ("C:|D:", "E:")),
    "volume!=C:|D:": (("E:", ""), ("C:", "D:")),
    "a=": (("",), ("x",)),
    "a!=": (("x",), ("",)),
    "a=b=c": (("b=c",), ("b",)),
    "a=db-*": (("db-", "db-1"), ("adb-1", "db")),
    "a=*.lab": (("x.lab", ".lab"), ("x.lab.",)),
    "a=a*a": (("aa", "aba"), ("a",)),
    "a=*b*b*": (("bb", "abcbd"), ("ab",)),
    "a=*": (("", "x"), ()),
    "a=x\ny": (("x\ny",), ("x",)),
}


@pytest.mark.parametrize("text", FITS)
def test_values_fit_or_not(text: str) -> None:
    """One of the values, or none of them; a star is any text."""
    matcher = parse_matcher(text)
    fit, differ = FITS[text]
    assert [value for value in fit if not matcher.fits(value)] == []
    assert [value for value in differ if matcher.fits(value)] == []


@pytest.mark.parametrize("text", ["", "a", "=x", "a b=x", "__name__=x", "a~=x", "a!x"])
def test_what_is_no_matcher_is_refused(text: str) -> None:
    """The error says what to write."""
    with pytest.raises(ValueError, match=r"label=one\|other"):
        parse_matcher(text)


@given(st.text(max_size=30))
def test_any_text_is_a_matcher_or_refused(text: str) -> None:
    """A value or a ValueError, nothing else."""
    for candidate in (text, "a=" + text):
        try:
            assert isinstance(parse_matcher(candidate), Matcher)
        except ValueError:
            assert not candidate.startswith("a=")


@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_a_star_means_what_it_means_elsewhere(pattern: str, value: str) -> None:
    """As in a shell's patterns."""
    expected = re.match(fnmatch.translate(pattern), value) is not None
    assert Matcher(label="a", forbidden=False, values=(pattern,)).fits(value) is expected


def test_hostile_values_cost_one_pass() -> None:
    """Many stars against a long value that nearly fits end at once."""
    matcher = parse_matcher("a=" + "*a" * 30 + "*b")
    began = time.process_time()
    assert not matcher.fits("a" * 16_000)
    assert time.process_time() - began < 0.5
