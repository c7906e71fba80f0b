"""The handover bundle of a ledger: what a third party needs to check it for years, without demarc.

What must stay true: nothing in it is secret, and it verifies with the script in it; where a file cannot be
written nothing half done is passed off as a bundle (the README comes last).
"""

import contextlib
import sqlite3
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from agent.ledger.policy import key_policy
from agent.ledger.proof import export_lines
from agent.ledger.reading import fields, log_of, with_connection
from agent.ledger.storage import earlier_epochs
from agent.ledger.verifier import parse_policy, script

README = """\
# The ledger of {name}

This folder holds everything that was recorded and signed, and what is needed to check it. It needs Python 3.11
or later and the package `cryptography` (`pip install cryptography`), nothing else:

    python3 verify.py --policy policy.txt {exports}

It ends with exit code 0 when everything is whole, and otherwise says what is wrong. `policy.txt` names the keys
whose signatures count and how many witnesses of other parties are wanted. **Compare its keys with those that the
parties agreed on in writing**: whoever can put other keys into this folder can put another history beside them.

| file | holds |
|---|---|
| {exports_rows} | every entry in order, with the checkpoints that others cosigned (JSON Lines) |
| `policy.txt` | whose word counts (C2SP tlog-policy) |
| `keys.txt` | the same keys, one a line |
| `verify.py` | the checker, to be read by whoever doubts it |
| `FORMAT.md` | the format byte by byte, to write a checker of one's own |

A cosignature proves what stood in the ledger at that time, not that it is true. Entries after the last
cosigned checkpoint are signed by their owner alone; the checker says which.

# Het logboek van {name}

Deze map bevat alles wat is vastgelegd en ondertekend, en wat nodig is om het te controleren. Nodig zijn Python
3.11 of later en het pakket `cryptography`; het commando staat hierboven. De afsluitcode is 0 als alles klopt, en
anders staat er wat er mis is. `policy.txt` noemt de sleutels die tellen en hoeveel getuigen van andere partijen
gewenst zijn. **Vergelijk die sleutels met wat de partijen schriftelijk hebben vastgelegd.**
"""


def write_bundle(folder: Path, ledger: Path, policy: str, *, disclose: bool = False) -> tuple[str, ...]:
    """Write the bundle of the ledger at `ledger`, earlier epochs included, into a new folder; return its exports.

    Raises FileExistsError, StorageError, sqlite3.Error or OSError.
    """
    folder.mkdir(parents=True)
    exports = []
    for path in (*earlier_epochs(ledger), ledger):
        name = f"{path.stem}.jsonl"
        with (folder / name).open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(export_lines(path, disclose=disclose))
        exports.append(name)
    read = parse_policy(policy)
    keys = [f"log {key}" for key in read.logs] + [f"witness {name} {key}" for name, key in read.witnesses.items()]
    documents = {
        "policy.txt": policy,
        "keys.txt": "".join(f"{line}\n" for line in keys),
        "verify.py": script(),
        "FORMAT.md": files("agent.ledger").joinpath("FORMAT.md").read_text(encoding="utf-8"),
        "README.md": README.format(
            name=read.logs[0].name,
            exports=" ".join(exports),
            exports_rows=", ".join(f"`{name}`" for name in exports),
        ),
    }
    for name, text in documents.items():
        (folder / name).write_text(text, encoding="utf-8")
    return tuple(exports)


def source_in_force(ledger: Path) -> tuple[str, bytes]:
    """Return vantage and bytes of the newest chain file in a ledger; StorageError where it has none."""

    def read(db: sqlite3.Connection) -> tuple[str, bytes]:
        query = "SELECT idx, body FROM leaf WHERE kind = 'chain' ORDER BY idx DESC LIMIT 1"
        index, form = db.execute(query).fetchone() or (0, b"{}")
        row = db.execute("SELECT data FROM detail WHERE leaf = ? AND name = 'source'", (index,)).fetchone()
        return str(fields(form).get("vantage", "")), bytes(row[0]) if row else b""

    return with_connection(ledger, read)


def with_earlier_keys(policy: str, ledgers: Iterable[Path]) -> str:
    """Return a policy with the keys of earlier epochs that were signed with another key."""
    known = {key.public for key in parse_policy(policy).logs}
    lines = []
    for path in ledgers:
        with contextlib.suppress(sqlite3.Error, OSError):
            key = with_connection(path, log_of)
            if key.public not in known:
                known.add(key.public)
                lines.append(key_policy(key).partition("\n")[0] + "\n")
    return "".join(lines) + policy
