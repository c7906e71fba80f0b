"""The entries about a dispute: evidence, what people ask, object, approve and correct, and what is kept how long.

FORMAT.md, section Kinds, is the specification. Pure. What must stay true: a person's name stands in no
body, only in a detail, so that it can be erased while party and role stay; an entry never changes an
earlier one, it stands next to it.
"""

from typing import TypeAlias

import msgspec

from agent.ledger.entry import Entry, Hash, Part


class Evidence(Entry, frozen=True, kw_only=True, tag="evidence"):
    """Raw results around an incident; they are the detail `observations` (JSON Lines, gzip).

    `part`: onset (until it was confirmed), change (until it was told anew), end, late. `windows` are pairs of
    times [from, to) that the results lie in; `omitted` names probes left out for want of room. What came late is
    from the log `log` of another agent: its entry with the hash `leaf`, under a checkpoint that this one
    cosigned at `cosigned`.
    """

    incident: str
    chain: Hash
    vantage: str
    part: str
    windows: tuple[tuple[int, int], ...]
    observations: int
    omitted: tuple[str, ...] = ()
    log: str = ""
    leaf: str = ""
    cosigned: int = 0


class Hour(Entry, frozen=True, kw_only=True, tag="hour"):
    """What this vantage measured in [opened, closed), bound by hash, so that an omission shows.

    `raw`, `rollups`, `states`: SHA-256 over the lines that FORMAT.md gives. `outcomes` counts results.
    `probes` are those whose states were settled by then: `states` is theirs, `seconds` theirs by state.
    """

    vantage: str
    opened: int
    closed: int
    observations: int
    raw: Hash
    rollups: Hash
    states: Hash
    outcomes: dict[str, int]
    seconds: dict[str, int]
    probes: tuple[str, ...] = ()


class Erased(Part, frozen=True, kw_only=True):
    """A detail of an earlier entry, by index and name."""

    entry: int
    name: str


class Erasure(Entry, frozen=True, kw_only=True, tag="erasure"):
    """Details were erased with this entry: why, and on whose wish (`basis`: request or retention)."""

    vantage: str
    erased: tuple[Erased, ...]
    basis: str
    reason: str
    party: str = ""


class Hold(Entry, frozen=True, kw_only=True, tag="hold"):
    """An incident is disputed: nothing about it is erased until it is released (`state`: held, released)."""

    incident: str
    vantage: str
    state: str
    reason: str
    party: str


class Window(Part, frozen=True, kw_only=True):
    """A time [opened, closed) that the parties agree on afterwards as maintenance of `party`."""

    party: str
    opened: int
    closed: int
    services: tuple[str, ...] = ()


class Change(Part, frozen=True, kw_only=True):
    """What a correction says instead; what is absent stays as it was.

    `kind` monitor: the measurement was wrong, the seconds count as unmeasured. `maintenance`: they
    count as agreed maintenance, so far as the technical cause lies with that party.
    """

    kind: str = ""
    parties: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    candidates: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    segments: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    opened: int | msgspec.UnsetType = msgspec.UNSET
    closed: int | msgspec.UnsetType = msgspec.UNSET
    maintenance: Window | msgspec.UnsetType = msgspec.UNSET


class Approval(Part, frozen=True, kw_only=True):
    """That a person of `party` approved, in which role, and how it is known (`means`: ssh, paper)."""

    party: str
    role: str
    means: str


class Correction(Entry, frozen=True, kw_only=True, tag="correction"):
    """People of two parties say otherwise than an incident's entries do; those stay as they are.

    `entry` is the leaf hash of the incident's last entry when it was proposed; `benefits` are the parties
    that the change relieves. `standing`: signed, or paper (shown, not counted). The details `proposal` and
    `approval-1` … are what was signed and the signatures, `people` the names.
    """

    incident: str
    entry: Hash
    chain: Hash
    vantage: str
    change: Change
    reason: str
    approved: tuple[Approval, ...]
    standing: str
    benefits: tuple[str, ...] = ()


class Request(Entry, frozen=True, kw_only=True, tag="request"):
    """`party` asks `to` for something until `due` (`what`: vantage, cosign, acknowledge, explain, other)."""

    id: str
    vantage: str
    party: str
    to: str
    what: str
    due: int
    incident: str = ""
    text: str = ""


class Reply(Entry, frozen=True, kw_only=True, tag="reply"):
    """How a request ended (`outcome`: done, partly, refused, withdrawn, none).

    `none`: the term passed without a reply. That is a fact, and proves nothing.
    """

    request: str
    vantage: str
    outcome: str
    party: str = ""
    incident: str = ""
    text: str = ""


class Objection(Entry, frozen=True, kw_only=True, tag="objection"):
    """`party` objects to what the entries say of an incident; it is to be decided until `due`."""

    id: str
    incident: str
    vantage: str
    party: str
    text: str
    due: int


class Decision(Entry, frozen=True, kw_only=True, tag="decision"):
    """How an objection ended (`outcome`: upheld, rejected, withdrawn, none: the term passed undecided)."""

    objection: str
    incident: str
    vantage: str
    outcome: str
    party: str = ""
    text: str = ""


class Acknowledgement(Entry, frozen=True, kw_only=True, tag="acknowledgement"):
    """Somebody of `party` took note of an incident (`via`: command, silence); who is the detail `person`."""

    incident: str
    vantage: str
    party: str
    via: str


class KeyChange(Entry, frozen=True, kw_only=True, tag="key"):
    """This log is signed with the key `new` from here on; both keys say so.

    `by_old`, `by_new`: signature lines over the text that FORMAT.md gives.
    """

    vantage: str
    old: str
    new: str
    by_old: str
    by_new: str
    reason: str = ""


AnyDossierEntry: TypeAlias = (
    Evidence | Hour | Erasure | Hold | Correction | Request | Reply | Objection | Decision | Acknowledgement | KeyChange
)

KINDS: dict[str, type[Entry]] = {
    "evidence": Evidence,
    "hour": Hour,
    "erasure": Erasure,
    "hold": Hold,
    "correction": Correction,
    "request": Request,
    "reply": Reply,
    "objection": Objection,
    "decision": Decision,
    "acknowledgement": Acknowledgement,
    "key": KeyChange,
}
