"""Corrections: who must approve them, what they change, and whom they relieve."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.incident.value import Incident, Kind, Standing, State
from agent.ledger import correction
from agent.ledger.correction import Approved, Refused
from agent.ledger.dossier import Approval, Change, Window
from tests.agent.ledger.people import PEOPLED, SIGNATORIES

INCIDENT = Incident(
    id="i1",
    state=State.CLOSED,
    kind=Kind.ATTRIBUTED,
    mover="carrier",
    parties=("carrier",),
    candidates=("carrier",),
    segments=("carrier",),
    standing=Standing.CORROBORATED,
    margin=2,
    opened=1000.0,
    closed=2000.0,
)
PROPOSAL = correction.Proposal(
    format=correction.FORMAT,
    log="demarc/cloud",
    incident="i1",
    entry="ab" * 32,
    chain=PEOPLED.hash,
    change=Change(kind="undetermined", parties=(), candidates=("carrier", "msp")),
    reason="the carrier's own logs show no loss",
    proposed="carrier",
)
FILE = correction.write_proposal(PROPOSAL)


def approved(*parties: str, means: str = "ssh") -> list[Approved]:
    """Return approvals by one person of each party."""
    return [
        Approved(person=f"p{n}", proof="", approval=Approval(party=party, role="r", means=means))
        for n, party in enumerate(parties)
    ]


STANDINGS: dict[str, tuple[Sequence[Approved], tuple[str, ...], str]] = {
    "client and another": (approved("client", "carrier"), ("carrier",), "signed"),
    "two clients": (approved("client", "client"), (), "it takes two people of different parties"),
    "one": (approved("client"), (), "it takes two people of different parties"),
    "without the client": (approved("msp", "carrier"), (), "one of them must be of client"),
    "only who is relieved": (approved("client", "msp"), ("client", "msp"), "client, msp would all be relieved"),
    "a third who is not": (approved("client", "msp", "carrier"), ("client", "msp"), "signed"),
    "on paper": (approved("client", "carrier", means="paper"), ("carrier",), "paper"),
    "half on paper": (approved("client") + approved("carrier", means="paper"), ("carrier",), "paper"),
    "paper too many": (approved("client", "carrier") + approved("msp", means="paper"), (), "signed"),
}


@pytest.mark.parametrize(("people", "benefits", "expected"), STANDINGS.values(), ids=STANDINGS)
def test_who_must_approve(people: Sequence[Approved], benefits: tuple[str, ...], expected: str) -> None:
    """Two parties, the custodian among them, never only those who are relieved; paper weighs less."""
    try:
        found = correction.standing([*people], benefits, PEOPLED)
    except Refused as refused:
        found = str(refused)
    assert found.startswith(expected) or expected in found


def test_one_person_does_not_count_twice() -> None:
    """Two signatures of one hand are one approval."""
    twice = [*approved("client"), *approved("client"), *approved("carrier")]
    with pytest.raises(Refused, match="approved twice"):
        correction.standing(twice, (), PEOPLED)


def test_without_a_custodian_the_director_keeps_the_agreement() -> None:
    """The chain file need not name one."""
    chain = msgspec.structs.replace(PEOPLED, custodian="")
    assert correction.standing(approved("msp", "carrier"), (), chain) == "signed"
    with pytest.raises(Refused, match="must be of msp"):
        correction.standing(approved("client", "carrier"), (), chain)


def test_a_signature_counts_by_the_key_in_the_chain_file() -> None:
    """The entry says party and role; the name is for the erasable detail."""
    one = correction.Signature(party="client", person="boss", armored=SIGNATORIES["client"].sign(FILE))
    found = correction.check_signature(FILE, one, PEOPLED)
    assert (found.person, found.approval) == (
        "J. client",
        Approval(party="client", role="contract manager", means="ssh"),
    )


@pytest.mark.parametrize(
    ("party", "person", "signer", "problem"),
    [
        ("client", "boss", "msp", r"the approval of boss of client: signed with SHA256:"),
        ("client", "other", "client", r"no key of other of client: it stands under parties.client.people.other.key"),
        ("nobody", "boss", "client", "no key of boss of nobody"),
    ],
)
def test_other_signatures_do_not(party: str, person: str, signer: str, problem: str) -> None:
    """Another key, or somebody whom the chain file does not name."""
    one = correction.Signature(party=party, person=person, armored=SIGNATORIES[signer].sign(FILE))
    with pytest.raises(Refused, match=problem):
        correction.check_signature(FILE, one, PEOPLED)


def test_a_paper_says_who_signed_it() -> None:
    """Name, role and the hash of the scan; the scan itself stays with the parties."""
    found = correction.check_paper(
        correction.Paper(party="client", person="J", role="director", sha256="0f" * 32), PEOPLED
    )
    assert found.approval == Approval(party="client", role="director", means="paper")
    for bad, problem in (
        ({"party": "x"}, "no party"),
        ({"person": " "}, "the name and the role"),
        ({"sha256": "0F" * 32}, "SHA-256 of its scan"),
    ):
        fields: dict[str, Any] = {"party": "client", "person": "J", "role": "r", "sha256": "0f" * 32} | bad
        with pytest.raises(Refused, match=problem):
            correction.check_paper(correction.Paper(**fields), PEOPLED)


def test_the_proposal_is_a_file_for_people() -> None:
    """It reads back, and every line stands by itself."""
    assert correction.read_proposal(FILE) == PROPOSAL
    assert '  "incident": "i1",' in FILE.decode().splitlines()


@given(data=st.binary(max_size=300))
def test_foreign_bytes_are_no_proposal(data: bytes) -> None:
    """Refused, nothing else."""
    with pytest.raises(Refused):
        correction.read_proposal(data)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"x" * 20_001, "larger than"),
        (FILE.replace(b"demarc-correction-1", b"demarc-correction-2"), "of format demarc-correction-1"),
        (FILE.replace(b"the carrier's own logs show no loss", b" "), "needs a reason"),
        (FILE.replace(b'"log"', b'"more": 1, "log"'), "unknown field"),
    ],
)
def test_what_is_no_proposal(data: bytes, problem: str) -> None:
    """It is said why."""
    with pytest.raises(Refused, match=problem):
        correction.read_proposal(data)


NANO = 10**9
WINDOW = Window(party="carrier", opened=1000 * NANO, closed=2000 * NANO, services=("erp",))
RELIEVES: dict[str, tuple[Change, tuple[str, ...]]] = {
    "no longer proven": (Change(kind="undetermined", parties=(), candidates=("carrier", "msp")), ("carrier",)),
    "another party": (Change(parties=("msp",), candidates=("msp",), segments=("cloud-gw",)), ("carrier",)),
    "a wrong measurement": (Change(kind="monitor", parties=(), candidates=()), ("carrier",)),
    "shorter at its begin": (Change(opened=1500 * NANO), ("carrier",)),
    "shorter at its end": (Change(closed=1500 * NANO), ("carrier",)),
    "longer": (Change(closed=2500 * NANO), ()),
    "maintenance": (Change(maintenance=WINDOW), ("carrier",)),
}


@pytest.mark.parametrize(("change", "expected"), RELIEVES.values(), ids=RELIEVES)
def test_whom_a_change_relieves(change: Change, expected: tuple[str, ...]) -> None:
    """Whoever has fewer seconds or incidents to its name after it."""
    correction.check_change(change, INCIDENT, PEOPLED)
    assert correction.benefits(change, INCIDENT) == expected


def test_an_end_relieves_those_of_an_open_incident() -> None:
    """A time where there was none is shorter."""
    going_on = msgspec.structs.replace(INCIDENT, closed=None, state=State.CONFIRMED)
    assert correction.benefits(Change(closed=1500 * NANO), going_on) == ("carrier",)


def test_what_people_say_rests_on_no_measurement() -> None:
    """Standing and margin speak of proofs."""
    after = correction.apply(INCIDENT, Change(parties=("msp",), candidates=("msp",)))
    assert (after.party, after.standing, after.margin) == ("msp", None, None)
    shorter = correction.apply(INCIDENT, Change(closed=1500 * NANO))
    assert (shorter.closed, shorter.standing) == (1500.0, Standing.CORROBORATED)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (Change(), "changes nothing"),
        (Change(kind="attributed"), "changes nothing"),
        (Change(kind="guess", candidates=()), "no kind of incident"),
        (Change(kind="undetermined"), "exactly one party"),
        (Change(parties=("nobody",)), "no parties of the chain file: nobody"),
        (Change(segments=("x",)), "no segments of the chain file: x"),
        (Change(closed=1), "end before it began"),
        (Change(maintenance=msgspec.structs.replace(WINDOW, closed=1)), "ends before it begins"),
        (Change(maintenance=msgspec.structs.replace(WINDOW, services=("x",))), "no services of the chain file: x"),
    ],
)
def test_what_cannot_be_is_refused(change: Change, problem: str) -> None:
    """A proposal that could not be signed is better than one that cannot be counted."""
    with pytest.raises(Refused, match=problem):
        correction.check_change(change, INCIDENT, PEOPLED)
