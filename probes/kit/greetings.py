"""How services introduce themselves: what to send first, and what of the answer tells that it is they. Pure.

One row a protocol. What must stay true: a reader decides by the shortest prefix that suffices, so
that an answer that comes whole, byte by byte or with more behind it gets the same verdict; it takes
any bytes; nobody signs in, and nothing is asked for that anonymous clients may not ask.
"""

from collections.abc import Callable
from typing import Final

import msgspec

# More than any first answer needs: 512 bytes of an SMTP reply line (RFC 5321 section 4.5.3.1.5) in several lines.
LARGEST: Final = 4096
_SHOWN: Final = 500
_LONGEST_LINE: Final = 1024


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer means: `fault` None when the service is there for us; `text` its own words, made printable."""

    fault: str | None
    text: str = ""


_MALFORMED: Final = Verdict(fault="malformed")


Reader = Callable[[bytes], Verdict | None]  # None: more bytes are needed


class Greeting(msgspec.Struct, frozen=True, kw_only=True):
    """One protocol: its port, what we send first and last, how the answer is read, and where that is written.

    `worded`: the answer holds words of the server's, such as its version.
    """

    port: int
    read: Reader
    source: str
    worded: bool = False
    opening: bytes = b""
    farewell: bytes = b""


def judge(name: str, data: bytes) -> Verdict | None:
    """Return what the bytes that came so far mean in protocol `name`; None while more are needed."""
    if not data:
        return None
    verdict = GREETINGS[name].read(data[:LARGEST])
    return _MALFORMED if verdict is None and len(data) >= LARGEST else verdict


def printable(data: bytes) -> str:
    """Return bytes as one line for people: what is not printable ASCII becomes a point."""
    text = data[:_SHOWN].strip().decode("latin-1")
    return "".join(c if " " <= c <= "~" else "." for c in text)


def _accepted(data: bytes = b"") -> Verdict:
    return Verdict(fault=None, text=printable(data))


def _refused(data: bytes | str) -> Verdict:
    return Verdict(fault="refused-by-service", text=data if isinstance(data, str) else printable(data))


def _line(accepted: tuple[bytes, ...], refused: tuple[bytes, ...], *, several: bool = False) -> Reader:
    """Return a reader of a reply that starts with one of these; in `several` lines, a hyphen after the code goes on."""

    def read(data: bytes) -> Verdict | None:
        for count in range(1, min(len(data), max(map(len, accepted + refused))) + 1):
            if not any(start[:count] == data[: min(count, len(start))] for start in accepted + refused):
                return _MALFORMED
        begin = 0
        while (end := data.find(b"\n", begin, begin + _LONGEST_LINE)) >= 0:
            if not (several and data[begin + 3 : begin + 4] == b"-"):
                return _accepted(data[:end]) if data.startswith(accepted) else _refused(data[:end])
            begin = end + 1
        return _MALFORMED if len(data) - begin >= _LONGEST_LINE else None

    return read


def _starts(data: bytes, expected: bytes) -> bool:
    """Return whether `data` begins with `expected`, as far as it has come."""
    return data[: len(expected)] == expected[: len(data)]


def _ssh(data: bytes) -> Verdict | None:
    """Read lines: text may precede the version (RFC 4253 section 4.2); OpenSSH says in one of them that it is full."""
    begin = 0
    while True:
        end = data.find(b"\n", begin, begin + _LONGEST_LINE)
        line = data[begin : end if end >= 0 else begin + _LONGEST_LINE]
        control = next((n for n, byte in enumerate(line) if byte < 0x20 and byte not in b"\t\r"), None)
        if control is not None:
            return _MALFORMED
        if end < 0:
            return _MALFORMED if len(line) == _LONGEST_LINE else None
        if line.startswith((b"SSH-2.0-", b"SSH-1.99-")):
            return _accepted(line)
        if line.startswith((b"SSH-", b"Exceeded MaxStartups", b"Not allowed at this time")):
            return _refused(line)
        begin = end + 1


# RFC 4511 section 4.1.9: codes by which a directory that is there refuses an anonymous reader.
_LDAP_WORKS: Final = frozenset({0, 8, 13, 32, 48, 49, 50, 53})
_LDAP_ENTRY, _LDAP_DONE, _LDAP_EXTENDED = 0x64, 0x65, 0x78


def _ber(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Return tag, start and end of the BER element at `at`; None until its head has come, ValueError if it is none."""
    if len(data) < at + 2:
        return None
    tag, length, start = data[at], data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4:
            raise ValueError("no definite length of at most four bytes")
        if len(data) < start + count:
            return None
        length, start = int.from_bytes(data[start : start + count]), start + count
    return tag, start, start + length


def _ldap(data: bytes) -> Verdict | None:
    try:
        return _ldap_message(data)
    except ValueError:
        return _MALFORMED


def _ldap_message(data: bytes) -> Verdict | None:
    """Read an LDAPMessage: an entry, the end of the search with its code, or a notice of disconnection (id 0)."""
    if data[0] != 0x30:
        raise ValueError("no sequence")
    message = _ber(data, 0)
    ident = message and _ber(data, message[1])
    if not ident:
        return None
    if ident[0] != 0x02 or not 1 <= ident[2] - ident[1] <= 4:
        raise ValueError("no message id")
    if len(data) <= ident[2]:
        return None
    tag = data[ident[2]]
    if tag == _LDAP_ENTRY:
        return _accepted()
    if tag not in (_LDAP_DONE, _LDAP_EXTENDED):
        raise ValueError("no answer to a search")
    body = _ber(data, ident[2])
    code = body and _ber(data, body[1])
    if not code:
        return None
    if code[0] != 0x0A or code[2] - code[1] != 1:
        raise ValueError("no result code")
    if len(data) < code[2]:
        return None
    result = data[code[1]]
    return _accepted() if tag == _LDAP_DONE and result in _LDAP_WORKS else _refused(f"LDAP result {result}")


def _smb(data: bytes) -> Verdict | None:
    """Read [MS-SMB2] 2.1 (transport), 2.2.1.2 (header): a NEGOTIATE response and its status."""
    if data[0] != 0:
        return _MALFORMED
    if _starts(data[4:], b"\xffSMB"):
        return _refused("speaks SMB 1 only") if len(data) >= 8 else None
    if not _starts(data[4:], b"\xfeSMB\x40\x00"):
        return _MALFORMED
    if len(data) < 4 + 20:
        return None
    status, command, flags = (int.from_bytes(data[a:b], "little") for a, b in ((12, 16), (16, 18), (20, 24)))
    if command != 0 or not flags & 1:
        return _MALFORMED
    return _refused(f"SMB status 0x{status:08x}") if status else _accepted()


def _rdp(data: bytes) -> Verdict | None:
    """Read TPKT (RFC 1006 section 6), X.224 connection confirm, [MS-RDPBCGR] 2.2.1.2: response or failure."""
    if not _starts(data, b"\x03\x00") or (len(data) > 5 and data[5] != 0xD0):
        return _MALFORMED
    if len(data) < 6:
        return None
    length = int.from_bytes(data[2:4])
    if length == 11:  # no negotiation: a server from before it
        return _accepted()
    if length < 19:
        return _MALFORMED
    if len(data) < 19:
        return None
    if data[11] == 2:
        return _accepted()
    return _refused(f"RDP negotiation failure {data[15]}") if data[11] == 3 else _MALFORMED


def _mssql(data: bytes) -> Verdict | None:
    """Read [MS-TDS] 2.2.3.1 (header), 2.2.6.5 (PRELOGIN: VERSION comes first), 2.2.7.10 (ERROR)."""
    if data[0] != 0x04 or (len(data) > 8 and data[8] not in (0x00, 0xAA)):
        return _MALFORMED
    if len(data) < 9:
        return None
    return _accepted() if data[8] == 0x00 else _refused("answers with a TDS error")


def _postgres(data: bytes) -> Verdict | None:
    """Read one byte, S or N. An error, E, comes from a server that cannot start a session."""
    if data[:1] in (b"S", b"N"):
        return _accepted(data[:1])
    return _refused("answers with an error") if data[:1] == b"E" else _MALFORMED


def _mysql(data: bytes) -> Verdict | None:
    """Read a packet of number 0: protocol 10 and the server's version, or an ERR packet with a code and its text."""
    if (len(data) > 3 and data[3] != 0) or (len(data) > 4 and data[4] not in (0x0A, 0xFF)):
        return _MALFORMED
    if len(data) < 5:
        return None
    end = 4 + int.from_bytes(data[:3], "little")
    if data[4] == 0xFF:
        if len(data) < min(end, LARGEST):
            return None
        return _refused(f"{int.from_bytes(data[5:7], 'little')} {printable(data[7:end])}")
    stop = data.find(b"\0", 5, end)
    if stop < 0:
        return _MALFORMED if len(data) >= end else None
    return _accepted(data[5:stop])


def _mqtt(data: bytes) -> Verdict | None:
    """Read CONNACK; a broker that wants a password (4, 5) is there."""
    if not _starts(data, b"\x20\x02") or (len(data) > 3 and data[3] > 5):
        return _MALFORMED
    if len(data) < 4:
        return None
    return _accepted() if data[3] in (0, 4, 5) else _refused(f"MQTT return code {data[3]}")


def _kerberos(data: bytes) -> Verdict | None:
    """Read a length (RFC 4120 section 7.2.2), then KRB-ERROR or AS-REP: whatever it says, the KDC says it."""
    if data[0] != 0 or (len(data) > 4 and data[4] not in (0x7E, 0x6B)):
        return _MALFORMED
    return _accepted() if len(data) > 4 else None


def _rpc(data: bytes) -> Verdict | None:
    """Read a PDU of version 5.0: bind_ack (12) or bind_nak (13) with its reason."""
    if not _starts(data, b"\x05\x00") or (len(data) > 2 and data[2] not in (12, 13)):
        return _MALFORMED
    if len(data) < 18:
        return None
    return (
        _accepted() if data[2] == 12 else _refused(f"RPC bind refused, reason {int.from_bytes(data[16:18], 'little')}")
    )


def _tlv(tag: int, *parts: bytes) -> bytes:
    """Return a BER element of less than 128 bytes, or of less than 256."""
    content = b"".join(parts)
    return bytes([tag, len(content)] if len(content) < 128 else [tag, 0x81, len(content)]) + content


# SearchRequest of the root DSE's supportedLDAPVersion: base "", scope base, filter (objectClass=*).
_LDAP_SEARCH: Final = _tlv(
    0x30,
    b"\x02\x01\x01",
    _tlv(
        0x63,
        b"\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00",
        _tlv(0x87, b"objectClass"),
        _tlv(0x30, _tlv(0x04, b"supportedLDAPVersion")),
    ),
)
_LDAP_UNBIND: Final = b"\x30\x05\x02\x01\x02\x42\x00"

# SMB2 header, then NEGOTIATE with dialects 2.0.2 to 3.1.1 and the integrity context that 3.1.1 requires (2.2.3.1.1).
_SMB_NEGOTIATE: Final = (
    b"\x00\x00\x00\x9e\xfeSMB\x40\x00"
    + bytes(8)
    + b"\x01\x00"
    + bytes(48)
    + b"\x24\x00\x05\x00\x01\x00\x00\x00\x00\x00\x00\x00"
    + b"demarc greeting!"
    + b"\x70\x00\x00\x00\x01\x00\x00\x00"
    + b"\x02\x02\x10\x02\x00\x03\x02\x03\x11\x03\x00\x00"
    + b"\x01\x00\x26\x00\x00\x00\x00\x00\x01\x00\x20\x00\x01\x00"
    + b"demarc greeting!" * 2
)
# X.224 connection request with requestedProtocols TLS, CredSSP.
_RDP_REQUEST: Final = bytes.fromhex("03000013 0ee00000000000 0100080003000000")
# PRELOGIN: VERSION 0.0 at 11, ENCRYPTION off at 17.
_MSSQL_PRELOGIN: Final = bytes.fromhex("1201001a00000100 00000b0006 0100110001 ff 000000000000 00")
_MQTT_CONNECT: Final = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"

_REALM: Final = _tlv(0x1B, b"DEMARC.INVALID")
# AS-REQ for a principal that nobody has, in a realm that cannot be (RFC 2606): the KDC says that it is not its own.
_KERBEROS_BODY: Final = _tlv(
    0x30,
    _tlv(0xA0, b"\x03\x05\x00\x00\x00\x00\x00"),
    _tlv(0xA1, _tlv(0x30, b"\xa0\x03\x02\x01\x01", _tlv(0xA1, _tlv(0x30, _tlv(0x1B, b"demarc"))))),
    _tlv(0xA2, _REALM),
    _tlv(0xA3, _tlv(0x30, b"\xa0\x03\x02\x01\x02", _tlv(0xA1, _tlv(0x30, _tlv(0x1B, b"krbtgt"), _REALM)))),
    _tlv(0xA5, _tlv(0x18, b"20370913024805Z")),
    _tlv(0xA7, b"\x02\x04\x64\x65\x6d\x61"),
    _tlv(0xA8, b"\x30\x06\x02\x01\x12\x02\x01\x11"),
)
_KERBEROS_ASK: Final = _tlv(
    0x6A, _tlv(0x30, b"\xa1\x03\x02\x01\x05", b"\xa2\x03\x02\x01\x0a", _tlv(0xA4, _KERBEROS_BODY))
)
# Bind to the endpoint mapper, e1af8308-5d1f-11c9-91a4-08002b14a0fa 3.0, in NDR.
_RPC_BIND: Final = bytes.fromhex(
    "05000b03100000004800000001000000d016d01600000000010000000000010008"
    "83afe11f5dc91191a408002b14a0fa03000000045d888aeb1cc9119fe808002b10486002000000"
)

_MAIL: Final = _line((b"220",), (b"4", b"5"), several=True)
_QUIT: Final = b"QUIT\r\n"

GREETINGS: Final[dict[str, Greeting]] = {
    "smtp": Greeting(port=25, read=_MAIL, farewell=_QUIT, worded=True, source="RFC 5321 section 4.2"),
    "submission": Greeting(port=587, read=_MAIL, farewell=_QUIT, worded=True, source="RFC 6409, RFC 5321 section 4.2"),
    "ftp": Greeting(
        port=21,
        read=_line((b"220", b"120"), (b"4", b"5"), several=True),
        farewell=_QUIT,
        worded=True,
        source="RFC 959 section 5.4",
    ),
    "imap": Greeting(
        port=143,
        read=_line((b"* OK", b"* PREAUTH"), (b"* BYE",)),
        farewell=b"a LOGOUT\r\n",
        worded=True,
        source="RFC 9051 section 7.1",
    ),
    "pop3": Greeting(
        port=110, read=_line((b"+OK",), (b"-ERR",)), farewell=_QUIT, worded=True, source="RFC 1939 section 4"
    ),
    "ssh": Greeting(port=22, read=_ssh, worded=True, source="RFC 4253 section 4.2"),
    "ldap": Greeting(
        port=389,
        opening=_LDAP_SEARCH,
        read=_ldap,
        farewell=_LDAP_UNBIND,
        source="RFC 4511 section 4.5, RFC 4512 section 5.1",
    ),
    "kerberos": Greeting(
        port=88,
        opening=len(_KERBEROS_ASK).to_bytes(4) + _KERBEROS_ASK,
        read=_kerberos,
        source="RFC 4120 sections 5.4.1, 5.9.1, 7.2.2",
    ),
    "rpc": Greeting(port=135, opening=_RPC_BIND, read=_rpc, source="DCE 1.1 (C706) chapter 12, [MS-RPCE] 2.2.2"),
    "smb": Greeting(port=445, opening=_SMB_NEGOTIATE, read=_smb, source="[MS-SMB2] 2.2.3, 2.2.4"),
    "rdp": Greeting(port=3389, opening=_RDP_REQUEST, read=_rdp, source="[MS-RDPBCGR] 2.2.1.1, 2.2.1.2"),
    "mssql": Greeting(port=1433, opening=_MSSQL_PRELOGIN, read=_mssql, source="[MS-TDS] 2.2.6.5"),
    "postgres": Greeting(
        port=5432,
        opening=b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
        read=_postgres,
        source="PostgreSQL documentation, Message Flow: SSLRequest",
    ),
    "mysql": Greeting(
        port=3306, read=_mysql, worded=True, source="MySQL client/server protocol: HandshakeV10, ERR_Packet"
    ),
    "redis": Greeting(
        port=6379,
        opening=b"PING\r\n",
        read=_line((b"+PONG", b"-NOAUTH"), (b"-",)),
        farewell=_QUIT,
        source="Redis serialization protocol: inline commands",
    ),
    "mqtt": Greeting(
        port=1883,
        opening=_MQTT_CONNECT,
        read=_mqtt,
        farewell=b"\xe0\x00",
        source="MQTT 3.1.1 sections 3.1, 3.2",
    ),
}
