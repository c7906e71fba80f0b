"""The agent's place on the host: its data directory, which one agent at a time uses."""

import fcntl
import os
from pathlib import Path

from agent.daemon.errors import EX_CANTCREAT, StartError

LOCK = "agent.lock"
CONTROL = "demarc.sock"
"""File names in the data directory; the control socket is for this host's owner and group only."""


def open_data(folder: Path) -> int:
    """Make and lock the data directory; return the lock's descriptor. Raises StartError."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise StartError(
            f"the data directory {folder} cannot be written: {error.strerror}",
            f"make it and give it to the user that runs demarc: install -d -o demarc -g demarc -m 0750 {folder}",
            EX_CANTCREAT,
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StartError(
            f"another agent uses the data directory {folder}",
            "stop it, or give this agent a `data` directory of its own",
            EX_CANTCREAT,
        ) from error
    return lock
