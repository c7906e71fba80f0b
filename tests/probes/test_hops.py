"""Hop tables: what silence and loss mean, when a path has changed, whose a hop is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit import hops
from probes.kit.hops import LOSING, SILENT, SPARING, Hop, Seen

SENT = dict.fromkeys(range(1, 9), 3)


def seen(ttl: int, address: str = "", *, count: int = 3, end: bool = False) -> list[Seen]:
    """Return `count` answers of one hop."""
    return [Seen(ttl=ttl, address=address or f"10.0.0.{ttl}", seconds=ttl / 1000, end=end)] * count


def table(*answers: list[Seen]) -> tuple[Hop, ...]:
    """Return the hops of these answers."""
    return hops.hops(SENT, [one for some in answers for one in some])


NOTES: dict[str, tuple[tuple[Hop, ...], tuple[str, ...]]] = {
    "all answer": (table(seen(1), seen(2), seen(3, end=True)), ("", "", "")),
    "a silent hop": (table(seen(1), seen(3, end=True)), ("", SILENT, "")),
    "a hop that limits its rate": (table(seen(1), seen(2, count=1), seen(3, end=True)), ("", SPARING, "")),
    "loss that goes on": (
        table(seen(1), seen(2, count=2), seen(3, count=2, end=True)),
        ("", LOSING, LOSING),
    ),
    "loss at the end only": (table(seen(1), seen(2), seen(3, count=1, end=True)), ("", "", LOSING)),
    "silence behind the last hop": (table(seen(1), seen(2, count=1)), ("", "")),
    "a rate limit on a path without an end": (table(seen(1, count=1), seen(2)), (SPARING, "")),
    "nobody": ((), ()),
}


@pytest.mark.parametrize("case", NOTES)
def test_notes(case: str) -> None:
    """Only loss that goes on to the target is loss; where no target answered, it cannot be told."""
    path, expected = NOTES[case]
    assert hops.notes(path) == expected


def test_a_table_ends_where_packets_end() -> None:
    """Packets with more hops than the path has are answered by its end too: they make no hops."""
    path = table(seen(1), seen(2, end=True), seen(3, "10.0.0.2", end=True))
    assert [(hop.ttl, hop.answered, hop.end) for hop in path] == [(1, 3, False), (2, 3, True)]


def test_medians_and_spread_hops() -> None:
    """A hop with several routers names each; its trip is a median, and absent where nothing was timed."""
    trips = (0.003, 0.001, 0.002)
    answers = [Seen(ttl=1, address=f"10.0.0.{n % 2}", seconds=trip) for n, trip in enumerate(trips)]
    (hop,) = hops.hops({1: 3}, answers)
    assert (hop.addresses, hop.median, hop.lost) == (("10.0.0.0", "10.0.0.1"), 0.002, 0)
    assert hops.hops({1: 1}, [Seen(ttl=1, address="10.0.0.1")])[0].median is None


def test_a_hop_to_which_nothing_could_be_sent() -> None:
    """Is as silent as any other."""
    path = hops.hops({1: 0, 2: 1}, seen(2, count=1, end=True))
    assert hops.notes(path) == (SILENT, "")
    assert path[0].lost == 1


PATH = table(seen(1), seen(2), seen(3), seen(4, end=True))
CHANGES: dict[str, tuple[tuple[Hop, ...], str]] = {
    "the same": (PATH, ""),
    "a silent hop": (table(seen(1), seen(3), seen(4, end=True)), ""),
    "cut short": (table(seen(1), seen(2)), ""),
    "nothing": ((), ""),
    "another router": (table(seen(1), seen(2, "10.9.9.9"), seen(4, end=True)), "hop 2 was 10.0.0.2, is 10.9.9.9"),
    "one of two routers": (table(seen(1), [*seen(2, "10.9.9.9", count=1), *seen(2, count=1)], seen(4, end=True)), ""),
    "longer": (table(seen(1), seen(2), seen(3), seen(5, end=True)), "the end was at hop 4, is at hop 5"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_changes(case: str) -> None:
    """Silence is no change; another router in the same place is, and another distance."""
    now, expected = CHANGES[case]
    assert hops.change(PATH, now) == expected
    assert hops.change((), now) == ""


def test_what_is_remembered() -> None:
    """Hops that are silent now are still known; after a change only what is seen counts."""
    silent = table(seen(1), seen(3), seen(4, end=True))
    short = table(seen(1))
    longer = table(*(seen(ttl) for ttl in range(1, 6)), seen(6, end=True))
    assert hops.remembered(PATH, silent, changed=False)[1] == PATH[1]
    assert hops.remembered(PATH, short, changed=False) == PATH
    assert hops.remembered(PATH, (), changed=False) == PATH
    assert hops.remembered(short, longer, changed=False) == longer
    assert hops.remembered(PATH, short, changed=True) == short


PREFIXES = {"carrier": ["198.51.100.0/24", "2001:db8::/32"], "gw": ["198.51.100.1/32"]}


def test_whose_a_hop_is() -> None:
    """The longest prefix names it; an unknown one has no name."""
    known = hops.networks(PREFIXES)
    addresses = ("198.51.100.1", "198.51.100.2", "2001:db8::9%eth0", "203.0.113.1")
    assert [hops.name_of(address, known) for address in addresses] == ["gw", "carrier", "carrier", ""]
    path = table(seen(1, "198.51.100.1"), seen(3, "203.0.113.1", count=1))
    assert hops.described(path, known) == "198.51.100.1 (gw) > * > 203.0.113.1 (?)"
    assert hops.described(path, ()) == "198.51.100.1 > * > 203.0.113.1"
    assert hops.described((), known) == "no hop answered"
    first, silent, stranger = hops.rows(path, known)
    assert stranger["segment"] == hops.UNKNOWN
    assert first == {
        "hop": 1,
        "address": "198.51.100.1",
        "segment": "gw",
        "median_seconds": 0.001,
        "sent": 3,
        "lost": 0,
        "mpls": None,
        "note": None,
    }
    assert (silent["address"], silent["lost"], silent["note"]) == (None, 3, SILENT)


WRONG = {
    "no prefix": ({"a": ["10.0.0.0/33"]}, "write such as"),
    "host bits": ({"a": ["10.0.0.1/24"]}, "host bits"),
    "two owners": ({"a": ["10.0.0.0/8"], "b": ["10.0.0.0/8"]}, "stands at a and at b"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_prefixes(case: str) -> None:
    """What is no prefix, or has two names, is refused when the file is read."""
    prefixes, words = WRONG[case]
    with pytest.raises(ValueError, match=words):
        hops.networks(prefixes)


@st.composite
def answers(draw: st.DrawFn) -> list[Seen]:
    """Draw what several rounds may have seen."""
    one = st.builds(
        Seen,
        ttl=st.integers(1, 8),
        address=st.sampled_from(["10.0.0.1", "10.0.0.2", "2001:db8::1"]),
        seconds=st.none() | st.floats(0, 1),
        end=st.booleans(),
    )
    found: list[Seen] = draw(st.lists(one, max_size=24))
    return [one for place, one in enumerate(found) if [o.ttl for o in found[:place]].count(one.ttl) < 3]


@given(answers(), answers())
def test_any_answers_make_a_table(before: list[Seen], now: list[Seen]) -> None:
    """Every table has a note for each hop, losses between 0 and 1, an end at its end only, and can be compared."""
    old, new = hops.hops(SENT, before), hops.hops(SENT, now)
    assert len(hops.notes(new)) == len(new) == len(hops.rows(new, ()))
    assert all(0 <= hop.lost <= 1 for hop in new)
    assert not any(hop.end for hop in new[:-1])
    change = hops.change(old, new)
    kept = hops.remembered(old, new, changed=bool(change))
    assert [hop.ttl for hop in kept] == list(range(1, len(kept) + 1))
    assert hops.change(kept, new) == ""
