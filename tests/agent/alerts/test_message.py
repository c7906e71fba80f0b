"""An alert as it travels: fixed labels, annotations in the addressee's language, honest endings."""

import msgspec
import pytest

from agent.alerts import message
from agent.alerts.plan import End, Ended, Key, Severity
from agent.incident.value import State
from tests.agent.samples import CARRIER, CHAIN, CLOSED, INCIDENTS, NOW

URL = "https://agent.example:10199/"


def key(to: str = "carrier") -> Key:
    """Return labels."""
    return Key(incident=CARRIER.id, to=to, severity=Severity.CRITICAL)


@pytest.mark.parametrize("name", INCIDENTS)
def test_every_incident_has_four_labels_and_text(name: str) -> None:
    """Whatever the incident, the labels are the four of the contract and no annotation is empty."""
    alert = message.firing(key(), NOW, INCIDENTS[name], CHAIN, url=URL, now=NOW)
    assert set(alert["labels"]) == {"alertname", "to", "incident", "severity"}
    assert {"summary", "description", "runbook_url", "kind", "opened"} <= set(alert["annotations"])
    assert all(isinstance(value, str) and value for value in alert["annotations"].values())
    assert not {"ended", "last_change"} & set(alert["annotations"])


def test_what_fires() -> None:
    """A firing alert says since when, until when without further word, and where to look."""
    alert = message.firing(key(), NOW - 80, CARRIER, CHAIN, url=URL, now=NOW)
    assert (alert["startsAt"], alert["endsAt"]) == ("2026-11-23T14:01:45.000Z", "2026-11-23T14:13:05.000Z")
    assert alert["generatorURL"] == alert["annotations"]["page_url"] == URL
    expected = {"parties": "carrier", "segments": "carrier", "services": "erp, hr", "standing": "corroborated"}
    assert {k: alert["annotations"][k] for k in expected} == expected
    assert alert["annotations"]["runbook_url"].endswith("/DemarcIncident.md")


def test_without_an_address_there_is_no_link() -> None:
    """An agent without an external URL sends none."""
    alert = message.firing(key(), NOW, CARRIER, CHAIN, url="", now=NOW)
    assert "generatorURL" not in alert
    assert "page_url" not in alert["annotations"]


@pytest.mark.parametrize(
    ("reason", "to", "starts"),
    [
        (End.RECOVERED, "carrier", "Resolved: "),
        (End.RECOVERED, "incumbent", "Hersteld: "),
        (End.REASSIGNED, "carrier", "Handed over to Zittende ICT, the disturbance continues: "),
        (End.REASSIGNED, "incumbent", "Overgedragen aan Zittende ICT, de storing duurt voort: "),
        (End.MERGED, "carrier", "Part of another incident, the disturbance continues: "),
        (End.MERGED, "incumbent", "Onderdeel van een ander incident, de storing duurt voort: "),
        (End.UNTRACKED, "carrier", "No longer tracked, not known to have recovered: "),
        (End.UNTRACKED, "elsewhere", "No longer tracked, not known to have recovered: "),
    ],
)
def test_endings(reason: End, to: str, starts: str) -> None:
    """Each ending has its own words, in the language of the party that reads them."""
    incident = CLOSED if reason is End.RECOVERED else msgspec.structs.replace(CARRIER, mover="incumbent")
    alert = message.ended(
        Ended(key=key(to), starts=NOW - 80, ends=NOW, reason=reason, incident=incident), CHAIN, url=URL
    )
    annotations = alert["annotations"]
    assert annotations["summary"].startswith(starts)
    assert annotations["description"].startswith(starts)
    assert annotations["ended"] == reason.value
    assert alert["endsAt"] == "2026-11-23T14:03:05.000Z"
    if reason is not End.RECOVERED:
        assert "resolved" not in str(annotations).lower()
        assert "hersteld" not in annotations["summary"].lower()


def test_an_unknown_mover_is_named_by_its_id() -> None:
    """A mover that the chain does not know is shown as it is written."""
    incident = msgspec.structs.replace(CARRIER, mover="elsewhere", state=State.CONFIRMED)
    end = Ended(key=key(), starts=NOW, ends=NOW, reason=End.REASSIGNED, incident=incident)
    assert message.ended(end, CHAIN, url="")["annotations"]["summary"].startswith("Handed over to elsewhere,")
