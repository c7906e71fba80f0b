"""Incidents as corrections tell them."""

import msgspec

from agent.incident.value import Kind
from agent.ledger.corrected import Numbered, corrected
from agent.ledger.dossier import Approval, Change, Correction, Window
from tests.agent.ledger.test_correction import INCIDENT

NANO = 10**9
SIGNED = Correction(
    time=1,
    incident="i1",
    entry="ab" * 32,
    chain="ab" * 32,
    vantage="cloud",
    change=Change(kind="undetermined", parties=(), candidates=("carrier", "msp"), closed=1500 * NANO),
    reason="r",
    approved=(
        Approval(party="client", role="contract manager", means="ssh"),
        Approval(party="msp", role="service manager", means="ssh"),
    ),
    standing="signed",
)
WINDOW = Window(party="carrier", opened=1000 * NANO, closed=2000 * NANO)


def test_a_signed_correction_counts_and_is_told() -> None:
    """With what stood before, and who approved it in which role."""
    found = corrected([INCIDENT], [Numbered(index=17, correction=SIGNED)])
    (incident,) = found.incidents
    assert (incident.kind, incident.parties, incident.closed) == (Kind.UNDETERMINED, (), 1500.0)
    assert found.sentences[0] == (
        "correction, entry 17, incident i1: kind attributed becomes undetermined; parties carrier becomes none;"
        " candidates carrier becomes carrier, msp; closed 1970-01-01T00:33:20Z becomes 1970-01-01T00:25:00Z;"
        " approved by client (contract manager, ssh), msp (service manager, ssh); counted here"
    )


def test_the_log_of_a_later_epoch_is_named() -> None:
    """Indexes begin anew in each."""
    logs = ("demarc/cloud", "demarc/cloud/2")
    told = corrected([INCIDENT], [Numbered(index=1, correction=SIGNED, log=log) for log in logs]).sentences
    assert told[0].startswith("correction, entry 1, incident i1")
    assert told[1].startswith("correction, entry 1 of demarc/cloud/2, incident i1")


def test_paper_is_told_and_not_counted() -> None:
    """Anybody on the host could have entered it."""
    paper = msgspec.structs.replace(SIGNED, standing="paper")
    found = corrected([INCIDENT], [Numbered(index=17, correction=paper)])
    assert found.incidents == (INCIDENT,)
    assert found.sentences[0].endswith("; not counted: its approvals are on paper")


def test_a_correction_of_nothing_here_is_told() -> None:
    """The incident was dismissed, or merged with another."""
    found = corrected([], [Numbered(index=17, correction=SIGNED)])
    assert found.incidents == ()
    assert "of an incident that this ledger does not hold" in found.sentences[0]


def test_later_maintenance_is_a_window_with_its_agreement() -> None:
    """An open end is shown as none; the second correction builds on the first."""
    going_on = msgspec.structs.replace(INCIDENT, closed=None)
    ended = msgspec.structs.replace(SIGNED, change=Change(closed=1500 * NANO))
    agreed = msgspec.structs.replace(SIGNED, change=Change(maintenance=WINDOW))
    found = corrected([going_on], [Numbered(index=3, correction=ended), Numbered(index=4, correction=agreed)])
    assert "closed none becomes 1970-01-01T00:25:00Z" in found.sentences[0]
    assert "agreed maintenance of carrier from 1970-01-01T00:16:40Z to 1970-01-01T00:33:20Z" in found.sentences[1]
    (one,) = found.agreed
    assert one.window == WINDOW
    assert one.agreed.startswith("correction, entry 4: client (contract manager, ssh)")
