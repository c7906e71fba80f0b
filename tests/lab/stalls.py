"""How long this host stood still while something ran: what a shared machine does to tests with compressed times."""

import threading
import time
from types import TracebackType
from typing import Self

TICK_SECONDS = 0.02


class Stalls:
    """Sleeps in a thread of its own; `longest` is by how many seconds it was woken too late."""

    def __init__(self) -> None:
        """Measure nothing yet."""
        self.longest = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        """Begin to measure."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End, with the last stall counted."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            due += TICK_SECONDS
            time.sleep(max(due - time.monotonic(), 0.0))
            late = time.monotonic() - due
            if late > 0:
                self.longest, due = max(self.longest, late), due + late
