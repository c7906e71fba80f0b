"""What a ledger tells beside its incidents: changes, and maintenance that was announced in time."""

from pathlib import Path

import msgspec
import pytest

from agent.drift.value import Change, Event, Move
from agent.ledger import Ledger, body
from agent.ledger.announced import Announced, read_announced
from agent.ledger.changes import MaintenanceEntry, windows
from agent.ledger.drift_entries import from_change

WINDOW = MaintenanceEntry(
    time=10, id="m1", vantage="cloud", party="msp", opened=100, closed=200, agreed="client, 1 May"
)

AGAIN = msgspec.structs.replace(WINDOW, time=30)


def withdrawn(time: int) -> MaintenanceEntry:
    """Return the withdrawal of the window."""
    return msgspec.structs.replace(WINDOW, time=time, state="withdrawn")


CASES: dict[str, tuple[tuple[MaintenanceEntry, ...], tuple[MaintenanceEntry, ...]]] = {
    "in time": ((WINDOW,), (WINDOW,)),
    "too late": ((msgspec.structs.replace(WINDOW, time=100),), ()),
    "withdrawn": ((WINDOW, withdrawn(99)), ()),
    "withdrawn too late": ((WINDOW, withdrawn(100)), (WINDOW,)),
    "withdrawn, as if it were later": ((WINDOW, msgspec.structs.replace(withdrawn(150), opened=900)), (WINDOW,)),
    "withdrawn without having been": ((withdrawn(5),), ()),
    "told twice, otherwise": ((WINDOW, msgspec.structs.replace(WINDOW, time=20, closed=999)), (WINDOW,)),
    "announced again": ((WINDOW, withdrawn(20), AGAIN), (AGAIN,)),
}


@pytest.mark.parametrize("case", CASES)
def test_what_counts_as_announced(case: str) -> None:
    """What was written before the window began; what comes later is no announcement."""
    entries, wanted = CASES[case]
    assert tuple(windows(entries).values()) == wanted


def test_read_from_the_file(tmp_path: Path) -> None:
    """Both kinds come back, other kinds do not disturb."""
    change = Change(event=Event.CHANGED, at=5.0, vantage="cloud", moves={"chain file": Move(before="1", after="2")})
    ledger = Ledger.open(tmp_path / "l.db", tmp_path / "l.key", "demarc/cloud")
    for entry in (body.AgentStop(time=1, vantage="cloud", reason="x"), *from_change(change, 6.0), WINDOW):
        ledger.append(*body.write(entry)).result(5.0)
    assert ledger.close()
    assert read_announced(tmp_path / "l.db") == Announced(changes=(change,), maintenance=(WINDOW,))
