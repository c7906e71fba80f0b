"""Changes of a configuration to entries of the ledger and back. Pure."""

from collections.abc import Iterator
from typing import Final

from agent.drift.value import Approve, Change
from agent.ledger.body import nanoseconds, seconds
from agent.ledger.changes import DriftApproval, DriftEntry

# A name of 100 bytes and two values of 200 characters, each of at most four bytes, 32 times, fit into a body of 64 KiB.
_FACTS: Final = 32
_REASON: Final = 1000
SIGNATURE: Final = "approval-1"
"""The detail that holds a signature, as in a correction: what people signed is kept and erased alike."""


def from_change(change: Change, now: float) -> Iterator[DriftEntry]:
    """Yield the entries of a change, written at `now` (UTC epoch seconds): one, or more where it has many facts."""
    names = sorted(change.moves)
    for begin in range(0, len(names), _FACTS):
        yield DriftEntry(
            time=nanoseconds(now),
            event=change.event,
            vantage=change.vantage,
            probe=change.probe,
            segments=change.segments,
            opened=nanoseconds(change.at),
            since=0 if change.not_before is None else nanoseconds(change.not_before),
            facts={name: change.moves[name] for name in names[begin : begin + _FACTS]},
        )


def from_approval(wanted: Approve, now: float, *, vantage: str, role: str, signed: bool) -> Iterator[DriftApproval]:
    """Yield the entries of an approval at `now`, likewise: one, or more where it has many facts."""
    names = sorted(wanted.facts)
    for begin in range(0, len(names), _FACTS):
        yield DriftApproval(
            time=nanoseconds(now),
            vantage=vantage,
            probe=wanted.probe,
            party=wanted.party,
            facts={name: wanted.facts[name] for name in names[begin : begin + _FACTS]},
            means="ssh" if signed else "command",
            role=role,
            reason=wanted.reason[:_REASON],
        )


def to_change(entry: DriftEntry) -> Change:
    """Return the change that an entry records."""
    return Change(
        event=entry.event,
        at=seconds(entry.opened),
        not_before=seconds(entry.since) if entry.since else None,
        vantage=entry.vantage,
        probe=entry.probe,
        segments=entry.segments,
        moves=dict(entry.facts),
    )
