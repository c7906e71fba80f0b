"""The plain words that lead to TLS on a port that begins without it (STARTTLS and its kin).

Pure: bytes in, bytes to send or a verdict out. What must stay true: any bytes lead to a value; nothing that came
before TLS is taken for something that came inside it; what is kept of the peer's words is bounded.
"""

import re
from collections.abc import Callable, Generator
from typing import Final

from probes.kit.dialogue import Done, Say
from probes.kit.trouble import Trouble

_MOST_BYTES: Final = 16384  # an EHLO reply has some hundred bytes, an IMAP greeting with capabilities too
_SHOWN: Final = 80
# RFC 4511 sections 4.1.1, 4.12, 4.14: message 1, an extended request with the name of StartTLS.
_LDAP_REQUEST: Final = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + b"1.3.6.1.4.1.1466.20037"
_LDAP_RESULT: Final = re.compile(rb"\x02\x01\x01\x78.{1,5}?\x0a\x01(.)", re.DOTALL)  # message 1, extended response
_POSTGRES_REQUEST: Final = bytes.fromhex("0000000804d2162f")  # PostgreSQL protocol, SSLRequest
_CODE: Final = re.compile(rb"\d{3}[ -]|\d{3}\Z")


class _StrangeError(Exception):
    """The peer does not speak this protocol."""


class _RefusedError(Exception):
    """The peer says no."""


# Yields what to say and what tells the length of a whole reply (0 while it is incomplete); receives that reply.
_Script = Generator[tuple[bytes, Callable[[bytes], int]], bytes, None]


def _reply(held: bytes) -> int:
    """Return the length of an SMTP or FTP reply: its last line has a blank behind the code (RFC 5321 section 4.2.1)."""
    position = 0
    while (end := held.find(b"\n", position)) >= 0:
        line = held[position:end].rstrip(b"\r")
        if not _CODE.match(line):
            if position == 0 or line[:1].isdigit():
                raise _StrangeError
        elif line[:3] != held[:3]:
            raise _StrangeError
        elif line[3:4] != b"-":
            return end + 1
        position = end + 1
    return 0


def _line(held: bytes) -> int:
    return held.find(b"\n") + 1


def _tagged(held: bytes) -> int:
    """Return the length of all lines up to the tagged one (RFC 3501 section 7.1)."""
    position = 0
    while (end := held.find(b"\n", position)) >= 0:
        if held.startswith(b"a ", position):
            return end + 1
        if not held.startswith(b"* ", position):
            raise _StrangeError
        position = end + 1
    return 0


def _ldap_message(held: bytes) -> int:
    if len(held) < 2:
        return 0
    count = held[1] & 0x7F if held[1] & 0x80 else 0
    if count > 4:
        raise _StrangeError
    if len(held) < 2 + count:
        return 0
    length = int.from_bytes(held[2 : 2 + count]) if count else held[1]
    return 2 + count + length if len(held) >= 2 + count + length else 0


def _byte(held: bytes) -> int:
    return min(len(held), 1)


def _want(reply: bytes, *codes: bytes) -> None:
    if not reply.startswith(codes):
        raise _RefusedError(reply.decode("ascii", "replace").strip())


def _smtp() -> _Script:
    """RFC 3207."""
    _want((yield b"", _reply), b"220")
    offered = yield b"EHLO demarc.invalid\r\n", _reply
    _want(offered, b"250")
    if b"STARTTLS" not in offered.upper():
        raise _RefusedError("STARTTLS is not among what the server offers")
    _want((yield b"STARTTLS\r\n", _reply), b"220")


def _ftp() -> _Script:
    """RFC 4217 section 4."""
    _want((yield b"", _reply), b"220")
    _want((yield b"AUTH TLS\r\n", _reply), b"234")


def _imap() -> _Script:
    """RFC 3501 section 6.2.1."""
    _want((yield b"", _line).upper(), b"* OK")
    reply = yield b"a STARTTLS\r\n", _tagged
    _want(reply.rstrip().split(b"\n")[-1].upper(), b"A OK")


def _pop3() -> _Script:
    """RFC 2595 section 4."""
    _want((yield b"", _line), b"+OK")
    _want((yield b"STLS\r\n", _line), b"+OK")


def _ldap() -> _Script:
    reply = yield _LDAP_REQUEST, _ldap_message
    match = _LDAP_RESULT.search(reply[:24])
    if match is None:
        raise _StrangeError
    if match[1] != b"\0":
        raise _RefusedError(f"LDAP result code {match[1][0]}")


def _postgres() -> _Script:
    reply = yield _POSTGRES_REQUEST, _byte
    if reply != b"S":
        raise _RefusedError("the server does not do TLS")


_DIGITS: Final = tuple(b"%d" % n for n in range(10))
# protocol -> what is said, and how whatever the peer says begins
_PROTOCOLS: Final[dict[str, tuple[Callable[[], _Script], tuple[bytes, ...]]]] = {
    "smtp": (_smtp, _DIGITS),
    "ftp": (_ftp, _DIGITS),
    "imap": (_imap, (b"*", b"a")),
    "pop3": (_pop3, (b"+", b"-")),
    "ldap": (_ldap, (b"\x30",)),
    "postgres": (_postgres, (b"S", b"N", b"E")),
}


class StartTls:
    """The dialogue with one peer, until it waits for TLS."""

    def __init__(self, protocol: str) -> None:
        script, self._firsts = _PROTOCOLS[protocol]
        self._protocol = protocol
        self._script = script()
        self._held = b""
        self.first, self._end_of_reply = next(self._script)
        """What to say at once; b"" when the server speaks first."""

    def feed(self, data: bytes) -> Say | Done | Trouble | None:
        """Take bytes (b"": the peer closed); return what follows from them, None while a reply is incomplete."""
        if not data:
            return Trouble(fault="closed", detail="the peer closed before TLS", answered=bool(self._held))
        self._held += data
        try:
            return self._take()
        except _RefusedError as error:
            shown = "".join(c if c.isprintable() else " " for c in str(error))[:_SHOWN]
            return Trouble(fault="starttls-refused", detail=shown, answered=True)
        except _StrangeError:
            return Trouble(
                fault="starttls-malformed", detail=f"the peer does not speak {self._protocol}", answered=True
            )

    def _take(self) -> Say | Done | None:
        if not self._held.startswith(self._firsts):
            raise _StrangeError
        end = self._end_of_reply(self._held)
        if end == 0:
            if len(self._held) > _MOST_BYTES:
                raise _StrangeError
            return None
        reply, rest = self._held[:end], self._held[end:]
        if rest:  # nothing of a reply that we have not asked for may be read as said inside TLS (CVE-2011-0411)
            raise _StrangeError
        self._held = b""
        try:
            say, self._end_of_reply = self._script.send(reply)
        except StopIteration:
            return Done()
        return Say(say)
