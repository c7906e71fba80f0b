"""What falls due by itself."""

import msgspec
import pytest

from agent.ledger.cases import Cases, Detail
from agent.ledger.dossier import Objection, Request
from agent.ledger.terms import TOGETHER, class_of, overdue, unanswered
from agent.model import Retention

DAY = 86_400 * 10**9
NOW = 1000 * DAY
CASES = Cases(
    requests={
        "r-1": Request(
            time=1, id="r-1", vantage="v", party="client", to="carrier", what="explain", due=NOW, incident="i"
        ),
        "r-2": Request(time=1, id="r-2", vantage="v", party="client", to="carrier", what="other", due=NOW + 1),
    },
    objections={"o-1": Objection(time=1, id="o-1", incident="i", vantage="v", party="msp", text="t", due=NOW - 1)},
    details={
        (1, "source"): Detail(incident="", time=0),
        (2, "observations"): Detail(incident="held", time=0),
        (3, "observations"): Detail(incident="i", time=NOW - 31 * DAY),
        (4, "observations"): Detail(incident="i", time=NOW - 29 * DAY),
        (5, "person"): Detail(incident="i", time=NOW - 61 * DAY),
        (5, "approval-1"): Detail(incident="i", time=NOW - 61 * DAY),
        (6, "people"): Detail(incident="i", time=NOW - 31 * DAY),
    },
    held=frozenset({"held"}),
)
RETENTION = Retention(evidence=30 * 86400.0, people=60 * 86400.0)


def test_a_term_that_passed_is_recorded_as_silence() -> None:
    """For requests and objections whose term is over, and for no others."""
    reply, decision = unanswered(CASES, "v", NOW)
    assert msgspec.to_builtins(reply) == {
        "kind": "reply",
        "time": NOW,
        "request": "r-1",
        "vantage": "v",
        "outcome": "none",
        "incident": "i",
    }
    assert msgspec.to_builtins(decision)["outcome"] == "none"


def test_details_go_by_their_class_but_not_while_held() -> None:
    """Evidence and names have their own terms; chain files and proposals stay."""
    evidence, people = overdue(CASES, RETENTION, "v", NOW)
    assert [(one.entry, one.name) for one in evidence.erased] == [(3, "observations")]
    assert [(one.entry, one.name) for one in people.erased] == [(5, "person"), (5, "approval-1")]
    assert (people.basis, people.reason) == ("retention", "people is kept for 60 days")


def test_many_details_go_in_several_entries() -> None:
    """An entry has a bounded size."""
    many = Cases(details={(n, "person"): Detail(incident="", time=0) for n in range(TOGETHER + 1)})
    assert [len(one.erased) for one in overdue(many, RETENTION, "v", NOW)] == [TOGETHER, 1]


@pytest.mark.parametrize(
    ("name", "expected"), [("observations", "evidence"), ("approval-2", "people"), ("source", "kept")]
)
def test_the_class_of_a_detail(name: str, expected: str) -> None:
    """By its name."""
    assert class_of(name) == expected
