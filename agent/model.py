"""The chain and the agent file as frozen values: what the parties agree on, and what one host adds.

Built by `agent.config` only, which has checked every reference: a name in here exists.
Durations are seconds. Order is the file's order.
"""

from typing import Any

import msgspec

from probes.kit.spec import Evidence, Flow, Pace

UNASSIGNED = "unassigned"
SIDES = ("cloud", "line", "transit", "onprem", "saas")


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """Every entry of a chain file may carry a description and a contract reference."""

    description: str = ""
    reference: str = ""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may approve for a party: the role, and the public key as OpenSSH writes it (empty: none)."""

    id: str
    role: str
    key: str = ""
    name: str = ""


class Party(Value, frozen=True, kw_only=True):
    """A contractual party. `language` is `en` or `nl`; `support` its support hours as written."""

    id: str
    name: str
    contact: dict[str, str] = {}
    language: str = "en"
    support: str = ""
    people: dict[str, Person] = {}


class Segment(Value, frozen=True, kw_only=True):
    """One thing that must work. `owners` holds one party id, several (joint), or UNASSIGNED."""

    id: str
    owners: tuple[str, ...]
    side: str
    filters: bool = False
    lead: str | None = None
    quote: str = ""
    until: str | None = None


class Vantage(Value, frozen=True, kw_only=True):
    """A host that runs demarc: its own segment, the party that operates it, the key that its agent signs with."""

    id: str
    segment: str
    operator: str
    key: str = ""


class Witness(Value, frozen=True, kw_only=True):
    """A host without an agent that cosigns ledgers for a party; see `agent.ledger.cosignature` for its key.

    `within` (s): what it has not cosigned for so long makes it silent.
    """

    id: str
    party: str
    key: str
    within: float = 3600.0


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """When a service pages: always or in its hours, after so many seconds; `degraded`: of delay and loss too."""

    when: str = "always"
    after: float = 0.0
    degraded: bool = False


class Service(Value, frozen=True, kw_only=True):
    """What users use. `hours` as written (`Mo-Fr 07:00-19:00`, empty: always); norm in 0..1.

    `delay_margin` (s) and `loss_margin` (0..1): how much beyond the usual is a disturbance; None: not watched.
    """

    id: str
    name: str
    hours: str = ""
    page: Page = Page()
    availability_norm: float | None = None
    delay_margin: float | None = None
    loss_margin: float | None = None


class Confirm(msgspec.Struct, frozen=True, kw_only=True):
    """How a suspicion is confirmed: `rounds` unanimous rounds that start `spacing` seconds apart.

    `skew` is the guard band in seconds between the clocks of two vantages.
    """

    rounds: int = 5
    spacing: float = 1.0
    skew: float = 1.0


class Probe(Value, frozen=True, kw_only=True):
    """One repeated measurement.

    `path` starts with the vantage's segment; `back` is the return path where it differs (else
    empty); `resolve` the segments that name resolution needs. `approved` are the facts that the parties agreed on.
    `settings` is the probe type's own struct, `flow` what it puts on the wire. `told_by` is the party on whose word a
    state is known, empty when it is the vantage's operator's own.
    """

    id: str
    type: str
    vantage: str
    path: tuple[str, ...]
    back: tuple[str, ...] = ()
    resolve: tuple[str, ...] = ()
    service: str | None = None
    interval: float
    timeout: float
    settings: Any
    flow: Flow
    target: str
    evidence: Evidence = Evidence.PATH
    pace: Pace = Pace.ROUND
    settings_hash: str = ""
    approved: dict[str, str] = {}
    told_by: str = ""
    path_facts: bool = False

    @property
    def facts_of(self) -> tuple[str, ...]:
        """Return the segments that its facts speak of: what answers, or the whole way beyond its own host."""
        return self.path[1:] or self.path if self.path_facts or self.evidence is Evidence.STATE else self.path[-1:]

    @property
    def key(self) -> str:
        """Return the probe's name across vantages, `vantage>probe`."""
        return f"{self.vantage}>{self.id}"


class Chain(Value, frozen=True, kw_only=True):
    """The whole chain file. `hash` is SHA-256 (hex) of the canonical, fully resolved chain.

    `custodian` is the party that keeps the agreement (the client); empty: the director.
    """

    version: int
    effective: str
    timezone: str
    director: str
    custodian: str = ""
    parties: dict[str, Party]
    segments: dict[str, Segment]
    vantages: dict[str, Vantage]
    witnesses: dict[str, Witness] = {}
    services: dict[str, Service]
    confirm: Confirm
    probes: dict[str, Probe]
    hash: str
    source: bytes = b""

    def probes_of(self, vantage: str) -> tuple[Probe, ...]:
        """Return the probes that run from `vantage`, in file order."""
        return tuple(p for p in self.probes.values() if p.vantage == vantage)


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """Another agent: its vantage and the base URL of its web server.

    `ca_file` verifies https; `cert_file` and `key_file` are what we show where it wants a certificate.
    """

    vantage: str
    url: str
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long what is kept beside the ledger's entries stays, in seconds; `raw_bytes` bounds raw results too.

    Defaults: a week of raw results; rollups, evidence and names for 25 months, two reporting years and a month.
    """

    raw: float = 7 * 86400.0
    raw_bytes: int = 2_000_000_000
    rollups: float = 761 * 86400.0
    evidence: float = 761 * 86400.0
    people: float = 761 * 86400.0


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """The agent file: what is local to one host. Paths are absolute, resolved beside the file."""

    vantage: str
    chain_file: str
    data: str
    peers: tuple[Peer, ...] = ()
    alertmanagers: tuple[str, ...] = ()
    external_url: str = ""
    retention: Retention = Retention()
    source_file: str = ""
