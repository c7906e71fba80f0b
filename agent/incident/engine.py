"""From observations to incidents: the one piece that the daemon and the replay share.

Pure but for its own state: `now` is an argument, nothing is read or written. One incident per
root cause, however many probes and services see it. Suspected incidents are shown and never
leave the agent; only a window of unanimous rounds confirms one.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from math import inf

import msgspec

from agent.diagnosis.carry import Translator, carry, unchanged
from agent.diagnosis.cells import Says
from agent.diagnosis.dated import Dated
from agent.diagnosis.evidence import History, Window
from agent.diagnosis.finding import Finding
from agent.diagnosis.identifiability import Analysis, SingleFault, segment_faults
from agent.diagnosis.proof import Prover, Since
from agent.diagnosis.roles import Model
from agent.excess.watch import SavedSeries
from agent.incident.excess import Excesses, slow, worse
from agent.incident.ground import restored, saved
from agent.incident.lifecycle import Book, Saved
from agent.incident.memory import Memory
from agent.incident.states import segment_states, service_states
from agent.incident.value import Incident, Kind, State, Transition
from agent.model import Chain
from agent.observation import SELF, Observation
from probes.kit.spec import Pace

# Rounds for which a confirmed series waits for evidence that is still growing unanimous.
PATIENCE_ROUNDS = 2


class Engine:
    """Feed it observations, ask it to evaluate; it returns what changed."""

    def __init__(self, chain: Chain, before: bytes | None = None, *, settle: bool = True) -> None:
        """Start from nothing, or from an earlier `save()`; raises ValueError when `before` is none.

        With `settle`, a finding waits for at most two rounds while evidence that would sharpen it
        is on its way to being unanimous, so that nobody is told twice. Replay does without: its
        record is complete.
        """
        self.chain = chain
        self.model = Model(chain)
        self.history = History(self.model, complete=not settle)
        self.dated = Dated(self.model)
        self.prover = Prover(self.model)
        self.settle = settle
        state = Saved() if before is None else _decode(before)
        self.memory = Memory(self.model, state.tracks, state.availability)
        self.book = Book(self.model, self.memory, state.incidents, restored(state.grounds, self.model))
        self.excesses = Excesses(chain, state.excesses)
        self._dirty = False
        self._said: tuple[object, ...] = ()
        self._proved: tuple[Finding, ...] = ()

    @cached_property
    def single_faults(self) -> tuple[SingleFault, ...]:
        """Return of every probed segment whether its failure would be provable; worked out when first asked for."""
        return segment_faults(Analysis(self.model))

    def renewed(self, chain: Chain) -> "Engine":
        """Return an engine for a new chain file that goes on with what is still valid: incidents, tracks, rounds."""
        after = Engine(chain, self.save(), settle=self.settle)
        same = unchanged(self.model, after.model)
        carry(self.history, after.history, same)
        roles = Translator(self.model, after.model).roles
        after.dated.carry(self.dated, same, roles)
        after.memory.carry(self.memory, same, roles)
        after.excesses.carry(self.excesses)
        after._dirty = True
        return after

    def observe(self, observation: Observation) -> None:
        """Take in one observation, of any vantage, roughly in time order."""
        known = observation.key in self.model.probes
        if not known and observation.probe != SELF:
            return
        if observation.vantage not in self.model.home:
            return
        said = self.history.add(observation)
        self.dated.add(observation, said)
        self.memory.add(observation, said)
        self.excesses.observe(observation)
        self._dirty = True

    def evaluate(self, now: float) -> tuple[Transition, ...]:
        """Return the transitions that the evidence up to `now` (UTC epoch seconds) makes."""
        if not self._dirty and not self.book.open and not self.excesses.open:
            return ()
        self._dirty = False
        transitions = self.book.monitors(now)
        windows = self._settled((*self.history.windows(now), *self.dated.windows()))
        if any(window.failing for window in windows):
            transitions += self.book.findings(self._findings(windows), self._current(windows), now)
        transitions += (*self.book.suspicions(now), *self.book.settle(now))
        self.excesses.hold(self._outages())
        return (*transitions, *self.excesses.evaluate(now))

    def _outages(self) -> frozenset[str]:
        """Return the probes of outages that go on."""
        open_ = (i for i in self.book.open.values() if i.state is State.CONFIRMED and i.kind is not Kind.MONITOR)
        return frozenset(key for incident in open_ for key in incident.faults)

    def _findings(self, windows: tuple[Window, ...]) -> tuple[Finding, ...]:
        """Return what `windows` prove; while they say the same, what they proved before."""
        times = self._since(windows)
        said = (times, tuple((w.vantage, w.failing, w.clearing) for w in windows))
        if said != self._said:
            self._said, self._proved = said, self.prover.findings(windows, times)
        return self._proved

    def _since(self, windows: Sequence[Window]) -> dict[str, Since]:
        """Return since when the failing probes fail, and when they passed last."""
        tracks = ((key, self.memory.tracks.get(key)) for window in windows for key in window.failing)
        return {
            key: Since(track.bad_since, -inf if track.passed is None else track.passed)
            for key, track in tracks
            if track is not None and track.bad_since is not None
        }

    def _settled(self, windows: tuple[Window, ...]) -> tuple[Window, ...]:
        """Leave out failing probes whose evidence is still growing; see `settle`."""
        if not self.settle or not any(window.failing for window in windows):
            return windows
        told = frozenset(key for window in windows for key in window.failing)
        growing = [found for vantage in self.model.home for found in self._growing(vantage, told)]
        kept = []
        for window in windows:
            failing = {k: accused for k, accused in window.failing.items() if self._ripe(k, window, growing)}
            kept.append(window._replace(failing=failing))
        return tuple(kept)

    def _current(self, windows: Sequence[Window]) -> dict[str, float]:
        """Return the failing probes whose present bad run is the window's, and since when they fail in it."""
        bad = {key: track.bad_since for key, track in self.memory.tracks.items()}
        found = ((key, bad.get(key), window.since.get(key)) for window in windows for key in window.failing)
        return {
            key: begun if since is None else since
            for key, begun, since in found
            if begun is not None and (since is None or begun <= since)
        }

    def _growing(self, vantage: str, told: frozenset[str]) -> Iterator[frozenset[str]]:
        """Yield the paths, without their home, of probes on their way to a unanimous window.

        One that is unanimous already, in rounds that are not yet the fullest, is on its way too.
        """
        for probe in self.chain.probes_of(vantage):
            says, length = self.history.run(probe.key, vantage)
            waiting = says is Says.FAIL and probe.key not in told
            if says is not Says.NEITHER and length >= 2 and (length < self.history.length or waiting):
                yield frozenset(probe.path[1:])

    def _ripe(self, key: str, window: Window, growing: Sequence[frozenset[str]]) -> bool:
        """Return whether nothing that would sharpen this probe's conflict is on its way."""
        if key in self.book.confirmed_probes:
            return True
        if self.model.probes[key].pace is Pace.OWN:
            return self.history.slow.settled(key)
        _, length = self.history.run(key, window.vantage)
        if length >= self.history.length + PATIENCE_ROUNDS:
            return True
        segments = {self.model.segment_of[n] for n in window.failing[key]}
        return all(segments.isdisjoint(others) for others in growing)

    def incidents(self) -> tuple[Incident, ...]:
        """Return the open incidents, suspected ones included, oldest first."""
        if not self.excesses.open:
            return self.book.ordered()
        return tuple(sorted((*self.book.ordered(), *self.excesses.open.values()), key=lambda i: (i.opened, i.id)))

    def segment_states(self, now: float) -> dict[str, str]:
        """Return `ok`, `degraded` (proven slow), `failed`, `suspected`, `masked` or `unknown` for every segment."""
        return slow(segment_states(self.model, self.memory, self.book.ordered(), now), self.excesses.open.values())

    def service_states(self, now: float) -> dict[str, str]:
        """Return `up`, `degraded`, `down` or `unobserved` for every service (Y.1563)."""
        return worse(service_states(self.chain, self.memory, now), self.excesses.open.values())

    def save(self) -> bytes:
        """Return the state that survives a restart, as JSON."""
        memory = self.memory
        grounds = saved(self.book.grounds, self.model)
        state = Saved(
            incidents=self.book.ordered(),
            tracks=memory.tracks,
            availability=memory.availability,
            grounds=grounds,
            excesses=tuple(self.excesses.open.values()),
        )
        return msgspec.json.encode(state)

    def usual(self) -> bytes | None:
        """Return the references of delay and loss as JSON, to be kept now and then; None where nothing is watched."""
        return msgspec.json.encode(self.excesses.watch.save()) if self.excesses.watch.watched else None

    def recall(self, usual: bytes) -> None:
        """Go on with references that were kept; raises ValueError when they are none."""
        try:
            self.excesses.watch.recall(msgspec.json.decode(usual, type=dict[str, SavedSeries]))
        except msgspec.DecodeError as error:
            raise ValueError(f"no kept references: {error}") from error


def _decode(saved: bytes) -> Saved:
    try:
        return msgspec.json.decode(saved, type=Saved)
    except msgspec.DecodeError as error:
        raise ValueError(f"not a saved engine state: {error}") from error
