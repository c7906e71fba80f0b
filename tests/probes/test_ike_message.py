"""IKE answers from their bytes: what is one, and what is not."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.ike_message import Answer, Unusable, read_answer
from tests.probes.ike_wire import (
    KEY_EXCHANGE,
    NONCE,
    NOTIFY,
    NOTIFY_V1,
    OURS,
    SA,
    VENDOR,
    bodies,
    message,
    notifies,
    notify,
)

# As strongSwan 5.9.8 answered a proposal that it refuses.
REFUSAL = bytes.fromhex("0000000000000000 29202220 00000000 00000024 00000008 0000000e")


ANSWERS: dict[str, tuple[bytes, Answer]] = {
    "strongSwan's refusal": (OURS + REFUSAL, Answer(version=2, notify=14)),
    "cookie": (message(notify(16390, data=b"c" * 64)), Answer(version=2, notify=16390)),
    "invalid ke, group in it": (message(notify(17, data=b"\0\x1f")), Answer(version=2, notify=17)),
    "the first notify": (message(notify(5), notify(14)), Answer(version=2, notify=5)),
    "behind a vendor id": (message((VENDOR, b"vendor"), notify(14)), Answer(version=2, notify=14)),
    "no payload": (message(), Answer(version=2)),
    "no notify": (message((VENDOR, b"")), Answer(version=2)),
    "accepted": (message((SA, b"p"), (KEY_EXCHANGE, b"k"), (NONCE, b"n")), Answer(version=2, accepted=True)),
    "informational": (message(notify(4), exchange=37), Answer(version=2, notify=4)),
    "a later minor version": (message(notify(14), version=0x21), Answer(version=2, notify=14)),
    "IKEv1 only": (
        message((NOTIFY_V1, struct.pack("!IBBH", 1, 1, 0, 5)), version=0x10, exchange=5, flags=0),
        Answer(version=1, notify=5),
    ),
}
UNUSABLE: dict[str, tuple[bytes, str, bool]] = {
    "nothing": (b"", "shorter", False),
    "short": (message()[:27], "shorter", False),
    "foreign spi": (message(notify(14), spi=b"another."), "not our SPI", False),
    "our own packet": (message(flags=0x08), "request", True),
    "a request": (message(flags=0), "request", True),
    "both flags": (message(flags=0x28), "request", True),
    "version 0": (message(version=0x00), "version 0", True),
    "version 3": (message(version=0x30), "version 3", True),
    "an IKEv1 main mode": (message(version=0x10, exchange=2, flags=0), "IKEv1 exchange 2", True),
    "length too large": (message(length=29), "says 29", True),
    "trailing bytes": (message(notify(14)) + b"x", "has 37", True),
    "payload expected": (message(first=41), "payloads", True),
    "a payload too long": (message((NOTIFY, b"\0\0\0\x0e"))[:30] + b"\0\xff" + b"\0\0\0\x0e", "payloads", True),
    "a payload of length 0": (message((NOTIFY, b"\0\0\0\x0e"))[:30] + b"\0\0" + b"\0\0\0\x0e", "payloads", True),
    "bytes after the last payload": (message((NOTIFY, b"\0\0\0\x0e"))[:30] + b"\0\4" + b"\0\0\0\x0e", "payloads", True),
    "a cut notify": (message((NOTIFY, b"\0\0\0")), "cut", True),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer(case: str) -> None:
    """Any well-formed answer to our SPI is one, with its first notification."""
    data, expected = ANSWERS[case]
    assert read_answer(data, OURS) == expected


@pytest.mark.parametrize("case", UNUSABLE)
def test_no_answer(case: str) -> None:
    """Anything else is not, and says why and whether it carried our SPI."""
    data, why, ours = UNUSABLE[case]
    found = read_answer(data, OURS)
    assert isinstance(found, Unusable)
    assert why in found.why
    assert found.ours is ours


@given(st.binary(max_size=120), st.binary(max_size=8))
def test_any_bytes_are_a_value(body: bytes, start: bytes) -> None:
    """No datagram breaks the reader, with our SPI before it or without."""
    for data in (body, OURS + body, OURS[: len(start)] + body, message(first=NOTIFY, length=28 + len(body)) + body):
        assert isinstance(read_answer(data, OURS), Answer | Unusable)


@given(st.lists(bodies | notifies, max_size=6), st.integers(0, 300))
def test_a_cut_answer_is_none(payloads: list[tuple[int, bytes]], cut: int) -> None:
    """A message cut anywhere is never taken for an answer."""
    data = message(*payloads)[:cut]
    whole = len(data) == len(message(*payloads))
    assert whole or isinstance(read_answer(data, OURS), Unusable)
