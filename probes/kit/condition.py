"""Conditions on one number, as a chain file writes them: `> 0`, `== 1`, `< 2h`, `0..5`, `== 1 or == 3`.

    condition = test { "or" test }
    test      = sign number | number ".." number      (a range includes both ends)
    sign      = "==" | "!=" | "<" | "<=" | ">" | ">="
    number    = [sign] digits ["." digits] [exponent] [unit]
    unit      = "s" | "m" | "h" | "d"                 (seconds, minutes, hours, days: the number is in seconds)

Pure. What must stay true: any text gives a `Condition` or a ValueError that says where it is wrong
and what to write; a condition holds or does not hold for every number but NaN, which the caller has
to sort out before.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

GRAMMAR: Final = '"> 0", ">= 1", "== 1", "!= 3", "< 2h", a range "0..5", or several with "or"'
_NUMBER: Final = re.compile(r"([+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?)([smhd]?)(?![0-9A-Za-z_])")
_SIGN: Final = re.compile(r"==|!=|<=|>=|<|>")
_RANGE: Final = re.compile(r"\.\.")
_OR: Final = re.compile(r"or(?![0-9A-Za-z_])")
_BLANKS: Final = re.compile(r"[ \t]*")
_SECONDS: Final[Mapping[str, float]] = MappingProxyType({"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400})
_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = MappingProxyType(
    {
        "==": operator.eq,
        "!=": operator.ne,
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
    }
)
_MOST_TESTS: Final = 16  # more is a table, not a condition


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison with `low`, or (sign `..`) the range from `low` to `high`, both included."""

    sign: str
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Return whether `value`, which is not NaN, passes."""
        if self.sign == "..":
            return self.low <= value <= self.high
        return _COMPARE[self.sign](value, self.low)


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """Tests, one of which a number has to pass; `text` as it was written."""

    text: str
    tests: tuple[Comparison, ...]

    def holds(self, value: float) -> bool:
        """Return whether `value`, which is not NaN, meets the condition."""
        return any(test.holds(value) for test in self.tests)


def parse_condition(text: str) -> Condition:
    """Read a condition; ValueError says what to write."""
    return _Reader(text).condition()


def overlap(one: Condition, other: Condition) -> bool:
    """Return whether some number meets both.

    Between two neighbouring bounds nothing changes, so the bounds and their neighbours stand for all.
    """
    bounds = {bound for test in (*one.tests, *other.tests) for bound in (test.low, test.high)}
    beside = {math.nextafter(bound, way) for bound in bounds for way in (-math.inf, math.inf)}
    return any(one.holds(value) and other.holds(value) for value in bounds | beside)


class _Reader:
    """Reads one condition from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def condition(self) -> Condition:
        tests = [self._test()]
        while self._take(_OR):
            if len(tests) == _MOST_TESTS:
                raise self._wrong(f"more than {_MOST_TESTS} tests")
            tests.append(self._test())
        if self._at < len(self._text):
            raise self._wrong("nothing but `or` and another test may follow")
        return Condition(text=self._text.strip(), tests=tuple(tests))

    def _test(self) -> Comparison:
        sign = self._take(_SIGN)
        if sign:
            number = self._number()
            return Comparison(sign=sign[0], low=number, high=number)
        start = self._at
        low = self._number()
        if not self._take(_RANGE):
            raise self._wrong("a number alone needs a sign before it or `..` and another number behind it")
        high = self._number()
        if low > high:
            self._at = start
            raise self._wrong("the range is empty; write the smaller number first")
        return Comparison(sign="..", low=low, high=high)

    def _number(self) -> float:
        found = self._take(_NUMBER)
        if not found:
            raise self._wrong("a number belongs here")
        number = float(found[1]) * _SECONDS[found[2]]
        if not math.isfinite(number):
            self._at -= len(found[0])
            raise self._wrong("the number is too large")
        return number

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Take what `pattern` matches, and the blanks around it."""
        at = self._skip(self._at)
        found = pattern.match(self._text, at)
        self._at = self._skip(found.end()) if found else at
        return found

    def _skip(self, at: int) -> int:
        found = _BLANKS.match(self._text, at)
        return found.end() if found else at

    def _wrong(self, why: str) -> ValueError:
        return ValueError(
            f"{self._text[:40]!r} is no condition: at character {self._at + 1}, {why}; write in quotes {GRAMMAR}"
        )
