"""What is usual survives a restart, and nothing depends on it."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from agent.daemon.usual import EVERY_SECONDS, FILE_NAME, Usual
from agent.incident.engine import Engine
from tests.agent.daemon.world import FakeLog, VirtualClock
from tests.agent.excess.line import CHAIN, line_chain, seen


class Kept:
    """The file of one agent, with a clock and a log by hand."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.log, self.writes = VirtualClock(), FakeLog(), 0
        self.usual = Usual(folder, self.clock, self.log, self._spawn)

    def _spawn(self, coroutine: Coroutine[Any, Any, None], /) -> "asyncio.Task[None]":
        self.writes += 1
        asyncio.run(coroutine)
        done: asyncio.Future[None] = asyncio.Future(loop=asyncio.new_event_loop())
        done.get_loop().close()
        return done  # type: ignore[return-value]  # only `done()` is asked of it


def learned() -> Engine:
    """Return an engine that knows what is usual."""
    engine = Engine(CHAIN)
    for one in seen(seconds=250):
        engine.observe(one)
    return engine


def test_it_goes_on_after_a_stop(tmp_path: Path) -> None:
    """What an orderly stop kept, the next start knows."""
    engine = learned()
    Kept(tmp_path).usual.save(engine)
    again = Engine(CHAIN)
    Kept(tmp_path).usual.recall(again)
    assert again.usual() == engine.usual() is not None


def test_it_is_saved_now_and_then(tmp_path: Path) -> None:
    """Every ten minutes, not each round; a chain without margins writes nothing."""
    kept, engine = Kept(tmp_path), learned()
    kept.usual.round(engine)
    assert kept.writes == 0
    kept.clock.now += EVERY_SECONDS
    kept.usual.round(Engine(line_chain(None, None)))
    kept.usual.save(Engine(line_chain(None, None)))
    assert kept.writes == 0
    kept.clock.now += EVERY_SECONDS
    kept.usual.round(engine)
    kept.usual.round(engine)
    assert kept.writes == 1
    assert (tmp_path / FILE_NAME).exists()


@pytest.mark.parametrize(("content", "told"), [(None, []), (b"no", ["usual-unreadable"])])
def test_a_file_that_is_missing_or_damaged(tmp_path: Path, content: bytes | None, told: list[str]) -> None:
    """What is usual is learned anew; a damaged file is told."""
    if content is not None:
        (tmp_path / FILE_NAME).write_bytes(content)
    kept = Kept(tmp_path)
    kept.usual.recall(Engine(CHAIN))
    assert kept.log.events() == told


def test_a_disk_that_fails_is_told(tmp_path: Path) -> None:
    """Nothing stops when it cannot be written."""
    kept = Kept(tmp_path / "gone")
    kept.usual.save(learned())
    assert kept.log.events() == ["usual-not-saved"]
