"""First answers of services, as their specifications have them: whole, byte by byte, with more behind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.greetings import GREETINGS, LARGEST, Verdict, judge

REFUSED, MALFORMED = "refused-by-service", "malformed"

# A directory's answers: SearchResultEntry, SearchResultDone with its code, notice of disconnection (RFC 4511 4.4.1).
LDAP_ENTRY = (
    bytes.fromhex("30 26 020101 64 21 0400 30 1d 301b 0414") + b"supportedLDAPVersion" + b"\x31\x03\x04\x01\x33"
)
LDAP_NOTICE = bytes.fromhex("30 24 020100 78 1f 0a0134 0400 0400 8a16") + b"1.3.6.1.4.1.1466.20036"
SMB_HEAD = b"\xfeSMB\x40\x00\x01\x00"


def ldap_done(code: int, *, long: bool = False) -> bytes:
    """Return the end of a search with `code`; `long` writes its lengths as Windows does, in four bytes."""
    result = b"\x0a\x01" + bytes([code]) + b"\x04\x00\x04\x00"
    if long:
        return b"\x30\x84\x00\x00\x00\x10\x02\x01\x01\x65\x84\x00\x00\x00\x07" + result
    return b"\x30\x0c\x02\x01\x01\x65\x07" + result


def smb(status: int, *, command: int = 0, flags: int = 1) -> bytes:
    """Return the transport header and the head of an SMB 2 message."""
    numbers = status.to_bytes(4, "little") + command.to_bytes(2, "little") + b"\x01\x00" + flags.to_bytes(4, "little")
    return b"\x00\x00\x01\x00" + SMB_HEAD + numbers


# name -> (protocol, bytes that just suffice, fault, text)
CASES: dict[str, tuple[str, bytes, str | None, str]] = {
    "smtp": ("smtp", b"220 mx.example ESMTP\r\n", None, "220 mx.example ESMTP"),
    "smtp, bare line feed": ("smtp", b"220 mx\n", None, "220 mx"),
    "smtp, code alone": ("smtp", b"220\r\n", None, "220"),
    "smtp, several lines": (
        "smtp", b"220-mx.example\r\n220-no spam\r\n220 go\r\n", None, "220-mx.example..220-no spam..220 go",
    ),
    "smtp, no service": ("smtp", b"554 No SMTP service here\r\n", REFUSED, "554 No SMTP service here"),
    "smtp, not now": ("submission", b"421 4.3.2 try later\r\n", REFUSED, "421 4.3.2 try later"),
    "smtp, another reply": ("smtp", b"221", MALFORMED, ""),
    "smtp, a web server": ("smtp", b"H", MALFORMED, ""),
    "smtp, an endless line": ("smtp", b"220 " + b"x" * 1020, MALFORMED, ""),
    "smtp, endless lines": ("smtp", b"220-xxxxxxxxxx\r\n" * 256, MALFORMED, ""),
    "ftp": ("ftp", b"220 (vsFTPd 3.0.3)\r\n", None, "220 (vsFTPd 3.0.3)"),
    "ftp, soon": ("ftp", b"120 ready in 2 minutes\r\n", None, "120 ready in 2 minutes"),
    "ftp, full": ("ftp", b"421 Too many users\r\n", REFUSED, "421 Too many users"),
    "imap": (
        "imap", b"* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n", None, "* OK [CAPABILITY IMAP4rev1] Dovecot ready.",
    ),
    "imap, known already": ("imap", b"* PREAUTH hello\r\n", None, "* PREAUTH hello"),
    "imap, busy": ("imap", b"* BYE overloaded\r\n", REFUSED, "* BYE overloaded"),
    "imap, another line": ("imap", b"* N", MALFORMED, ""),
    "pop3": ("pop3", b"+OK <1896.697170952@dbc.mtview.ca.us>\r\n", None, "+OK <1896.697170952@dbc.mtview.ca.us>"),
    "pop3, busy": ("pop3", b"-ERR [SYS/TEMP] busy\r\n", REFUSED, "-ERR [SYS/TEMP] busy"),
    "ssh": ("ssh", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", None, "SSH-2.0-OpenSSH_9.2p1 Debian-2"),
    "ssh, both versions": ("ssh", b"SSH-1.99-Cisco-1.25\n", None, "SSH-1.99-Cisco-1.25"),
    "ssh, after a text": ("ssh", b"Authorised users only\r\nSSH-2.0-x\r\n", None, "SSH-2.0-x"),
    "ssh, old version": ("ssh", b"SSH-1.5-1.2.27\n", REFUSED, "SSH-1.5-1.2.27"),
    "ssh, full": ("ssh", b"Exceeded MaxStartups\r\n", REFUSED, "Exceeded MaxStartups"),
    "ssh, banned": ("ssh", b"Not allowed at this time\r\n", REFUSED, "Not allowed at this time"),
    "ssh, not a text": ("ssh", b"\x16", MALFORMED, ""),
    "ssh, not a text in its second line": ("ssh", b"hello\nSSH-2.0-\x00", MALFORMED, ""),
    "ssh, an endless line": ("ssh", b"x" * 1024, MALFORMED, ""),
    "ssh, endless lines": ("ssh", b"hello world 123\n" * 256, MALFORMED, ""),
    "ldap, an entry": ("ldap", LDAP_ENTRY[:6], None, ""),
    "ldap, nothing found": ("ldap", ldap_done(0)[:10], None, ""),
    "ldap, Windows lengths": ("ldap", ldap_done(0, long=True)[:18], None, ""),
    "ldap, sign in first": ("ldap", ldap_done(50)[:10], None, ""),
    "ldap, busy": ("ldap", ldap_done(51)[:10], REFUSED, "LDAP result 51"),
    "ldap, disconnected": ("ldap", LDAP_NOTICE[:10], REFUSED, "LDAP result 52"),
    "ldap, not a sequence": ("ldap", b"\x31", MALFORMED, ""),
    "ldap, length without end": ("ldap", b"\x30\x80", MALFORMED, ""),
    "ldap, monstrous length": ("ldap", b"\x30\x85", MALFORMED, ""),
    "ldap, no id": ("ldap", b"\x30\x0c\x04\x01", MALFORMED, ""),
    "ldap, another operation": ("ldap", b"\x30\x0c\x02\x01\x01\x61", MALFORMED, ""),
    "ldap, no code": ("ldap", b"\x30\x0c\x02\x01\x01\x65\x07\x04\x01", MALFORMED, ""),
    "kerberos, an error": ("kerberos", b"\x00\x00\x00\x5f\x7e", None, ""),
    "kerberos, a reply": ("kerberos", b"\x00\x00\x02\x5f\x6b", None, ""),
    "kerberos, another message": ("kerberos", b"\x00\x00\x00\x5f\x30", MALFORMED, ""),
    "kerberos, no length": ("kerberos", b"H", MALFORMED, ""),
    "rpc": ("rpc", bytes.fromhex("05000c03100000003c00000001000000d016"), None, ""),
    "rpc, refused": (
        "rpc", bytes.fromhex("05000d03100000001800000001000000 0200"), REFUSED, "RPC bind refused, reason 2",
    ),
    "rpc, a fault": ("rpc", b"\x05\x00\x03", MALFORMED, ""),
    "rpc, another version": ("rpc", b"\x04", MALFORMED, ""),
    "smb": ("smb", smb(0), None, ""),
    "smb, not supported": ("smb", smb(0xC00000BB), REFUSED, "SMB status 0xc00000bb"),
    "smb, version 1": ("smb", b"\x00\x00\x00\x25\xffSMB", REFUSED, "speaks SMB 1 only"),
    "smb, another command": ("smb", smb(0, command=1), MALFORMED, ""),
    "smb, a request": ("smb", smb(0, flags=0), MALFORMED, ""),
    "smb, no session message": ("smb", b"\x83", MALFORMED, ""),
    "smb, another protocol": ("smb", b"\x00\x00\x00\x25\xfeSMC", MALFORMED, ""),
    "rdp": ("rdp", bytes.fromhex("03000013 0ed00000123400 0209080002000000"), None, ""),
    "rdp, from before negotiation": ("rdp", bytes.fromhex("0300000b 06d0"), None, ""),
    "rdp, failure": (
        "rdp", bytes.fromhex("03000013 0ed00000123400 0300080002000000"), REFUSED, "RDP negotiation failure 2",
    ),
    "rdp, unknown answer": ("rdp", bytes.fromhex("03000013 0ed00000123400 0400080002000000"), MALFORMED, ""),
    "rdp, another length": ("rdp", bytes.fromhex("0300000c 07d0"), MALFORMED, ""),
    "rdp, no confirm": ("rdp", bytes.fromhex("03000013 0ee0"), MALFORMED, ""),
    "rdp, no TPKT": ("rdp", b"\x05", MALFORMED, ""),
    "mssql": ("mssql", bytes.fromhex("0401002b00000100 00"), None, ""),
    "mssql, an error": ("mssql", bytes.fromhex("0401007300000100 aa"), REFUSED, "answers with a TDS error"),
    "mssql, another token": ("mssql", bytes.fromhex("0401007300000100 ab"), MALFORMED, ""),
    "mssql, another packet": ("mssql", b"\x12", MALFORMED, ""),
    "postgres, encrypts": ("postgres", b"S", None, "S"),
    "postgres, does not": ("postgres", b"N", None, "N"),
    "postgres, an error": ("postgres", b"E", REFUSED, "answers with an error"),
    "postgres, something else": ("postgres", b"H", MALFORMED, ""),
    "mysql": ("mysql", b"\x4a\x00\x00\x00\x0a8.0.36-0ubuntu\x00", None, "8.0.36-0ubuntu"),
    "mysql, full": ("mysql", b"\x17\x00\x00\x00\xff\x10\x04Too many connections", REFUSED, "1040 Too many connections"),
    "mysql, version without end": ("mysql", b"\x04\x00\x00\x00\x0a8.0", MALFORMED, ""),
    "mysql, empty": ("mysql", b"\x00\x00\x00\x00\x0a", MALFORMED, ""),
    "mysql, another number": ("mysql", b"\x4a\x00\x00\x01", MALFORMED, ""),
    "mysql, another protocol": ("mysql", b"\x4a\x00\x00\x00\x09", MALFORMED, ""),
    "mysql, a longer text than we read": (
        "mysql", b"\xff\xff\xff\x00\xff\x10\x04" + b"x" * 4089, REFUSED, "1040 " + "x" * 500,
    ),
    "redis": ("redis", b"+PONG\r\n", None, "+PONG"),
    "redis, wants a password": (
        "redis", b"-NOAUTH Authentication required.\r\n", None, "-NOAUTH Authentication required.",
    ),
    "redis, loading": ("redis", b"-LOADING the dataset\r\n", REFUSED, "-LOADING the dataset"),
    "redis, protected": ("redis", b"-DENIED protected mode\r\n", REFUSED, "-DENIED protected mode"),
    "redis, something else": ("redis", b"+Q", MALFORMED, ""),
    "mqtt": ("mqtt", b"\x20\x02\x00\x00", None, ""),
    "mqtt, wants a password": ("mqtt", b"\x20\x02\x00\x05", None, ""),
    "mqtt, unavailable": ("mqtt", b"\x20\x02\x00\x03", REFUSED, "MQTT return code 3"),
    "mqtt, unknown code": ("mqtt", b"\x20\x02\x00\x06", MALFORMED, ""),
    "mqtt, another packet": ("mqtt", b"\x30", MALFORMED, ""),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_answer_is_judged_by_what_just_suffices(case: str) -> None:
    """Byte by byte, the last byte decides; whole and with more behind it, the verdict is the same."""
    protocol, data, fault, text = CASES[case]
    verdict = Verdict(fault=fault, text=text)

    assert [judge(protocol, data[:end]) for end in range(len(data))] == [None] * len(data)
    assert judge(protocol, data) == verdict
    assert judge(protocol, data + b"\r\nmore\x00") == verdict


@pytest.mark.parametrize("protocol", GREETINGS)
@given(
    data=st.one_of(st.binary(max_size=80), st.sampled_from([case[1] for case in CASES.values()]).map(lambda x: x[:90]))
)
def test_any_bytes_are_judged_or_awaited(protocol: str, data: bytes) -> None:
    """Once something is judged, more bytes change nothing."""
    verdicts = [judge(protocol, data[:end]) for end in range(len(data) + 1)]

    decided = [verdict for verdict in verdicts if verdict is not None]
    assert verdicts[len(verdicts) - len(decided) :] == decided
    assert len(set(decided)) <= 1


@pytest.mark.parametrize("protocol", GREETINGS)
@given(data=st.binary(min_size=1, max_size=20).map(lambda data: data * LARGEST))
def test_nothing_is_awaited_for_ever(protocol: str, data: bytes) -> None:
    """After LARGEST bytes there is a verdict."""
    assert judge(protocol, data) is not None


def ber_end(data: bytes, at: int = 0) -> int:
    """Return where the BER element at `at` ends by its own length."""
    length, start = data[at + 1], at + 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[at + 2 : start])
    return start + length


def test_what_is_sent_first_is_as_long_as_it_says() -> None:
    """Every length field of our own messages is true."""
    sent = {name: row.opening for name, row in GREETINGS.items()}

    assert ber_end(sent["ldap"]) == len(sent["ldap"])
    assert ber_end(sent["kerberos"], 4) == len(sent["kerberos"]) == 4 + int.from_bytes(sent["kerberos"][:4])
    assert int.from_bytes(sent["rpc"][8:10], "little") == len(sent["rpc"])
    assert int.from_bytes(sent["smb"][:4]) == len(sent["smb"]) - 4
    assert sent["smb"][4 + 0x70 :][:4] == b"\x01\x00\x26\x00"  # the context is where its offset says
    assert int.from_bytes(sent["rdp"][2:4]) == len(sent["rdp"]) == 5 + sent["rdp"][4]
    assert int.from_bytes(sent["mssql"][2:4]) == len(sent["mssql"])
    assert sent["mqtt"][1] == len(sent["mqtt"]) - 2
    assert int.from_bytes(sent["postgres"][:4]) == len(sent["postgres"])
