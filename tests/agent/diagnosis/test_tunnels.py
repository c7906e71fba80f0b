"""A tunnel carries packets for some addresses and not for the next: what clears it of a silent one."""

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.diagnosis.evidence import Window
from agent.diagnosis.finding import Kind
from agent.diagnosis.proof import Prover
from agent.diagnosis.role import Carried
from agent.diagnosis.roles import Model
from agent.diagnosis.tunnels import tunnel_segment
from agent.model import Chain, Probe
from agent.observation import Observation
from agent.replay import replay
from probes.kit.result import Outcome, Stage
from probes.kit.spec import Evidence, Flow
from tests.agent.diagnosis.small import chain, flow, probe
from tests.agent.diagnosis.world import lab_chain, observation, record

OWNERS = {"h": "a", "vpn": "a+b", "gw": "b", "fw": "b", "x": "b"}
FAR = ("h", "vpn", "gw", "fw", "x")


def word(networks: tuple[str, ...] | None, path: Iterable[str] = ("h", "gw", "vpn")) -> Probe:
    """Return the probe that asks the tunnel's gateway."""
    asked = Flow(host="/run/gate", protocol="unix", function="vici", connect_bytes=0, carry_bytes=0, carries=networks)
    return probe("tunnel", tuple(path), to=asked, evidence=Evidence.STATE)


def site(tell: Probe | None, *more: Probe) -> Chain:
    """Return a chain whose far site is behind a tunnel."""
    web = flow("10.20.0.20", protocol="tcp", port=443, size=1500, function="GET /")
    named = flow("erp.example", protocol="tcp", port=443, size=1500, function="GET /")
    plain = [
        probe("anchor", FAR[:3], to=flow("10.20.0.1")),
        probe("web", FAR, to=web),
        probe("named", FAR, to=named),
        probe("ping", FAR, to=flow("10.20.0.20")),
        probe("outside", FAR, to=flow("10.99.0.1")),
    ]
    return chain(OWNERS, [*plain, *([tell] if tell else []), *more], filters=["fw"])


def carried(chain_: Chain, name: str, outcome: Outcome = Outcome.FAILED, **more: object) -> tuple[set[str], set[str]]:
    """Return the addresses of the tunnel that an outcome accuses and clears."""
    model = Model(chain_)
    seen = Observation(time=0, round=1, **{"vantage": "v", **more}, probe=name, outcome=outcome)  # type: ignore[arg-type]
    effect = model.effect(seen)
    accused, cleared = (
        {role.host for n in numbers if isinstance(role := model.roles[n], Carried)}
        for numbers in (effect.accused, effect.cleared)
    )
    return accused, cleared


AGREED = word(("10.20.0.0/16", "10.21.0.0/16"))
CASES = {
    "silence accuses the tunnel for that address": (
        carried(site(AGREED), "web", stage=Stage.CONNECT),
        ({"10.20.0.20"}, set()),
    ),
    "a refusal behind it has crossed it, as far as the filter": (
        carried(site(AGREED), "web", stage=Stage.CONNECT, fault="refused"),
        (set(), {"10.20.0.20"}),
    ),
    "silence after connecting leaves it alone": (
        carried(site(AGREED), "web", stage=Stage.SECURE),
        (set(), {"10.20.0.20"}),
    ),
    "an answer that says no clears it": (
        carried(site(AGREED), "web", stage=Stage.ANSWER, answered=True),
        (set(), {"10.20.0.20"}),
    ),
    "a pass clears that address only": (carried(site(AGREED), "ping", Outcome.OK), (set(), {"10.20.0.20"})),
    "an error from beyond it clears it": (
        carried(site(AGREED), "web", stage=Stage.CONNECT, fault="host-unreachable", by="10.20.0.1"),
        (set(), {"10.20.0.20"}),
    ),
    "the gateway's good word clears names, and the addresses that were agreed": (
        carried(site(AGREED), "tunnel", Outcome.OK),
        (set(), {"10.20.0.1", "10.20.0.20", "erp.example"}),
    ),
    "a sign of trouble is no good word": (carried(site(AGREED), "tunnel", Outcome.DEGRADED), (set(), set())),
    "without what was agreed a tunnel is a segment like any other": (
        carried(site(word(())), "web", stage=Stage.CONNECT),
        (set(), set()),
    ),
    "a chain without its word knows no addresses": (
        carried(site(None), "web", stage=Stage.CONNECT),
        (set(), set()),
    ),
    "nor does one with a state that is no tunnel's": (
        carried(site(word(None)), "web", stage=Stage.CONNECT),
        (set(), set()),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_accused_and_cleared(name: str) -> None:
    """Each outcome speaks of the addresses that its packets prove, and of no others."""
    found, expected = CASES[name]
    assert found == expected


def test_the_tunnel_is_on_the_line() -> None:
    """A probe of a VPN type speaks of the segment on the line wherever it stands on its path, else of the last."""
    lab = lab_chain()
    moved = msgspec.structs.replace(lab.probes["tunnel"], path=("cloud-host", "cloud-gw", "vpn", "onprem-gw"))
    assert tunnel_segment(lab, moved) == "vpn"
    assert tunnel_segment(lab, msgspec.structs.replace(moved, path=("cloud-host", "onprem-gw"))) == "onprem-gw"


def test_a_name_is_cleared_from_its_own_side_only() -> None:
    """The far gateway's networks are the other direction's: where a name of this side lies it does not say."""
    lab = lab_chain()
    here = lab.probes["tunnel"]
    path = ("onprem-host", "onprem-gw", "carrier", "cloud-gw", "vpn")
    far = msgspec.structs.replace(
        here,
        id="o-tunnel",
        vantage="onprem",
        path=path,
        flow=msgspec.structs.replace(here.flow, carries=("10.10.0.0/16",)),
    )
    both = msgspec.structs.replace(lab, probes={**lab.probes, "o-tunnel": far})
    assert "erp.corp.lab" in carried(both, "tunnel", Outcome.OK, vantage="cloud")[1]
    assert carried(both, "o-tunnel", Outcome.OK, vantage="onprem") == (set(), set())


# What the gateway says while one port behind the tunnel is silent, and who is named.
WORDS = {"it stands for all": (".", "incumbent"), "it is narrowed": ("d", None), "it cannot be asked": ("u", None)}


@pytest.mark.parametrize("name", WORDS)
def test_a_silent_port_behind_the_tunnel(name: str) -> None:
    """The firewall's owner is named while the tunnel's gateway says that it stands for that address, else nobody."""
    letter, party = WORDS[name]
    lab = lab_chain()
    (incident,) = replay(lab, record(lab, [(6, {}), (8, {"erp": "s", "tunnel": letter})], ["cloud"]))
    assert incident.parties == ((party,) if party else ())
    assert set(incident.candidates) == ({party} if party else {"msp", "incumbent"})


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Chain, list[Observation]]:
    """Return a chain with a tunnel that drops some addresses and nothing else broken, and what is seen of it."""
    hosts = [f"10.20.0.{n}" for n in draw(st.sets(st.integers(1, 9), min_size=1, max_size=5))]
    dropped = draw(st.sets(st.sampled_from(hosts), min_size=1))
    networks = draw(st.sampled_from([("10.20.0.0/16",), ("10.20.0.0/29",)]))
    far = [
        probe(f"p{n}{port}", FAR[:end], to=flow(host, protocol="tcp", port=port))
        for n, host in enumerate(hosts)
        for port in draw(st.sets(st.sampled_from([22, 443]), min_size=1))
        for end in draw(st.sets(st.integers(3, 5), min_size=1, max_size=1))
    ]
    other = probe("near", ("h", "gw"), to=flow("203.0.113.2"))
    chain_ = chain(OWNERS, [*far, other, word(networks)], filters=draw(st.sampled_from([(), ("fw",)])))
    agreed = {f"10.20.0.{n}" for n in range(8 if networks == ("10.20.0.0/29",) else 10)}
    letters = {p.id: "s" for p in far if p.flow.host in dropped} | ({"tunnel": "d"} if dropped & agreed else {})
    return chain_, [observation(p.id, "v", letters.get(p.id, "."), 0.0, 1) for p in chain_.probes.values()]


@given(worlds())
def test_what_a_tunnel_drops_is_laid_with_nobody_behind_it(world: tuple[Chain, list[Observation]]) -> None:
    """Whatever addresses a tunnel does not carry, no single owner is named; its word is as good as what was agreed."""
    chain_, seen = world
    model = Model(chain_)
    effects = {one.key: model.effect(one) for one in seen}
    failing = {one.key: frozenset(effects[one.key].accused) for one in seen if one.outcome is Outcome.FAILED}
    clearing = {key: frozenset(effect.cleared) for key, effect in effects.items()}
    found = Prover(model).findings([Window("v", failing, clearing)])
    assert found
    assert all(finding.kind is not Kind.ATTRIBUTED for finding in found)
