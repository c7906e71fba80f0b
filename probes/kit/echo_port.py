"""One ICMP socket for many echo requests: sent and answered in batches, stamped one by one by the kernel.

An unprivileged datagram socket is taken where net.ipv4.ping_group_range allows it (icmp(7)), else a raw one
with a filter. What must stay true: nothing in here waits or wakes up by itself; `harvest` does a bounded amount
of work; a request whose answer our own host may have lost is `unknown`, never timed out; requests leave together
only while the kernel stamps each of them.
"""

import os
import secrets
import socket
import struct
from array import array
from collections.abc import Iterator
from typing import Final

import msgspec

from probes.kit import echo
from probes.kit.address import address_family
from probes.kit.echo_burst import Burst, verdict
from probes.kit.echo_table import EchoTable, Moment
from probes.kit.inbox import Inbox
from probes.kit.outbox import Outbox
from probes.kit.sockets import ask_for_errors, name_sender, parse_error
from probes.kit.spec import Clock
from probes.kit.stamps import ASK_FOR_STAMPS, RECEIVED, SENT, WallClock, control_messages, received, sent
from probes.kit.trouble import LATE, Trouble, local_trouble

# asm-generic/socket.h, linux/in.h, linux/in6.h, linux/sock_diag.h; Python 3.11's socket module lacks them.
_SO_ATTACH_FILTER: Final = 26
_SO_RCVBUFFORCE: Final = 33
_SO_MEMINFO: Final = 55
_MEMINFO: Final = struct.Struct("=II")  # bytes that wait to be read, and how many may
_IP_MTU_DISCOVER: Final = 10
_IPV6_MTU_DISCOVER: Final = 23
_RECVERR: Final = ((socket.IPPROTO_IP, 11), (socket.IPPROTO_IPV6, 25))
_ERRQUEUE: Final = int(socket.MSG_ERRQUEUE)
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
_REPLY_BYTES: Final = 128  # an inbox has room for these, with headers, until a probe sends larger ones
_QUOTE_BYTES: Final = 64
_DRAIN_EVERY: Final = 48  # packets after which answers are taken in while sending, before they fill a batch
_PACKET_OVERHEAD: Final = 2048  # at most what the kernel reckons for a packet beside its bytes
_TOKENS: Final = 512  # tokens drawn at once
_TRAYS: Final = 64  # sizes that are kept prepared
_NUMBERS: Final = 1 << 32  # what the kernel counts packets in
_LISTEN_EVERY: Final = 1.0  # seconds; a socket that nobody reads from may be filled by others
_NEVER: Final = -1.0

_OVERRUN: Final = Trouble(fault="no-buffers", detail="more replies came than the socket could hold", local=True)
_NO_SEQUENCE: Final = Trouble(fault="no-buffers", detail="65536 requests are under way", local=True)


class Tray(msgspec.Struct, eq=False):
    """Requests of one size: their form, and those made but not yet sent, as they lie in the outbox.

    Of each its burst, sequence, packet, a moment shortly before it is sent and until when it may be answered.
    """

    form: echo.Form
    outbox: Outbox
    requests: list[tuple[Burst, int, bytes, float, float]] = []


class EchoPort:
    """One socket with one identifier, and the attempts under way on it."""

    def __init__(self, family: int, clock: Clock, *, fragment: bool = False, prompt: bool = False) -> None:
        """Open the socket; OSError when the host does not allow it.

        `fragment` lets large packets be split; `prompt` says that answers are harvested as they come.
        """
        self._prompt = prompt
        self._family = family
        self._clock = clock
        self._wall = WallClock(clock)
        self._table = EchoTable(secrets.randbits(16))
        self._queue: list[Burst] = []
        self._base = self._number = 0
        self._tokens: Iterator[tuple[bytes, bytes]] = iter(())
        self._trays: dict[int, Tray] = {}
        self._blind_until = self._taken = _NEVER
        self._sock, self._raw = _open_socket(family)
        try:
            self._ident = self._prepare(fragment=fragment)
            self.stamping = self._ask_for_stamps()
        except BaseException:
            self._sock.close()
            raise
        self._together = self.stamping and not prompt
        self._replies = Inbox(family, _INBOX, _REPLY_BYTES, RECEIVED)
        self._errors = Inbox(family, _INBOX, _QUOTE_BYTES, SENT)

    def fileno(self) -> int:
        """Return the socket's descriptor: readable when there is something to harvest."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close the socket; results of what is under way never come."""
        self._sock.close()
        self._table.clear()

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
        if self._table.unstamped:  # a way out of this host without the kernel's stamps: our own must be close then
            self._together = False
        now = self._clock.boot()
        if now - self._taken > _LISTEN_EVERY:
            self._take()  # what came while nobody listened must not fill the buffer
        queue, self._queue = self._queue, []
        sent = 0
        for burst in queue:
            if burst.next_at <= now:
                self._send_next(burst, now)
                sent += 1
                if sent % _DRAIN_EVERY == 0:
                    self._send_trays()
                    self._take()
                    now = self._clock.boot()
            if burst.due:
                self._queue.append(burst)
        self._send_trays()
        return min((burst.next_at for burst in self._queue), default=None)

    def harvest(self) -> float | None:
        """Take in what has come, end what waited its time, and hand out the result of every attempt that is over.

        Return the boot time at which `harvest` and `flush` are needed next at the latest; None for never.
        """
        if self._table.waiting:
            self._take()
        now = self._clock.boot()
        self._table.expire(now, self._blind_until, _OVERRUN)
        finished, self._table.finished = self._table.finished, []
        for burst in finished:
            burst.done(verdict(burst, now))
        timeout = self._table.earliest()
        times = [burst.next_at for burst in self._queue]
        return min(times if timeout is None else [timeout, *times], default=None)

    def _send_next(self, burst: Burst, now: float) -> None:
        """Send the next packet of `burst`, or have it sent with others, or say why not; it is just after `now`."""
        plan, table = burst.plan, self._table
        together = self._together and not plan.traffic_class
        boot = now if together else self._clock.boot()
        until = burst.deadline
        if plan.count > 1:
            until = min(until, boot + burst.deadline - burst.start - plan.span)  # as long for every packet
            burst.next_at = max(burst.start + (plan.count - burst.due + 1) * plan.gap, boot + plan.gap / 2)
        sequence = table.free_sequence(_DRAIN_EVERY)
        if until <= boot or sequence is None:
            burst.due = 0
            self._hinder(burst, LATE if until <= boot else _NO_SEQUENCE)
            return
        burst.due -= 1
        token, complement = next(self._tokens, None) or self._draw()
        tray = self._trays.get(plan.size) or self._new_tray(plan.size)
        packet = tray.form.packet(sequence, token, complement)
        if together:
            tray.outbox.put(len(tray.requests), burst.aim.name, packet)
            tray.requests.append((burst, sequence, packet, boot, until))
            if len(tray.requests) == tray.outbox.count:
                self._send_tray(tray)
            return
        try:
            self._hand_over(packet, burst)
        except OSError as error:
            trouble = self._send_again(packet, burst, error)
            if trouble is not None:
                self._hinder(burst, trouble)
                return
        table.enter(burst, sequence, self._key(), packet, boot, until, self._wall.steps)

    def _send_trays(self) -> None:
        for tray in self._trays.values():
            if tray.requests:
                self._send_tray(tray)

    def _send_tray(self, tray: Tray) -> None:
        """Send what lies on a tray; each packet that does not leave is tried once more by itself."""
        enter, steps = self._table.enter, self._wall.steps
        requests, tray.requests = tray.requests, []
        first, end = 0, len(requests)
        while first < end:
            try:
                left = tray.outbox.send(self._sock, first, end)
            except OSError as error:
                burst, sequence, packet, boot, until = requests[first]
                trouble = self._send_again(packet, burst, error)
                if trouble is None:
                    enter(burst, sequence, self._key(), packet, boot, until, steps, False)
                else:
                    self._hinder(burst, trouble)
                first += 1
                continue
            for burst, sequence, packet, boot, until in requests[first : first + left]:
                enter(burst, sequence, self._key(), packet, boot, until, steps, False)
            first += left
            if first < end:  # the next one failed, and the kernel may have counted it
                self._take_errors()
                self._renumber()

    def _key(self) -> int:
        """Return under what the kernel's stamp of the packet just sent will be found."""
        number = self._number
        self._number = (number + 1) % _NUMBERS
        return self._base + number

    def _draw(self) -> tuple[bytes, bytes]:
        """Return a random token and its complement, and keep more of them."""
        self._tokens = echo.tokens(os.urandom(echo.TOKEN_BYTES * _TOKENS))
        return next(self._tokens)

    def _hinder(self, burst: Burst, trouble: Trouble) -> None:
        burst.hindered(trouble)
        self._table.settle(burst)

    def _hand_over(self, packet: bytes, burst: Burst) -> None:
        if burst.plan.traffic_class:
            level, kind = _TRAFFIC_CLASS[self._family]
            marks = [(level, kind, struct.pack("@i", burst.plan.traffic_class))]
            self._sock.sendmsg((packet,), marks, 0, burst.aim.socket_address)
        else:
            self._sock.sendto(packet, burst.aim.socket_address)

    def _send_again(self, packet: bytes, burst: Burst, failure: OSError) -> Trouble | None:
        """Return why a packet cannot be sent. A call that only reported an earlier packet's error is made again."""
        for _ in range(_SEND_TRIES):
            reported = self._take_errors()
            self._renumber()
            if not reported:
                break
            try:
                self._hand_over(packet, burst)
            except OSError as error:
                failure = error
            else:
                return None
        return local_trouble(failure)

    def _renumber(self) -> None:
        """Count packets from 0 again: whether a call that failed was counted differs between kernels."""
        if self.stamping:
            self._base += _NUMBERS
            self._number = 0
            self._ask_for_stamps()

    def _take(self) -> None:
        """Take in replies and the error queue, in an order that has every request stamped before its reply."""
        self._taken = self._clock.boot()
        replies = self._replies
        for turn in range(_TAKES):
            try:
                found = replies.take(self._sock)
            except OSError:  # an error of an earlier packet; the queue says whose
                self._take_errors()
                continue
            if found == replies.count and turn == 0:
                self._notice_overrun()
            self._take_errors()
            if found:
                self._take_replies(found)
            if found < replies.count:
                return
        self._blind_until = self._clock.boot()  # answers may wait behind those that we took

    def _notice_overrun(self) -> None:
        """See whether the socket's buffer was full before the first batch was taken out of it: then packets are lost.

        The kernel drops what comes from then on (sock_queue_rcv_skb), until somebody reads.
        """
        memory = self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        used, room = _MEMINFO.unpack(memory)
        if used + _INBOX * (self._replies.size + _PACKET_OVERHEAD) >= room:
            self._blind_until = self._taken

    def _take_replies(self, found: int) -> None:
        inbox, replied, begins, stamping = self._replies, self._table.replied, echo.REPLY[self._family], self.stamping
        moment = Moment(self._wall.look(), self._wall.ahead, self._wall.steps, self._prompt)
        headed = self._raw and self._family == 4  # such a socket gives the IP header too
        messages = zip(inbox.lengths(found), inbox.messages(found), strict=True)
        for (length, size), (kind, seconds, nanoseconds, address, data) in messages:
            start = (data[0] & 0xF) * 4 if headed else 0
            if size < start + echo.ICMP_HEADER or not data.startswith(begins, start):
                continue
            stamp = received(length, kind, seconds, nanoseconds) if stamping else None
            if not replied(data[start + echo.TAIL : size], address, stamp, moment):
                reply = echo.parse_reply(self._family, data[start:size])
                if reply is not None and reply.ident == self._ident:
                    self._table.changed(reply.sequence, address, reply.payload)

    def _take_errors(self) -> bool:
        """Hand every entry of the error queue to the request that it is about; return whether an ICMP error came."""
        inbox = self._errors
        reported = False
        for _ in range(_TAKES):
            try:
                found = inbox.take(self._sock, _ERRQUEUE)
            except OSError:
                continue
            if found:
                entries = zip(inbox.lengths(found), inbox.controls(found), strict=True)
                others = sent(entries, self._table.stamps, self._base)
                if others:
                    reported = True
                    self._take_reports(found, others)
            if found < inbox.count:
                break
        return reported

    def _take_reports(self, found: int, which: list[int]) -> None:
        """Hand the ICMP errors among the entries taken to the requests that they quote."""
        inbox = self._errors
        lengths, entries = list(inbox.lengths(found)), list(inbox.messages(found))
        troubles: dict[bytes, Trouble] = {}
        for index in which:
            (length, size), (*_, address, room) = lengths[index], entries[index]
            quote = echo.parse_quote(self._family, room[:size])
            if quote is None or quote[0] != self._ident:
                continue
            messages = control_messages(inbox.control(index, length))
            said = next((data for level, kind, data in messages if (level, kind) in _RECVERR), b"")
            if said not in troubles:  # one look at our own addresses for a flood of the same error
                troubles[said] = name_sender(parse_error(said), self._family)
            self._table.troubled(quote[1], address, troubles[said])

    def _new_tray(self, size: int) -> Tray:
        """Prepare requests of `size` bytes, and room for their replies."""
        room = _IP_HEADER_MOST + echo.ICMP_HEADER + size
        count = max(8, min(_INBOX, _INBOX_BYTES // room))
        if room > self._replies.size:
            self._replies = Inbox(self._family, count, room, RECEIVED)
        if len(self._trays) >= _TRAYS:
            self._send_trays()
            self._trays.clear()
        form = echo.Form(self._family, self._ident, size, secrets.token_bytes(size))
        outbox = Outbox(self._family, min(count, _DRAIN_EVERY), echo.ICMP_HEADER + size)
        tray = self._trays[size] = Tray(form, outbox)
        return tray

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
            for option in ASK_FOR_STAMPS:
                self._sock.setsockopt(*option)
        except OSError:  # a kernel without them: the caller then waits for each reply, and stamps by itself
            return False
        return True


def _open_socket(family: int) -> tuple[socket.socket, bool]:
    """Return a non-blocking ICMP socket and whether it is a raw one."""
    constant, protocol = address_family(family), _IPPROTO[family]
    try:
        return socket.socket(constant, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, protocol), False
    except PermissionError:
        return socket.socket(constant, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol), True
