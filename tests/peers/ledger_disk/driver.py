"""Writes a ledger while the shim looks on; run with LD_PRELOAD. Prints one JSON object a line.

driver.py fail FOLDER CALL ERRNO ONCE FIRST LAST STEP   the CALL fails at its FIRST-th time, then at each STEP on
driver.py trace FOLDER TRACE ENTRIES                     writes ENTRIES and notes what was told in the trace
"""

import ctypes
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from agent.ledger import Ledger
from agent.ledger.storage import Storage

SHIM = ctypes.CDLL(None)
ORIGIN = "demarc.example/cloud"
EACH = 5  # entries between two checkpoints that others see
WAIT = 30.0


def newest(storage: Storage) -> str:
    """Sign, and return the text of the newest checkpoint, as a witness would see it."""
    storage.sign()
    return str(storage.connection.execute("SELECT text FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()[0])


def write(folder: Path, entries: int, tell: Callable[[str], None]) -> str:
    """Write so many entries; tell of each, and of checkpoints, when it is acknowledged; return what stopped it."""
    ledger = Ledger.open(folder / "ledger.db", folder / "ledger.key", ORIGIN, busy_seconds=0.05)
    for number in range(entries):
        body = {"time": number, "vantage": "cloud", "reason": "x" * (number * 37 % 3000)}
        future = ledger.append("agent-stop", body, state=b"%d" % number)
        if future.exception(WAIT) is not None:
            break
        tell(f"entry {future.result().index} {future.result().hash}")
        if number % EACH == EACH - 1:
            seen = ledger.run(newest)
            if seen.exception(WAIT) is not None:
                break
            tell(f"checkpoint {json.dumps(seen.result())}")
    reason = ledger.health.reason
    ledger.close(WAIT)
    return reason


def fail(folder: Path, call: str, number: int, once: int, at: int) -> dict[str, object]:
    """Return what was acknowledged by a process in which the `at`-th `call` failed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    SHIM.shim_watch(str(folder).encode())
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        SHIM.shim_fail(call.encode(), at, number, once)
        reason = write(folder, 8, lambda text: void(os.write(writer, f"{text}\n".encode())))
        os.write(writer, f"end {SHIM.shim_hits()} {reason}\n".encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        lines = told.read().splitlines()
    os.waitpid(child, 0)
    return {"call": call, "at": at, "told": lines}


def void(_: object) -> None:
    """Make a callback of an expression."""


def main() -> None:
    """Do what the command line says."""
    what, folder, *rest = sys.argv[1:]
    if what == "trace":
        Path(folder).mkdir()
        SHIM.shim_watch(folder.encode())
        SHIM.shim_trace(rest[0].encode())
        reason = write(Path(folder), int(rest[1]), lambda text: void(SHIM.shim_mark(text.encode())))
        sys.stdout.write(json.dumps({"reason": reason}) + "\n")
        return
    call, number, once, first, last, step = rest[0], *map(int, rest[1:])
    for at in range(first, last + 1, step):
        case = Path(folder) / str(at)
        sys.stdout.write(json.dumps(fail(case, call, number, once, at)) + "\n")


main()
