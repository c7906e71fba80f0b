"""What the ledger's file holds about incidents and disputes, read back for those who go on from it."""

import sqlite3
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from agent.ledger import body, canonical
from agent.ledger.baseline import Baseline, newest
from agent.ledger.changes import MaintenanceEntry, windows
from agent.ledger.dossier import Correction, Decision, Hold, Objection, Reply, Request
from agent.ledger.entry import Entry
from agent.ledger.reading import over_epochs, with_connection

# One look through the file for all of them: it has no index by kind.
_KINDS = ("hold", "request", "reply", "objection", "decision", "correction", "maintenance", "baseline")


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """An entry with its place: index and leaf hash (hex)."""

    index: int
    hash: str
    entry: Entry


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """A detail that is there: the incident that it is about (empty: none), and the entry's time (ns UTC)."""

    incident: str
    time: int


class Cases(msgspec.Struct, frozen=True, kw_only=True):
    """How things stand: held incidents, requests and objections without an end, details that are there, maintenance.

    `incidents` are the newest entries of those that were asked for; `details` are by entry and name. `baseline` is
    the last one; `began` when the first entry of all was written (ns UTC, 0: none yet).
    """

    incidents: dict[str, Recorded] = {}
    held: frozenset[str] = frozenset()
    requests: dict[str, Request] = {}
    objections: dict[str, Objection] = {}
    details: dict[tuple[int, str], Detail] = {}
    windows: dict[str, MaintenanceEntry] = {}
    corrections: tuple[Recorded, ...] = ()
    baseline: Baseline | None = None
    began: int = 0


def read_recorded(path: Path, kinds: Collection[str], since: int = 0) -> tuple[Recorded, ...]:
    """Return the entries of these kinds from `since` (ns UTC) on, in order; sqlite3.Error, OSError or StorageError.

    What this version does not understand is passed over: `check` notes it.
    """
    return with_connection(path, lambda connection: recorded(connection, kinds, since))


def recorded(
    connection: sqlite3.Connection, kinds: Collection[str], since: int = 0, saying: str = ""
) -> tuple[Recorded, ...]:
    """Return the same of an open file; `saying` bounds it to bodies that hold this text."""
    marks = ",".join("?" * len(kinds))
    query = (
        f"SELECT idx, hash, body FROM leaf WHERE kind IN ({marks}) AND time >= ?"  # noqa: S608 - marks are question marks
        " AND instr(body, CAST(? AS BLOB)) ORDER BY idx"
    )
    found = []
    for index, leaf, data in connection.execute(query, (*kinds, since, saying)):
        try:
            entry = body.read(canonical.decode(data))
        except ValueError:
            continue
        if entry is not None:
            found.append(Recorded(index=index, hash=leaf.hex(), entry=entry))
    return tuple(found)


def read_cases(path: Path, incidents: Iterable[str] = ()) -> Cases:
    """Return how things stand, with the newest entry of these incidents, earlier epochs included.

    The details are the present epoch's: an earlier file is never written again.
    """
    names = tuple(incidents)
    return over_epochs(path, lambda connection, before: _cases(connection, names, before), Cases())[0]


def read_over_epochs(path: Path, kinds: Collection[str]) -> tuple[tuple[Recorded, ...], ...]:
    """Return the entries of these kinds of each epoch, oldest first; raises as `read_recorded`."""
    before: tuple[tuple[Recorded, ...], ...] = ()
    return over_epochs(path, lambda connection, found: (*found, recorded(connection, kinds)), before)[0]


def read_details(path: Path, incident: str, name: str) -> dict[int, bytes]:
    """Return the details of this name of an incident's entries that were not erased, by entry."""

    def step(connection: sqlite3.Connection) -> dict[int, bytes]:
        query = (
            "SELECT leaf, data FROM detail JOIN leaf ON leaf.idx = detail.leaf"
            " WHERE name = ? AND instr(body, CAST(? AS BLOB)) ORDER BY leaf"
        )
        return dict(connection.execute(query, (name, f'"incident":"{incident}"')))

    return with_connection(path, step)


def _cases(connection: sqlite3.Connection, wanted: tuple[str, ...], before: Cases) -> Cases:
    held, requests, objections = set(before.held), dict(before.requests), dict(before.objections)
    found = recorded(connection, _KINDS)
    for one in found:
        match one.entry:
            case Hold(state="held"):
                held.add(one.entry.incident)
            case Hold():
                held.discard(one.entry.incident)
            case Request():
                requests[one.entry.id] = one.entry
            case Reply():
                requests.pop(one.entry.request, None)
            case Objection():
                objections[one.entry.id] = one.entry
            case Decision():
                objections.pop(one.entry.objection, None)
    return Cases(
        incidents=before.incidents
        | {name: told for name in wanted if (told := _incident(connection, name)) is not None},
        held=frozenset(held),
        requests=requests,
        objections=objections,
        details=_details(connection),
        corrections=(*before.corrections, *(one for one in found if isinstance(one.entry, Correction))),
        baseline=newest(tuple(one.entry for one in found)) or before.baseline,
        began=before.began or _first_time(connection),
        windows=windows(
            (*before.windows.values(), *(one.entry for one in found if isinstance(one.entry, MaintenanceEntry)))
        ),
    )


def _first_time(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT time FROM leaf WHERE idx = 0").fetchone()
    return int(row[0]) if row else 0


def _incident(connection: sqlite3.Connection, name: str) -> Recorded | None:
    found = None
    for one in recorded(connection, ("incident",), saying=f'"id":"{name}"'):
        if isinstance(one.entry, body.IncidentEntry) and one.entry.incident.id == name:
            found = one
    return found


def _details(connection: sqlite3.Connection) -> dict[tuple[int, str], Detail]:
    query = "SELECT leaf, name, time, body FROM detail JOIN leaf ON leaf.idx = detail.leaf ORDER BY leaf, name"
    found = {}
    for leaf, name, time, data in connection.execute(query):
        about = canonical.decode(data).get("incident", "")
        inner = about.get("id") if isinstance(about, dict) else about
        found[leaf, name] = Detail(incident=inner if isinstance(inner, str) else "", time=time)
    return found
