"""What people hand in, and the entry or the refusal that becomes of it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.incident.value import Event, Transition
from agent.ledger import body, correction, dossier, submission
from agent.ledger.cases import Cases, Detail, Recorded
from agent.ledger.correction import Refused
from agent.ledger.drafting import Draft, Ground, draft, finding_of
from agent.ledger.entry import Entry
from agent.ledger.submission import AnySubmission
from tests.agent.ledger.people import PEOPLED, SIGNATORIES
from tests.agent.ledger.test_correction import INCIDENT, PROPOSAL

NOW = 5_000 * 10**9
CLOSED = Transition(event=Event.CLOSED, at=2010.0, incident=INCIDENT)
ENTRY = body.from_transition(CLOSED, chain=PEOPLED.hash, vantage="cloud")
REQUEST = dossier.Request(
    time=1, id="r-1", vantage="cloud", party="client", to="carrier", what="explain", due=2, incident="i1"
)
OBJECTION = dossier.Objection(time=1, id="o-1", incident="i1", vantage="cloud", party="carrier", text="t", due=2)
CASES = Cases(
    incidents={"i1": Recorded(index=3, hash=PROPOSAL.entry, entry=ENTRY)},
    requests={"r-1": REQUEST},
    objections={"o-1": OBJECTION},
    details={(4, "observations"): Detail(incident="i1", time=1), (7, "person"): Detail(incident="", time=2)},
)
GROUND = Ground(chain=PEOPLED, cases=CASES, vantage="cloud", log="demarc/cloud", now=NOW)
HELD = msgspec.structs.replace(GROUND, cases=msgspec.structs.replace(CASES, held=frozenset({"i1"})))
DAY = 86400.0

GOOD: dict[str, tuple[AnySubmission, type, dict[str, Any]]] = {
    "hold": (
        submission.Hold(party="client", incident="i1", state="held", reason="disputed"),
        dossier.Hold,
        {"state": "held", "reason": "disputed", "party": "client"},
    ),
    "erase": (
        submission.Erase(party="client", details=(dossier.Erased(entry=7, name="person"),), reason="asked to"),
        dossier.Erasure,
        {"erased": (dossier.Erased(entry=7, name="person"),), "basis": "request"},
    ),
    "request": (
        submission.Ask(party="client", to="incumbent", what="vantage", within=DAY),
        dossier.Request,
        {"to": "incumbent", "what": "vantage", "due": NOW + 86_400 * 10**9},
    ),
    "request about an incident": (
        submission.Ask(party="client", to="carrier", what="explain", within=DAY, incident="i1", text="what broke?"),
        dossier.Request,
        {"incident": "i1", "text": "what broke?"},
    ),
    "reply": (
        submission.Answer(party="carrier", request="r-1", outcome="done", text="a cut fibre"),
        dossier.Reply,
        {"request": "r-1", "incident": "i1", "outcome": "done"},
    ),
    "objection": (
        submission.Object(party="carrier", incident="i1", text="not ours", within=DAY),
        dossier.Objection,
        {"party": "carrier", "text": "not ours"},
    ),
    "decision": (
        submission.Decide(party="client", objection="o-1", outcome="rejected"),
        dossier.Decision,
        {"objection": "o-1", "incident": "i1"},
    ),
    "acknowledgement": (
        submission.Acknowledge(party="carrier", incident="i1"),
        dossier.Acknowledgement,
        {"via": "command", "party": "carrier"},
    ),
}


@pytest.mark.parametrize(("handed", "kind", "fields"), GOOD.values(), ids=GOOD)
def test_what_is_in_order_becomes_an_entry(handed: AnySubmission, kind: type, fields: dict[str, Any]) -> None:
    """It can be recorded, says what was handed in, and names nobody."""
    handed = msgspec.structs.replace(handed, person="J. Jansen")
    made = draft(submission.read_submission(msgspec.json.encode(handed)), GROUND)
    assert type(made.entry) is kind
    assert handed.incidents() == tuple(filter(None, [getattr(handed, "incident", "")]))
    assert {name: getattr(made.entry, name) for name in fields} == fields
    assert made.details == {"person": b"J. Jansen"}
    assert "Jansen" not in str(body.write(made.entry))


def test_erasing_takes_the_details_along() -> None:
    """The entry and the details that go are one draft."""
    handed = submission.Erase(party="client", details=(dossier.Erased(entry=7, name="person"),) * 2, reason="asked to")
    assert draft(handed, GROUND).erase == ((7, "person"),)


def test_a_hold_is_released_once() -> None:
    """What is held can be released, what is not cannot."""
    handed = submission.Hold(party="client", incident="i1", state="released", reason="settled")
    assert isinstance(draft(handed, HELD).entry, dossier.Hold)
    with pytest.raises(Refused, match="not held"):
        draft(handed, GROUND)


BAD: dict[str, tuple[AnySubmission, Ground, str]] = {
    "no party": (submission.Acknowledge(party="x", incident="i1"), GROUND, "'x' is no party .* there are client"),
    "no incident": (submission.Acknowledge(party="msp", incident="i9"), GROUND, "knows no incident 'i9'"),
    "held twice": (
        submission.Hold(party="client", incident="i1", state="held", reason="r"),
        HELD,
        "the incident i1 is held already",
    ),
    "no reason": (submission.Hold(party="client", incident="i1", state="held", reason=" "), GROUND, "needs a reason"),
    "a book": (
        submission.Object(party="msp", incident="i1", text="x" * 2001, within=DAY),
        GROUND,
        "`text` is longer than 2000 characters",
    ),
    "nothing to erase": (submission.Erase(party="client", details=(), reason="r"), GROUND, "nothing is named"),
    "erased already": (
        submission.Erase(party="client", details=(dossier.Erased(entry=5, name="person"),), reason="r"),
        GROUND,
        r"entry 5 has no detail 'person' \(any more\)",
    ),
    "held": (
        submission.Erase(party="client", details=(dossier.Erased(entry=4, name="observations"),), reason="r"),
        HELD,
        "the incident i1, which is held: release it first",
    ),
    "to nobody": (submission.Ask(party="client", to="x", what="other", within=DAY), GROUND, "'x' is no party"),
    "about nothing": (
        submission.Ask(party="client", to="msp", what="other", within=DAY, incident="i9"),
        GROUND,
        "knows no incident",
    ),
    "no term": (submission.Ask(party="client", to="msp", what="other", within=0.0), GROUND, "a term lies between"),
    "no request": (
        submission.Answer(party="msp", request="r-9", outcome="done"),
        GROUND,
        "no open request 'r-9'; open are: r-1",
    ),
    "no objection": (
        submission.Decide(party="msp", objection="o-9", outcome="upheld"),
        msgspec.structs.replace(GROUND, cases=Cases()),
        "no open objection 'o-9'; open are: none",
    ),
}


@pytest.mark.parametrize(("handed", "ground", "problem"), BAD.values(), ids=BAD)
def test_what_is_not_in_order_is_refused(handed: AnySubmission, ground: Ground, problem: str) -> None:
    """With the reason and what to do instead."""
    with pytest.raises(Refused, match=problem):
        draft(handed, ground)


def corrected(ground: Ground = GROUND, **changes: Any) -> Draft:
    """Hand in the proposal, changed, signed by client and MSP."""
    file = correction.write_proposal(msgspec.structs.replace(PROPOSAL, **changes))
    signatures = tuple(
        correction.Signature(party=party, person="boss", armored=SIGNATORIES[party].sign(file))
        for party in ("client", "msp")
    )
    paper = correction.Paper(party="carrier", person="K", role="account manager", sha256="0f" * 32)
    handed = submission.Correct(party="client", proposal=file.decode(), signatures=signatures, papers=(paper,))
    assert handed.incidents() == ("i1",)
    return draft(handed, ground)


def test_a_correction_says_the_roles_and_keeps_the_names_apart() -> None:
    """Proposal and signatures are details, so that anybody can check them again until they are erased."""
    made = corrected()
    entry = made.entry
    assert isinstance(entry, dossier.Correction)
    assert (entry.standing, entry.benefits) == ("signed", ("carrier",))
    assert [(one.party, one.role, one.means) for one in entry.approved] == [
        ("client", "contract manager", "ssh"),
        ("msp", "contract manager", "ssh"),
        ("carrier", "account manager", "paper"),
    ]
    assert sorted(made.details) == ["approval-1", "approval-2", "approval-3", "people", "proposal"]
    assert made.details["approval-2"].decode() == SIGNATORIES["msp"].sign(made.details["proposal"])
    assert b"J. client" in made.details["people"]
    assert "J. client" not in str(body.write(entry))


def test_a_correction_is_entered_once() -> None:
    """Old signatures undo nothing that was agreed on since; what stood on paper may still be signed."""
    entry = corrected().entry
    assert isinstance(entry, dossier.Correction)

    def after(before: Entry) -> Ground:
        known = (Recorded(index=7, hash="", entry=REQUEST), Recorded(index=8, hash="", entry=before))
        return msgspec.structs.replace(GROUND, cases=msgspec.structs.replace(CASES, corrections=known))

    with pytest.raises(Refused, match="entered already, as entry 8"):
        corrected(after(entry))
    assert corrected(after(entry), reason="for another reason").entry
    assert corrected(after(msgspec.structs.replace(entry, standing="paper"))).entry


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"log": "demarc/onprem"}, "for the log demarc/onprem, this is demarc/cloud"),
        ({"entry": "cd" * 32}, "has changed since"),
        ({"chain": "other"}, "another chain file"),
        ({"incident": "i1", "change": dossier.Change()}, "changes nothing"),
    ],
)
def test_a_proposal_holds_for_what_it_was_made_of(changes: dict[str, Any], problem: str) -> None:
    """Nobody approves what has become something else meanwhile."""
    with pytest.raises(Refused, match=problem):
        corrected(**changes)


def test_only_an_incident_is_corrected() -> None:
    """The place in the ledger is checked by its kind."""
    with pytest.raises(TypeError, match="entry 3 tells no incident"):
        finding_of(Recorded(index=3, hash="", entry=REQUEST))


@given(data=st.binary(max_size=200) | st.sampled_from([b'{"submit":"hold"}', b'{"submit":"x","party":"y"}']))
def test_foreign_bytes_are_refused(data: bytes) -> None:
    """Refused, nothing else."""
    with pytest.raises(Refused, match="not a submission"):
        submission.read_submission(data)
