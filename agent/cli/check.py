"""`demarc check`: everything that is wrong with a chain file or an agent file, and what it can prove."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from agent.config import Examined, InstalledTypes, examine
from agent.config.flows import FlowRow, flows, packets

_PLACES = {
    "way": "on the way, proven by no other probe (a fault there may stay undetermined):",
    "end": "at the end of a path, proven by its own probe only:",
}
BAD_CONFIG = 78  # EX_CONFIG of sysexits.h


@click.command("check")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--flows", "with_flows", is_flag=True, help="List what the probes send: the firewall request.")
@click.option("--schema", "with_schema", is_flag=True, help="Print the JSON Schema of both files, for editors.")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(file: Path | None, with_flows: bool, with_schema: bool, style: str) -> None:
    """Check a chain file or an agent file (with its chain file).

    Prints every problem at once as FILE:LINE: KEY: TEXT and exits 78; or a summary, warnings and the
    roles that no other probe proves, and exits 0.
    """
    if with_schema:
        _print_schema()
        return
    if file is None:
        raise click.UsageError("Missing argument 'FILE'.")
    examined = examine(file)
    rows = flows(examined.chain, examined.host) if with_flows and examined.chain and not examined.problems else ()
    bounds = _bounds(examined) if rows else ()
    unproven, proofs = _unproven(examined), _proofs(examined)
    if style == "json":
        plain = _plain(file, examined, unproven, proofs) | (
            {"flows": rows, "confirmation": bounds} if with_flows else {}
        )
        click.echo(msgspec.json.format(msgspec.json.encode(plain)))
    else:
        _print(file, examined, unproven, proofs, rows)
        _print_bounds(bounds)
    if examined.problems:
        sys.exit(BAD_CONFIG)


def _print_schema() -> None:
    from agent.config.schema import schema  # noqa: PLC0415 - imports every probe type, only for this option

    click.echo(msgspec.json.format(msgspec.json.encode(schema(InstalledTypes()))))


class Unproven(msgspec.Struct, frozen=True, kw_only=True):
    """A role that some probe accuses and no other clears; `place` is `way` or `end` of a path."""

    segment: str
    place: str
    role: str


def _unproven(examined: Examined) -> tuple[Unproven, ...]:
    """Return the unproven roles, each once."""
    if examined.chain is None or examined.problems:
        return ()
    from agent.diagnosis.role import ON_THE_WAY  # noqa: PLC0415 - not needed to refuse a file
    from agent.diagnosis.roles import unproven_roles  # noqa: PLC0415

    roles = dict.fromkeys(unproven_roles(examined.chain))
    return tuple(
        Unproven(segment=role.segment, place="way" if isinstance(role, ON_THE_WAY) else "end", role=str(role))
        for role in roles
    )


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """What confirming puts on the network from a vantage at most, all incidents together; both directions."""

    vantage: str
    attempts_per_round: int
    packets_per_round: int
    spacing_seconds: float
    rounds: int


def _bounds(examined: Examined) -> tuple[Bound, ...]:
    """Return the bound of each vantage of the chain."""
    from agent.diagnosis.confirm import most_confirming  # noqa: PLC0415 - not needed to refuse a file

    chain, found = examined.chain, []
    if chain is None:
        return ()
    for vantage in chain.vantages:
        probes = most_confirming(chain, vantage)
        bound = Bound(
            vantage=vantage,
            attempts_per_round=len(probes),
            packets_per_round=sum(packets(probe.flow) for probe in probes),
            spacing_seconds=chain.confirm.spacing,
            rounds=chain.confirm.rounds,
        )
        found.append(bound)
    return tuple(found)


def _print_bounds(bounds: tuple[Bound, ...]) -> None:
    """Print what confirming costs at most."""
    if bounds:
        click.echo("while failures are confirmed, all incidents together, at most:")
    for one in bounds:
        click.echo(
            f"  from {one.vantage}: {one.attempts_per_round} attempts ({one.packets_per_round} packets) every "
            f"{one.spacing_seconds:g} s, for {one.rounds} rounds or until a suspicion is settled; none while the "
            "self-check fails"
        )


class Proofs(msgspec.Struct, frozen=True, kw_only=True):
    """Which single faults the chain can prove, in a role and in a whole segment, and what would prove more.

    `slow`: the places that can be slow or lossy, on the ways of services with such a margin.
    """

    roles: tuple[Any, ...] = ()
    segments: tuple[Any, ...] = ()
    additions: tuple[Any, ...] = ()
    slow: tuple[Any, ...] = ()


def _proofs(examined: Examined) -> Proofs:
    if examined.chain is None or examined.problems:
        return Proofs()
    # Not needed to refuse a file.
    from agent.diagnosis.additions import additions  # noqa: PLC0415
    from agent.diagnosis.identifiability import Analysis, segment_faults, single_faults  # noqa: PLC0415
    from agent.diagnosis.roles import Model  # noqa: PLC0415
    from agent.excess.provable import slow_places  # noqa: PLC0415

    analysis = Analysis(Model(examined.chain))
    return Proofs(
        roles=single_faults(analysis),
        segments=segment_faults(analysis),
        additions=additions(examined.chain),
        slow=slow_places(examined.chain),
    )


def _plain(file: Path, examined: Examined, unproven: tuple[Unproven, ...], proofs: Proofs) -> dict[str, Any]:
    chain = examined.chain
    return {
        "file": str(file),
        "ok": not examined.problems,
        "hash": chain.hash if chain else None,
        "vantage": examined.host.vantage if examined.host else None,
        "counts": _counts(examined),
        "problems": examined.problems,
        "warnings": examined.warnings,
        "unproven": unproven,
        "single_faults": {"roles": proofs.roles, "segments": proofs.segments, "additions": proofs.additions},
        "slow_places": proofs.slow,
    }


def _counts(examined: Examined) -> dict[str, int]:
    names = ("parties", "segments", "vantages", "services", "probes")
    return {name: len(getattr(examined.chain, name)) for name in names} if examined.chain else {}


def _print(
    file: Path, examined: Examined, unproven: tuple[Unproven, ...], proofs: Proofs, rows: tuple[FlowRow, ...]
) -> None:
    for problem in examined.problems:
        click.echo(str(problem), err=True)
    for warning in examined.warnings:
        click.echo(f"{warning} (warning)", err=True)
    chain = examined.chain
    if examined.problems or chain is None:
        count = len(examined.problems)
        click.echo(f"{file}: {count} problem{'s' if count > 1 else ''}", err=True)
        return
    click.echo(f"{file}: ok")
    if examined.host is not None:
        click.echo(f"  this host is vantage {examined.host.vantage} of {examined.host.chain_file}")
    click.echo(f"  {', '.join(f'{name}: {count}' for name, count in _counts(examined).items())}")
    click.echo(f"  in force from {chain.effective} {chain.timezone}, chain hash {chain.hash}")
    _print_proofs(proofs)
    _print_slow(proofs.slow)
    _print_unproven(unproven)
    if rows:
        click.echo("")
        _print_rows(rows)


def _print_proofs(proofs: Proofs) -> None:
    """Print how many single faults name their owner, the segments that do not, and what would change that."""
    if not proofs.roles:
        return
    counts = [
        f"{sum(f.proof == 'provable' for f in faults)} of {len(faults)}" for faults in (proofs.segments, proofs.roles)
    ]
    click.echo(f"a single fault names its owner: {counts[0]} segments that fall silent, {counts[1]} roles")
    for fault in proofs.segments:
        owners = " or ".join(fault.owners)
        if fault.proof == "located":
            click.echo(f"  {fault.segment}: named as a segment, of {' and '.join(fault.owners)}")
        elif fault.proof == "open":
            others = f", not told apart from {', '.join(fault.apart_from)}" if fault.apart_from else ""
            click.echo(f"  {fault.segment}: {owners}{others}")
    if proofs.additions:
        click.echo("to be added, by the single faults that are decided then:")
    for addition in proofs.additions:
        click.echo(f"  +{addition.decides} {_added(addition)}")


def _print_slow(places: tuple[Any, ...]) -> None:
    """Print at how many places a delay or a loss names its party, and what would tell more."""
    if not places:
        return
    provable = sum(one.proof == "provable" for one in places)
    click.echo(f"what is slow or loses a share names its owner: {provable} of {len(places)} places")
    lines = dict.fromkeys(
        " and ".join(sorted((one.segment, one.towards))) for one in places if one.towards and one.proof == "open"
    )
    for one in places:
        if one.proof == "open" and not one.towards:
            where = f"{one.segment}, answering at {one.answering}" if one.answering else f"inside {one.segment}"
            by = " and ".join(_echo(echo) for echo in one.settled_by)
            click.echo(f"  {where}: {' or '.join(one.owners)}{f'; told apart with {by}' if by else ''}")
    if lines:
        click.echo(f"  a queue between {', '.join(lines)}: either owner, since a round trip passes both ends of a line")


def _echo(echo: Any) -> str:
    """Return a round trip that lacks in words."""
    way = f" through {', '.join(echo.path[1:-1])}" if echo.path[1:-1] else ""
    return f"{echo.protocol} from {echo.vantage} to {echo.target or 'an address'} of {echo.path[-1]}{way}"


def _added(addition: Any) -> str:
    """Return an addition in words, with whose consent it takes."""
    asks = f"; {' and '.join(addition.consent)} must agree" if addition.consent else ""
    one = addition.probes[0]
    way = f" through {', '.join(one.path[1:-1])}" if one.path[1:-1] else ""
    if addition.kind == "vantage":
        host = f"a new host {one.vantage}" if one.vantage.startswith("beside ") else one.vantage
        ends = dict.fromkeys(f"{p.target or 'an address'} of {p.path[-1]}" for p in addition.probes)
        return f"from {host}: to {', '.join(ends)}{asks}"
    if addition.kind == "way-out":
        return f"from {one.vantage}: {one.size}-byte packets to a service elsewhere{way}, across nothing else{asks}"
    return f"from {one.vantage}: {one.size}-byte packets to an address of {one.path[-1]}{way}{asks}"


def _print_unproven(unproven: tuple[Unproven, ...]) -> None:
    """Print the roles, those on the way first; one that another only makes more precise is left out."""
    refined = {found.role.rpartition(" (")[0] for found in unproven}
    for place, heading in _PLACES.items():
        roles = {found.role for found in unproven if found.place == place}
        precise = sorted(roles - refined)
        if precise:
            click.echo(heading)
        for role in precise:
            click.echo(f"  {role}")


def _print_rows(rows: tuple[FlowRow, ...]) -> None:
    """Print the firewall request as a table."""
    head = ("probe", "source", "target", "protocol", "port", "packets/h", "at most", "purpose")
    cells = [
        (
            row.probe or "-",
            row.source,
            row.target,
            row.protocol,
            str(row.port or "-"),
            str(row.packets_per_hour),
            str(row.packets_per_hour_most),
            row.purpose,
        )
        for row in rows
    ]
    widths = [max(len(line[at]) for line in [head, *cells]) for at in range(len(head))]
    for line in [head, *cells]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
