"""From observations to sinks: the ledger first, and no sink can stop another."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from agent.daemon.diagnosing import WAITING, Diagnosing
from agent.daemon.picture import CLOSED_SHOWN, Picture
from agent.incident.engine import Engine
from agent.incident.value import Event, Transition
from agent.observation import SELF, Observation, observe
from agent.snapshot import PeerNow
from probes.kit.result import Outcome, Result, Stage, failed, ok, unknown
from tests.agent.daemon.world import FakeLog, VirtualClock, make_chain, make_probe, play

CHAIN = make_chain(
    make_probe("gw", "host gw"),
    make_probe("wan", "host gw wan"),
    make_probe("erp", "host gw wan app", service="erp"),
)
PASSED = ok(0.01)
REFUSED = failed(Stage.ANSWER, "http-status", answered=True, seconds=0.01)


class Scene:
    """A diagnosis of the chain with sinks that remember, and that can be told to raise."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.log = FakeLog()
        self.told: list[str] = []
        self.broken: set[str] = set()
        self.states: list[bytes] = []
        self.picture = Picture(CHAIN, "cloud", self.clock.wall())
        self.diagnosing = Diagnosing(
            engine=Engine(CHAIN),
            vantage="cloud",
            clock=self.clock,
            picture=self.picture,
            log=self.log,
            record=self,
            transition_sinks={"journal": self.hear("journal"), "alerts": self.hear("alerts")},
            observation_sinks={"store": self.keep},
        )
        self.kept: list[Observation] = []

    def transition(self, transition: Transition, state: bytes) -> None:
        """Be the ledger."""
        self.told.append(f"ledger {transition.event}")
        self.states.append(state)
        if "ledger" in self.broken:
            raise OSError("disk full")

    def hear(self, name: str) -> Callable[[Transition], None]:
        """Return a sink."""

        def sink(transition: Transition) -> None:
            self.told.append(f"{name} {transition.event}")
            if name in self.broken:
                raise RuntimeError(f"{name} is broken")

        return sink

    def keep(self, observation: Observation, values: Mapping[str, float]) -> None:
        """Be the store."""
        if "store" in self.broken:
            raise RuntimeError("store is broken")
        self.kept.append(observation)

    async def rounds(self, count: int, erp: Result) -> None:
        """Publish so many rounds in which `erp` has this result."""
        for _ in range(count):
            number = int(self.clock.now)
            results = {SELF: ok(0.0), "gw": ok(0.01), "wan": ok(0.01), "erp": erp}
            for probe, result in results.items():
                seen = observe(result, time=self.clock.wall(), round_number=number, vantage="cloud", probe=probe)
                self.diagnosing.publish(seen, result)
            await asyncio.sleep(0.9)
            self.diagnosing.round(number)
            await asyncio.sleep(0.1)


def test_transitions_reach_the_ledger_first_with_the_state() -> None:
    """From suspicion to closure every sink hears every transition, the ledger before the others."""
    scene = Scene()

    async def fault() -> None:
        await scene.rounds(3, ok(0.01))
        await scene.rounds(8, REFUSED)
        assert scene.diagnosing.snapshot().incidents[0].segments == ("app",)
        await scene.rounds(15, ok(0.01))

    play(scene.clock, fault)
    events = [told.split()[1] for told in scene.told if told.startswith("ledger")]
    assert events[0] == "suspected"
    assert events[-1] == "closed"
    assert "confirmed" in events
    firsts = [told.split()[0] for told in scene.told]
    assert firsts == ["ledger", "journal", "alerts"] * len(events)
    assert Engine(CHAIN, scene.states[-2]).incidents()[0].segments == ("app",)
    assert [i.segments for i in scene.diagnosing.snapshot().closed] == [("app",)]


def test_broken_sink_stops_nobody() -> None:
    """A ledger, an alert sink and a store that raise are logged once each; the others hear everything."""
    scene = Scene()
    scene.broken = {"ledger", "alerts", "store"}

    async def fault() -> None:
        await scene.rounds(3, ok(0.01))
        await scene.rounds(8, REFUSED)

    play(scene.clock, fault)
    assert "journal confirmed" in scene.told
    failures = [fields["part"] for _, event, fields in scene.log.lines if event == "part-failed"]
    assert sorted(failures) == ["alerts", "ledger", "store"]
    recording = scene.diagnosing.snapshot().recording
    assert (recording.ledger, recording.detail) == (False, "disk full")
    assert scene.diagnosing.sink_errors.total() > 3


def test_sink_that_recovers_is_complained_of_again() -> None:
    """After a success the next failure is a new one."""
    scene = Scene()

    async def flapping() -> None:
        for broken in (True, False, True):
            scene.broken = {"store"} if broken else set()
            await scene.rounds(1, ok(0.01))

    play(scene.clock, flapping)
    assert scene.log.events().count("part-failed") == 2
    assert len(scene.kept) == 4


def test_engine_that_raises_stops_no_sink() -> None:
    """A bug in the diagnosis is logged once; observations are still kept and served to peers."""
    scene = Scene()

    class Broken(Engine):
        def observe(self, observation: Observation) -> None:
            raise ZeroDivisionError

        evaluate = observe  # type: ignore[assignment]

    scene.diagnosing.engine = Broken(CHAIN)

    async def rounds() -> None:
        await scene.rounds(3, ok(0.01))

    play(scene.clock, rounds)
    assert len(scene.kept) == 12
    assert len(scene.diagnosing.recent.since(0)) == 12
    assert scene.log.events() == ["part-failed"]


def published(scene: Scene, number: int, result: Result = PASSED) -> Observation:
    """Publish one result of `gw`."""
    seen = observe(result, time=scene.clock.wall() + number, round_number=number, vantage="cloud", probe="gw")
    scene.diagnosing.publish(seen, result)
    return seen


def test_what_passes_waits_for_the_round() -> None:
    """The very first result is there at once; then passes come together at the round, each once and in order."""
    scene = Scene()

    async def quiet() -> None:
        given = [published(scene, number) for number in range(5)]
        assert scene.kept == given[:1]
        scene.diagnosing.round(1)
        assert scene.kept == given
        given += [published(scene, number) for number in range(5, 5 + WAITING)]
        assert scene.kept == given

    play(scene.clock, quiet)


def test_failure_takes_along_what_waited() -> None:
    """Nothing overtakes, and a failure does not wait."""
    scene = Scene()

    async def fault() -> None:
        given = [published(scene, 0), published(scene, 1), published(scene, 2, REFUSED)]
        assert scene.kept == given

    play(scene.clock, fault)


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda scene: scene.diagnosing.snapshot(), id="page"),
        pytest.param(lambda scene: scene.diagnosing.recently(0), id="peer"),
        pytest.param(lambda scene: scene.diagnosing.evaluate(), id="evaluation"),
        pytest.param(lambda scene: scene.diagnosing.stop(), id="stop"),
    ],
)
def test_who_asks_hears_everything(ask: Callable[[Scene], object]) -> None:
    """A page, a peer, an evaluation or a stop finds nothing waiting."""
    scene = Scene()

    async def quiet() -> None:
        given = [published(scene, number) for number in range(4)]
        ask(scene)
        assert scene.kept == given

    play(scene.clock, quiet)


def test_suspects_are_ours_only() -> None:
    """Only our own failing probes of suspected incidents ask for more rounds."""
    scene = Scene()

    async def fault() -> None:
        await scene.rounds(2, ok(0.01))
        await scene.rounds(1, REFUSED)
        assert scene.diagnosing.suspected() == {"erp"}

    play(scene.clock, fault)


def test_peer_is_heard_and_not_recorded_as_ours() -> None:
    """A peer's observation reaches the picture, not our ring of recent observations."""
    chain = make_chain(make_probe("o-app", "far app", vantage="onprem"))
    picture = Picture(chain, "cloud", 0.0)
    picture.observation(Observation(time=5.0, round=1, vantage="onprem", probe="o-app", outcome=Outcome.OK))
    shown = picture.snapshot(6.0, incidents=(), segments={}, services={}).probes["onprem>o-app"]
    assert (shown.outcome, shown.time, shown.verified) == (Outcome.OK, 5.0, True)
    assert not picture.has_observation


def test_picture_keeps_since_when() -> None:
    """`since` is when the present outcome began, whatever comes after it."""
    picture = Picture(CHAIN, "cloud", 0.0)
    for time, result in ((1.0, ok(0.1)), (2.0, ok(0.1)), (3.0, unknown("eperm")), (4.0, unknown("eperm"))):
        seen = observe(result, time=time, round_number=int(time), vantage="cloud", probe="gw")
        picture.observation(seen, {"depth": 2.0})
    shown = picture.snapshot(5.0, incidents=(), segments={}, services={}).probes["cloud>gw"]
    assert (shown.since, shown.time, shown.fault, shown.values) == (3.0, 4.0, "eperm", {"depth": 2.0})


def test_reload_keeps_unchanged_probes_in_the_picture() -> None:
    """What a probe last said stays as long as its settings do; peers that are gone are dropped."""
    picture = Picture(CHAIN, "cloud", 0.0)
    for probe in ("gw", "wan"):
        picture.observation(observe(ok(0.1), time=1.0, round_number=1, vantage="cloud", probe=probe))
    picture.peer(PeerNow(vantage="onprem", reachable=True))
    picture.peer(PeerNow(vantage="third", reachable=True))
    picture.configure(make_chain(make_probe("gw", "host gw"), make_probe("wan", "host gw wan", settings_hash="new")))
    picture.keep_peers(frozenset({"onprem"}))
    snapshot = picture.snapshot(2.0, incidents=(), segments={}, services={})
    assert snapshot.probes["cloud>gw"].outcome is Outcome.OK
    assert snapshot.probes["cloud>wan"].outcome is None
    assert set(snapshot.probes) == {"cloud>gw", "cloud>wan"}
    assert [peer.vantage for peer in snapshot.peers] == ["onprem"]


def test_picture_shows_the_latest_closed_incidents() -> None:
    """The newest first, and no more than fit on the page."""
    scene = Scene()

    async def faults() -> None:
        await scene.rounds(3, ok(0.01))
        await scene.rounds(7, REFUSED)
        await scene.rounds(15, ok(0.01))

    play(scene.clock, faults)
    (incident,) = scene.diagnosing.snapshot().closed
    for number in range(2 * CLOSED_SHOWN):
        scene.picture.transition(Transition(event=Event.CLOSED, at=float(number), incident=incident))
    assert len(scene.diagnosing.snapshot().closed) == CLOSED_SHOWN
