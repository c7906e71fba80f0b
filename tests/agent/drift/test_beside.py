"""Which changes stand beside an incident."""

from typing import Any

import msgspec
import pytest

from agent.drift.beside import MOST, WINDOW_SECONDS, beside
from agent.drift.value import Change, Event, Move
from agent.incident.value import Incident, Kind, State
from agent.observation import encode, observe
from probes.kit.result import Outcome, Result

OPENED = 1_000_000.0
INCIDENT = Incident(
    id="x", state=State.CONFIRMED, kind=Kind.UNDETERMINED, segments=("vpn", "carrier"), mover="msp", opened=OPENED
)


def change(at: float, not_before: float | None = None, segments: str = "vpn", event: Event = Event.CHANGED) -> Change:
    """Return a change so many seconds from the opening."""
    return Change(
        event=event,
        at=OPENED + at,
        not_before=None if not_before is None else OPENED + not_before,
        vantage="cloud",
        probe="tunnel",
        segments=tuple(segments.split()),
        moves={"mode": Move(before="a", after="b")},
    )


CASES: dict[str, tuple[Change, bool]] = {
    "before it": (change(-60, -65), True),
    "at the edge of the window": (change(-WINDOW_SECONDS, -WINDOW_SECONDS - 5), True),
    "too long before": (change(-WINDOW_SECONDS - 1, -WINDOW_SECONDS - 5), False),
    "after it": (change(60, 55), False),
    "seen after it, perhaps before": (change(60, -5), True),
    "seen long after it": (change(WINDOW_SECONDS + 1, -5), False),
    "elsewhere": (change(-60, -65, "erp-app"), False),
    "one of several segments": (change(-60, -65, "cloud-gw carrier"), True),
    "of everything": (change(-60, None, ""), True),
    "of everything, after it": (change(60, None, ""), False),
    "first seen": (change(-60, None, event=Event.SEEN), False),
    "flapping": (change(-60, -65, event=Event.FLAPPING), True),
}


@pytest.mark.parametrize("case", CASES)
def test_what_stands_beside(case: str) -> None:
    """What may have happened before the incident opened, in a segment that it names."""
    one, stands = CASES[case]
    assert beside(INCIDENT, [one]) == ((one,) if stands else ())


def test_the_latest_come_first_and_few() -> None:
    """The newest changes are looked at first."""
    changes = [change(-at, -at - 1) for at in (50, 10, 40, 30, 20)]
    assert [one.at - OPENED for one in beside(INCIDENT, changes)] == [-10, -20, -30][:MOST]


def test_the_diagnosis_never_sees_a_fact() -> None:
    """The observation of a result is the same with and without facts: drift attributes nothing."""
    result = Result(outcome=Outcome.OK, seconds=0.1)
    told = msgspec.structs.replace(result, facts={"certificate sha256": "aa"})
    where: dict[str, Any] = {"time": 1.0, "round_number": 1, "vantage": "cloud", "probe": "erp"}
    assert encode(observe(told, **where)) == encode(observe(result, **where))
