"""Keeps what is usual (the references of delay and loss) over a restart, off the loop.

What must stay true: a file that is damaged or missing costs nothing but the time to learn anew; writing never
delays a probe.
"""

import asyncio
from pathlib import Path

from agent.clock import Clock
from agent.daemon.attempts import Log, Spawn
from agent.daemon.state import replace_file
from agent.incident.engine import Engine

FILE_NAME = "usual.json"
# What a crash may cost: a reference is worked out from hours, ten minutes of them are no loss.
EVERY_SECONDS = 600.0


class Usual:
    """The file of one data directory."""

    def __init__(self, folder: Path, clock: Clock, log: Log, spawn: Spawn) -> None:
        self._path, self._clock, self._log, self._spawn = folder / FILE_NAME, clock, log, spawn
        self._written = clock.boot()
        self._writing: asyncio.Task[None] | None = None

    def recall(self, engine: Engine) -> None:
        """Let the engine go on with what was kept."""
        try:
            engine.recall(self._path.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            self._log.warning("usual-unreadable", problem=str(error), remedy="what is usual is learned anew")

    def round(self, engine: Engine) -> None:
        """Save in a thread when it is time."""
        now = self._clock.boot()
        if now - self._written < EVERY_SECONDS or (self._writing is not None and not self._writing.done()):
            return
        self._written = now
        if (content := engine.usual()) is not None:
            self._writing = self._spawn(asyncio.to_thread(self._write, content))

    def save(self, engine: Engine) -> None:
        """Save at an orderly stop."""
        if (content := engine.usual()) is not None:
            self._write(content)

    def _write(self, content: bytes) -> None:
        try:
            replace_file(self._path, content)
        except OSError as error:
            self._log.warning("usual-not-saved", problem=str(error))
