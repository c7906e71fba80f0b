"""The reference of the files and of the probe types, written from the code that reads them.

`python -m agent.config.reference docs/chain-file.md` writes the page; a test asserts that the
committed page is what it writes.
"""

import inspect
import sys
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from agent.config.forms import (
    ChainForm,
    ConfirmForm,
    Form,
    HostForm,
    NormForm,
    PageForm,
    PartyForm,
    PeerForm,
    ProbeForm,
    SegmentForm,
    ServiceForm,
    VantageForm,
    WitnessForm,
)
from agent.config.kinds import DURATION, Field, fields_of
from agent.config.registry import InstalledTypes
from agent.config.schema import specs
from probes.kit.spec import Evidence, Pace, Spec

_CHAIN_SECTIONS: tuple[tuple[str, type[msgspec.Struct]], ...] = (
    ("Top level", ChainForm),
    ("parties.NAME", PartyForm),
    ("segments.NAME", SegmentForm),
    ("vantages.NAME", VantageForm),
    ("witnesses.NAME", WitnessForm),
    ("services.NAME", ServiceForm),
    ("services.NAME.page", PageForm),
    ("services.NAME.norm", NormForm),
    ("confirm", ConfirmForm),
    ("probes.NAME", ProbeForm),
)
_HOST_SECTIONS: tuple[tuple[str, type[msgspec.Struct]], ...] = (("Top level", HostForm), ("peers[]", PeerForm))

_EVIDENCE = {
    Evidence.PATH: "a pass proves every segment of the path",
    Evidence.STATE: "a pass proves only that the last segment answers; a fail accuses the whole path",
}
_PACE = {Pace.ROUND: "confirms in the shared rounds", Pace.OWN: "confirms at its own pace"}

_INTRODUCTION = """# The chain file and the agent file

<!-- Written by `python -m agent.config.reference docs/chain-file.md`; edit the code, not this page. -->

Two YAML files configure an agent. The *chain file* is what the parties agree on; every agent has the
same one. The *agent file* is local to one host. `demarc check FILE` reads either and reports every
problem at once, as `file:line: key: what is wrong; what to write instead`. How to model a chain is
told in [modelling.md](modelling.md).

## How the text is read

YAML 1.2 with the core schema: `true` and `false` are the only truth values, so `no` and `on` are text;
dates and `1:30` are text; `0o7` is seven. Text that looks like a number needs quotes (`"4.10"`).
Files are UTF-8, hold one document, and have at most 8 MiB. A key stands once in a mapping. An alias
(`path: *wan`) stands for the whole value that its anchor (`path: &wan [...]`) marks; merge keys (`<<`)
and tags (`!x`) are refused.

| written as | what it is |
|---|---|
| name | letters, digits, `.`, `_`, `-`, a letter or digit first, at most 63; `self` is reserved |
| duration | `250ms`, `1s`, `2m`, `1h`, `3d`, or a bare number of seconds |
| percentage | `99.5%` |
| hours | `Mo-Fr 07:00-19:00, Sa 09:00-12:00`, or `24/7`; local time; across midnight as two ranges |
| local date and time | `2027-01-15T00:00`, in the chain's `timezone`, without offset |
| date | `2028-07-01` |
| web address | `https://10.20.0.30:10199`, without credentials |

## Chain file
"""

_EVERYWHERE = """
The top level, parties, segments, vantages and services may also carry:

"""

_HASH = """
The chain hash is SHA-256 (lower-case hex) of the RFC 8785 form of the chain with every default filled
in; key order, comments and quoting leave no trace in it. `agent/config/canonical.py` describes the
object. Agents whose chains have another hash are flagged and their observations are not merged.

## Agent file
"""

_TYPES = """
## Probe types

Besides the keys of `probes.NAME` above, a probe has the keys of its type. `demarc probes` prints the
same from the installed version.
"""


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """One key of the reference, as text."""

    key: str
    type: str
    default: str
    help: str


def key_rows(fields: Iterable[Field], key_help: dict[str, str] | None = None) -> tuple[KeyRow, ...]:
    """Return the keys with their kind, default (`required` when there is none) and help."""
    given = key_help or {}
    return tuple(
        KeyRow(
            key=field.key,
            type=field.kind.word,
            default="required" if field.required else _default(field),
            help=given.get(field.key, field.help),
        )
        for field in fields
    )


def type_rows(spec: Spec) -> dict[str, Any]:
    """Return a probe type's reference as plain data."""
    return {
        "type": spec.type,
        "summary": spec.summary,
        "evidence": str(spec.evidence),
        "pace": str(spec.pace),
        "default_interval_seconds": spec.default_interval,
        "default_timeout_seconds": spec.default_timeout,
        "minimum_interval_seconds": spec.minimum_interval,
        "leaves_traces": spec.leaves_traces,
        "keys": [msgspec.structs.asdict(row) for row in key_rows(fields_of(spec.settings).values(), spec.key_help)],
        "phases": list(spec.phases),
        "faults": [
            {
                "name": fault.name,
                "stage": None if fault.stage is None else str(fault.stage),
                "meaning": fault.meaning,
                "remedy": fault.remedy,
            }
            for fault in spec.faults
        ],
        "metrics": [{"name": f"demarc_{metric.name}", "help": metric.help} for metric in spec.metrics],
    }


def probe_reference(spec: Spec) -> str:
    """Return a probe type's reference as text for a terminal."""
    rows = key_rows(fields_of(spec.settings).values(), spec.key_help)
    faults = [(f.name, str(f.stage or "unknown"), f.meaning, f.remedy) for f in spec.faults]
    parts = [f"{spec.type}: {spec.summary}", *(f"  {line}" for line in _nature(spec))]
    parts += ["", "  keys", *_columns([(r.key, r.type, r.default, r.help) for r in rows])]
    if spec.phases:
        parts += ["", f"  phases: {', '.join(spec.phases)}"]
    parts += ["", "  faults (name, stage that failed, meaning, remedy)", *_columns(faults)]
    if spec.metrics:
        parts += ["", "  metrics", *_columns([(f"demarc_{m.name}", m.help) for m in spec.metrics])]
    return "\n".join(parts) + "\n"


def page(known: Iterable[Spec]) -> str:
    """Return docs/chain-file.md."""
    shared = {field.key for field in fields_of(Form).values()}
    text = _INTRODUCTION
    for title, struct in _CHAIN_SECTIONS:
        own = [f for f in fields_of(struct).values() if f.key not in shared or struct is ProbeForm]
        text += _section(title, struct, own)
    text += _EVERYWHERE + _table(key_rows(fields_of(Form).values()))
    text += _HASH
    for title, struct in _HOST_SECTIONS:
        text += _section(title, struct, fields_of(struct).values())
    return text + _TYPES + "".join(_type_section(spec) for spec in known)


def _section(title: str, struct: type[msgspec.Struct], fields: Iterable[Field]) -> str:
    return f"\n### {title}\n\n{inspect.getdoc(struct)}\n\n{_table(key_rows(fields))}"


def _type_section(spec: Spec) -> str:
    text = f"\n### {spec.type}\n\n{_sentence(spec.summary)}\n\n" + "".join(f"- {line}\n" for line in _nature(spec))
    text += "\n" + _table(key_rows(fields_of(spec.settings).values(), spec.key_help))
    if spec.phases:
        text += f"\nPhases: {', '.join(f'`{phase}`' for phase in spec.phases)}.\n"
    text += "\n| fault | stage | meaning | remedy |\n|---|---|---|---|\n"
    for fault in spec.faults:
        text += f"| `{fault.name}` | {fault.stage or 'unknown'} | {_cell(fault.meaning)} | {_cell(fault.remedy)} |\n"
    if spec.metrics:
        text += "\n| metric | meaning |\n|---|---|\n"
        text += "".join(f"| `demarc_{metric.name}` | {_cell(metric.help)} |\n" for metric in spec.metrics)
    return text


def _nature(spec: Spec) -> tuple[str, ...]:
    usual = f"default interval {_seconds(spec.default_interval)}, timeout {_seconds(spec.default_timeout)}"
    if spec.minimum_interval:
        usual += f"; interval at least {_seconds(spec.minimum_interval)}"
    lines = [f"{spec.evidence} evidence: {_EVIDENCE[spec.evidence]}", f"{_PACE[spec.pace]}; {usual}"]
    return (*lines, f"leaves traces: {spec.leaves_traces}") if spec.leaves_traces else tuple(lines)


def _table(rows: Iterable[KeyRow]) -> str:
    text = "| key | value | default | meaning |\n|---|---|---|---|\n"
    for row in rows:
        default = row.default if row.default in ("required", "") else f"`{row.default}`"
        text += f"| `{row.key}` | {_cell(row.type)} | {default} | {_cell(row.help)} |\n"
    return text


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the rows as indented columns; the last one runs on."""
    if not rows:
        return ["    none"]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    return [
        "    " + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]


def _default(field: Field) -> str:
    """Return a default as it would be written in the file; nothing when absence is the default."""
    value = field.default
    return _seconds(value) if field.kind is DURATION and isinstance(value, float) else _written(value)


def _written(value: Any) -> str:
    if value is UNSET or value is None or value in ("", (), {}, []):
        return ""
    if isinstance(value, msgspec.Struct):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(_written(item) for item in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _seconds(value: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        if value >= length and value % length == 0:
            return f"{value / length:g}{unit}"
    return f"{value * 1000:g}ms" if value else "0s"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: list[str]) -> None:
    """Write the page to the one file that is named."""
    (target,) = arguments
    Path(target).write_text(page(specs(InstalledTypes())), encoding="utf-8")


if __name__ == "__main__":  # pragma: no cover - the test calls main
    main(sys.argv[1:])
