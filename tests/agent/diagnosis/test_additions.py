"""What to add to a chain so that it proves more: every proposal really decides what it says."""

import msgspec
import pytest

from agent.diagnosis.additions import Addition, additions
from agent.model import Chain, Segment, Vantage
from tests.agent.diagnosis.small import chain, flow, probe
from tests.agent.diagnosis.world import lab_chain

OWNERS = {"h": "a", "g": "a", "c": "b", "k": "d", "x": "d"}


def far(*more: str) -> Chain:
    """Return a chain whose far side has no vantage, with a probe to the far gateway, to it and beyond."""
    paths = {"near": ["h", "g"], "out": ["h", "g", "c"], "far": ["h", "g", "c", "k"], "app": ["h", "g", "c", "k", "x"]}
    made = chain(
        OWNERS, [probe(name, paths[name], to=flow(f"10.0.0.{n}")) for n, name in enumerate(paths) if name in more]
    )
    sides = {s: msgspec.structs.replace(v, side="onprem" if s in "kx" else "cloud") for s, v in made.segments.items()}
    return msgspec.structs.replace(made, segments=sides)


def test_a_second_vantage() -> None:
    """Where the far gateway and the way to it look alike, a host beside it is proposed, with its owner's consent."""
    found = [a for a in additions(far("near", "out", "far", "app")) if a.kind == "vantage"]
    (vantage,) = found
    assert (vantage.beside, vantage.consent) == ("k", ("d",))
    assert {p.path for p in vantage.probes} >= {("host beside k", "k"), ("host beside k", "k", "c", "g")}
    assert "10.0.0.3" in {p.target for p in vantage.probes}


def test_an_idle_vantage_is_used() -> None:
    """A vantage that stands there already and measures nothing needs nobody's consent."""
    made = far("near", "out", "far", "app")
    made = msgspec.structs.replace(
        made,
        segments={**made.segments, "w": Segment(id="w", owners=("a",), side="onprem")},
        vantages={**made.vantages, "w": Vantage(id="w", segment="w", operator="a")},
    )
    (vantage,) = [a for a in additions(made) if a.kind == "vantage"]
    assert (vantage.probes[0].vantage, vantage.probes[0].path[0], vantage.consent) == ("w", "w", ())


def test_a_probe_on_the_way() -> None:
    """With one probe to the far end, one to an address on the way is proposed first."""
    first = additions(far("app"))[0]
    assert first.kind in ("probe", "vantage")
    assert first.decides > 0


def test_a_way_out() -> None:
    """That a gateway forwards is shown by a service elsewhere, which needs nobody's consent."""
    made = chain({"h": "a", "g": "b", "c": "d"}, [probe("near", ["h", "g"]), probe("far", ["h", "g", "c"])])
    assert ("way-out", 1, ()) in [(a.kind, min(a.decides, 1), a.consent) for a in additions(made)]


def test_a_tunnel_has_no_address() -> None:
    """Nobody is asked to let a tunnel answer."""
    assert all(p.path[-1] != "vpn" for a in additions(lab_chain()) for p in a.probes)


def test_what_is_decided_needs_nothing() -> None:
    """A chain in which every single fault names its owner gets no proposal; nor does one without probes."""
    made = chain({"h": "a", "g": "b"}, [probe("near", ["h", "g"])])
    assert additions(made) == ()
    assert additions(msgspec.structs.replace(made, probes={})) == ()


def test_large_chains_are_left_alone() -> None:
    """Beyond five hundred probes nothing is looked for."""
    made = chain({"h": "a", "g": "b", "x": "c"}, [probe(f"p{n}", ["h", "g", "x"]) for n in range(501)])
    assert additions(made) == ()


@pytest.mark.parametrize("most", [1, 2])
def test_best_first(most: int) -> None:
    """Additions come best first, at most as many as were asked for."""
    found: tuple[Addition, ...] = additions(far("app"), most)
    assert len(found) <= most
    assert [a.decides for a in found] == sorted((a.decides for a in found), reverse=True)
