"""Looks at an ended incident again with all results that are now in the ledger, late ones included.

What must stay true: it runs in a process of its own at low priority, on exactly the evidence that the ledger
holds, so that anybody who has the proof can do the same; it never changes what was found.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent.daemon.evidence import RECEIPT_SECONDS, Enter
from agent.incident.value import Incident, State, Support
from agent.ledger import body
from agent.ledger.cases import read_details
from agent.ledger.evidence import unpacked
from agent.ledger.second_look import second_finding, worth_it
from agent.model import Chain
from agent.replay import ReplayIncident

# Forty minutes of 64 probes are diagnosed in some seconds.
LIMIT_SECONDS = 120.0
_REPLAY = "from agent.cli.main import main; main()"


class _Replayed(msgspec.Struct, frozen=True):
    incidents: tuple[ReplayIncident, ...]


class SecondLook:
    """Called with an incident when its evidence is complete; in a duty's thread."""

    def __init__(self, *, ledger: Path, enter: Enter, chain: Callable[[], Chain], vantage: str) -> None:
        self._ledger, self._enter = ledger, enter
        self._chain, self._vantage = chain, vantage

    def __call__(self, incident: Incident, now: float) -> None:
        """Record a second finding if there is one that says more; OSError or subprocess.SubprocessError."""
        chain = self._chain()
        if not chain.source or not worth_it(incident, len(chain.vantages)):
            return
        held = read_details(self._ledger, incident.id, "observations")
        lines = sorted({line for data in held.values() for line in unpacked(data)})
        second = second_finding(incident, replayed(chain, lines))
        if second is not None:
            entry = body.Reattribution(
                time=body.nanoseconds(now),
                chain=chain.hash,
                vantage=self._vantage,
                incident=body.finding_of(second),
                evidence=tuple(held),
            )
            self._enter(entry).result(RECEIPT_SECONDS)


def replayed(chain: Chain, lines: list[bytes]) -> tuple[Incident, ...]:
    """Return what `demarc replay` finds in these results, in another process."""
    with tempfile.TemporaryDirectory(prefix="demarc-") as folder:
        file = Path(folder) / "chain.yml"
        file.write_bytes(chain.source)
        command = [sys.executable, "-c", _REPLAY, "replay", "--format", "json", "--chain", str(file), "-"]
        done = subprocess.run(
            ["nice", "-n", "10", *command],
            input=b"\n".join(lines),
            capture_output=True,
            timeout=LIMIT_SECONDS,
            check=True,
        )
    found = msgspec.json.decode(done.stdout, type=_Replayed).incidents
    return tuple(_incident(one) for one in found)


def _incident(one: ReplayIncident) -> Incident:
    return Incident(
        id=one.id,
        state=State.CLOSED,
        kind=one.kind,
        parties=one.parties,
        candidates=one.candidates,
        segments=one.segments,
        services=one.services,
        mover="",
        standing=one.standing,
        rests_on=one.rests_on,
        margin=one.margin,
        decide_with=one.decide_with,
        support=Support(failing=one.support.failing, exonerating=one.support.exonerating),
        opened=one.opened,
        closed=one.closed,
    )
