"""What the ledger costs: an append until it is on disk, the size of an entry, and checking a million of them.

The entries are those of incidents, two transitions and two escalations each; for every ten incidents one of them is an
hour's binding instead. The peer of an append is the same body put into a plain SQLite table with the same safety. The
million entries are made in one transaction (their hashes are real), with a checkpoint for every ten: what comes within
a second shares one.
"""

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent import keys
from agent.incident.value import Event, Incident, Kind, Standing, State, Support, Transition
from agent.ledger import Ledger, body, canonical, merkle, note
from agent.ledger.check import check
from agent.ledger.dossier import Hour
from agent.ledger.policy import key_policy
from agent.ledger.proof import export_lines, prove_incident
from agent.ledger.reading import connect, node_reader
from agent.ledger.storage import Storage, open_storage
from agent.ledger.verifier import check_export, parse_policy
from tools.bench.table import Row, spread

ORIGIN = "demarc/cloud"
APPENDS = 2000
RUNS = 5
MANY = 1_000_000
SHARED = 10
PROOFS = 200


def entry(number: int) -> dict[str, Any]:
    """Return a body as an agent writes them."""
    if number % 40 == 39:
        return body.write(hour(number))[1]
    incident = Incident(
        id=f"carrier-{number // 4:08x}",
        state=State.CONFIRMED,
        kind=Kind.ATTRIBUTED,
        parties=("carrier",),
        candidates=("carrier",),
        segments=("carrier",),
        services=("erp",),
        side="transit",
        mover="carrier",
        standing=Standing.CORROBORATED,
        margin=2,
        support=Support(failing=("cloud>underlay",), exonerating={"cloud-gw": ("cloud>gw",)}),
        faults={"cloud>underlay": "connect/timeout"},
        opened=1.8e9 + number,
        confirmed=1.8e9 + number + 6.5,
    )
    if number % 4 < 2:
        transition = Transition(event=Event.CONFIRMED, at=1.8e9 + number, incident=incident)
        return body.write(body.from_transition(transition, chain="3f" * 32, vantage="cloud"))[1]
    escalation = body.Escalation(
        time=body.nanoseconds(1.8e9 + number),
        incident=incident.id,
        vantage="cloud",
        to="carrier",
        via="http://127.0.0.1:9093",
        alertname="DemarcIncident",
        severity="critical",
        state="firing",
    )
    return body.write(escalation)[1]


def hour(number: int) -> Hour:
    """Return an hour's binding of twenty probes."""
    opened = body.nanoseconds(1.8e9 + 3600 * number)
    return Hour(
        time=opened,
        vantage="cloud",
        opened=opened,
        closed=opened + 3600 * 10**9,
        observations=72_000,
        raw="3f" * 32,
        rollups="5a" * 32,
        states="7c" * 32,
        outcomes={"ok": 71_990, "failed": 10},
        seconds={"up": 71_980, "down": 20},
        probes=tuple(f"probe-{one}" for one in range(20)),
    )


def appended(folder: Path) -> tuple[list[float], float]:
    """Return how long each append took, and the bytes an entry takes on disk."""
    ledger = Ledger.open(folder / "ledger.db", folder / "ledger.key", ORIGIN)
    took = []
    for number in range(APPENDS):
        fields = entry(number)
        begin = time.perf_counter()
        ledger.append(fields["kind"], fields, state=b"x" * 500).result(30)
        took.append(time.perf_counter() - begin)
    ledger.close()
    return took, (folder / "ledger.db").stat().st_size / APPENDS


def plain(folder: Path) -> list[float]:
    """Return how long the same takes with a plain table."""
    db = sqlite3.connect(folder / "plain.db", isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, body BLOB)")
    took = []
    for number in range(APPENDS):
        form = canonical.encode(entry(number))
        begin = time.perf_counter()
        db.execute("INSERT INTO t VALUES (?, ?)", (number, form))
        took.append(time.perf_counter() - begin)
    db.close()
    return took


def many(folder: Path, count: int) -> Path:
    """Make a ledger of so many entries, in one transaction."""
    storage = open_storage(folder / "ledger.db", folder / "ledger.key", ORIGIN)
    signer = keys.parse_signer((folder / "ledger.key").read_text())
    storage.connection.execute("BEGIN")
    for leaves, nodes, checkpoint in batches(signer, count):
        storage.connection.executemany("INSERT INTO leaf VALUES (?, ?, ?, ?, ?)", leaves)
        storage.connection.executemany("INSERT INTO node VALUES (?, ?, ?)", nodes)
        storage.connection.execute("INSERT INTO checkpoint VALUES (?, ?, ?)", checkpoint)
    storage.connection.execute("COMMIT")
    close(storage)
    return folder / "ledger.db"


def close(storage: Storage) -> None:
    """Close, the WAL folded into the file."""
    storage.close()


def batches(signer: keys.Signer, count: int) -> Iterator[tuple[list[Any], list[Any], tuple[int, str, str]]]:
    """Yield rows of leaves and nodes, and the checkpoint over them and all before."""
    known: dict[tuple[int, int], bytes] = {}
    leaves: list[Any] = []
    nodes: list[Any] = []
    for index in range(count):
        fields = entry(index)
        form = canonical.encode(fields)
        leaf = merkle.leaf_hash(form)
        leaves.append((index, fields["kind"], fields["time"], leaf, form))
        known[0, index] = leaf
        for node in merkle.completed(index, leaf, lambda level, number: known[level, number]):
            known[node.level, node.number] = node.hash
            nodes.append(tuple(node))
            known.pop((node.level - 1, 2 * node.number - 2), None)
        if index % SHARED == SHARED - 1 or index == count - 1:
            root = merkle.root(index + 1, lambda level, number: known[level, number])
            text = note.Checkpoint(ORIGIN, index + 1, root).text()
            yield leaves, nodes, (index + 1, text, signer.sign(text))
            leaves, nodes = [], []


def proofs(path: Path, count: int) -> list[float]:
    """Return how long inclusion proofs take."""
    db = connect(path)
    read, took = node_reader(db), []
    for number in range(PROOFS):
        begin = time.perf_counter()
        merkle.inclusion_proof(number * (count // PROOFS), count, read)
        took.append(time.perf_counter() - begin)
    db.close()
    return took


def timed(act: Any) -> tuple[float, Any]:
    """Return the CPU seconds of a call, and what it gives."""
    begin = time.process_time()
    told = act()
    return time.process_time() - begin, told


def measure() -> list[Row]:
    """Return the rows."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        runs = []
        for run in range(RUNS):
            folder = Path(name) / str(run)
            folder.mkdir()
            runs.append((*appended(folder), plain(folder)))
        p99 = [statistics.quantiles(took, n=100)[98] for took, _, _ in runs]
        middle = [statistics.median(took) for took, _, _ in runs]
        ratio = statistics.median(middle) / statistics.median([statistics.median(took) for _, _, took in runs])
        rows.append(Row(what="append until on disk, p99", measured=spread(p99, "ms", 1e3), goal="10 ms"))
        rows.append(Row(what="append until on disk, median", measured=spread(middle, "ms", 1e3)))
        rows.append(Row(what="append beside one plain INSERT, both medians", measured=f"{ratio:.1f} times"))
        size = statistics.median(each for _, each, _ in runs)
        rows.append(Row(what="bytes an entry, all told", measured=f"{size:.0f}", goal="700"))
    with tempfile.TemporaryDirectory() as name:
        rows += large(many(Path(name), MANY), MANY)
    return rows


def large(path: Path, count: int) -> list[Row]:
    """Return the rows about a large ledger."""
    key = keys.parse_signer((path.parent / "ledger.key").read_text()).verifier
    policy = parse_policy(key_policy(key))
    took, verdict = timed(lambda: check(path, policy))
    assert verdict.ok, verdict.problems
    what = f"{count:,} entries, {count // SHARED:,} checkpoints"
    rows = [Row(what=f"verify {what}", measured=f"{took:.1f} s of CPU", goal="60 s")]
    export = path.with_name("export.jsonl")
    with export.open("w") as file:
        took, _ = timed(lambda: file.writelines(export_lines(path)))
    rows.append(Row(what="export them", measured=f"{took:.1f} s of CPU"))
    with export.open("rb") as file:
        took, verdict = timed(lambda: check_export(file, policy))
    assert verdict.ok, verdict.problems
    rows.append(Row(what="verify the export", measured=f"{took:.1f} s of CPU"))
    rows.append(Row(what="inclusion proof among them", measured=spread(proofs(path, count), "ms", 1e3), goal="10 ms"))
    took, _ = timed(lambda: prove_incident(path, f"carrier-{count // 8:08x}"))
    rows.append(Row(what="find and prove all entries of one incident among them", measured=f"{took:.2f} s of CPU"))
    rows.append(Row(what="bytes an entry, all told", measured=f"{path.stat().st_size / count:.0f}", goal="700"))
    took, storage = timed(lambda: open_storage(path, path.with_name("ledger.key"), ORIGIN))
    storage.close()
    rows.append(Row(what="open it to go on", measured=f"{took:.2f} s of CPU"))
    return rows
