"""Conditions on one number, as a chain file writes them: `> 0`, `== 1`, `< 7200`, `0..5`.

Pure. What must stay true: any text gives a `Condition` or a ValueError that says what to write; a
condition holds or does not hold for every number but NaN, which the caller has to sort out before.
"""

import math
import operator
import re
from collections.abc import Callable
from typing import Final

import msgspec

_NUMBER: Final = r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?"
_COMPARISON: Final = re.compile(rf"(==|!=|<=|>=|<|>) *({_NUMBER})")
_RANGE: Final = re.compile(rf"({_NUMBER}) *\.\. *({_NUMBER})")
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison with `low`, or the range from `low` to `high`, both included."""

    text: str
    sign: str
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Return whether `value`, which is not NaN, meets the condition."""
        if self.sign == "..":
            return self.low <= value <= self.high
        return _COMPARE[self.sign](value, self.low)


def parse_condition(text: str) -> Condition:
    """Read a condition; ValueError says what to write."""
    bare = text.strip()
    if found := _COMPARISON.fullmatch(bare):
        number = _finite(found[2])
        return Condition(text=bare, sign=found[1], low=number, high=number)
    if found := _RANGE.fullmatch(bare):
        low, high = _finite(found[1]), _finite(found[2])
        if low > high:
            raise ValueError(f"the range {bare!r} is empty; write the smaller number first")
        return Condition(text=bare, sign="..", low=low, high=high)
    raise ValueError(
        f"{text[:40]!r} is no condition; write one in quotes, such as "
        '"> 0", ">= 1", "== 1", "!= 3", "< 7200", or a range "0..5"'
    )


def overlap(one: Condition, other: Condition) -> bool:
    """Return whether some number meets both.

    Between two neighbouring bounds nothing changes, so the bounds and their neighbours stand for all.
    """
    bounds = {one.low, one.high, other.low, other.high}
    beside = {math.nextafter(bound, way) for bound in bounds for way in (-math.inf, math.inf)}
    return any(one.holds(value) and other.holds(value) for value in bounds | beside)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]!r} is too large a number")
    return number
