"""Which announced maintenance the paging hears of."""

from pathlib import Path

import msgspec
import pytest

from agent.alerts import Work
from agent.daemon.announced import AnnouncedDuty
from agent.daemon.recording import Recorder
from agent.ledger import DATABASE as LEDGER
from agent.ledger.body import AgentStop, nanoseconds
from agent.ledger.cases import Recorded
from agent.ledger.changes import MaintenanceEntry
from tests.agent.samples import CHAIN

NOW = 1_795_442_400.0
WINDOW = MaintenanceEntry(
    time=nanoseconds(NOW - 60),
    id="m1",
    vantage="cloud",
    party="carrier",
    opened=nanoseconds(NOW),
    closed=nanoseconds(NOW + 3600),
    agreed="client",
    services=("erp",),
)
OVER = msgspec.structs.replace(
    WINDOW, id="m0", time=nanoseconds(NOW - 900), opened=nanoseconds(NOW - 600), closed=nanoseconds(NOW)
)
WITHDRAWN = msgspec.structs.replace(WINDOW, time=nanoseconds(NOW - 30), state="withdrawn")
WORK = Work(party="carrier", opened=NOW, closed=NOW + 3600, services=("erp",))


def test_what_counts_is_told_and_told_anew(tmp_path: Path) -> None:
    """After the start and after each entry about maintenance, what the ledger's rule leaves and is not over."""
    told: list[tuple[Work, ...]] = []
    duty = AnnouncedDuty(tmp_path / LEDGER, told.append)
    recorder = Recorder(tmp_path, CHAIN, "cloud", stopped=pytest.fail, refused=pytest.fail)
    recorder.entered = duty.entered
    assert duty.due(NOW)
    for entry in (OVER, WINDOW):
        recorder.enter(entry).result(10.0)
    duty.do(NOW)
    assert not duty.due(NOW)
    recorder.enter(AgentStop(time=1, vantage="cloud", reason="x")).result(10.0)
    assert not duty.due(NOW)
    recorder.enter(WITHDRAWN).result(10.0)
    recorder.ledger.run(lambda storage: storage.size).result(10.0)  # the receipts before this one were told
    assert duty.due(NOW)
    duty.do(NOW)
    assert told == [(WORK,), ()]
    assert recorder.ledger.close(10.0)


def test_a_ledger_that_cannot_be_read_is_read_again(tmp_path: Path) -> None:
    """A failure leaves the duty due."""
    duty = AnnouncedDuty(tmp_path / LEDGER, lambda works: pytest.fail(str(works)))
    with pytest.raises(FileNotFoundError):
        duty.do(NOW)
    assert duty.due(NOW)


def test_an_entry_while_the_ledger_is_read_makes_it_due_again(tmp_path: Path) -> None:
    """What comes between reading and telling is not lost."""
    recorder = Recorder(tmp_path, CHAIN, "cloud", stopped=pytest.fail, refused=pytest.fail)
    recorder.enter(WINDOW).result(10.0)
    duty = AnnouncedDuty(tmp_path / LEDGER, lambda _: duty.entered(Recorded(index=1, hash="", entry=WITHDRAWN)))
    duty.do(NOW)
    assert duty.due(NOW)
    assert recorder.ledger.close(10.0)
