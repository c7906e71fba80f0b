"""Sample chains, incidents and snapshots for everything that shows them: page, API, words, CLI.

The chain is design.md's example, built by hand. Nothing here reads a clock: the samples' present
is a literal moment.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from agent.incident.value import Excess, Incident, Kind, Standing, State, Support
from agent.model import Chain, Confirm, Party, Probe, Segment, Service, Vantage
from agent.snapshot import PeerNow, ProbeNow, Recording, Snapshot, WitnessNow
from probes.kit.result import Outcome, Stage
from probes.kit.spec import Flow
from tests.agent.drift_samples import drifted

# 2026-11-23 14:03:05 UTC, an hour in which Amsterdam has winter time.
NOW = 1795442585.0


def probe(name: str, vantage: str, type_: str, target: str, path: str, **more: Any) -> Probe:
    """Return a probe whose path is written as words."""
    return Probe(
        id=name,
        type=type_,
        vantage=vantage,
        path=tuple(path.split()),
        interval=more.pop("interval", 1.0),
        timeout=1.0,
        settings=None,
        target=target,
        flow=Flow(host=target, protocol="icmp", function="echo"),
        **more,
    )


PARTIES = (
    Party(id="client", name="Gemeente Voorbeeld"),
    Party(id="msp", name="Nieuwe MSP", contact={"phone": "+31 20 000 00 00", "email": "noc@msp.example"}),
    Party(id="carrier", name="GlasNet", contact={"phone": "+31 30 000 00 00"}),
    Party(id="incumbent", name="Zittende ICT", language="nl", support="Mo-Fr 08:00-17:00"),
    Party(id="microsoft", name="Microsoft"),
)
SEGMENTS = (
    Segment(id="cloud-host", owners=("msp",), side="cloud"),
    Segment(id="dns", owners=("msp",), side="cloud"),
    Segment(id="cloud-gw", owners=("msp",), side="cloud", description="gateway of the cloud network"),
    Segment(id="carrier", owners=("carrier",), side="transit", quote="circuit NL-123456"),
    Segment(id="vpn", owners=("msp", "incumbent"), lead="msp", side="line"),
    Segment(id="onprem-gw", owners=("incumbent",), side="onprem"),
    Segment(id="onprem-fw", owners=("incumbent",), side="onprem", filters=True),
    Segment(id="erp-app", owners=("incumbent",), side="onprem", until="2028-07-01"),
    Segment(id="hr-app", owners=("incumbent",), side="onprem"),
    Segment(id="onprem-host", owners=("incumbent",), side="onprem"),
    Segment(id="entra", owners=("microsoft",), side="saas"),
)
PROBES = (
    probe("gw", "cloud", "icmp", "10.10.0.1", "cloud-host cloud-gw"),
    probe("saas", "cloud", "tcp", "198.18.0.10:443", "cloud-host cloud-gw entra"),
    probe("underlay", "cloud", "icmp", "203.0.113.2", "cloud-host cloud-gw carrier onprem-gw"),
    probe("anchor", "cloud", "icmp", "10.20.0.1", "cloud-host cloud-gw carrier vpn onprem-gw"),
    probe(
        "erp",
        "cloud",
        "http",
        "https://erp.corp.lab/health",
        "cloud-host cloud-gw carrier vpn onprem-gw onprem-fw erp-app",
        service="erp",
        resolve=("dns",),
        interval=5.0,
    ),
    probe(
        "hr",
        "cloud",
        "http",
        "https://hr.corp.lab/health",
        "cloud-host cloud-gw carrier vpn onprem-gw onprem-fw hr-app",
        service="hr",
        resolve=("dns",),
        interval=5.0,
    ),
    probe("dns", "cloud", "dns", "erp.corp.lab", "cloud-host dns"),
    probe("tunnel", "cloud", "strongswan", "lab", "cloud-host cloud-gw carrier vpn onprem-gw"),
    probe("sync", "cloud", "entra_sync", "corp.lab", "cloud-host cloud-gw entra", service="identity", interval=60.0),
    probe("o-gw", "onprem", "icmp", "10.20.0.1", "onprem-host onprem-gw"),
    probe("o-underlay", "onprem", "icmp", "198.51.100.2", "onprem-host onprem-gw carrier cloud-gw"),
    probe("erp-local", "onprem", "http", "https://10.20.0.20/health", "onprem-host erp-app", interval=5.0),
)
SERVICES = (
    Service(id="erp", name="ERP", hours="Mo-Fr 07:00-19:00", availability_norm=0.995),
    Service(id="hr", name="HR self-service"),
    Service(id="identity", name="Sign-in (Entra)"),
)
CHAIN = Chain(
    version=1,
    effective="2027-01-15T00:00",
    timezone="Europe/Amsterdam",
    director="msp",
    parties={p.id: p for p in PARTIES},
    segments={s.id: s for s in SEGMENTS},
    vantages={
        "cloud": Vantage(id="cloud", segment="cloud-host", operator="msp"),
        "onprem": Vantage(id="onprem", segment="onprem-host", operator="incumbent"),
    },
    services={s.id: s for s in SERVICES},
    confirm=Confirm(),
    probes={p.id: p for p in PROBES},
    hash="5f1c0de" * 9 + "a",
)

PHASES: Mapping[str, Mapping[str, float]] = {
    "icmp": {"rtt": 0.0041},
    "tcp": {"connect": 0.0113},
    "http": {"resolve": 0.0004, "connect": 0.0043, "secure": 0.0102, "answer": 0.0215},
    "dns": {"answer": 0.0012},
    "strongswan": {"answer": 0.0021},
    "entra_sync": {"answer": 0.212},
}
VALUES: Mapping[str, Mapping[str, float]] = {
    "icmp": {"icmp_jitter_seconds": 0.00021, "icmp_loss_ratio": 0.0},
    "strongswan": {
        "vpn_tunnels_configured": 2.0,
        "vpn_tunnels_established": 2.0,
        "vpn_passing": 1.0,
        "vpn_rekey_seconds": 2_460.0,
        "vpn_received_bytes_total": 18_273_645.0,
    },
    "entra_sync": {"entra_last_sync_timestamp_seconds": NOW - 840, "entra_sync_age_seconds": 840.0},
}


def passing(item: Probe) -> ProbeNow:
    """Return a probe's last result when all is well."""
    phases = dict(PHASES[item.type])
    return ProbeNow(
        outcome=Outcome.OK,
        seconds=sum(phases.values()),
        phases=phases,
        values=dict(VALUES.get(item.type, {})),
        time=NOW - min(item.interval, 0.6),
        since=NOW - 86_400,
        verified=True,
    )


def failing(stage: Stage, fault: str, detail: str = "", ago: float = 90.0) -> ProbeNow:
    """Return a probe's last result when it fails."""
    return ProbeNow(
        outcome=Outcome.FAILED,
        stage=stage,
        fault=fault,
        seconds=1.0,
        detail=detail,
        time=NOW - 0.4,
        since=NOW - ago,
        verified=True,
    )


PASSING = {p.key: passing(p) for p in PROBES}
PEERS = (PeerNow(vantage="onprem", reachable=True, last=NOW - 0.8, same_chain=True),)
HEALTHY = Snapshot(
    at=NOW,
    vantage="cloud",
    chain=CHAIN,
    segments=dict.fromkeys(CHAIN.segments, "ok"),
    services=dict.fromkeys(CHAIN.services, "up"),
    probes=PASSING,
    peers=PEERS,
    started=NOW - 86_400 * 3 - 7_300,
)

CARRIER = Incident(
    id="3f9ac2d1e07b",
    state=State.CONFIRMED,
    kind=Kind.ATTRIBUTED,
    parties=("carrier",),
    candidates=("carrier",),
    segments=("carrier",),
    services=("erp", "hr"),
    side="transit",
    mover="carrier",
    standing=Standing.CORROBORATED,
    margin=2,
    decide_with=(),
    support=Support(
        failing=("cloud>underlay", "cloud>anchor", "cloud>erp", "cloud>hr", "onprem>o-underlay"),
        exonerating={
            "cloud-host": ("cloud>gw", "cloud>saas"),
            "cloud-gw": ("cloud>gw", "cloud>saas"),
            "onprem-gw": ("onprem>o-gw",),
            "onprem-host": ("onprem>o-gw",),
        },
    ),
    faults=dict.fromkeys(
        ("cloud>underlay", "cloud>anchor", "cloud>erp", "cloud>hr", "onprem>o-underlay"), "connect/timeout"
    ),
    opened=NOW - 90,
    confirmed=NOW - 84,
)
VPN = Incident(
    id="77b01c9942aa",
    state=State.CONFIRMED,
    kind=Kind.UNDETERMINED,
    candidates=("msp", "incumbent"),
    segments=("vpn",),
    services=("erp", "hr"),
    side="line",
    mover="msp",
    simplest=("vpn",),
    support=Support(
        failing=("cloud>anchor", "cloud>erp", "cloud>hr", "cloud>tunnel"),
        exonerating={
            "cloud-host": ("cloud>gw",),
            "cloud-gw": ("cloud>gw", "cloud>underlay"),
            "carrier": ("cloud>underlay", "onprem>o-underlay"),
            "onprem-gw": ("onprem>o-gw",),
        },
    ),
    faults={
        "cloud>anchor": "connect/timeout",
        "cloud>erp": "connect/timeout",
        "cloud>hr": "connect/timeout",
        "cloud>tunnel": "connect/child-missing",
    },
    opened=NOW - 421,
    confirmed=NOW - 414,
)
LAST_MILE = Incident(
    id="c01dfade4711",
    state=State.CONFIRMED,
    kind=Kind.UNDETERMINED,
    candidates=("carrier", "incumbent"),
    segments=("carrier", "onprem-gw"),
    services=("erp",),
    side="transit",
    mover="msp",
    simplest=("carrier",),
    decide_with=("onprem>o-underlay",),
    support=Support(failing=("cloud>underlay",), exonerating={"cloud-gw": ("cloud>gw", "cloud>saas")}),
    faults={"cloud>underlay": "connect/timeout"},
    opened=NOW - 32,
    confirmed=NOW - 26,
)
APPLICATION = Incident(
    id="a991e5bb0c3d",
    state=State.SUSPECTED,
    kind=Kind.UNDETERMINED,
    candidates=("incumbent",),
    segments=("erp-app",),
    services=("erp",),
    side="onprem",
    mover="msp",
    support=Support(failing=("cloud>erp",), exonerating={"onprem-gw": ("cloud>anchor",)}),
    faults={"cloud>erp": "connect/refused"},
    opened=NOW - 2,
)
SINGLE = msgspec.structs.replace(
    CARRIER,
    id="51deca6e0001",
    standing=Standing.SINGLE_SIDED,
    rests_on=("msp",),
    margin=1,
    decide_with=("onprem>o-underlay",),
    support=Support(
        failing=("cloud>underlay",),
        exonerating={"cloud-host": ("cloud>self",), "cloud-gw": ("cloud>gw", "cloud>saas")},
    ),
)
MONITOR = Incident(
    id="b11d0000cafe",
    state=State.CONFIRMED,
    kind=Kind.MONITOR,
    segments=("cloud-host",),
    side="cloud",
    mover="msp",
    vantage="cloud",
    support=Support(failing=("cloud>self",)),
    faults={"cloud>self": "no-link"},
    opened=NOW - 45,
    confirmed=NOW - 45,
)
CONTRADICTION = Incident(
    id="0ddba11c0de5",
    state=State.CONFIRMED,
    kind=Kind.CONTRADICTION,
    segments=("cloud-gw", "carrier"),
    services=("erp",),
    side="transit",
    mover="msp",
    support=Support(failing=("cloud>erp",), exonerating={"cloud-gw": ("cloud>gw",), "carrier": ("cloud>underlay",)}),
    faults={"cloud>erp": "answer/status"},
    opened=NOW - 300,
    confirmed=NOW - 294,
)
RECOVERING = msgspec.structs.replace(CARRIER, state=State.RECOVERING)
CLOSED = msgspec.structs.replace(
    CARRIER, id="c105ed00beef", state=State.CLOSED, opened=NOW - 7300, confirmed=NOW - 7294, closed=NOW - 3500
)
CLOSED_VPN = msgspec.structs.replace(
    VPN, id="c105ed00f00d", state=State.CLOSED, opened=NOW - 90_000, confirmed=NOW - 89_994, closed=NOW - 89_100
)
SLOW = Incident(
    id="51044444beef",
    state=State.CONFIRMED,
    kind=Kind.ATTRIBUTED,
    parties=("carrier",),
    candidates=("carrier",),
    segments=("carrier",),
    services=("erp",),
    side="transit",
    mover="carrier",
    standing=Standing.SINGLE_SIDED,
    rests_on=("msp", "incumbent"),
    support=Support(
        failing=("cloud>underlay",),
        exonerating={"cloud-gw": ("cloud>gw",), "onprem-gw": ("onprem>o-gw",)},
    ),
    faults={"cloud>underlay": "excess/round-trip"},
    opened=NOW - 600,
    confirmed=NOW - 570,
    excess=Excess(what="delay", low=0.0459, part=0.0382, margin=0.015),
)
LOSSY = msgspec.structs.replace(
    SLOW,
    id="105544444bee",
    kind=Kind.UNDETERMINED,
    parties=(),
    candidates=("carrier", "incumbent"),
    segments=("carrier", "onprem-gw"),
    mover="msp",
    standing=None,
    rests_on=(),
    support=Support(failing=("cloud>underlay",), exonerating={"cloud-gw": ("cloud>gw",)}),
    faults={"cloud>underlay": "excess/loss"},
    excess=Excess(what="loss", low=0.0347, margin=0.02),
)
INCIDENTS = {
    "carrier": CARRIER,
    "carrier, one side": SINGLE,
    "vpn": VPN,
    "last mile": LAST_MILE,
    "application, suspected": APPLICATION,
    "monitor": MONITOR,
    "contradiction": CONTRADICTION,
    "recovering": RECOVERING,
    "closed": CLOSED,
    "slow": SLOW,
    "slow, ended": msgspec.structs.replace(SLOW, state=State.CLOSED, closed=NOW - 60),
    "slow, recovering": msgspec.structs.replace(SLOW, state=State.RECOVERING, recovered=NOW - 3),
    "lossy": LOSSY,
    "lossy, ended": msgspec.structs.replace(LOSSY, state=State.CLOSED, closed=NOW - 60),
    "lossy, attributed": msgspec.structs.replace(
        SLOW, excess=Excess(what="loss", low=0.2, part=0.15, margin=0.02), services=()
    ),
    "slow, joint": msgspec.structs.replace(LOSSY, segments=("vpn",), excess=SLOW.excess, support=Support()),
    "slow, open": msgspec.structs.replace(LOSSY, excess=SLOW.excess),
    "lossy, nobody's": msgspec.structs.replace(LOSSY, candidates=()),
    "slow, contradiction": msgspec.structs.replace(LOSSY, kind=Kind.CONTRADICTION, candidates=(), excess=SLOW.excess),
}


def _broken(incident: Incident, states: dict[str, str], services: dict[str, str]) -> Snapshot:
    """Return the healthy snapshot with one incident in it."""
    probes = dict(PASSING)
    for key in incident.support.failing:
        stage, _, fault = incident.faults.get(key, "answer/status").rpartition("/")
        probes[key] = failing(Stage(stage or "answer"), fault, ago=NOW - incident.opened)
    if "cloud>tunnel" in incident.support.failing:
        values = {"vpn_tunnels_configured": 2.0, "vpn_tunnels_established": 1.0, "vpn_unanswered_seconds": 41.0}
        probes["cloud>tunnel"] = msgspec.structs.replace(probes["cloud>tunnel"], values=values)
    return msgspec.structs.replace(
        HEALTHY,
        incidents=(incident,),
        closed=(CLOSED, CLOSED_VPN),
        probes=probes,
        segments={**HEALTHY.segments, **states},
        services={**HEALTHY.services, **services},
    )


BEHIND = dict.fromkeys(("vpn", "onprem-fw", "hr-app"), "masked")
DOWN = {"erp": "down", "hr": "down"}


def unverified() -> Snapshot:
    """Return day one: nothing from the other side has passed yet, one probe has not run."""
    probes = {
        key: failing(Stage.CONNECT, "timeout", ago=300.0) if key.startswith("onprem") or "erp" in key else now
        for key, now in PASSING.items()
    }
    probes = {key: msgspec.structs.replace(now, verified=now.outcome is Outcome.OK) for key, now in probes.items()}
    probes["cloud>sync"] = ProbeNow()
    return msgspec.structs.replace(
        HEALTHY,
        probes=probes,
        segments={**HEALTHY.segments, **dict.fromkeys(("erp-app", "onprem-host", "onprem-fw"), "unknown")},
        services={"erp": "unobserved", "hr": "up", "identity": "unobserved"},
        peers=(PeerNow(vantage="onprem", reachable=False, detail="connection refused"),),
        started=NOW - 300,
    )


def stopped() -> Snapshot:
    """Return a healthy chain whose record has stopped, with a peer that has another chain file."""
    return msgspec.structs.replace(
        HEALTHY,
        recording=Recording(ledger=False, detail="database or disk is full"),
        peers=(PeerNow(vantage="onprem", reachable=True, last=NOW - 1, same_chain=False),),
        witnesses=(WitnessNow(vantage="onprem", entries=7, time=NOW - 9000, waiting=NOW - 8000, silent=True),),
    )


def large(count: int = 40) -> Snapshot:
    """Return a chain of `count` segments, each with a probe of its own."""
    sides = ("cloud", "transit", "line", "onprem")
    owners = (("msp",), ("carrier",), ("msp", "incumbent"), ("incumbent",))
    segments = {
        f"part-{i:02}": Segment(id=f"part-{i:02}", owners=owners[i * 4 // count], side=sides[i * 4 // count])
        for i in range(count)
    }
    probes = {
        f"to-{i:02}": probe(f"to-{i:02}", "cloud", "icmp", f"10.0.{i}.1", " ".join(list(segments)[: i + 1]))
        for i in range(count)
    }
    chain = msgspec.structs.replace(
        CHAIN,
        segments=segments,
        probes=probes,
        vantages={"cloud": Vantage(id="cloud", segment="part-00", operator="msp")},
    )
    return msgspec.structs.replace(
        HEALTHY,
        chain=chain,
        segments=dict.fromkeys(segments, "ok"),
        probes={p.key: passing(p) for p in probes.values()},
        closed=(CLOSED,),
    )


MTU_HOLE = msgspec.structs.replace(
    LAST_MILE,
    id="b16fac7e4d00",
    candidates=("msp", "carrier", "incumbent"),
    segments=("carrier", "vpn", "onprem-gw", "onprem-fw", "erp-app"),
    support=Support(failing=("cloud>erp",), exonerating={"cloud-gw": ("cloud>gw",), "cloud-host": ("cloud>gw",)}),
    faults={"cloud>erp": "secure/timeout"},
    decide_with=("onprem>erp-local",),
)

SNAPSHOTS = {
    "drift": msgspec.structs.replace(
        _broken(VPN, {"vpn": "suspected", "onprem-fw": "masked", "hr-app": "masked"}, DOWN), drift=drifted(NOW)
    ),
    "healthy": HEALTHY,
    "carrier": _broken(CARRIER, {"carrier": "failed", **BEHIND, "erp-app": "ok"}, DOWN),
    "vpn": _broken(VPN, {"vpn": "suspected", "onprem-fw": "masked", "hr-app": "masked"}, DOWN),
    "lastmile": _broken(
        LAST_MILE, {"carrier": "suspected", "onprem-gw": "suspected", **BEHIND}, {"erp": "down", "hr": "unobserved"}
    ),
    "suspected": _broken(APPLICATION, {"erp-app": "suspected"}, {}),
    "monitor": _broken(MONITOR, dict.fromkeys(CHAIN.segments, "unknown"), dict.fromkeys(CHAIN.services, "unobserved")),
    "contradiction": _broken(CONTRADICTION, {"carrier": "unknown"}, {"erp": "degraded"}),
    "slow": msgspec.structs.replace(
        HEALTHY,
        incidents=(SLOW,),
        segments={**HEALTHY.segments, "carrier": "degraded"},
        services={**HEALTHY.services, "erp": "degraded"},
    ),
    "mtuhole": _broken(MTU_HOLE, {"onprem-fw": "suspected"}, {"erp": "down"}),
    "stopped": stopped(),
    "unverified": unverified(),
    "large": large(),
}
