"""The search for the size that passes, by TCP connections whose segments are no larger than each size allows.

Both ends send no segment beyond the size's MSS, our request fills one, and whatever the service says is an answer: it
comes only once the whole request has arrived. Where the kernel must send smaller segments than asked for (the peer's
MSS, a clamp on the way, a router's "too big"), the size is capped, not lost.

What must stay true: one connection for each try, closed in every case; nothing is sent but a request that the service
knows, and no session is left with it.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Final

from probes.kit.size_search import TRIES, SizeSearch
from probes.kit.sockets import FULL_PACKET, came_back, connect_tcp, ready
from probes.kit.spec import Clock
from probes.kit.trouble import Trouble

MOST_CONNECTIONS: Final = 24  # of one attempt; a search takes 2 where everything passes
BREADTH: Final = 4
HEADERS: Final = {4: 40, 6: 60}  # IP and TCP, without options
# linux/tcp.h struct tcp_info: tcpi_options at 5, snd_mss 16, rcv_mss 20.
_INFO: Final = struct.Struct("=5xB10xII")
_STAMPS: Final = 12  # bytes of the time stamp option in every segment (RFC 7323), when tcpi_options has bit 0
_SYN_BYTES: Final = 60  # with the options that Linux sends, in IPv4
_MSS_GUESS: Final = 536  # TCP_MSS_DEFAULT: what rcv_mss says before a larger segment came
_MORE: Final = 200  # bytes of the request behind its full segment
# Silence is waited for at least so long: within it a kernel sends a lost segment again (200 ms, TCP_RTO_MIN) once.
_STEP_SECONDS: Final = 0.25
_STEP_TRIPS: Final = 4


class TcpSizes:
    """One search with one service; `request` gives it a request of a length, or a longer one."""

    def __init__(
        self,
        peer: tuple[str, int, int],
        request: Callable[[int], bytes],
        search: SizeSearch,
        clock: Clock,
    ) -> None:
        """`peer`: address, port, family."""
        self._address, self._port, self._family = peer
        self._request = request
        self._clock = clock
        self._made = 0
        self._slowest = 0.0
        self.search = search
        self.trouble: Trouble | None = None
        self.trip: float | None = None  # of the first handshake
        self.connected = False
        self._back = _SYN_BYTES

    @property
    def back(self) -> int:
        """Return the largest packet known to have come back: a handshake's, if no answer was large.

        Where TCP itself limits the size and the answers were full, they were as full as any: FULL_PACKET, as for
        every other TCP probe. Where we limited it, they prove their own size.
        """
        full = self.search.capped and self._back >= self.search.working > 0
        return max(self._back, FULL_PACKET) if full else self._back

    async def run(self, deadline: float) -> None:
        """Connect step after step until all is known or the time is up."""
        silence = (deadline - self._clock.boot()) / (TRIES + 1)
        while (now := self._clock.boot()) < deadline and self._made + BREADTH + 1 <= MOST_CONNECTIONS:
            sizes = self.search.next()
            if not sizes or (self.trouble is not None and self.trouble.local):
                return
            self._made += len(sizes)
            patience = silence if self.trip is None else _STEP_SECONDS + _STEP_TRIPS * self._slowest
            async with asyncio.TaskGroup() as tries:
                for size in sizes:
                    tries.create_task(self._try(size, min(deadline, now + patience)))

    async def _try(self, size: int, until: float) -> None:
        segment = size - HEADERS[self._family]
        made = await connect_tcp(
            self._address, self._port, self._family, deadline=until, clock=self._clock, segment=segment
        )
        if isinstance(made, Trouble):
            self.trouble = self.trouble or made
            return
        with made.sock as sock:
            self.connected = True
            self.trip = made.seconds if self.trip is None else self.trip
            self._slowest = max(self._slowest, made.seconds)
            trouble = await self._ask(sock, size, until)
            self.trouble = self.trouble or trouble

    async def _ask(self, sock: socket.socket, size: int, until: float) -> Trouble | None:
        """Fill a segment and wait for any answer; return what came instead, None for silence too."""
        sending, _ = self._sizes(sock)
        try:
            sock.send(self._request(sending - HEADERS[self._family] + _MORE))
            if not await ready(sock.fileno(), seconds=until - self._clock.boot()):
                return None
            if not sock.recv(1):
                return Trouble(fault="reset", detail="closed without an answer")
        except OSError as error:
            return came_back(sock, self._family, error)
        passed, back = self._sizes(sock)
        self._back = max(self._back, min(back, passed))
        self.search.answered(passed)
        if passed < size:
            self.search.cap(passed)
        return None

    def _sizes(self, sock: socket.socket) -> tuple[int, int]:
        """Return the packet sizes that our kernel sends, and that it has received (0: too little to tell)."""
        options, sent, received = _INFO.unpack_from(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size))
        more = HEADERS[self._family] + (_STAMPS if options & 1 else 0)
        return sent + more, received + more if received > _MSS_GUESS else 0
