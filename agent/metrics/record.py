"""The agent's own counters, fed by the daemon's loop and read by scrapes.

Every method runs in the loop's thread, does no I/O and returns at once. What a scrape needs is
copied by `view`; rendering (`agent.metrics.exposition`) happens elsewhere, from values.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from agent.clock import Clock, SystemClock
from agent.incident.value import Event, Kind, Transition
from agent.metrics.probe_families import SELF_METRICS
from agent.metrics.tally import (
    LAG_BOUNDS,
    Tally,
    add,
    count,
    count_bug,
    empty_histogram,
    empty_tally,
    forget_last,
)
from agent.metrics.view import Firing, Running, View
from agent.model import Chain
from agent.observation import SELF, Observation
from agent.snapshot import Snapshot
from probes.kit.spec import Metric

# Where observations can be dropped when a queue is full; incidents never are.
SINKS = ("ledger", "store")


class Metrics:
    """All series of one agent; only its own vantage's probes.

    `type_metrics` maps each configured probe type to the metrics of its Spec: only what a type
    declares is exposed. `operator` and `version` are shown as they are; `files` are the databases whose
    size is shown, by what they hold (`ledger`, `store`).
    """

    def __init__(
        self,
        chain: Chain,
        vantage: str,
        operator: str,
        version: str,
        *,
        type_metrics: Mapping[str, tuple[Metric, ...]] | None = None,
        clock: Clock | None = None,
        files: Mapping[str, str] | None = None,
    ) -> None:
        self._files = dict(files or {})
        self._vantage = vantage
        self._operator = operator
        self._version = version
        self._clock = clock or SystemClock()
        self._snapshot: Snapshot | None = None
        self._tallies: dict[str, Tally] = {}
        self._firing: tuple[Firing, ...] = ()
        self._incidents: Counter[tuple[str, str]] = Counter()
        self._dropped: Counter[str] = Counter(dict.fromkeys(SINKS, 0))
        self._running = Running()
        self._stalls = 0
        self._lag = empty_histogram(LAG_BOUNDS)
        self._reload_successful = True
        self._reload_at: float | None = None
        self._notify_up: bool | None = None
        self._notify_at: float | None = None
        self._ledger_entries: int | None = None
        self._chain = chain
        self._extra: dict[str, Metric] = {}
        self.configure(chain, type_metrics or {})

    def configure(self, chain: Chain, type_metrics: Mapping[str, tuple[Metric, ...]] | None = None) -> None:
        """Take a (re)loaded chain: series of new probes appear at zero, those of removed ones go.

        A probe whose settings changed keeps its counters and loses its last result.
        """
        if type_metrics is not None:
            self._extra = {m.name: m for metrics in (SELF_METRICS, *type_metrics.values()) for m in metrics}
        old = self._chain.probes
        tallies = {SELF: self._tallies.get(SELF, empty_tally())}
        for probe in chain.probes_of(self._vantage):
            tally = self._tallies.get(probe.id, empty_tally())
            same = probe.id in old and old[probe.id].settings_hash == probe.settings_hash
            tallies[probe.id] = tally if same else forget_last(tally)
        self._tallies = tallies
        self._chain = chain
        for kind in Kind:
            for party in chain.parties if kind is Kind.ATTRIBUTED else ("",):
                self._incidents.setdefault((kind.value, party), 0)

    def result(self, probe: str, observation: Observation, values: Mapping[str, float] | None = None) -> None:
        """Count one result of an own probe (or `self`); others' results are not ours to show."""
        tally = self._tallies.get(probe)
        if tally is not None:
            self._tallies[probe] = count(tally, observation, values or {}, self._clock.boot())

    def update(self, snapshot: Snapshot) -> None:
        """Take the latest picture of segments, services, incidents and peers."""
        if snapshot.chain.hash != self._chain.hash:
            self.configure(snapshot.chain)
        self._snapshot = snapshot

    def transition(self, transition: Transition) -> None:
        """Count a confirmed incident, once, under what it was when it was confirmed."""
        if transition.event is Event.CONFIRMED:
            incident = transition.incident
            self._incidents[incident.kind.value, incident.party or ""] += 1

    def dropped(self, sink: str, observations: int = 1) -> None:
        """Count observations that a full queue of `sink` (one of SINKS) did not take."""
        self._dropped[sink] += observations

    def bug(self, probe: str) -> None:
        """Count an exception that escaped from a probe's runner."""
        tally = self._tallies.get(probe)
        if tally is not None:
            self._tallies[probe] = count_bug(tally)

    def runs(self, running: Running) -> None:
        """Take what the parts of the agent have counted since the start."""
        self._running = running

    def stalled(self) -> None:
        """Count a blocked event loop that the watchdog noticed."""
        self._stalls += 1

    def lag(self, seconds: float, starts: int = 1) -> None:
        """Count how late (seconds) the scheduler started so many probes together."""
        self._lag = add(self._lag, LAG_BOUNDS, max(0.0, seconds), starts)

    def reloaded(self, *, successful: bool) -> None:
        """Note the result of (re)loading the configuration; the first load counts."""
        self._reload_successful = successful
        if successful:
            self._reload_at = self._clock.wall()

    def notified(self, *, up: bool | None) -> None:
        """Note whether an Alertmanager takes our alerts; None: none is configured."""
        self._notify_up = up
        if up:
            self._notify_at = self._clock.wall()

    def firing(self, alerts: Iterable[Firing]) -> None:
        """Take the alerts that fire now: (incident id, addressed party, severity)."""
        self._firing = tuple(alerts)

    def ledger(self, *, entries: int) -> None:
        """Note how many entries the ledger holds."""
        self._ledger_entries = entries

    def view(self) -> View:
        """Return everything that a scrape shows, as it is now; cheap, for the loop's thread."""
        return View(
            chain=self._chain,
            vantage=self._vantage,
            operator=self._operator,
            version=self._version,
            boot=self._clock.boot(),
            tallies=dict(self._tallies),
            snapshot=self._snapshot,
            firing=self._firing,
            incidents=dict(self._incidents),
            dropped=dict(self._dropped),
            running=self._running,
            stalls=self._stalls,
            lag=self._lag,
            reload_successful=self._reload_successful,
            reload_at=self._reload_at,
            notify_up=self._notify_up,
            notify_at=self._notify_at,
            ledger_entries=self._ledger_entries,
            extra=self._extra,
            files=self._files,
        )
