"""What a ledger says of itself, and of a copy in which somebody has exchanged one party for another."""

import sqlite3
import subprocess
from pathlib import Path

from lab.agents import console_command
from lab.api import Lab


def verified(lab: Lab, vantage: str, ledger: Path) -> str:
    """Return what `demarc ledger verify` says of a ledger of `vantage`, up to the checkpoint that it prints."""
    policy = lab.run_dir / f"{vantage}.policy"
    policy.write_text(_demarc("policy", str(lab.run_dir / "chain.yml"), "--vantage", vantage))
    return _demarc("verify", str(ledger), "--policy", str(policy)).partition("\nIt stands under")[0].rstrip()


def rewritten(lab: Lab, vantage: str, old: str, new: str) -> Path:
    """Write a copy of a ledger whose incidents say `new` where they said `old`, triggers and all; return its path."""
    copy = lab.run_dir / f"{vantage}.rewritten.db"
    copy.unlink(missing_ok=True)
    source, target = sqlite3.connect(lab.run_dir / vantage / "data" / "ledger.db"), sqlite3.connect(copy)
    try:
        source.backup(target)
        triggers = target.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            target.execute(f"DROP TRIGGER {name}")
        changed = "UPDATE leaf SET body = CAST(replace(CAST(body AS TEXT), ?, ?) AS BLOB) WHERE kind = 'incident'"
        target.execute(changed, (f'"{old}"', f'"{new}"'))
        for _, again in triggers:
            target.execute(again)
        target.commit()
    finally:
        source.close()
        target.close()
    return copy


def _demarc(*arguments: str) -> str:
    order = [console_command(), "ledger", *arguments]
    return subprocess.run(order, capture_output=True, text=True, check=False).stdout
