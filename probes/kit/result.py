"""The outcome of one attempt, as data.

The network's faults and our own host's are values here, never exceptions. "I could not look" is
`unknown`, never `failed`. A phase that was not reached is absent, never zero.
"""

from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    """What one attempt says of its path."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Stage(StrEnum):
    """The step of an attempt that failed, in the order in which they are reached."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    SECURE = "secure"
    ANSWER = "answer"


class Result(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One attempt: one address family, no hidden retry or fallback.

    `seconds` is the whole attempt, `phases` its parts in seconds (only those reached).
    `answered` is true when the responder's own bytes came back in a failed attempt.
    `by` is the address of the router that sent an ICMP error; `packet_bytes` the largest packet
    known to have crossed the path both ways; `detail` one line of evidence for people, never a
    label and never a secret; `values` the type's own metrics, named in its Spec. `rows` is a table of
    what was seen on the way, for `demarc probe`: one set of columns, not recorded, never a series.
    `as_of` is a moment (UTC epoch seconds) at which what the probe watches last came the whole way that its path
    declares, where somebody's word about a state tells it; see agent.diagnosis.dated.
    `facts` is what was seen of a configuration, name to value, to be compared with what was approved: public
    names, algorithms, lifetimes, digests, never a key or a password. A fact that is absent was not seen.
    """

    outcome: Outcome
    stage: Stage | None = None
    fault: str | None = None
    seconds: float | None = None
    answered: bool = False
    by: str | None = None
    packet_bytes: int | None = None
    as_of: float | None = None
    detail: str = ""
    phases: dict[str, float] = {}
    values: dict[str, float] = {}
    rows: tuple[dict[str, str | int | float | None], ...] = ()
    facts: dict[str, str] | None = None


def ok(seconds: float, phases: dict[str, float] | None = None, **more: object) -> Result:
    """Return a passed attempt of `seconds`."""
    return Result(outcome=Outcome.OK, seconds=seconds, phases=phases or {}, **more)  # type: ignore[arg-type]


def failed(stage: Stage, fault: str, **more: object) -> Result:
    """Return an attempt that failed at `stage` with a fault of the type's table."""
    return Result(outcome=Outcome.FAILED, stage=stage, fault=fault, **more)  # type: ignore[arg-type]


def unknown(fault: str, detail: str = "", **more: object) -> Result:
    """Return an attempt that could not look, and why."""
    return Result(outcome=Outcome.UNKNOWN, fault=fault, detail=detail, **more)  # type: ignore[arg-type]
