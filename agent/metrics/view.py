"""One consistent picture of everything that a scrape shows; values only, safe in another thread."""

from collections.abc import Mapping

import msgspec

from agent.metrics.tally import Histogram, Tally
from agent.model import Chain
from agent.snapshot import Snapshot
from probes.kit.spec import Metric

# Seconds that a self-check's result holds: it runs every round, and a round may last some seconds.
SELF_HOLDS = 10.0

Firing = tuple[str, str, str]  # incident id, addressed party, severity


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """What the parts of a running agent have counted since its start."""

    missed: int = 0
    refused: int = 0
    confirmations: int = 0
    host_events: int = 0
    host_overruns: int = 0
    stored: int = 0
    queued: int = 0
    sink_errors: Mapping[str, int] = {}
    duty_failures: Mapping[str, int] = {}
    bound_until: float | None = None


class View(msgspec.Struct, frozen=True, kw_only=True):
    """`boot` is the moment of the scrape, in boot-time seconds.

    `snapshot` is None until the first evaluation. `notify_up` is None while no Alertmanager is
    configured. `extra` are the metrics that the configured probe types add, by name. `files` are the
    paths of the databases, by what they hold.
    """

    chain: Chain
    vantage: str
    operator: str
    version: str
    boot: float
    tallies: Mapping[str, Tally]
    snapshot: Snapshot | None
    firing: tuple[Firing, ...]
    incidents: Mapping[tuple[str, str], int]
    dropped: Mapping[str, int]
    running: Running
    stalls: int
    lag: Histogram
    reload_successful: bool
    reload_at: float | None
    notify_up: bool | None
    notify_at: float | None
    ledger_entries: int | None
    extra: Mapping[str, Metric]
    files: Mapping[str, str]

    def holding(self) -> dict[str, Tally]:
        """Return the tallies of the probes whose last result still holds.

        A result holds until the next one, or for interval + timeout: after that the probe is
        unmeasured, and absence of data is never a good state.
        """
        found: dict[str, Tally] = {}
        for probe, tally in self.tallies.items():
            configured = self.chain.probes.get(probe)
            holds = SELF_HOLDS if configured is None else configured.interval + configured.timeout
            if tally.last is not None and self.boot - tally.arrived <= holds:
                found[probe] = tally
        return found
