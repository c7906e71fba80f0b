"""TCP connects to real sockets on loopback."""

import asyncio
import resource
import socket

import pytest

from probes import tcp
from probes.kit.result import Outcome, Stage
from tests.peers.probing import CLOCK, Kit, Names, ask, attempt, open_descriptors, serve

pytestmark = pytest.mark.peer


async def _hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def test_a_listening_port_passes() -> None:
    """The connect phase and the kernel's own round trip stand beside each other."""

    async def scenario() -> None:
        async with serve(_hold) as port:
            result = await ask(tcp, tcp.Settings(target=f"127.0.0.1:{port}"))
        assert result.outcome is Outcome.OK
        assert set(result.phases) == {"connect"}
        assert result.seconds is not None
        assert 0 < result.phases["connect"] <= result.seconds
        assert 0 < result.values["tcp_handshake_seconds"] < 0.1
        assert result.values["tcp_retransmits"] == 0

    asyncio.run(scenario())


def test_ipv6() -> None:
    """A bracketed literal is probed over IPv6."""
    with socket.socket(socket.AF_INET6) as server:
        server.bind(("::1", 0))
        server.listen()

        result = attempt(tcp, tcp.Settings(target=f"[::1]:{server.getsockname()[1]}"))

    assert result.outcome is Outcome.OK


def test_a_closed_port_refuses() -> None:
    """A reset is `refused` at connect, and no phase is reported as reached."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))

        result = attempt(tcp, tcp.Settings(target=f"127.0.0.1:{unused.getsockname()[1]}"))

    assert (result.outcome, result.stage, result.fault) == (Outcome.FAILED, Stage.CONNECT, "refused")
    assert result.phases == {}


def test_a_full_backlog_is_silence() -> None:
    """A listener that takes nobody in is a timeout at its deadline."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port = server.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        result = attempt(tcp, tcp.Settings(target=f"127.0.0.1:{port}"), within=0.2)
        for sock in waiting:
            sock.close()

    assert (result.stage, result.fault) == (Stage.CONNECT, "timeout")
    assert result.seconds is not None
    assert 0.2 <= result.seconds < 0.5


def test_names_go_through_the_resolver() -> None:
    """A name adds the resolve phase; one that does not resolve fails at resolve."""

    async def scenario() -> None:
        kit = Kit(Names({"erp": "127.0.0.1"}, {"gone": "resolve-timeout", "bare": "resolver-missing"}))
        async with serve(_hold) as port:
            found = await ask(tcp, tcp.Settings(target=f"erp:{port}"), kit=kit)
            gone = await ask(tcp, tcp.Settings(target=f"gone:{port}"), kit=kit)
            bare = await ask(tcp, tcp.Settings(target=f"bare:{port}"), kit=kit)
        assert set(found.phases) == {"resolve", "connect"}
        assert (gone.outcome, gone.stage, gone.fault) == (Outcome.FAILED, Stage.RESOLVE, "resolve-timeout")
        assert (bare.outcome, bare.stage, bare.fault) == (Outcome.UNKNOWN, None, "resolver-missing")

    asyncio.run(scenario())


def test_a_deadline_in_the_past_is_our_own_fault() -> None:
    """An attempt that starts too late says nothing of the network."""
    result = attempt(tcp, tcp.Settings(target="127.0.0.1:1"), within=-0.1)

    assert (result.outcome, result.fault) == (Outcome.UNKNOWN, "no-time")


def test_without_descriptors_it_cannot_look() -> None:
    """EMFILE is unknown, not a failure of the target."""

    async def scenario() -> None:
        async with tcp.open(Kit()) as runner:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            try:
                result = await runner.attempt(tcp.Settings(target="127.0.0.1:1"), CLOCK.boot() + 1)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (result.outcome, result.fault) == (Outcome.UNKNOWN, "no-descriptors")

    asyncio.run(scenario())


def test_fifty_at_once_and_no_socket_left() -> None:
    """Concurrent attempts all pass; passed, failed and cancelled ones leave nothing open."""

    async def scenario() -> None:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen(0)
            blocked = f"127.0.0.1:{silent.getsockname()[1]}"
            async with serve(_hold) as port, tcp.open(Kit()) as runner:
                before = open_descriptors()
                settings = tcp.Settings(target=f"127.0.0.1:{port}")
                results = await asyncio.gather(*(runner.attempt(settings, CLOCK.boot() + 5) for _ in range(50)))
                assert {result.outcome for result in results} == {Outcome.OK}
                hanging = [
                    asyncio.create_task(runner.attempt(tcp.Settings(target=blocked), CLOCK.boot() + 60))
                    for _ in range(10)
                ]
                await asyncio.sleep(0.05)
                for task in hanging:
                    task.cancel()
                ended = await asyncio.gather(*hanging, return_exceptions=True)
                assert any(isinstance(one, asyncio.CancelledError) for one in ended)
                for _ in range(100):
                    if open_descriptors() <= before:
                        break
                    await asyncio.sleep(0.02)  # the server's side closes in its own time
                assert open_descriptors() <= before

    asyncio.run(scenario())
