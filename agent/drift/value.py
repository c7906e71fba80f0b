"""Drift as values: a change with before and after, and how every fact stands to what was approved.

Times are UTC epoch seconds. A fact's value "" means that it has not been seen.
"""

from enum import StrEnum

import msgspec


class Event(StrEnum):
    """What a change is.

    `seen`: a fact that was not known before. `changed`: another value, in two looks. `flapping`: it changes so
    often that single changes are no longer told. `settled`: it flapped, and holds one value again.
    """

    SEEN = "seen"
    CHANGED = "changed"
    FLAPPING = "flapping"
    SETTLED = "settled"


class Standing(StrEnum):
    """How a fact stands to what was approved; what nobody approved is never taken as approved."""

    APPROVED = "approved"
    DRIFTED = "drifted"
    UNAPPROVED = "unapproved"
    FLAPPING = "flapping"
    UNSEEN = "unseen"


class Move(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fact before and after; while it flaps, `after` lists the values."""

    before: str = ""
    after: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What one probe saw change in one look, or the chain file (`probe` empty).

    It happened after `not_before` (the last look that saw what was before, None when there was none) and not after
    `at` (the first look that saw what is now). `segments` are those that the facts speak of; none: all of them.
    """

    event: Event
    at: float
    not_before: float | None = None
    vantage: str
    probe: str = ""
    segments: tuple[str, ...] = ()
    moves: dict[str, Move]


class FactNow(msgspec.Struct, frozen=True, kw_only=True):
    """A fact as it is now, since when, and what was approved by whom (a party, or `chain file`).

    `signed`: the party's person signed it with a key of the chain file.
    """

    name: str
    value: str = ""
    since: float | None = None
    standing: Standing
    approved: str | None = None
    approved_by: str = ""
    signed: bool = False


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """All facts of one probe of this vantage, by name.

    `changed`: how often they changed since the agent started; `last_change`: when they last did.
    """

    probe: str
    type: str
    segments: tuple[str, ...]
    facts: tuple[FactNow, ...]
    changed: int = 0
    last_change: float | None = None


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """The fingerprints of this vantage's probes, and the latest changes, its own and its peers', newest first."""

    fingerprints: tuple[Fingerprint, ...] = ()
    changes: tuple[Change, ...] = ()


class Approve(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person asks: that these facts of a probe, as they were shown, be approved for a party.

    With `vantage` it is the file that a person signs: it holds for that vantage's agent only.
    """

    probe: str
    facts: dict[str, str]
    party: str
    reason: str = ""
    vantage: str = ""


class SignedApproval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An `Approve` as the file that was signed (`proposal`, its text), by whom, and the `.sig` file."""

    proposal: str
    person: str
    signature: str
