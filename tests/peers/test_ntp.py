"""NTP with a server of our own that lies as told, and with chrony where it is installed."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from probes import ntp
from probes.kit.ntp_message import timestamp
from probes.kit.result import Outcome, Result, Stage
from probes.kit.spec import BatchRunner, Duration
from tests.peers.probing import CLOCK, Kit, ask, attempt, open_descriptors

pytestmark = pytest.mark.peer
Answer = Callable[[bytes, float], list[bytes]]


class _Server(asyncio.DatagramProtocol):
    """Answers each request with the datagrams of a function."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for datagram in self._answer(data, time.time()):
            self._transport.sendto(datagram, addr)


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[int]:
    """Answer datagrams on a free loopback port."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Server(answer), local_addr=("127.0.0.1", 0))
    try:
        yield int(transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


def served(data: bytes, now: float, *, ahead: float = 0.0, head: bytes = b"\x24\x02\x06\xec") -> bytes:
    """Return a server's answer to `data` whose clock is `ahead` seconds of ours."""
    stamp = timestamp(now + ahead).to_bytes(8)
    return head + bytes(20) + data[40:48] + stamp + stamp


def kissed(data: bytes, now: float) -> bytes:
    """Return a kiss-o'-death that wants us to ask less often."""
    answer = served(data, now, head=b"\xe4\x00\x06\xec")
    return answer[:12] + b"RATE" + answer[16:]


def asked(answer: Answer, *, within: float = 2.0, max_offset: float = 0.0) -> Result:
    """Return the result of one attempt at a server that answers so."""

    async def scenario() -> Result:
        async with serving(answer) as port:
            settings = ntp.Settings(target=f"127.0.0.1:{port}", max_offset=Duration(max_offset))
            return await ask(ntp, settings, within=within)

    return asyncio.run(scenario())


def test_a_server_with_our_own_clock() -> None:
    """The offset is small, and every value is there."""
    result = asked(lambda data, now: [served(data, now)])

    assert result.outcome is Outcome.OK
    assert set(result.phases) == {"answer"}
    assert abs(result.values["ntp_offset_seconds"]) < 0.5
    assert result.values["ntp_stratum"] == 2
    assert result.packet_bytes == 76


def test_a_server_that_is_ahead() -> None:
    """Its offset is told, and degrades once it passes the limit."""
    result = asked(lambda data, now: [served(data, now, ahead=100)], max_offset=10)

    assert (result.outcome, result.fault) == (Outcome.DEGRADED, "offset")
    assert 99 < result.values["ntp_offset_seconds"] < 101


# name -> (answers, fault, answered)
TROUBLES: dict[str, tuple[Answer, str, bool]] = {
    "another cookie": (lambda data, now: [served(bytes(48), now)], "timeout", False),
    "an echo": (lambda data, now: [data], "timeout", False),
    "rate": (lambda data, now: [kissed(data, now)], "kiss-rate", True),
    "unsynchronised": (lambda data, now: [served(data, now, head=b"\xe4\x10\x06\xec")], "unsynchronised", True),
    "too short": (lambda data, now: [b"\x24"], "malformed", True),
    "another mode": (lambda data, now: [served(data, now, head=b"\x25\x02\x06\xec")], "malformed", True),
    "a flood of others' answers": (lambda data, now: [served(bytes(48), now)] * 500, "timeout", False),
}


@pytest.mark.parametrize("case", TROUBLES)
def test_every_trouble_has_its_name(case: str) -> None:
    """What does not answer our request is not heard; what does is the server's own word."""
    answer, fault, answered = TROUBLES[case]

    result = asked(answer, within=0.2)

    assert (result.outcome, result.fault) == (Outcome.FAILED, fault)
    assert result.stage == (Stage.ANSWER if answered else Stage.CONNECT)
    assert result.answered is answered


def test_a_right_answer_after_wrong_ones_counts() -> None:
    """Datagrams that are not for us do not end the attempt."""
    result = asked(lambda data, now: [served(bytes(48), now), data, served(data, now)])

    assert result.outcome is Outcome.OK


def test_a_batch_tells_what_an_attempt_tells() -> None:
    """Launched attempts end with the same outcomes; silence ends at the deadline; nothing stays open."""

    async def scenario() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            quiet = ntp.Settings(target=f"127.0.0.1:{silent.getsockname()[1]}")
            async with serving(lambda data, now: [served(data, now)]) as port:
                before = open_descriptors()
                async with ntp.open(Kit()) as runner:
                    assert isinstance(runner, BatchRunner)
                    results: list[Result] = []
                    for settings in [ntp.Settings(target=f"127.0.0.1:{port}")] * 20 + [quiet]:
                        assert runner.launch(settings, CLOCK.boot() + 0.3, results.append)
                    assert not runner.launch(ntp.Settings(target="time"), CLOCK.boot() + 0.3, results.append)
                    runner.flush()
                    for _ in range(2000):
                        if runner.harvest() is None:
                            break
                        await asyncio.sleep(0.001)
                assert open_descriptors() <= before
        assert [result.fault for result in results] == [None] * 20 + ["timeout"]

    asyncio.run(scenario())


@contextlib.contextmanager
def chrony(folder: Path, *lines: str) -> Iterator[int]:
    """Run chrony's daemon as a server on loopback, without touching this host's clock (-x)."""
    command = shutil.which("chronyd", path="/usr/sbin")
    if command is None:
        pytest.skip("chronyd is not installed")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = int(sock.getsockname()[1])
    common = ("allow 127.0.0.1", "bindaddress 127.0.0.1", "cmdport 0", "bindcmdaddress /", f"pidfile {folder}/pid")
    config = folder / "chrony.conf"
    config.write_text("\n".join([f"port {port}", *common, *lines]) + "\n")
    with subprocess.Popen([command, "-x", "-d", "-u", "root", "-f", str(config)], stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(500):
                ready = attempt(ntp, ntp.Settings(target=f"127.0.0.1:{port}"), within=0.2)
                if ready.outcome is Outcome.OK or ready.answered:
                    break
                assert server.poll() is None, "chronyd ended"
            yield port
        finally:
            server.kill()


def test_chrony(tmp_path: Path) -> None:
    """A server with a reference of its own (its local clock) passes, with its stratum and next to no offset."""
    with chrony(tmp_path, "local stratum 7") as port:
        result = attempt(ntp, ntp.Settings(target=f"127.0.0.1:{port}", max_offset=Duration(0.1)))

    assert result.outcome is Outcome.OK, result
    assert result.values["ntp_stratum"] == 7
    assert abs(result.values["ntp_offset_seconds"]) < 0.1


def test_chrony_without_a_source(tmp_path: Path) -> None:
    """A server that has no source says that it is not synchronised."""
    with chrony(tmp_path) as port:
        result = attempt(ntp, ntp.Settings(target=f"127.0.0.1:{port}"))

    assert (result.outcome, result.fault, result.answered) == (Outcome.FAILED, "unsynchronised", True), result
