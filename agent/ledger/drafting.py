"""The entry that becomes of what people hand in, or why there is none. Pure.

What must stay true: every refusal says why and what to do instead; a party is one of the chain file's; a
person's name goes into a detail, never into a body; what is held is not erased.
"""

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from agent.ledger import baseline, body, changes, correction, dossier, settled, submission
from agent.ledger.cases import Cases, Recorded
from agent.ledger.correction import Refused
from agent.ledger.entry import Entry
from agent.ledger.submission import Submission
from agent.model import Chain

T = TypeVar("T")
MOST_TEXT = 2000
PERSON = "person"
# Longer work than a month is a change of the chain file, not maintenance.
_WINDOW_MOST = 31 * 86_400 * 10**9


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that may be recorded, its details, and the details of others that go with it."""

    entry: Entry
    details: dict[str, bytes] = {}
    erase: tuple[tuple[int, str], ...] = ()


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What a submission is judged by; `now` in ns UTC."""

    chain: Chain
    cases: Cases
    vantage: str
    log: str
    now: int


def draft(handed: Submission, ground: Ground) -> Draft:
    """Return the entry that a submission becomes; Refused when it may not be recorded."""
    if handed.party not in ground.chain.parties:
        known = ", ".join(ground.chain.parties)
        raise Refused(f"{handed.party!r} is no party of the chain file; there are {known}")
    for name in ("reason", "text", "agreed"):
        if len(getattr(handed, name, "")) > MOST_TEXT:
            raise Refused(f"`{name}` is longer than {MOST_TEXT} characters; keep documents elsewhere and name them")
    made = _DRAFTS[type(handed)](handed, ground)
    if handed.person:
        people = {PERSON: handed.person.encode()}
        return msgspec.structs.replace(made, details=people | made.details)
    return made


def _hold(asked: submission.Hold, ground: Ground) -> Draft:
    known = _incident(asked.incident, ground)
    if (known in ground.cases.held) == (asked.state == "held"):
        raise Refused(f"the incident {known} is {'held already' if asked.state == 'held' else 'not held'}")
    return Draft(
        entry=dossier.Hold(
            time=ground.now,
            incident=known,
            vantage=ground.vantage,
            state=asked.state,
            reason=_said(asked.reason, "a reason"),
            party=asked.party,
        )
    )


def _erase(asked: submission.Erase, ground: Ground) -> Draft:
    wanted = tuple(dict.fromkeys((one.entry, one.name) for one in asked.details))
    if not wanted:
        raise Refused("nothing is named that is to be erased")
    for entry, name in wanted:
        detail = ground.cases.details.get((entry, name))
        if detail is None:
            raise Refused(f"entry {entry} has no detail {name!r} (any more)")
        if detail.incident in ground.cases.held:
            raise Refused(f"entry {entry} is about the incident {detail.incident}, which is held: release it first")
    return Draft(
        entry=dossier.Erasure(
            time=ground.now,
            vantage=ground.vantage,
            erased=tuple(dossier.Erased(entry=entry, name=name) for entry, name in wanted),
            basis="request",
            reason=_said(asked.reason, "a reason"),
            party=asked.party,
        ),
        erase=wanted,
    )


def _ask(asked: submission.Ask, ground: Ground) -> Draft:
    if asked.to not in ground.chain.parties:
        raise Refused(f"{asked.to!r} is no party of the chain file")
    if asked.incident:
        _incident(asked.incident, ground)
    return Draft(
        entry=dossier.Request(
            time=ground.now,
            id=_name("request", asked, ground),
            vantage=ground.vantage,
            party=asked.party,
            to=asked.to,
            what=asked.what,
            due=_due(asked.within, ground),
            incident=asked.incident,
            text=asked.text,
        )
    )


def _answer(asked: submission.Answer, ground: Ground) -> Draft:
    request = _open("request", asked.request, ground.cases.requests)
    return Draft(
        entry=dossier.Reply(
            time=ground.now,
            request=request.id,
            vantage=ground.vantage,
            outcome=asked.outcome,
            party=asked.party,
            incident=request.incident,
            text=asked.text,
        )
    )


def _object(asked: submission.Object, ground: Ground) -> Draft:
    return Draft(
        entry=dossier.Objection(
            time=ground.now,
            id=_name("objection", asked, ground),
            incident=_incident(asked.incident, ground),
            vantage=ground.vantage,
            party=asked.party,
            text=_said(asked.text, "a ground"),
            due=_due(asked.within, ground),
        )
    )


def _decide(asked: submission.Decide, ground: Ground) -> Draft:
    objection = _open("objection", asked.objection, ground.cases.objections)
    return Draft(
        entry=dossier.Decision(
            time=ground.now,
            objection=objection.id,
            incident=objection.incident,
            vantage=ground.vantage,
            outcome=asked.outcome,
            party=asked.party,
            text=asked.text,
        )
    )


def _acknowledge(asked: submission.Acknowledge, ground: Ground) -> Draft:
    return Draft(
        entry=dossier.Acknowledgement(
            time=ground.now,
            incident=_incident(asked.incident, ground),
            vantage=ground.vantage,
            party=asked.party,
            via=asked.via,
        )
    )


def _announce(asked: submission.Announce, ground: Ground) -> Draft:
    opened, closed = body.nanoseconds(asked.opened), body.nanoseconds(asked.closed)
    if opened <= ground.now:
        raise Refused("it has begun already: what is declared afterwards is a correction (`demarc ledger correct`)")
    if not opened < closed <= opened + _WINDOW_MOST:
        raise Refused("a window ends after it begins, at most 31 days later")
    unknown = sorted(set(asked.services) - ground.chain.services.keys())
    if unknown:
        raise Refused(f"{unknown[0]!r} is no service; there are: {_listed(ground.chain.services)}")
    if not any(segment.owners == (asked.party,) for segment in ground.chain.segments.values()):
        raise Refused(f"{asked.party} owns no segment alone: such a window would excuse nothing")
    return Draft(
        entry=changes.MaintenanceEntry(
            time=ground.now,
            id=_name("maintenance", asked, ground),
            vantage=ground.vantage,
            party=asked.party,
            opened=opened,
            closed=closed,
            agreed=_said(asked.agreed, "with whom it was agreed, and when"),
            services=asked.services,
        )
    )


def _withdraw(asked: submission.Withdraw, ground: Ground) -> Draft:
    window = ground.cases.windows.get(asked.window)
    if window is None or window.opened <= ground.now:
        to_come = [name for name, one in ground.cases.windows.items() if one.opened > ground.now]
        raise Refused(f"no window {asked.window!r} is to come; there are: {', '.join(to_come) or 'none'}")
    if window.party != asked.party:
        raise Refused(f"the window {asked.window} is {window.party}'s")
    return Draft(entry=msgspec.structs.replace(window, time=ground.now, vantage=ground.vantage, state="withdrawn"))


def _fix(asked: submission.Fix, ground: Ground) -> Draft:
    opened, closed = body.nanoseconds(asked.opened), body.nanoseconds(asked.closed)
    settled.check_window(opened, closed, began=ground.cases.began, now=ground.now)
    before = ground.cases.baseline
    if before is not None and not asked.reason.strip():
        raise Refused(
            f"there is a baseline, fixed on {settled.day(before.time)}; to fix another one beside it give a --reason"
        )
    unknown = sorted(asked.probes.keys() - {probe.key for probe in ground.chain.probes.values()})
    if unknown:
        raise Refused(f"{unknown[0]!r} is no probe of the chain file that is in force")
    if not 0 < len(asked.probes) <= settled.MOST_PROBES:
        raise Refused(f"a baseline is of 1 to {settled.MOST_PROBES} probes; name them with --probe")
    return Draft(
        entry=baseline.Baseline(
            time=ground.now,
            vantage=ground.vantage,
            chain=ground.chain.hash,
            party=asked.party,
            opened=opened,
            closed=closed,
            probes=asked.probes,
            rollups=asked.rollups,
            reason=asked.reason,
        )
    )


def _correct(asked: submission.Correct, ground: Ground) -> Draft:
    data = asked.proposal.encode()
    proposal = correction.read_proposal(data)
    newest = _newest(_incident(proposal.incident, ground), ground)
    if proposal.log != ground.log:
        raise Refused(f"the proposal is for the log {proposal.log}, this is {ground.log}")
    if proposal.entry != newest.hash:
        raise Refused("the incident has changed since the proposal was made: propose again")
    if proposal.chain != ground.chain.hash:
        raise Refused("another chain file is in force since the proposal was made: propose again")
    incident = finding_of(newest)
    correction.check_change(proposal.change, incident, ground.chain)
    relieved = correction.benefits(proposal.change, incident)
    approved = [correction.check_signature(data, one, ground.chain) for one in asked.signatures]
    approved += [correction.check_paper(one, ground.chain) for one in asked.papers]
    held = correction.standing(approved, relieved, ground.chain)
    _refuse_again(proposal, held, ground)
    people = [{"person": a.person, "party": a.approval.party, "role": a.approval.role} for a in approved]
    proofs = {f"approval-{number}": one.proof.encode() for number, one in enumerate(approved, 1)}
    return Draft(
        entry=dossier.Correction(
            time=ground.now,
            incident=proposal.incident,
            entry=proposal.entry,
            chain=proposal.chain,
            vantage=ground.vantage,
            change=proposal.change,
            reason=proposal.reason[:MOST_TEXT],
            approved=tuple(one.approval for one in approved),
            standing=held,
            benefits=relieved,
        ),
        details={"proposal": data, "people": msgspec.json.encode(people), **proofs},
    )


def _refuse_again(proposal: correction.Proposal, standing: str, ground: Ground) -> None:
    """Refuse what was entered before: signatures given once would else undo whatever was agreed on since."""
    for one in ground.cases.corrections:
        known = one.entry
        if not isinstance(known, dossier.Correction) or (known.standing, standing) == ("paper", "signed"):
            continue
        said = (known.incident, known.entry, known.chain, known.change, known.reason)
        if said == (proposal.incident, proposal.entry, proposal.chain, proposal.change, proposal.reason[:MOST_TEXT]):
            raise Refused(
                f"this was entered already, as entry {one.index}; to say it again propose it anew, with its own reason"
            )


def finding_of(recorded: Recorded) -> Any:
    """Return the incident that an entry tells."""
    if not isinstance(recorded.entry, body.IncidentEntry):
        raise TypeError(f"entry {recorded.index} tells no incident")
    return body.to_transition(recorded.entry).incident


def _incident(name: str, ground: Ground) -> str:
    if name not in ground.cases.incidents:
        raise Refused(f"the ledger knows no incident {name!r}: see `demarc incidents --all`")
    return name


def _newest(name: str, ground: Ground) -> Recorded:
    return ground.cases.incidents[name]


def _open(what: str, name: str, known: Mapping[str, T]) -> T:
    found = known.get(name)
    if found is None:
        raise Refused(f"there is no open {what} {name!r}; open are: {_listed(known)}")
    return found


def _said(text: str, what: str) -> str:
    if not text.strip():
        raise Refused(f"it needs {what}")
    return text


def _due(within: float, ground: Ground) -> int:
    if not 0 < within <= 366 * 86400:
        raise Refused("a term lies between now and a year from now")
    return ground.now + body.nanoseconds(within)


def _name(sort: str, asked: Submission, ground: Ground) -> str:
    """Return a short name for a request or objection, the same for the same words at the same moment."""
    text = f"{sort} {ground.now} ".encode() + msgspec.json.encode(asked)
    return f"{sort[0]}-{hashlib.sha256(text).hexdigest()[:10]}"


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(names) or "none"


_DRAFTS: Mapping[type, Callable[[Any, Ground], Draft]] = MappingProxyType(
    {
        submission.Hold: _hold,
        submission.Erase: _erase,
        submission.Ask: _ask,
        submission.Answer: _answer,
        submission.Object: _object,
        submission.Decide: _decide,
        submission.Acknowledge: _acknowledge,
        submission.Correct: _correct,
        submission.Announce: _announce,
        submission.Withdraw: _withdraw,
        submission.Fix: _fix,
    }
)
