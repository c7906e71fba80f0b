"""What the ledger tells beside its incidents, as the report takes it: announced maintenance and the last change."""

import json
from pathlib import Path

import pytest

from agent.drift.value import Change, Event, Move
from agent.ledger import DATABASE as LEDGER
from agent.ledger import KEY, Ledger, body
from agent.ledger.changes import MaintenanceEntry
from agent.ledger.drift_entries import from_change
from agent.ledger.entry import Entry
from tests.agent.report.test_command import FAILING, START, erp_of, run
from tests.agent.report.test_command import folder as folder  # noqa: PLC0414 - a fixture

OPENED = START + FAILING.start
UNTIL = ("--until", "1796079600")


def enter(folder: Path, *entries: Entry) -> None:
    """Append entries to the folder's ledger."""
    ledger = Ledger.open(folder / LEDGER, folder / KEY, "demarc/cloud", alarm=pytest.fail)
    for entry in entries:
        ledger.append(*body.write(entry)).result(5.0)
    assert ledger.close()


def window(party: str = "incumbent", time: float = START - 86_400.0) -> MaintenanceEntry:
    """Return a window over the outage, announced at `time`."""
    return MaintenanceEntry(
        time=body.nanoseconds(time),
        id="m1",
        vantage="cloud",
        party=party,
        opened=body.nanoseconds(OPENED - 30.5),
        closed=body.nanoseconds(OPENED + 300.5),
        agreed="client, 1 November",
        services=("erp",),
    )


# announced window -> down seconds, seconds in maintenance
WINDOWS: dict[str, tuple[MaintenanceEntry, int, int]] = {
    "the day before": (window(), 0, 330),
    "during it": (window(time=OPENED + 5.0), 60, 0),
    "another party's": (window("msp"), 60, 270),
    "an unknown party's": (window("gone"), 60, 0),
}


@pytest.mark.parametrize("case", WINDOWS)
def test_announced_maintenance(case: str, folder: Path) -> None:
    """It excuses the maintaining party's own segments, if it was announced before it began."""
    entry, down, maintenance = WINDOWS[case]
    enter(folder, entry)
    code, text = run(folder, "--data", str(folder), *UNTIL, "--format", "json")
    assert code == 0
    classes = erp_of(text)["classes"]
    assert isinstance(classes, dict)
    assert (classes["down"], classes["maintenance"]) == (down, maintenance)


def test_the_last_change(folder: Path) -> None:
    """A change on the incident's segment stands beside it, read from the ledger."""
    change = Change(
        event=Event.CHANGED,
        at=OPENED - 60.0,
        not_before=OPENED - 65.0,
        vantage="cloud",
        probe="erp",
        segments=("erp-app",),
        moves={"certificate sha256": Move(before="aa", after="bb")},
    )
    enter(folder, *from_change(change, OPENED))
    (row,) = json.loads(run(folder, "--data", str(folder), *UNTIL, "--format", "json")[1])["incidents"]
    assert [one["moves"] for one in row["last_changes"]] == [{"certificate sha256": {"before": "aa", "after": "bb"}}]
    assert "“erp” from cloud: certificate sha256 from aa to bb" in run(folder, "--data", str(folder), *UNTIL)[1]
