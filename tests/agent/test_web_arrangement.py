"""The order of the chain on screen: from paths alone, whole, and with every demarcation line."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agent.model import Chain, Segment, Vantage
from agent.web.arrangement import arrange
from tests.agent.samples import CHAIN, probe


def chain_of(
    segments: dict[str, tuple[str, str]], paths: dict[str, str], vantages: dict[str, str] | None = None
) -> Chain:
    """Return a chain of `segment -> (owner, side)` and `probe -> path`; a path's first segment is its vantage's."""
    at = vantages or {path.split()[0]: path.split()[0] for path in paths.values()}
    return msgspec.structs.replace(
        CHAIN,
        segments={s: Segment(id=s, owners=tuple(o.split("+")), side=side) for s, (o, side) in segments.items()},
        vantages={v: Vantage(id=v, segment=s, operator="msp") for v, s in at.items()},
        probes={n: probe(n, path.split()[0], "icmp", "10.0.0.1", path) for n, path in paths.items()},
    )


def columns(chain: Chain) -> list[str]:
    """Return the columns as words."""
    return [" ".join(c.segments) for c in arrange(chain).columns]


def test_the_example_chain() -> None:
    """The chain of the design stands from the cloud host to the on-premise host."""
    assert columns(CHAIN) == [
        "cloud-host",
        "dns cloud-gw",
        "carrier",
        "vpn",
        "onprem-gw",
        "onprem-fw",
        "erp-app hr-app",
        "onprem-host",
    ]


def test_the_example_chain_has_its_lines() -> None:
    """Its demarcation lines stand where carrier, tunnel and on-premise gateway begin, and before Entra."""
    picture = arrange(CHAIN)
    assert [c.segments[0] for c in picture.columns if c.lines] == ["carrier", "vpn", "onprem-gw"]
    assert picture.branches[0].segment == "entra"
    assert picture.branches[0].after == ("cloud-gw",)
    assert picture.branches[0].lines == (("cloud-gw", "entra"),)
    assert ("carrier", "onprem-gw") in picture.lines


def test_an_on_premise_vantage_alone_gives_the_same_order() -> None:
    """Paths from the on-premise side are read from right to left."""
    sides = {"gw": ("a", "cloud"), "wan": ("b", "transit"), "edge": ("c", "onprem"), "host": ("c", "onprem")}
    assert columns(chain_of(sides, {"p": "host edge wan gw"})) == ["gw", "wan", "edge", "host"]


def test_a_branch_seen_from_the_on_premise_side() -> None:
    """An online service hangs on what leads to it, from whatever side it is measured."""
    sides = {"gw": ("a", "cloud"), "host": ("c", "onprem"), "mail": ("m", "saas")}
    picture = arrange(chain_of(sides, {"p": "host gw mail"}))
    assert picture.branches[0].after == ("gw",)
    assert picture.branches[0].lines == (("gw", "mail"),)


def test_a_different_way_back_counts() -> None:
    """Neighbours on the return path make demarcation lines as well."""
    sides = {"h": ("a", "cloud"), "x": ("a", "cloud"), "y": ("b", "transit")}
    chain = chain_of(sides, {"p": "h x"})
    back = msgspec.structs.replace(chain.probes["p"], back=("h", "y"))
    assert ("h", "y") in arrange(msgspec.structs.replace(chain, probes={"p": back})).lines


def test_paths_that_disagree_still_give_a_picture() -> None:
    """Two paths in opposite order make a cycle; every segment still appears once."""
    sides = {"h": ("a", "cloud"), "x": ("b", "transit"), "y": ("c", "transit"), "z": ("c", "transit")}
    chain = chain_of(sides, {"p": "h x y z", "q": "h z x"})
    assert sorted(" ".join(columns(chain)).split()) == ["h", "x", "y", "z"]


def test_segments_without_probes_stand_with_their_side() -> None:
    """A segment that no probe crosses is shown all the same."""
    sides = {"h": ("a", "cloud"), "x": ("b", "transit"), "lost": ("c", "onprem")}
    assert columns(chain_of(sides, {"p": "h x"})) == ["h", "x", "lost"]


def test_what_is_seen_only_through_an_online_service_is_a_branch_too() -> None:
    """A synchronisation server that only the online service speaks of stands behind that service."""
    sides = {
        "h": ("a", "cloud"),
        "gw": ("a", "cloud"),
        "sync": ("c", "onprem"),
        "entra": ("m", "saas"),
        "edge": ("c", "onprem"),
    }
    picture = arrange(chain_of(sides, {"p": "h gw edge", "q": "h gw entra sync"}))
    assert [c.segments for c in picture.columns] == [("h",), ("gw",), ("edge",)]
    assert [(b.segment, b.after, b.lines) for b in picture.branches] == [
        ("entra", ("gw",), (("gw", "entra"),)),
        ("sync", ("entra",), (("entra", "sync"),)),
    ]


def test_a_line_stands_where_the_columns_change_owner() -> None:
    """A step over a column of its own new owner has its line before that column."""
    sides = {"h": ("a", "cloud"), "x": ("c", "onprem"), "y": ("c", "onprem")}
    picture = arrange(chain_of(sides, {"p": "h y", "q": "h x y"}))
    assert [bool(c.lines) for c in picture.columns] == [False, True, False]
    assert picture.columns[1].lines == (("h", "y"), ("h", "x"))


names = st.sampled_from("abcdefgh")
owned = st.tuples(st.sampled_from(["p", "q", "p+q"]), st.sampled_from(["cloud", "line", "transit", "onprem", "saas"]))


@given(
    st.dictionaries(names, owned, min_size=2, max_size=8).flatmap(
        lambda segments: st.tuples(
            st.just(segments),
            st.dictionaries(
                st.sampled_from(["p1", "p2", "p3", "p4"]),
                st.lists(st.sampled_from(sorted(segments)), min_size=1, unique=True).map(" ".join),
                max_size=4,
            ),
        )
    )
)
def test_any_chain(case: tuple[dict[str, tuple[str, str]], dict[str, str]]) -> None:
    """Every segment stands exactly once, and every change of owner on a path has its line."""
    chain = chain_of(*case)
    picture = arrange(chain)
    shown = [s for c in picture.columns for s in c.segments] + [b.segment for b in picture.branches]
    assert sorted(shown) == sorted(chain.segments)
    drawn = {frozenset(line) for line in picture.lines}
    for item in chain.probes.values():
        for left, right in zip(item.path, item.path[1:], strict=False):
            changes = chain.segments[left].owners != chain.segments[right].owners
            assert (frozenset((left, right)) in drawn) is changes
