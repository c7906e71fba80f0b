"""Looks at an ended incident again with all results that are now in the ledger, late ones included.

What must stay true: it runs in a process of its own at low priority, on exactly the evidence that the ledger
holds, so that anybody who has the proof can do the same; it never changes what was found.
"""

import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import msgspec

from agent.daemon.evidence import RECEIPT_SECONDS, Enter
from agent.incident.value import Incident, State, Support
from agent.ledger.body import Reattribution, finding_of, incident_of, nanoseconds
from agent.ledger.cases import Recorded, read_details, read_recorded
from agent.ledger.dossier import Evidence, Objection
from agent.ledger.evidence import unpacked
from agent.ledger.late import in_time, objections
from agent.ledger.second_look import second_finding, worth_it
from agent.model import Chain
from agent.replay import ReplayIncident

# Forty minutes of 64 probes are diagnosed in some seconds.
LIMIT_SECONDS = 120.0
_REPLAY = "from agent.cli.main import main; main()"


class _Replayed(msgspec.Struct, frozen=True):
    incidents: tuple[ReplayIncident, ...]


class SecondLook:
    """Called with an ended incident when there is evidence to be looked at; in a duty's thread."""

    def __init__(self, *, ledger: Path, enter: Enter, chain: Callable[[], Chain], vantage: str) -> None:
        self._ledger, self._enter = ledger, enter
        self._chain, self._vantage = chain, vantage

    def __call__(self, incident: Incident, now: float) -> None:
        """Record what all results say if it is more; OSError or subprocess.SubprocessError.

        What came within the term makes a second finding; what came later an objection, beside what stands then.
        """
        chain = self._chain()
        if not chain.source or not worth_it(incident, len(chain.vantages)):
            return
        lines = {n: unpacked(data) for n, data in read_details(self._ledger, incident.id, "observations").items()}
        entries = self._about(incident)
        held = {one.index: one.entry for one in entries if isinstance(one.entry, Evidence) and one.index in lines}
        good = {index for index, entry in held.items() if in_time(entry, incident)}
        seconds = [one.entry.incident for one in entries if isinstance(one.entry, Reattribution)]
        stands = incident_of(seconds[-1]) if seconds else incident
        second = second_finding(stands, _replayed(chain, lines, good))
        at = nanoseconds(now)
        if second is not None:
            stands, told = second, finding_of(second)
            entry = Reattribution(
                time=at, chain=chain.hash, vantage=self._vantage, incident=told, evidence=tuple(sorted(good))
            )
            self._enter(entry).result(RECEIPT_SECONDS)
        belated = held.keys() - good
        otherwise = second_finding(stands, _replayed(chain, lines, held)) if belated else None
        if otherwise is not None:
            known = {one.entry.id for one in entries if isinstance(one.entry, Objection)}
            late = [held[index] for index in sorted(belated)]
            for objection in objections(otherwise, late, chain, vantage=self._vantage, now=at):
                if objection.id not in known:
                    self._enter(objection).result(RECEIPT_SECONDS)

    def _about(self, incident: Incident) -> list[Recorded]:
        kinds = ("evidence", "reattribution", "objection")
        opened = nanoseconds(incident.opened)
        return [
            one
            for one in read_recorded(self._ledger, kinds, opened)
            if isinstance(one.entry, Evidence | Reattribution | Objection) and about(one.entry) == incident.id
        ]


def about(entry: Evidence | Reattribution | Objection) -> str:
    """Return the incident that an entry is about."""
    return entry.incident if isinstance(entry.incident, str) else entry.incident.id


def _replayed(chain: Chain, lines: Mapping[int, list[bytes]], of: Collection[int]) -> tuple[Incident, ...]:
    return replayed(chain, sorted({line for index in of for line in lines[index]}))


def replayed(chain: Chain, lines: list[bytes]) -> tuple[Incident, ...]:
    """Return what `demarc replay` finds in these results, in another process."""
    import tempfile  # noqa: PLC0415 - a second look is rare

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
