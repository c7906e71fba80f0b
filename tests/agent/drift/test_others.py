"""What a peer tells of its changes, and how far it is taken."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.drift.book import CHANGES_KEPT
from agent.drift.others import read_changes
from agent.drift.value import Change, Event, Move

NOW = 1_000_000.0
GOOD = Change(
    event=Event.CHANGED,
    at=NOW - 5.0,
    vantage="onprem",
    probe="o-tunnel",
    segments=("vpn",),
    moves={"mode": Move(before="a", after="b")},
)


def changed(**more: object) -> Change:
    """Return the good change, otherwise."""
    return msgspec.structs.replace(GOOD, **more)


CASES: dict[str, tuple[Change, bool]] = {
    "its own": (GOOD, True),
    "the chain file's": (changed(probe="", segments=()), True),
    "another vantage's": (changed(vantage="cloud"), False),
    "its clock is a little ahead": (changed(at=NOW + 29.0), True),
    "of a time to come": (changed(at=NOW + 31.0), False),
    "a long value": (changed(moves={"mode": Move(before="a", after="b" * 500)}), False),
    "an unprintable value": (changed(moves={"mode": Move(before="\x1b[2J", after="b")}), False),
    "a long name": (changed(moves={"m" * 200: Move(after="b")}), False),
    "an unprintable segment": (changed(segments=("v\n",)), False),
    "too many facts": (changed(moves={str(number): Move(after="b") for number in range(300)}), False),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_taken(case: str) -> None:
    """It speaks for itself, for the past, and within bounds."""
    change, taken = CASES[case]
    assert read_changes(msgspec.json.encode([change]), "onprem", NOW) == ((change,) if taken else ())


def test_as_many_as_are_kept() -> None:
    """More are not shown."""
    assert len(read_changes(msgspec.json.encode([GOOD] * 500), "onprem", NOW)) == CHANGES_KEPT


def test_keys_of_a_later_version_are_passed_over() -> None:
    """The words of the API stand beside each change."""
    told = [{**msgspec.to_builtins(GOOD), "text": "in words", "more": 1}]
    assert read_changes(msgspec.json.encode(told), "onprem", NOW) == (GOOD,)


@given(st.binary(max_size=64) | st.text(max_size=64).map(str.encode))
def test_any_bytes(body: bytes) -> None:
    """Whatever comes, nothing raises."""
    assert all(isinstance(one, Change) for one in read_changes(body, "onprem", NOW))
