"""Text for a terminal: colour only where it is wanted, lines no longer than the terminal is wide."""

import os
import shutil
import sys
import textwrap
from collections.abc import Mapping
from typing import Final

import click

# Prose wider than this is hard to read, however wide the terminal.
WIDEST: Final = 100
LOOKS: Final[Mapping[str, tuple[str, str]]] = {
    "ok": ("✓", "green"),
    "up": ("✓", "green"),
    "degraded": ("≈", "yellow"),
    "failed": ("✗", "red"),
    "down": ("✗", "red"),
    "suspected": ("?", "yellow"),
    "recovering": ("≈", "yellow"),
    "confirmed": ("✗", "red"),
    "masked": ("◌", "blue"),
    "excused": ("◌", "blue"),
    "closed": ("·", "white"),
    "unknown": ("-", "white"),
    "unobserved": ("-", "white"),
}


def width() -> int:
    """Return the columns that a line may fill."""
    return min(WIDEST, max(40, shutil.get_terminal_size((80, 24)).columns))


def coloured() -> bool:
    """Tell whether to colour: a terminal that can, and no NO_COLOR (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def marked(state: str, words: str, columns: int = 0) -> str:
    """Return a state as mark and word, padded to `columns`, coloured where it is wanted."""
    mark, colour = LOOKS.get(state, LOOKS["unknown"])
    text = f"{mark} {words}".ljust(columns)
    return click.style(text, fg=colour) if coloured() else text


def bold(text: str) -> str:
    """Return a heading."""
    return click.style(text, bold=True) if coloured() else text


def wrapped(text: str, indent: str = "") -> str:
    """Return a paragraph, wrapped and indented."""
    return textwrap.fill(text, width(), initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def cut(text: str, columns: int) -> str:
    """Return `text` in at most `columns`, with an ellipsis where it is cut."""
    return text if len(text) <= columns else text[: max(0, columns - 1)] + "…"
