"""A change of a configuration in a sentence: when, seen by whom, what from what to what.

It stands beside an incident for people to look at first; no sentence here says that a change caused anything.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from agent.drift.value import Change, Event, Move
from agent.model import Chain
from agent.words.names import lasting, listed, moment, probe_name

# Digests are compared by machines; their first digits tell people whether it is another one.
_DIGEST: Final = re.compile(r"[0-9a-f]{40,}")
_DIGITS: Final = 12
# A renewed certificate moves four facts.
_MOST: Final = 4


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """One language's patterns."""

    moves: Mapping[Event, str]
    chain_file: str
    unknown: str
    seen: str
    by_agent: str
    between: str
    before: str
    after: str
    title: str
    caveat: str


TEXTS: Final[Mapping[str, Texts]] = {
    "en": Texts(
        moves={
            Event.SEEN: "{name} is {after}",
            Event.CHANGED: "{name} from {before} to {after}",
            Event.FLAPPING: "{name} keeps changing ({after})",
            Event.SETTLED: "{name} holds again: {after}",
        },
        chain_file="the chain file",
        unknown="unknown",
        seen="{when}, {probe} from {vantage}: {moves}",
        by_agent="{when}, at {vantage}: {moves}",
        between="between {since} and {until}",
        before="{time} before",
        after="seen {time} after",
        title="Last change",
        caveat="A change is no proof of a cause.",
    ),
    "nl": Texts(
        moves={
            Event.SEEN: "{name} is {after}",
            Event.CHANGED: "{name} van {before} naar {after}",
            Event.FLAPPING: "{name} wisselt steeds ({after})",
            Event.SETTLED: "{name} staat weer vast: {after}",
        },
        chain_file="het ketenbestand",
        unknown="onbekend",
        seen="{when}, {probe} vanaf {vantage}: {moves}",
        by_agent="{when}, op {vantage}: {moves}",
        between="tussen {since} en {until}",
        before="{time} ervoor",
        after="gezien {time} erna",
        title="Laatste wijziging",
        caveat="Een wijziging bewijst geen oorzaak.",
    ),
}
# A change that is known to the minute is told by one moment.
_MOMENT_SECONDS: Final = 60.0


def change_text(change: Change, chain: Chain, language: str, *, now: float) -> str:
    """Return what changed, when and by whose look; `now` leaves out today's date."""
    texts = TEXTS[language]
    when = moment(change.at, chain, language, day_of=now)
    if change.not_before is not None and change.at - change.not_before > _MOMENT_SECONDS:
        since = moment(change.not_before, chain, language, day_of=change.at)
        when = texts.between.format(since=since, until=when)
    moves = [
        _move(name if change.probe else texts.chain_file, move, change.event, texts)
        for name, move in change.moves.items()
    ]
    return (texts.seen if change.probe else texts.by_agent).format(
        when=when,
        probe=probe_name(f"{change.vantage}>{change.probe}", chain, language),
        vantage=change.vantage,
        moves=listed(moves, language, most=_MOST),
    )


def last_change_text(change: Change, opened: float, chain: Chain, language: str) -> str:
    """Return a change beside an incident: how long before it `opened` (UTC epoch seconds), or after it was seen."""
    texts = TEXTS[language]
    pattern = texts.before if change.at <= opened else texts.after
    distance = pattern.format(time=lasting(abs(opened - change.at), language))
    return f"{change_text(change, chain, language, now=opened)} ({distance})."


def last_changes_text(changes: Iterable[Change], opened: float, chain: Chain, language: str) -> str:
    """Return the changes beside an incident, a line each, and under them what they do not prove."""
    lines = [f"{title(language)}: {last_change_text(one, opened, chain, language)}" for one in changes]
    return "\n".join([*lines, caveat(language)])


def title(language: str) -> str:
    """Return what stands before a change beside an incident."""
    return TEXTS[language].title


def caveat(language: str) -> str:
    """Return what stands under every change beside an incident."""
    return TEXTS[language].caveat


def short(value: str) -> str:
    """Return a value for people: digests by their first digits."""
    return _DIGEST.sub(lambda found: found[0][:_DIGITS] + "…", value)


def _move(name: str, move: Move, event: Event, texts: Texts) -> str:
    return texts.moves[event].format(name=name, before=short(move.before) or texts.unknown, after=short(move.after))
