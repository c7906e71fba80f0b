"""The incident and its transitions, as every sink receives them."""

from enum import StrEnum

import msgspec

from agent.diagnosis.finding import Kind, Standing, Support
from agent.excess.judge import Excess


class State(StrEnum):
    """Where an incident is in its life; `suspected` is shown and never paged."""

    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"
    RECOVERING = "recovering"
    CLOSED = "closed"


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One root cause, however many probes and services see it.

    `parties` is what is proven: exactly one when attributed, else empty. `candidates` are all that
    remain possible. `standing`, `rests_on` and `margin` speak of attributed incidents only (None,
    empty, None otherwise). `faults` maps each failing probe to its last `stage/fault`. `mover` is
    the party whose move it is, never evidence of fault. Times are UTC epoch seconds; `recovered` is
    the first good observation of an incident that is recovering. `excess` makes it one of delay or loss:
    nothing fails, and `support.failing` and `faults` hold what is late or loses a share.
    """

    id: str
    state: State
    kind: Kind
    parties: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    side: str = ""
    mover: str
    standing: Standing | None = None
    rests_on: tuple[str, ...] = ()
    margin: int | None = None
    decide_with: tuple[str, ...] = ()
    simplest: tuple[str, ...] = ()
    support: Support = Support()
    faults: dict[str, str] = {}
    vantage: str | None = None
    opened: float
    confirmed: float | None = None
    recovered: float | None = None
    closed: float | None = None
    excess: Excess | None = None

    @property
    def party(self) -> str | None:
        """Return the proven party's id, or None."""
        return self.parties[0] if self.parties else None


class Event(StrEnum):
    """Why an incident changed."""

    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"
    CHANGED = "changed"
    RECOVERING = "recovering"
    RELAPSED = "relapsed"
    CLOSED = "closed"
    DISMISSED = "dismissed"
    MERGED = "merged"


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one incident at `at` (UTC epoch seconds); `before` is None for a new one.

    `dismissed` ends a suspicion that was never confirmed; `merged` ends an incident that turned
    out to be part of another one.
    """

    event: Event
    at: float
    incident: Incident
    before: Incident | None = None


__all__ = ["Event", "Excess", "Incident", "Kind", "Standing", "State", "Support", "Transition"]
