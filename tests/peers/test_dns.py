"""DNS questions to scripted servers and to a real one."""

import asyncio
import shutil
import socket
import statistics
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec
import pytest

from probes import dns
from probes.kit.result import Outcome, Result, Stage
from probes.kit.spec import BatchRunner
from tests.peers.dns_server import Script, answer, name_server
from tests.peers.probing import CLOCK, Handler, Kit, Names, ask, attempt, open_descriptors, serve

pytestmark = pytest.mark.peer

ADDRESS = bytes([10, 20, 0, 20])

# name -> (server, extra settings, (stage, fault, answered))
UDP: dict[str, tuple[Script, str, tuple[Stage | None, str | None, bool]]] = {
    "right": (lambda q: [answer(q, ADDRESS)], "", (None, None, False)),
    "expected": (lambda q: [answer(q, bytes(4), ADDRESS)], "10.20.0.20", (None, None, False)),
    "unexpected": (lambda q: [answer(q, bytes(4))], "10.20.0.20", (Stage.ANSWER, "mismatch", True)),
    "another id first": (
        lambda q: [answer(q, bytes(4), shift=1), answer(q, ADDRESS)],
        "10.20.0.20",
        (None, None, False),
    ),
    "only another id": (lambda q: [answer(q, ADDRESS, shift=1)], "", (Stage.CONNECT, "timeout", False)),
    "another question": (
        lambda q: [answer(q[:12] + b"\x05other" + q[12:], ADDRESS)],
        "",
        (Stage.CONNECT, "timeout", False),
    ),
    "its own question back": (lambda q: [q], "", (Stage.CONNECT, "timeout", False)),
    "silent": (lambda q: [], "", (Stage.CONNECT, "timeout", False)),
    "servfail": (lambda q: [answer(q, rcode=2)], "", (Stage.ANSWER, "rcode-servfail", True)),
    "servfail without question": (
        lambda q: [q[:2] + b"\x81\x82" + bytes(8)],
        "",
        (Stage.ANSWER, "rcode-servfail", True),
    ),
    "nxdomain": (lambda q: [answer(q, rcode=3)], "", (Stage.ANSWER, "rcode-nxdomain", True)),
    "refuses": (lambda q: [answer(q, rcode=5)], "", (Stage.ANSWER, "rcode-refused", True)),
    "empty": (lambda q: [answer(q)], "", (Stage.ANSWER, "no-answer", True)),
    "truncated": (lambda q: [answer(q, flags=0x8380)], "", (Stage.ANSWER, "truncated", True)),
    "an address of another name": (
        lambda q: [answer(q, ADDRESS).replace(b"\xc0\x0c", b"\x01x\0", 1)],
        "",
        (Stage.ANSWER, "no-answer", True),
    ),
    "cut": (lambda q: [answer(q, ADDRESS)[:-2]], "", (Stage.ANSWER, "malformed", True)),
    "no question": (lambda q: [q[:2] + b"\x81\x80" + bytes(8)], "", (Stage.ANSWER, "malformed", True)),
    "junk first": (lambda q: [b"", b"x", answer(q, ADDRESS)], "", (None, None, False)),
}


@pytest.mark.parametrize("case", UDP)
def test_over_udp(case: str) -> None:
    """What a server answers has its name; what is not an answer to us is not heard."""
    script, expect, expected = UDP[case]

    async def scenario() -> Result:
        async with name_server(script) as port:
            made = dns.Settings(target=f"127.0.0.1:{port}", name="erp.corp.lab", expect=(expect,) if expect else ())
            return await ask(dns, made, within=0.3)

    result = asyncio.run(scenario())

    assert (result.stage, result.fault, result.answered) == expected, result
    assert (result.outcome is Outcome.OK) == (expected[1] is None)
    assert ("answer" in result.phases) == (result.outcome is Outcome.OK or result.fault in _WELL_FORMED)


_WELL_FORMED = {"mismatch", "rcode-servfail", "rcode-nxdomain", "rcode-refused", "no-answer", "truncated"}


@pytest.mark.parametrize("within", [0.2, 0.5])
def test_a_flood_of_foreign_answers_ends_at_the_deadline(within: float) -> None:
    """Answers with other identifiers, however many, are not heard and hold nobody up."""
    stop = threading.Event()

    def flood(server: socket.socket) -> None:
        query, sender = server.recvfrom(512)
        while not stop.is_set():
            with suppress(OSError):
                server.sendto(answer(query, ADDRESS, shift=1), sender)

    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=flood, args=(server,))
        thread.start()
        made = dns.Settings(target=f"127.0.0.1:{server.getsockname()[1]}", name="erp.corp.lab")
        result = attempt(dns, made, within=within)
        stop.set()
        thread.join()

    assert (result.stage, result.fault) == (Stage.CONNECT, "timeout")


def test_a_closed_port_refuses() -> None:
    """An ICMP port-unreachable is `refused` at connect."""
    with socket.socket(type=socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

    result = attempt(dns, dns.Settings(target=f"127.0.0.1:{port}", name="a"))

    assert (result.stage, result.fault, result.answered) == (Stage.CONNECT, "refused", False)


SCRIPTED = "127.0.0.1:1"


async def turned(script: Script, questions: list[dns.Settings], *, seconds: float) -> list[Result]:
    """Launch questions to a scripted server on a wheel of 20 ms, until all have ended."""
    results: dict[int, Result] = {}
    async with name_server(script) as port, dns.open(Kit(Names({"ns": "127.0.0.1"}))) as runner:
        assert isinstance(runner, BatchRunner)
        assert runner.harvest() is None
        for number, made in enumerate(questions):
            target = f"127.0.0.1:{port}" if made.target == SCRIPTED else made.target
            asked = msgspec.structs.replace(made, target=target)
            assert runner.launch(asked, CLOCK.boot() + seconds, partial(results.__setitem__, number))
        runner.flush()
        for _ in range(100):
            await asyncio.sleep(0.02)
            if runner.harvest() is None:
                break
    assert sorted(results) == list(range(len(questions)))
    return list(results.values())


def test_questions_on_the_wheel_find_their_own_answers() -> None:
    """Fifty at once: each has the answer to its own name, timed by the kernel's stamps and not by the tick."""

    def script(query: bytes) -> list[bytes]:
        return [answer(query, bytes(4), shift=1), answer(query, bytes([10, 0, 0, query[13] - 64]))]

    questions = [
        dns.Settings(target=SCRIPTED, name=f"{chr(65 + n)}.corp.lab", expect=(f"10.0.0.{n + 1}",))
        for n in range(50)
        if chr(65 + n).isalnum()
    ]
    before = open_descriptors()
    results = asyncio.run(turned(script, questions, seconds=2.0))

    assert {result.outcome for result in results} == {Outcome.OK}, results
    assert all(set(result.phases) == {"answer"} for result in results)
    assert statistics.median(result.phases["answer"] for result in results) < 0.02  # the first tick is later
    assert open_descriptors() == before


def test_a_question_alone_is_not_timed_by_the_tick() -> None:
    """The kernel stamps arrivals although no other socket asks it to, however late the wheel turns."""

    async def scenario() -> list[Result]:
        results: list[Result] = []
        async with name_server(lambda q: [answer(q, ADDRESS)]) as port, dns.open(Kit()) as runner:
            made = dns.Settings(target=f"127.0.0.1:{port}", name="a")
            for _ in range(3):
                await asyncio.sleep(0.05)
                assert runner.launch(made, CLOCK.boot() + 2, results.append)
                runner.flush()
                await asyncio.sleep(0.2)
                assert runner.harvest() is None
        return results

    assert all(0 < result.phases["answer"] < 0.15 for result in asyncio.run(scenario()))


def test_silence_on_the_wheel_ends_at_the_deadline() -> None:
    """Neither silence, a closed port nor an exhausted deadline is forgotten."""
    with socket.socket(type=socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"127.0.0.1:{unused.getsockname()[1]}"
    questions = [dns.Settings(target=target, name="a") for target in (SCRIPTED, closed)]

    silent, refused = asyncio.run(turned(lambda q: [], questions, seconds=0.1))[::-1]
    late, _ = asyncio.run(turned(lambda q: [], questions, seconds=-1.0))

    assert (silent.stage, silent.fault, silent.answered) == (Stage.CONNECT, "timeout", False)
    assert (refused.stage, refused.fault) == (Stage.CONNECT, "refused")
    assert (late.outcome, late.fault) == (Outcome.UNKNOWN, "no-time")


def test_what_is_no_datagram_to_a_known_address_is_left_to_an_attempt() -> None:
    """TCP, and a server whose name must be asked for."""

    async def scenario() -> list[bool]:
        async with dns.open(Kit(Names({"ns": "127.0.0.1"}))) as runner:
            over_tcp = dns.Settings(target="127.0.0.1", name="a", protocol="tcp")
            by_name = dns.Settings(target="ns", name="a")
            return [runner.launch(one, CLOCK.boot() + 1, lambda _: None) for one in (over_tcp, by_name)]

    assert asyncio.run(scenario()) == [False, False]


def test_a_changed_answer_is_degraded_until_it_settles() -> None:
    """Of two addresses in turn, order is no change; another address is one until it came twice."""
    replies = [(1, 2), (2, 1), (3, 2), (1, 2), (3, 2), (2, 3)]

    async def scenario() -> list[Result]:
        turn = iter(replies)
        script: Script = lambda q: [answer(q, *(bytes([10, 0, 0, n]) for n in next(turn)))]  # noqa: E731
        async with name_server(script) as port, dns.open(Kit()) as runner:
            made = dns.Settings(target=f"127.0.0.1:{port}", name="erp.corp.lab", settle=2)
            return [await runner.attempt(made, CLOCK.boot() + 1) for _ in replies]

    results = asyncio.run(scenario())

    degraded = (Outcome.DEGRADED, "answer-changed")
    good = (Outcome.OK, None)
    assert [(one.outcome, one.fault) for one in results] == [good, good, degraded, good, degraded, good]
    assert results[2].detail == "erp.corp.lab A: 10.0.0.2, 10.0.0.3; was 10.0.0.1, 10.0.0.2"


def test_a_change_that_is_expected_is_none() -> None:
    """What the chain file names has been accepted."""

    async def scenario() -> list[Result]:
        turn = iter((0, 1))
        script: Script = lambda q: [answer(q, bytes([10, 0, 0, next(turn)]))]  # noqa: E731
        async with name_server(script) as port, dns.open(Kit()) as runner:
            made = dns.Settings(target=f"127.0.0.1:{port}", name="a", settle=9, expect=("10.0.0.0", "10.0.0.1"))
            return [await runner.attempt(made, CLOCK.boot() + 1) for _ in range(2)]

    assert [one.outcome for one in asyncio.run(scenario())] == [Outcome.OK, Outcome.OK]


def test_the_question_is_asked_as_set() -> None:
    """EDNS and the flag AD stand in the query; the answer's flags count."""
    asked: list[bytes] = []

    async def scenario() -> Result:
        async with name_server(lambda q: [answer(q, ADDRESS, flags=0x85A0)], asked) as port:
            made = dns.Settings(
                target=f"127.0.0.1:{port}", name="a", edns_bytes=1232, authenticated=True, authoritative=True
            )
            return await ask(dns, made)

    assert asyncio.run(scenario()).outcome is Outcome.OK
    assert asked[0].endswith(bytes.fromhex("00 0029 04d0 00000000 0000"))
    assert asked[0][3] & 0x20


def framed(*messages: bytes) -> bytes:
    """Return messages with their TCP length."""
    return b"".join(len(one).to_bytes(2) + one for one in messages)


def replying(make: Script, *, step: int = 65535, hold: bool = False) -> Handler:
    """Return a TCP server that sends what `make` returns, in pieces, and then closes or goes silent."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        query = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
        data = b"".join(make(query))
        for start in range(0, len(data), step):
            writer.write(data[start : start + step])
            await writer.drain()
            await asyncio.sleep(0)
        if hold:
            await asyncio.sleep(60)

    return handler


TCP: dict[str, tuple[Handler, tuple[str | None, bool]]] = {
    "right": (replying(lambda q: [framed(answer(q, ADDRESS))]), (None, False)),
    "byte by byte": (replying(lambda q: [framed(answer(q, ADDRESS))], step=1, hold=True), (None, False)),
    "large": (replying(lambda q: [framed(answer(q, *[ADDRESS] * 3000))]), (None, False)),
    "silent": (replying(lambda q: [], hold=True), ("timeout", False)),
    "part, then silence": (replying(lambda q: [framed(answer(q, ADDRESS))[:20]], hold=True), ("timeout", False)),
    "closes": (replying(lambda q: []), ("closed", False)),
    "part, then close": (replying(lambda q: [framed(answer(q, ADDRESS))[:20]]), ("closed", True)),
    "another id": (replying(lambda q: [framed(answer(q, ADDRESS, shift=1))]), ("malformed", True)),
    "junk": (replying(lambda q: [framed(q[:2] + b"junk")]), ("malformed", True)),
    "nxdomain": (replying(lambda q: [framed(answer(q, rcode=3))]), ("rcode-nxdomain", True)),
}


@pytest.mark.parametrize("case", TCP)
def test_over_tcp(case: str) -> None:
    """After the connect every failure is at the stage `answer`."""
    handler, (fault, answered) = TCP[case]

    async def scenario() -> Result:
        async with serve(handler) as port:
            made = dns.Settings(target=f"127.0.0.1:{port}", name="erp.corp.lab", protocol="tcp")
            return await ask(dns, made, within=0.5)

    result = asyncio.run(scenario())

    assert (result.fault, result.answered) == (fault, answered), result
    assert result.stage is (None if fault is None else Stage.ANSWER)
    assert "connect" in result.phases


def test_fifty_at_once_and_no_socket_left() -> None:
    """Concurrent questions find their own answers; cancelled ones leave nothing open."""

    async def scenario() -> None:
        async with (
            name_server(lambda q: [answer(q, ADDRESS)]) as port,
            name_server(lambda q: []) as silent,
            dns.open(Kit()) as runner,
        ):
            before = open_descriptors()
            made = [dns.Settings(target=f"127.0.0.1:{port}", name=f"host-{n}.corp.lab") for n in range(50)]
            results = await asyncio.gather(*(runner.attempt(one, CLOCK.boot() + 5) for one in made))
            assert {result.outcome for result in results} == {Outcome.OK}
            waiting = dns.Settings(target=f"127.0.0.1:{silent}", name="a")
            hanging = [asyncio.create_task(runner.attempt(waiting, CLOCK.boot() + 60)) for _ in range(10)]
            await asyncio.sleep(0.05)
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)
            assert all(task.cancelled() for task in hanging)
            assert open_descriptors() == before

    asyncio.run(scenario())


@pytest.fixture(scope="module")
def dnsmasq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Yield the port of a real name server with records of every type."""
    program = shutil.which("dnsmasq") or shutil.which("/usr/sbin/dnsmasq")
    if program is None:
        pytest.skip("dnsmasq is not installed")
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        port = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", port))
    log = tmp_path_factory.mktemp("dnsmasq") / "log"
    options = (
        f"--port={port}",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--keep-in-foreground",
        f"--log-facility={log}",
        "--pid-file",
        "--user=",
        "--local=/corp.lab/",
        "--host-record=erp.corp.lab,10.20.0.20,fd00::20,60",
        "--cname=www.corp.lab,erp.corp.lab",
        "--srv-host=_ldap._tcp.corp.lab,dc1.corp.lab,389,0,100",
        "--txt-record=corp.lab,v=demo",
        "--auth-server=ns.corp.lab",
        "--auth-zone=zone.lab",
        "--mx-host=corp.lab,mail.corp.lab,10",
        "--ptr-record=20.0.20.10.in-addr.arpa,erp.corp.lab",
    )
    server = subprocess.Popen([program, *options])
    try:
        _wait_for(port, server, log)
        yield port
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = CLOCK.boot() + 10
    while CLOCK.boot() < deadline:
        assert server.poll() is None, log.read_text() if log.exists() else "dnsmasq ended"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
            return
    raise AssertionError("dnsmasq did not start")


RECORDS = [
    ("erp.corp.lab", "A", "10.20.0.20"),
    ("erp.corp.lab", "AAAA", "fd00::20"),
    ("www.corp.lab", "A", "10.20.0.20"),
    ("www.corp.lab", "CNAME", "erp.corp.lab"),
    ("_ldap._tcp.corp.lab", "SRV", "0 100 389 dc1.corp.lab"),
    ("corp.lab", "TXT", "v=demo"),
    ("corp.lab", "MX", "10 mail.corp.lab"),
    ("20.0.20.10.in-addr.arpa", "PTR", "erp.corp.lab"),
]


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
@pytest.mark.parametrize(("name", "record", "expect"), RECORDS)
def test_a_real_server(dnsmasq: int, protocol: str, name: str, record: str, expect: str) -> None:
    """Dnsmasq's answers are read as it means them, over both transports."""
    made = dns.Settings(
        target=f"127.0.0.1:{dnsmasq}",
        name=name,
        record=record,  # type: ignore[arg-type] # one of the table's
        expect=(expect,),
        protocol=protocol,  # type: ignore[arg-type] # one of the table's
    )

    result = attempt(dns, made)

    assert result.outcome is Outcome.OK, result


def test_a_real_server_has_authority(dnsmasq: int) -> None:
    """The zone that dnsmasq serves is its own."""
    made = dns.Settings(target=f"127.0.0.1:{dnsmasq}", name="zone.lab", record="SOA", authoritative=True)

    assert attempt(dns, made).outcome is Outcome.OK


def test_a_real_server_says_no(dnsmasq: int) -> None:
    """A name that does not exist in a local zone is NXDOMAIN."""
    result = attempt(dns, dns.Settings(target=f"127.0.0.1:{dnsmasq}", name="none.corp.lab"))

    assert (result.stage, result.fault, result.answered) == (Stage.ANSWER, "rcode-nxdomain", True)
