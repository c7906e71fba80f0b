"""The watchdog's thread: it sees a loop that blocks, once a block, and nothing else."""

import threading

import pytest

from agent.clock import SystemClock
from agent.daemon.selfcheck import STALL_SECONDS
from agent.daemon.watchdog import Watchdog, ping, stack_of

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


def longest_silence(begins: float, lasts: float, patience: float) -> float:
    """Return for how long systemd hears nothing when the loop stands still once, in the order that is worst for us."""
    now, heard, longest = 0.0, 0.0, 0.0
    while now < 4 * patience:
        age = 0.0
        if begins <= now < begins + lasts:  # this look is made when the loop goes on, before its next beat
            now = begins + lasts
            age = now - begins
        lives, wait = ping(age, patience)
        if lives:
            longest, heard = max(longest, now - heard), now
        now += wait
    return longest


@pytest.mark.parametrize(("lasts", "ends"), [(2.4, False), (2.6, False), (3.75, False), (5.0, True)])
def test_systemd_ends_a_loop_that_hangs_and_no_other(lasts: float, ends: bool) -> None:
    """Of the unit's five seconds a standstill of three quarters is survived whenever it begins; one of five is not."""
    found = [longest_silence(6.0 + phase / 50, lasts, 5.0) for phase in range(100)]
    assert (min(found) >= 5.0 - 1e-9) if ends else (max(found) < 5.0)
