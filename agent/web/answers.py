"""What the API answers, as values: the snapshot in a form that needs no chain file to be read. Pure.

The same structs decode the answers in the command line. Keys are only ever added within a version.
Times are UTC epoch seconds, durations seconds.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from agent.diagnosis.identifiability import SingleFault
from agent.drift.beside import beside
from agent.drift.value import Change
from agent.incident.value import Incident
from agent.model import Chain
from agent.snapshot import Noted, PeerNow, ProbeNow, Recording, Snapshot, WitnessNow
from agent.web.arrangement import arrange
from agent.web.tunnels import TunnelNow, tunnels
from agent.words import sentences, summary
from agent.words.change_text import change_text, last_change_text
from agent.words.names import party_name
from agent.words.record_text import record_text


class PartyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A party."""

    id: str
    name: str


class SegmentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A segment and its state."""

    id: str
    state: str
    owners: tuple[str, ...]
    side: str


class ServiceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A service and its state; `availability_norm` in 0..1."""

    id: str
    name: str
    state: str
    hours: str = ""
    availability_norm: float | None = None


class ProbeAnswer(ProbeNow, frozen=True, kw_only=True):
    """A probe and its last result."""

    vantage: str
    probe: str
    type: str
    target: str
    service: str | None = None
    interval: float
    path: tuple[str, ...]


class ChangeAnswer(Change, frozen=True, kw_only=True):
    """A change of a configuration, and what it is in words."""

    text: str


class RecordAnswer(Noted, frozen=True, kw_only=True):
    """An entry of the ledger beside an incident, with its line."""

    text: str


class IncidentAnswer(Incident, frozen=True, kw_only=True):
    """An incident with its headline and sentences in the language that was asked for.

    `last_changes` stand beside it, newest first: what changed on its segments within a day before it opened. No
    change is a finding. `record` is what the ledger holds beside its course.
    """

    summary: str
    sentences: tuple[str, ...]
    mover_name: str
    last_changes: tuple[ChangeAnswer, ...] = ()
    record: tuple[RecordAnswer, ...] = ()


class StatusAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The whole picture. Segments stand in the order of the chain, from the cloud to the on-premise end."""

    at: float
    started: float
    vantage: str
    operator: str
    chain_hash: str
    chain_effective: str
    timezone: str
    director: str
    parties: tuple[PartyAnswer, ...]
    segments: tuple[SegmentAnswer, ...]
    demarcation_lines: tuple[tuple[str, str], ...]
    services: tuple[ServiceAnswer, ...]
    incidents: tuple[IncidentAnswer, ...]
    closed: tuple[IncidentAnswer, ...]
    probes: tuple[ProbeAnswer, ...]
    peers: tuple[PeerNow, ...]
    witnesses: tuple[WitnessNow, ...] = ()
    recording: Recording
    single_faults: tuple[SingleFault, ...] = ()
    tunnels: tuple[TunnelNow, ...] = ()


def incident_answers(incidents: Iterable[Incident], snapshot: Snapshot, language: str) -> tuple[IncidentAnswer, ...]:
    """Return incidents with their words."""
    chain = snapshot.chain
    return tuple(
        IncidentAnswer(
            **_fields(i),
            summary=summary(i, chain, language),
            sentences=sentences(i, chain, snapshot.probes if i.closed is None else None, language),
            mover_name=party_name(i.mover, chain, language),
            last_changes=tuple(
                ChangeAnswer(**_fields(change), text=last_change_text(change, i.opened, chain, language))
                for change in beside(i, snapshot.drift.changes)
            ),
            record=tuple(
                RecordAnswer(**_fields(one), text=record_text(one, chain, language))
                for one in snapshot.records.get(i.id, ())
            ),
        )
        for i in incidents
    )


def change_answers(snapshot: Snapshot, language: str) -> tuple[ChangeAnswer, ...]:
    """Return the latest changes, newest first."""
    return tuple(
        ChangeAnswer(**_fields(change), text=change_text(change, snapshot.chain, language, now=snapshot.at))
        for change in snapshot.drift.changes
    )


def probe_answers(snapshot: Snapshot) -> tuple[ProbeAnswer, ...]:
    """Return all probes of the chain file, in its order, with what is known of each."""
    return tuple(
        ProbeAnswer(
            **_fields(snapshot.probes.get(p.key, ProbeNow())),
            vantage=p.vantage,
            probe=p.id,
            type=p.type,
            target=p.target,
            service=p.service,
            interval=p.interval,
            path=p.path,
        )
        for p in snapshot.chain.probes.values()
    )


def status_answer(snapshot: Snapshot, language: str) -> StatusAnswer:
    """Return the whole picture."""
    chain = snapshot.chain
    vantage = chain.vantages.get(snapshot.vantage)
    picture = arrange(chain)
    order = [s for column in picture.columns for s in column.segments] + [b.segment for b in picture.branches]
    return StatusAnswer(
        at=snapshot.at,
        started=snapshot.started,
        vantage=snapshot.vantage,
        operator=vantage.operator if vantage else "",
        chain_hash=chain.hash,
        chain_effective=chain.effective,
        timezone=chain.timezone,
        director=chain.director,
        parties=tuple(PartyAnswer(id=p.id, name=p.name) for p in chain.parties.values()),
        segments=tuple(
            SegmentAnswer(id=s.id, state=snapshot.segments.get(s.id, "unknown"), owners=s.owners, side=s.side)
            for s in (chain.segments[name] for name in order)
        ),
        demarcation_lines=picture.lines,
        services=tuple(
            ServiceAnswer(
                id=s.id,
                name=s.name,
                state=snapshot.services.get(s.id, "unobserved"),
                hours=s.hours,
                availability_norm=s.availability_norm,
            )
            for s in chain.services.values()
        ),
        incidents=incident_answers(snapshot.incidents, snapshot, language),
        closed=incident_answers(snapshot.closed, snapshot, language),
        probes=probe_answers(snapshot),
        peers=snapshot.peers,
        witnesses=snapshot.witnesses,
        recording=snapshot.recording,
        single_faults=snapshot.single_faults,
        tunnels=tunnels(snapshot),
    )


def chain_answer(chain: Chain) -> dict[str, Any]:
    """Return the resolved chain as JSON values; what a probe type keeps in its settings stays out.

    Settings name files and tenants of one host, `people` persons; the chain file itself is what parties exchange.
    """
    plain: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(chain, source=b"", probes={}))
    del plain["source"]
    for party in plain["parties"].values():
        del party["people"]
    plain["probes"] = {
        name: {key: value for key, value in _fields(probe).items() if key != "settings"}
        for name, probe in chain.probes.items()
    }
    return plain


def _fields(value: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}
