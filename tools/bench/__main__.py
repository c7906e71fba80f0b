"""Run the benchmarks and print their tables; `--write` renews their sections of docs/benchmarks.md."""

import argparse
import os
import re
import sys
from importlib import import_module
from pathlib import Path

from tools.bench.table import Row, renewed, section, table

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "benchmarks.md"
UNIT = ROOT / "deploy" / "systemd" / "demarc.service"
# Group to module, in the order of the page; a module is imported only when its group is measured.
GROUPS = {
    "command": "tools.bench.command",
    "diagnosis": "tools.bench.diagnosis",
    "drift": "tools.bench.drift",
    "excess": "tools.bench.excess",
    "ledger": "tools.bench.ledger",
    "schedule": "tools.bench.schedule",
    "memory": "tools.bench.memory",
    "scrape": "tools.bench.scrape",
    "icmp": "tools.bench.icmp",
    "tcp": "tools.bench.tcp",
    "dns": "tools.bench.dns",
    "http": "tools.bench.http",
    "hops": "tools.bench.hops",
    "identity": "tools.bench.identity",
    "site": "tools.bench.site",
    "idle": "tools.bench.idle",
    "detection": "tools.bench.detection",
    "vpn": "tools.bench.vpn",
    "outage": "tools.bench.outage",
}


def main() -> int:
    """Run the benchmarks and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--only", choices=GROUPS, action="append", help="one group; may be repeated")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    given = parser.parse_args()
    # Every agent that is measured has the environment that its unit gives it.
    os.environ.update(re.findall(r"^Environment=(\w+)=(\S+)$", UNIT.read_text(), re.MULTILINE))
    for name in given.only or GROUPS:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        module = import_module(GROUPS[name])
        rows: list[Row] = module.measure()
        print(f"{name}\n{table(rows)}", flush=True)
        if given.write:
            before = DOCUMENT.read_text() if DOCUMENT.exists() else ""
            DOCUMENT.write_text(renewed(before, GROUPS, {name: section(module.__doc__, rows)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
