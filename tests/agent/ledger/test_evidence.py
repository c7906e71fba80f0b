"""Which raw results belong to an incident, and the detail that holds them."""

import gzip

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.incident.value import Event, Incident, Kind, State, Support, Transition
from agent.ledger.evidence import MOST_BYTES, edges, packed, telling, unpacked, wanted
from tests.agent.samples import CHAIN

OPENED, CONFIRMED = 10_000.0, 10_007.0
INCIDENT = Incident(
    id="i1",
    state=State.CONFIRMED,
    kind=Kind.ATTRIBUTED,
    mover="carrier",
    segments=("carrier",),
    support=Support(failing=("cloud>underlay",), exonerating={"cloud-gw": ("cloud>gw",)}),
    faults={"cloud>underlay": "connect/timeout"},
    decide_with=("onprem>o-underlay",),
    opened=OPENED,
    confirmed=CONFIRMED,
)
CLOSED = msgspec.structs.replace(INCIDENT, state=State.CLOSED, closed=10_100.0)
CASES = {
    "confirmed": (Event.CONFIRMED, INCIDENT, 10_007.0, ("onset", ((9400.0, 10_007.0),), 10_017.0)),
    "told anew": (Event.CHANGED, INCIDENT, 10_060.0, ("change", ((9940.0, 10_060.0),), 10_070.0)),
    "closed": (Event.CLOSED, CLOSED, 10_110.0, ("end", ((10_007.0, 10_700.0),), 10_710.0)),
    "closed late": (Event.CLOSED, CLOSED, 20_000.0, ("end", ((10_007.0, 10_700.0),), 20_010.0)),
    "merged": (Event.MERGED, INCIDENT, 10_050.0, ("end", ((10_007.0, 10_650.0),), 10_660.0)),
}


@pytest.mark.parametrize(("event", "incident", "at", "expected"), CASES.values(), ids=CASES)
def test_what_a_transition_asks_for(
    event: Event, incident: Incident, at: float, expected: tuple[str, tuple[tuple[float, float], ...], float]
) -> None:
    """Before, during and after: the part, its windows, and when all of it can be there."""
    one = wanted(Transition(event=event, at=at, incident=incident))
    assert one is not None
    assert (one.part, one.windows, one.due) == expected


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        (Event.SUSPECTED, {"confirmed": None, "state": State.SUSPECTED}),
        (Event.DISMISSED, {"confirmed": None, "state": State.SUSPECTED}),
        (Event.CONFIRMED, {"kind": Kind.MONITOR}),
        (Event.RECOVERING, {"state": State.RECOVERING}),
        (Event.CHANGED, {"state": State.RECOVERING}),
    ],
)
def test_what_asks_for_none(event: Event, changes: dict[str, object]) -> None:
    """A suspicion, our own blindness and a mere step of a known incident."""
    incident = msgspec.structs.replace(INCIDENT, **changes)
    assert wanted(Transition(event=event, at=1.0, incident=incident)) is None


def test_a_long_time_is_cut_to_its_edges() -> None:
    """Both sides of the first and of the last bad result stay."""
    assert edges(0.0, 2400.0) == ((0.0, 2400.0),)
    assert edges(0.0, 90_000.0) == ((0.0, 1200.0), (88_800.0, 90_000.0))
    assert edges(5.0, 5.0) == ()


def test_the_most_telling_probes_come_first() -> None:
    """What failed, what cleared, what would decide, the self-checks, what shares the segments, the rest."""
    order = telling(INCIDENT, CHAIN)
    assert order[:5] == ("cloud>underlay", "cloud>gw", "onprem>o-underlay", "cloud>self", "onprem>self")
    assert order.index("cloud>anchor") < order.index("cloud>saas")
    assert set(order) == {probe.key for probe in CHAIN.probes.values()} | {"cloud>self", "onprem>self"}


def test_what_has_no_room_is_left_out_whole_and_named() -> None:
    """The order decides; a smaller probe after one that is too large still has its place."""
    lines = [("a", b"1"), ("b", b"x" * 50), ("a", b"2"), ("c", b"3")]
    held = packed(lines, ("a", "b", "c"), most_bytes=10)
    assert (unpacked(held.data), held.observations, held.omitted) == ([b"1", b"2", b"3"], 3, ("b",))


@given(lines=st.lists(st.tuples(st.sampled_from("abc"), st.binary(max_size=9).filter(lambda b: b"\n" not in b))))
def test_what_is_packed_comes_out_again(lines: list[tuple[str, bytes]]) -> None:
    """In the order in which it went in, the same bytes for the same lines."""
    held = packed(lines, ("a", "b", "c"))
    assert gzip.decompress(held.data) == b"".join(line + b"\n" for _, line in lines)
    assert packed(lines, ("a", "b", "c")) == held


@given(data=st.binary(max_size=60))
def test_anything_unpacks_or_is_refused(data: bytes) -> None:
    """Foreign bytes give lines or a ValueError, nothing else."""
    for one in (data, gzip.compress(data, mtime=0)[: len(data)]):
        try:
            unpacked(one)
        except ValueError:
            continue


def test_a_bomb_is_refused() -> None:
    """What unpacks to more than evidence ever is costs no memory."""
    bomb = gzip.compress(bytes(17 * MOST_BYTES), mtime=0)
    with pytest.raises(ValueError, match="larger than evidence"):
        unpacked(bomb)
