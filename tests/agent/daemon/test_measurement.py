"""The measuring shell in virtual time: rounds, confirmation, self-check, faults of our own."""

import asyncio
from itertools import pairwise

import pytest

from agent.model import Confirm
from agent.observation import SELF
from probes.kit.result import Outcome, Result, Stage, failed, ok
from probes.kit.spec import Pace
from tests.agent.daemon.world import EPOCH, World, make_chain, make_probe

REFUSED = failed(Stage.CONNECT, "refused", seconds=0.01)


def test_steady_probes_run_every_interval_in_numbered_rounds() -> None:
    """Every interval one attempt, rounds that rise by one, times of the start, nothing fresh."""
    world = World(make_probe("gw"), make_probe("erp", interval=5.0))
    world.wait(30.5)
    gw = world.diagnosis.of("gw")
    assert 30 <= len(gw) <= 32
    assert 6 <= len(world.diagnosis.of("erp")) <= 8
    steps = [later.time - earlier.time for earlier, later in pairwise(gw[1:])]
    assert steps == pytest.approx([1.0] * len(steps), abs=0.002)
    assert {later.round - earlier.round for earlier, later in pairwise(gw[1:])} == {1}
    assert not world.runner.confirmations()
    assert gw[0].time == pytest.approx(EPOCH + world.runner.attempts[0][0], abs=0.3)
    assert world.diagnosis.rounds == list(range(500, 500 + len(world.diagnosis.rounds)))
    assert max(world.instruments.lags) < 0.005


def test_self_check_opens_every_round() -> None:
    """The self-check comes once a round, before anything else of that round."""
    world = World(make_probe("gw"), make_probe("erp"))
    world.wait(10.5)
    seen: set[int] = set()
    for observation in world.diagnosis.observations:
        if observation.probe == SELF:
            assert observation.outcome is Outcome.OK
            assert observation.round not in seen
        else:
            assert observation.round in seen
        seen.add(observation.round)


def test_fail_confirms_at_once_in_spaced_rounds() -> None:
    """All probes of the set start at one instant, afresh, at once and then a second apart, five times."""
    world = World(make_probe("gw"), make_probe("erp"), make_probe("slow", pace=Pace.OWN))
    world.runner.answers["erp"] = REFUSED
    world.wait(12.0)
    bursts: dict[float, list[str]] = {}
    for at, name in world.runner.confirmations():
        bursts.setdefault(round(at, 6), []).append(name)
    first_fail = next(o for o in world.diagnosis.of("erp"))
    starts = sorted(bursts)
    assert len(starts) == 5
    assert starts[0] + EPOCH == pytest.approx(first_fail.time + 0.01, abs=0.002)
    assert [b - a for a, b in pairwise(starts)] == pytest.approx([1.0] * 4, abs=0.002)
    assert {tuple(sorted(names)) for names in bursts.values()} == {("erp", "gw")}
    assert world.measurement.counts.confirmations == 1


def test_steady_and_confirmation_share_the_round() -> None:
    """Attempts of both kinds that start in one tick carry one number, and every round is there."""
    world = World(make_probe("gw"), make_probe("erp"))
    world.runner.answers["erp"] = REFUSED
    world.wait(4.9)
    rounds = [o.round for o in world.diagnosis.of("erp")]
    assert sorted(set(rounds)) == list(range(min(rounds), max(rounds) + 1))
    # In the first second a probe runs once at once and once on its grid.
    assert [rounds.count(number) for number in sorted(set(rounds))[1:4]] == [2, 2, 2]


def test_lasting_failure_is_confirmed_again_after_its_rest() -> None:
    """While nothing changes the next confirmation comes half a minute later."""
    world = World(make_probe("erp"))
    world.runner.answers["erp"] = REFUSED
    world.wait(45.0)
    starts = [at for at, _ in world.runner.confirmations()]
    assert len(starts) == 10
    assert starts[5] - starts[4] == pytest.approx(31.0, abs=1.1)


def test_suspicion_keeps_confirming() -> None:
    """As long as the incident is only suspected the rounds go on, up to three times as many."""
    world = World(make_probe("erp"))
    world.runner.answers["erp"] = REFUSED
    world.diagnosis.suspects = frozenset({"erp"})
    world.wait(25.0)
    assert len(world.runner.confirmations()) == 15


@pytest.mark.parametrize(
    ("name", "verified", "confirms"),
    [("known", True, True), ("never-passed", False, False)],
)
def test_unverified_probe_accuses_nobody(name: str, verified: bool, confirms: bool) -> None:
    """A probe that has not passed with its present settings says so and starts no confirmation."""
    world = World(make_probe(name), verified=verified)
    world.runner.answers[name] = REFUSED
    world.wait(3.0)
    assert {o.verified for o in world.diagnosis.of(name)} == {verified}
    assert bool(world.runner.confirmations()) is confirms


def test_first_pass_verifies() -> None:
    """From its first pass on a probe counts, and the settings with which it passed are kept."""
    world = World(make_probe("erp"), verified=False)
    world.wait(2.0)
    assert all(o.verified for o in world.diagnosis.of("erp"))
    assert world.measurement.verified == {"erp": "hash of erp"}


def test_slow_source_starts_no_rounds() -> None:
    """A probe that confirms at its own pace starts none of the shared rounds."""
    world = World(make_probe("entra", pace=Pace.OWN))
    world.runner.answers["entra"] = REFUSED
    world.wait(3.0)
    assert not world.runner.confirmations()


def test_probe_that_raises_is_unknown_and_hurts_nobody() -> None:
    """Our bug is counted and logged with its traceback; the other probe goes on undisturbed."""
    world = World(make_probe("bad"), make_probe("good"))
    error = ZeroDivisionError("a bug")
    world.runner.answers["bad"] = error
    world.wait(5.0)
    bad = world.diagnosis.of("bad")
    assert {(o.outcome, o.fault) for o in bad} == {(Outcome.UNKNOWN, "probe-error")}
    assert {o.outcome for o in world.diagnosis.of("good")} == {Outcome.OK}
    assert len(world.instruments.bugs) == len(bad)
    assert ("error", "probe-error", {"probe": "bad", "exc_info": error}) in world.log.lines


async def _sleeps_for_ever(_: float) -> Result:
    await asyncio.sleep(1e6)
    return ok(0.0)


def test_probe_that_hangs_is_unknown_soon_after_its_deadline() -> None:
    """It is cancelled a tenth of a second after its deadline, every time anew."""
    world = World(make_probe("hangs"), make_probe("good"))
    world.runner.answers["hangs"] = _sleeps_for_ever
    world.wait(5.0)
    hangs = world.diagnosis.of("hangs")
    assert {(o.outcome, o.fault) for o in hangs} == {(Outcome.UNKNOWN, "probe-hung")}
    assert len(hangs) >= 3
    assert {o.outcome for o in world.diagnosis.of("good")} == {Outcome.OK}
    assert "probe-hung" in world.log.events()


def test_probe_that_ignores_its_cancellation_is_not_started_again() -> None:
    """One stuck task and no more; its probe stays unknown without a new attempt."""
    world = World(make_probe("stuck"))
    release = asyncio.Event()

    async def stuck(_: float) -> Result:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return ok(0.0)

    world.runner.answers["stuck"] = stuck

    counts: list[int] = []

    async def scene() -> None:
        for _ in range(2):
            await asyncio.sleep(3.0)
            counts.append(len(world.runner.attempts))
        release.set()
        await asyncio.sleep(3.0)
        counts.append(len(world.runner.attempts))

    world.play(scene)
    # A few may start before the first has hung, none afterwards, and again when they have gone.
    assert counts[0] == counts[1] <= 3
    assert counts[2] > counts[1]
    assert {o.fault for o in world.diagnosis.of("stuck")} == {"probe-hung", None}


def test_type_that_is_not_open_says_why() -> None:
    """Without a runner the probe is unknown, with the reason."""
    world = World(make_probe("erp", type="exotic"))
    world.wait(2.0)
    assert {(o.outcome, o.detail) for o in world.diagnosis.of("erp")} == {(Outcome.UNKNOWN, "no exotic")}


@pytest.mark.parametrize(
    ("trouble", "fault"),
    [
        pytest.param({"links": ()}, "no-link", id="cable out"),
        pytest.param({"routes": 0, "gateways": 0}, "no-route", id="no route"),
        pytest.param({"descriptors": False}, "no-descriptors", id="no descriptors"),
    ],
)
def test_host_in_trouble_never_fails_a_probe(trouble: dict[str, object], fault: str) -> None:
    """While the self-check fails every result is unknown and nothing is confirmed."""
    world = World(make_probe("gw"), make_probe("erp"))

    async def scene() -> None:
        await asyncio.sleep(2.2)
        world.reader.trouble = dict(trouble)
        world.runner.answers["erp"] = REFUSED
        await asyncio.sleep(5.0)
        world.reader.trouble = {}
        world.runner.answers.clear()
        await asyncio.sleep(3.0)

    world.play(scene)
    assert all(o.outcome is not Outcome.FAILED for o in world.diagnosis.of("erp"))
    assert {o.fault for o in world.diagnosis.of("erp")} == {None, "self"}
    assert {o.fault for o in world.diagnosis.of(SELF)} == {None, fault}
    assert not world.runner.confirmations()
    assert world.diagnosis.of(SELF)[-1].outcome is Outcome.OK
    assert world.diagnosis.of("gw")[-1].outcome is Outcome.OK


def test_failure_is_believed_only_after_a_fresh_look() -> None:
    """A link lost in the middle of a round is seen before the failure that it causes is published."""
    world = World(make_probe("erp"))

    async def scene() -> None:
        await asyncio.sleep(3.0)
        world.reader.trouble = {"links": ()}
        world.runner.answers["erp"] = REFUSED
        await asyncio.sleep(0.99)

    world.play(scene)
    assert all(o.outcome is not Outcome.FAILED for o in world.diagnosis.of("erp"))


def test_confirmation_waits_for_the_host() -> None:
    """A confirmation that the host's own trouble interrupts runs all its rounds afterwards."""
    world = World(make_probe("erp"))

    async def scene() -> None:
        world.runner.answers["erp"] = REFUSED
        await asyncio.sleep(1.9)
        begun = len(world.runner.confirmations())
        world.reader.trouble = {"links": ()}
        await asyncio.sleep(5.0)
        during = len(world.runner.confirmations())
        world.reader.trouble = {}
        await asyncio.sleep(10.0)
        assert (begun, during - begun <= 1, len(world.runner.confirmations())) == (2, True, 5)

    world.play(scene)


@pytest.mark.parametrize(
    ("seconds", "self_fault"),
    [pytest.param(0.4, None, id="stall"), pytest.param(5.0, "suspended", id="suspended")],
)
def test_standstill_makes_flying_attempts_unknown(seconds: float, self_fault: str | None) -> None:
    """What was in flight while the process stood still never counts; above a second the round is lost."""
    world = World(make_probe("gw"), make_probe("erp"))
    world.runner.answers["erp"] = failed(Stage.CONNECT, "timeout", seconds=1.0)
    world.runner.seconds = 0.9

    async def scene() -> None:
        await asyncio.sleep(4.35)
        world.clock.now += seconds
        await asyncio.sleep(0.05)
        self_seen = [o.fault for o in world.diagnosis.of(SELF) if o.fault]
        assert self_seen == ([self_fault] if self_fault else [])
        await asyncio.sleep(6.0)

    world.play(scene)
    begin, end = EPOCH + 1000 + 4.35, EPOCH + 1000 + 4.35 + seconds
    inside = [o for o in world.diagnosis.observations if o.probe != SELF and o.time < end and o.time + 0.9 > begin]
    assert inside
    assert {(o.outcome, o.fault) for o in inside} == {(Outcome.UNKNOWN, "self")}
    assert world.diagnosis.of("gw")[-1].outcome is Outcome.OK
    assert world.measurement.heartbeat.stalls == 1


def test_stepped_clock_is_the_hosts_own_fault() -> None:
    """A step of the wall clock fails the self-check of one round."""
    world = World(make_probe("gw"))

    async def scene() -> None:
        await asyncio.sleep(3.0)
        world.clock.stepped = 3600.0
        await asyncio.sleep(3.0)

    world.play(scene)
    assert [o.fault for o in world.diagnosis.of(SELF) if o.fault] == ["clock-stepped"]


def test_reload_keeps_rounds_and_running_probes() -> None:
    """After a reload numbers go on, unchanged probes keep their times, new ones start at once."""
    world = World(make_probe("gw"), make_probe("old"))

    async def scene() -> None:
        await asyncio.sleep(3.5)
        world.measurement.configure(make_chain(make_probe("gw"), make_probe("new")), "cloud")
        await asyncio.sleep(3.0)
        world.measurement.configure(make_chain(make_probe("gw"), confirm=Confirm(rounds=3, spacing=0.5)), "cloud")
        await asyncio.sleep(2.0)

    world.play(scene)
    gw = world.diagnosis.of("gw")
    steps = [later.time - earlier.time for earlier, later in pairwise(gw[1:])]
    assert steps == pytest.approx([1.0] * len(steps), abs=0.002)
    numbers = [o.round for o in world.diagnosis.of(SELF)]
    assert numbers == sorted(set(numbers))
    assert world.diagnosis.of("new")[0].time <= EPOCH + 1003.9
    assert world.diagnosis.of("old")[-1].time <= EPOCH + 1003.6


def test_attempt_of_a_removed_probe_ends_quietly() -> None:
    """A probe that a reload removes while its attempt flies is published once more and confirms nothing."""
    world = World(make_probe("gw"), make_probe("gone"))
    world.runner.answers["gone"] = REFUSED
    world.runner.seconds = 0.5

    async def scene() -> None:
        await asyncio.sleep(0.4)
        world.measurement.configure(make_chain(make_probe("gw")), "cloud")
        await asyncio.sleep(3.0)

    world.play(scene)
    assert not world.runner.confirmations()


def test_peer_that_returns_allows_confirmation_at_once() -> None:
    """New evidence is worth new rounds, without waiting for the rest to end."""
    world = World(make_probe("erp"))
    world.runner.answers["erp"] = REFUSED

    async def scene() -> None:
        await asyncio.sleep(8.0)
        assert len(world.runner.confirmations()) == 5
        world.measurement.wake_confirmations()
        await asyncio.sleep(6.5)
        assert len(world.runner.confirmations()) == 10

    world.play(scene)


def test_stop_delivers_nothing_more() -> None:
    """After a stop no attempt in flight is published."""
    world = World(make_probe("slow"))
    world.runner.seconds = 0.8

    async def scene() -> None:
        await asyncio.sleep(0.5)

    world.play(scene)
    assert not world.diagnosis.of("slow")


def test_bug_in_a_turn_does_not_end_measuring() -> None:
    """What a turn of the timer raises goes to the loop's handler; the next turn comes all the same."""
    world = World(make_probe("gw"))
    caught: list[str] = []

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: caught.append(repr(context["exception"])))
        await asyncio.sleep(2.0)
        world.reader.bug = ZeroDivisionError("a bug")
        world.runners.clear()
        await asyncio.sleep(1.0)
        world.reader.bug = None
        world.runners["fake"] = world.runner
        await asyncio.sleep(3.0)

    world.play(scene)
    assert set(caught) == {"ZeroDivisionError('a bug')"}
    # Ten turns a second and no more, however often it raises.
    assert len(caught) <= 12
    assert world.diagnosis.of("gw")[-1].outcome is Outcome.OK
    assert world.diagnosis.of("gw")[-1].time > EPOCH + 1004
