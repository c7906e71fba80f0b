"""A store that a test opens and closes, its clock, and results to put into it."""

from pathlib import Path

from agent.availability.fold import Cadence
from agent.observation import Observation
from agent.store import DATABASE, Store
from agent.store.store import Limits
from agent.store.tables import StoreGap
from probes.kit.result import Outcome

NOW = 1_795_442_400.0
QUICK = Limits(batch_seconds=0.01, retry_seconds=0.02, span_seconds=0.05, forget_seconds=0.05)
CADENCES = {"cloud>erp": Cadence(interval=1.0, timeout=1.0)}
WAIT = 10.0


class FakeClock:
    """A wall clock that stands, and a boot clock that runs with every look."""

    def __init__(self) -> None:
        self.now = NOW
        self.looks = 0.0

    def wall(self) -> float:
        """Return the present."""
        return self.now

    def boot(self) -> float:
        """Return a time that rises."""
        self.looks += 0.01
        return self.looks


def seen(number: int, outcome: Outcome = Outcome.OK, vantage: str = "cloud", probe: str = "erp") -> Observation:
    """Return the result of a second."""
    return Observation(
        time=NOW + number + 0.125, round=number, vantage=vantage, probe=probe, outcome=outcome, seconds=0.01
    )


class Opened:
    """A store with what it told."""

    def __init__(self, folder: Path, limits: Limits = QUICK) -> None:
        self.alarms: list[str] = []
        self.gaps: list[StoreGap] = []
        self.clock = FakeClock()
        self.store = Store.open(
            folder / DATABASE,
            cadences=CADENCES,
            limits=limits,
            alarm=self.alarms.append,
            on_gap=self.gaps.append,
            clock=self.clock,
        )

    def take(self, *observations: Observation) -> None:
        """Give results and wait until they are written or lost."""
        for observation in observations:
            self.store.observation(observation)
        assert self.store.flush(WAIT)
