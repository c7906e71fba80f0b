"""What the ledger holds about an incident beside its course, one line an entry: evidence, requests, corrections. Pure.

The lines say who asked, objected or approved, never who is right; a term that passed is told as silence.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from agent.model import Chain
from agent.snapshot import Noted
from agent.words.names import listed, moment, party_name

_NANO: Final = 1_000_000_000


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """One language's patterns by kind of entry, and the words that fill them."""

    patterns: Mapping[str, str]
    words: Mapping[str, str]
    entry: str


TEXTS: Final[Mapping[str, Texts]] = {
    "en": Texts(
        patterns={
            "evidence": "{observations} measurements kept as evidence ({part})",
            "reattribution": "all measurements together, late ones included, say: {finding}",
            "hold": "{party}: {state}",
            "correction": "corrected, approved by {approved} ({standing})",
            "request": "{party} asks {to} for {what}, until {due}",
            "reply": "the request {request}: {outcome}",
            "objection": "{party} objects, to be decided by {due}",
            "decision": "the objection {objection}: {outcome}",
            "acknowledgement": "{party} has taken note ({via})",
        },
        words={
            "onset": "its begin",
            "change": "a change of the finding",
            "end": "its end",
            "late": "from another vantage, afterwards",
            "held": "disputed, nothing of it is erased",
            "released": "no longer held",
            "signed": "signed",
            "paper": "on paper, not counted",
            "vantage": "a vantage",
            "cosign": "cosigning",
            "acknowledge": "an acknowledgement",
            "explain": "an explanation",
            "other": "something else",
            "done": "done",
            "partly": "partly done",
            "refused": "refused",
            "withdrawn": "withdrawn",
            "none": "the term passed without a reply",
            "upheld": "upheld",
            "rejected": "rejected",
            "command": "entered here",
            "silence": "silenced the alert",
            "attributed": "traced to {parties}",
            "undetermined": "not to be traced to one party",
            "contradiction": "contradictory measurements",
            "monitor": "our own vantage could not look",
        },
        entry="entry {index}",
    ),
    "nl": Texts(
        patterns={
            "evidence": "{observations} metingen bewaard als bewijs ({part})",
            "reattribution": "alle metingen samen, ook de late, zeggen: {finding}",
            "hold": "{party}: {state}",
            "correction": "gecorrigeerd, goedgekeurd door {approved} ({standing})",
            "request": "{party} vraagt {to} om {what}, vóór {due}",
            "reply": "het verzoek {request}: {outcome}",
            "objection": "{party} maakt bezwaar, te beslissen vóór {due}",
            "decision": "het bezwaar {objection}: {outcome}",
            "acknowledgement": "{party} heeft kennisgenomen ({via})",
        },
        words={
            "onset": "het begin",
            "change": "een wijziging van de bevinding",
            "end": "het einde",
            "late": "achteraf, van een ander meetpunt",
            "held": "betwist, er wordt niets van gewist",
            "released": "niet langer vastgehouden",
            "signed": "ondertekend",
            "paper": "op papier, telt niet mee",
            "vantage": "een meetpunt",
            "cosign": "medeondertekening",
            "acknowledge": "een bevestiging",
            "explain": "een verklaring",
            "other": "iets anders",
            "done": "gedaan",
            "partly": "deels gedaan",
            "refused": "geweigerd",
            "withdrawn": "ingetrokken",
            "none": "de termijn verstreek zonder antwoord",
            "upheld": "gegrond",
            "rejected": "ongegrond",
            "command": "hier ingevoerd",
            "silence": "heeft de melding gedempt",
            "attributed": "herleid tot {parties}",
            "undetermined": "niet te herleiden tot één partij",
            "contradiction": "tegenstrijdige metingen",
            "monitor": "het eigen meetpunt kon niet kijken",
        },
        entry="inschrijving {index}",
    ),
}
_PARTIES: Final = ("party", "to")
_WORDS: Final = ("part", "state", "standing", "what", "outcome", "via")


def record_text(noted: Noted, chain: Chain, language: str) -> str:
    """Return one line about an entry, with its number; the kind itself where there is no pattern for it."""
    texts, body = TEXTS[language], noted.body
    pattern = texts.patterns.get(noted.kind, noted.kind)
    fields: dict[str, Any] = {name: value for name, value in body.items() if isinstance(value, str | int)}
    fields |= {name: party_name(body[name], chain, language) for name in _PARTIES if name in body}
    fields |= {name: texts.words.get(body[name], body[name]) for name in _WORDS if name in body}
    if "due" in body:
        fields["due"] = moment(body["due"] / _NANO, chain, language)
    approving = [party_name(one["party"], chain, language) for one in body.get("approved", ())]
    fields["approved"] = listed(approving, language)
    fields["finding"] = _finding(body.get("incident"), chain, language)
    return f"{pattern.format(**fields)} · {texts.entry.format(index=noted.index)}"


def _finding(incident: object, chain: Chain, language: str) -> str:
    if not isinstance(incident, Mapping):
        return ""
    parties = listed([party_name(one, chain, language) for one in incident.get("parties", ())], language)
    return TEXTS[language].words.get(incident.get("kind", ""), "").format(parties=parties)
