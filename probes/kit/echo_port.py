"""One ICMP socket for many echo requests: sent one by one, stamped by the kernel, answers taken in batches.

An unprivileged datagram socket is taken where net.ipv4.ping_group_range allows it (icmp(7)), else a raw one
with a filter. What must stay true: nothing in here waits or wakes up by itself; `harvest` does a bounded amount
of work; a request whose answer our own host may have lost is `unknown`, never timed out.
"""

import os
import secrets
import socket
import struct
from array import array
from functools import lru_cache
from typing import Final, cast

from probes.kit import echo
from probes.kit.address import address_family
from probes.kit.echo_burst import Aim, Burst, verdict
from probes.kit.echo_table import Echo, EchoTable, Moment
from probes.kit.inbox import Inbox, Message
from probes.kit.sockets import ask_for_errors, name_sender, parse_error
from probes.kit.spec import Clock
from probes.kit.stamps import WallClock, ask_for_stamps, control_messages, received, sent
from probes.kit.trouble import LATE, QueuedError, Trouble, local_trouble

# asm-generic/socket.h, linux/in.h, linux/in6.h, linux/sock_diag.h; Python 3.11's socket module lacks them.
_SO_ATTACH_FILTER: Final = 26
_SO_RCVBUFFORCE: Final = 33
_SO_MEMINFO: Final = 55
_MEMINFO: Final = struct.Struct("=II")  # bytes that wait to be read, and how many may
_IP_MTU_DISCOVER: Final = 10
_IPV6_MTU_DISCOVER: Final = 23
_IP_RECVERR, _IPV6_RECVERR = (socket.IPPROTO_IP, 11), (socket.IPPROTO_IPV6, 25)
_PMTUDISC_DONT: Final = 0  # fragment as the route needs
_PMTUDISC_PROBE: Final = 3  # always "don't fragment", and no remembered path MTU
_IPPROTO: Final = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}
_TRAFFIC_CLASS: Final = {
    4: (socket.IPPROTO_IP, socket.IP_TOS),
    6: (socket.IPPROTO_IPV6, socket.IPV6_TCLASS),
}
_SEND_TRIES: Final = 4  # pending errors of earlier packets that one send may clear away
_INBOX: Final = 64  # messages a system call
_INBOX_BYTES: Final = 1 << 18
_TAKES: Final = 64  # system calls a harvest: 4,096 messages, so that a flood cannot hold the loop
_RECEIVE_BUFFER: Final = 1 << 20
_IP_HEADER_MOST: Final = 60
_QUOTE_BYTES: Final = 64
_CONTROL_BYTES: Final = 192  # a stamp (64), an extended error with an IPv6 address (60), and room
_DRAIN_EVERY: Final = 64  # packets after which answers are taken in while sending: they fill the socket's buffer
_NEVER: Final = -1.0

_OVERRUN: Final = Trouble(fault="no-buffers", detail="more replies came than the socket could hold", local=True)
_NO_SEQUENCE: Final = Trouble(fault="no-buffers", detail="65536 requests are under way", local=True)


class EchoPort:
    """One socket with one identifier, and the attempts under way on it."""

    def __init__(self, family: int, clock: Clock, *, fragment: bool = False) -> None:
        """Open the socket; OSError when the host does not allow it. `fragment` lets large packets be split."""
        self._family = family
        self._clock = clock
        self._wall = WallClock(clock)
        self._table = EchoTable(secrets.randbits(16))
        self._queue: list[Burst] = []
        self._key = 0
        self._blind_until = _NEVER
        self._sock, self._raw = _open_socket(family)
        try:
            self._ident = self._prepare(fragment=fragment)
            self.stamping = self._ask_for_stamps()
        except BaseException:
            self._sock.close()
            raise
        self._form = lru_cache(256)(self._new_form)
        self._replies = Inbox(_INBOX, 256, _CONTROL_BYTES)
        self._errors = Inbox(_INBOX, _QUOTE_BYTES, _CONTROL_BYTES)

    def fileno(self) -> int:
        """Return the socket's descriptor: readable when there is something to harvest."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close the socket; results of what is under way never come."""
        self._sock.close()

    def add(self, burst: Burst) -> None:
        """Take up an attempt; its first packet leaves at the next `flush`."""
        self._queue.append(burst)

    def abandon(self, burst: Burst) -> None:
        """Forget an attempt whose result nobody wants any more."""
        self._queue = [other for other in self._queue if other is not burst]
        self._table.abandon(burst)

    def flush(self) -> float | None:
        """Send what is due; return the boot time at which the next packet of a burst is, None when there is none."""
        if not self._queue:
            return None
        now = self._wall.look()
        if not self._table.waiting:
            self._take()  # what came while nobody listened must not fill the buffer
        tokens = os.urandom(echo.TOKEN_BYTES * len(self._queue))
        later: list[Burst] = []
        for count, burst in enumerate(self._queue):
            if burst.next_at > now:
                later.append(burst)
                continue
            self._send_one(burst, tokens[count * echo.TOKEN_BYTES : (count + 1) * echo.TOKEN_BYTES])
            if burst.due:
                later.append(burst)
            if count % _DRAIN_EVERY == _DRAIN_EVERY - 1:
                self._take()
        self._queue = later
        return min((burst.next_at for burst in later), default=None)

    def harvest(self) -> float | None:
        """Take in what has come, end what waited its time, and hand out the result of every attempt that is over.

        Return the boot time at which `harvest` and `flush` are needed next at the latest; None for never.
        """
        if self._table.waiting:
            self._take()
        now = self._clock.boot()
        self._table.expire(now, self._blind_until, _OVERRUN)
        finished = self._table.finished
        while finished:
            burst = finished.pop()
            burst.done(verdict(burst, now))
        timeout = self._table.earliest()
        times = [burst.next_at for burst in self._queue]
        return min(times if timeout is None else [timeout, *times], default=None)

    def _send_one(self, burst: Burst, token: bytes) -> None:
        history = burst.history
        sequence = self._table.free_sequence()
        boot = self._clock.boot()
        wait = min(burst.wait, burst.deadline - boot)
        if wait > 0:
            burst.due -= 1
            burst.next_at = max(burst.next_at + burst.plan.gap, boot + burst.plan.gap / 2)
        else:
            burst.due = 0
        packet = self._form(burst.plan.size).packet(sequence or 0, token)
        trouble = LATE if wait <= 0 else _NO_SEQUENCE if sequence is None else self._send(packet, burst)
        if trouble is not None or sequence is None:
            burst.hindered(trouble or _NO_SEQUENCE)
            self._table.settle(burst)
            return
        request = Echo(
            burst=burst,
            number=history.asked,
            sequence=sequence,
            address=burst.aim.packed,
            payload=packet[echo.ICMP_HEADER :],
            boot=boot,
            wait=wait,
            steps=self._wall.steps,
        )
        history.asked += 1
        self._table.enter(request)
        self._table.numbered(request, self._key)
        self._key = (self._key + 1) & 0xFFFFFFFF

    def _send(self, packet: bytes, burst: Burst) -> Trouble | None:
        """Send once. A call that only reports an earlier packet's error has sent nothing: it is made again."""
        for _ in range(_SEND_TRIES):
            try:
                if burst.plan.traffic_class:
                    level, kind = _TRAFFIC_CLASS[self._family]
                    marks = [(level, kind, struct.pack("@i", burst.plan.traffic_class))]
                    self._sock.sendmsg((packet,), marks, 0, burst.aim.socket_address)
                else:
                    self._sock.sendto(packet, burst.aim.socket_address)
            except OSError as error:
                failure = error
                found = self._take_errors()
                self._renumber()
                if not found:
                    break
            else:
                return None
        return local_trouble(failure)

    def _renumber(self) -> None:
        """Count packets from 0 again: whether a call that failed was counted differs between kernels."""
        if self.stamping:
            self._table.forget_numbers()
            self._key = 0
            ask_for_stamps(self._sock)

    def _take(self) -> None:
        """Take in replies and the error queue, in an order that has every request stamped before its reply."""
        memory = self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        used, room = _MEMINFO.unpack(memory)
        if used >= room:  # then the kernel drops what comes (sock_queue_rcv_skb)
            self._blind_until = self._clock.boot()
        for _ in range(_TAKES):
            try:
                replies = self._replies.take(self._sock)
            except OSError:  # an error of an earlier packet; the queue says whose
                self._take_errors()
                continue
            self._take_errors()
            if replies:
                moment = Moment(self._wall.look(), self._wall.ahead, self._wall.steps)
                for message in replies:
                    self._take_reply(message, moment)
            if len(replies) < self._replies.count:
                return
        self._blind_until = self._clock.boot()  # answers may wait behind those that we took

    def _take_reply(self, message: Message, moment: Moment) -> None:
        reply = echo.parse_reply(self._family, message.data, with_ip_header=self._raw and self._family == 4)
        if reply is not None and reply.ident == self._ident:
            stamp = received(message.control) if self.stamping else None
            self._table.replied(reply.sequence, message.address, reply.payload, stamp, moment)

    def _take_errors(self) -> bool:
        """Hand every entry of the error queue to the request that it is about; return whether an ICMP error came."""
        senders: dict[tuple[str | None, int, int, int], Trouble] = {}
        found = False
        for _ in range(_TAKES):
            try:
                entries = self._errors.take(self._sock, socket.MSG_ERRQUEUE)
            except OSError:
                continue
            for entry in entries:
                stamp = sent(entry.control)
                if stamp is not None:
                    self._table.stamped(stamp.key, stamp.stamp)
                else:
                    found = True
                    self._take_error(entry, senders)
            if len(entries) < self._errors.count:
                break
        return found

    def _take_error(self, entry: Message, senders: dict[tuple[str | None, int, int, int], Trouble]) -> None:
        quote = echo.parse_quote(self._family, entry.data)
        if quote is None or quote[0] != self._ident:
            return
        error = _read_error(entry)
        key = (error.offender, error.type, error.code, error.info)
        if key not in senders:  # one look at our own addresses for a flood of the same error
            senders[key] = name_sender(error, self._family)
        self._table.troubled(quote[1], entry.address, senders[key])

    def _new_form(self, size: int) -> echo.Form:
        """Prepare requests of `size` bytes, and room for their replies."""
        room = _IP_HEADER_MOST + echo.ICMP_HEADER + size
        if room > self._replies.size:
            self._replies = Inbox(max(8, min(_INBOX, _INBOX_BYTES // room)), room, _CONTROL_BYTES)
        return echo.Form(self._family, self._ident, size, secrets.token_bytes(size))

    def _prepare(self, *, fragment: bool) -> int:
        """Set the socket's options and return its identifier."""
        ask_for_errors(self._sock, self._family)
        try:
            self._sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        except PermissionError:  # without CAP_NET_ADMIN as much as net.core.rmem_max allows
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        discover = _PMTUDISC_DONT if fragment else _PMTUDISC_PROBE
        if self._family == 4:
            self._sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, discover)
        else:
            self._sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, discover)
        if not self._raw:
            self._sock.bind(("", 0))
            return int(self._sock.getsockname()[1])  # the kernel's identifier of a datagram ICMP socket
        ident = secrets.randbits(16)
        program = array("B", echo.reply_filter(self._family, ident))
        address, length = program.buffer_info()
        self._sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", length // 8, address))
        return ident

    def _ask_for_stamps(self) -> bool:
        try:
            ask_for_stamps(self._sock)
        except OSError:  # a kernel without them: the caller then waits for each reply, and stamps by itself
            return False
        return True


def aim_at(address: str, family: int) -> Aim:
    """Return the aim at a literal address, its scope resolved; OSError for a scope that this host does not have."""
    found = socket.getaddrinfo(address, 0, family=address_family(family), flags=socket.AI_NUMERICHOST)
    where = cast("tuple[str, int]", found[0][4])  # or four for IPv6; sendto(2) takes either
    return Aim(where, socket.inet_pton(address_family(family), where[0].split("%", 1)[0]))


def _read_error(entry: Message) -> QueuedError:
    for level, kind, data in control_messages(entry.control):
        if (level, kind) in (_IP_RECVERR, _IPV6_RECVERR):
            return parse_error(data, entry.data)
    return QueuedError(errno=0, quote=entry.data)


def _open_socket(family: int) -> tuple[socket.socket, bool]:
    """Return a non-blocking ICMP socket and whether it is a raw one."""
    constant, protocol = address_family(family), _IPPROTO[family]
    try:
        return socket.socket(constant, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, protocol), False
    except PermissionError:
        return socket.socket(constant, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol), True
