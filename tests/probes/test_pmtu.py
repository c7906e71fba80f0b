"""The pmtu probe, pure: what it declares, and what it makes of a search."""

import pytest

from probes import pmtu
from probes.kit.echo_sizes import EchoSizes
from probes.kit.result import Outcome, Stage
from probes.kit.size_search import SizeSearch
from probes.kit.spec import Flow
from probes.kit.tcp_sizes import TcpSizes
from probes.kit.trouble import Trouble
from probes.pmtu import Settings, flow, get_request, judged
from tests.peers.probing import CLOCK

FLOWS: dict[str, tuple[Settings, Flow]] = {
    "echo": (
        Settings(target="10.20.0.1", expect=1438),
        Flow(
            host="10.20.0.1",
            protocol="icmp",
            function="echo of 1438 bytes",
            connect_bytes=48,
            carry_bytes=1438,
            packets=120,
        ),
    ),
    "nothing agreed": (
        Settings(target="10.20.0.1"),
        Flow(host="10.20.0.1", protocol="icmp", function="echo", connect_bytes=48, carry_bytes=48, packets=120),
    ),
    "IPv6 agrees by itself": (
        Settings(target="2001:db8::1"),
        Flow(
            host="2001:db8::1",
            protocol="icmp",
            family=6,
            function="echo of 1280 bytes",
            connect_bytes=68,
            carry_bytes=1280,
            packets=120,
        ),
    ),
    "TLS": (
        Settings(target="erp.example", protocol="tls", expect=1400),
        Flow(
            host="erp.example",
            protocol="tcp",
            port=443,
            function="TLS hello of 1400 bytes",
            connect_bytes=60,
            carry_bytes=1400,
            named=True,
            packets=384,
        ),
    ),
    "HTTP, another port": (
        Settings(target="10.20.0.20:8080", protocol="http"),
        Flow(
            host="10.20.0.20",
            protocol="tcp",
            port=8080,
            function="GET /",
            connect_bytes=60,
            carry_bytes=576,
            packets=384,
        ),
    ),
}
WRONG: dict[str, tuple[Settings, str]] = {
    "expects more than is looked for": (
        Settings(target="10.0.0.1", expect=1501),
        "expect: 1501 .*48 to `largest`, 1500",
    ),
    "largest": (Settings(target="10.0.0.1", largest=70000), "largest: 70000 .*write 48 to 65535"),
    "more than a request": (
        Settings(target="10.0.0.1", protocol="tls", largest=20000),
        "largest: 20000 .*576 to 16000",
    ),
    "less than IPv6": (Settings(target="2001:db8::1", expect=1279), "expect: 1279 .*write 1280"),
    "a port for pings": (Settings(target="10.0.0.1:443"), "neither"),
}


@pytest.mark.parametrize("case", FLOWS)
def test_flows(case: str) -> None:
    """A flow says how large the packets are that must pass."""
    settings, expected = FLOWS[case]
    assert flow(settings) == expected


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_say_why(case: str) -> None:
    """What cannot work is refused when the file is read, at its key."""
    settings, words = WRONG[case]
    with pytest.raises(ValueError, match=words):
        flow(settings)


def test_a_request_is_as_long_as_asked_for() -> None:
    """And a whole request, whatever the length."""
    for length in (0, 500, 9000):
        request = get_request(length, "erp.example:8080")
        assert len(request) >= length
        assert request.startswith(b"GET / HTTP/1.1\r\nHost: erp.example:8080\r\n")
        assert request.endswith(b"\r\n\r\n")
        assert request.count(b"\r\n\r\n") == 1


def echoes(working: int, *silent: int, told: int = 0, cap: int = 0, expect: int = 0) -> EchoSizes:
    """Return a look in which `working` passed, `silent` did not, and a router or our own link spoke."""
    search = SizeSearch(48, 1500, expect)
    search.tries = {48: 1, **dict.fromkeys(silent, 3)}
    if working:
        search.answered(working)
    if told:
        search.too_big(1500, "192.0.2.1", told)
    if cap:
        search.cap(cap)
    look = EchoSizes(None, search, CLOCK)  # type: ignore[arg-type] # nothing is sent
    look.trip = 0.01 if working else None
    return look


def connections(working: int, *silent: int, cap: int = 0, connected: bool = True) -> TcpSizes:
    """Return the same over TCP."""
    look = TcpSizes(("10.0.0.1", 443, 4), lambda _: b"", echoes(working, *silent, cap=cap).search, CLOCK)
    look.connected = connected
    look.trip = 0.01
    return look


# look, agreed size -> outcome, stage, fault, by, shortfall, a hole, words
JUDGED: dict[str, tuple[EchoSizes | TcpSizes, int, Outcome, Stage | None, str | None, str | None, float, str]] = {
    "as agreed": (echoes(1500), 1438, Outcome.OK, None, None, None, 0, "1500 bytes pass, 1438 are agreed"),
    "a hole above what was agreed": (
        echoes(1438, 1439, 1500),
        1438,
        Outcome.OK,
        None,
        None,
        None,
        0,
        "larger ones vanish",
    ),
    "a hole below it": (
        echoes(1200, 1201, 1438),
        1438,
        Outcome.FAILED,
        Stage.ANSWER,
        "mtu-hole",
        None,
        238,
        "238 fewer than the 1438 agreed, larger ones vanish without a word",
    ),
    "a router tells": (
        echoes(1400, 1401, told=1400),
        1438,
        Outcome.DEGRADED,
        None,
        "mtu-low",
        "192.0.2.1",
        38,
        "192.0.2.1 forwards 1400",
    ),
    "a router tells wrongly": (
        echoes(1200, 1201, told=1400),
        1438,
        Outcome.FAILED,
        Stage.ANSWER,
        "mtu-hole",
        None,
        238,
        "vanish",
    ),
    "our own link": (
        echoes(1400, cap=1400),
        1438,
        Outcome.UNKNOWN,
        None,
        "too-big-here",
        None,
        38,
        "this host's link carries no more",
    ),
    "too little time": (
        echoes(1200),
        1438,
        Outcome.UNKNOWN,
        None,
        "unfinished",
        None,
        238,
        "1200 bytes pass, maybe more",
    ),
    "a clamp": (
        connections(1400, cap=1400),
        1438,
        Outcome.DEGRADED,
        None,
        "mtu-low",
        None,
        38,
        "a clamp or a router's word, what came back had at most 60",
    ),
    "a hole for TCP": (
        connections(1200, 1201, 1400, cap=1400),
        1400,
        Outcome.FAILED,
        Stage.ANSWER,
        "mtu-hole",
        None,
        200,
        "vanish",
    ),
}


@pytest.mark.parametrize("case", JUDGED)
def test_judgements(case: str) -> None:
    """Silence for an agreed size fails at the stage that accuses the whole path; a told limit only degrades."""
    look, agreed, outcome, stage, fault, by, short, words = JUDGED[case]
    result = judged(look, agreed, {"answer": 0.01}, 0.5)
    assert (result.outcome, result.stage, result.fault, result.by) == (outcome, stage, fault, by)
    assert result.values["pmtu_shortfall_bytes"] == short
    assert result.values["pmtu_bytes"] == look.search.working
    assert bool(result.values["pmtu_black_hole"]) is ("vanish" in words)
    assert words in result.detail
    assert result.answered is False
    assert (result.fault, result.stage) in {
        (None, None),
        *((row.name, row.stage) for row in pmtu.SPEC.faults),
    } or stage is None


SILENT: dict[str, tuple[EchoSizes | TcpSizes, Stage, str]] = {
    "no echo": (echoes(0), Stage.CONNECT, "timeout"),
    "no connection": (connections(0, connected=False), Stage.CONNECT, "timeout"),
    "connected, and no answer": (connections(0), Stage.ANSWER, "timeout"),
}


@pytest.mark.parametrize("case", SILENT)
def test_nothing_passes(case: str) -> None:
    """Where nothing passes there is no size to speak of."""
    look, stage, fault = SILENT[case]
    result = judged(look, 1438, {}, 0.5)
    assert (result.outcome, result.stage, result.fault) == (Outcome.FAILED, stage, fault)
    assert result.values == {}
    assert result.packet_bytes is None


def test_what_stopped_the_packets_is_named() -> None:
    """A router that forbids pings is no hole."""
    look = echoes(0)
    look.trouble = Trouble(fault="prohibited", by="192.0.2.1")
    result = judged(look, 0, {}, 0.5)
    assert (result.stage, result.fault, result.by) == (Stage.CONNECT, "prohibited", "192.0.2.1")


def test_what_was_not_sent_is_no_hole() -> None:
    """A host that could not send all of it has not looked."""
    look = echoes(1200, 1201, 1438)
    look.trouble = Trouble(fault="no-buffers", local=True)
    result = judged(look, 1438, {}, 0.5)
    assert (result.outcome, result.fault) == (Outcome.UNKNOWN, "no-buffers")
