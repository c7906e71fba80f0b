"""A verdict in sentences, and the command line of the single file."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from agent.ledger.verifier.checks import Verdict, check_file
from agent.ledger.verifier.forms import Bad, one_form
from agent.ledger.verifier.trust import parse_policy


def told(verdict: Verdict) -> str:
    """Return a verdict in sentences."""
    lines = list(_good(verdict) if verdict.ok else _bad(verdict))
    lines += [f"Note: {text}." for text in verdict.notes[:20]]
    if len(verdict.notes) > 20:
        lines.append(f"Note: {len(verdict.notes) - 20} more notes (--format json shows all).")
    if verdict.own_key and verdict.key:
        lines += [f"It was checked against the key that the {verdict.what} itself brings:", f"    {verdict.key}"]
    if verdict.own_key and verdict.ok:
        lines.append(
            "That shows that it is whole, not whose it is: check it with the policy that the parties agreed on."
        )
    return "\n".join(lines)


def _good(verdict: Verdict) -> Iterator[str]:
    yield f"The {verdict.what} is whole: {_count(verdict.entries, 'entry', 'entries')} of {verdict.origin}."
    for name, (size, time) in verdict.witnesses.items():
        yield f"{name} cosigned the first {_count(size, 'entry', 'entries')}, at {_at(time)}."
    if not verdict.own_key and not verdict.witnesses:
        yield "It is single-signed: no witness has cosigned it; that it was not rewritten, only its owner says."
    if verdict.checkpoint:
        yield "It stands under this checkpoint:"
        yield from ("", *(f"    {line}" for line in verdict.checkpoint.splitlines()), "")
    if verdict.erased:
        yield f"{_count(verdict.erased, 'detail was', 'details were')} erased; the entries still verify."


def _bad(verdict: Verdict) -> Iterator[str]:
    yield f"The {verdict.what} is NOT whole:"
    yield from (f"  - {problem}" for problem in verdict.problems)


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _at(time: int) -> str:
    """Return a time; what lies beyond the calendar as a number."""
    try:
        return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"the second {time}"


def main(words: list[str] | None = None) -> int:
    """Check the files that the command line names; return 0 when all are well, 1 when not, 2 for a bad policy."""
    parser = argparse.ArgumentParser(description="Check exports and proofs of a demarc ledger, offline.")
    parser.add_argument("files", nargs="+", type=Path, help="exports (JSON Lines) and proof files")
    parser.add_argument("--policy", type=Path, help="whose keys count, and how many witnesses are wanted")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    arguments = parser.parse_args(words)
    good = True
    try:
        policy = parse_policy(arguments.policy.read_text(encoding="utf-8")) if arguments.policy else None
        for path in arguments.files:
            verdict = check_file(path, policy)
            good &= verdict.ok
            shown = one_form(asdict(verdict)) if arguments.format == "json" else f"{path}: {told(verdict)}"
            sys.stdout.write(f"{shown}\n")
    except (Bad, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0 if good else 1
