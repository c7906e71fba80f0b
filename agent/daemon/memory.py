"""Keeps the agent's state file up to date while it runs, off the loop.

What must stay true: a round number is reserved on disk before it is used (but for a disk that fails:
then numbers still rise by the wall clock); writing never delays a probe.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from agent.clock import Clock
from agent.daemon.attempts import Log, Spawn
from agent.daemon.rounds import RESERVE, first_round
from agent.daemon.state import AgentState, load_state, save_state


class Memory:
    """The state of this start: loaded when made, saved every half reserve and when a probe is verified."""

    def __init__(self, folder: Path, clock: Clock, log: Log, spawn: Spawn) -> None:
        self._folder, self._clock, self._log, self._spawn = folder, clock, log, spawn
        self._state, trouble = load_state(folder)
        if trouble:
            log.warning("agent-state-unreadable", problem=trouble)
        self._writing: asyncio.Task[None] | None = None

    @property
    def verified(self) -> Mapping[str, str]:
        """Return the settings hash with which each probe last passed."""
        return self._state.verified

    def first_round(self, spacing: float) -> int:
        """Reserve and return the first round number of this start."""
        first = first_round(self._state.reserved_round, self._clock.wall(), spacing)
        self._write(AgentState(reserved_round=first + RESERVE, verified=dict(self.verified)))
        return first

    def round(self, number: int, verified: Mapping[str, str]) -> None:
        """Save in a thread when it is time."""
        used_up = number + RESERVE // 2 >= (self._state.reserved_round or 0)
        idle = self._writing is None or self._writing.done()
        if idle and (used_up or verified != self._state.verified):
            state = AgentState(reserved_round=number + RESERVE, verified=dict(verified))
            self._writing = self._spawn(self._write_later(state))

    def save(self, number: int, verified: Mapping[str, str]) -> None:
        """Save at an orderly stop: no number is reserved any longer than used."""
        self._write(AgentState(reserved_round=number, verified=dict(verified)))

    async def _write_later(self, state: AgentState) -> None:
        await asyncio.to_thread(self._write, state)

    def _write(self, state: AgentState) -> None:
        self._state = state
        try:
            save_state(self._folder, state)
        except OSError as error:
            self._log.warning("agent-state-not-saved", problem=str(error))
