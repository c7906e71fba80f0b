"""Our own observations of the last two minutes, for peers that pull them.

Bounded by time and by number; the oldest go first.
"""

from collections import deque

from agent.observation import Observation

KEEP_SECONDS = 120.0
# 1,000 probes of 1 s for two minutes; about 0.4 kB each when full.
KEEP_MOST = 120_000


class Recent:
    """A ring of observations in the order in which they came in."""

    def __init__(self) -> None:
        self._ring: deque[Observation] = deque(maxlen=KEEP_MOST)

    def observation(self, observation: Observation) -> None:
        """Keep one; forget what is older than `KEEP_SECONDS` before it."""
        self._ring.append(observation)
        oldest = observation.time - KEEP_SECONDS
        while self._ring[0].time < oldest:
            self._ring.popleft()

    def since(self, round_number: int) -> tuple[Observation, ...]:
        """Return those of rounds after `round_number`, in the order in which they came in."""
        found: list[Observation] = []
        for observation in reversed(self._ring):
            if observation.round > round_number:
                found.append(observation)
            # An attempt comes in at most a few rounds after it started: stop well behind it.
            elif observation.round < round_number - 30:
                break
        found.reverse()
        return tuple(found)
