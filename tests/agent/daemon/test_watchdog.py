"""The watchdog's thread: it sees a loop that blocks, once a block, and nothing else."""

import threading

from agent.clock import SystemClock
from agent.daemon.selfcheck import STALL_SECONDS
from agent.daemon.watchdog import Watchdog, stack_of

CLOCK = SystemClock()


class Watched:
    """A loop whose beats the test gives."""

    def __init__(self) -> None:
        self.beat = CLOCK.boot()
        self.blocks: list[tuple[float, str]] = []
        self.seen = threading.Event()
        self.watchdog = Watchdog(
            clock=CLOCK, last_beat=lambda: self.beat, blocked=self.blocked, watched=threading.get_ident()
        )

    def blocked(self, seconds: float, stack: str) -> None:
        """Hear of a block."""
        self.blocks.append((seconds, stack))
        self.seen.set()


def test_a_block_is_told_once_with_the_stack() -> None:
    """A beat that gets too old is a block; it is told once, and again after another beat."""
    watched = Watched()
    watched.watchdog.start()
    assert watched.seen.wait(5)
    watched.seen.clear()
    assert not watched.seen.wait(STALL_SECONDS)
    watched.beat = CLOCK.boot()
    assert watched.seen.wait(5)
    watched.watchdog.stop()
    assert len(watched.blocks) == 2
    for seconds, stack in watched.blocks:
        assert seconds > STALL_SECONDS
        assert "test_a_block_is_told_once_with_the_stack" in stack


def test_stack_of_a_thread_that_is_gone_is_empty() -> None:
    """There is nothing to show, and nothing raises."""
    gone = threading.Thread(target=lambda: None)
    gone.start()
    gone.join()
    assert stack_of(gone.ident or 0) == ""
