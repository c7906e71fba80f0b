"""TCP connects to real sockets on loopback."""

import asyncio
import resource
import socket
import struct
from functools import partial
from pathlib import Path

import pytest

from probes import tcp
from probes.kit.result import Outcome, Result, Stage
from probes.kit.spec import BatchRunner
from tests.peers.probing import CLOCK, Kit, Names, ask, attempt, open_descriptors, serve

pytestmark = pytest.mark.peer


async def _hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def test_a_listening_port_passes() -> None:
    """The connect phase is the kernel's own round trip."""

    async def scenario() -> None:
        async with serve(_hold) as port:
            result = await ask(tcp, tcp.Settings(target=f"127.0.0.1:{port}"))
        assert result.outcome is Outcome.OK
        assert set(result.phases) == {"connect"}
        assert result.seconds is not None
        assert result.seconds == result.phases["connect"] == result.values["tcp_handshake_seconds"]
        assert 0 < result.seconds < 0.1
        assert result.values["tcp_syn_retransmits"] == 0

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


async def harvested(runner: BatchRunner, *settings: tcp.Settings, within: float = 5.0) -> list[Result]:
    """Launch an attempt for each and harvest until all have ended."""
    results: list[Result] = []
    for one in settings:
        assert runner.launch(one, CLOCK.boot() + within, results.append)
    runner.flush()
    for _ in range(5000):
        if runner.harvest() is None:
            break
        await asyncio.sleep(0.001)
    return results


def test_a_batch_tells_what_an_attempt_tells() -> None:
    """Launched attempts end with the same outcomes, each told once, and leave nothing open."""

    async def scenario() -> None:
        with socket.socket() as unused, socket.socket() as silent:
            unused.bind(("127.0.0.1", 0))
            silent.bind(("127.0.0.1", 0))
            silent.listen(0)
            full = silent.getsockname()
            waiting = [socket.socket() for _ in range(3)]
            for sock in waiting:
                sock.setblocking(False)
                sock.connect_ex(full)
            async with serve(_hold) as port, tcp.open(Kit()) as runner:
                assert isinstance(runner, BatchRunner)
                before = open_descriptors()
                targets = [tcp.Settings(target=f"127.0.0.1:{port}")] * 50
                passed = await harvested(runner, *targets)
                refused = await harvested(runner, tcp.Settings(target=f"127.0.0.1:{unused.getsockname()[1]}"))
                filtered = await harvested(runner, tcp.Settings(target=f"127.0.0.1:{full[1]}"), within=0.1)
                late = await harvested(runner, *targets[:1], within=-0.1)
                assert open_descriptors() <= before + 50  # the server's side closes in its own time
            for sock in waiting:
                sock.close()
        assert [result.outcome for result in passed] == [Outcome.OK] * 50
        assert all(result.seconds == result.values["tcp_handshake_seconds"] for result in passed)
        assert [(result.stage, result.fault) for result in refused] == [(Stage.CONNECT, "refused")]
        assert [(result.stage, result.fault) for result in filtered] == [(Stage.CONNECT, "timeout")]
        assert [(result.outcome, result.fault) for result in late] == [(Outcome.UNKNOWN, "no-time")]

    asyncio.run(scenario())


class Kept(Names):
    """A resolver that keeps the address of every name in its table."""

    def known(self, name: str, family: int) -> str | None:
        """Return the address of `name`, None when it must be asked for."""
        return self._addresses.get(name)


def test_a_batch_takes_names_that_are_known() -> None:
    """A name is connected to in a batch while its address holds; one that must be asked for is left to `attempt`."""

    async def scenario() -> None:
        async with serve(_hold) as port, tcp.open(Kit(Kept({"erp": "127.0.0.1"}))) as runner:
            told: list[Result] = []
            assert not runner.launch(tcp.Settings(target=f"crm:{port}"), CLOCK.boot() + 1, told.append)
            assert runner.harvest() is None
            assert told == []
            found = await harvested(runner, tcp.Settings(target=f"erp:{port}"))
        assert set(found[0].phases) == {"connect"}

    asyncio.run(scenario())


class Leaping:
    """A clock that goes ahead at once, as after a stall."""

    ahead = 0.0

    def boot(self) -> float:
        """Return boot time and what it is ahead."""
        return CLOCK.boot() + self.ahead

    def wall(self) -> float:
        """Return wall time."""
        return CLOCK.wall()


def test_a_late_harvest_takes_the_kernels_word() -> None:
    """Long past the deadline, a handshake that the kernel made in time has passed, and only silence is a timeout."""

    async def scenario() -> None:
        results: dict[str, Result] = {}
        kit = Kit()
        clock = Leaping()
        kit.clock = clock
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen(0)
            with socket.create_connection(silent.getsockname()):
                async with serve(_hold) as port, tcp.open(kit) as runner:
                    for name, at in {"open": port, "full": silent.getsockname()[1]}.items():
                        settings = tcp.Settings(target=f"127.0.0.1:{at}")
                        runner.launch(settings, clock.boot() + 0.5, partial(results.__setitem__, name))
                    runner.flush()
                    clock.ahead = 10.0
                    assert runner.harvest() is None
        assert (results["open"].outcome, results["full"].fault) == (Outcome.OK, "timeout")
        assert results["open"].seconds is not None
        assert results["open"].seconds < 0.5

    asyncio.run(scenario())


def test_closing_gives_up_what_is_under_way() -> None:
    """A type that is closed in the middle tells nobody and leaves no descriptor."""

    async def scenario() -> None:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen(0)
            before, told = open_descriptors(), list[Result]()
            async with tcp.open(Kit()) as runner:
                for _ in range(5):
                    runner.launch(
                        tcp.Settings(target=f"127.0.0.1:{silent.getsockname()[1]}"), CLOCK.boot() + 9, told.append
                    )
            assert open_descriptors() == before
            assert told == []

    asyncio.run(scenario())


def in_time_wait(port: int) -> list[str]:
    """Return the lines of /proc/net/tcp with this port on either side in state TIME_WAIT (6)."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [" ".join(line) for line in lines if line[3] == "06" and f":{port:04X}" in line[1] + line[2]]


@pytest.mark.parametrize("batch", [False, True])
def test_a_server_that_reads_sees_an_ordinary_end(batch: bool) -> None:
    """No reset shows in the server's read, and neither side keeps the connection in TIME_WAIT."""

    async def scenario() -> None:
        read: asyncio.Queue[bytes | Exception] = asyncio.Queue()

        async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                read.put_nowait(await reader.read())
            except ConnectionError as error:
                read.put_nowait(error)

        async with serve(note) as port, tcp.open(Kit()) as runner:
            settings = tcp.Settings(target=f"127.0.0.1:{port}")
            if batch:
                await harvested(runner, settings)
            else:
                await runner.attempt(settings, CLOCK.boot() + 5)
            assert await read.get() == b""
            assert not in_time_wait(port)

    asyncio.run(scenario())


@pytest.mark.parametrize("batch", [False, True])
def test_what_happens_after_the_handshake_is_not_the_connect(batch: bool) -> None:
    """A listener that drops the connection at once was connected to, whether we look before or after."""

    async def scenario() -> None:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            server.settimeout(5)
            settings = tcp.Settings(target=f"127.0.0.1:{server.getsockname()[1]}")
            async with tcp.open(Kit()) as runner:
                results: list[Result] = []
                if batch:
                    runner.launch(settings, CLOCK.boot() + 5, results.append)
                else:
                    task = asyncio.create_task(runner.attempt(settings, CLOCK.boot() + 5))
                    await asyncio.sleep(0)
                accepted, _ = server.accept()
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 0))
                accepted.close()
                if batch:
                    runner.harvest()
                else:
                    results.append(await task)
        assert [result.outcome for result in results] == [Outcome.OK]
        assert set(results[0].phases) == {"connect"}

    asyncio.run(scenario())


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
