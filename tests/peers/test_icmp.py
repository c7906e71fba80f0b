"""ICMP echo with the real kernel on loopback."""

import asyncio
import resource

import pytest

from probes import icmp
from probes.kit.result import Outcome, Stage
from probes.kit.spec import Duration
from tests.peers.probing import CLOCK, Kit, Names, ask, attempt, open_descriptors

pytestmark = pytest.mark.peer


@pytest.fixture(autouse=True)
def _allowed() -> None:
    if attempt(icmp, icmp.Settings(target="127.0.0.1")).fault == "no-permission":
        pytest.skip("no ICMP socket for this user")


@pytest.mark.parametrize("target", ["127.0.0.1", "127.1.2.3", "::1"])
@pytest.mark.parametrize("size", [0, 3, 56, 1400])
@pytest.mark.parametrize("fresh", [False, True])
def test_an_address_answers(target: str, size: int, fresh: bool) -> None:
    """Both families, any size, shared and fresh sockets: a round trip and the size that crossed."""

    async def scenario() -> None:
        async with icmp.open(Kit()) as runner:
            settings = icmp.Settings(target=target, size=size)
            result = await runner.attempt(settings, CLOCK.boot() + 2, fresh=fresh)
        assert result.outcome is Outcome.OK
        assert set(result.phases) == {"answer"}
        assert result.seconds is not None
        assert 0 < result.seconds < 1
        assert result.packet_bytes == size + 8 + (40 if ":" in target else 20)

    asyncio.run(scenario())


def test_names_go_through_the_resolver() -> None:
    """A name adds the resolve phase."""

    async def scenario() -> None:
        kit = Kit(Names({"gw": "127.0.0.1"}))
        found = await ask(icmp, icmp.Settings(target="gw"), kit=kit)
        lost = await ask(icmp, icmp.Settings(target="lost"), kit=kit)
        assert set(found.phases) == {"resolve", "answer"}
        assert (lost.outcome, lost.stage) == (Outcome.FAILED, Stage.RESOLVE)

    asyncio.run(scenario())


def test_fifty_at_once_on_one_socket() -> None:
    """Shared and fresh attempts of two runners find their own replies, and nothing stays open."""

    async def scenario() -> None:
        before = open_descriptors()
        async with icmp.open(Kit()) as one, icmp.open(Kit()) as other:
            attempts = [
                runner.attempt(icmp.Settings(target=f"127.0.0.{n + 1}"), CLOCK.boot() + 5, fresh=n % 5 == 0)
                for n in range(50)
                for runner in (one, other)
            ]
            results = await asyncio.gather(*attempts)
            assert {result.outcome for result in results} == {Outcome.OK}
            assert open_descriptors() == before + 2
        assert open_descriptors() == before

    asyncio.run(scenario())


def test_a_cancelled_attempt_leaves_nothing() -> None:
    """Cancelled requests are forgotten, shared or fresh, and the runner goes on."""

    async def scenario() -> None:
        async with icmp.open(Kit()) as runner:
            await runner.attempt(icmp.Settings(target="127.0.0.1"), CLOCK.boot() + 2)
            before = open_descriptors()
            for fresh in (False, True):
                burst = icmp.Settings(target="127.0.0.1", count=2, gap=Duration(30))
                task = asyncio.create_task(runner.attempt(burst, CLOCK.boot() + 60, fresh=fresh))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert task.cancelled()
            assert open_descriptors() == before
            again = await runner.attempt(icmp.Settings(target="127.0.0.1"), CLOCK.boot() + 2)
            assert again.outcome is Outcome.OK

    asyncio.run(scenario())


def test_a_deadline_in_the_past_is_our_own_fault() -> None:
    """An attempt that starts too late says nothing of the network."""
    result = attempt(icmp, icmp.Settings(target="127.0.0.1"), within=-0.1)

    assert (result.outcome, result.fault) == (Outcome.UNKNOWN, "no-time")


def test_without_descriptors_it_cannot_look() -> None:
    """EMFILE is unknown, and the next attempt opens the socket after all."""

    async def scenario() -> None:
        async with icmp.open(Kit()) as runner:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            try:
                blind = await runner.attempt(icmp.Settings(target="127.0.0.1"), CLOCK.boot() + 1)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert (blind.outcome, blind.fault) == (Outcome.UNKNOWN, "no-descriptors")
            seeing = await runner.attempt(icmp.Settings(target="127.0.0.1"), CLOCK.boot() + 1)
            assert seeing.outcome is Outcome.OK

    asyncio.run(scenario())
