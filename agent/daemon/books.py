"""What an agent does for its ledger beside its incidents, in one place: evidence, hours, terms, what people enter.

What must stay true: all of it goes through the recorder's `enter`; none of it is in the loop's way.
"""

from collections.abc import Callable
from pathlib import Path

from agent.alerts import Work
from agent.clock import Clock
from agent.daemon.acknowledging import Acknowledging
from agent.daemon.announced import AnnouncedDuty
from agent.daemon.attempts import Log, Spawn
from agent.daemon.clerk import Clerk, Duty
from agent.daemon.entering import Entering
from agent.daemon.evidence import EvidenceDuty
from agent.daemon.hours import HoursDuty
from agent.daemon.lasting import lasting
from agent.daemon.late import LateDuty
from agent.daemon.recording import Recorder
from agent.daemon.records import Records
from agent.daemon.restart import RestartDuty
from agent.daemon.second_look import SecondLook
from agent.daemon.terms import TermsDuty
from agent.ledger import DATABASE as LEDGER
from agent.ledger.cases import Recorded
from agent.model import Chain, Host, Peer
from agent.snapshot import Noted
from agent.store import DATABASE as STORE


class Books:
    """The parts of one agent; made and called in the loop's thread."""

    def __init__(
        self,
        host: Host,
        chain: Chain,
        recorder: Recorder,
        *,
        clock: Clock,
        log: Log,
        spawn: Spawn,
        flush: Callable[[], bool],
        show: Callable[[tuple[str, Noted]], None],
        firing: Callable[[], frozenset[tuple[str, str]]],
        announced: Callable[[tuple[Work, ...]], None],
    ) -> None:
        """Make them; `flush` writes what the store holds back, `show` takes what stands beside an incident.

        `firing` gives incident and addressed party of every alert that fires; `announced` hears of maintenance.
        """
        self._host, self._chain, self._spawn, self._log = host, chain, spawn, log
        self._ledger, self._store = Path(host.data) / LEDGER, Path(host.data) / STORE
        ledger, enter, vantage = self._ledger, recorder.enter, host.vantage
        look = SecondLook(ledger=ledger, enter=enter, chain=self._in_force, vantage=vantage)
        self.evidence = EvidenceDuty(
            ledger=ledger, store=self._store, flush=flush, enter=enter, chain=chain, vantage=vantage, complete=look
        )
        self.hours = HoursDuty(ledger=ledger, store=self._store, enter=enter, vantage=vantage)
        self._terms = TermsDuty(ledger=ledger, enter=enter, vantage=vantage, retention=host.retention)
        self.entering = Entering(ledger=ledger, enter=enter, chain=self._in_force, vantage=vantage, clock=clock)
        self._acknowledging = Acknowledging(
            ledger=ledger, enter=enter, vantage=vantage, clock=clock, log=log, urls=self._alertmanagers, firing=firing
        )
        self._records = Records(ledger, show)
        self._announced = AnnouncedDuty(ledger, announced)
        recorder.entered = self._entered
        self.clerk = Clerk(self._duties(recorder, look), clock, log, spawn)

    def _duties(self, recorder: Recorder, look: SecondLook) -> dict[str, Duty]:
        """Return what the clerk does, in the order in which it begins."""
        ledger, enter, vantage = self._ledger, recorder.enter, self._host.vantage
        late = LateDuty(
            ledger=ledger,
            enter=enter,
            chain=self._in_force,
            peers=self._peers,
            vantage=vantage,
            key=recorder.signer.verifier if recorder.signer else None,
            look=look,
            log=self._log,
        )
        return {
            "announced": self._announced,
            "restart": RestartDuty(ledger=ledger, store=self._store, enter=enter, vantage=vantage),
            "records": self._records,
            "evidence": self.evidence,
            "hours": self.hours,
            "terms": self._terms,
            "late": late,
        }

    def _entered(self, recorded: Recorded) -> None:
        """Hear of an entry of another part of the agent, from any thread."""
        self._records.entered(recorded)
        self._announced.entered(recorded)

    def start(self) -> None:
        """Begin what is no duty of the clerk's."""
        self._spawn(lasting(self._acknowledging.run, self._log, "acknowledging-failed"))

    def configure(self, host: Host, chain: Chain) -> None:
        """Take up a reloaded configuration."""
        self._host, self._chain = host, chain
        self.evidence.configure(chain)
        self._terms.configure(host.retention)

    def _alertmanagers(self) -> tuple[str, ...]:
        return self._host.alertmanagers

    def _peers(self) -> tuple[Peer, ...]:
        return self._host.peers

    def _in_force(self) -> Chain:
        return self._chain
