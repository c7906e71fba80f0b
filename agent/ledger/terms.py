"""What falls due by itself: terms that passed without a reply, and details that are kept no longer. Pure.

What must stay true: silence is recorded as silence, it decides nothing; what is held stays.
"""

from agent.ledger import body
from agent.ledger.cases import Cases
from agent.ledger.dossier import Decision, Erased, Erasure, Reply
from agent.model import Retention

TOGETHER = 200
"""Details in one entry: 8 kB of body."""

_PEOPLE = ("person", "people", "approval-")
_DAY = 86400


def unanswered(cases: Cases, vantage: str, now: int) -> tuple[Reply | Decision, ...]:
    """Return an entry for every request and objection whose term has passed at `now` (ns UTC)."""
    replies = tuple(
        Reply(time=now, request=one.id, vantage=vantage, outcome="none", incident=one.incident)
        for one in cases.requests.values()
        if one.due <= now
    )
    decisions = tuple(
        Decision(time=now, objection=one.id, incident=one.incident, vantage=vantage, outcome="none")
        for one in cases.objections.values()
        if one.due <= now
    )
    return (*replies, *decisions)


def overdue(cases: Cases, retention: Retention, vantage: str, now: int) -> tuple[Erasure, ...]:
    """Return the erasures of details that are kept no longer, one for each class and `TOGETHER` details."""
    made: list[Erasure] = []
    for what, seconds in (("evidence", retention.evidence), ("people", retention.people)):
        before = now - body.nanoseconds(seconds)
        gone = [
            Erased(entry=entry, name=name)
            for (entry, name), detail in cases.details.items()
            if class_of(name) == what and detail.time < before and detail.incident not in cases.held
        ]
        made += [
            Erasure(
                time=now,
                vantage=vantage,
                erased=tuple(gone[start : start + TOGETHER]),
                basis="retention",
                reason=f"{what} is kept for {seconds / _DAY:g} days",
            )
            for start in range(0, len(gone), TOGETHER)
        ]
    return tuple(made)


def class_of(name: str) -> str:
    """Return what a detail is for retention: evidence, people, or kept (a chain file, a proposal)."""
    if name == "observations":
        return "evidence"
    return "people" if name.startswith(_PEOPLE) else "kept"
