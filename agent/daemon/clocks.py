"""How far peers' clocks are from ours, as far as it bears on a dispute: entries of the kind `clock`.

What must stay true: every peer that answers has an entry once an hour and whenever its clock has moved beyond what
the measurements allow for; a peer whose clock wanders makes at most one a minute.
"""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from agent.snapshot import PeerNow

HOUR_SECONDS: Final = 3600.0
MINUTE_SECONDS: Final = 60.0
# A clock that NTP disciplines strays by less; offsets within their error bounds say nothing anyway.
MOVED_SECONDS: Final = 0.05

Record = Callable[[str, float, float], None]
"""peer, offset and error in seconds."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What was last entered of a peer, and when (UTC epoch seconds)."""

    offset: float
    error: float
    at: float


def worth(last: Recorded | None, offset: float, error: float, at: float) -> bool:
    """Return whether an offset is to be entered at `at`; a clock of ours that stepped back counts as an hour."""
    if last is None or not 0 <= at - last.at < HOUR_SECONDS:
        return True
    moved = abs(offset - last.offset) > error + last.error + MOVED_SECONDS
    return moved and at - last.at >= MINUTE_SECONDS


class Clocks:
    """Enters the offsets of all peers."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._last: dict[str, Recorded] = {}

    def each_round(self, peers: Iterable[PeerNow], now: float) -> None:
        """Take what is seen of the peers at `now` (UTC epoch seconds)."""
        for peer in peers:
            offset, error = peer.clock_offset, peer.clock_error
            if not peer.reachable or offset is None or error is None:
                continue
            if worth(self._last.get(peer.vantage), offset, error, now):
                self._last[peer.vantage] = Recorded(offset=offset, error=error, at=now)
                self._record(peer.vantage, offset, error)
