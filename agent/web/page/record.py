"""What the ledger holds beside an incident's course, under its card. Pure."""

from agent.incident.value import Incident
from agent.web.page.markup import NOTHING, Markup, el
from agent.web.page.view import View
from agent.words.record_text import record_text


def record(view: View, incident: Incident) -> Markup:
    """Return the entries, folded up; the leaf's hash is each line's title, to be found in a proof."""
    entries = view.snapshot.records.get(incident.id, ())
    if not entries:
        return NOTHING
    lines = [el("li", record_text(one, view.chain, view.language), title=one.hash) for one in entries]
    return el("details", el("summary", f"{view.labels.record} ({len(entries)})"), el("ul", lines), class_="record")
