"""What measuring does when the host changes: the self-check at once, dark targets unknown, routes looked at now."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest

from agent.daemon.runners import Runners, SharedKit
from agent.observation import SELF
from probes.kit.clock import SystemClock
from probes.kit.resolver import SystemResolver
from probes.kit.result import Outcome, Stage, failed
from probes.kit.spec import Flow
from probes.strongswan import StrongswanRunner
from tests.agent.daemon.world import FakeLog, World, make_probe

SILENT = failed(Stage.CONNECT, "timeout", seconds=1.0)


def test_a_lost_link_is_seen_at_once() -> None:
    """The self-check fails when the change is told, in the middle of a round and once in it."""
    world = World(make_probe("gw"))

    async def scene() -> None:
        await asyncio.sleep(1.55)
        world.reader.trouble = {"links": ()}
        world.measurement.look_at_self()
        world.measurement.look_at_self()

    world.play(scene)
    assert [o.fault for o in world.diagnosis.of(SELF)] == [None, None, "no-link"]
    assert world.measurement.counts.self_failures == 1
    world.measurement.look_at_self()
    assert len(world.diagnosis.of(SELF)) == 3


def test_a_port_without_carrier_blinds_its_own_probes() -> None:
    """What is reached by a dark port is unknown, also when it was dark for a moment; the others' failures count."""
    world = World(make_probe("gw"), make_probe("erp"))
    world.runner.answers |= {"gw": SILENT, "erp": SILENT}
    world.runner.seconds = 0.95

    async def scene() -> None:
        await asyncio.sleep(2.05)
        world.reader.trouble = {"links": ("eth0",), "used": ("eth0", "eth1"), "dark": frozenset({"gw.example"})}
        world.measurement.look_at_self()
        world.reader.trouble = {}
        await asyncio.sleep(3.0)

    world.play(scene)
    outcomes = {name: [o.outcome for o in world.diagnosis.of(name)] for name in ("gw", "erp")}
    assert set(outcomes["erp"]) == {Outcome.FAILED}
    assert Outcome.UNKNOWN in outcomes["gw"]
    assert outcomes["gw"][0] is outcomes["gw"][-1] is Outcome.FAILED
    blinded = next(o for o in world.diagnosis.of("gw") if o.outcome is Outcome.UNKNOWN)
    assert (blinded.fault, blinded.detail) == ("self", "this host's own interface to the target had no carrier")


@pytest.mark.parametrize(("host", "more"), [("/run/charon.vici", 1), ("/run/other.vici", 0), ("", 0)])
def test_what_asks_a_gateway_that_told_of_a_change_runs_now(host: str, more: int) -> None:
    """Probes of that socket run beside their schedule, those of another one do not."""
    flow = Flow(host="/run/charon.vici", protocol="unix", function="vici")
    world = World(msgspec.structs.replace(make_probe("tunnel", interval=100.0), flow=flow))

    async def scene() -> None:
        await asyncio.sleep(2.0)
        world.measurement.run_now(host=host)
        await asyncio.sleep(1.0)

    world.play(scene)
    assert len(world.runner.attempts) == 1 + more


@pytest.mark.parametrize(("protocol", "more"), [("netlink", 1), ("icmp", 0)])
def test_what_watches_routes_runs_now(protocol: str, more: int) -> None:
    """Probes of the kernel's own word run beside their schedule; others keep to it."""
    flow = Flow(host="10.0.0.1", protocol=protocol, function="route")
    probe = make_probe("way", interval=100.0)
    world = World(msgspec.structs.replace(probe, flow=flow))

    async def scene() -> None:
        await asyncio.sleep(2.0)
        world.measurement.run_now(protocol="netlink")
        await asyncio.sleep(1.0)

    world.play(scene)
    assert len(world.runner.attempts) == 1 + more
    world.measurement.run_now(protocol="netlink")


@pytest.mark.parametrize(("kind", "more"), [("fake", 1), ("ike", 0)])
def test_what_waited_for_its_type_runs_when_it_opens(kind: str, more: int) -> None:
    """Probes of a type that opened late are tried again at once, others keep to their schedule."""
    world = World(make_probe("gw", interval=100.0))

    async def scene() -> None:
        await asyncio.sleep(2.0)
        world.measurement.run_now(kind=kind)
        await asyncio.sleep(1.0)

    world.play(scene)
    assert len(world.runner.attempts) == 1 + more


@pytest.mark.parametrize(("late", "told"), [(True, ["strongswan"]), (False, [])])
def test_a_type_that_opens_late_is_told(late: bool, told: list[str]) -> None:
    """Whoever stopped waiting for a type hears when it is open; whoever waited knows."""
    opened: list[str] = []

    async def scene() -> None:
        begun = asyncio.Event()

        async def held(work: Coroutine[Any, Any, None]) -> None:
            await begun.wait()
            await work

        async with asyncio.TaskGroup() as group:
            kit = SharedKit(SystemClock(), SystemResolver(SystemClock()))
            runners = Runners(kit, lambda work: group.create_task(held(work)), FakeLog(), opened=opened.append)
            if not late:
                begun.set()
            await runners.configure(["strongswan"], 0.0 if late else 20.0)
            begun.set()
            async with asyncio.timeout(20.0):
                while runners.get("strongswan")[0] is None:  # noqa: ASYNC110 - nothing else tells in both cases
                    await asyncio.sleep(0.01)
            runners.stop()

    asyncio.run(scene())
    assert opened == told


def test_a_runner_that_hears_of_changes_is_listened_to() -> None:
    """What its source tells reaches the agent with the host whose probes are worth an attempt."""
    changed: list[str] = []

    async def scene() -> None:
        async with asyncio.TaskGroup() as group:
            kit = SharedKit(SystemClock(), SystemResolver(SystemClock()))
            runners = Runners(kit, group.create_task, FakeLog(), changed.append)
            await runners.configure(["strongswan"], 5.0)
            runner, _ = runners.get("strongswan")
            assert isinstance(runner, StrongswanRunner)
            runner._tell("/run/charon.vici")
            runners.stop()

    asyncio.run(scene())
    assert changed == ["/run/charon.vici"]
