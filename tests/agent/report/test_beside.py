"""What changed stands beside the incident in the report, and changes no figure of it."""

import msgspec

from agent.drift.value import Change, Event, Move
from agent.report.month import Given, month_report
from agent.report.text import render
from tests.agent.report.test_month import BASIS, PERIOD, at, down, incident, up_but
from tests.agent.samples import CHAIN

OPENED = at("3 09:00")
CHANGE = Change(
    event=Event.CHANGED,
    at=OPENED - 600.0,
    not_before=OPENED - 605.0,
    vantage="cloud",
    probe="tunnel",
    segments=("cloud-gw", "carrier", "vpn", "onprem-gw"),
    moves={"site/net rekey seconds": Move(before="14400", after="3600")},
)
PLAIN = Given(
    chain=CHAIN,
    period=PERIOD,
    spans={probe.key: up_but(down("3 09:00", "3 10:00")) for probe in CHAIN.probes.values() if probe.service == "erp"},
    incidents=[incident("i-1", "3 09:00", "3 10:00")],
    basis=BASIS,
)


def test_the_last_change_stands_beside_the_incident() -> None:
    """In words that say that it proves no cause; without it the report is the same but for those lines."""
    told = month_report(msgspec.structs.replace(PLAIN, changes=[CHANGE]))
    bare = month_report(PLAIN)
    assert told.incidents[0].last_changes == (CHANGE,)
    assert msgspec.structs.replace(told.incidents[0], last_changes=()) == bare.incidents[0]
    assert told.services == bare.services
    text, without = render(told, CHAIN), render(bare, CHAIN)
    assert "last change: 08:50:00 CET, “tunnel” from cloud: site/net rekey seconds from 14400 to 3600" in text
    assert "(10 minutes before)." in " ".join(text.split())
    assert "A change is no proof of a cause." in text
    assert set(without.splitlines()) < set(text.splitlines())
