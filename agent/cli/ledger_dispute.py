"""`demarc ledger hold|release|erase|request|reply|object|decide|acknowledge|correct`: what people enter.

They hand it to the agent that runs on this host, over its unix socket; it judges, and records or refuses.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from agent.cli.running import find_socket, hand_in
from agent.ledger import Receipt, dossier, submission
from agent.ledger.submission import AnySubmission

_PATH = click.Path(path_type=Path)
_UNITS = {"m": 60, "h": 3600, "d": 86_400}


def _term(_: click.Context, __: click.Parameter, text: str) -> float:
    """Return the seconds of a term in minutes, hours or days."""
    match = re.fullmatch(r"([0-9]{1,5})([mhd])", text)
    if match is None:
        raise click.BadParameter(f"{text!r} is no term; write such as 90m, 48h or 14d")
    return float(match[1]) * _UNITS[match[2]]


def common(function: Callable[..., None]) -> Callable[..., None]:
    """Add what every one of these commands takes."""
    for option in (
        click.option("--socket", "path", type=_PATH, help="The agent's socket (DATA/demarc.sock)."),
        click.option("--config.file", "config_file", type=_PATH, help="The agent file, to find DATA."),
        click.option("--person", default="", help="Who, by name: an erasable detail, never in the entry itself."),
        click.option("--party", required=True, help="The party that you speak for."),
    ):
        function = option(function)
    return function


def enter(handed: AnySubmission, path: Path | None, config_file: Path | None) -> None:
    """Hand something in to the running agent and tell where it stands."""
    receipt = msgspec.json.decode(hand_in(find_socket(path, config_file), msgspec.json.encode(handed)), type=Receipt)
    click.echo(f"Recorded as entry {receipt.index} ({receipt.hash}).")
    if receipt.id:
        click.echo(f"Its name is {receipt.id}: what answers it names it.")


@click.command()
@click.argument("incident")
@click.option("--reason", required=True, help="Why, without names of people.")
@common
def hold(*, incident: str, reason: str, party: str, person: str, path: Path | None, config_file: Path | None) -> None:
    """Hold the details of INCIDENT while it is disputed: nothing of them is erased."""
    enter(
        submission.Hold(party=party, person=person, incident=incident, state="held", reason=reason), path, config_file
    )


@click.command()
@click.argument("incident")
@click.option("--reason", required=True, help="Why, without names of people.")
@common
def release(
    *, incident: str, reason: str, party: str, person: str, path: Path | None, config_file: Path | None
) -> None:
    """Release the details of INCIDENT that were held."""
    enter(
        submission.Hold(party=party, person=person, incident=incident, state="released", reason=reason),
        path,
        config_file,
    )


@click.command()
@click.argument("entry", type=int)
@click.argument("names", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why, without names of people.")
@common
def erase(
    *,
    entry: int,
    names: tuple[str, ...],
    reason: str,
    party: str,
    person: str,
    path: Path | None,
    config_file: Path | None,
) -> None:
    """Erase the details NAMES of entry ENTRY; the entry itself stays valid, and it is recorded why.

    `demarc ledger details` lists what there is to erase.
    """
    details = tuple(dossier.Erased(entry=entry, name=name) for name in names)
    enter(submission.Erase(party=party, person=person, details=details, reason=reason), path, config_file)


@click.command()
@click.argument("to")
@click.argument("what", type=click.Choice(["vantage", "cosign", "acknowledge", "explain", "other"]))
@click.option("--within", callback=_term, required=True, help="The term, such as 14d.")
@click.option("--incident", default="", help="The incident that it is about.")
@click.option("--text", default="", help="What is asked, without names of people.")
@common
def request(
    *,
    to: str,
    what: Any,
    within: float,
    incident: str,
    text: str,
    party: str,
    person: str,
    path: Path | None,
    config_file: Path | None,
) -> None:
    """Ask the party TO for WHAT within a term. That no reply came is recorded too; it proves nothing."""
    handed = submission.Ask(party=party, person=person, to=to, what=what, within=within, incident=incident, text=text)
    enter(handed, path, config_file)


@click.command()
@click.argument("request_id", metavar="REQUEST")
@click.argument("outcome", type=click.Choice(["done", "partly", "refused", "withdrawn"]))
@click.option("--text", default="", help="What was said, without names of people.")
@common
def reply(
    *, request_id: str, outcome: Any, text: str, party: str, person: str, path: Path | None, config_file: Path | None
) -> None:
    """Record how the request REQUEST ended."""
    handed = submission.Answer(party=party, person=person, request=request_id, outcome=outcome, text=text)
    enter(handed, path, config_file)


@click.command(name="object")
@click.argument("incident")
@click.option("--text", required=True, help="On what ground, without names of people.")
@click.option("--within", callback=_term, required=True, help="It is to be decided within this term, such as 14d.")
@common
def object_(
    *, incident: str, text: str, within: float, party: str, person: str, path: Path | None, config_file: Path | None
) -> None:
    """Object to what the ledger says of INCIDENT."""
    handed = submission.Object(party=party, person=person, incident=incident, text=text, within=within)
    enter(handed, path, config_file)


@click.command()
@click.argument("objection")
@click.argument("outcome", type=click.Choice(["upheld", "rejected", "withdrawn"]))
@click.option("--text", default="", help="Why, without names of people.")
@common
def decide(
    *, objection: str, outcome: Any, text: str, party: str, person: str, path: Path | None, config_file: Path | None
) -> None:
    """Record how the objection OBJECTION ended."""
    handed = submission.Decide(party=party, person=person, objection=objection, outcome=outcome, text=text)
    enter(handed, path, config_file)


@click.command()
@click.argument("incident")
@common
def acknowledge(*, incident: str, party: str, person: str, path: Path | None, config_file: Path | None) -> None:
    """Record that somebody of a party took note of INCIDENT."""
    enter(submission.Acknowledge(party=party, person=person, incident=incident), path, config_file)


COMMANDS = (hold, release, erase, request, reply, object_, decide, acknowledge)
