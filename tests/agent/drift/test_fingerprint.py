"""Facts within bounds: what a hostile peer puts into them neither grows nor disappears."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.drift.fingerprint import MOST_FACTS, NAME_LENGTH, OTHERS, VALUE_LENGTH, bounded

CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "plain": ({"b": "2", "a": "1"}, {"a": "1", "b": "2"}),
    "nothing told": ({"a": ""}, {}),
    "unprintable values": ({"a": "x\n\x1b[31m"}, {"a": "x??[31m... sha256:"}),
    "unprintable names": ({"ä": "1", "": "2"}, {"?#": "1"}),
}


@pytest.mark.parametrize("case", CASES)
def test_bounded(case: str) -> None:
    """Plain facts stay as they are, others are made printable and told apart by their digest."""
    facts, wanted = CASES[case]
    found = bounded(facts)
    for name, value in wanted.items():
        assert any(key.startswith(name) and told.startswith(value) for key, told in found.items()), found
    assert len(found) == sum(bool(value) for value in facts.values())


def test_long_values_differ_at_their_end() -> None:
    """What is cut off still makes a difference."""
    assert bounded({"a": "x" * 300 + "1"}) != bounded({"a": "x" * 300 + "2"})


def test_too_many_facts_differ_in_their_digest() -> None:
    """A change of a fact that has no room of its own shows in the digest of the rest."""
    many = {f"fact {number:04}": "1" for number in range(MOST_FACTS + 10)}
    found = bounded(many)
    assert len(found) == MOST_FACTS
    assert found[OTHERS].startswith("11 more, sha256:")
    assert bounded(many | {f"fact {MOST_FACTS + 9:04}": "2"}) != found


@given(st.dictionaries(st.text(max_size=150), st.text(max_size=300), max_size=8))
def test_any_facts(facts: dict[str, str]) -> None:
    """Names are printable ASCII, values printable, both bounded; the same facts give the same result."""
    found = bounded(facts)
    assert found == bounded(dict(reversed(facts.items())))
    assert all(0 < len(name) <= NAME_LENGTH and name.isascii() and name.isprintable() for name in found)
    assert all(0 < len(value) <= VALUE_LENGTH and value.isprintable() for value in found.values())
