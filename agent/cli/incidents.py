"""`demarc incidents`: the running agent's incidents in plain sentences, for people or for programs."""

from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from agent.cli.running import ask, find_socket
from agent.cli.terminal import bold, marked, wrapped
from agent.web.answers import IncidentAnswer
from agent.words import term
from agent.words.change_text import caveat


@click.command("incidents")
@click.argument("incident", required=False)
@click.option("--all", "with_closed", is_flag=True, help="Also those that ended recently.")
@click.option("--socket", "path", type=click.Path(path_type=Path), help="The agent's socket (DATA/demarc.sock).")
@click.option("--config.file", "config_file", type=click.Path(path_type=Path), help="The agent file, to find DATA.")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--lang", "language", type=click.Choice(["en", "nl"]), default="en", show_default=True)
def command(
    *,
    incident: str | None,
    with_closed: bool,
    path: Path | None,
    config_file: Path | None,
    style: str,
    language: str,
) -> None:
    """List open incidents of the running agent, or show one (INCIDENT is its id)."""
    place = find_socket(path, config_file)
    if incident is not None:
        body = ask(place, f"incidents/{incident}", lang=language)
        shown = [msgspec.json.decode(body, type=IncidentAnswer)]
    else:
        body = ask(place, "incidents", lang=language, state="all" if with_closed else "open")
        shown = msgspec.json.decode(body, type=list[IncidentAnswer])
    if style == "json":
        click.echo(msgspec.json.format(body))
    elif not shown:
        click.echo(marked("ok", "no open incident" if not with_closed else "no open or recent incident"))
    else:
        click.echo("\n\n".join(told(i, language) for i in shown))


def told(incident: IncidentAnswer, language: str) -> str:
    """Return one incident: headline, facts, sentences."""
    kind, state = term("kind", incident.kind, language), term("state", incident.state, language)
    facts = f"{incident.id} · {kind} · "
    lines = [bold(wrapped(incident.summary)), facts + marked(incident.state, state), ""]
    lines += [wrapped(text, "  ") for text in incident.sentences]
    lines += ["", *(wrapped(one.text, "  ") for one in incident.record)] if incident.record else []
    if incident.last_changes:
        lines += ["", *(wrapped(f"last change: {one.text}", "  ") for one in incident.last_changes)]
        lines.append(wrapped(caveat(language), "  "))
    lines += [
        "",
        f"  opened {_utc(incident.opened)}" + (f", closed {_utc(incident.closed)}" if incident.closed else ""),
    ]
    return "\n".join(lines)


def _utc(at: float) -> str:
    """Return a moment as the record writes it (RFC 3339, UTC)."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
