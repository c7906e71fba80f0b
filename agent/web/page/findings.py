"""The page's findings: the headline, the loud banners, the cards of incidents. Pure."""

from collections.abc import Iterator

from agent.incident.value import Incident, Kind, State
from agent.web.page.changes import last_changes
from agent.web.page.markup import NOTHING, Markup, el, joined
from agent.web.page.record import record
from agent.web.page.view import View, clock, clock_words, facts, icon, owners, section
from agent.words import sentences, summary
from agent.words.names import lasting, listed, service_names

# A snapshot is renewed at least once a second; five missed ones are no jitter.
STALE_SECONDS = 5.0
# On the page a longer list of ended incidents is a report's work.
CLOSED_SHOWN = 5


def is_stale(view: View) -> bool:
    """Tell whether the agent has stopped renewing its picture."""
    return view.now - view.snapshot.at > STALE_SECONDS


def headline(view: View) -> Markup:
    """Return the one line that a glance must give, with its colour and picture."""
    look, title = verdict(view)
    snapshot = view.snapshot
    operator = snapshot.chain.vantages[snapshot.vantage].operator if snapshot.vantage in snapshot.chain.vantages else ""
    seen = view.labels.seen_from.format(vantage=snapshot.vantage, operator=view.party(operator))
    return el(
        "div",
        icon(look),
        el("div", el("h1", title), el("p", seen, class_="seen")),
        class_=f"headline h-{look}",
    )


def verdict(view: View) -> tuple[str, str]:
    """Return look and text of the headline. Absence of data is never told as working."""
    labels, snapshot = view.labels, view.snapshot
    confirmed = [i for i in snapshot.incidents if i.state is not State.SUSPECTED]
    if confirmed:
        many = labels.many_incidents.format(count=len(confirmed))
        texts = [labels.one_incident if len(confirmed) == 1 else many]
        if affected := _affected(view):
            texts.append(affected)
        return "failed", ": ".join(texts)
    if is_stale(view):
        return "unknown", labels.old_picture
    if snapshot.incidents:
        return "suspected", labels.suspicion
    unseen = [s for s in snapshot.chain.segments if view.segment_state(s) != "ok"]
    if unseen:
        rest = labels.not_measured.format(segments=listed(unseen, view.language))
        return "unknown", f"{labels.no_trouble}; {rest}"
    return "ok", labels.all_works


def _affected(view: View) -> str:
    """Return which services are down, or else degraded; empty when none is."""
    labels, states = view.labels, view.snapshot.services.items()
    down = [name for name, state in states if state == "down"]
    names = down or [name for name, state in states if state == "degraded"]
    if not names:
        return ""
    pattern = labels.services_degraded if not down else labels.service_down if len(down) == 1 else labels.services_down
    return pattern.format(services=service_names(names, view.chain, view.language))


def banners(view: View) -> Markup:
    """Return what must not be overlooked, whatever else the page says."""
    return joined(
        [el("div", icon("warning"), el("p", el("strong", t), " ", x), class_="banner") for t, x in _warnings(view)]
    )


def _warnings(view: View) -> Iterator[tuple[str, str]]:
    """Give title and text of each warning that holds now."""
    labels, snapshot = view.labels, view.snapshot
    if is_stale(view):
        yield f"{labels.old_picture}.", labels.old_picture_text.format(since=clock_words(view, snapshot.at))
    detail = f" ({snapshot.recording.detail})" if snapshot.recording.detail else ""
    if not snapshot.recording.ledger:
        yield f"{labels.ledger_stopped}{detail}.", labels.goes_on
    if not snapshot.recording.store:
        yield f"{labels.store_stopped}{detail}.", labels.goes_on
    for peer in snapshot.peers:
        if peer.same_chain is False:
            yield f"{labels.other_chain.format(vantage=peer.vantage)}.", labels.other_chain_text
    for witness in snapshot.witnesses:
        if witness.conflict:
            yield f"{labels.witness_conflict.format(vantage=witness.vantage)}.", labels.witness_conflict_text
        if witness.silent and witness.waiting is not None:
            since = clock_words(view, witness.waiting)
            title = labels.witness_silent.format(vantage=witness.vantage)
            yield f"{title}.", labels.witness_silent_text.format(since=since)
    for incident in snapshot.incidents:
        if incident.kind is Kind.MONITOR:
            yield f"{labels.blind}.", f"{summary(incident, snapshot.chain, view.language)}."


def open_incidents(view: View) -> Markup:
    """Return a card for each open incident: confirmed ones first, then by opening."""
    incidents = sorted(view.snapshot.incidents, key=lambda i: (i.state is State.SUSPECTED, i.opened))
    if not incidents:
        return NOTHING
    return section("incidents", view.labels.incidents, *[_card(view, i) for i in incidents], count=len(incidents))


def _card(view: View, incident: Incident) -> Markup:
    """Return one incident: headline, badges, the sentences, the facts."""
    told = sentences(incident, view.chain, view.snapshot.probes, view.language)
    return el(
        "article",
        el(
            "header",
            el("h3", summary(incident, view.chain, view.language)),
            el("p", _badge(view, "state", incident.state), _badge(view, "kind", incident.kind), class_="badges"),
        ),
        el(
            "div",
            el("div", [el("p", text) for text in told], last_changes(view, incident), class_="told"),
            _facts(view, incident),
            class_="body",
        ),
        record(view, incident),
        class_=f"card k-{incident.kind} st-{incident.state}",
        id=f"incident-{incident.id}",
    )


def _badge(view: View, topic: str, key: str) -> Markup:
    return el("span", view.term(topic, key), class_=f"badge b-{key}")


def _facts(view: View, incident: Incident) -> Markup:
    """Return the facts for those who look for one of them."""
    labels = view.labels
    rests = f" ({', '.join(view.party(p) for p in incident.rests_on)})" if incident.rests_on else ""
    standing = f"{view.term('standing', incident.standing)}{rests}" if incident.standing else ""
    calls = incident.state in (State.CONFIRMED, State.RECOVERING)
    return facts(
        (
            (labels.party, owners(view, incident.parties) if incident.parties else NOTHING),
            (
                labels.candidates,
                owners(view, incident.candidates) if not incident.parties and incident.candidates else NOTHING,
            ),
            (labels.standing, standing),
            (labels.since, clock(view, incident.opened)),
            (labels.mover, joined(owners(view, (incident.mover,)), _phone(view, incident.mover)) if calls else NOTHING),
            (labels.segments, ", ".join(incident.segments)),
            (labels.incident, el("code", incident.id)),
        )
    )


def _phone(view: View, party: str) -> Markup:
    """Return the party's telephone number, to be tapped on a phone."""
    known = view.chain.parties.get(party)
    number = known.contact.get("phone", "") if known else ""
    dialled = "".join(c for c in number if c.isdigit() or c == "+")
    return joined(" ", el("a", number, href=f"tel:{dialled}")) if dialled else NOTHING


def closed_incidents(view: View) -> Markup:
    """Return the latest ended incidents, newest first, folded up."""
    labels, incidents = view.labels, view.snapshot.closed
    latest = sorted(incidents, key=lambda i: i.closed or 0.0, reverse=True)[:CLOSED_SHOWN]
    if not latest:
        return section("closed", labels.closed, el("p", labels.closed_none, class_="quiet"))
    return section("closed", labels.closed, *[_ended(view, i) for i in latest])


def _ended(view: View, incident: Incident) -> Markup:
    """Return one ended incident: a line that opens to its sentences."""
    ended = incident.closed if incident.closed is not None else view.now
    lasted = lasting(ended - incident.opened, view.language)
    told = sentences(incident, view.chain, None, view.language)
    return el(
        "details",
        el(
            "summary",
            el("strong", summary(incident, view.chain, view.language)),
            el(
                "span", f"{view.labels.ended} ", clock(view, ended), f" · {view.labels.lasted} {lasted}", class_="quiet"
            ),
        ),
        el("div", [el("p", text) for text in told], last_changes(view, incident), class_="told"),
        record(view, incident),
        id=f"closed-{incident.id}",
    )
