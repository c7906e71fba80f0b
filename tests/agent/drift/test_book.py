"""The book of a vantage: looks, approvals, reloads, restarts."""

from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.drift.book import CHANGES_KEPT, ApprovalError, Book, Saved, chain_change
from agent.drift.fingerprint import MOST_FACTS
from agent.drift.value import Change, Drift, Event, FactNow, Move, Standing
from agent.model import Chain, Probe
from probes.kit.spec import Evidence
from tests.agent.samples import CHAIN

ERP, TUNNEL = CHAIN.probes["erp"], CHAIN.probes["tunnel"]
OLD, NEW = (
    {"certificate sha256": "aa", "tls version": "TLSv1.3"},
    {"certificate sha256": "bb", "tls version": "TLSv1.3"},
)


def with_probe(probe: Probe) -> Chain:
    """Return the sample chain with another form of a probe."""
    return msgspec.structs.replace(CHAIN, probes=CHAIN.probes | {probe.id: probe}, hash="9" * 64)


def a_book(*looks: Mapping[str, str], probe: Probe = ERP, chain: Chain = CHAIN, saved: Saved | None = None) -> Book:
    """Return a book after these looks, a minute apart."""
    book = Book(saved)
    book.configure(chain, "cloud")
    for number, facts in enumerate(looks):
        book.look(probe, facts, 60.0 * number)
    return book


def standing(book: Book, probe: str = "erp") -> dict[str, tuple[str, Standing, str | None]]:
    """Return value, standing and approved value of each fact of a probe."""
    found = [one.facts for one in book.drift().fingerprints if one.probe == probe]
    return {fact.name: (fact.value, fact.standing, fact.approved) for fact in (found[0] if found else ())}


def since_start(book: Book) -> Drift:
    """Return the picture without what is counted since the start."""
    drift = book.drift()
    fingerprints = tuple(msgspec.structs.replace(one, changed=0) for one in drift.fingerprints)
    return msgspec.structs.replace(drift, fingerprints=fingerprints)


def test_first_seen_is_not_approved() -> None:
    """Nothing becomes the baseline by being there."""
    book = a_book(OLD)
    assert not standing(book)
    assert book.look(ERP, OLD, 60.0) == (
        Change(
            event=Event.SEEN,
            at=0.0,
            vantage="cloud",
            probe="erp",
            segments=("erp-app",),
            moves={"certificate sha256": Move(after="aa"), "tls version": Move(after="TLSv1.3")},
        ),
    )
    assert standing(book)["certificate sha256"] == ("aa", Standing.UNAPPROVED, None)


def test_a_change_names_what_changed_only() -> None:
    """Before and after of each fact that moved, and between which looks."""
    book = a_book(OLD, OLD, OLD, NEW)
    assert book.look(ERP, NEW, 240.0) == (
        Change(
            event=Event.CHANGED,
            at=180.0,
            not_before=120.0,
            vantage="cloud",
            probe="erp",
            segments=("erp-app",),
            moves={"certificate sha256": Move(before="aa", after="bb")},
        ),
    )
    drift = book.drift()
    assert [one.event for one in drift.changes] == [Event.CHANGED, Event.SEEN]
    assert (drift.fingerprints[0].changed, drift.fingerprints[0].last_change) == (1, 180.0)


def test_an_approved_fact_is_shown_before_it_is_seen() -> None:
    """What the chain file names and nobody has seen yet is not passed over."""
    chain = with_probe(msgspec.structs.replace(ERP, approved={"path mtu": "1400"}))
    assert standing(a_book(chain=chain)) == {"path mtu": ("", Standing.UNSEEN, "1400")}
    assert not a_book({}).drift().fingerprints


def test_what_is_not_told_is_no_change() -> None:
    """A look that came less far says nothing of what it did not reach."""
    book = a_book(OLD, OLD, {"tls version": "TLSv1.3"}, {"tls version": "TLSv1.3"}, {}, {})
    assert book.look(ERP, OLD, 600.0) == ()
    assert standing(book)["certificate sha256"][0] == "aa"
    book.look(ERP, NEW, 660.0)
    (change,) = book.look(ERP, NEW, 720.0)
    assert change.not_before == 600.0


def test_a_fact_that_came_late_is_seen_by_itself() -> None:
    """One look may bring a change and a first sight; they are two entries."""
    book = a_book(OLD, OLD, NEW | {"tls cipher": "X"})
    changes = book.look(ERP, NEW | {"tls cipher": "X"}, 180.0)
    assert [(one.event, tuple(one.moves)) for one in changes] == [
        (Event.SEEN, ("tls cipher",)),
        (Event.CHANGED, ("certificate sha256",)),
    ]


APPROVED = {"certificate sha256": "aa"}


def test_a_person_approves_what_holds() -> None:
    """An approved value that changes has drifted; back again it is as approved."""
    book = a_book(OLD, OLD)
    book.approve("erp", APPROVED, party="msp", at=100.0)
    assert standing(book)["certificate sha256"] == ("aa", Standing.APPROVED, "aa")
    for at in (180.0, 240.0):
        book.look(ERP, NEW, at)
    assert standing(book)["certificate sha256"] == ("bb", Standing.DRIFTED, "aa")
    for at in (300.0, 360.0):
        book.look(ERP, OLD, at)
    assert standing(book)["certificate sha256"] == ("aa", Standing.APPROVED, "aa")


def test_the_chain_file_holds_over_a_person() -> None:
    """What the parties wrote down stands, seen or not."""
    agreed = msgspec.structs.replace(ERP, approved={"certificate sha256": "bb", "certificate issuer": "CN=CA"})
    book = a_book(OLD, OLD)
    book.approve("erp", APPROVED, party="msp", at=100.0)
    book.configure(with_probe(agreed), "cloud")
    facts = {fact.name: fact for one in book.drift().fingerprints for fact in one.facts}
    assert facts["certificate sha256"].standing is Standing.DRIFTED
    assert facts["certificate sha256"].approved_by == "chain file"
    assert facts["certificate issuer"] == FactNow(
        name="certificate issuer", standing=Standing.UNSEEN, approved="CN=CA", approved_by="chain file"
    )
    with pytest.raises(ApprovalError, match="stands in the chain file"):
        book.approve("erp", APPROVED, party="msp", at=100.0)


REFUSED: dict[str, tuple[str, dict[str, str], str]] = {
    "no such probe": ("nope", APPROVED, "no probe 'nope' at cloud"),
    "another vantage's": ("erp-local", APPROVED, "no probe"),
    "nothing": ("erp", {}, "no fact"),
    "never seen": ("erp", {"path mtu": "1400"}, "has not been seen"),
    "nothing seen of it": ("hr", APPROVED, "has not been seen"),
    "another value": ("erp", {"certificate sha256": "bb"}, "look again"),
    "one of two wrong": ("erp", {"certificate sha256": "aa", "tls version": "x"}, "look again"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_approvals_that_are_refused(case: str) -> None:
    """What is approved is what was shown; a refusal enters nothing."""
    probe, wanted, why = REFUSED[case]
    book = a_book(OLD, OLD)
    with pytest.raises(ApprovalError, match=why):
        book.approve(probe, wanted, party="msp", at=100.0)
    assert not [one for one in standing(book).values() if one[1] is Standing.APPROVED]


def test_what_is_changing_cannot_be_approved() -> None:
    """Between two looks nobody knows what holds."""
    book = a_book(OLD, OLD, NEW)
    with pytest.raises(ApprovalError, match="is changing"):
        book.approve("erp", APPROVED, party="msp", at=100.0)


def test_flapping_is_a_standing_of_its_own() -> None:
    """A fact that flaps is neither approved nor drifted."""
    book = a_book(OLD, OLD, *([NEW] * 2 + [OLD] * 2) * 3)
    assert standing(book)["certificate sha256"][1] is Standing.FLAPPING
    assert standing(book)["tls version"][1] is Standing.UNAPPROVED


def test_a_restart_forgets_nothing_and_tells_nothing_twice() -> None:
    """The book goes on with what the former run saved; a change while nobody looked lies between the runs."""
    book = a_book(OLD, OLD, OLD)
    book.approve("erp", APPROVED, party="msp", at=100.0)
    saved = msgspec.json.decode(msgspec.json.encode(book.save()), type=Saved)
    again = a_book(saved=saved)
    assert again.chain == CHAIN.hash
    assert again.drift() == book.drift()
    assert again.look(ERP, NEW, 9000.0) == ()
    (change,) = again.look(ERP, NEW, 9060.0)
    assert (change.not_before, change.at) == (120.0, 9000.0)
    assert standing(again)["certificate sha256"] == ("bb", Standing.DRIFTED, "aa")


def test_another_measurement_begins_anew() -> None:
    """A probe with other settings is another one: its facts and approvals are not carried over."""
    book = a_book(OLD, OLD)
    book.approve("erp", APPROVED, party="msp", at=100.0)
    book.configure(with_probe(msgspec.structs.replace(ERP, settings_hash="other")), "cloud")
    assert not standing(book)


def test_what_was_under_way_at_a_reload_tells_nothing() -> None:
    """An attempt of the former measurement, or of a probe that is gone, is not taken for the present one."""
    other = msgspec.structs.replace(ERP, settings_hash="other")
    book = a_book(OLD, OLD, probe=ERP, chain=with_probe(other))
    assert not standing(book)
    without = msgspec.structs.replace(CHAIN, probes={})
    assert not a_book(OLD, OLD, chain=without).save().probes


def test_a_reload_keeps_the_rest() -> None:
    """A chain file that changed elsewhere leaves the facts as they are."""
    book = a_book(OLD, OLD)
    before = standing(book)
    book.configure(with_probe(msgspec.structs.replace(CHAIN.probes["hr"], interval=9.0)), "cloud")
    assert standing(book) == before
    assert book.chain == "9" * 64


PLACES: dict[str, tuple[Probe, tuple[str, ...]]] = {
    "what answers": (ERP, ("erp-app",)),
    "the word of a gateway": (msgspec.structs.replace(TUNNEL, evidence=Evidence.STATE), TUNNEL.path[1:]),
    "a size of the path": (msgspec.structs.replace(ERP, path_facts=True), ERP.path[1:]),
    "our own routes": (msgspec.structs.replace(ERP, evidence=Evidence.STATE, path=("cloud-host",)), ("cloud-host",)),
}


@pytest.mark.parametrize("case", PLACES)
def test_where_facts_belong(case: str) -> None:
    """A responder's facts are its own; a state's or a size's speak of the way beyond our own host."""
    probe, wanted = PLACES[case]
    assert probe.facts_of == wanted


def test_a_change_of_the_chain_file_speaks_of_everything() -> None:
    """It stands among the changes by its hashes."""
    book = a_book()
    change = chain_change("1" * 64, "2" * 64, vantage="cloud", at=5.0)
    book.enter(change)
    assert book.drift().changes == (change,)
    assert change.segments == ()
    assert change.moves == {"chain file": Move(before="1" * 64, after="2" * 64)}


def test_others_changes_stand_among_ours() -> None:
    """Newest first, and no more than are kept."""
    book = a_book(OLD, OLD)
    others = [chain_change("1", "2", vantage="onprem", at=float(at)) for at in range(CHANGES_KEPT + 5)]
    changes = book.drift(others).changes
    assert len(changes) == CHANGES_KEPT
    assert changes[0].at == CHANGES_KEPT + 4


def test_names_that_come_and_go_do_not_pile_up() -> None:
    """A gateway whose connections have another name at every look keeps us bounded."""
    book = a_book()
    for look in range(5):
        facts = {f"{look} {number}": "x" for number in range(MOST_FACTS)}
        for again in range(2):
            book.look(TUNNEL, facts, look * 100.0 + again)
    kept = book.save().probes["tunnel"].facts
    assert len(kept) == 2 * MOST_FACTS
    assert {name[0] for name in kept} == {"3", "4"}


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=3), max_size=20))
def test_saved_at_any_moment(looks: list[dict[str, str]]) -> None:
    """Saving and loading between any two looks changes nothing of what is told."""
    straight, broken = a_book(), a_book()
    for number, facts in enumerate(looks):
        at = 60.0 * number
        told = straight.look(ERP, facts, at)
        broken = a_book(saved=msgspec.json.decode(msgspec.json.encode(broken.save()), type=Saved))
        assert broken.look(ERP, facts, at) == told
    assert since_start(broken) == since_start(straight)
