"""`demarc drift`: what was seen of configurations, what changed, and what a person approves of it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from agent.cli.running import Refusal, ask, find_socket, hand_in
from agent.cli.terminal import bold, wrapped
from agent.drift.value import Approve, FactNow, Fingerprint, SignedApproval, Standing
from agent.web.answers import ChangeAnswer, StatusAnswer

_WORDS = {
    Standing.APPROVED: "as approved",
    Standing.DRIFTED: "OTHER THAN APPROVED",
    Standing.UNAPPROVED: "not approved",
    Standing.FLAPPING: "keeps changing",
    Standing.UNSEEN: "not seen yet",
}


def _running(function: Any) -> Any:
    """Add the options that find the running agent."""
    for option in (
        click.option(
            "--socket", "path", type=click.Path(path_type=Path), help="The agent's socket (DATA/demarc.sock)."
        ),
        click.option("--config.file", "config_file", type=click.Path(path_type=Path), help="The agent file."),
    ):
        function = option(function)
    return function


_STYLE = click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)


@click.group(name="drift")
def command() -> None:
    """Show what was seen of configurations, what changed, and approve what was seen."""


@command.command()
@click.argument("probe", required=False)
@click.option("--open", "only_open", is_flag=True, help="Only what is not as approved.")
@_running
@_STYLE
def show(*, probe: str | None, only_open: bool, path: Path | None, config_file: Path | None, style: str) -> None:
    """Show the facts of every probe of the running agent, or of PROBE, against what was approved."""
    found = fingerprints(find_socket(path, config_file), probe)
    if style == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found)))
    elif not found:
        click.echo("no probe of this agent has told of a configuration yet")
    else:
        click.echo("\n\n".join(told(one, only_open=only_open) for one in found))


@command.command()
@click.option("--lang", "language", type=click.Choice(["en", "nl"]), default="en", show_default=True)
@_running
@_STYLE
def changes(*, language: str, path: Path | None, config_file: Path | None, style: str) -> None:
    """List the latest changes, newest first; the ledger holds them all."""
    body = ask(find_socket(path, config_file), "changes", lang=language)
    if style == "json":
        click.echo(msgspec.json.format(body))
        return
    for change in msgspec.json.decode(body, type=list[ChangeAnswer]):
        click.echo(wrapped(f"{change.event:<9} {_utc(change.at)}  {change.text}"))


@command.command()
@click.argument("probe")
@click.option("--party", required=True, help="The party of the chain file for which you approve.")
@click.option("--fact", "names", multiple=True, help="Approve this fact only; may be given several times.")
@click.option("--reason", default="", help="The change's number, or why it is right.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_running
def approve(
    *,
    probe: str,
    party: str,
    names: tuple[str, ...],
    reason: str,
    yes: bool,
    path: Path | None,
    config_file: Path | None,
) -> None:
    """Approve the facts of PROBE as they are now; the ledger records it.

    What stands under `approved` in the chain file is changed there. Root and the agent's own user may approve.
    """
    place = find_socket(path, config_file)
    (one,) = fingerprints(place, probe)
    facts = {fact.name: fact.value for fact in chosen(one, names)}
    for name, value in facts.items():
        click.echo(f"  {name}: {value}")
    if not yes:
        click.confirm(f"Approve {_count(facts)} of {probe} for {party}?", abort=True)
    hand_in(
        place, msgspec.json.encode(Approve(probe=probe, facts=facts, party=party, reason=reason)), "drift/approvals"
    )
    click.echo(f"approved: {_count(facts)} of {probe}")


@command.command()
@click.argument("probe")
@click.option("--party", required=True, help="The party for which it is to be approved.")
@click.option("--fact", "names", multiple=True, help="This fact only; may be given several times.")
@click.option("--reason", default="", help="The change's number, or why it is right.")
@_running
def propose(
    *, probe: str, party: str, names: tuple[str, ...], reason: str, path: Path | None, config_file: Path | None
) -> None:
    """Print the approval of PROBE's facts as they are now, as a file for a person of the chain file to sign.

    They sign it elsewhere: ssh-keygen -Y sign -n demarc -f KEY FILE
    """
    place = find_socket(path, config_file)
    (one,) = fingerprints(place, probe)
    wanted = Approve(
        probe=probe,
        facts={fact.name: fact.value for fact in chosen(one, names)},
        party=party,
        reason=reason,
        vantage=msgspec.json.decode(ask(place, "status"), type=StatusAnswer).vantage,
    )
    click.echo(msgspec.json.format(msgspec.json.encode(wanted), indent=2))


@command.command(name="enter")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--person", required=True, help="Who signed: their name under `people` of the party in the chain file.")
@click.option("--signature", type=click.Path(path_type=Path), help="The signature; default: FILE.sig.")
@_running
def enter_signed(
    *, file: Path, person: str, signature: Path | None, path: Path | None, config_file: Path | None
) -> None:
    """Enter the approval in FILE that a person of the chain file signed."""
    place = find_socket(path, config_file)
    try:
        armored = (signature or file.with_name(f"{file.name}.sig")).read_text()
        handed = SignedApproval(proposal=file.read_text(), person=person, signature=armored)
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"the signed approval cannot be read: {error}", "sign it with ssh-keygen -Y sign", 65) from error
    hand_in(place, msgspec.json.encode(handed), "drift/approvals/signed")
    click.echo(f"approved: {file.name}, signed by {person}")


def fingerprints(place: Path, probe: str | None) -> list[Fingerprint]:
    """Return what the running agent shows, of one probe if it is named; raises Refusal when there is none."""
    found = msgspec.json.decode(ask(place, "drift"), type=list[Fingerprint])
    if probe is None:
        return found
    one = [fingerprint for fingerprint in found if fingerprint.probe == probe]
    if not one:
        names = ", ".join(fingerprint.probe for fingerprint in found) or "none yet"
        raise Refusal(f"no facts of a probe {probe!r}", f"there are facts of: {names}", 65)
    return one


def chosen(one: Fingerprint, names: tuple[str, ...]) -> list[FactNow]:
    """Return the facts to approve: those named, else all that hold and are neither approved nor in the chain file."""
    if names:
        known = {fact.name: fact for fact in one.facts}
        for name in names:
            if name not in known:
                raise Refusal(f"{one.probe} has no fact {name!r}", f"there are: {', '.join(known)}", 65)
        return [known[name] for name in names]
    open_ = (Standing.UNAPPROVED, Standing.DRIFTED)
    found = [fact for fact in one.facts if fact.standing in open_ and fact.approved_by != "chain file"]
    if not found:
        raise Refusal(f"nothing of {one.probe} is left to approve", f"see `demarc drift show {one.probe}`", 65)
    return found


def told(one: Fingerprint, *, only_open: bool) -> str:
    """Return the facts of a probe, one a line."""
    facts = [f for f in one.facts if not only_open or f.standing not in (Standing.APPROVED, Standing.UNSEEN)]
    lines = [bold(f"{one.probe}  {one.type}  {', '.join(one.segments)}")]
    for fact in facts:
        lines.append(f"  {fact.name}: {fact.value or '-'}  [{_WORDS[fact.standing]}]")
        if fact.approved is not None and fact.approved != fact.value:
            lines.append(f"      approved: {fact.approved} ({fact.approved_by})")
    return "\n".join(lines if facts else [*lines, "  everything as approved"])


def _count(facts: dict[str, str]) -> str:
    return f"{len(facts)} fact{'s' if len(facts) != 1 else ''}"


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
