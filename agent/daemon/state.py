"""What the agent must remember over a restart beside the incidents: round numbers and verified probes.

One small JSON file, replaced atomically. What must stay true: a file that is damaged or missing costs
nothing but the memory itself; the numbers in it are reserved before they are used.
"""

import contextlib
import os
from pathlib import Path

import msgspec

FILE_NAME = "agent-state.json"


class AgentState(msgspec.Struct, frozen=True, kw_only=True):
    """What one vantage remembers.

    `reserved_round` is the last round number that may have been used; `verified` maps a probe to the
    settings hash with which it last passed.
    """

    reserved_round: int | None = None
    verified: dict[str, str] = {}


def load_state(folder: Path) -> tuple[AgentState, str]:
    """Return the saved state, and what is wrong with the file (empty: nothing)."""
    path = folder / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=AgentState), ""
    except FileNotFoundError:
        return AgentState(), ""
    except (OSError, msgspec.DecodeError) as error:
        return AgentState(), f"{path}: {error}; starting without it, probes count as verified once they pass again"


def save_state(folder: Path, state: AgentState) -> None:
    """Replace the file atomically and durably; raises OSError."""
    replace_file(folder / FILE_NAME, msgspec.json.encode(state))


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` in the place of a file, atomically and durably; raises OSError."""
    draft = path.with_suffix(".new")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
