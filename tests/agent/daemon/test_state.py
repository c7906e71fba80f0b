"""What survives a restart: atomic, and nothing worse than forgetting when the file is damaged."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.daemon.memory import Memory
from agent.daemon.recent import KEEP_SECONDS, Recent
from agent.daemon.rounds import RESERVE
from agent.daemon.state import FILE_NAME, AgentState, load_state, save_state
from agent.observation import Observation
from probes.kit.result import Outcome
from tests.agent.daemon.world import EPOCH, FakeLog, VirtualClock


def test_state_comes_back(tmp_path: Path) -> None:
    """What was saved is loaded, and no draft stays behind."""
    state = AgentState(reserved_round=77, verified={"gw": "hash"})
    save_state(tmp_path, state)
    assert load_state(tmp_path) == (state, "")
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_no_file_is_a_first_start(tmp_path: Path) -> None:
    """Nothing saved is no trouble."""
    assert load_state(tmp_path) == (AgentState(), "")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"reserved_round":"x"}', b"\xff\xfe"])
def test_damaged_file_costs_the_memory_only(tmp_path: Path, content: bytes) -> None:
    """A file that makes no sense is told and forgotten."""
    (tmp_path / FILE_NAME).write_bytes(content)
    state, trouble = load_state(tmp_path)
    assert state == AgentState()
    assert FILE_NAME in trouble


def test_directory_that_is_gone_is_told(tmp_path: Path) -> None:
    """Saving raises what the disk says."""
    with pytest.raises(OSError, match="No such file"):
        save_state(tmp_path / "gone", AgentState())


class Restarts:
    """Starts of one agent in one directory, seconds apart."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.log = folder, VirtualClock(), FakeLog()

    def memory(self) -> Memory:
        """Start again."""

        def spawn(coroutine: Coroutine[Any, Any, None], /) -> "asyncio.Task[None]":
            asyncio.run(coroutine)
            done: asyncio.Future[None] = asyncio.Future(loop=asyncio.new_event_loop())
            done.get_loop().close()
            return done  # type: ignore[return-value]  # only `done()` is asked of it

        return Memory(self.folder, self.clock, self.log, spawn)


def test_rounds_rise_over_a_kill(tmp_path: Path) -> None:
    """After a kill -9 the next start begins above every number that may have been used."""
    restarts = Restarts(tmp_path)
    first = restarts.memory().first_round(1.0)
    assert first == int(EPOCH + 1000)
    second = restarts.memory().first_round(1.0)
    assert second > first + RESERVE


def test_orderly_stop_gives_the_reserve_back(tmp_path: Path) -> None:
    """After a stop numbers go on right behind the last one."""
    restarts = Restarts(tmp_path)
    memory = restarts.memory()
    first = memory.first_round(1.0)
    memory.save(first + 5, {"gw": "hash"})
    again = restarts.memory()
    assert again.verified == {"gw": "hash"}
    assert again.first_round(1.0) == first + 6


def test_disk_that_fails_stops_nothing(tmp_path: Path) -> None:
    """Without a directory numbers come from the wall clock, and the log says so."""
    restarts = Restarts(tmp_path / "gone")
    assert restarts.memory().first_round(1.0) == int(EPOCH + 1000)
    assert restarts.log.events() == ["agent-state-not-saved"]


@given(st.lists(st.tuples(st.integers(0, 300), st.floats(0, 3)), max_size=60), st.integers(0, 300))
def test_recent_gives_whole_rounds_after_a_number(rounds: list[tuple[int, float]], since: int) -> None:
    """Whatever comes late by a few rounds, what is asked for is complete, in order, and not too old."""
    recent = Recent()
    arrivals = sorted(rounds, key=lambda item: item[0] + item[1])
    made = [
        Observation(time=float(number), round=number, vantage="cloud", probe="gw", outcome=Outcome.OK)
        for number, _ in arrivals
    ]
    for observation in made:
        recent.observation(observation)
    newest = max((o.time for o in made), default=0.0)
    found = recent.since(since)
    expected = [o for o in made if o.round > since and o.time >= newest - KEEP_SECONDS + 4]
    assert [o for o in found if o.time >= newest - KEEP_SECONDS + 4] == expected
    assert all(o.round > since for o in found)
