"""NTP packets, and what the stamps of two clocks say of each other."""

import struct

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from probes import ntp
from probes.kit.datagram import Heard
from probes.kit.ntp_message import Reply, offset_and_delay, parse_reply, request, timestamp
from probes.kit.result import Outcome, Stage

COOKIE = b"\x01cookie\xff"
SENT = 1_795_442_400.125  # UTC epoch seconds


def packet(
    *,
    leap: int = 0,
    version: int = 4,
    mode: int = 4,
    stratum: int = 2,
    reference: bytes = b"\x0a\x00\x00\x01",
    cookie: bytes = COOKIE,
    received: int = timestamp(SENT + 0.5),
    sent: int = timestamp(SENT + 0.501),
) -> bytes:
    """Return a server's packet: root delay 1/64 s, root dispersion 1/128 s."""
    head = struct.pack("!BBbbII4s", leap << 6 | version << 3 | mode, stratum, 6, -20, 1024, 512, reference)
    return head + bytes(8) + cookie + struct.pack("!QQ", received, sent)


def reply(**more: object) -> Reply:
    """Return the reply of `packet`, with changes."""
    values: dict[str, object] = {
        "leap": 0,
        "stratum": 2,
        "root_delay": 1 / 64,
        "root_dispersion": 1 / 128,
        "kiss": "",
        "synchronised": True,
        "received": timestamp(SENT + 0.5),
        "sent": timestamp(SENT + 0.501),
    }
    return Reply(**(values | more))  # type: ignore[arg-type] # a table of changes


CASES: dict[str, tuple[bytes, Reply | str | None]] = {
    "an answer": (packet(), reply()),
    "with an extension behind": (packet() + bytes(20), reply()),
    "version 3": (packet(version=3), reply()),
    "a leap second today": (packet(leap=1), reply(leap=1)),
    "not synchronised": (packet(leap=3, stratum=16), reply(leap=3, stratum=16, synchronised=False)),
    "no stratum": (packet(stratum=0, reference=b"\0\0\0\0"), reply(stratum=0, synchronised=False)),
    "no transmit time": (packet(sent=0), reply(sent=0, synchronised=False)),
    "rate": (
        packet(leap=3, stratum=0, reference=b"RATE"),
        reply(leap=3, stratum=0, kiss="RATE", synchronised=False),
    ),
    "another kiss": (packet(stratum=0, reference=b"INI\0"), reply(stratum=0, kiss="INI", synchronised=False)),
    "a kiss that is no text": (packet(stratum=0, reference=b"\x01\x02\x03\x04"), "the kiss code is no text"),
    "another's answer": (packet(cookie=bytes(8)), None),
    "our own request": (request(COOKIE), None),
    "a request with our cookie": (packet(mode=3), "version 4, mode 3 is no server's answer"),
    "another version": (packet(version=5), "version 5, mode 4 is no server's answer"),
    "cut": (packet()[:-1], "47 bytes are no NTP packet"),
    "empty": (b"", "0 bytes are no NTP packet"),
}


@pytest.mark.parametrize("case", CASES)
def test_reads_answers(case: str) -> None:
    """Only a server's answer with our cookie is one; what is broken is said."""
    data, expected = CASES[case]

    assert parse_reply(data, COOKIE) == expected


@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_are_read(data: bytes, ours: bool) -> None:
    """A reply, a sentence or nothing."""
    if ours:
        data = data[:24] + COOKIE + data[32:]

    found = parse_reply(data, COOKIE)

    assert found is None or isinstance(found, str | Reply)


def test_a_request_tells_nothing_of_us() -> None:
    """Version, mode and the cookie are all that it holds."""
    assert request(COOKIE) == b"\x23" + bytes(39) + COOKIE


@given(
    sent=st.floats(1.7e9, 5e9),
    ahead=st.floats(-1e6, 1e6),
    out=st.floats(0, 2),
    served=st.floats(0, 2),
    back=st.floats(0, 2),
)
def test_offset_is_between_the_one_way_times(sent: float, ahead: float, out: float, served: float, back: float) -> None:
    """Whatever the way out and back took, the offset errs by half their difference at most, also over 2036."""
    received = timestamp(sent + out + ahead)
    answered = timestamp(sent + out + served + ahead)
    seconds = out + served + back
    assume(back > 1e-5)  # floats of this size are exact to half a microsecond

    found = offset_and_delay(reply(received=received, sent=answered), sent, seconds)

    assert found is not None
    offset, delay = found
    assert delay == pytest.approx(out + back, abs=1e-5)
    assert offset == pytest.approx(ahead + (out - back) / 2, abs=1e-5)


@pytest.mark.parametrize(
    ("received", "sent"), [(SENT + 0.5, SENT + 0.49), (SENT + 0.5, SENT + 2)], ids=["backwards", "longer than it took"]
)
def test_times_that_cannot_be(received: float, sent: float) -> None:
    """A server cannot have taken less than no time, or more than passed here."""
    assert offset_and_delay(reply(received=timestamp(received), sent=timestamp(sent)), SENT, 1.0) is None


# reply, limit in seconds -> outcome, fault, the names of the values
VERDICTS: dict[str, tuple[Reply, float, Outcome, str | None, int]] = {
    "ok": (reply(), 0, Outcome.OK, None, 6),
    "near enough": (reply(), 0.6, Outcome.OK, None, 6),
    "too far": (reply(), 0.1, Outcome.DEGRADED, "offset", 6),
    "not synchronised": (reply(synchronised=False, stratum=16), 0, Outcome.FAILED, "unsynchronised", 2),
    "too often": (reply(kiss="RATE", synchronised=False), 0, Outcome.FAILED, "kiss-rate", 0),
    "denied": (reply(kiss="DENY", synchronised=False), 0, Outcome.FAILED, "kiss-deny", 0),
    "restricted": (reply(kiss="RSTR", synchronised=False), 0, Outcome.FAILED, "kiss-deny", 0),
    "another kiss": (reply(kiss="INIT", synchronised=False), 0, Outcome.FAILED, "kiss-other", 0),
    "impossible": (reply(sent=timestamp(SENT + 9)), 0, Outcome.FAILED, "malformed", 2),
}


@pytest.mark.parametrize("case", VERDICTS)
def test_verdicts(case: str) -> None:
    """A clock that is far off is degraded; a server that does not stand for its time has failed, by its own word."""
    answer, limit, outcome, fault, values = VERDICTS[case]

    result = ntp.judge(limit, 76, Heard(answer=answer, size=48, seconds=0.01, sent=SENT), {"answer": 0.01})

    assert (result.outcome, result.fault) == (outcome, fault)
    assert result.stage == (Stage.ANSWER if outcome is Outcome.FAILED else None)
    assert result.answered == (outcome is Outcome.FAILED)
    assert len(result.values) == values
    if values == 6:
        assert result.values["ntp_offset_seconds"] == pytest.approx(0.4955, abs=1e-5)
        assert result.values["ntp_delay_seconds"] == pytest.approx(0.009, abs=1e-5)
