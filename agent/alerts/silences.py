"""Who silenced our alerts, as an Alertmanager tells it: a silence made after the alert began is taking note. Pure.

What must stay true: a silence that was there before the alert (a maintenance window) acknowledges nothing.
Alertmanager's OpenAPI of version 2 names the fields; anything else in its answers is passed over.
"""

from datetime import datetime

import msgspec

from agent.alerts.message import ALERTNAME
from probes.kit.json_errors import JSON_ERRORS

ALERTS = (
    f"/api/v2/alerts?active=false&inhibited=false&unprocessed=false&silenced=true&filter=alertname%3D%22{ALERTNAME}%22"
)
SILENCES = "/api/v2/silences"


class _Status(msgspec.Struct, frozen=True):
    silencedBy: tuple[str, ...] = ()  # noqa: N815 - Alertmanager's name


class _Alert(msgspec.Struct, frozen=True):
    labels: dict[str, str]
    startsAt: datetime  # noqa: N815
    status: _Status = _Status()


class _Silence(msgspec.Struct, frozen=True):
    id: str
    startsAt: datetime  # noqa: N815
    createdBy: str = ""  # noqa: N815


class Silenced(msgspec.Struct, frozen=True, kw_only=True):
    """An alert about an incident, addressed to a party, that a person silenced."""

    incident: str
    to: str
    by: str


def silenced(alerts: bytes, silences: bytes) -> tuple[Silenced, ...]:
    """Return what was silenced after it began; ValueError when the answers are not Alertmanager's."""
    try:
        known = {one.id: one for one in msgspec.json.decode(silences, type=list[_Silence])}
        ours = msgspec.json.decode(alerts, type=list[_Alert])
    except JSON_ERRORS as error:
        raise ValueError(f"not an answer of Alertmanager: {error}") from error
    found = []
    for alert in ours:
        incident, to = alert.labels.get("incident", ""), alert.labels.get("to", "")
        later = [
            known[name].createdBy
            for name in alert.status.silencedBy
            if name in known and _after(known[name].startsAt, alert.startsAt)
        ]
        if incident and to and later:
            found.append(Silenced(incident=incident, to=to, by=later[0]))
    return tuple(found)


def _after(one: datetime, other: datetime) -> bool:
    """Say whether `one` is not before `other`; a time without its zone says nothing."""
    return one.tzinfo is not None and other.tzinfo is not None and one >= other
