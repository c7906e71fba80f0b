"""An incident as three to seven plain sentences.

What failed, what worked at the same moment, why only this party remains or who is still possible,
on whose word it rests, what a party itself tells of its part, whose move it is, what would decide.
Every sentence follows from fields of the incident or of the last results; nothing is guessed here.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from agent.incident.value import Excess, Incident, Kind, Standing, State
from agent.model import UNASSIGNED, Chain
from agent.observation import SELF
from agent.snapshot import ProbeNow
from agent.words.names import (
    amount,
    lasting,
    listed,
    moment,
    party_name,
    party_names,
    probe_name,
    probe_names,
    segment_names,
    service_names,
)
from agent.words.phrases import Phrases
from agent.words.terms import fault_words, phrases, term
from probes.kit.result import Outcome

# More ways of failing in one sentence stop being read.
_WAYS: Final = 2


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One incident with what is needed to tell of it: what each part of the text reads."""

    incident: Incident
    chain: Chain
    probes: Mapping[str, ProbeNow]
    language: str

    @property
    def words(self) -> Phrases:
        """Return the sentence patterns of the case's language."""
        return phrases(self.language)

    @property
    def excess(self) -> Excess:
        """Return what an incident of delay or loss shows; nothing for another one."""
        return self.incident.excess or Excess(what="delay", low=0.0, margin=0.0)

    @property
    def segments(self) -> str:
        """Return the incident's segments, joined."""
        return listed(self.incident.segments, self.language)

    @property
    def owners(self) -> tuple[tuple[str, ...], ...]:
        """Return the owner sets of the incident's segments that the chain knows."""
        known = self.chain.segments
        return tuple(known[s].owners for s in self.incident.segments if s in known)

    @property
    def joint(self) -> bool:
        """Tell whether the cause is pinned to segments that several parties own together."""
        return bool(self.owners) and all(len(o) > 1 for o in self.owners)

    @property
    def unassigned(self) -> bool:
        """Tell whether the cause is pinned to segments that have no agreed owner."""
        return bool(self.owners) and all(o == (UNASSIGNED,) for o in self.owners)


def sentences(
    incident: Incident, chain: Chain, probes: Mapping[str, ProbeNow] | None = None, language: str = "en"
) -> tuple[str, ...]:
    """Return three to seven sentences on `incident` for a reader who is not an engineer.

    `probes` (`vantage>probe` -> last result) helps where the incident does not hold a probe's
    fault. `language` is `en` or `nl`.
    """
    case = Case(incident=incident, chain=chain, probes=probes or {}, language=language)
    suspicion = incident.state is State.SUSPECTED and incident.kind is not Kind.MONITOR
    told = _EXCESS.get(incident.kind) if incident.excess else _SUSPICION if suspicion else None
    texts = (part(case) for part in told or _PARTS[incident.kind])
    return tuple(text for text in texts if text)


def _failure(case: Case) -> str:
    """Say what failed, from where, how and since when; services first, since users notice those."""
    words, failing, language = case.words, case.incident.support.failing, case.language
    vantages = list(dict.fromkeys(key.rpartition(">")[0] for key in failing))
    names = [probe_name(key, case.chain, language, full=len(failing) == 1) for key in failing]
    clause = _failure_pattern(case).format(
        **_times(case),
        count=len(failing),
        origin=words.from_vantages.format(vantages=listed(vantages, language)),
        probes=listed(names, language),
        how=_how(case),
    )
    return _disturbed(case, clause)


def _disturbed(case: Case, clause: str) -> str:
    """Put the disturbed services before a clause; without any it is the sentence."""
    words, services = case.words, case.incident.services
    if not services:
        return clause[0].upper() + clause[1:]
    ended = case.incident.closed is not None
    one, many = (
        (words.were_disturbed_one, words.were_disturbed_many) if ended else (words.disturbed_one, words.disturbed_many)
    )
    return (one if len(services) == 1 else many).format(
        services=service_names(services, case.chain, case.language), clause=clause
    )


def _excess(case: Case) -> str:
    """Say what is late or gets lost, by how much at least, and from where on that is a disturbance."""
    words, excess = case.words, case.excess
    ended = case.incident.closed is not None
    failing = case.incident.support.failing
    if failing:
        patterns = {"delay": (words.late, words.was_late), "loss": (words.losing, words.was_losing)}
    else:
        patterns = {
            "delay": (words.late_unknown, words.was_late_unknown),
            "loss": (words.losing_unknown, words.was_losing_unknown),
        }
    vantages = list(dict.fromkeys(key.rpartition(">")[0] for key in failing))
    clause = patterns[excess.what][ended].format(
        **_times(case),
        origin=case.words.from_vantages.format(vantages=listed(vantages, case.language)),
        probes=listed([probe_name(key, case.chain, case.language, full=False) for key in failing], case.language),
        low=amount(excess.what, excess.low, case.language),
        margin=amount(excess.what, excess.margin, case.language),
    )
    return _disturbed(case, clause)


def _added_little(case: Case) -> str:
    """Say which parts were shown to add little, and by which measurements."""
    cleared = case.incident.support.exonerating
    if not cleared:
        return case.words.added_unknown
    shown_by = dict.fromkeys(key for keys in cleared.values() for key in keys)
    return case.words.added_little.format(
        parts=segment_names(cleared, case.chain, case.language),
        probes=probe_names(shown_by, case.chain, case.language),
    )


def _at_least(case: Case) -> str:
    """Say how much certainly lies with the party."""
    excess = case.excess
    return case.words.at_least.format(
        part=amount(excess.what, excess.part, case.language),
        low=amount(excess.what, excess.low, case.language),
        segments=case.segments,
        party=party_names(case.incident.parties, case.chain, case.language),
    )


def _parts_contradict(case: Case) -> str:
    """Say that the parts do not add up."""
    probes = probe_names(case.incident.support.failing, case.chain, case.language)
    return case.words.parts_contradict.format(probes=probes)


def _failure_pattern(case: Case) -> str:
    """Return the pattern by number of failing probes and tense."""
    words, ended = case.words, case.incident.closed is not None
    match len(case.incident.support.failing):
        case 0:
            return words.failed_unknown if ended else words.fails_unknown
        case 1:
            return words.failed_one if ended else words.fails_one
        case _:
            return words.failed_many if ended else words.fails_many


def _how(case: Case) -> str:
    """Say how the failing probes failed; at most two different ways, the first ones met.

    A semicolon parts them: the words of one may hold a comma or an `and` themselves.
    """
    ways: dict[str, None] = {}
    for key in case.incident.support.failing:
        fault = case.incident.faults.get(key)
        now = case.probes.get(key)
        if fault is None and now is not None:
            fault = f"{now.stage or ''}/{now.fault or ''}"
        ways[fault_words(fault or "", case.language)] = None
    shown = list(ways)[:_WAYS]
    more = [case.words.more.format(count=len(ways) - _WAYS)] if len(ways) > _WAYS else []
    return "; ".join((*shown, *more))


def _times(case: Case) -> dict[str, str]:
    """Return since, until and lasted in words; the last two empty while it lasts."""
    opened, closed = case.incident.opened, case.incident.closed
    since = moment(opened, case.chain, case.language)
    if closed is None:
        return {"since": since, "until": "", "lasted": ""}
    until = moment(closed, case.chain, case.language, day_of=opened)
    return {"since": since, "until": until, "lasted": lasting(closed - opened, case.language)}


def _blind(case: Case) -> str:
    """Say which vantage cannot look, since when and why."""
    incident = case.incident
    key = f"{incident.vantage}>{SELF}"
    now = case.probes.get(key)
    fault = incident.faults.get(key) or (now.fault if now else None)
    reason = fault_words(fault, case.language) if fault else term("self", "", case.language)
    pattern = case.words.blind if incident.closed is None else case.words.was_blind
    return pattern.format(**_times(case), vantage=incident.vantage or case.segments, how=reason)


def _worked(case: Case) -> str:
    """Say what worked at the same moment, and which measurements show it."""
    cleared = case.incident.support.exonerating
    if not cleared:
        return case.words.worked_nothing
    shown_by = dict.fromkeys(key for keys in cleared.values() for key in keys)
    # A refused connection shows that the way to the refusal works; named bare, it would read as a contradiction.
    passing = [key for key in shown_by if key not in case.incident.support.failing]
    both = 0 < len(passing) < len(shown_by)
    return (case.words.worked_even if both else case.words.worked).format(
        parts=segment_names(cleared, case.chain, case.language),
        probes=probe_names(passing or shown_by, case.chain, case.language),
    )


def _remains(case: Case) -> str:
    """Say why only this party remains."""
    party = party_names(case.incident.parties, case.chain, case.language)
    return case.words.remains.format(segments=case.segments, party=party)


def _possible(case: Case) -> str:
    """Say who is still possible, or why no single party is ever named here."""
    if case.unassigned:
        return case.words.possible_unassigned.format(segments=case.segments)
    if case.joint:
        owners = party_names(case.incident.candidates, case.chain, case.language)
        return case.words.possible_joint.format(segments=case.segments, candidates=owners)
    if not case.incident.candidates:
        return case.words.possible_nobody.format(segments=case.segments)
    return case.words.possible.format(candidates=_candidates(case))


def _candidates(case: Case) -> str:
    """Return the candidate parties, each with those of the incident's segments that it owns or shares."""
    texts = []
    for party in case.incident.candidates:
        known = case.chain.segments
        own = [s for s in case.incident.segments if s in known and party in known[s].owners]
        name = party_name(party, case.chain, case.language)
        texts.append(case.words.owned.format(segments=name, owner=listed(own, case.language)) if own else name)
    return listed(texts, case.language)


def _simplest(case: Case) -> str:
    """Give the smallest explanation, where it says more than the candidates did."""
    simplest = case.incident.simplest
    if not simplest or set(simplest) == set(case.incident.segments):
        return ""
    return case.words.simplest.format(segments=segment_names(simplest, case.chain, case.language))


def _contradicts(case: Case) -> str:
    """Say which measurements contradict each other."""
    failing = probe_names(case.incident.support.failing, case.chain, case.language)
    return case.words.contradiction.format(probes=failing or case.segments)


def _standing(case: Case) -> str:
    """Say on whose word the finding rests, and how many wrong measurements it survives."""
    words, incident = case.words, case.incident
    patterns = {
        Standing.CORROBORATED: words.corroborated,
        Standing.SINGLE_SIDED: words.single_sided,
        Standing.SELF_MEASURED: words.self_measured,
        None: "",
    }
    # facts/attribution: margin r stands even if any r - 1 observations are wrong.
    spare = (incident.margin or 0) - 1
    margin = "" if spare < 1 else words.margin_one if spare == 1 else words.margin_many.format(count=spare)
    return patterns[incident.standing].format(
        party=party_names(incident.parties, case.chain, case.language),
        rests_on=party_names(incident.rests_on, case.chain, case.language),
        margin=margin,
    )


def _reported(case: Case) -> str:
    """Say what a party itself tells of a part that the finding names (Microsoft's own issue): a witness, no proof."""
    segments = case.chain.segments
    for probe in case.chain.probes.values():
        now = case.probes.get(probe.key)
        if not probe.told_by or now is None or now.outcome is not Outcome.DEGRADED:
            continue
        told_of = {s for s in probe.path if segments[s].owners == (probe.told_by,)}
        if not told_of.isdisjoint(case.incident.segments):
            return case.words.reported.format(
                party=party_name(probe.told_by, case.chain, case.language),
                probe=probe_name(probe.key, case.chain, case.language),
                how=fault_words(now.fault or "", case.language),
            )
    return ""


def _mover(case: Case) -> str:
    """Say whose move it is and in which role; never evidence of a cause."""
    mover = party_name(case.incident.mover, case.chain, case.language)
    if case.incident.state is State.CLOSED:
        return case.words.closed
    if case.incident.state is State.RECOVERING:
        pattern = case.words.back_within if case.incident.excess else case.words.recovering
        return pattern.format(mover=mover)
    return _role(case).format(mover=mover, segments=case.segments)


def _role(case: Case) -> str:
    """Return the pattern that names the mover's role."""
    words, incident, chain = case.words, case.incident, case.chain
    vantage = chain.vantages.get(incident.vantage or "")
    leads = {chain.segments[s].lead for s in incident.segments if s in chain.segments}
    if incident.kind is Kind.ATTRIBUTED and incident.mover in incident.parties:
        return words.mover_owner
    if incident.kind is Kind.MONITOR and vantage is not None and vantage.operator == incident.mover:
        return words.mover_operator
    if incident.kind is Kind.UNDETERMINED and leads == {incident.mover}:
        return words.mover_lead
    return words.mover_director if incident.mover == chain.director else words.mover_plain


def _decides(case: Case) -> str:
    """Say which measurement would decide; what parties own together no measurement decides."""
    incident, words, ended = case.incident, case.words, case.incident.closed is not None
    if incident.decide_with:
        proven = incident.kind is Kind.ATTRIBUTED
        now, then = (
            (words.confirms, words.would_have_confirmed) if proven else (words.decides, words.would_have_decided)
        )
        return (then if ended else now).format(probes=probe_names(incident.decide_with, case.chain, case.language))
    hopeless = case.joint or case.unassigned or incident.kind is not Kind.UNDETERMINED
    nothing = words.nothing_would_have_decided if ended else words.decides_nothing
    return "" if hopeless else nothing


def _suspicion(case: Case) -> str:
    """Say that nothing is proven yet."""
    return case.words.suspicion.format(rounds=case.chain.confirm.rounds)


def _contradiction_means(case: Case) -> str:
    """Say what a contradiction means."""
    return case.words.contradiction_means


def _blind_means(case: Case) -> str:
    """Say what a blind vantage means."""
    return case.words.blind_means if case.incident.closed is None else case.words.blind_meant


Part = Callable[[Case], str]
_SUSPICION: Final[tuple[Part, ...]] = (_failure, _worked, _suspicion)
_PARTS: Final[Mapping[Kind, tuple[Part, ...]]] = {
    Kind.ATTRIBUTED: (_failure, _worked, _remains, _standing, _reported, _mover, _decides),
    Kind.UNDETERMINED: (_failure, _worked, _possible, _simplest, _reported, _mover, _decides),
    Kind.CONTRADICTION: (_failure, _worked, _contradicts, _contradiction_means, _mover, _decides),
    Kind.MONITOR: (_blind, _blind_means, _mover),
}
_EXCESS: Final[Mapping[Kind, tuple[Part, ...]]] = {
    Kind.ATTRIBUTED: (_excess, _added_little, _at_least, _standing, _mover),
    Kind.UNDETERMINED: (_excess, _added_little, _possible, _mover, _decides),
    Kind.CONTRADICTION: (_excess, _added_little, _parts_contradict, _contradiction_means, _mover),
}
