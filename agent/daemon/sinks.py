"""Everything that is told of observations and transitions: ledger, store, journal, metrics, alerts.

What must stay true: the sinks do not know each other; none can stop another or the probing; what stops
recording is said in the picture, the log and the metrics.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from agent import __version__
from agent.alerts import Notifier, Work
from agent.availability.fold import Cadence
from agent.clock import Clock
from agent.daemon.attempts import Log, Spawn
from agent.daemon.blindness import Blindness
from agent.daemon.books import Books
from agent.daemon.clocks import Clocks
from agent.daemon.cosigning import Cosigning
from agent.daemon.diagnosing import ObservationSink, TransitionSink
from agent.daemon.drifting import Drifting
from agent.daemon.lasting import lasting
from agent.daemon.picture import Picture
from agent.daemon.recording import Recorder
from agent.daemon.runners import load_module
from agent.incident.value import Incident, Transition
from agent.journal import Journal
from agent.ledger import DATABASE as LEDGER
from agent.metrics import Metrics
from agent.metrics.view import Running
from agent.model import Chain, Host
from agent.observation import Observation
from agent.seal import Pages, Voice
from agent.snapshot import Snapshot
from agent.store import DATABASE, Store
from agent.store.store import Limits
from agent.store.tables import StoreGap

Told = TypeVar("Told")
ALERTS_FILE = "alerts.json"
# Of the 5 s that a stop has: the web server takes up to 3, these run beside it in the order of weight.
LEDGER_STOP_SECONDS = 2.0
STORE_STOP_SECONDS = 1.0
AGAIN_SECONDS = 1.0


class Sinks:
    """Opens the sinks of one data directory. Methods run in the loop's thread."""

    def __init__(
        self,
        host: Host,
        chain: Chain,
        *,
        clock: Clock,
        log: Log,
        spawn: Spawn,
        picture: Picture,
        write_line: Callable[[str], object],
    ) -> None:
        self._clock, self._log, self._spawn, self._picture = clock, log, spawn, picture
        self._host, self._chain = host, chain
        self._folder = Path(host.data)
        self._loop = asyncio.get_running_loop()
        self._notifying: asyncio.Task[None] | None = None
        self._dropped = 0
        self.journal = Journal(write_line, chain_hash=chain.hash, vantage=host.vantage)
        self.metrics = self._open_metrics()
        self.blindness = Blindness(chain, host.vantage, log)
        self.recorder = self._open_recorder()
        self.cosigning = Cosigning(
            self.recorder.ledger, chain, host.vantage, clock=clock, log=log, enter=self.recorder.enter
        )
        self.drift = Drifting(self._folder, clock=clock, log=log, spawn=spawn, record=self.recorder, picture=picture)
        self.clocks = Clocks(lambda peer, offset, error: self.recorder.clock(peer, offset, error, clock.wall()))
        self.store = self._open_store(chain)
        self.notifier = self._open_notifier(host, chain)
        self.books = self._open_books()

    @property
    def transition_sinks(self) -> Mapping[str, TransitionSink]:
        """Return what hears of transitions after the ledger."""
        return {
            "journal": self.journal.transition,
            "metrics": self.metrics.transition,
            "alerts": self._alert,
            "evidence": self.books.evidence.transition,
        }

    @property
    def observation_sinks(self) -> Mapping[str, ObservationSink]:
        """Return what hears of every observation."""
        return {
            "metrics": lambda observation, values: self.metrics.result(observation.probe, observation, values),
            "store": lambda observation, _: self.store.observation(observation),
            "blindness": self.blindness.observation,
        }

    def _notify(self) -> asyncio.Task[None]:
        """Keep the notifier running: a bug in it must not end the paging."""
        return self._spawn(lasting(self.notifier.run, self._log, "notifier-failed", AGAIN_SECONDS))

    def _alert(self, transition: Transition) -> None:
        # Looked up each time: a reload may have put another notifier in its place.
        self.notifier.transition(transition)

    def peer_observation(self, observation: Observation) -> None:
        """Keep what a peer observed: it is evidence too."""
        self.store.observation(observation)

    def peer_pages(self, vantage: str, pages: Pages) -> None:
        """Hear what the agent at another vantage pages."""
        self.notifier.peer(vantage, pages)

    def voice(self) -> Voice:
        """Return what an answer to a peer says of this agent."""
        return Voice(
            vantage=self._host.vantage,
            chain=self._chain.hash,
            time=self._clock.wall(),
            pages=self.notifier.pages(),
            signer=self.recorder.signer,
        )

    def start(self, incidents: tuple[Incident, ...]) -> None:
        """Begin; `incidents` are those that the engine took over from before the start."""
        self.recorder.started(self._clock.wall())
        self.drift.configure(self._chain, self._host.vantage)
        self.notifier.restore(incidents)
        self._notifying = self._notify()
        self.books.start()
        self.metrics.reloaded(successful=True)

    def configure(self, host: Host, chain: Chain, incidents: tuple[Incident, ...]) -> None:
        """Take up a reloaded configuration."""
        elsewhere = (host.alertmanagers, host.external_url) != (self._host.alertmanagers, self._host.external_url)
        recadenced = cadences(chain) != cadences(self._chain)
        self._host, self._chain = host, chain
        self.metrics.configure(chain, type_metrics(chain, host.vantage))
        self.blindness.configure(chain)
        self.journal.reloaded(chain.hash)
        self.recorder.loaded(chain, self._clock.wall())
        self.drift.configure(chain, host.vantage)
        self.books.configure(host, chain)
        if recadenced:
            self.store.configure(cadences(chain))
        if elsewhere and self._notifying is not None:
            self._notifying.cancel()
            self.notifier = self._open_notifier(host, chain)
            self.notifier.restore(incidents)
            self._notifying = self._notify()
        else:
            self.notifier.configure(chain)
        self.metrics.reloaded(successful=True)

    def refuse(self, problems: tuple[str, ...]) -> None:
        """Say that a configuration was refused."""
        self.metrics.reloaded(successful=False)
        for problem in problems:
            self._log.error("reload-refused", problem=problem, remedy="the running configuration stays in force")
        self.recorder.refused_configuration("; ".join(problems), self._clock.wall())

    def each_round(self, snapshot: Snapshot, running: Running) -> None:
        """Bring what is shown up to date."""
        self.drift.each_round()
        self.clocks.each_round(snapshot.peers, self._clock.wall())
        self.books.clerk.turn()
        self.metrics.update(snapshot)
        self.metrics.ledger(entries=self.recorder.size)
        self.metrics.firing(self.notifier.firing())
        self.metrics.notified(up=self.notifier.up)
        health = self.store.health
        self.metrics.runs(
            msgspec.structs.replace(
                running,
                stored=health.written,
                queued=health.queued,
                duty_failures=dict(self.books.clerk.failures),
                bound_until=self.books.hours.bound_until,
            )
        )
        if health.dropped > self._dropped:
            self.metrics.dropped("store", health.dropped - self._dropped)
        self._dropped = health.dropped
        if health.recording != self._picture.recording.store:
            self._picture.record(store=health.recording, detail=health.reason or self.recorder.trouble)

    def stop(self, reason: str) -> None:
        """Record the stop, write what waits and close."""
        self.drift.save()
        if not self.recorder.stop(self._clock.wall(), reason, LEDGER_STOP_SECONDS):
            self._log.error("ledger-not-closed", within_seconds=LEDGER_STOP_SECONDS)
        if not self.store.close(STORE_STOP_SECONDS):
            self._log.error("store-not-closed", within_seconds=STORE_STOP_SECONDS)

    def _open_metrics(self) -> Metrics:
        return Metrics(
            self._chain,
            self._host.vantage,
            self._chain.vantages[self._host.vantage].operator,
            __version__,
            type_metrics=type_metrics(self._chain, self._host.vantage),
            clock=self._clock,
            files={"ledger": str(self._folder / LEDGER), "store": str(self._folder / DATABASE)},
        )

    def _open_recorder(self) -> Recorder:
        recorder = Recorder(
            self._folder,
            self._chain,
            self._host.vantage,
            stopped=self._in_loop(self._ledger_stopped),
            refused=self._in_loop(self._entry_refused),
        )
        if recorder.exposed:
            self._log.warning("ledger-key-exposed", problem=recorder.exposed)
        if recorder.trouble:
            self._picture.record(ledger=False, detail=recorder.trouble)
        return recorder

    def _open_books(self) -> Books:
        return Books(
            self._host,
            self._chain,
            self.recorder,
            clock=self._clock,
            log=self._log,
            spawn=self._spawn,
            flush=self.store.flush,
            show=self._in_loop(lambda shown: self._picture.note(*shown)),
            firing=lambda: frozenset((incident, to) for incident, to, _ in self.notifier.firing()),
            announced=self._in_loop(self._announced),
        )

    def _open_store(self, chain: Chain) -> Store:
        self._dropped = 0
        return Store.open(
            self._folder / DATABASE,
            cadences=cadences(chain),
            limits=Limits(
                raw_seconds=self._host.retention.raw,
                most_bytes=self._host.retention.raw_bytes,
                minute_seconds=self._host.retention.rollups,
            ),
            alarm=self._in_loop(self._store_stopped),
            on_gap=self._in_loop(self._store_goes_on),
            clock=self._clock,
        )

    def _open_notifier(self, host: Host, chain: Chain) -> Notifier:
        return Notifier(
            chain,
            host.alertmanagers,
            page_url=host.external_url,
            state_file=self._folder / ALERTS_FILE,
            clock=self._clock,
            vantage=host.vantage,
            handed=lambda handed: self.recorder.escalation(handed, self._clock.wall()),
            changes=lambda: self._picture.drift.changes,
        )

    def _in_loop(self, act: Callable[[Told], None]) -> Callable[[Told], None]:
        def call(told: Told) -> None:
            # A writer's thread may still report while the loop is already gone; then nobody listens.
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(act, told)

        return call

    def _announced(self, works: tuple[Work, ...]) -> None:
        self.notifier.announced(works)

    def _ledger_stopped(self, reason: str) -> None:
        self._picture.record(ledger=False, detail=reason)
        self._log.error("ledger-stopped", reason=reason, remedy="repair the cause, then restart the agent")

    def _entry_refused(self, reason: str) -> None:
        self.metrics.dropped("ledger")
        self._log.warning("ledger-entry-refused", reason=reason)

    def _store_stopped(self, reason: str) -> None:
        self._log.error("store-stopped", reason=reason, remedy="it goes on by itself when the disk takes data again")

    def _store_goes_on(self, gap: StoreGap) -> None:
        self._log.info("store-goes-on", dropped=gap.dropped)
        self.recorder.gap(
            "store",
            opened=gap.opened,
            closed=gap.closed,
            reason=gap.reason,
            dropped=gap.dropped,
            now=self._clock.wall(),
        )


def type_metrics(chain: Chain, vantage: str) -> dict[str, Any]:
    """Return the metrics that the configured probe types of a vantage declare."""
    types = {probe.type for probe in chain.probes_of(vantage)}
    return {name: load_module(name).SPEC.metrics for name in types}


def cadences(chain: Chain) -> dict[str, Cadence]:
    """Return how often each probe of a service measures: their seconds are kept for reports."""
    return {
        probe.key: Cadence(interval=probe.interval, timeout=probe.timeout)
        for probe in chain.probes.values()
        if probe.service
    }
