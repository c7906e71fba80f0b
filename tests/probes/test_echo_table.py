"""Which request an answer belongs to, and what its stamps are worth."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from probes.kit.echo_burst import KERNEL, LOOSE, USER, Aim, Burst, History, Plan
from probes.kit.echo_table import REMEMBERED_SECONDS, Echo, EchoTable, Grain, Moment, measure
from probes.kit.trouble import TIMEOUT, Trouble

HERE = Aim(("10.0.0.1", 0), b"\x0a\0\0\x01", b"")
ELSEWHERE = b"\x0a\0\0\x02"
TOKEN = b"tokentok"
AHEAD = 1_700_000_000.0  # wall clock minus boot time
BLIND = Trouble(fault="no-buffers", local=True)
ROUTER = Trouble(fault="host-unreachable", by="10.0.0.254")


def ns(boot: float) -> int:
    """Return the kernel's stamp at boot time `boot`."""
    return round((AHEAD + boot) * 1e9)


def moment(boot: float, steps: int = 0) -> Moment:
    """Return when answers are taken in."""
    return Moment(boot, AHEAD, steps)


def burst(count: int = 1, history: History | None = None) -> Burst:
    """Return an attempt that has sent nothing yet."""
    return Burst(Plan(count=count), HERE, history or History(), print, 10.0, 11.0, count, {})


def tail(sequence: int, payload: bytes = TOKEN) -> bytes:
    """Return what a reply repeats of its request."""
    return struct.pack("!HH", 7, sequence) + payload


def sent(
    table: EchoTable, made: Burst, *, boot: float = 10.0, wait: float = 1.0, key: int = 1, alone: bool = True
) -> int:
    """Send the next packet of `made`; return its sequence."""
    sequence = table.free_sequence()
    assert sequence is not None
    made.due -= 1
    table.enter(made, sequence, key, bytes(4) + tail(sequence), boot, boot + wait, 0, alone)
    return sequence


def test_a_reply_ends_its_request_once() -> None:
    """Both kernel stamps make the round trip; a second reply is a duplicate."""
    table, made = EchoTable(0), burst()
    sequence = sent(table, made)
    table.stamps[1] = ns(10.001)

    assert table.replied(tail(sequence), HERE.packed, ns(10.003), moment(10.02))
    assert table.replied(tail(sequence), HERE.packed, ns(10.004), moment(10.02))

    assert table.finished == [made]
    assert made.round_trips == [pytest.approx(0.002, abs=1e-6)]
    assert (made.precision, made.history.duplicates, table.waiting) == (KERNEL, 1, 0)


@pytest.mark.parametrize(
    ("bytes_back", "address"),
    [(tail(2), HERE.packed), (tail(1, b"other"), HERE.packed), (tail(1), ELSEWHERE), (b"", HERE.packed)],
    ids=["sequence", "payload", "address", "nothing"],
)
def test_what_we_did_not_ask_ends_nothing(bytes_back: bytes, address: bytes) -> None:
    """A reply counts only with every byte and from the address asked."""
    table, made = EchoTable(0), burst()
    sent(table, made)

    assert not table.replied(bytes_back, address, None, moment(10.1))
    assert (table.finished, table.waiting) == ([], 1)


@pytest.mark.parametrize(
    ("payload", "address", "ends"),
    [
        (TOKEN + b"x", HERE.packed, True),
        (TOKEN, HERE.packed, False),
        (b"spoofed!", HERE.packed, False),
        (TOKEN + b"x", ELSEWHERE, False),
    ],
    ids=["altered", "whole", "without our token", "from elsewhere"],
)
def test_our_token_in_other_bytes_is_an_altered_reply(payload: bytes, address: bytes, ends: bool) -> None:
    """A packet changed on the way is the peer's trouble; a guess is nobody's."""
    table, made = EchoTable(0), burst()
    sequence = sent(table, made)

    table.changed(sequence, address, payload)
    table.changed(sequence + 1, address, payload)

    assert (made.trouble is not None) == ends
    if made.trouble is not None:
        assert (made.trouble.fault, made.trouble.answered) == ("payload-changed", True)


def test_an_error_ends_the_request_that_it_quotes() -> None:
    """Only with the address to which that one went; later words about it change nothing."""
    table, made = EchoTable(0), burst()
    sequence = sent(table, made)

    table.troubled(sequence, ELSEWHERE, ROUTER)
    table.troubled(sequence + 1, HERE.packed, ROUTER)
    assert table.waiting == 1
    table.troubled(sequence, HERE.packed, ROUTER)
    table.troubled(sequence, HERE.packed, TIMEOUT)

    assert (table.finished, made.trouble, table.waiting) == ([made], ROUTER, 0)


def test_silence_ends_a_request_at_its_time() -> None:
    """Within a hundredth of a second, and a reply after that is late, and then a duplicate."""
    table, made = EchoTable(0), burst()
    sequence = sent(table, made)

    table.expire(10.98, -1, BLIND)
    assert not table.finished
    assert table.earliest() == pytest.approx(11.0, abs=0.011)
    table.expire(11.01, -1, BLIND)
    assert (table.finished, made.trouble, table.earliest()) == ([made], TIMEOUT, None)
    table.replied(tail(sequence), HERE.packed, ns(11.2), moment(11.21))
    table.replied(tail(sequence), HERE.packed, ns(11.2), moment(11.21))

    assert (made.history.late, made.history.duplicates, made.round_trips) == (1, 1, [])


def test_the_kernels_stamp_decides_what_was_in_time() -> None:
    """However late it is taken in: before its time it counts, after it not."""
    table, made = EchoTable(0), burst(2)
    first, second = sent(table, made, key=1), sent(table, made, key=2)
    table.stamps |= {1: ns(10.0001), 2: ns(10.0001)}

    table.replied(tail(first), HERE.packed, ns(10.9), moment(11.5))
    table.replied(tail(second), HERE.packed, ns(11.1), moment(11.5))

    assert len(made.round_trips) == 1
    assert (made.trouble, made.history.late) == (TIMEOUT, 1)
    assert table.finished == [made]


def test_what_our_host_may_have_lost_is_not_timed_out() -> None:
    """A request sent before the socket overran ends as our own trouble; a later one times out."""
    table, before, after = EchoTable(0), burst(), burst()
    sent(table, before, boot=10.0)
    sent(table, after, boot=10.5, wait=0.5)

    table.expire(11.02, 10.2, BLIND)

    assert (before.trouble, after.trouble) == (BLIND, TIMEOUT)


def test_requests_are_remembered_for_a_while_only() -> None:
    """Afterwards nothing is known of them any more."""
    table, made = EchoTable(0), burst()
    sequence = sent(table, made)
    table.expire(11.01, -1, BLIND)
    table.stamps[1] = ns(10.0)

    table.expire(11.01 + REMEMBERED_SECONDS, -1, BLIND)

    assert not table.replied(tail(sequence), HERE.packed, ns(10.1), moment(17.0))
    assert (table._by_sequence, table.stamps) == ({}, {})


def test_stamps_that_nobody_waits_for_are_not_kept() -> None:
    """Once nothing waits they all go; and they never become many."""
    table, made = EchoTable(0), burst()
    sent(table, made)
    table.stamps |= {n: ns(10.0) for n in range(100)}
    table.expire(10.5, -1, BLIND)
    assert len(table.stamps) == 100
    table.stamps |= {n: ns(10.0) for n in range(70_000)}
    table.expire(10.6, -1, BLIND)
    assert table.stamps == {}
    table.stamps[5] = ns(10.0)
    table.expire(11.5, -1, BLIND)
    assert table.stamps == {}


def test_memory_is_bounded_by_number_too() -> None:
    """Many answered requests push the oldest out before their time."""
    table, history = EchoTable(0), History()
    for n in range(10_000):
        made = burst(history=history)
        table.replied(tail(sent(table, made, boot=10.0 + n / 1000)), HERE.packed, None, moment(20.0 + n))
        table.expire(10.0 + n / 1000, -1, BLIND)

    assert len(table._by_sequence) <= 8_192 + 10


def test_a_waiting_sequence_is_not_used_again() -> None:
    """Numbers go round; those that wait are passed over, and without any left there is none."""
    table, made = EchoTable(0xFFFF), burst(0x10000)
    first = sent(table, made)
    assert first == 0
    table._next = 0xFFFF
    assert table.free_sequence() == 1
    table._next = 0
    for _ in range(0xFFFF):
        sent(table, made)
    assert table.free_sequence() is None


def test_sequences_of_requests_on_their_way_are_held_back() -> None:
    """Numbers given out but not entered yet are not given out again, nor are more than there are."""
    table, made = EchoTable(0), burst(0x10000)
    for _ in range(0x10000 - 3):
        sent(table, made)

    assert [table.free_sequence(pending) for pending in range(4)] == [0xFFFE, 0xFFFF, 0, None]


def test_an_answered_sequence_is_used_again() -> None:
    """The newer request owns the number from then on."""
    table, old, new = EchoTable(0), burst(), burst()
    table.replied(tail(sent(table, old)), HERE.packed, None, moment(10.1))
    table._next = 0
    sequence = sent(table, new, key=2)

    table.expire(30.0, -1, BLIND)

    assert sequence == 1
    assert new.trouble is TIMEOUT
    assert table._by_sequence == {}


def test_an_abandoned_attempt_leaves_nothing() -> None:
    """Its requests are gone, others stay."""
    table, wanted, unwanted = EchoTable(0), burst(), burst(2)
    sent(table, wanted)
    sequence = sent(table, unwanted, key=2)

    table.abandon(unwanted)

    assert table.waiting == 1
    assert not table.replied(tail(sequence), HERE.packed, None, moment(10.1))
    table.expire(11.01, -1, BLIND)
    assert table.finished == [wanted]


def test_an_attempt_is_settled_when_nothing_is_due() -> None:
    """One whose packets could not leave is over at once, one that waits is not."""
    table, blocked, waits = EchoTable(0), burst(), burst(2)
    blocked.due = 0
    sent(table, waits)

    table.settle(blocked)
    table.settle(waits)

    assert table.finished == [blocked]


def echo(steps: int = 0, *, alone: bool = True) -> Echo:
    """Return a request that left at boot time 10."""
    return Echo(None, History(), 0, 1, 1, HERE.packed, b"", 10.0, 11.0, steps, Grain(11.0), alone)


@pytest.mark.parametrize(
    ("left", "came", "steps", "seconds", "precision"),
    [
        (ns(10.001), ns(10.003), 0, 0.002, KERNEL),
        (None, ns(10.003), 0, 0.003, USER),
        (ns(10.001), None, 0, 0.02, LOOSE),
        (None, None, 0, 0.02, LOOSE),
        (ns(10.001), ns(10.003), 1, 0.02, LOOSE),
        (ns(10.004), ns(10.003), 0, 0.003, USER),
        (ns(9.5), ns(10.003), 0, 0.003, USER),
        (ns(10.001), ns(10.5), 0, 0.02, LOOSE),
        (ns(10.001), ns(9.0), 0, 0.02, LOOSE),
    ],
    ids=[
        "both stamps",
        "no stamp of the request",
        "no stamp of the reply",
        "no stamps",
        "the clock stepped in between",
        "a stamp after the reply",
        "another packet's stamp",
        "a reply from the future",
        "a reply before its request",
    ],
)
def test_stamps_are_taken_for_what_they_are_worth(
    left: int | None, came: int | None, steps: int, seconds: float, precision: int
) -> None:
    """Impossible stamps, and those around a step of the wall clock, never make a duration."""
    found, quality = measure(echo(), left, came, moment(10.02, steps))

    assert found == pytest.approx(seconds, abs=2e-6)
    assert quality == precision


def test_a_stamp_of_our_own_for_many_is_worth_little() -> None:
    """Requests that left in one system call waited for each other in it; without the kernel's stamp it is unknown."""
    assert measure(echo(alone=False), ns(10.001), ns(10.003), moment(10.02))[1] == KERNEL
    assert measure(echo(alone=False), None, ns(10.003), moment(10.02))[1] == LOOSE


@pytest.mark.parametrize(("stamp", "alone", "told"), [(True, False, False), (False, True, False), (False, False, True)])
def test_many_without_the_kernels_stamps_are_told(stamp: bool, alone: bool, told: bool) -> None:
    """Whoever sends them together must know that it may not."""
    table, made = EchoTable(0), burst()
    sequence = sent(table, made, alone=alone)
    if stamp:
        table.stamps[1] = ns(10.001)

    assert table.replied(tail(sequence), HERE.packed, ns(10.003), moment(10.02))

    assert table.unstamped == told


def test_a_cleared_table_holds_nothing() -> None:
    """Neither what waits nor what is remembered, and no request that its grain holds in a cycle."""
    table, answered, waits = EchoTable(0), burst(), burst()
    sequence = sent(table, answered)
    table.replied(tail(sequence), HERE.packed, None, moment(10.1))
    table.expire(11.01, -1, BLIND)
    sent(table, waits, boot=11.0)

    table.clear()

    assert [grain.echoes for grain in (*table._grains.values(), *table._past)] == [[], []]
    assert table._by_sequence == {}


def test_a_prompt_look_is_as_good_as_a_stamp_of_our_own() -> None:
    """Where answers are taken in as they come, the time until we noticed is no turn of the wheel."""
    assert measure(echo(), None, None, Moment(10.02, AHEAD, 0, prompt=True))[1] == USER


@given(st.none() | st.integers(0, 2**63), st.none() | st.integers(0, 2**63), st.integers(0, 2), st.floats(10.0, 20.0))
def test_no_stamps_make_a_duration_longer_than_it_lasted(
    left: int | None, came: int | None, steps: int, now: float
) -> None:
    """Whatever the stamps say, a round trip lies between nothing and the time until we noticed, and 1 ms of doubt."""
    seconds, _ = measure(echo(), left, came, moment(now, steps))

    assert 0 <= seconds <= now - 10.0 + 0.0011


class Requests(RuleBasedStateMachine):
    """Any order of sending, answering, lying and waiting: every attempt ends once, and the counts agree."""

    def __init__(self) -> None:
        super().__init__()
        self.table = EchoTable(0xFFF0)
        self.now = 10.0
        self.sent: list[int] = []
        self.open: list[Burst] = []
        self.ended = 0

    @rule(count=st.integers(1, 3), wait=st.sampled_from([0.05, 0.5, 1.0]))
    def send(self, count: int, wait: float) -> None:
        """Send an attempt's packets."""
        made = burst(count)
        self.open.append(made)
        for _ in range(count):
            key = len(self.sent)
            self.sent.append(sent(self.table, made, boot=self.now, wait=wait, key=key))
            self.table.stamps[key] = ns(self.now)

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), address=st.sampled_from([HERE.packed, ELSEWHERE]), stamp=st.booleans())
    def reply(self, data: st.DataObject, address: bytes, stamp: bool) -> None:
        """Answer any request, also one answered before."""
        sequence = data.draw(st.sampled_from(self.sent))
        self.table.replied(tail(sequence), address, ns(self.now) if stamp else None, moment(self.now))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def alter(self, data: st.DataObject) -> None:
        """Answer a request with other bytes, or an error."""
        sequence = data.draw(st.sampled_from(self.sent))
        if data.draw(st.booleans()):
            self.table.changed(sequence, HERE.packed, TOKEN + b"x")
        else:
            self.table.troubled(sequence, HERE.packed, ROUTER)

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.6, 7.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.table.expire(self.now, -1, BLIND)
        earliest = self.table.earliest()
        assert earliest is None or earliest > self.now

    @invariant()
    def every_attempt_ends_once(self) -> None:
        """What is finished was open, has nothing under way, and comes once."""
        for made in self.table.finished:
            assert made in self.open
            assert made.over
            self.open.remove(made)
            self.ended += 1
        self.table.finished.clear()
        assert self.table.waiting == sum(made.under_way for made in self.open)


TestRequests = Requests.TestCase
