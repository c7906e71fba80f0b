"""Our own observations of the last two minutes, for peers that pull them.

Bounded by time and by number; the oldest go first. A peer asks for the last few rounds every second or two,
and for all of it when it comes back: what is older than that is kept packed, for two minutes of 500 probes
as objects were 30 MB [measured].
"""

import zlib
from collections import deque
from collections.abc import Iterable

import msgspec

from agent.observation import Observation, decode, encode

KEEP_SECONDS = 120.0
# 1,000 probes of 1 s for two minutes; packed, some 30 bytes each.
KEEP_MOST = 120_000
# A peer that follows asks again within two seconds, for the rounds that a timeout spans.
UNPACKED_SECONDS = 4.0
# Packed together: enough to pack well, and little enough (0.2 ms) to hold nobody up.
TOGETHER = 128
# An attempt comes in at most so many rounds after it started.
LATE_ROUNDS = 30


class Pack(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Observations as compressed JSON lines; the latest of their rounds and times."""

    round: int
    time: float
    lines: bytes


class Recent:
    """Observations in the order in which they came in."""

    def __init__(self) -> None:
        self._packs: deque[Pack] = deque(maxlen=KEEP_MOST // TOGETHER)
        self._newest: deque[Observation] = deque(maxlen=KEEP_MOST)

    def observation(self, observation: Observation) -> None:
        """Keep one; forget what is older than `KEEP_SECONDS` before it."""
        newest = self._newest
        newest.append(observation)
        while len(newest) > TOGETHER and newest[TOGETHER].time < observation.time - UNPACKED_SECONDS:
            self._packs.append(packed([newest.popleft() for _ in range(TOGETHER)]))
        oldest = observation.time - KEEP_SECONDS
        while self._packs and self._packs[0].time < oldest:
            self._packs.popleft()
        while newest[0].time < oldest:
            newest.popleft()

    def since(self, round_number: int) -> tuple[Observation, ...]:
        """Return those of rounds after `round_number`, in the order in which they came in."""
        found: list[Observation] = []
        for observation in reversed(self._newest):
            if observation.round > round_number:
                found.append(observation)
            elif observation.round < round_number - LATE_ROUNDS:
                break
        else:
            for pack in reversed(self._packs):
                if pack.round < round_number - LATE_ROUNDS:
                    break
                if pack.round > round_number:
                    found += (one for one in reversed(unpacked(pack)) if one.round > round_number)
        found.reverse()
        return tuple(found)


def packed(observations: Iterable[Observation]) -> Pack:
    """Return observations (at least one) in the form in which they are kept."""
    kept = list(observations)
    return Pack(
        round=max(one.round for one in kept),
        time=max(one.time for one in kept),
        lines=zlib.compress(b"\n".join(map(encode, kept)), 1),
    )


def unpacked(pack: Pack) -> list[Observation]:
    """Return the observations of a pack, as they were."""
    return [decode(line) for line in zlib.decompress(pack.lines).split(b"\n")]
