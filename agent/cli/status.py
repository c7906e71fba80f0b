"""`demarc status`: the running agent's view of the chain, for people or for programs."""

import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import msgspec

from agent.cli.running import Refusal, ask, find_socket
from agent.cli.terminal import bold, cut, marked, width, wrapped
from agent.incident.value import Kind
from agent.web.answers import ProbeAnswer, SegmentAnswer, StatusAnswer
from agent.words import term
from agent.words.names import duration
from agent.words.terms import fault_words

WATCH_SECONDS = 1.0
CLEAR = "\x1b[H\x1b[J"  # ECMA-48: cursor home, erase to the end


@click.command("status")
@click.option("--socket", "path", type=click.Path(path_type=Path), help="The agent's socket (DATA/demarc.sock).")
@click.option("--config.file", "config_file", type=click.Path(path_type=Path), help="The agent file, to find DATA.")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--lang", "language", type=click.Choice(["en", "nl"]), default="en", show_default=True)
@click.option("--watch", is_flag=True, help="Show it anew every second until Ctrl-C.")
def command(*, path: Path | None, config_file: Path | None, style: str, language: str, watch: bool) -> None:
    """Show the running agent's view of the chain.

    Exits 0 when the agent answers, whatever the chain's state; 69 when no agent runs, 77 without the
    right to ask it.
    """
    place = find_socket(path, config_file)
    if not watch:
        click.echo(_shown(place, style, language))
        return
    with suppress(KeyboardInterrupt):
        while True:
            click.echo(CLEAR + watched(place, style, language))
            time.sleep(WATCH_SECONDS)


def _shown(place: Path, style: str, language: str) -> str:
    """Return the agent's answer as it is printed."""
    body = ask(place, "status", lang=language)
    if style == "json":
        return msgspec.json.format(body).decode()
    return report(msgspec.json.decode(body, type=StatusAnswer), language)


def watched(place: Path, style: str, language: str) -> str:
    """Return the answer, or why there is none: who watches also watches the agent's restart."""
    try:
        return _shown(place, style, language)
    except Refusal as refusal:
        return marked("failed", refusal.message)


def report(status: StatusAnswer, language: str) -> str:
    """Return the whole text, wrapped for this terminal."""
    names = {p.id: p.name for p in status.parties}
    operator = names.get(status.operator, status.operator)
    lines = [
        f"{bold('demarc')}  {status.vantage} ({operator})  {_clock(status, status.at)}",
        "",
        *_incidents(status),
        *_recording(status),
        bold("Chain"),
        *_chain(status, names, language),
        "",
        bold("Services"),
        *(f"  {marked(s.state, term('service', s.state, language), 16)} {s.name}" for s in status.services),
        "",
        bold("Measurements"),
        *(_probe(status, p, language) for p in status.probes),
    ]
    if status.peers:
        lines += ["", bold("Other measuring points"), *_peers(status)]
    if status.witnesses:
        lines += ["", bold("Who vouches for this record"), *_witnesses(status)]
    return "\n".join(lines)


def _clock(status: StatusAnswer, at: float) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(status.timezone)).strftime("%Y-%m-%d %H:%M:%S %Z")


def _incidents(status: StatusAnswer) -> list[str]:
    """Return each open incident's headline and whose move it is."""
    if not status.incidents:
        unseen = [s.id for s in status.segments if s.state != "ok"]
        verdict = f"no disturbance found; not measured: {', '.join(unseen)}" if unseen else "the whole chain works"
        return [marked("unknown" if unseen else "ok", verdict), ""]
    lines = []
    for incident in status.incidents:
        lines.append(marked(incident.state, cut(incident.summary, width() - 2)))
        calls = f", to act: {incident.mover_name}" if incident.state in ("confirmed", "recovering") else ""
        lines.append(f"  {incident.id}, since {_clock(status, incident.opened)}{calls}")
    return [*lines, ""]


def _recording(status: StatusAnswer) -> list[str]:
    """Return a warning when something is not recorded or the other side works with another file."""
    kept = status.recording
    stopped = [name for name, works in (("ledger", kept.ledger), ("observation store", kept.store)) if not works]
    lines = [
        marked("failed", f"the {name} has stopped recording: {kept.detail or 'no reason given'}") for name in stopped
    ]
    lines += [
        marked("failed", f"{p.vantage} works with another chain file; its measurements are not used")
        for p in status.peers
        if p.same_chain is False
    ]
    return [*lines, ""] if lines else []


def _chain(status: StatusAnswer, names: dict[str, str], language: str) -> list[str]:
    """Return a line per segment, and a demarcation line wherever the next one has another owner."""
    lines: list[str] = []
    before: SegmentAnswer | None = None
    doubtful = {s for i in status.incidents if i.kind == Kind.UNDETERMINED for s in i.segments}
    widest = max((len(s.id) for s in status.segments), default=0)
    for segment in status.segments:
        if before is not None and before.owners != segment.owners:
            lines.append("  " + f"{'╌' * 12} demarcation line ".ljust(width() - 4, "╌"))
        side = "" if before is not None and before.side == segment.side else term("side", segment.side, language)
        owners = " + ".join(names.get(o, o) for o in segment.owners)
        # What works for one kind of traffic can still be the cause for another.
        key = "suspected" if segment.state == "ok" and segment.id in doubtful else segment.state
        state = marked(key, term("segment", key, language), 17)
        lines.append(f"  {side:<15} {segment.id:<{widest}}  {state}  {owners}")
        before = segment
    return lines


def _probe(status: StatusAnswer, probe: ProbeAnswer, language: str) -> str:
    """Return one line: outcome, name, target, duration or why not."""
    outcome = probe.outcome or "unknown"
    took = "" if probe.seconds is None else duration(probe.seconds, "en")
    words = term("outcome", outcome, language) if probe.outcome else "no result yet"
    why = fault_words(f"{probe.stage or ''}/{probe.fault}", language) if probe.fault else took
    flag = "" if probe.verified or probe.outcome is None else " (unverified)"
    name = f"{probe.vantage}>{probe.probe}"
    widest = max(len(p.vantage) + len(p.probe) + 1 for p in status.probes)
    head = f"  {marked(outcome, words, 15)} {name:<{widest}}  "
    plain = 2 + 15 + 1 + widest + 2
    return head + cut(f"{why}{flag}  {probe.target}" if why else probe.target, width() - plain)


def _peers(status: StatusAnswer) -> list[str]:
    lines = []
    for peer in status.peers:
        words = "reachable" if peer.reachable else "not reachable"
        heard = f", last heard {_clock(status, peer.last)}" if peer.last is not None else ""
        detail = f", {peer.detail}" if peer.detail else ""
        lines.append(
            wrapped(f"{marked('ok' if peer.reachable else 'failed', words)}  {peer.vantage}{heard}{detail}", "  ")
        )
    return lines


def _witnesses(status: StatusAnswer) -> list[str]:
    """Return a line for each: how far it has cosigned, and since when it is behind for too long."""
    lines = []
    for one in status.witnesses:
        words = "two histories" if one.conflict else "silent" if one.silent else "cosigns" if one.entries else "not yet"
        look = "failed" if one.conflict or one.silent else "ok" if one.entries else "unknown"
        last = f", {one.entries} entries, last {_clock(status, one.time)}" if one.time else ""
        behind = f", behind since {_clock(status, one.waiting)}" if one.silent and one.waiting is not None else ""
        detail = f", {one.detail}" if one.detail else ""
        lines.append(wrapped(f"{marked(look, words)}  {one.vantage}{last}{behind}{detail}", "  "))
    return lines
