"""The shell that measures: one wheel drives rounds, self-check, batches, steady probes and confirmation.

On every turn: self-check, harvest of the batches, launch of what is due, flush, sweep of what hangs.
What must stay true: every attempt carries the number of the round in which it was due; the self-check of
a round is published before anything else of that round; a result that was in flight while this process
stood still, or in a round whose self-check failed, is `unknown` whatever the probe said.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec

from agent.clock import Clock
from agent.daemon.alarm import AlarmMaker
from agent.daemon.attempts import IN_FLIGHT, Attempt, Attempts, Log, Spawn
from agent.daemon.confirmation import LIMIT, Confirmations
from agent.daemon.rounds import Rounds, continued
from agent.daemon.schedule import Schedule
from agent.daemon.self_watch import HostReader, SelfWatch
from agent.daemon.selfcheck import STALL_SECONDS
from agent.model import Chain, Confirm, Probe
from agent.observation import SELF, Observation, observe
from probes.kit.result import Outcome, Result
from probes.kit.spec import Pace, Runner

# The loop runs at least this often, so that a gap of STALL_SECONDS shows.
BEAT_SECONDS = 0.1
# The loop's last turn this long ago is the one that harvests: nothing can have stood still since.
JUST_NOW_SECONDS = 0.005


class Diagnosis(Protocol):
    """What measuring needs of the diagnosis: where results go, and what needs confirmation."""

    def publish(self, observation: Observation, result: Result) -> None:
        """Take one observation of this vantage."""
        ...

    def suspected(self) -> frozenset[str]:
        """Return the names of this vantage's failing probes in incidents that are only suspected."""
        ...

    def round(self, number: int) -> None:
        """Hear that round `number` begins."""
        ...


class Instruments(Protocol):
    """Where the cost and the faults of measuring itself are counted."""

    def lag(self, seconds: float, starts: int) -> None:
        """Count how late so many steady probes started together."""
        ...

    def bug(self, probe: str) -> None:
        """Count an exception or a hang in a probe's runner."""
        ...


class Counts(msgspec.Struct, kw_only=True):
    """What the scheduler counts since the start."""

    missed: int = 0
    confirmations: int = 0
    self_failures: int = 0


ConfirmationSet = Callable[[Chain, str, Iterable[str], Mapping[str, float]], tuple[str, ...]]
"""chain, vantage, failing probe ids, last pass (UTC epoch seconds) -> the probe ids of each round."""


FactSink = Callable[[Probe, Mapping[str, str], float], None]
"""probe, what an attempt saw of a configuration, when it started (UTC epoch seconds)."""


class Measurement:
    """Measures one vantage of a chain. Needs a running loop; `start` it once, `configure` it as often as needed."""

    def __init__(
        self,
        *,
        clock: Clock,
        spawn: Spawn,
        reader: HostReader,
        diagnosis: Diagnosis,
        confirmation_set: ConfirmationSet,
        runners: Callable[[str], tuple[Runner | None, str]],
        instruments: Instruments,
        log: Log,
        first_round: int,
        alarm: AlarmMaker,
        room: int = IN_FLIGHT,
        facts: FactSink = lambda *_: None,
    ) -> None:
        """`first_round`: see `rounds.first_round`; `room`: attempts that may be in flight; `facts` hears facts."""
        self._clock = clock
        self._instruments = instruments
        self._first_round = first_round
        self._rounds: Rounds | None = None
        self._diagnosis = diagnosis
        self._confirmation_set = confirmation_set
        self.attempts = Attempts(
            clock=clock,
            spawn=spawn,
            runners=runners,
            deliver=self._deliver,
            bug=instruments.bug,
            log=log,
            room=room,
        )
        self._own = SelfWatch(reader, log, clock.boot())
        self.heartbeat = self._own.heartbeat
        self.counts = Counts()
        self.verified: dict[str, str] = {}
        self._schedule = Schedule()
        self._confirm_as = Confirm()
        self._confirmations = Confirmations(self._confirm_as.rounds, self._confirm_as.spacing)
        self._probes: dict[str, Probe] = {}
        self._last_passed: dict[str, float] = {}
        self._triggers: dict[str, None] = {}
        self._alarm = alarm(self._turn)
        self._stopped = False
        self._facts = facts

    def configure(self, chain: Chain, vantage: str) -> None:
        """Take up a chain; unchanged probes keep their times and rounds go on."""
        now = self._clock.boot()
        self._chain, self._vantage = chain, vantage
        self._probes = {probe.id: probe for probe in chain.probes_of(vantage)}
        self._rounds = continued(self._rounds, chain.confirm.spacing, now, self._first_round)
        if chain.confirm != self._confirm_as:
            self._confirm_as = chain.confirm
            self._confirmations = Confirmations(chain.confirm.rounds, chain.confirm.spacing)
        self._confirmations.keep(self._probes)
        self._last_passed = {name: at for name, at in self._last_passed.items() if name in self._probes}
        self._schedule.replace({probe.id: probe.interval for probe in self._probes.values()}, now)
        self._own.configure(off_host=any(not is_loopback(probe.flow.host) for probe in self._probes.values()))

    def start(self) -> None:
        """Begin to measure."""
        self._own.start(self._clock.boot())
        self._turn()

    def stop(self) -> None:
        """Stop; attempts in flight are given up."""
        self._stopped = True
        self._alarm.close()
        self.attempts.stop()

    def round_now(self) -> int:
        """Return the number of the present round."""
        return self._round_at(self._clock.boot())

    def wake_confirmations(self) -> None:
        """Let probes that still fail be confirmed again at once: new evidence is at hand."""
        self._confirmations.wake()

    def look_at_self(self) -> None:
        """Check the host now: something on it changed."""
        if not self._stopped:
            self._check_self(self._clock.boot(), again=True)

    def run_now(self, *, protocol: str = "", host: str = "", kind: str = "") -> None:
        """Attempt the probes of this type, or whose flow is of this protocol or to this host, now: off schedule."""
        names = [
            name
            for name, probe in self._probes.items()
            if probe.flow.protocol == protocol or probe.flow.host == host or probe.type == kind
        ]
        if names and not self._stopped:
            now = self._clock.boot()
            self._launch(names, now, now, confirming=False)
            self.attempts.flush()

    def _turn(self) -> None:
        if self._stopped:
            return
        try:
            self._run_due(self._clock.boot())
        except Exception:
            # A bug in one turn goes to the loop's handler and into the log; the next turn comes all the same.
            self._alarm.set(self._clock.boot() + BEAT_SECONDS)
            raise
        self._arm()

    def _run_due(self, now: float) -> None:
        self._check_self(now)
        self.attempts.harvest()
        self.attempts.sweep(now)
        ready = self._schedule.due(now)
        self.counts.missed += self._schedule.take_missed()
        for due in ready:
            self._instruments.lag(max(0.0, now - due.planned), len(due.probes))
            self._launch(due.probes, due.planned, now, confirming=False)
        self._confirm(now)
        self.attempts.flush()

    def _arm(self) -> None:
        now = self._clock.boot()
        times = (self._schedule.next(), self._confirmations.next(), self.attempts.next(now), now + BEAT_SECONDS)
        self._alarm.set(min(at for at in times if at is not None))

    def _launch(self, names: Iterable[str], planned: float, now: float, *, confirming: bool) -> None:
        # What is a little late still belongs to the round in which it was due.
        number = self._round_at(planned if now - planned < STALL_SECONDS else now)
        time = self._clock.wall()
        for name in names:
            attempt = Attempt(probe=self._probes[name], round=number, started=now, time=time, confirming=confirming)
            if not self.attempts.launch(attempt):
                self.counts.missed += 1

    def _check_self(self, now: float, *, again: bool = False) -> None:
        """Publish the self-check of the present round once, and once more when it fails after all."""
        number = self._round_at(now)
        begins = number != self._own.round
        result = self._own.check(now, number, again=again)
        if result is None:
            return
        if result.fault:
            self.counts.self_failures += 1
        self._diagnosis.publish(
            observe(result, time=self._clock.wall(), round_number=number, vantage=self._vantage, probe=SELF), result
        )
        if begins:
            self._diagnosis.round(number)

    def _deliver(self, attempt: Attempt, result: Result) -> None:
        now = self._clock.boot()
        if result.outcome is Outcome.FAILED:
            self._check_self(now, again=self._own.stale(now))
        elif now - self.heartbeat.last > JUST_NOW_SECONDS:
            self._check_self(now)
        result = self._own.believed(attempt, result, now)
        probe = attempt.probe
        name = probe.id
        passed = result.outcome in (Outcome.OK, Outcome.DEGRADED)
        if passed:
            self.verified[name] = probe.settings_hash
            self._last_passed[name] = attempt.time
            self._confirmations.passed(name)
        verified = self.verified.get(name) == probe.settings_hash
        self._diagnosis.publish(
            observe(
                result,
                time=attempt.time,
                round_number=attempt.round,
                vantage=self._vantage,
                probe=name,
                verified=verified,
            ),
            result,
        )
        if result.outcome is Outcome.FAILED and verified and probe.pace is Pace.ROUND:
            self._trigger(name, now)
        if result.facts and result.outcome is not Outcome.UNKNOWN:
            self._facts(probe, result.facts, attempt.time)

    def _round_at(self, boot: float) -> int:
        return self._first_round if self._rounds is None else self._rounds.at(boot)

    def _trigger(self, name: str, now: float) -> None:
        if self._probes.get(name) is None or not self._confirmations.wants(name, now):
            return
        if not self._triggers:
            asyncio.get_running_loop().call_soon(self._begin_confirmation)
        self._triggers[name] = None

    def _begin_confirmation(self) -> None:
        triggers, now = tuple(self._triggers), self._clock.boot()
        self._triggers.clear()
        wanted = tuple(name for name in triggers if name in self._probes and self._confirmations.wants(name, now))
        if self._stopped or not wanted:
            return
        members = self._with_kin(self._confirmation_set(self._chain, self._vantage, wanted, self._last_passed), wanted)
        self.counts.confirmations += 1
        self._confirmations.begin(wanted, members, now)
        self._confirm(now)
        self._arm()

    def _with_kin(self, members: tuple[str, ...], failing: tuple[str, ...]) -> tuple[str, ...]:
        """Return the set filled up to its bound with probes that a fault on the failing paths would hit too.

        They would fail within the next second anyway, and a finding that waits for them to become
        unanimous comes a round late.
        """
        home = self._chain.vantages[self._vantage].segment
        accused = {segment for name in failing for segment in self._probes[name].path} - {home}
        kin = (
            probe.id
            for probe in self._probes.values()
            if probe.pace is Pace.ROUND and accused.intersection((*probe.path, *probe.back))
        )
        return tuple(dict.fromkeys((*members, *kin)))[:LIMIT]

    def _confirm(self, now: float) -> None:
        planned = self._confirmations.next()
        if planned is None:
            return
        number = self._round_at(planned if 0 <= now - planned < STALL_SECONDS else now)
        names = self._confirmations.due(
            now, number, suspected=self._diagnosis.suspected(), paused=bool(self._own.fault)
        )
        self._launch(names, min(planned, now), now, confirming=True)


def is_loopback(host: str) -> bool:
    """Say whether `host` (an address or a name) never leaves this host."""
    return host == "localhost" or host.endswith(".localhost") or host.startswith("127.") or host in ("::1", "[::1]")
