"""Changes of a configuration to entries and back."""

from hypothesis import given
from hypothesis import strategies as st

from agent.drift.fingerprint import MOST_FACTS, VALUE_LENGTH, bounded
from agent.drift.value import Approve, Change, Event, Move
from agent.ledger import body, canonical
from agent.ledger.changes import DriftEntry
from agent.ledger.drift_entries import from_approval, from_change, to_change

TIMES = st.integers(1, 4 * 10**15).map(lambda micro: micro / 1_000_000)
MOVES = st.dictionaries(st.text("ab 1", min_size=1), st.builds(Move, before=st.text("ab"), after=st.text()), min_size=1)


@given(
    st.builds(
        Change,
        event=st.sampled_from(Event),
        at=TIMES,
        not_before=st.none() | TIMES,
        vantage=st.just("cloud"),
        probe=st.sampled_from(["", "erp"]),
        segments=st.sampled_from([(), ("vpn", "carrier")]),
        moves=MOVES,
    )
)
def test_a_change_survives_the_ledger(change: Change) -> None:
    """What is read back is the same to the microsecond."""
    (entry,) = from_change(change, 5.0)
    kind, fields = body.write(entry)
    assert kind == "drift"
    read = body.read(canonical.decode(canonical.encode(fields)))
    assert isinstance(read, DriftEntry)
    assert to_change(read) == change


def test_the_largest_approval_fits() -> None:
    """Likewise; each entry says the same of who and how."""
    facts = {f"{number:03}" + "n" * 97: "\U0001d11e" * VALUE_LENGTH for number in range(MOST_FACTS)}
    wanted = Approve(probe="erp", facts=facts, party="msp", reason="x" * 5000)
    entries = list(from_approval(wanted, 5.0, vantage="cloud", role="boss", signed=True))
    for entry in entries:
        canonical.encode(body.write(entry)[1])
        assert (entry.means, entry.role, len(entry.reason)) == ("ssh", "boss", 1000)
    assert {name: value for entry in entries for name, value in entry.facts.items()} == facts


def test_the_largest_change_fits() -> None:
    """As many facts as a look may have, as long as they may be, go into several entries, each within its bound."""
    value = "\U0001d11e" * VALUE_LENGTH
    facts = bounded({f"{number:03}" + "n" * 97: value for number in range(MOST_FACTS)})
    assert set(facts.values()) == {value}
    moves = {name: Move(before=value, after=value) for name in facts}
    change = Change(event=Event.CHANGED, at=1.0, vantage="cloud", probe="erp", moves=moves)
    entries = list(from_change(change, 5.0))
    for entry in entries:
        canonical.encode(body.write(entry)[1])
    assert {name for entry in entries for name in entry.facts} == set(facts)
