"""What the ledger's signed entries tell a report: the incidents as they last stood, chains and gaps."""

import sqlite3
from pathlib import Path

import msgspec

from agent.incident.value import Event, Incident
from agent.ledger import body as kinds
from agent.ledger.corrected import Numbered
from agent.ledger.dossier import Correction
from agent.ledger.reading import bodies, fields, log_of, newest_checkpoint, over_epochs

# A suspicion that came to nothing, and a part of another incident: neither stands in a report.
_GONE = frozenset({Event.DISMISSED, Event.MERGED})


class History(msgspec.Struct, frozen=True, kw_only=True):
    """The incidents of all epochs under their newest checkpoints, each as it last stood, in order of opening.

    `chains` are the hashes of the chain files under which they were found; `gaps` what was not
    recorded; `corrections` what people said since. `checkpoint` is the present epoch's note, `key` the verifier key
    that it is signed with; `epochs` how many there are, `unread` a sentence for each that could not be read.
    """

    checkpoint: str = ""
    key: str = ""
    incidents: tuple[Incident, ...] = ()
    chains: tuple[str, ...] = ()
    gaps: tuple[kinds.Gap, ...] = ()
    corrections: tuple[Numbered, ...] = ()
    epochs: int = 0
    unread: tuple[str, ...] = ()


def read_history(path: Path) -> History:
    """Read the ledger at `path`, earlier epochs included; StorageError, sqlite3.Error or OSError when that fails.

    Entries that this version does not understand are passed over: `check` notes them.
    """
    history, unread = over_epochs(path, _history, History())
    return msgspec.structs.replace(history, unread=unread)


def _history(connection: sqlite3.Connection, before: History) -> History:
    size, checkpoint = newest_checkpoint(connection)
    key = log_of(connection)
    incidents = {one.id: one for one in before.incidents}
    chains = set(before.chains)
    gaps = list(before.gaps)
    corrections = list(before.corrections)
    for index, form in bodies(connection, size):
        try:
            entry = kinds.read(fields(form))
        except ValueError:
            continue
        if isinstance(entry, kinds.IncidentEntry):
            transition = kinds.to_transition(entry)
            chains.add(entry.chain)
            incidents[transition.incident.id] = transition.incident
            if transition.event in _GONE:
                del incidents[transition.incident.id]
        elif isinstance(entry, kinds.Gap):
            gaps.append(entry)
        elif isinstance(entry, Correction):
            corrections.append(Numbered(index=index, correction=entry, log=key.name))
    return History(
        checkpoint=checkpoint,
        key=str(key),
        incidents=tuple(sorted(incidents.values(), key=lambda one: (one.opened, one.id))),
        chains=tuple(sorted(chains)),
        gaps=tuple(gaps),
        corrections=tuple(corrections),
        epochs=before.epochs + 1,
    )
