"""An alert as Alertmanager's API takes it (POST /api/v2/alerts): fixed labels, telling annotations.

What must stay true: exactly four labels, whatever the incident becomes; everything that changes is
an annotation, in the language of the party addressed; `resolved` is said only of a recovery.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from agent.alerts.plan import End, Ended, Key
from agent.drift.value import Change
from agent.incident.value import Incident
from agent.model import Chain
from agent.words import language_of, page_text, summary
from agent.words.change_text import last_changes_text

ALERTNAME = "DemarcIncident"
# A file of the repository: true wherever its documents are published. deploy/prometheus/README.md says how that
# place is put before it, once for all alerts, in Alertmanager's templates.
RUNBOOK = f"docs/runbooks/{ALERTNAME}.md"
# Seconds. An alert ends by itself so long after the last word from the agent: longer than a restart
# or a reboot takes, so neither tells anybody that the disturbance ended.
HOLDS = 600.0

_ENDINGS: Final[dict[str, dict[End, str]]] = {
    "en": {
        End.RECOVERED: "Resolved: {head}",
        End.REASSIGNED: "Handed over to {mover}, the disturbance continues: {head}",
        End.MERGED: "Part of another incident, the disturbance continues: {head}",
        End.UNTRACKED: "No longer tracked, not known to have recovered: {head}",
    },
    "nl": {
        End.RECOVERED: "Hersteld: {head}",
        End.REASSIGNED: "Overgedragen aan {mover}, de storing duurt voort: {head}",
        End.MERGED: "Onderdeel van een ander incident, de storing duurt voort: {head}",
        End.UNTRACKED: "Niet langer gevolgd, herstel is niet bekend: {head}",
    },
}


def firing(
    key: Key,
    starts: float,
    incident: Incident,
    chain: Chain,
    *,
    url: str,
    now: float,
    changes: Sequence[Change] = (),
) -> dict[str, Any]:
    """Return an alert that fires; `url` is the agent's own page, `now` UTC epoch seconds.

    `changes` are those of configurations that stand beside the incident (`agent.drift.beside`), newest first.
    """
    language = _language(key.to, chain)
    annotations = _facts(incident, url)
    annotations["summary"] = summary(incident, chain, language)
    annotations["description"] = page_text(incident, chain, None, language)
    if changes:
        annotations["last_change"] = last_changes_text(changes, incident.opened, chain, language)
    return _alert(key, annotations, url, starts=starts, ends=now + HOLDS)


def ended(end: Ended, chain: Chain, *, url: str) -> dict[str, Any]:
    """Return an alert that ended, with why: `ended` is recovered, reassigned, merged or untracked."""
    language = _language(end.key.to, chain)
    mover = chain.parties.get(end.incident.mover)
    text = _ENDINGS[language][end.reason].format(
        head=_head(end, chain, language), mover=mover.name if mover else end.incident.mover
    )
    annotations = {**_facts(end.incident, url), "summary": text, "ended": end.reason.value}
    annotations["description"] = text + "\n\n" + page_text(end.incident, chain, None, language)
    return _alert(end.key, annotations, url, starts=end.starts, ends=end.ends)


def bare(key: Key, starts: float, ends: float, reason: End | None = None) -> dict[str, Any]:
    """Return an alert without its story, for when telling it fails: the page goes out all the same."""
    state = reason.value if reason else "open"
    annotations = {
        "summary": f"Incident {key.incident} ({state}); see the agent's page",
        "runbook_url": RUNBOOK,
    }
    return _alert(key, annotations | ({"ended": state} if reason else {}), "", starts=starts, ends=ends)


def _head(end: Ended, chain: Chain, language: str) -> str:
    """Return what it was about; a closed incident's own headline says `Ended:` before it."""
    parts = ", ".join(end.incident.segments) or end.incident.id
    return parts if end.reason is End.RECOVERED else summary(end.incident, chain, language)


def _language(party: str, chain: Chain) -> str:
    known = chain.parties.get(party)
    return language_of(known.language) if known else "en"


def _facts(incident: Incident, url: str) -> dict[str, str]:
    """Return the incident's fields as text; what does not apply is left out."""
    facts = {
        "kind": incident.kind.value,
        "parties": ", ".join(incident.parties),
        "candidates": ", ".join(incident.candidates),
        "mover": incident.mover,
        "segments": ", ".join(incident.segments),
        "side": incident.side,
        "services": ", ".join(incident.services),
        "standing": incident.standing.value if incident.standing else "",
        "rests_on": ", ".join(incident.rests_on),
        "decide_with": ", ".join(incident.decide_with),
        "opened": stamp(incident.opened),
        "page_url": url,
        "runbook_url": RUNBOOK,
    }
    return {key: value for key, value in facts.items() if value}


def _alert(key: Key, annotations: dict[str, str], url: str, *, starts: float, ends: float) -> dict[str, Any]:
    labels = {"alertname": ALERTNAME, "to": key.to, "incident": key.incident, "severity": key.severity.value}
    alert: dict[str, Any] = {"labels": labels, "annotations": annotations}
    alert |= {"startsAt": stamp(starts), "endsAt": stamp(ends)}
    return alert | ({"generatorURL": url} if url else {})


def stamp(at: float) -> str:
    """Return UTC epoch seconds as RFC 3339 with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
