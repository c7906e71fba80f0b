"""A world for the daemon's shell without sleeping: a loop whose time is a number, and fakes by hand."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any

import msgspec

from agent.daemon.alarm import LoopAlarm
from agent.daemon.attempts import IN_FLIGHT
from agent.daemon.measurement import FactSink, Measurement
from agent.daemon.selfcheck import Readings
from agent.model import Chain, Confirm, Party, Probe, Segment, Service, Vantage
from agent.observation import Observation
from probes.kit.result import Result, Stage, failed, ok
from probes.kit.spec import Flow, Pace, Runner

# 2026-11-23, an arbitrary wall time at boot time 0.
EPOCH = 1_795_442_400.0


class VirtualClock:
    """Boot and wall time as numbers that only the loop and the test move."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.stepped = 0.0

    def boot(self) -> float:
        """Return the virtual boot time."""
        return self.now

    def wall(self) -> float:
        """Return the virtual wall time."""
        return EPOCH + self.now + self.stepped


class _Selector(selectors.SelectSelector):
    """Instead of waiting, moves the clock."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("the world stands still: nothing is left to wait for")
        # At least a microsecond, as in life: else a timer that is short of its time by a rounding spins for ever.
        self._clock.now += max(1e-6, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(_Selector(clock))
        self._clock = clock

    def time(self) -> float:
        """Return the virtual boot time."""
        return self._clock.now


def play(clock: VirtualClock, scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scene to its end in virtual time."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        runner.run(scene())


def make_probe(name: str, path: str = "host gw", **more: Any) -> Probe:
    """Return an own probe of type `fake`; its settings are its name."""
    fields: dict[str, Any] = {"interval": 1.0, "timeout": 1.0, "settings_hash": f"hash of {name}", "vantage": "cloud"}
    fields |= more
    return Probe(
        id=name,
        type=fields.pop("type", "fake"),
        path=tuple(path.split()),
        settings=name,
        target=f"{name}.example",
        flow=Flow(host=f"{name}.example", protocol="icmp", function="echo"),
        **fields,
    )


def make_chain(*probes: Probe, confirm: Confirm | None = None, chain_hash: str = "c0ffee") -> Chain:
    """Return a chain of three segments with these probes."""
    return Chain(
        version=1,
        effective="2026-01-01T00:00",
        timezone="Europe/Amsterdam",
        director="msp",
        parties={name: Party(id=name, name=name.upper()) for name in ("msp", "carrier", "incumbent")},
        segments={
            "host": Segment(id="host", owners=("msp",), side="cloud"),
            "gw": Segment(id="gw", owners=("msp",), side="cloud"),
            "wan": Segment(id="wan", owners=("carrier",), side="transit"),
            "app": Segment(id="app", owners=("incumbent",), side="onprem"),
            "far": Segment(id="far", owners=("incumbent",), side="onprem"),
        },
        vantages={
            "cloud": Vantage(id="cloud", segment="host", operator="msp"),
            "onprem": Vantage(id="onprem", segment="far", operator="incumbent"),
        },
        services={"erp": Service(id="erp", name="ERP")},
        confirm=confirm or Confirm(),
        probes={probe.id: probe for probe in probes},
        hash=chain_hash,
    )


class FakeRunner:
    """Answers each probe by its entry in `answers`, after `seconds`; remembers every attempt.

    An answer is a Result, an exception to raise, or a coroutine function of the deadline.
    """

    def __init__(self, clock: VirtualClock, answers: Mapping[str, Any] | None = None, seconds: float = 0.01) -> None:
        self._clock = clock
        self.answers: dict[str, Any] = dict(answers or {})
        self.seconds = seconds
        self.attempts: list[tuple[float, str, bool]] = []

    async def attempt(self, settings: Any, deadline: float, *, fresh: bool = False) -> Result:
        """Make one attempt."""
        self.attempts.append((self._clock.now, settings, fresh))
        answer = self.answers.get(settings)
        if callable(answer):
            made: Awaitable[Result] = answer(deadline)
            return await made
        await asyncio.sleep(self.seconds)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Result) else ok(self.seconds)

    def confirmations(self) -> list[tuple[float, str]]:
        """Return when which probe was attempted afresh."""
        return [(at, name) for at, name, fresh in self.attempts if fresh]


class FakeBatch(FakeRunner):
    """A runner with the batch form: a packet out at `flush`, its answer at the first harvest after `seconds`.

    An answer is a Result, None for an answer that never comes, or HELD for an attempt that it forgets to end.
    `bugs` are raised by the calls that they are named after, `declines` are probes that need `attempt`.
    """

    HELD = "held"

    def __init__(self, clock: VirtualClock, answers: Mapping[str, Any] | None = None, seconds: float = 0.01) -> None:
        super().__init__(clock, answers, seconds)
        self.bugs: dict[str, Exception] = {}
        self.declines: set[str] = set()
        self.soon: float | None = None
        self.launched: list[tuple[float, str]] = []
        self.harvests: list[float] = []
        self.done: list[Callable[[Result], None]] = []
        self._queued: list[tuple[str, float, Callable[[Result], None]]] = []
        self._sent: list[tuple[float, str, float, Callable[[Result], None]]] = []

    def harvest(self) -> float | None:
        """Take what has arrived, end what is late."""
        self.harvests.append(self._clock.now)
        self._raise("harvest")
        sent, self._sent = self._sent, []
        for entry in sent:
            at, name, deadline, done = entry
            answer = self.answers.get(name, ok(self.seconds))
            if answer == self.HELD or self._clock.now < min(deadline, deadline if answer is None else at):
                self._sent.append(entry)
            else:
                done(answer if self._clock.now < deadline else failed(Stage.CONNECT, "timeout"))
        return min((deadline for _, _, deadline, _ in self._sent), default=None)

    def launch(self, settings: Any, deadline: float, done: Callable[[Result], None]) -> bool:
        """Queue an attempt."""
        self._raise("launch")
        if settings in self.declines:
            return False
        self.done.append(done)
        self.launched.append((self._clock.now, settings))
        self._queued.append((settings, deadline, done))
        return True

    def flush(self) -> float | None:
        """Send; ask for the next turn after `soon` seconds."""
        queued, self._queued = self._queued, []
        self._raise("flush")
        self._sent += [(self._clock.now + self.seconds, name, deadline, done) for name, deadline, done in queued]
        return None if self.soon is None else self._clock.now + self.soon

    def _raise(self, call: str) -> None:
        if call in self.bugs:
            raise self.bugs[call]


class FakeReader:
    """A host that is well unless `trouble` changes its readings."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.trouble: dict[str, Any] = {}
        self.bug: Exception | None = None

    def read(self) -> Readings:
        """Look once."""
        if self.bug is not None:
            raise self.bug
        well = Readings(boot=self._clock.boot(), wall=self._clock.wall(), links=("eth0",), routes=2, gateways=1)
        return msgspec.structs.replace(well, **self.trouble)


class FakeDiagnosis:
    """Collects what is published."""

    def __init__(self) -> None:
        self.observations: list[Observation] = []
        self.suspects: frozenset[str] = frozenset()
        self.rounds: list[int] = []

    def publish(self, observation: Observation, result: Result) -> None:
        """Take one observation."""
        assert observation.outcome is result.outcome
        self.observations.append(observation)

    def suspected(self) -> frozenset[str]:
        """Return the suspects."""
        return self.suspects

    def round(self, number: int) -> None:
        """Note a round."""
        self.rounds.append(number)

    def of(self, probe: str) -> list[Observation]:
        """Return the observations of one probe."""
        return [o for o in self.observations if o.probe == probe]


class FakeInstruments:
    """Collects what is counted."""

    def __init__(self) -> None:
        self.lags: list[float] = []
        self.bugs: list[str] = []

    def lag(self, seconds: float, starts: int) -> None:
        """Count a lag."""
        self.lags += [seconds] * starts

    def bug(self, probe: str) -> None:
        """Count a bug."""
        self.bugs.append(probe)


class FakeLog:
    """Collects lines as (level, event, fields)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        """Log."""
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        """Log."""
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        """Log."""
        self.lines.append(("error", event, fields))

    def events(self) -> list[str]:
        """Return the events in order."""
        return [event for _, event, _ in self.lines]


def everything(chain: Chain, vantage: str, failing: Iterable[str], last_passed: Mapping[str, float]) -> tuple[str, ...]:
    """Return a confirmation set of every probe in the shared rounds."""
    return tuple(p.id for p in chain.probes_of(vantage) if p.pace is Pace.ROUND)


class World:
    """One vantage measuring in virtual time. `verified` probes have passed before the scene."""

    def __init__(
        self, *probes: Probe, confirm: Confirm | None = None, verified: bool = True, room: int = IN_FLIGHT
    ) -> None:
        self.clock = VirtualClock()
        self.room = room
        self.chain = make_chain(*probes, confirm=confirm)
        self.runner = FakeRunner(self.clock)
        self.reader = FakeReader(self.clock)
        self.diagnosis = FakeDiagnosis()
        self.instruments = FakeInstruments()
        self.log = FakeLog()
        self.runners: dict[str, Runner] = {"fake": self.runner}
        self.verified = {p.id: p.settings_hash for p in probes} if verified else {}
        self.facts: FactSink = lambda *_: None
        self.measurement: Measurement

    def play(self, scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Measure while the scene lasts."""

        async def within() -> None:
            async with asyncio.TaskGroup() as group:
                self.measurement = Measurement(
                    clock=self.clock,
                    spawn=group.create_task,
                    reader=self.reader,
                    diagnosis=self.diagnosis,
                    confirmation_set=everything,
                    runners=lambda name: (self.runners.get(name), f"no {name}"),
                    instruments=self.instruments,
                    log=self.log,
                    first_round=500,
                    alarm=partial(LoopAlarm, self.clock),
                    room=self.room,
                    facts=self.facts,
                )
                self.measurement.verified.update(self.verified)
                self.measurement.configure(self.chain, "cloud")
                self.measurement.start()
                await scene()
                self.measurement.stop()

        play(self.clock, within)

    def wait(self, seconds: float) -> None:
        """Measure for so long and nothing else."""

        async def scene() -> None:
            await asyncio.sleep(seconds)

        self.play(scene)
