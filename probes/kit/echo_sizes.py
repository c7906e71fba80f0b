"""The search for the size that passes, by ICMP echo with "don't fragment".

What must stay true: a size passes only when its own echo came back; a router's "too big" counts only when it quotes
a packet of ours.
"""

from typing import Final

from probes.kit.hop_socket import Answer, HopSocket
from probes.kit.size_search import BREADTH, TRIES, SizeSearch
from probes.kit.sockets import ready
from probes.kit.spec import Clock
from probes.kit.trouble import Trouble

MOST_PACKETS: Final = 60  # of one attempt; a search takes 3 where everything passes, else up to 35
_IN_STEP: Final = BREADTH + 1
_STEP_SECONDS: Final = 0.1  # silence is waited for at least so long: a busy router answers some tens of ms late
_STEP_TRIPS: Final = 3


class EchoSizes:
    """One search on one socket: what was sent, and the first trouble that was neither silence nor size."""

    connected = False

    def __init__(self, sock: HopSocket, search: SizeSearch, clock: Clock) -> None:
        self._sock = sock
        self._clock = clock
        self._sizes: list[int] = []  # by packet number
        self._waiting: set[int] = set()
        self._slowest = 0.0
        self.search = search
        self.trouble: Trouble | None = None
        self.trip: float | None = None  # of the first answer: a small packet's, unless that one was lost

    @property
    def back(self) -> int:
        """Return the largest packet that came back: an echo is as large as its request."""
        return self.search.working

    async def run(self, deadline: float) -> None:
        """Send step after step until all is known or the time is up."""
        silence = (deadline - self._clock.boot()) / (TRIES + 1)  # so that a target may be silent in every try
        while self._clock.boot() < deadline and len(self._sizes) + _IN_STEP <= MOST_PACKETS:
            sizes = self.search.next()
            if not sizes or (self.trouble is not None and self.trouble.local):
                return
            self._waiting.clear()
            for size in sizes:
                self._send(size)
            await self._collect(self._clock.boot(), silence, deadline)

    def _send(self, size: int) -> None:
        number = len(self._sizes)
        self._sizes.append(size)
        refused = self._sock.send(number, size=size)
        if refused is None:
            self._waiting.add(number)
        elif refused.fault == "too-big-here":
            self.search.cap(min(self._sock.link_mtu or size, size - 1))
        else:
            self.trouble = self.trouble or refused

    async def _collect(self, sent: float, silence: float, deadline: float) -> None:
        """Take answers until all are in, or silence has lasted long enough beside the round trips seen."""
        while self._waiting:
            patience = silence if self.trip is None else _STEP_SECONDS + _STEP_TRIPS * self._slowest
            if not await ready(self._sock.fileno(), seconds=min(deadline, sent + patience) - self._clock.boot()):
                return
            for answer in self._sock.take():
                self._take(answer)

    def _take(self, answer: Answer) -> None:
        self._waiting.discard(answer.number)
        size = self._sizes[answer.number]
        if answer.trouble is None:
            self.search.answered(size)
            self.trip = answer.seconds if self.trip is None else self.trip
            self._slowest = max(self._slowest, answer.seconds)
        elif answer.trouble.fault == "too-big":
            self.search.too_big(size, answer.address, answer.mtu)
        else:
            self.trouble = self.trouble or answer.trouble
