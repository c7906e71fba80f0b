"""ICMP echo with the real kernel on loopback."""

import asyncio
import resource
import socket
import struct
import time
from functools import partial

import pytest

from probes import icmp
from probes.kit.echo import checksum
from probes.kit.echo_aim import aim_at
from probes.kit.echo_burst import Burst, History, Plan
from probes.kit.echo_port import EchoPort
from probes.kit.result import Outcome, Result, Stage
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


def in_a_batch(runner: icmp.EchoRunner, *probes: icmp.Settings, within: float = 2.0) -> list[Result]:
    """Launch attempts together and turn the wheel until the last has ended; return the results as they came."""
    results: list[Result] = []
    for settings in probes:
        assert runner.launch(settings, CLOCK.boot() + within, results.append)
    at: float | None = 0.0
    while at is not None:
        runner.flush()
        time.sleep(0.001)
        at = runner.harvest()
    return results


def test_a_batch_is_one_socket_for_each_family() -> None:
    """Hundreds of targets, bursts among them, each answered and stamped by the kernel on both ends."""
    before = open_descriptors()
    runner = icmp.EchoRunner(Kit())
    probes = [icmp.Settings(target=f"127.0.{n // 250}.{n % 250 + 1}", size=n) for n in range(300)]
    probes += [icmp.Settings(target="::1", size=n) for n in range(20)]
    probes += [icmp.Settings(target=target, count=3, gap=Duration(0.01)) for target in ("127.0.0.1", "::1")]

    results = in_a_batch(runner, *probes)

    assert len(results) == len(probes)
    assert {result.outcome for result in results} == {Outcome.OK}
    assert {result.values["icmp_kernel_stamps"] for result in results} == {1}
    assert {result.values.get("icmp_loss_ratio", 0) for result in results} == {0}
    assert open_descriptors() == before + 2
    runner.close()
    assert open_descriptors() == before


def test_a_packet_that_cannot_leave_spoils_no_other_of_its_batch() -> None:
    """Between others in one system call: each of those is answered, and has the stamps of its own packet."""
    forbidden = "255.255.255.255"  # the kernel wants SO_BROADCAST for it
    targets = ["127.0.1.1", "127.0.1.2", forbidden, "127.0.1.3", forbidden, forbidden, "127.0.1.4"]
    port = EchoPort(4, CLOCK)
    results: dict[int, Result] = {}
    now = CLOCK.boot()
    for place, target in enumerate(targets):
        done = partial(results.__setitem__, place)
        port.add(Burst(Plan(), aim_at(target, 4), History(), done, now, now + 2, 1, {}))
    port.flush()
    while len(results) < len(targets):
        time.sleep(0.001)
        port.harvest()
    port.close()

    for place, target in enumerate(targets):
        result = results[place]
        if target == forbidden:
            assert (result.outcome, result.values) == (Outcome.UNKNOWN, {})
        else:
            assert (result.outcome, result.values["icmp_kernel_stamps"]) == (Outcome.OK, 1)


def test_without_stamps_of_what_was_sent_packets_leave_one_by_one() -> None:
    """A way out that stamps nothing is noticed by the first batch, whose durations are loose; the next are closer."""
    runner = icmp.EchoRunner(Kit())
    in_a_batch(runner, icmp.Settings(target="127.0.0.1"))
    port = runner._steady[4, False]
    assert port._together
    port._table.stamps = Forgetful()

    first = in_a_batch(runner, icmp.Settings(target="127.0.0.1"), icmp.Settings(target="127.0.0.2"))
    then = in_a_batch(runner, icmp.Settings(target="127.0.0.1"), icmp.Settings(target="127.0.0.2"))

    assert ["no usable kernel stamps" in result.detail for result in first] == [True, True]
    assert ["stands in for the kernel's" in result.detail for result in then] == [True, True]
    assert not port._together
    runner.close()


class Forgetful(dict[int, int]):
    """Keeps nothing."""

    def __setitem__(self, key: int, value: int) -> None:
        """Take no notice."""


def test_a_batch_turns_only_when_there_is_something_to_do() -> None:
    """Nothing under way needs no turn; a burst asks for its next packet."""
    runner = icmp.EchoRunner(Kit())
    assert (runner.harvest(), runner.flush(), runner.harvest()) == (None, None, None)

    now = CLOCK.boot()
    results: list[Result] = []
    runner.launch(icmp.Settings(target="127.0.0.1", count=2, gap=Duration(0.3)), now + 1, results.append)
    due = runner.flush()

    assert due == pytest.approx(now + 0.3, abs=0.2)
    assert runner.harvest() == due
    runner.close()
    assert results == []


def test_a_batch_knows_names_that_are_known() -> None:
    """An address that holds goes into the batch, and `resolve` is not entered; one that must be asked for does not."""
    kit = Kit()
    runner = icmp.EchoRunner(kit)
    assert not runner.launch(icmp.Settings(target="gw"), CLOCK.boot() + 1, print)

    class Known(Names):
        def known(self, name: str, family: int) -> str | None:
            return {4: "127.0.0.1", 6: "::1"}[family]

    kit.resolver = Known()
    results = in_a_batch(runner, icmp.Settings(target="gw"), icmp.Settings(target="gw", family=6))

    assert [set(result.phases) for result in results] == [{"answer"}] * 2
    runner.close()


def test_a_batch_without_descriptors_cannot_look() -> None:
    """EMFILE is unknown, delivered at the next harvest, and the next launch opens the socket after all."""
    runner = icmp.EchoRunner(Kit())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        blind = in_a_batch(runner, icmp.Settings(target="127.0.0.1"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert [(result.outcome, result.fault) for result in blind] == [(Outcome.UNKNOWN, "no-descriptors")]
    assert in_a_batch(runner, icmp.Settings(target="127.0.0.1"))[0].outcome is Outcome.OK
    runner.close()


def test_a_deadline_in_the_past_sends_nothing() -> None:
    """In a batch too, an attempt that starts too late says nothing of the network."""
    runner = icmp.EchoRunner(Kit())
    results = in_a_batch(runner, icmp.Settings(target="127.0.0.1", count=3), within=-0.1)

    assert [(result.outcome, result.fault) for result in results] == [(Outcome.UNKNOWN, "no-time")]
    runner.close()


@pytest.mark.parametrize("drained", [True, False])
def test_a_flood_of_spoofed_replies_is_no_outage(drained: bool) -> None:
    """More replies than the socket holds: what was lost behind them is unknown, never failed; then it goes on."""
    runner = icmp.EchoRunner(Kit())
    in_a_batch(runner, icmp.Settings(target="127.0.0.1"))
    port = runner._steady[4, False]
    if not port._raw:
        pytest.skip("needs a raw socket, to know the identifier and to spoof")
    blank = struct.pack("!BBHHH", 0, 0, 0, port._ident, 1) + bytes(56)
    spoofed = blank[:2] + checksum(blank).to_bytes(2) + blank[4:]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as attacker:
        for _ in range(6_000):
            attacker.sendto(spoofed, ("127.0.0.1", 0))
    if drained:
        port._taken = -1.0  # as if the last look were long ago: the port then looks before it sends

    result = in_a_batch(runner, icmp.Settings(target="127.0.0.1"), within=0.1)[0]

    assert (result.outcome, result.fault) in {(Outcome.OK, None), (Outcome.UNKNOWN, "no-buffers")}
    assert drained or result.outcome is Outcome.UNKNOWN
    assert in_a_batch(runner, icmp.Settings(target="127.0.0.1"))[0].outcome is Outcome.OK
    runner.close()


def test_a_wall_clock_that_steps_makes_no_round_trip() -> None:
    """Stamps on both sides of a step are not compared: the result is loose and says so."""
    kit = Kit()
    runner = icmp.EchoRunner(kit)
    in_a_batch(runner, icmp.Settings(target="127.0.0.1"))
    wall = runner._steady[4, False]._wall
    results: list[Result] = []
    runner.launch(icmp.Settings(target="127.0.0.1", max_rtt=Duration(1e-9)), CLOCK.boot() + 1, results.append)
    runner.flush()
    wall.ahead -= 0.5  # as if the clock had been half a second back when the request was sent
    runner.harvest()

    assert results[0].outcome is Outcome.OK
    assert results[0].values["icmp_kernel_stamps"] == 0
    assert "no usable kernel stamps" in results[0].detail
    runner.close()
