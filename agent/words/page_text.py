"""What a page says: the headline of an incident, and its whole text."""

from collections.abc import Mapping
from typing import Final

from agent.incident.value import Incident, Kind, State
from agent.model import Chain
from agent.snapshot import ProbeNow
from agent.words.names import amount, listed, party_name, party_names, service_names
from agent.words.sentences import Case, sentences
from agent.words.terms import phrases, term

# A notification's title: what a phone's lock screen and a pager's first line still show whole.
LONGEST: Final = 100
# A suspicion calls nobody, and what has ended needs nobody.
_CALLS: Final = frozenset((State.CONFIRMED, State.RECOVERING))


def summary(incident: Incident, chain: Chain, language: str = "en") -> str:
    """Return one line of at most 100 characters: what is wrong, with whom, and what it affects.

    It changes with the incident's state and kind, so it is an annotation and never a label.
    """
    words = phrases(language)
    patterns = {
        State.SUSPECTED: words.head_suspected if incident.kind is Kind.MONITOR else words.head_suspicion,
        State.CONFIRMED: "{head}",
        State.RECOVERING: words.head_recovering,
        State.CLOSED: words.head_closed,
    }
    about = _about(incident, language)
    head = patterns[incident.state].format(head=_head(incident, chain, language), about=about)
    # A sentence begins with a capital, the name of a segment stays as it is.
    head = head if head.startswith(incident.segments[:1]) else head[:1].upper() + head[1:]
    services = service_names(incident.services, chain, language)
    whole = head + words.head_services.format(services=services) if services else head
    text = whole if len(whole) <= LONGEST else head
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"


def _about(incident: Incident, language: str) -> str:
    """Return the incident's segments in brackets, or nothing."""
    return f" ({listed(incident.segments, language, most=2)})" if incident.segments else ""


def _head(incident: Incident, chain: Chain, language: str) -> str:
    """Return the headline without state and services."""
    words = phrases(language)
    segments = listed(incident.segments, language, most=2)
    ended = incident.state is State.CLOSED
    if incident.excess is not None and incident.kind in (Kind.ATTRIBUTED, Kind.UNDETERMINED):
        return _excess_head(incident, chain, language)
    match incident.kind:
        case Kind.ATTRIBUTED:
            party = party_names(incident.parties, chain, language)
            pattern = words.head_attributed_ended if ended else words.head_attributed
            return pattern.format(segments=segments, party=party)
        case Kind.UNDETERMINED:
            case = Case(incident=incident, chain=chain, probes={}, language=language)
            if case.joint or case.unassigned:
                pattern = words.head_undetermined_in_ended if ended else words.head_undetermined_in
                return pattern.format(segments=segments)
            possible = party_names(incident.candidates, chain, language, last=words.or_)
            return words.head_undetermined.format(candidates=possible)
        case Kind.CONTRADICTION:
            return words.head_contradiction.format(about=_about(incident, language))
        case _:
            return words.head_monitor.format(vantage=incident.vantage or segments)


def _excess_head(incident: Incident, chain: Chain, language: str) -> str:
    """Return the headline of delay or loss."""
    words = phrases(language)
    case = Case(incident=incident, chain=chain, probes={}, language=language)
    late, segments = case.excess.what == "delay", listed(incident.segments, language, most=2)
    if incident.parties:
        party, part = (
            party_names(incident.parties, chain, language),
            amount(case.excess.what, case.excess.part, language),
        )
        return (words.head_late if late else words.head_losing).format(segments=segments, party=party, part=part)
    if case.joint or case.unassigned or not incident.candidates:
        return (words.head_late_in if late else words.head_losing_in).format(segments=segments)
    possible = party_names(incident.candidates, chain, language, last=words.or_)
    return (words.head_late_open if late else words.head_losing_open).format(candidates=possible)


def page_text(
    incident: Incident, chain: Chain, probes: Mapping[str, ProbeNow] | None = None, language: str = "en"
) -> str:
    """Return what a page says as plain text: headline, facts, the sentences, whom to call.

    Lines end with a line feed and are not wrapped; the last one states what the text is not.
    """
    words = phrases(language)
    facts = words.page_line.format(
        id=incident.id,
        kind=term("kind", incident.kind, language),
        state=term("state", incident.state, language),
    )
    lines = [summary(incident, chain, language), facts, "", *sentences(incident, chain, probes, language), ""]
    if incident.state in _CALLS:
        mover = party_name(incident.mover, chain, language)
        lines.append(words.page_contact.format(mover=mover, contact=_contact(incident.mover, chain, language)))
    quotes = [
        f"{s}: {chain.segments[s].quote}" for s in incident.segments if s in chain.segments and chain.segments[s].quote
    ]
    if quotes:
        lines.append(words.page_quote.format(quotes="; ".join(quotes)))
    lines.append(words.page_limits)
    return "\n".join(lines) + "\n"


def _contact(party: str, chain: Chain, language: str) -> str:
    """Return `, phone …, email …` as the chain file gives them, or nothing."""
    known = chain.parties.get(party)
    if known is None:
        return ""
    details = [f"{term('contact', key, language)} {value}" for key, value in known.contact.items()]
    return "".join(f", {text}" for text in [*details, known.support] if text)
