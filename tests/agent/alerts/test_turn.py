"""Whose turn it is to page, when several agents could."""

import msgspec
import pytest

from agent.alerts.turn import HOLD_SECONDS, Turn, is_loopback
from agent.seal import Pages, place
from tests.agent.samples import CARRIER, CHAIN, NOW

HERE = "https://alertmanager.example"
VIA = (place(HERE),)
TOLD = Pages(via=VIA, alerts=(("carrier", CARRIER.segments),))
SILENT = Pages(via=VIA)


def second(url: str = HERE, vantage: str = "onprem") -> Turn:
    """Return the turn of the agent that comes second: the first one's operator is the director."""
    return Turn(CHAIN, vantage, [url])


def test_the_first_never_waits() -> None:
    """The vantage of the director's operator pages at once, whatever others say."""
    turn = second(vantage="cloud")
    turn.heard("onprem", TOLD, NOW)
    assert not turn.waits(CARRIER, "carrier", NOW)


def test_the_second_leaves_it_to_the_first() -> None:
    """While the first reports the page it stands; so much later than its last word the second takes over."""
    turn = second()
    for at in range(0, 300, 2):
        turn.heard("cloud", TOLD, NOW + at)
        assert turn.waits(CARRIER, "carrier", NOW + at)
    assert turn.waits(CARRIER, "carrier", NOW + 298 + HOLD_SECONDS - 1)
    assert not turn.waits(CARRIER, "carrier", NOW + 298 + HOLD_SECONDS)


def test_a_page_that_the_first_does_not_report_is_taken_over() -> None:
    """An agent that answers and does not page is no reason to stay silent for long."""
    turn = second()
    for at in range(40):
        turn.heard("cloud", SILENT, NOW + at)
        assert turn.waits(CARRIER, "carrier", NOW + at) == (at < HOLD_SECONDS)


def test_another_party_or_segment_is_another_page() -> None:
    """What the first pages to one party, or about another segment, covers nothing else."""
    turn = second()
    turn.waits(CARRIER, "msp", NOW)
    turn.heard("cloud", TOLD, NOW + 40)
    assert not turn.waits(CARRIER, "msp", NOW + 40)
    elsewhere = msgspec.structs.replace(CARRIER, segments=("dns",))
    turn.waits(elsewhere, "carrier", NOW)
    assert not turn.waits(elsewhere, "carrier", NOW + 40)


def test_a_new_addressee_is_waited_for_anew() -> None:
    """When the move passes to another party late in an incident, the first gets its time to page it."""
    turn = second()
    turn.heard("cloud", TOLD, NOW + 3600)
    assert turn.waits(CARRIER, "incumbent", NOW + 3600)
    turn.keep([])
    turn.heard("cloud", TOLD, NOW + 3700)
    assert turn.waits(CARRIER, "incumbent", NOW + 3700)


@pytest.mark.parametrize(
    ("turn", "pages"),
    [
        (second(), Pages()),
        (second(), Pages(via=(place("https://another"),), alerts=TOLD.alerts)),
        (second("http://127.0.0.1:9093"), Pages(via=(place("http://127.0.0.1:9093"),), alerts=TOLD.alerts)),
        (second(vantage="gone"), TOLD),
    ],
    ids=["it pages nowhere", "it pages elsewhere", "each has an Alertmanager of its own", "not of this chain"],
)
def test_nobody_waits_for_who_pages_elsewhere(turn: Turn, pages: Pages) -> None:
    """Only an agent that tells the same Alertmanager can page for us."""
    turn.heard("cloud", pages, NOW)
    assert not turn.waits(CARRIER, "carrier", NOW)


def test_loopback() -> None:
    """An address that every host has for itself is nobody's in common."""
    own = ("http://127.0.0.1:9093", "http://[::1]:9093", "http://localhost", "https://am.localhost:1")
    assert all(map(is_loopback, own))
    assert not any(map(is_loopback, (HERE, "http://192.0.2.1:9093", "http://[2001:db8::1]", "")))
