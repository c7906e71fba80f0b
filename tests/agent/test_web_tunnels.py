"""The VPN's claims side by side: none follows from another, and what nobody looked at is unknown."""

import html
import re
from typing import Any

import msgspec
import pytest

from agent.config import InstalledTypes
from agent.config.schema import specs
from agent.model import Chain
from agent.snapshot import ProbeNow, Snapshot
from agent.web.page.tunnels import tunnel_panel
from agent.web.page.view import View
from agent.web.tunnels import TUNNEL_TYPES, Basis, TunnelNow, tunnels
from probes.kit.result import Outcome, Stage
from probes.kit.spec import Evidence
from probes.kit.tunnel_state import METRICS
from tests.agent.samples import CHAIN, HEALTHY, NOW, probe

PATH = "cloud-host cloud-gw carrier vpn onprem-gw"
IKE = probe("peer-ike", "cloud", "ike", "203.0.113.2", PATH.replace(" vpn", ""), interval=60.0)
TUNNEL = probe("tunnel", "cloud", "strongswan", "lab", PATH, evidence=Evidence.STATE)
ANCHOR = CHAIN.probes["anchor"]
KEPT = (TUNNEL, ANCHOR, IKE)
SMALL = msgspec.structs.replace(CHAIN, probes={p.id: p for p in KEPT})
TOLD: dict[str, Any] = {"vpn_tunnels_configured": 1.0, "vpn_tunnels_established": 1.0, "vpn_passing": 1.0}


def now(outcome: Outcome = Outcome.OK, *, ago: float = 0.5, verified: bool = True, **values: float) -> ProbeNow:
    """Return a last result."""
    fault = {Outcome.FAILED: "timeout", Outcome.UNKNOWN: "vici-silent"}.get(outcome)
    stage = Stage.CONNECT if outcome is Outcome.FAILED else None
    return ProbeNow(outcome=outcome, stage=stage, fault=fault, time=NOW - ago, verified=verified, values=values)


def picture(chain: Chain = SMALL, **results: ProbeNow) -> Snapshot:
    """Return the snapshot of a chain with a tunnel, an anchor behind it and its peer's daemon."""
    probes = {f"cloud>{name.replace('_', '-')}": result for name, result in results.items()}
    return msgspec.structs.replace(HEALTHY, chain=chain, probes=probes)


def one(snapshot: Snapshot) -> TunnelNow:
    """Return the only tunnel."""
    (found,) = tunnels(snapshot)
    return found


def test_the_types_are_those_with_the_familys_metrics() -> None:
    """A type belongs to the panel if, and only if, it declares the VPN family."""
    family = {metric.name for metric in METRICS}
    declaring = {spec.type for spec in specs(InstalledTypes()) if family & {metric.name for metric in spec.metrics}}
    assert declaring == TUNNEL_TYPES


CLAIMS = {
    "all well": (
        picture(tunnel=now(**TOLD), anchor=now(), peer_ike=now()),
        (1, 1, True, Basis.MEASURED, True),
    ),
    "established, and nothing passes": (
        picture(tunnel=now(**TOLD), anchor=now(Outcome.FAILED), peer_ike=now()),
        (1, 1, False, Basis.MEASURED, True),
    ),
    "not established, the peer lives: misconfigured": (
        picture(
            tunnel=now(Outcome.FAILED, vpn_tunnels_configured=1, vpn_tunnels_established=0),
            anchor=now(Outcome.FAILED),
            peer_ike=now(),
        ),
        (1, 0, False, Basis.MEASURED, True),
    ),
    "the peer is silent": (
        picture(tunnel=now(**TOLD), anchor=now(), peer_ike=now(Outcome.FAILED)),
        (1, 1, True, Basis.MEASURED, False),
    ),
    "the gateway cannot be asked, packets pass": (
        picture(tunnel=now(Outcome.UNKNOWN), anchor=now()),
        (None, None, True, Basis.MEASURED, None),
    ),
    "nobody measures through it: its counters speak": (
        picture(tunnel=now(**TOLD)),
        (1, 1, True, Basis.COUNTED, None),
    ),
    "counters say that nothing comes back": (
        picture(tunnel=now(vpn_tunnels_configured=1, vpn_tunnels_established=1, vpn_passing=0)),
        (1, 1, False, Basis.COUNTED, None),
    ),
    "idle is no claim": (
        picture(tunnel=now(vpn_tunnels_configured=1, vpn_tunnels_established=1)),
        (1, 1, None, None, None),
    ),
    "an unverified measurement proves nothing": (
        picture(tunnel=now(**TOLD), anchor=now(Outcome.FAILED, verified=False)),
        (1, 1, True, Basis.COUNTED, None),
    ),
    "what is overdue says nothing": (
        picture(tunnel=now(ago=60.0, **TOLD), anchor=now(ago=60.0), peer_ike=now(ago=600.0)),
        (None, None, None, None, None),
    ),
    "an ike probe that could not look says nothing": (
        picture(tunnel=now(**TOLD), anchor=now(), peer_ike=now(Outcome.UNKNOWN)),
        (1, 1, True, Basis.MEASURED, None),
    ),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_no_claim_follows_from_another(case: str) -> None:
    """Configured, established, passing and the peer's life are told apart."""
    snapshot, expected = CLAIMS[case]
    found = one(snapshot)
    assert (found.configured, found.established, found.passing, found.basis, found.peer_alive) == expected


def test_the_proof_is_the_latest_pass_through_the_segment() -> None:
    """The line's segment is the tunnel; the latest pass across it is the proof, with its moment."""
    found = one(picture(tunnel=now(**TOLD), anchor=now(ago=0.25)))
    assert (found.segment, found.passed, found.proof_at) == ("vpn", ("cloud>anchor",), NOW - 0.25)


def test_a_path_without_a_line_ends_at_its_tunnel() -> None:
    """Where no segment is on the line, the last one of the path is the tunnel."""
    away = msgspec.structs.replace(TUNNEL, path=("cloud-host", "cloud-gw"))
    chain = msgspec.structs.replace(SMALL, probes={"tunnel": away})
    assert one(picture(chain, tunnel=now(**TOLD))).segment == "cloud-gw"


def shown(snapshot: Snapshot, language: str = "en") -> str:
    """Return the panel as a reader sees it: text without markup."""
    panel = tunnel_panel(View(snapshot=snapshot, now=NOW, language=language))
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", panel)).split())


TEXTS = {
    "all well": ("configured yes established yes packets pass yes", "peer's gateway answers"),
    "established, and nothing passes": ("established yes packets pass no nothing comes through: “anchor”",),
    "not established, the peer lives: misconfigured": ("established no packets pass no", "answers"),
    "the peer is silent": ("peer's gateway silent",),
    "the gateway cannot be asked, packets pass": ("configured unknown established unknown packets pass yes",),
    "counters say that nothing comes back": ("packets pass no by the gateway's counters", "not asked"),
    "idle is no claim": ("packets pass unknown",),
}


@pytest.mark.parametrize("case", TEXTS)
def test_the_panel_says_each_claim(case: str) -> None:
    """A reader finds every claim with its word, whatever the others are."""
    text = shown(CLAIMS[case][0])
    for words in TEXTS[case]:
        assert words in text


def test_the_panel_tells_what_the_gateway_counts() -> None:
    """Several tunnels are counted; ages, silence and idleness are told in words."""
    several: dict[str, Any] = {"vpn_tunnels_configured": 3.0, "vpn_tunnels_established": 2.0, "vpn_rekey_seconds": 60.0}
    told = now(**several, vpn_established_seconds=5.0, vpn_peer_age_seconds=30.0, vpn_received_age_seconds=20.0)
    text = shown(picture(tunnel=told))
    assert "configured 3 established 2 of 3 since" in text
    assert "new keys in" in text
    assert "packets pass idle" in text
    assert "proved itself" in text
    silent = shown(picture(tunnel=now(vpn_passing=0, vpn_unanswered_seconds=40.0)))
    assert "sends for 40 seconds, and nothing comes back" in silent


FAR_PATH = "onprem-host onprem-gw carrier vpn cloud-gw"
FAR_TUNNEL = probe("o-tunnel", "onprem", "strongswan", "lab", FAR_PATH, evidence=Evidence.STATE)
FAR_ANCHOR = probe("o-anchor", "onprem", "icmp", "10.10.0.1", FAR_PATH)
BOTH = msgspec.structs.replace(CHAIN, probes={p.id: p for p in (*KEPT, FAR_TUNNEL, FAR_ANCHOR)})
SILENT = msgspec.structs.replace(
    now(Outcome.DEGRADED, **{**TOLD, "vpn_passing": 0.0, "vpn_unanswered_seconds": 40.0}), fault="inbound-silent"
)
EARLY = msgspec.structs.replace(SILENT, values={"vpn_unanswered_seconds": 20.0})
# What the gateway here says, the one there, and what there is measured through the tunnel.
ONE_WAY = {
    "it receives there, and nothing comes back": (SILENT, now(), now(Outcome.FAILED), "onprem"),
    "nothing comes out at either end": (SILENT, SILENT, now(Outcome.FAILED), None),
    "it cannot be asked there": (SILENT, now(Outcome.UNKNOWN), now(Outcome.FAILED), None),
    "nobody sends there: it may be idle": (SILENT, now(), now(Outcome.UNKNOWN), None),
    "the other end has not had the time to notice": (EARLY, now(), now(Outcome.FAILED), None),
    "all is well here": (now(**TOLD), now(), now(Outcome.FAILED), None),
}


@pytest.mark.parametrize("case", ONE_WAY)
def test_loss_in_one_direction_is_told_where_both_gateways_are_asked(case: str) -> None:
    """One gateway hears the other and is not heard: only both words together, and traffic from there, say so."""
    here, there, through, heard_at = ONE_WAY[case]
    snapshot = picture(BOTH, tunnel=here, anchor=now(Outcome.FAILED))
    results = {**snapshot.probes, "onprem>o-tunnel": there, "onprem>o-anchor": through}
    seen = msgspec.structs.replace(snapshot, probes=results)
    assert [found.heard_at for found in tunnels(seen) if found.vantage == "cloud"] == [heard_at]
    assert ("nothing of what it sends arrives at cloud" in shown(seen)) == (heard_at is not None)


def test_the_panel_is_absent_without_a_vpn() -> None:
    """A chain without a probe of a VPN type has no such part."""
    assert shown(picture(msgspec.structs.replace(SMALL, probes={"anchor": ANCHOR}))) == ""


def test_the_panel_speaks_dutch() -> None:
    """The same claims in the other language."""
    assert "ingesteld ja opgebouwd ja verkeer komt door ja" in shown(CLAIMS["all well"][0], "nl")
