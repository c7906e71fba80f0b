"""The rows that groups measure, and docs/benchmarks.md that shows them: one section a group.

What must stay true: renewing one group leaves the sections of all others as they are.
"""

import os
import platform
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence

import msgspec

HEAD = """# Benchmarks

Measured by `make bench` on real parts (`python -m tools.bench --write` renews this page, `--only GROUP` one section
of it). Machines are shared and noisy: ratios and medians travel, single figures do not. Goals are those of the
issues; where there are two, the first must be met and the second is worth trying. In the lab a packet's whole way
through the virtual devices runs in the sender's system calls: the CPU shares hold work that others do on real hosts.
"""
_SECTION = re.compile(r"^## (?P<group>\S+)\n(?P<body>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a table."""

    what: str
    measured: str
    goal: str = ""


def spread(values: Sequence[float], unit: str = "s", scale: float = 1.0) -> str:
    """Return median and maximum of several runs."""
    middle, top = statistics.median(values) * scale, max(values) * scale
    return f"median {middle:.2f} {unit}, max {top:.2f} {unit} (n={len(values)})"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return the ratio of the medians of two sets of runs, ours to the peer's."""
    return f"{statistics.median(ours) / statistics.median(theirs):.3f} (n={len(ours)})"


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| what | measured | goal |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {r.what} | {r.measured} | {r.goal} |" for r in rows)]) + "\n"


def machine() -> str:
    """Return in general terms where this was measured."""
    return f"Python {platform.python_version()}, Linux {platform.release().split('-')[0]}, {os.cpu_count()} cores."


def section(about: str | None, rows: Iterable[Row]) -> str:
    """Return a section's body; the first paragraph of `about`, a module's docstring, says what was measured."""
    first = (about or "").strip().partition("\n\n")[0]
    return f"\n{first}\n\n{machine()}\n\n{table(rows)}"


def renewed(document: str, order: Iterable[str], bodies: Mapping[str, str]) -> str:
    """Return the document with these groups' sections renewed, in this order; groups not in `order` are dropped."""
    kept = {found["group"]: found["body"].strip("\n") for found in _SECTION.finditer(document)}
    kept |= {group: body.strip("\n") for group, body in bodies.items()}
    return HEAD + "".join(f"\n## {group}\n\n{kept[group]}\n" for group in order if group in kept)
