"""What is known of each tunnel, claim by claim: configured, established, passing, and whether its peer lives. Pure.

What must stay true: no claim follows from another. The gateway's word (a probe of a VPN type) gives the first two;
passing is proven by measurements whose packets crossed the tunnel just now, or told by its counters, which is
weaker; the peer's life by a measurement that the peer's daemon itself answers. What nobody looked at is None.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec

from agent.diagnosis.tunnels import tunnel_segment
from agent.model import Chain, Probe
from agent.snapshot import ProbeNow, Snapshot
from probes.kit.result import Outcome
from probes.kit.spec import Evidence
from probes.kit.tunnel_state import SILENT_SECONDS

# The types whose Spec has the metrics of probes.kit.tunnel_state; a test compares.
TUNNEL_TYPES: Final = frozenset(("azure_vpn", "strongswan", "wireguard", "xfrm"))
PEER_TYPE: Final = "ike"
# What a gateway calls a tunnel into which packets go and out of which none come.
INBOUND_SILENT: Final = "inbound-silent"


class Basis(StrEnum):
    """What a claim about passing rests on."""

    MEASURED = "measured"
    COUNTED = "counted"


class TunnelNow(msgspec.Struct, frozen=True, kw_only=True):
    """One tunnel probe's tunnels. `segment` is the tunnel itself: the path's one on the line, else its last.

    `configured` and `established` count tunnels. `passing` with its `basis`; `through` are the measurements
    through it that hold, `passed` those of them that passed; `proof_at` the latest pass (UTC epoch seconds).
    `peer_alive` by `peer_by` at `peer_at`. `received_age_seconds`, `unanswered_seconds`, `rekey_seconds` and
    `established_seconds` are the gateway's counters' word. `heard_at` is the vantage whose gateway hears what this one
    sends, while nothing of what that one sends comes back here: what is lost is lost on the way from there.
    """

    vantage: str
    probe: str
    type: str
    target: str
    segment: str
    outcome: Outcome | None = None
    fault: str | None = None
    configured: int | None = None
    established: int | None = None
    passing: bool | None = None
    basis: Basis | None = None
    through: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    proof_at: float | None = None
    peer_alive: bool | None = None
    peer_by: str | None = None
    peer_at: float | None = None
    peer_age_seconds: float | None = None
    received_age_seconds: float | None = None
    unanswered_seconds: float | None = None
    rekey_seconds: float | None = None
    established_seconds: float | None = None
    heard_at: str | None = None


def tunnels(snapshot: Snapshot) -> tuple[TunnelNow, ...]:
    """Return what is known of every tunnel that the chain file has a probe for, in its order."""
    probes = snapshot.chain.probes.values()
    return tuple(_tunnel(snapshot, probe) for probe in probes if probe.type in TUNNEL_TYPES)


def _tunnel(snapshot: Snapshot, probe: Probe) -> TunnelNow:
    now = _held(snapshot, probe)
    told, segment = now.values, tunnel_segment(snapshot.chain, probe)
    through = [(other, _held(snapshot, other)) for other in _through(snapshot.chain, segment)]
    told_of = [(other.key, one) for other, one in through if one.outcome in _TELLING and one.verified]
    passed = [(key, one) for key, one in told_of if one.outcome is not Outcome.FAILED]
    peer = _peer(snapshot, probe)
    passing, basis = _passing(len(told_of), len(passed), told.get("vpn_passing"))
    return TunnelNow(
        vantage=probe.vantage,
        probe=probe.id,
        type=probe.type,
        target=probe.target,
        segment=segment,
        outcome=now.outcome,
        fault=now.fault,
        configured=_whole(told.get("vpn_tunnels_configured")),
        established=_whole(told.get("vpn_tunnels_established")),
        passing=passing,
        basis=basis,
        through=tuple(key for key, _ in told_of),
        passed=tuple(key for key, _ in passed),
        proof_at=max((one.time for _, one in passed if one.time is not None), default=None),
        peer_alive=None if peer is None else peer[1].outcome is not Outcome.FAILED,
        peer_by=None if peer is None else peer[0],
        peer_at=None if peer is None else peer[1].time,
        peer_age_seconds=told.get("vpn_peer_age_seconds"),
        received_age_seconds=told.get("vpn_received_age_seconds"),
        unanswered_seconds=told.get("vpn_unanswered_seconds"),
        rekey_seconds=told.get("vpn_rekey_seconds"),
        established_seconds=told.get("vpn_established_seconds"),
        heard_at=_heard_at(snapshot, probe, segment, now),
    )


_TELLING: Final = frozenset((Outcome.OK, Outcome.DEGRADED, Outcome.FAILED))


def _held(snapshot: Snapshot, probe: Probe) -> ProbeNow:
    """Return a probe's last result unless its next one is overdue, as the page calls it; else nothing known."""
    now = snapshot.probes.get(probe.key, ProbeNow())
    late = now.time is None or snapshot.at - now.time > 2 * probe.interval + probe.timeout
    return ProbeNow() if late else now


def _through(chain: Chain, segment: str) -> Iterator[Probe]:
    """Yield the probes whose packets cross the tunnel's segment, wherever they start."""
    measuring = (p for p in chain.probes.values() if p.evidence is Evidence.PATH and p.type not in TUNNEL_TYPES)
    return (p for p in measuring if segment in p.path)


def _peer(snapshot: Snapshot, tunnel: Probe) -> tuple[str, ProbeNow] | None:
    """Return what was heard of the farthest IKE daemon on the tunnel's way, asked from the same vantage."""
    asked = [
        (tunnel.path.index(probe.path[-1]), probe.key, now)
        for probe in snapshot.chain.probes.values()
        if probe.type == PEER_TYPE and probe.vantage == tunnel.vantage and probe.path[-1] in tunnel.path
        if (now := _held(snapshot, probe)).outcome in _TELLING
    ]
    return max(asked, key=lambda one: one[0])[1:] if asked else None


def _heard_at(snapshot: Snapshot, tunnel: Probe, segment: str, now: ProbeNow) -> str | None:
    """Return the vantage at the tunnel's other end whose gateway receives, while this one only sends.

    That gateway's word is well although somebody there sends into the tunnel without an answer: so it has received
    something lately, or it would call its own inbound side silent. It gets as long as this one to notice.
    """
    if now.fault != INBOUND_SILENT or now.values.get("vpn_unanswered_seconds", 0.0) < 2 * SILENT_SECONDS:
        return None
    sending = {
        probe.vantage for probe in _through(snapshot.chain, segment) if _held(snapshot, probe).outcome is Outcome.FAILED
    }
    others = (p for p in snapshot.chain.probes.values() if p.type == tunnel.type and p.vantage != tunnel.vantage)
    there = (p for p in others if p.vantage in sending and tunnel_segment(snapshot.chain, p) == segment)
    return next((p.vantage for p in there if _held(snapshot, p).outcome is Outcome.OK), None)


def _passing(measured: int, passed: int, counted: float | None) -> tuple[bool | None, Basis | None]:
    """Return the claim by the number of measurements through the tunnel, else by its counters."""
    if measured:
        return passed > 0, Basis.MEASURED
    return (None, None) if counted is None else (counted > 0, Basis.COUNTED)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
