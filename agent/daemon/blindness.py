"""Says in the log that a slow source cannot be read, and why: once, and again for another reason or when it can.

Sources that confirm at their own pace (Graph, the Connect server's page) are asked every few minutes by rights that
others grant. That they are blind opens no incident; whoever looks after the agent reads it here.
"""

from collections.abc import Mapping

from agent.daemon.attempts import Log
from agent.model import Chain
from agent.observation import Observation
from agent.words.terms import fault_words
from probes.kit.result import Outcome
from probes.kit.spec import Pace


class Blindness:
    """What each slow source of this vantage is blind by."""

    def __init__(self, chain: Chain, vantage: str, log: Log) -> None:
        self._vantage = vantage
        self._log = log
        self._faults: dict[str, str | None] = {}
        self.configure(chain)

    def configure(self, chain: Chain) -> None:
        """Take up a chain; what is known of its slow sources stays."""
        slow = (probe.id for probe in chain.probes_of(self._vantage) if probe.pace is Pace.OWN)
        self._faults = {name: self._faults.get(name) for name in slow}

    def observation(self, observation: Observation, _values: Mapping[str, float]) -> None:
        """Say what has changed with this result."""
        probe = observation.probe
        if probe not in self._faults:
            return
        fault = observation.fault or "" if observation.outcome is Outcome.UNKNOWN else None
        if fault == self._faults[probe]:
            return
        self._faults[probe] = fault
        if fault is None:
            self._log.info("source-seen-again", probe=probe)
            return
        why = fault_words(fault, "en")
        self._log.warning("source-blind", probe=probe, fault=fault, why=why, detail=observation.detail)
