"""What the daemon knows at one moment, for everything that shows it: page, API, metrics, CLI."""

from typing import Any

import msgspec

from agent.diagnosis.identifiability import SingleFault
from agent.drift.value import Drift
from agent.incident.value import Incident
from agent.model import Chain
from probes.kit.result import Outcome, Stage


class ProbeNow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A probe's last result. `time`: UTC epoch seconds of the attempt, None before the first one.

    `since` is when the present outcome began. `verified` is false until the probe has passed once
    with its present settings.
    """

    outcome: Outcome | None = None
    stage: Stage | None = None
    fault: str | None = None
    seconds: float | None = None
    phases: dict[str, float] = {}
    values: dict[str, float] = {}
    detail: str = ""
    time: float | None = None
    since: float | None = None
    verified: bool = False


class PeerNow(msgspec.Struct, frozen=True, kw_only=True):
    """Another agent as we see it. `same_chain` is None until it has answered once.

    `signed`: its last answer bore the signature of its key in the chain file. `clock_offset`: how far its clock
    is ahead of ours (s), within `clock_error` (half of what the answer took).
    """

    vantage: str
    reachable: bool
    last: float | None = None
    same_chain: bool | None = None
    detail: str = ""
    signed: bool = False
    clock_offset: float | None = None
    clock_error: float | None = None


class WitnessNow(msgspec.Struct, frozen=True, kw_only=True):
    """Another agent as a witness, both ways, or a host without an agent that cosigns our ledger.

    `entries` of our ledger has it cosigned, last at `time`; what it has not cosigned begins with an entry of
    `waiting`. `cosigned` entries of its ledger have we. `conflict`: its ledger shows two histories. `silent`: it is
    behind for longer than it may be. `detail` says what is wrong. Times are UTC epoch seconds.
    """

    vantage: str
    entries: int = 0
    time: float | None = None
    waiting: float | None = None
    cosigned: int = 0
    conflict: bool = False
    silent: bool = False
    detail: str = ""


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the ledger and the observation store still record, and why not."""

    ledger: bool = True
    store: bool = True
    detail: str = ""


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the ledger about an incident, beside its course: index, leaf hash, kind and body as plain values."""

    index: int
    hash: str
    kind: str
    body: dict[str, Any]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One consistent picture.

    `probes` is keyed `vantage>probe` and holds this vantage's and the peers' probes. `segments`
    maps id to `ok`, `degraded`, `failed` (proven), `suspected` (a candidate), `masked` (hidden
    behind a fault) or `unknown`; `services` to `up`, `degraded`, `down`, `excused`, `unobserved`.
    `single_faults` says of every probed segment whether its failure would be provable. `drift`: what was seen of
    configurations, and their latest changes; no finding rests on it. `records` are the ledger's entries beside an
    incident's course, by its id.
    `incidents` are the open ones (suspected included), `closed` the most recent ended ones.
    """

    at: float
    vantage: str
    chain: Chain
    incidents: tuple[Incident, ...] = ()
    closed: tuple[Incident, ...] = ()
    segments: dict[str, str] = {}
    services: dict[str, str] = {}
    probes: dict[str, ProbeNow] = {}
    peers: tuple[PeerNow, ...] = ()
    witnesses: tuple[WitnessNow, ...] = ()
    recording: Recording = Recording()
    single_faults: tuple[SingleFault, ...] = ()
    drift: Drift = Drift()
    started: float = 0.0
    records: dict[str, tuple[Noted, ...]] = {}
