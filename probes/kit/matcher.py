"""Matchers of label values, as a chain file writes them: `volume=C:|D:`, `instance=db-*`, `state!=stopped`.

    matcher = label ("=" | "!=") value { "|" value }     (`*` in a value stands for any text)

No regular expressions: a pattern of the chain file and a value of somebody else's exporter must not
meet in one that takes for ever. Pure. What must stay true: any text gives a `Matcher` or a
ValueError; matching takes time in proportion to the value.
"""

import re
from typing import Final

import msgspec

LABEL_NAME: Final = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]{0,254}")
_MATCHER: Final = re.compile(rf"({LABEL_NAME.pattern})(!?=)(.*)", re.DOTALL)


class Matcher(msgspec.Struct, frozen=True, kw_only=True):
    """A label, and the values that it must (or with `forbidden` must not) have; a missing label is an empty value."""

    label: str
    forbidden: bool
    values: tuple[str, ...]

    def fits(self, value: str) -> bool:
        """Return whether a series whose label has `value` is meant."""
        return any(_like(value, pattern) for pattern in self.values) != self.forbidden


def parse_matcher(text: str) -> Matcher:
    """Read a matcher; ValueError says what to write."""
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r}: write `label=value`, `label!=value`, `label=one|other` or `label=text*`")
    return Matcher(label=found[1], forbidden=found[2] == "!=", values=tuple(found[3].split("|")))


def _like(value: str, pattern: str) -> bool:
    """Return whether `value` is `pattern`, in which `*` stands for any text."""
    first, *parts = pattern.split("*")
    if not parts:
        return value == first
    *middle, last = parts
    if len(value) < len(first) + len(last) or not (value.startswith(first) and value.endswith(last)):
        return False
    at, end = len(first), len(value) - len(last)
    for part in middle:
        at = value.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True
