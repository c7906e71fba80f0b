"""The page's part about configurations: what departs from what was approved, and what changed lately. Pure."""

from collections.abc import Iterator
from typing import Final

from agent.drift.beside import beside
from agent.drift.value import Event, FactNow, Standing
from agent.incident.value import Incident
from agent.web.page.markup import NOTHING, Markup, el, joined
from agent.web.page.view import View, section
from agent.words.change_text import caveat, change_text, last_change_text, short, title

# What is older than a week is for reports, and ten lines are read.
SHOWN_SECONDS: Final = 7 * 86_400.0
SHOWN: Final = 10


def changes(view: View) -> Markup:
    """Return the part; nothing where no probe tells of a configuration and nothing changed."""
    drift = view.snapshot.drift
    if not drift.fingerprints and not drift.changes:
        return NOTHING
    labels = view.labels
    drifted = [el("li", text) for text in _drifted(view)]
    latest = [
        el("li", change_text(one, view.chain, view.language, now=view.now))
        for one in drift.changes
        if one.event is not Event.SEEN and view.now - one.at <= SHOWN_SECONDS
    ][:SHOWN]
    return section(
        "changes",
        labels.changes,
        joined(el("p", labels.drifted), el("ul", drifted, class_="drifted")) if drifted else NOTHING,
        _unapproved(view),
        joined(el("p", labels.changes_latest), el("ul", latest, class_="changes"))
        if latest
        else el("p", labels.changes_none, class_="quiet"),
        count=len(drifted) or None,
    )


def _facts(view: View, standing: Standing) -> Iterator[tuple[str, FactNow]]:
    for one in view.snapshot.drift.fingerprints:
        yield from ((one.probe, fact) for fact in one.facts if fact.standing is standing)


def _drifted(view: View) -> Iterator[str]:
    pattern = view.labels.drifted_fact
    for probe, fact in _facts(view, Standing.DRIFTED):
        yield pattern.format(
            probe=probe,
            fact=fact.name,
            value=short(fact.value),
            approved=short(fact.approved or ""),
            by=view.labels.chain_file_word
            if fact.approved_by not in view.chain.parties
            else view.party(fact.approved_by),
        )


def _unapproved(view: View) -> Markup:
    count = sum(1 for _ in _facts(view, Standing.UNAPPROVED))
    return el("p", view.labels.unapproved.format(count=count), class_="quiet") if count else NOTHING


def last_changes(view: View, incident: Incident) -> Markup:
    """Return the changes that stand beside an incident, as paragraphs behind its sentences; nothing without any."""
    found = beside(incident, view.snapshot.drift.changes)
    if not found:
        return NOTHING
    lead = el("strong", f"{title(view.language)}: ")
    told = [el("p", lead, last_change_text(one, incident.opened, view.chain, view.language)) for one in found]
    return joined(told, el("p", caveat(view.language), class_="quiet"))
