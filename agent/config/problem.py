"""What is wrong with a file: where exactly, and what to write instead.

All problems of a file are collected and raised at once. What the file's author wrote is escaped
before it is shown, so that one problem stays one line and a terminal stays a terminal.
"""

from collections.abc import Callable, Iterable

import msgspec

Where = tuple[str | int, ...]

_SHOWN = 60  # characters of the author's text that a message repeats
_SUGGESTED = 64  # a longer word is no typing error, and comparing it with all others is slow


class Problem(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One thing to repair: `key` is the path of keys (`probes.erp.path[3]`), empty for the file."""

    file: str
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        """Return `file:line: key: text`."""
        return ": ".join(part for part in (f"{self.file}:{self.line}", self.key, self.text) if part)


class ConfigError(Exception):
    """A file cannot be used; `problems` holds everything that is wrong, in the files' order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def shown(text: object) -> str:
    """Return the author's text in backticks, on one line, printable and not too long."""
    plain = str(text)
    cut = plain if len(plain) <= _SHOWN else plain[:_SHOWN] + "…"
    return "`" + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut) + "`"


def key_path(where: Where) -> str:
    """Return the path of keys as text: `("probes", "erp", "path", 3)` is `probes.erp.path[3]`."""
    text = ""
    for step in where:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = shown(step)[1:-1]
            text += f".{name}" if text else name
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean X?` for the nearest known word, or nothing when none is near."""
    if not 0 < len(word) <= _SUGGESTED:
        return ""
    import difflib  # noqa: PLC0415 - only a file with an error needs it, and the agent's memory has a bound

    by_folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return f"; did you mean `{by_folded[near[0]]}`?" if near else ""


class Report:
    """Collects the problems and warnings of one file while it is read.

    `line_of` gives the line of a path of keys, or of the nearest enclosing key that exists.
    """

    def __init__(self, file: str, line_of: Callable[[Where], int]) -> None:
        self._file = file
        self._line_of = line_of
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def problem(self, where: Where, text: str, line: int | None = None) -> None:
        """Note what makes the file unusable; `line` where it is not the line of `where`."""
        self.problems.append(self._at(where, text, line))

    def warn(self, where: Where, text: str) -> None:
        """Note what is allowed and probably not meant."""
        self.warnings.append(self._at(where, text, None))

    def _at(self, where: Where, text: str, line: int | None) -> Problem:
        return Problem(
            file=self._file, line=self._line_of(where) if line is None else line, key=key_path(where), text=text
        )
