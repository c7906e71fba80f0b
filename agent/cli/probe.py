"""`demarc probe NAME`: one configured probe once, phase by phase."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from agent.model import Chain, Probe
from probes.kit.result import Outcome, Result

EX_CONFIG = 78  # sysexits(3)
# 0 ok or degraded, 1 failed, 2 could not look: scripts can tell "down" from "I do not know".
EXIT_CODES = {Outcome.OK: 0, Outcome.DEGRADED: 0, Outcome.FAILED: 1, Outcome.UNKNOWN: 2}


@click.command("probe")
@click.argument("name")
@click.option("--config.file", "config_file", required=True, type=click.Path(path_type=Path), help="The agent file.")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(name: str, config_file: Path, style: str) -> None:
    """Run the configured probe NAME once, from this host, and show each phase.

    Exit code 0: it passed; 1: it failed; 2: this host could not look; 78: the configuration is wrong.
    """
    from agent.config import ConfigError, load_host_and_chain  # noqa: PLC0415 - `probe --help` stays fast

    try:
        host, chain = load_host_and_chain(config_file)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        sys.exit(EX_CONFIG)
    probe = chosen(chain, host.vantage, name)
    result = asyncio.run(attempt(probe))
    if style == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(plain(probe, result))))
    else:
        click.echo("\n".join(lines(probe, result)))
    sys.exit(EXIT_CODES[result.outcome])


def chosen(chain: Chain, vantage: str, name: str) -> Probe:
    """Return the probe `name` of this vantage; UsageError names those that there are."""
    probe = chain.probes.get(name)
    if probe is None or probe.vantage != vantage:
        elsewhere = f" (it runs from {probe.vantage})" if probe else ""
        own = ", ".join(p.id for p in chain.probes_of(vantage)) or "none"
        raise click.UsageError(f"No probe {name!r} from {vantage}{elsewhere}; there are: {own}.")
    return probe


async def attempt(probe: Probe) -> Result:
    """Make one attempt with fresh sockets, as a confirmation does."""
    from agent.clock import SystemClock  # noqa: PLC0415 - only a run needs them
    from agent.daemon.runners import SharedKit, load_module  # noqa: PLC0415
    from probes.kit.resolver import SystemResolver  # noqa: PLC0415

    clock = SystemClock()
    async with load_module(probe.type).open(SharedKit(clock, SystemResolver(clock))) as runner:
        return await runner.attempt(probe.settings, clock.boot() + probe.timeout, fresh=True)


def lines(probe: Probe, result: Result) -> list[str]:
    """Return the result for people."""
    state = result.outcome.value
    if result.fault:
        state += f" at {result.stage.value}: {result.fault}" if result.stage else f": {result.fault}"
    shown = [f"{probe.id}  {probe.type}  {probe.target}", f"outcome    {state}"]
    for name, seconds in result.phases.items():
        shown.append(f"  {name:<9}{_milliseconds(seconds)}")
    if result.seconds is not None:
        shown.append(f"whole      {_milliseconds(result.seconds)}")
    for name, value in result.values.items():
        shown.append(f"  {name}  {value:g}")
    for name, text in (result.facts or {}).items():
        shown.append(f"  {name}: {text}")
    told = (("detail", result.detail), ("told by", result.by), ("packets", result.packet_bytes))
    shown += [f"{name:<11}{value}" for name, value in told if value]
    if result.answered:
        shown.append("           the responder's own bytes came back")
    shown += table(result)
    fault = _fault(probe, result)
    if fault:
        shown += [f"meaning    {fault[0]}", f"remedy     {fault[1]}"]
    return shown


def table(result: Result) -> list[str]:
    """Return the rows of a result as columns; a column in which nothing stands is left out."""
    names = [
        name for name in (result.rows[0] if result.rows else ()) if any(row[name] is not None for row in result.rows)
    ]
    cells = [[name.removesuffix("_seconds") for name in names]]
    cells += [[_cell(name, row[name]) for name in names] for row in result.rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  " + "  ".join(map(str.ljust, line, widths)).rstrip() for line in cells] if names else []


def plain(probe: Probe, result: Result) -> dict[str, Any]:
    """Return the result for programs: the probe's name, type and target beside every field of the result."""
    fields = {"probe": probe.id, "type": probe.type, "target": probe.target, "timeout": probe.timeout}
    fault = _fault(probe, result)
    more = {"meaning": fault[0], "remedy": fault[1]} if fault else {}
    return {**fields, **msgspec.to_builtins(result), **more}


def _fault(probe: Probe, result: Result) -> tuple[str, str] | None:
    """Return meaning and remedy from the type's fault table."""
    from agent.daemon.runners import load_module  # noqa: PLC0415 - see attempt

    rows = load_module(probe.type).SPEC.faults if result.fault else ()
    return next(((row.meaning, row.remedy) for row in rows if row.name == result.fault), None)


def _cell(name: str, value: str | float | None) -> str:
    if value is None:
        return ""
    return _milliseconds(float(value)) if name.endswith("_seconds") else str(value)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:9.3f} ms"
