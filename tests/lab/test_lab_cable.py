"""The pure core of a cable: literal times, injected chance, no clock."""

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.cable import Direction, Settings, check_rule, matches

ETHERNET = bytes(12) + b"\x08\x00"


def packet(protocol: int, payload: bytes, *, options: int = 0) -> bytes:
    """Return an Ethernet frame with an IPv4 header of that protocol, `options` 32-bit words of options."""
    header = bytes([0x45 + options]) + bytes(8) + bytes([protocol]) + bytes(10 + options * 4)
    return ETHERNET + header + payload


def udp(source: int, destination: int, data: bytes = b"") -> bytes:
    """Return a frame with a UDP datagram."""
    return packet(17, source.to_bytes(2) + destination.to_bytes(2) + bytes(4) + data)


def direction(**settings: object) -> Direction:
    """Return a direction with these settings and a fixed seed."""
    made = Direction(Random(1))
    made.settings = Settings(**settings)  # type: ignore[arg-type]
    return made


def passes(frames: list[bytes], at: list[float], **settings: object) -> list[tuple[float, bytes]]:
    """Send frames at those times; return when each leaves, to the millisecond."""
    cable = direction(**settings)
    for frame, now in zip(frames, at, strict=True):
        cable.accept(frame, now)
    out = []
    while (moment := cable.next_due()) is not None:
        out += [(round(moment, 6), frame) for frame in cable.due(moment)]
    return out


MATCHES = {
    "all takes what is not even IP": (b"", "all", True),
    "icmp": (packet(1, b"\x08\x00"), "icmp", True),
    "icmp is not udp": (packet(1, b"\x08\x00"), "udp", False),
    "port as destination": (udp(40000, 500), "udp:500", True),
    "port as source": (udp(500, 40000), "udp:500", True),
    "another port": (udp(4500, 4500), "udp:500", False),
    "tcp rule, udp packet": (udp(443, 443), "tcp:443", False),
    "ports behind IP options": (packet(17, b"\x01\xf4\x01\xf4" + bytes(4), options=2), "udp:500", True),
    "ESP in UDP": (udp(4500, 4500, b"\xc0\xff\xee\x01" + bytes(8)), "esp-in-udp", True),
    "IKE on 4500 has the non-ESP marker": (udp(4500, 4500, bytes(4) + b"ike"), "esp-in-udp", False),
    "a NAT keepalive is one byte": (udp(4500, 4500, b"\xff"), "esp-in-udp", False),
    "four bytes on another port": (udp(53, 4501, b"\x01\x02\x03\x04"), "esp-in-udp", False),
    "cut off in the ports": (packet(17, b"\x01"), "udp:500", False),
    "cut off in the IP header": (ETHERNET + b"\x45", "icmp", False),
    "ARP": (bytes(12) + b"\x08\x06" + bytes(28), "icmp", False),
}


@pytest.mark.parametrize(("frame", "rule", "expected"), MATCHES.values(), ids=MATCHES.keys())
def test_a_rule_names_the_frames_it_says(frame: bytes, rule: str, expected: bool) -> None:
    """A drop rule matches its protocol and port, in either direction."""
    assert matches(frame, (rule,)) is expected


@given(
    frame=st.binary(max_size=80) | st.binary(max_size=60).map(lambda tail: ETHERNET + tail),
    rules=st.lists(st.sampled_from(["icmp", "tcp", "udp", "esp", "esp-in-udp", "udp:500", "tcp:443"])),
)
def test_matching_never_raises(frame: bytes, rules: list[str]) -> None:
    """Any bytes give an answer."""
    assert matches(frame, rules) in (True, False)


@pytest.mark.parametrize("rule", ["", "everything", "udp:", "udp:x", "icmp:1", "tcp:65536", "tcp:-1", "esp:50"])
def test_a_rule_that_means_nothing_is_refused(rule: str) -> None:
    """Settings with an unknown rule do not come into being, decoded ones neither."""
    with pytest.raises(ValueError, match="no drop rule"):
        check_rule(rule)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"drop": [rule]}, Settings)


@pytest.mark.parametrize("settings", [{"loss": 1.5}, {"delay_seconds": -1}, {"colour": "red"}, {"max_bytes": "9"}])
def test_settings_out_of_range_are_refused(settings: dict[str, object]) -> None:
    """A share above one, a negative time and an unknown key are validation errors."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(settings, Settings)


A, B, C = (udp(1, number, bytes(58)) for number in (2, 3, 4))  # 100 bytes each
SCHEDULES = {
    "a perfect cable": ({}, [A, B], [1.0, 2.0], [(1.0, A), (2.0, B)]),
    "delay": ({"delay_seconds": 0.05}, [A, B], [1.0, 1.01], [(1.05, A), (1.06, B)]),
    "rate: a frame waits for the one before": ({"rate_bits": 8000}, [A, B], [1.0, 1.0], [(1.1, A), (1.2, B)]),
    "rate and delay add": ({"rate_bits": 8000, "delay_seconds": 1}, [A], [1.0], [(2.1, A)]),
    "a full queue drops the tail": (
        {"rate_bits": 8000, "queue_bytes": 250},
        [A, B, C],
        [1.0, 1.0, 1.0],
        [(1.1, A), (1.2, B)],
    ),
    "the queue drains": ({"rate_bits": 8000, "queue_bytes": 100}, [A, B, C], [1.0, 1.05, 1.1], [(1.1, A), (1.2, C)]),
    "as long as may be": ({"max_bytes": 86}, [A], [1.0], [(1.0, A)]),
    "a byte too long": ({"max_bytes": 85}, [A], [1.0], []),
    "cut": ({"drop": ("all",)}, [A], [1.0], []),
    "lost": ({"loss": 1.0}, [A, B], [1.0, 1.0], []),
    "twice": ({"duplicate": 1.0}, [A], [1.0], [(1.0, A), (1.0, A)]),
    "overtaking skips the delay": ({"reorder": 1.0, "delay_seconds": 1}, [A], [1.0], [(1.0, A)]),
}


@pytest.mark.parametrize(("settings", "frames", "at", "expected"), SCHEDULES.values(), ids=SCHEDULES.keys())
def test_a_frame_leaves_when_the_settings_say(
    settings: dict[str, object], frames: list[bytes], at: list[float], expected: list[tuple[float, bytes]]
) -> None:
    """Literal times in, literal times out."""
    assert passes(frames, at, **settings) == expected


def test_corruption_changes_one_bit_of_the_payload() -> None:
    """The headers stay: the frame arrives, broken."""
    [(_, broken)] = passes([A], [1.0], corrupt=1.0)
    changed = [position for position, (one, other) in enumerate(zip(A, broken, strict=True)) if one != other]
    assert len(changed) == 1
    assert changed[0] >= 34


@given(
    at=st.lists(st.floats(0, 10), max_size=30).map(sorted),
    jitter=st.floats(0, 0.5),
    delay=st.floats(0, 0.5),
    duplicate=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(),
)
def test_jitter_keeps_order_and_nothing_is_lost(
    at: list[float], jitter: float, delay: float, duplicate: float, seed: int
) -> None:
    """Frames leave in the order they came, once or twice each, never before they came."""
    cable = Direction(Random(seed))
    cable.settings = Settings(delay_seconds=delay, jitter_seconds=jitter, duplicate=duplicate)
    frames = [number.to_bytes(4) for number in range(len(at))]
    for frame, now in zip(frames, at, strict=True):
        cable.accept(frame, now)
    out = cable.due(float("inf"))
    assert sorted(set(out)) == frames
    assert out == sorted(out)
    assert len(out) == len(frames) + cable.counters.duplicated


@given(at=st.lists(st.floats(0, 10), max_size=30).map(sorted), jitter=st.floats(0, 0.5), seed=st.integers())
def test_nothing_arrives_before_it_was_sent(at: list[float], jitter: float, seed: int) -> None:
    """Jitter above the delay cannot make a frame early."""
    cable = Direction(Random(seed))
    cable.settings = Settings(jitter_seconds=jitter)
    for now in at:
        cable.accept(b"frame", now)
    moments = []
    while (moment := cable.next_due()) is not None:
        moments += [moment] * len(cable.due(moment))
    assert all(moment >= now for moment, now in zip(moments, at, strict=True))


def test_the_counters_add_up() -> None:
    """Every frame taken is accounted for exactly once."""
    cable = direction(loss=0.3, max_bytes=90, rate_bits=80000, queue_bytes=300)
    for number in range(200):
        cable.accept(udp(1, 2, bytes(number % 60)), number / 1000)
    counters = cable.counters
    left = counters.lost + counters.too_long + counters.overflowed + len(cable.due(float("inf")))
    assert counters.received == 200 == left
    assert min(counters.lost, counters.overflowed) > 0
