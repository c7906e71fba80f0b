"""Maintenance that people announce and withdraw."""

from typing import Any

import msgspec
import pytest

from agent.ledger.changes import MaintenanceEntry
from agent.ledger.correction import Refused
from agent.ledger.drafting import draft
from agent.ledger.submission import Announce, AnySubmission, Withdraw, read_submission
from tests.agent.ledger.test_submission import GROUND, NOW

SECOND = 10**9
BEGIN = NOW / SECOND + 3600.0
GOOD = Announce(party="carrier", opened=BEGIN, closed=BEGIN + 7200.0, agreed="client, 20 November", services=("erp",))
COMING = MaintenanceEntry(
    time=1, id="m-1", vantage="cloud", party="carrier", opened=NOW + 5, closed=NOW + 9, agreed="client"
)
BEGUN = msgspec.structs.replace(COMING, id="m-2", opened=NOW)
PLANNED = msgspec.structs.replace(
    GROUND, cases=msgspec.structs.replace(GROUND.cases, windows={"m-1": COMING, "m-2": BEGUN})
)


def test_an_announcement_becomes_an_entry() -> None:
    """With its times, its services and a name by which it can be withdrawn; the person is a detail."""
    handed = msgspec.structs.replace(GOOD, person="J. Jansen")
    made = draft(read_submission(msgspec.json.encode(handed)), PLANNED)
    assert isinstance(made.entry, MaintenanceEntry)
    assert (made.entry.opened, made.entry.closed) == (NOW + 3600 * SECOND, NOW + 10_800 * SECOND)
    assert (made.entry.party, made.entry.services, made.entry.state) == ("carrier", ("erp",), "announced")
    assert made.entry.id.startswith("m-")
    assert made.details == {"person": b"J. Jansen"}


def test_a_withdrawal_repeats_the_window() -> None:
    """Only its time and its state differ."""
    made = draft(Withdraw(party="carrier", window="m-1"), PLANNED)
    assert made.entry == msgspec.structs.replace(COMING, time=NOW, state="withdrawn")


def announced(**more: Any) -> Announce:
    """Return the good announcement, otherwise."""
    return msgspec.structs.replace(GOOD, **more)


REFUSED: dict[str, tuple[AnySubmission, str]] = {
    "begun": (announced(opened=NOW / SECOND), "declared afterwards is a correction"),
    "ends before it begins": (announced(closed=BEGIN), "ends after it begins"),
    "too long": (announced(closed=BEGIN + 32 * 86_400.0), "at most 31 days"),
    "an unknown service": (announced(services=("erp", "x")), "'x' is no service; there are: erp"),
    "with nobody": (announced(agreed=" "), "with whom it was agreed"),
    "words without end": (announced(agreed="x" * 3000), "`agreed` is longer"),
    "by an owner of nothing": (announced(party="client"), "would excuse nothing"),
    "by nobody known": (announced(party="x"), "no party"),
    "nothing to withdraw": (Withdraw(party="carrier", window="m-9"), "there are: m-1"),
    "begun already": (Withdraw(party="carrier", window="m-2"), "no window 'm-2' is to come"),
    "another party's": (Withdraw(party="msp", window="m-1"), "is carrier's"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_says_why(case: str) -> None:
    """And what to do instead."""
    handed, why = REFUSED[case]
    with pytest.raises(Refused, match=why):
        draft(handed, PLANNED)


def test_without_a_window_to_come_it_says_so() -> None:
    """Nothing is listed that could not be withdrawn."""
    with pytest.raises(Refused, match="there are: none"):
        draft(Withdraw(party="carrier", window="m-1"), GROUND)
