"""The incident log: exact fields, transitions only, repeats limited, endings never left out."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.incident.value import Event, Transition
from agent.journal import KEYS, MOST, WINDOW, Journal, Repeats, step
from tests.agent.samples import CARRIER, NOW, VPN


def journal() -> tuple[Journal, list[str]]:
    """Return a journal and the lines that it wrote."""
    lines: list[str] = []
    return Journal(lines.append, chain_hash="c0ffee", vantage="cloud"), lines


def test_a_line_is_the_contract() -> None:
    """One JSON object with every contract key, null and empty where nothing applies."""
    log, lines = journal()
    log.transition(Transition(event=Event.CONFIRMED, at=NOW, incident=CARRIER))
    assert json.loads(lines[0]) == {
        "event": "confirmed",
        "time": NOW,
        "incident": CARRIER.id,
        "state": "confirmed",
        "kind": "attributed",
        "party": "carrier",
        "candidates": ["carrier"],
        "mover": "carrier",
        "side": "transit",
        "segments": ["carrier"],
        "services": ["erp", "hr"],
        "standing": "corroborated",
        "rests_on": [],
        "opened": CARRIER.opened,
        "closed": None,
        "vantage": "cloud",
        "chain_hash": "c0ffee",
    }
    assert "\n" not in lines[0]
    assert lines[0].startswith('{"event": "confirmed", ')


def test_nothing_proven_is_null() -> None:
    """An undetermined incident has no party and no standing, and says so with null."""
    log, lines = journal()
    log.transition(Transition(event=Event.CONFIRMED, at=NOW, incident=VPN))
    assert (json.loads(lines[0])["party"], json.loads(lines[0])["standing"]) == (None, None)


def test_a_reload_names_the_new_chain() -> None:
    """Lines carry the chain that was in force when they were written."""
    log, lines = journal()
    log.reloaded("decaf")
    log.transition(Transition(event=Event.CLOSED, at=NOW, incident=CARRIER))
    assert json.loads(lines[0])["chain_hash"] == "decaf"


@pytest.mark.parametrize(
    ("event", "written"),
    [(Event.CONFIRMED, 20), (Event.CLOSED, 20), (Event.SUSPECTED, MOST), (Event.RELAPSED, MOST)],
)
def test_repeats_are_limited(event: Event, written: int) -> None:
    """Twenty times the same within a minute: all of what matters, five of what flaps."""
    log, lines = journal()
    for number in range(20):
        incident = msgspec.structs.replace(CARRIER, id=f"i{number}")
        log.transition(Transition(event=event, at=NOW + number, incident=incident))
    assert len(lines) == written


def test_what_was_left_out_is_counted() -> None:
    """The first line after the window says how many were left out."""
    log, lines = journal()
    for number in range(9):
        log.transition(Transition(event=Event.DISMISSED, at=NOW + number, incident=CARRIER))
    log.transition(Transition(event=Event.DISMISSED, at=NOW + WINDOW, incident=CARRIER))
    assert json.loads(lines[-1])["suppressed"] == 4
    assert "suppressed" not in json.loads(lines[0])


def test_other_segments_are_no_repeat() -> None:
    """A second fault elsewhere is written however much the first one flaps."""
    log, lines = journal()
    for number in range(10):
        log.transition(Transition(event=Event.SUSPECTED, at=NOW + number, incident=CARRIER))
    log.transition(Transition(event=Event.SUSPECTED, at=NOW + 10, incident=VPN))
    assert json.loads(lines[-1])["incident"] == VPN.id


def test_the_memory_is_bounded() -> None:
    """More keys than the bound start the count anew rather than grow it."""
    log, lines = journal()
    for number in range(KEYS + 1):
        incident = msgspec.structs.replace(CARRIER, segments=(f"s{number}",))
        log.transition(Transition(event=Event.CHANGED, at=NOW, incident=incident))
    assert len(lines) == KEYS + 1


@given(st.lists(st.floats(min_value=-100, max_value=100), max_size=60))
def test_every_repeat_is_written_or_counted(gaps: list[float]) -> None:
    """Whatever the clock does, written lines plus counted omissions are all that came."""
    state: Repeats | None = None
    at, written, omitted = 0.0, 0, 0
    for gap in gaps:
        at += gap
        state, suppressed = step(state, at)
        written += suppressed is not None
        omitted += suppressed or 0
    assert written + omitted + (state.suppressed if state else 0) == len(gaps)
