"""The batch form of a runner, turned by the wheel: the same guarantee as for a task."""

import asyncio
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from agent.daemon.attempts import GRACE_SECONDS, IN_FLIGHT
from agent.model import Probe
from agent.observation import SELF
from probes.kit.result import Outcome, Stage, failed, ok
from tests.agent.daemon.world import EPOCH, FakeBatch, FakeRunner, World, make_probe

REFUSED = failed(Stage.CONNECT, "refused", seconds=0.01)


class BatchWorld(World):
    """A world in which the type `fake` has the batch form; `plain` has not."""

    def __init__(self, *probes: Probe, **more: Any) -> None:
        super().__init__(*probes, **more)
        self.batch = FakeBatch(self.clock)
        self.runners = {"fake": self.batch, "plain": self.runner}

    def faults(self, probe: str) -> set[str | None]:
        """Return the faults of a probe's observations."""
        return {o.fault for o in self.diagnosis.of(probe)}


def test_steady_attempts_are_turned_by_the_wheel() -> None:
    """Every interval one launch and one observation, no task, nothing through `attempt`."""
    world = BatchWorld(make_probe("gw"), make_probe("wan"))
    world.wait(10.5)
    assert not world.batch.attempts
    launched = Counter(name for _, name in world.batch.launched)
    for name in ("gw", "wan"):
        seen = world.diagnosis.of(name)
        assert {o.outcome for o in seen} == {Outcome.OK}
        assert launched[name] - len(seen) in (0, 1)
        times = [o.time for o in seen][1:]
        assert [b - a for a, b in pairwise(times)] == pytest.approx([1.0] * (len(times) - 1), abs=0.002)
    assert not world.instruments.bugs


def test_self_check_still_opens_every_round() -> None:
    """What a harvest brings comes after the self-check of its round, as a task's result does."""
    world = BatchWorld(make_probe("gw"), make_probe("erp", type="plain"))
    world.wait(10.5)
    seen: set[int] = set()
    for observation in world.diagnosis.observations:
        assert (observation.probe == SELF) == (observation.round not in seen)
        seen.add(observation.round)


def test_wheel_wakes_for_the_earliest_deadline() -> None:
    """An attempt without an answer is ended at its deadline, not at the next beat."""
    world = BatchWorld(make_probe("gw", timeout=0.333))
    world.batch.answers["gw"] = None
    world.wait(3.0)
    failures = [o for o in world.diagnosis.of("gw") if o.fault == "timeout"]
    assert len(failures) >= 2
    deadlines = [at + 0.333 for at, _ in world.batch.launched[:2]]
    for deadline in deadlines:
        assert min(abs(at - deadline) for at in world.batch.harvests) < 0.002
    assert world.instruments.bugs == []


def test_confirmation_goes_through_attempt() -> None:
    """A confirmation asks for a fresh socket, which the batch does not have."""
    world = BatchWorld(make_probe("erp"))
    world.batch.answers["erp"] = REFUSED
    world.wait(6.0)
    assert len(world.batch.confirmations()) == 5
    assert all(fresh for _, _, fresh in world.batch.attempts)


def test_declined_attempt_becomes_a_task() -> None:
    """What the batch cannot do (a name to resolve) is done by `attempt`, not fresh."""
    world = BatchWorld(make_probe("named"), make_probe("gw"))
    world.batch.declines = {"named"}
    world.wait(3.0)
    assert {(name, fresh) for _, name, fresh in world.batch.attempts} == {("named", False)}
    assert {o.outcome for o in world.diagnosis.of("named")} == {Outcome.OK}


@pytest.mark.parametrize("call", ["harvest", "launch", "flush"])
def test_batch_that_raises_is_unknown_and_hurts_nobody(call: str) -> None:
    """Our bug is counted for each attempt that it spoils and logged once; other types go on; so does it afterwards."""
    world = BatchWorld(make_probe("gw"), make_probe("wan"), make_probe("good", type="plain"))
    error = ZeroDivisionError("a bug")

    async def scene() -> None:
        await asyncio.sleep(2.05)
        world.batch.bugs[call] = error
        await asyncio.sleep(3.0)
        world.batch.bugs.clear()
        await asyncio.sleep(3.0)

    world.play(scene)
    for name in ("gw", "wan"):
        seen = world.diagnosis.of(name)
        assert {(o.outcome, o.fault) for o in seen} == {(Outcome.OK, None), (Outcome.UNKNOWN, "probe-error")}
        spoilt = [o for o in seen if o.fault]
        assert world.instruments.bugs.count(name) == len(spoilt) >= 2
        assert (seen[0].outcome, seen[-1].outcome) == (Outcome.OK, Outcome.OK)
        assert len({o.time for o in seen}) == len(seen)
    assert {o.outcome for o in world.diagnosis.of("good")} == {Outcome.OK}
    logged = [fields for _, event, fields in world.log.lines if event == "probe-error"]
    assert logged == [{"type": "fake", "call": call, "exc_info": error}]


def test_attempt_that_is_never_ended_is_swept() -> None:
    """Without `done` it is unknown within its grace, counted and logged; the wheel does not spin meanwhile."""
    world = BatchWorld(make_probe("held", timeout=0.4), make_probe("good"))
    world.batch.answers["held"] = FakeBatch.HELD
    delivered: list[float] = []
    publish = world.diagnosis.publish

    def noted(observation: Any, result: Any) -> None:
        if observation.probe == "held":
            delivered.append(world.clock.now + EPOCH - observation.time)
        publish(observation, result)

    world.diagnosis.publish = noted  # type: ignore[method-assign]
    world.wait(5.0)
    held = world.diagnosis.of("held")
    assert {(o.outcome, o.fault) for o in held} == {(Outcome.UNKNOWN, "probe-hung")}
    assert len(held) >= 4
    assert world.instruments.bugs == ["held"] * len(held)
    assert all(0.4 <= after <= 0.4 + GRACE_SECONDS + 0.002 for after in delivered)
    assert {o.outcome for o in world.diagnosis.of("good")} == {Outcome.OK}
    assert len(world.batch.harvests) < 5.0 * 35


def test_late_and_second_done_are_ignored() -> None:
    """Each attempt is delivered once, whatever the runner says afterwards."""
    world = BatchWorld(make_probe("gw"))

    async def scene() -> None:
        await asyncio.sleep(3.0)
        before = len(world.diagnosis.of("gw"))
        for done in world.batch.done[:-1]:
            done(ok(0.5))
        assert len(world.diagnosis.of("gw")) == before

    world.play(scene)
    assert {o.seconds for o in world.diagnosis.of("gw")} == {0.01}


def test_bug_in_delivery_spares_the_runner_and_the_others() -> None:
    """What the agent's own side raises does not come back into the runner that called `done`."""
    world = BatchWorld(make_probe("gw"), make_probe("wan"))
    publish = world.diagnosis.publish

    def picky(observation: Any, result: Any) -> None:
        if observation.probe == "gw":
            raise ZeroDivisionError
        publish(observation, result)

    world.diagnosis.publish = picky  # type: ignore[method-assign]
    world.wait(3.0)
    assert len(world.diagnosis.of("wan")) >= 3
    assert set(world.log.events()) == {"delivery-failed"}
    assert not world.instruments.bugs


def test_type_that_closes_ends_what_is_under_way() -> None:
    """A runner that is gone is not turned any more; its attempts are unknown without being a bug of the probe."""
    world = BatchWorld(make_probe("gw"), make_probe("good", type="plain"))
    world.batch.answers["gw"] = None

    async def scene() -> None:
        while not world.batch.launched:  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(0.01)
        gone, world.runners["fake"] = world.batch, FakeBatch(world.clock)
        turned = len(gone.harvests)
        await asyncio.sleep(2.0)
        assert len(gone.harvests) == turned
        del world.runners["fake"]
        await asyncio.sleep(2.0)

    world.play(scene)
    details = {o.detail for o in world.diagnosis.of("gw") if o.outcome is Outcome.UNKNOWN}
    assert details == {"the probe type closed while the attempt ran", "no fake"}
    assert world.diagnosis.of("gw")[-1].outcome is Outcome.UNKNOWN
    assert Outcome.OK in {o.outcome for o in world.diagnosis.of("gw")}
    assert not world.instruments.bugs


@pytest.mark.parametrize("kind", ["fake", "plain"])
def test_standstill_makes_what_was_under_way_unknown(kind: str) -> None:
    """A stall of the loop spoils what was in flight, in both forms, and calls nothing hung."""
    world = BatchWorld(make_probe("gw", type=kind))
    world.batch.seconds = world.runner.seconds = 0.7

    async def scene() -> None:
        await asyncio.sleep(4.0)
        world.clock.now += 0.5
        await asyncio.sleep(5.0)

    world.play(scene)
    begin, end = EPOCH + 1004.0, EPOCH + 1004.5
    inside = [o for o in world.diagnosis.of("gw") if o.time < end and o.time + 0.7 > begin]
    assert inside
    assert {o.fault for o in inside} == {"self"}
    assert world.diagnosis.of("gw")[-1].outcome is Outcome.OK
    assert not world.instruments.bugs


def test_stop_delivers_nothing_more() -> None:
    """After a stop a late `done` reaches nobody."""
    world = BatchWorld(make_probe("gw"))
    world.batch.answers["gw"] = FakeBatch.HELD
    world.wait(0.5)
    for done in world.batch.done:
        done(ok(0.1))
    assert not world.diagnosis.of("gw")


def test_chain_that_times_out_whole_fits() -> None:
    """Ten probes of 1 s that all time out from the start, in either form, fit into 24: so do 5,000 into IN_FLIGHT."""
    names = [f"p{n}" for n in range(100)]
    world = BatchWorld(
        *(make_probe(name, type="plain" if n % 10 == 0 else "fake") for n, name in enumerate(names)),
        room=len(names) * IN_FLIGHT // 5000,
        verified=False,
    )
    world.batch.answers = dict.fromkeys(names)
    world.runner.seconds = 1.0
    world.runner.answers = dict.fromkeys(names, failed(Stage.CONNECT, "timeout", seconds=1.0))
    world.wait(6.0)
    assert world.measurement.attempts.refused == world.measurement.counts.missed == 0
    assert not world.instruments.bugs
    assert {o.fault for o in world.diagnosis.observations} == {None, "timeout"}


def test_no_more_in_flight_than_there_is_room() -> None:
    """What finds no room is not started, and counted as missed."""
    world = BatchWorld(*(make_probe(f"p{n}") for n in range(20)), room=8)
    world.batch.answers = {f"p{n}": None for n in range(20)}
    world.wait(3.0)
    assert world.measurement.attempts.refused == world.measurement.counts.missed > 0
    assert len(world.batch.launched) <= 8 * 3


def test_plain_runner_has_no_turns() -> None:
    """A runner without the batch form is never asked to turn."""
    world = World(make_probe("gw"))
    assert type(world.runner) is FakeRunner
    world.wait(2.0)
    assert {o.outcome for o in world.diagnosis.of("gw")} == {Outcome.OK}


def test_batch_with_nothing_under_way_is_left_alone() -> None:
    """Between two launches a batch is turned once, for what has arrived; the wheel beats on without it."""
    world = BatchWorld(make_probe("gw", interval=2.0))
    world.wait(20.5)
    turns, launches = len(world.batch.harvests), len(world.batch.launched)
    assert len(world.diagnosis.of("gw")) == launches >= 10
    assert turns <= 2 * launches


def test_flush_may_ask_for_an_early_turn() -> None:
    """A burst's next packet is due before the next beat: the wheel comes round for it."""
    world = BatchWorld(make_probe("gw"))
    world.batch.seconds, world.batch.soon = 0.08, 0.03
    world.wait(1.9)
    launched = world.batch.launched[0][0]
    after = [round(at - launched, 3) for at in world.batch.harvests if 0 < at - launched < 0.08]
    assert after[:2] == pytest.approx([0.03, 0.06], abs=0.002)
