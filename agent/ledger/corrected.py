"""Incidents as corrections tell them, and a sentence for each correction, applied or not. Pure.

What must stay true: only corrections that people signed change what a report counts; each is named, with
who approved it and what stood before, so that nobody has to take the corrected figure on trust.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import UNSET

from agent.incident.value import Incident
from agent.ledger.correction import apply
from agent.ledger.dossier import Correction, Window
from agent.ledger.storage import first_name

_NANO = 1_000_000_000


class Numbered(msgspec.Struct, frozen=True, kw_only=True):
    """A correction, and its entry's index in which log."""

    index: int
    correction: Correction
    log: str = ""

    @property
    def where(self) -> str:
        """Return which entry it is; the log is named where it is not an agent's first."""
        return f"entry {self.index}" + (f" of {self.log}" if self.log != first_name(self.log) else "")


class Agreed(msgspec.Struct, frozen=True, kw_only=True):
    """Maintenance that was agreed afterwards, and by whom."""

    window: Window
    agreed: str


class Corrected(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of incidents: they themselves, maintenance that was agreed on, a sentence for each correction."""

    incidents: tuple[Incident, ...]
    agreed: tuple[Agreed, ...]
    sentences: tuple[str, ...]


def corrected(incidents: Sequence[Incident], corrections: Iterable[Numbered]) -> Corrected:
    """Apply corrections in the order of the ledger."""
    current = {incident.id: incident for incident in incidents}
    agreed, sentences = [], []
    for one in corrections:
        said = one.correction
        before = current.get(said.incident)
        counts = said.standing == "signed" and before is not None
        sentences.append(_sentence(one, before, counts=counts))
        if before is None or not counts:
            continue
        current[said.incident] = apply(before, said.change)
        if said.change.maintenance is not UNSET:
            agreed.append(Agreed(window=said.change.maintenance, agreed=f"correction, {one.where}: {_by(said)}"))
    order = sorted(current.values(), key=lambda incident: (incident.opened, incident.id))
    return Corrected(incidents=tuple(order), agreed=tuple(agreed), sentences=tuple(sentences))


def _sentence(one: Numbered, before: Incident | None, *, counts: bool) -> str:
    said = one.correction
    changes = "; ".join(_changes(said, before)) if before else "of an incident that this ledger does not hold"
    effect = "counted here" if counts else "not counted: its approvals are on paper" if before else "not counted"
    return f"correction, {one.where}, incident {said.incident}: {changes}; approved by {_by(said)}; {effect}"


def _by(said: Correction) -> str:
    return ", ".join(f"{one.party} ({one.role}, {one.means})" for one in said.approved)


def _changes(said: Correction, before: Incident) -> Iterable[str]:
    after = apply(before, said.change)
    for name in ("kind", "parties", "candidates", "segments", "opened", "closed"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            yield f"{name} {_shown(old)} becomes {_shown(new)}"
    window = said.change.maintenance
    if window is not UNSET:
        times = f"{_shown(window.opened / _NANO)} to {_shown(window.closed / _NANO)}"
        yield f"agreed maintenance of {window.party} from {times}"


def _shown(value: object) -> str:
    match value:
        case float():
            return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case tuple():
            return ", ".join(value) or "none"
        case None:
            return "none"
        case _:
            return str(value)
