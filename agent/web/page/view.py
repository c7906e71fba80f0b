"""What every part of the page reads, and the small pieces that several parts share. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from agent.incident.value import Kind, State
from agent.model import UNASSIGNED, Chain
from agent.snapshot import Snapshot
from agent.web.page.labels import LABELS, Labels
from agent.web.page.markup import Markup, el, joined
from agent.words import term
from agent.words.names import moment, party_name

# The stylesheet has this many party colours; a ninth party shares the first one's, its name stands beside it.
COLOURS = 8
# state of anything -> the picture and colour that show it (symbols in the document, `.s-*` in the stylesheet)
LOOKS: Mapping[str, str] = {
    "ok": "ok",
    "partly": "ok",
    "up": "ok",
    "degraded": "degraded",
    "failed": "failed",
    "down": "failed",
    "suspected": "suspected",
    "masked": "masked",
    "excused": "masked",
    "unknown": "unknown",
    "unobserved": "unknown",
}


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot as one reader sees it: `now` in UTC epoch seconds, `language` en or nl."""

    snapshot: Snapshot
    now: float
    language: str

    @property
    def chain(self) -> Chain:
        """Return the chain."""
        return self.snapshot.chain

    @property
    def labels(self) -> Labels:
        """Return the page's fixed texts."""
        return LABELS[self.language]

    def party(self, party: str) -> str:
        """Return a party's name."""
        return party_name(party, self.chain, self.language)

    def term(self, topic: str, key: str) -> str:
        """Return a word of the vocabulary."""
        return term(topic, key, self.language)

    @property
    def suspects(self) -> frozenset[str]:
        """Return the segments that an open incident holds possible and does not prove."""
        proven = (Kind.ATTRIBUTED, Kind.MONITOR)
        unproven = (i for i in self.snapshot.incidents if i.kind not in proven or i.state is State.SUSPECTED)
        return frozenset(s for i in unproven if i.state is not State.RECOVERING for s in i.segments)

    def segment_state(self, segment: str) -> str:
        """Return a segment's state; what nobody speaks of is unknown."""
        return self.snapshot.segments.get(segment, "unknown")


def state(view: View, topic: str, key: str) -> Markup:
    """Return a state as picture and word, coloured: never by colour alone."""
    return el(
        "span", icon(LOOKS.get(key, "unknown")), view.term(topic, key), class_=f"state s-{LOOKS.get(key, 'unknown')}"
    )


def icon(name: str) -> Markup:
    """Return one of the document's symbols, for eyes only."""
    return el("svg", el("use", href=f"#i-{name}"), class_="icon", aria_hidden="true")


def colour(chain: Chain, party: str) -> str:
    """Return the class of a party's colour: by its place in the chain file, so that it never changes."""
    if party == UNASSIGNED or party not in chain.parties:
        return "p-none"
    return f"p-{list(chain.parties).index(party) % COLOURS}"


def owners(view: View, parties: Iterable[str]) -> Markup:
    """Return parties as colour and name each."""
    chips = [el("span", el("i", class_=f"dot {colour(view.chain, p)}"), view.party(p), class_="party") for p in parties]
    return el("span", chips, class_="parties")


def band(view: View, parties: Iterable[str]) -> Markup:
    """Return the bar in the colours of all owners."""
    return el("span", [el("i", class_=colour(view.chain, p)) for p in parties], class_="band", aria_hidden="true")


def clock_words(view: View, at: float) -> str:
    """Return a time of day on the chain's clock, with the day when it is another one."""
    zone = ZoneInfo(view.chain.timezone)
    local = datetime.fromtimestamp(at, UTC).astimezone(zone)
    today = datetime.fromtimestamp(view.now, UTC).astimezone(zone).date()
    return local.strftime("%H:%M:%S" if local.date() == today else "%Y-%m-%d %H:%M")


def clock(view: View, at: float) -> Markup:
    """Return a time of day as an element: the exact moment for programs, the whole one as title."""
    exact = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return el("time", clock_words(view, at), datetime=exact, title=moment(at, view.chain, view.language))


def facts(rows: Iterable[tuple[str, Markup | str]]) -> Markup:
    """Return a definition list of label and value; rows without a value are left out."""
    return el("dl", [el("div", el("dt", label), el("dd", value)) for label, value in rows if value], class_="facts")


def section(name: str, title: str, *children: Markup, count: int | None = None) -> Markup:
    """Return a landmark with its heading; the content is what live updates replace."""
    number = el("span", str(count), class_="count") if count is not None else Markup("")
    return joined(el("h2", title, number, id=f"{name}-title"), *children)
