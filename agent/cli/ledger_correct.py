"""`demarc ledger propose` and `correct`: a correction, from its proposal to its entry; `details` and `open`: lists."""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import UNSET

from agent.cli.ledger_dispute import common, enter
from agent.cli.observations import moment
from agent.config import ConfigError, load_chain
from agent.ledger import DATABASE, correction, submission
from agent.ledger.body import nanoseconds
from agent.ledger.cases import read_cases
from agent.ledger.correction import Refused
from agent.ledger.dossier import Change, Window
from agent.ledger.drafting import finding_of
from agent.ledger.reading import log_of, with_connection
from agent.ledger.storage import StorageError

_PATH = click.Path(path_type=Path)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_DATA = Path("/var/lib/demarc")
_NOBODY = "none"

_CHANGES = (
    click.option("--kind", default="", help="attributed, undetermined, contradiction; monitor: measured wrongly."),
    click.option("--parties", "parties", help="The proven party, or `none`."),
    click.option("--candidates", help="Parties that remain possible, separated by commas, or `none`."),
    click.option("--segments", help="Where, separated by commas."),
    click.option("--opened", metavar="TIME", help="When it began (ISO 8601)."),
    click.option("--closed", metavar="TIME", help="When it ended (ISO 8601)."),
    click.option("--maintenance", metavar="PARTY", help="It was agreed maintenance of PARTY: give --from and --to."),
    click.option("--from", "begin", metavar="TIME", help="Begin of the maintenance (ISO 8601)."),
    click.option("--to", "end", metavar="TIME", help="Its end."),
    click.option("--services", default="", help="The services that it was agreed for; default: all."),
)


def _changes(function: Callable[..., None]) -> Callable[..., None]:
    """Add an option for everything that a correction can change."""
    for option in reversed(_CHANGES):
        function = option(function)
    return function


@click.command()
@click.argument("incident")
@click.option("--chain", "chain_file", type=_FILE, required=True, help="The chain file that is in force.")
@click.option("--ledger", "path", type=_PATH, default=_DATA, help="The ledger's file, or the data directory.")
@click.option("--party", required=True, help="The party that proposes it.")
@click.option("--reason", required=True, help="Why, without names of people.")
@_changes
def propose(*, incident: str, chain_file: Path, path: Path, party: str, reason: str, **asked: Any) -> None:
    """Write a proposal to correct what the ledger says of INCIDENT, for people to sign:

    \b
    demarc ledger propose INCIDENT … > proposal.json
    ssh-keygen -Y sign -n demarc -f ~/.ssh/id_ed25519 proposal.json
    """  # noqa: D301, D400 - \b keeps the lines of an example in click's help
    with _told():
        chain = load_chain(chain_file)
        file = path / DATABASE if path.is_dir() else path
        found = read_cases(file, (incident,)).incidents.get(incident)
        if found is None:
            raise Refused(f"the ledger knows no incident {incident!r}")
        change = _change(asked)
        correction.check_change(change, finding_of(found), chain)
        proposal = correction.Proposal(
            format=correction.FORMAT,
            log=with_connection(file, log_of).name,
            incident=incident,
            entry=found.hash,
            chain=chain.hash,
            change=change,
            reason=reason,
            proposed=party,
        )
        relieved = correction.benefits(change, finding_of(found))
    click.echo(correction.write_proposal(proposal), nl=False)
    keeper = chain.custodian or chain.director
    click.echo(f"To be signed by two people of different parties, one of them of {keeper};", err=True)
    click.echo(f"it relieves {', '.join(relieved) or 'nobody'}: they may not be the only ones.", err=True)


@click.command()
@click.argument("proposal", type=_FILE)
@click.option(
    "--approval",
    "approvals",
    type=(str, str, _FILE),
    multiple=True,
    metavar="PARTY PERSON FILE.sig",
    help="A signature, by a person of the chain file (`parties.PARTY.people.PERSON`).",
)
@click.option(
    "--paper",
    "papers",
    type=(str, str, str, _FILE),
    multiple=True,
    metavar="PARTY NAME ROLE SCAN",
    help="A signed paper instead; it weighs less: shown in reports, not counted.",
)
@common
def correct(
    *,
    proposal: Path,
    approvals: tuple[tuple[str, str, Path], ...],
    papers: tuple[tuple[str, str, str, Path], ...],
    party: str,
    person: str,
    path: Path | None,
    config_file: Path | None,
) -> None:
    """Enter the correction that the file PROPOSAL says, with the approvals of people of two parties."""
    try:
        text = proposal.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{proposal} is no proposal: it is not UTF-8 text") from error
    handed = submission.Correct(
        party=party,
        person=person,
        proposal=text,
        signatures=tuple(
            correction.Signature(party=of, person=who, armored=file.read_text(encoding="utf-8", errors="replace"))
            for of, who, file in approvals
        ),
        papers=tuple(
            correction.Paper(party=of, person=who, role=role, sha256=hashlib.sha256(scan.read_bytes()).hexdigest())
            for of, who, role, scan in papers
        ),
    )
    enter(handed, path, config_file)


@click.command()
@click.argument("path", type=_PATH, default=_DATA)
def details(path: Path) -> None:
    """List the details that have not been erased: entry, name, incident."""
    with _told():
        found = read_cases(path / DATABASE if path.is_dir() else path)
    for (entry, name), detail in found.details.items():
        held = " (held)" if detail.incident in found.held else ""
        click.echo(f"{entry}\t{name}\t{detail.incident}{held}")


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (ConfigError, Refused, StorageError, sqlite3.Error, OSError) as error:
        raise click.ClickException(str(error)) from error


def _change(asked: Mapping[str, Any]) -> Change:
    """Return what the options ask for."""
    if (asked["maintenance"] is None) != (asked["begin"] is None or asked["end"] is None):
        raise click.UsageError("--maintenance, --from and --to belong together")
    window: Window | msgspec.UnsetType = UNSET
    if asked["maintenance"] is not None:
        window = Window(
            party=asked["maintenance"],
            opened=_nano(asked["begin"]),
            closed=_nano(asked["end"]),
            services=_names(asked["services"]),
        )
    changed: dict[str, Any] = {name: _nano(asked[name]) for name in ("opened", "closed") if asked[name] is not None}
    for name in ("parties", "candidates", "segments"):
        if asked[name] is not None:
            changed[name] = _names(asked[name])
    return Change(kind=asked["kind"], maintenance=window, **changed)


def _names(text: str) -> tuple[str, ...]:
    return () if text in ("", _NOBODY) else tuple(part.strip() for part in text.split(","))


def _nano(text: str) -> int:
    return nanoseconds(moment(text, 0.0))


@click.command(name="open")
@click.argument("path", type=_PATH, default=_DATA)
def open_(path: Path) -> None:
    """List what waits: incidents that are held, requests and objections without an end, by their names."""
    with _told():
        found = read_cases(path / DATABASE if path.is_dir() else path)
    for incident in sorted(found.held):
        click.echo(f"{incident}\theld")
    for asked in found.requests.values():
        what = f"{asked.party} asks {asked.to}: {asked.what}"
        click.echo(f"{asked.id}\t{what}\tby {_day(asked.due)}\t{asked.incident}\t{asked.text}")
    for objected in found.objections.values():
        what = f"{objected.party} objects"
        click.echo(f"{objected.id}\t{what}\tby {_day(objected.due)}\t{objected.incident}\t{objected.text}")


def _day(nano: int) -> str:
    return datetime.fromtimestamp(nano // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


COMMANDS = (propose, correct, details, open_)
