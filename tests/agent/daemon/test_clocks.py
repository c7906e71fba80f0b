"""Which offsets of peers' clocks become entries."""

from pathlib import Path

import pytest

from agent.daemon.clocks import Clocks
from agent.daemon.recording import Recorder
from agent.ledger import DATABASE
from agent.ledger.cases import read_recorded
from agent.ledger.changes import ClockEntry
from agent.snapshot import PeerNow
from tests.agent.samples import CHAIN

Looks = list[tuple[float, float | None]]  # seconds, offset

CASES: dict[str, tuple[Looks, list[float]]] = {
    "at once, then hourly": ([(0, 0.01), (1, 0.01), (3599, 0.01), (3600, 0.01), (3601, 0.01)], [0, 3600]),
    "it moved": ([(0, 0.01), (70, 0.2)], [0, 70]),
    "it moved within its error": ([(0, 0.01), (70, 0.07)], [0]),
    "it wanders": ([(second, second * 0.1) for second in range(130)], [0, 60, 120]),
    "not known": ([(0, None), (5, 0.01)], [5]),
    "our clock stepped back": ([(5000, 0.01), (0, 0.01), (1, 0.01)], [5000, 0]),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_entered(case: str) -> None:
    """Often enough to tell an hour, seldom enough to be read."""
    looks, wanted = CASES[case]
    entered: list[float] = []
    now = 0.0
    clocks = Clocks(lambda *_: entered.append(now))
    for second, offset in looks:
        now = second
        clocks.each_round([PeerNow(vantage="onprem", reachable=True, clock_offset=offset, clock_error=0.005)], second)
    assert entered == wanted


def test_silent_peers_have_no_clock() -> None:
    """What was measured before a silence is not entered again during it."""
    entered: list[str] = []
    clocks = Clocks(lambda peer, *_: entered.append(peer))
    clocks.each_round([PeerNow(vantage="onprem", reachable=False, clock_offset=0.1, clock_error=0.1)], 5.0)
    assert not entered


def test_the_entry(tmp_path: Path) -> None:
    """Whole nanoseconds, behind as well as ahead."""
    recorder = Recorder(tmp_path, CHAIN, "cloud", stopped=pytest.fail, refused=pytest.fail)
    recorder.clock("onprem", -0.0123, 0.004, 5.0)
    assert recorder.stop(6.0, "test", within_seconds=5.0)
    (found,) = read_recorded(tmp_path / DATABASE, ("clock",))
    assert found.entry == ClockEntry(
        time=5 * 10**9, vantage="cloud", peer="onprem", offset=-12_300_000, error=4_000_000
    )
