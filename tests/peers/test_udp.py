"""UDP services of our own: right, wrong, silent and absent ones."""

import asyncio
import socket

import pytest

from probes import udp
from probes.kit.result import Outcome, Result, Stage
from tests.peers.probing import CLOCK, Kit, Names, ask, attempt
from tests.peers.test_ntp import Answer, serving

pytestmark = pytest.mark.peer


def asked(answer: Answer, *, within: float = 2.0, **more: str) -> Result:
    """Return the result of one attempt at a service that answers so."""

    async def scenario() -> Result:
        async with serving(answer) as port:
            settings = udp.Settings(target=f"127.0.0.1:{port}", **{"send": "ping", **more})  # type: ignore[arg-type] # literals
            return await ask(udp, settings, within=within)

    return asyncio.run(scenario())


# name -> (answers, settings, fault)
CASES: dict[str, tuple[Answer, dict[str, str], str | None]] = {
    "anything": (lambda data, now: [b"\x00"], {}, None),
    "bytes": (lambda data, now: [data[::-1]], {"send": "hex:0a 0b", "expect": "hex:0b0a", "match": "equal"}, None),
    "contains": (lambda data, now: [b"say " + data], {"expect": "ping"}, None),
    "prefix": (lambda data, now: [data + b"!"], {"expect": "ping", "match": "prefix"}, None),
    "no such prefix": (lambda data, now: [b"!" + data], {"expect": "ping", "match": "prefix"}, "answer-mismatch"),
    "not equal": (lambda data, now: [data + b"!"], {"expect": "ping", "match": "equal"}, "answer-mismatch"),
    "the first one counts": (lambda data, now: [b"no", b"pong"], {"expect": "pong"}, "answer-mismatch"),
    "largest": (lambda data, now: [b"x" * 60000], {"expect": "pong"}, "answer-mismatch"),
    "silent": (lambda data, now: [], {}, "timeout"),
}


@pytest.mark.parametrize("case", CASES)
def test_answers(case: str) -> None:
    """The first datagram is the answer; one that is not as agreed is the service's own word."""
    answer, settings, fault = CASES[case]

    result = asked(answer, within=0.2 if fault == "timeout" else 2.0, **settings)

    assert (result.outcome, result.fault) == (Outcome.FAILED if fault else Outcome.OK, fault)
    assert result.stage == {None: None, "timeout": Stage.CONNECT}.get(fault, Stage.ANSWER)
    assert result.answered is (fault == "answer-mismatch")
    assert len(result.detail) < 300


def test_the_size_that_crossed_both_ways() -> None:
    """It is the smaller packet's, and never more than goes unfragmented."""
    assert asked(lambda data, now: [b"x" * 500]).packet_bytes == 4 + 28
    assert asked(lambda data, now: [b"x" * 500], send="y" * 1000).packet_bytes == 528


def test_a_closed_port_refuses() -> None:
    """ICMP port unreachable is `refused`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    result = attempt(udp, udp.Settings(target=f"127.0.0.1:{port}", send="x"))

    assert (result.stage, result.fault) == (Stage.CONNECT, "refused")


def test_names_go_through_the_resolver() -> None:
    """A name adds the resolve phase; one that does not resolve fails at resolve."""

    async def scenario() -> None:
        kit = Kit(Names({"erp": "127.0.0.1"}))
        async with serving(lambda data, now: [data]) as port:
            found = await ask(udp, udp.Settings(target=f"erp:{port}", send="x"), kit=kit)
            gone = await ask(udp, udp.Settings(target=f"gone:{port}", send="x"), kit=kit)
        assert set(found.phases) == {"resolve", "answer"}
        assert (gone.stage, gone.fault) == (Stage.RESOLVE, "resolve-nxdomain")

    asyncio.run(scenario())


def test_a_late_start_is_our_own_fault() -> None:
    """In a batch too, what could not be sent is told by `flush`."""

    async def scenario() -> None:
        results: list[Result] = []
        async with udp.open(Kit()) as runner:
            assert runner.launch(udp.Settings(target="127.0.0.1:9", send="x"), CLOCK.boot() - 1, results.append)
            runner.flush()
        assert [(result.outcome, result.fault) for result in results] == [(Outcome.UNKNOWN, "no-time")]

    asyncio.run(scenario())
