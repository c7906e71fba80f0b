"""One consistent picture of everything that a scrape shows; values only, safe in another thread."""

from collections.abc import Mapping

import msgspec

from agent.metrics.tally import Histogram, Tally
from agent.model import Chain
from agent.observation import SELF
from agent.snapshot import Snapshot
from probes.kit.spec import Metric

# Seconds that a self-check's result holds: it runs every round, and a round may last some seconds.
SELF_HOLDS = 10.0

Firing = tuple[str, str, str]  # incident id, addressed party, severity


class View(msgspec.Struct, frozen=True, kw_only=True):
    """`boot` is the moment of the scrape, in boot-time seconds.

    `snapshot` is None until the first evaluation. `notify_up` is None while no Alertmanager is
    configured. `extra` are the metrics that the configured probe types add, by name.
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
    bugs: Mapping[str, int]
    stalls: int
    lag: Histogram
    reload_successful: bool
    reload_at: float | None
    notify_up: bool | None
    notify_at: float | None
    ledger_entries: int | None
    extra: Mapping[str, Metric]

    def fresh(self, probe: str) -> Tally | None:
        """Return the probe's tally while its last result still holds, else None.

        A result holds until the next one, or for interval + timeout: after that the probe is
        unmeasured, and absence of data is never a good state.
        """
        tally = self.tallies.get(probe)
        if tally is None or tally.last is None:
            return None
        configured = self.chain.probes.get(probe)
        holds = SELF_HOLDS if configured is None else configured.interval + configured.timeout
        return tally if self.boot - tally.arrived <= holds else None

    def types(self) -> dict[str, tuple[str, str, str]]:
        """Return (type, target, service) of every own probe, the self-check included."""
        rows = {SELF: (SELF, "", "")}
        rows.update({p.id: (p.type, p.target, p.service or "") for p in self.chain.probes_of(self.vantage)})
        return rows
