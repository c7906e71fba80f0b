"""The plain words before TLS: what is said, what it leads to, whole and byte by byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.dialogue import Done, Say
from probes.kit.starttls import StartTls
from probes.kit.trouble import Trouble

LDAP_OK = bytes.fromhex("300c02010178070a010004000400")
# name -> (protocol, what the server says, turn by turn; what we said; the end)
CASES: dict[str, tuple[str, list[bytes], list[bytes], str]] = {
    "smtp": (
        "smtp",
        [b"220-erp\r\n220 ready\r\n", b"250-erp\r\n250-STARTTLS\r\n250 SIZE 9\r\n", b"220 go\r\n"],
        [b"", b"EHLO demarc.invalid\r\n", b"STARTTLS\r\n"],
        "done",
    ),
    "smtp without it": (
        "smtp",
        [b"220 ready\r\n", b"250-erp\r\n250 SIZE 9\r\n"],
        [b"", b"EHLO demarc.invalid\r\n"],
        "starttls-refused",
    ),
    "smtp that is busy": ("smtp", [b"421 later\r\n"], [b""], "starttls-refused"),
    "smtp that is ssh": ("smtp", [b"SSH-2.0-x\r\n"], [b""], "starttls-malformed"),
    "smtp with another code in between": ("smtp", [b"220-a\r\n250-b\r\n220 c\r\n"], [b""], "starttls-malformed"),
    "smtp that says more": (
        "smtp",
        [b"220 ready\r\n", b"250 STARTTLS\r\n", b"220 go\r\n250 evil\r\n"],
        [],
        "starttls-malformed",
    ),
    "smtp without an end": ("smtp", [b"220-" + b"x" * 20000], [b""], "starttls-malformed"),
    "smtp line without a code": ("smtp", [b"220-a\r\n2x\r\n"], [b""], "starttls-malformed"),
    "ftp": ("ftp", [b"220 ftp\r\n", b"234 go\r\n"], [b"", b"AUTH TLS\r\n"], "done"),
    "ftp with text lines": (
        "ftp",
        [b"220-Hello\r\n and\r\n220 ftp\r\n", b"534 no\r\n"],
        [b"", b"AUTH TLS\r\n"],
        "starttls-refused",
    ),
    "imap": ("imap", [b"* OK ready\r\n", b"* CAPABILITY X\r\na OK go\r\n"], [b"", b"a STARTTLS\r\n"], "done"),
    "imap that refuses": ("imap", [b"* OK ready\r\n", b"a BAD no\r\n"], [b"", b"a STARTTLS\r\n"], "starttls-refused"),
    "imap that is full": ("imap", [b"* BYE full\r\n"], [b""], "starttls-refused"),
    "imap with strange lines": (
        "imap",
        [b"* OK ready\r\n", b"* X\r\nb OK\r\n"],
        [b"", b"a STARTTLS\r\n"],
        "starttls-malformed",
    ),
    "pop3": ("pop3", [b"+OK ready\r\n", b"+OK go\r\n"], [b"", b"STLS\r\n"], "done"),
    "pop3 that refuses": ("pop3", [b"+OK ready\r\n", b"-ERR no\r\n"], [b"", b"STLS\r\n"], "starttls-refused"),
    "ldap": ("ldap", [LDAP_OK], [], "done"),
    "ldap with a long length": (
        "ldap",
        [b"\x30\x84\0\0\0\x10" + b"\x02\x01\x01\x78\x84\0\0\0\x07" + b"\x0a\x01\0\4\0\4\0"],
        [],
        "done",
    ),
    "ldap that refuses": ("ldap", [LDAP_OK.replace(b"\x0a\x01\0", b"\x0a\x01\x34")], [], "starttls-refused"),
    "ldap that answers something else": ("ldap", [b"\x30\x03\x02\x01\x05"], [], "starttls-malformed"),
    "ldap with an absurd length": ("ldap", [b"\x30\x89" + b"\1" * 9], [], "starttls-malformed"),
    "postgres": ("postgres", [b"S"], [bytes.fromhex("0000000804d2162f")], "done"),
    "postgres without TLS": ("postgres", [b"N"], [bytes.fromhex("0000000804d2162f")], "starttls-refused"),
    "postgres that is web": ("postgres", [b"HTTP/1.1 400"], [bytes.fromhex("0000000804d2162f")], "starttls-malformed"),
    "closes": ("smtp", [b""], [b""], "closed"),
    "closes in between": ("smtp", [b"220-a\r\n", b""], [b""], "closed"),
}


def play(protocol: str, turns: list[bytes], step: int) -> tuple[list[bytes], str]:
    """Let a server speak in pieces of `step`; return what we said and the end."""
    dialogue = StartTls(protocol)
    said = [dialogue.first]
    for turn in turns:
        for piece in [turn[n : n + step] for n in range(0, len(turn), step)] or [b""]:
            found = dialogue.feed(piece)
            if isinstance(found, Trouble):
                return said, found.fault
            if isinstance(found, Done):
                return said, "done"
            if isinstance(found, Say):
                said.append(found.data)
    return said, "waits"


@pytest.mark.parametrize("step", [1, 100_000])
@pytest.mark.parametrize("case", CASES)
def test_words_before_tls(case: str, step: int) -> None:
    """The same words and the same end, however the bytes arrive."""
    protocol, turns, said, end = CASES[case]
    if case == "smtp that says more" and step == 1:
        return  # byte by byte the words end before the rest comes, which then disturbs the handshake

    found = play(protocol, turns, step)

    assert found[1] == end
    assert not said or found[0] == said


def test_what_the_peer_said_is_answered() -> None:
    """A refusal is the peer's word, a close before any word is not."""
    refused = StartTls("postgres").feed(b"N")
    closed = StartTls("postgres").feed(b"")

    assert isinstance(refused, Trouble)
    assert isinstance(closed, Trouble)
    assert (refused.answered, closed.answered) == (True, False)


PROTOCOLS = st.sampled_from(["smtp", "imap", "pop3", "ldap", "postgres", "ftp"])
WORDS = st.sampled_from(
    [b"220 ", b"250-", b"STARTTLS", b"\r\n", b"\n", b"* OK", b"a OK", b"+OK", LDAP_OK[:7], b"\x30", b"S", b"x"]
)


@given(PROTOCOLS, st.lists(st.one_of(st.binary(max_size=20), st.lists(WORDS).map(b"".join)), max_size=8))
def test_any_bytes_are_a_value(protocol: str, pieces: list[bytes]) -> None:
    """Nothing that a peer says raises, and what is kept of it is bounded."""
    dialogue = StartTls(protocol)
    for piece in pieces:
        found = dialogue.feed(piece)
        assert found is None or isinstance(found, Say | Done | Trouble)
        if isinstance(found, Done | Trouble):
            return
