"""Which probes a confirmation round runs."""

from agent.diagnosis.confirm import MOST_ATTEMPTS, confirmation_set
from agent.diagnosis.roles import Model
from probes.kit.spec import Pace
from tests.agent.diagnosis.small import chain, flow, probe
from tests.agent.diagnosis.world import CLOUD, lab_chain


def test_who_can_clear_the_gateway_joins() -> None:
    """The edge's confirmation holds the gateway's witness that does not cross the carrier, however old its pass."""
    passed = dict.fromkeys(CLOUD, 100.0) | {"saas": 95.0}
    chosen = confirmation_set(lab_chain(), "cloud", ["carrier-edge"], passed)
    assert chosen[0] == "carrier-edge"
    assert {"saas", "gw"} <= set(chosen)
    assert "dns" not in chosen


def test_never_passed_never_joins() -> None:
    """A probe that never passed is no witness; the failing one joins all the same."""
    assert confirmation_set(lab_chain(), "cloud", ["erp"], {}) == ("erp",)


def test_strangers_are_left_out() -> None:
    """Unknown names and the other vantage's probes never join."""
    assert confirmation_set(lab_chain(), "cloud", ["o-gw", "nobody"], {"o-gw": 1.0}) == ()


def test_slow_sources_never_join() -> None:
    """A source with a pace of its own is not run in one-second rounds."""
    made = chain({"h": "a", "x": "b"}, [probe("p", ["h", "x"]), probe("slow", ["h", "x"], pace=Pace.OWN)])
    assert confirmation_set(made, "v", ["p", "slow"], {"p": 1.0, "slow": 1.0}) == ("p",)


def test_different_targets() -> None:
    """Two probes of one target are one witness."""
    same = flow("10.0.0.9")
    made = chain(
        {"h": "a", "x": "b", "y": "b"},
        [probe("p", ["h", "x", "y"]), probe("q", ["h", "x"], to=same), probe("r", ["h", "x"], to=same)],
    )
    assert set(confirmation_set(Model(made), "v", ["p"], {"q": 1.0, "r": 1.0})) == {"p", "q"}


def test_at_most_three_witnesses_a_segment_and_fifty_in_all() -> None:
    """The bound on traffic holds however many probes there are."""
    many = [probe(f"p{n}", ["h", f"x{n % 60}", "y"]) for n in range(300)]
    made = chain({"h": "a", "y": "b", **{f"x{n}": "b" for n in range(60)}}, many)
    passed = {p.id: 1.0 for p in many}
    assert len(confirmation_set(made, "v", ["p0"], passed)) <= 1 + 2 * 3
    assert len(confirmation_set(made, "v", [p.id for p in many], passed)) == MOST_ATTEMPTS
