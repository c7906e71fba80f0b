"""How parties, segments, services, probes and moments are called in a sentence."""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from agent.model import UNASSIGNED, Chain
from agent.observation import SELF
from agent.words.phrases import Phrases
from agent.words.terms import phrases, term

# More than four names in one sentence stop being read; the page lists them all.
MOST = 4


def listed(items: Sequence[str], language: str, *, most: int = MOST, last: str = "") -> str:
    """Join `items` as people do (`a, b and c`), at most `most` of them and then how many more."""
    words = phrases(language)
    shown = list(items[:most])
    if len(items) > most:
        shown.append(words.more.format(count=len(items) - most))
    if len(shown) <= 1:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} {last or words.and_} {shown[-1]}"


def grouped(groups: Sequence[str], language: str) -> str:
    """Join phrases that may themselves hold an `and`: a comma stands before the last one."""
    words = phrases(language)
    return listed(groups, language) if len(groups) < 2 else ", ".join(groups[:-1]) + words.and_also + groups[-1]


def party_name(party: str, chain: Chain, language: str) -> str:
    """Return the name of a party by its id; the words for `unassigned`, the id when it is unknown."""
    if party == UNASSIGNED:
        return phrases(language).nobody
    known = chain.parties.get(party)
    return known.name if known else party


def party_names(parties: Iterable[str], chain: Chain, language: str, last: str = "") -> str:
    """Return the names of parties, joined."""
    return listed([party_name(p, chain, language) for p in parties], language, last=last)


def service_names(services: Iterable[str], chain: Chain, language: str) -> str:
    """Return the names of services, joined."""
    return listed([chain.services[s].name if s in chain.services else s for s in services], language)


def segment_names(segments: Iterable[str], chain: Chain, language: str) -> str:
    """Return segments with their owners, one bracket per run of the same owner: `a and b (Owner)`."""
    words = phrases(language)
    groups: dict[tuple[str, ...], list[str]] = {}
    for segment in segments:
        known = chain.segments.get(segment)
        groups.setdefault(known.owners if known else (), []).append(segment)
    texts = []
    for owners, members in groups.items():
        names = listed(members, language)
        owner = party_names(owners, chain, language)
        texts.append(words.owned.format(segments=names, owner=owner) if owners else names)
    return grouped(texts, language)


def probe_name(key: str, chain: Chain, language: str, *, full: bool = False) -> str:
    """Return how the probe `vantage>probe` is called; `full` adds its type and target."""
    words = phrases(language)
    vantage, _, name = key.rpartition(">")
    if name == SELF:
        return words.self_check.format(vantage=vantage)
    probe = chain.probes.get(name)
    if not full or probe is None:
        return words.quoted.format(name=name)
    return words.probe.format(name=name, type=term("type", probe.type, language), target=probe.target)


def probe_names(keys: Iterable[str], chain: Chain, language: str) -> str:
    """Return probes by the vantage that they measure from, self-checks last: `“gw” and “saas” from cloud`."""
    words = phrases(language)
    groups: dict[str, list[str]] = {}
    checks: list[str] = []
    for key in keys:
        vantage, _, name = key.rpartition(">")
        if name == SELF:
            checks.append(vantage)
        else:
            groups.setdefault(vantage, []).append(probe_name(key, chain, language))
    texts = []
    for vantage, names in groups.items():
        text = listed(names, language)
        texts.append(f"{text} {words.from_vantages.format(vantages=vantage)}" if vantage else text)
    if len(checks) == 1:
        texts.append(words.self_check.format(vantage=checks[0]))
    elif checks:
        texts.append(words.self_checks.format(vantages=listed(checks, language)))
    return grouped(texts, language)


def moment(at: float, chain: Chain, language: str, *, day_of: float | None = None) -> str:
    """Return a time (UTC epoch seconds) on the chain's wall clock, to the second, with its zone.

    The date is left out when it is that of the moment `day_of`.
    """
    words, zone = phrases(language), ZoneInfo(chain.timezone)
    local = datetime.fromtimestamp(at, UTC).astimezone(zone)
    same_day = day_of is not None and datetime.fromtimestamp(day_of, UTC).astimezone(zone).date() == local.date()
    return (words.clock if same_day else words.moment).format(
        time=local.strftime("%H:%M:%S"),
        zone=local.strftime("%Z"),
        day=local.day,
        month=words.months[local.month - 1],
        year=local.year,
    )


def lasting(seconds: float, language: str) -> str:
    """Return a duration in words, its two largest units: `1 hour and 5 minutes`."""
    words: Phrases = phrases(language)
    rest = max(0, round(seconds))
    texts = []
    for size, unit in ((86400, words.days), (3600, words.hours), (60, words.minutes), (1, words.seconds)):
        count, rest = divmod(rest, size)
        if count:
            texts.append(unit[count > 1].format(count=count))
    return listed(texts[:2], language) or words.seconds[1].format(count=0)


def number(value: float, digits: int, language: str) -> str:
    """Return a number with so many decimals, with the language's decimal sign."""
    return f"{value:.{digits}f}".replace(".", phrases(language).decimal)


def duration(seconds: float, language: str) -> str:
    """Return seconds for people, as exact as is worth reading: `0.42 ms`, `4.1 ms`, `41 ms`, `1.25 s`."""
    if seconds >= 1:
        return f"{number(seconds, 2, language)} s"
    digits = 0 if seconds >= 0.01 else 1 if seconds >= 0.001 else 2
    return f"{number(seconds * 1000, digits, language)} ms"


def amount(what: str, value: float, language: str) -> str:
    """Return an excess for people, never more than was measured: `38 ms` (`delay`, s), `2.4 %` (`loss`, a share)."""
    if what == "loss":
        per_mille = math.floor(value * 1000 + 1e-9)
        digits = 0 if per_mille >= 100 or per_mille % 10 == 0 else 1
        return f"{number(per_mille // 10 if digits == 0 else per_mille / 10, digits, language)} %"
    scale = 1e3 if value >= 0.01 else 1e5
    return duration(math.floor(value * scale + 1e-6) / scale, language)
