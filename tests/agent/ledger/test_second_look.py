"""Whether a second look says more than the first."""

from typing import Any

import msgspec
import pytest

from agent.incident.value import Incident, Kind, Standing, State, Support
from agent.ledger.second_look import second_finding, worth_it

FIRST = Incident(
    id="i1",
    state=State.CLOSED,
    kind=Kind.UNDETERMINED,
    candidates=("carrier", "msp"),
    mover="msp",
    faults={"cloud>underlay": "connect/timeout"},
    opened=1000.0,
    confirmed=1007.0,
    closed=1100.0,
)
SEEN = Support(failing=("cloud>underlay", "onprem>o-underlay"))
PROVEN: dict[str, Any] = {
    "kind": Kind.ATTRIBUTED,
    "parties": ("carrier",),
    "candidates": ("carrier",),
    "standing": Standing.CORROBORATED,
}
SINGLE = msgspec.structs.replace(FIRST, **(PROVEN | {"standing": Standing.SINGLE_SIDED}))


def found(**changes: Any) -> Incident:
    """Return an incident of a replay."""
    fields: dict[str, Any] = {"id": "r", "mover": "", "faults": {}, "support": SEEN, "opened": 1000.5} | changes
    return msgspec.structs.replace(FIRST, **fields)


CASES: dict[str, tuple[Incident, dict[str, Any], bool]] = {
    "proven now": (FIRST, PROVEN, True),
    "fewer remain": (FIRST, {"candidates": ("carrier",)}, True),
    "others remain": (FIRST, {"candidates": ("carrier", "incumbent")}, False),
    "the same": (FIRST, {}, False),
    "less": (SINGLE, {}, False),
    "corroborated now": (SINGLE, PROVEN, True),
    "as single-sided": (SINGLE, PROVEN | {"standing": Standing.SINGLE_SIDED}, False),
    "another party": (SINGLE, PROVEN | {"parties": ("msp",), "standing": Standing.SINGLE_SIDED}, True),
    "another time": (FIRST, PROVEN | {"opened": 1031.0}, False),
    "other probes": (FIRST, PROVEN | {"support": Support(failing=("cloud>saas",))}, False),
    "our own blindness": (FIRST, PROVEN | {"kind": Kind.MONITOR}, False),
}


@pytest.mark.parametrize(("first", "changes", "more"), CASES.values(), ids=CASES)
def test_only_what_says_more_is_a_second_finding(first: Incident, changes: dict[str, Any], more: bool) -> None:
    """Of the same incident, found again with more results."""
    second = second_finding(first, (found(**changes),))
    assert (second is not None) == more
    if second is not None:
        assert (second.id, second.opened, second.closed) == ("i1", 1000.0, 1100.0)


def test_the_strongest_counts() -> None:
    """A replay may tell several."""
    second = second_finding(FIRST, (found(candidates=("msp",)), found(**PROVEN)))
    assert second is not None
    assert (second.party, second.mover) == ("carrier", "carrier")
    assert second_finding(FIRST, ()) is None


@pytest.mark.parametrize(
    ("incident", "vantages", "expected"),
    [
        (FIRST, 2, True),
        (SINGLE, 2, True),
        (FIRST, 1, False),
        (msgspec.structs.replace(FIRST, **PROVEN), 2, False),
        (msgspec.structs.replace(FIRST, kind=Kind.MONITOR), 2, False),
    ],
)
def test_when_it_is_worth_looking(incident: Incident, vantages: int, expected: bool) -> None:
    """Another vantage's results can come in late, and there is something left to prove."""
    assert worth_it(incident, vantages) is expected
