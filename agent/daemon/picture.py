"""What the daemon knows at this moment, kept up to date observation by observation.

One writer, the loop; `snapshot` gives a value that any thread may read.
"""

from collections import deque
from collections.abc import Mapping

import msgspec

from agent.drift.value import Drift
from agent.incident.value import Event, Incident, Transition
from agent.model import Chain
from agent.observation import SELF, Observation
from agent.snapshot import Noted, PeerNow, ProbeNow, Recording, Snapshot, WitnessNow
from probes.kit.result import Outcome

# Ended incidents that the page and the API show; the ledger holds them all.
CLOSED_SHOWN = 20
# Beside one incident at most, and of how many incidents at most: the open ones and those that ended lately.
RECORDS_SHOWN = 30
RECORDED_INCIDENTS = 500


class Picture:
    """The last result of every probe, the peers and the incidents that ended lately."""

    def __init__(self, chain: Chain, vantage: str, started: float) -> None:
        self._chain = chain
        self._vantage = vantage
        self._started = started
        self._probes: dict[str, ProbeNow] = {probe.key: ProbeNow() for probe in chain.probes.values()}
        self._peers: dict[str, PeerNow] = {}
        self._witnesses: dict[str, WitnessNow] = {}
        self._closed: deque[Incident] = deque(maxlen=CLOSED_SHOWN)
        self._records: dict[str, tuple[Noted, ...]] = {}
        self.recording = Recording()
        self.drift = Drift()
        self.has_observation = False

    def configure(self, chain: Chain) -> None:
        """Take up a chain: unchanged probes keep their last result."""
        old = self._chain.probes
        same = {p.key for p in chain.probes.values() if p.id in old and old[p.id].settings_hash == p.settings_hash}
        self._probes = {
            p.key: self._probes.get(p.key, ProbeNow()) if p.key in same else ProbeNow() for p in chain.probes.values()
        }
        self._chain = chain
        known = chain.vantages.keys() | chain.witnesses.keys()
        self._witnesses = {name: one for name, one in self._witnesses.items() if name in known}

    def observation(self, observation: Observation, values: Mapping[str, float] | None = None) -> None:
        """Enter a result of any vantage; the self-check and unknown probes have no place here."""
        key = observation.key
        before = self._probes.get(key)
        if before is None or observation.probe == SELF:
            return
        self.has_observation |= observation.vantage == self._vantage
        same = before.outcome is observation.outcome
        passed = observation.outcome in (Outcome.OK, Outcome.DEGRADED)
        self._probes[key] = ProbeNow(
            outcome=observation.outcome,
            stage=observation.stage,
            fault=observation.fault,
            seconds=observation.seconds,
            phases=observation.phases,
            values=dict(values or {}),
            detail=observation.detail,
            time=observation.time,
            since=before.since if same else observation.time,
            verified=observation.verified or passed,
        )

    def transition(self, transition: Transition) -> None:
        """Remember an incident that ended."""
        if transition.event is Event.CLOSED:
            self._closed.appendleft(transition.incident)

    def peer(self, peer: PeerNow) -> None:
        """Enter what we see of a peer."""
        self._peers[peer.vantage] = peer

    def witness(self, name: str, witness: WitnessNow | None) -> None:
        """Enter how a witness and we stand to each other's ledgers; None: it is none."""
        self._witnesses.pop(name, None)
        if witness is not None:
            self._witnesses[name] = witness

    def keep_peers(self, vantages: frozenset[str]) -> None:
        """Drop peers that are gone after a reload."""
        self._peers = {name: peer for name, peer in self._peers.items() if name in vantages}

    def note(self, incident: str, noted: Noted) -> None:
        """Enter what the ledger holds beside an incident; once, in the ledger's order, the newest of them."""
        known = {one.index: one for one in self._records.pop(incident, ())} | {noted.index: noted}
        self._records[incident] = tuple(known[index] for index in sorted(known))[-RECORDS_SHOWN:]
        while len(self._records) > RECORDED_INCIDENTS:
            del self._records[next(iter(self._records))]

    def record(self, **changes: bool | str) -> None:
        """Change what is said about recording."""
        self.recording = msgspec.structs.replace(self.recording, **changes)

    def snapshot(
        self, at: float, *, incidents: tuple[Incident, ...], segments: dict[str, str], services: dict[str, str]
    ) -> Snapshot:
        """Return the picture at `at` (UTC epoch seconds)."""
        return Snapshot(
            at=at,
            vantage=self._vantage,
            chain=self._chain,
            incidents=incidents,
            closed=tuple(self._closed),
            segments=segments,
            services=services,
            probes=dict(self._probes),
            peers=tuple(self._peers.values()),
            witnesses=tuple(self._witnesses[name] for name in sorted(self._witnesses)),
            recording=self.recording,
            drift=self.drift,
            started=self._started,
            records={one.id: self._records[one.id] for one in (*incidents, *self._closed) if one.id in self._records},
        )
