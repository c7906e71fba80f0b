"""When a witness is silent: the table of cases, and over restarts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.ledger.body import nanoseconds
from agent.ledger.dossier import Hold
from agent.ledger.entry import Entry
from agent.ledger.silence import Silences
from agent.ledger.testimony import WitnessChange

BEGUN = 1_795_442_400.0
HOUR = 3600.0

# what is waiting, now (seconds after the start), whether it was silent before -> whether it is
CASES = {
    "all is cosigned": (None, 9 * HOUR, False, False),
    "all is cosigned again": (None, 9 * HOUR, True, False),
    "within the term": (8 * HOUR, 9 * HOUR, False, False),
    "beyond the term": (7.9 * HOUR, 9 * HOUR, False, True),
    "written before we stopped, and we just began": (-9 * HOUR, 0.5 * HOUR, False, False),
    "written before we stopped, and an hour went by": (-9 * HOUR, 1.1 * HOUR, False, True),
    "silent before we stopped, and still": (-9 * HOUR, 0.1 * HOUR, True, True),
    "cosigned some, not yet the newest": (8.5 * HOUR, 9 * HOUR, True, False),
    "written in the future of a clock that went back": (10 * HOUR, 9 * HOUR, False, False),
}


def change(event: str) -> WitnessChange:
    """Return what an earlier run of the agent recorded."""
    return WitnessChange(time=1, vantage="cloud", witness="onprem", event=event, since=1, entries=3)


@pytest.mark.parametrize("name", CASES)
def test_a_witness_is_silent(name: str) -> None:
    """Only when it had the term to cosign in, and each change makes one entry."""
    waiting, after, before, silent = CASES[name]
    silences = Silences("cloud", BEGUN, [change("silent")] if before else [])
    since = None if waiting is None else BEGUN + waiting
    entry = silences.judge("onprem", waiting=since, entries=3, now=BEGUN + after)
    assert silences.is_silent("onprem") is silent
    assert (entry is not None) is (silent is not before)
    if entry is not None:
        assert (entry.event, entry.entries) == ("silent" if silent else "cosigning", 3)
        assert entry.since == nanoseconds(BEGUN + after if since is None else since)
    assert silences.judge("onprem", waiting=since, entries=3, now=BEGUN + after) is None


def test_what_was_recorded_is_gone_on_from() -> None:
    """Only of witnesses, the last word of each; others are not concerned."""
    other: Entry = Hold(time=1, vantage="cloud", incident="i", state="held", reason="r", party="p")
    silences = Silences("cloud", BEGUN, [change("silent"), other, change("cosigning")])
    assert not silences.is_silent("onprem")
    assert not Silences("cloud", BEGUN, [change("silent")]).is_silent("client")


@given(
    st.lists(st.tuples(st.none() | st.floats(-1e6, 1e6), st.floats(0, 1e6)), max_size=30),
    st.floats(1, 1e5),
)
def test_falls_and_returns_alternate(turns: list[tuple[float | None, float]], within: float) -> None:
    """Whatever comes, silent and cosigning follow each other, and a restart goes on where it was."""
    silences, told = Silences("cloud", BEGUN), []
    for waiting, after in turns:
        since = None if waiting is None else BEGUN + waiting
        entry = silences.judge("onprem", waiting=since, entries=0, now=BEGUN + after, within=within)
        told += [entry] if entry is not None else []
        assert Silences("cloud", BEGUN, told).is_silent("onprem") == silences.is_silent("onprem")
    assert [one.event for one in told] == ["silent", "cosigning"] * (len(told) // 2) + ["silent"] * (len(told) % 2)
