"""What is remembered of every probe between evaluations; small, and saved with the incidents."""

from collections.abc import Callable, Collection, Iterable
from math import inf

import msgspec

from agent.availability.fold import Availability, Cadence, State, advance, fold, state_at
from agent.diagnosis.cells import Cell, Says
from agent.diagnosis.evidence import STALE_SECONDS
from agent.diagnosis.roles import Model
from agent.observation import SELF, Observation
from probes.kit.result import Outcome


class Track(msgspec.Struct, kw_only=True):
    """A probe's present run. Times are UTC epoch seconds of attempts.

    `bad_since` is the first fail since the last pass, `good_since` the first pass since the last
    fail or unknown; at most one of them is set. `mended` is the first pass since the last fail, whatever
    was unknown meanwhile. `time` is the newest attempt, `passed` the newest pass, `bad_round` the round of `bad_since`.
    """

    time: float
    outcome: Outcome
    fault: str = ""
    bad_since: float | None = None
    good_since: float | None = None
    mended: float | None = None
    passed: float | None = None
    bad_round: int | None = None


def _fault(observation: Observation) -> str:
    """Return `stage/fault` of a failed observation."""
    return f"{observation.stage or 'connect'}/{observation.fault or 'failed'}"


class Memory:
    """The tracks of all probes and self-checks, and when each segment was last proven to work."""

    def __init__(self, model: Model, tracks: dict[str, Track], availability: dict[str, Availability]) -> None:
        selves = {f"{vantage}>{SELF}" for vantage in model.home}
        self.model = model
        self.tracks = {k: t for k, t in tracks.items() if k in model.probes or k in selves}
        self.proven: dict[str, float] = {}
        # By probe and what its result cleared: when it last did.
        self.cleared: dict[str, dict[frozenset[int], float]] = {}
        # Self-checks that failed since anybody asked, even if they pass again by now.
        self.blinded: dict[str, float] = {}
        # The newest round of each vantage whose self-check failed: nothing begins in it.
        self.blind_round: dict[str, int] = {}
        self.cadence = {
            p.key: Cadence(interval=p.interval, timeout=p.timeout) for p in model.probes.values() if p.service
        }
        self.availability = {k: availability.get(k, Availability()) for k in self.cadence}
        self._proves = {key: tuple({model.segment_of[n] for n in model.passing(key).cleared}) for key in model.probes}

    def add(self, observation: Observation, said: Cell) -> None:
        """Take in one observation and what it says; one older than the newest of its probe changes nothing."""
        key, time = observation.key, observation.time
        if key in self.cadence:
            self.availability[key], _ = fold(self.availability[key], observation, self.cadence[key])
        track = self.tracks.get(key)
        if track is None:
            track = self.tracks[key] = Track(time=time, outcome=Outcome.UNKNOWN)
        elif time < track.time:
            return
        track.time, track.outcome = time, observation.outcome
        if said.cleared:
            self.cleared.setdefault(key, {})[said.cleared] = time
        match observation.outcome:
            case Outcome.OK | Outcome.DEGRADED:
                track.bad_since, track.passed = None, time
                track.good_since = time if track.good_since is None else track.good_since
                track.mended = time if track.mended is None else track.mended
                self.proven.update(dict.fromkeys(self._proves.get(key, ()), time))
            case Outcome.FAILED if observation.probe == SELF or said.says is Says.FAIL:
                if observation.probe == SELF:
                    self._blind(observation)
                if track.bad_since is None and not self._is_blind(observation):
                    track.bad_since, track.bad_round = time, observation.round
                track.good_since, track.mended, track.fault = None, None, _fault(observation)
            case _:
                track.good_since = None

    def _blind(self, observation: Observation) -> None:
        """Note a failed self-check: its round is unknown, so no probe began to fail in it."""
        self.blinded.setdefault(observation.key, observation.time)
        self.blind_round[observation.vantage] = observation.round
        for key, track in self.tracks.items():
            probe = self.model.probes.get(key)
            if probe is not None and probe.vantage == observation.vantage and track.bad_round == observation.round:
                track.bad_since = track.bad_round = None

    def _is_blind(self, observation: Observation) -> bool:
        """Return whether a probe's observation is of a round whose self-check is known to have failed."""
        return observation.probe != SELF and self.blind_round.get(observation.vantage) == observation.round

    def carry(self, old: "Memory", same: Collection[str], roles: Callable[[Iterable[int]], frozenset[int]]) -> None:
        """Take over from `old`, of another chain, what the probes in `same` showed; the others have no past."""
        self.tracks = {key: track for key, track in self.tracks.items() if key in same}
        self.proven = {s: time for s, time in old.proven.items() if s in self.model.chain.segments}
        self.blinded = {key: time for key, time in old.blinded.items() if key in same}
        self.blind_round = {v: number for v, number in old.blind_round.items() if v in self.model.home}
        for key in old.cleared.keys() & same:
            self.cleared[key] = {roles(n): time for n, time in old.cleared[key].items()}

    def worked(self, roles: Collection[int], vantage: str) -> float:
        """Return the last moment (on the clock of `vantage`) at which all `roles` were seen to work, or -inf."""
        skew = self.model.chain.confirm.skew
        newest, here = dict.fromkeys(roles, -inf), f"{vantage}>"
        for key, results in self.cleared.items():
            for cleared, time in results.items():
                if not cleared.isdisjoint(newest):
                    seen = time if key.startswith(here) else time - skew
                    newest.update((role, max(newest[role], seen)) for role in cleared & newest.keys())
        return min(newest.values(), default=-inf)

    def availability_state(self, key: str, now: float) -> State:
        """Return the contract's state of a service's probe at `now`."""
        cadence = self.cadence[key]
        value, _ = advance(self.availability[key], int(now - cadence.timeout), cadence)
        return state_at(value, now, cadence)

    def holds(self, key: str) -> float:
        """Return for how many seconds a result of `key` holds: its interval (a round for `self`)."""
        probe = self.model.probes.get(key)
        return self.model.chain.confirm.spacing if probe is None else probe.interval

    def stale(self, key: str, now: float) -> bool:
        """Return whether nothing has been heard of `key` for longer than it may be silent."""
        track = self.tracks.get(key)
        probe = self.model.probes.get(key)
        timeout = 0.0 if probe is None else probe.timeout
        return track is None or now - track.time > self.holds(key) + timeout + STALE_SECONDS


__all__ = ["Memory", "Track"]
