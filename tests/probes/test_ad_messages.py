"""BER, the root DSE, the first words of Kerberos and of SMB: whole, in pieces, foreign, broken."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probes.kit import ber, kerberos_message, ldap_message
from probes.kit.ber import BerError
from probes.kit.dialogue import Done
from probes.kit.kerberos_message import KdcReply, SignOnQuestion
from probes.kit.ldap_message import RootDse, RootQuestion
from probes.kit.smb_message import Negotiated, NegotiateQuestion
from probes.kit.trouble import Trouble

# What Samba 4.17's domain controller dc1 of CORP.LAB said, from the wire: to an unknown client, to a known one.
KRB_ERROR = bytes.fromhex(
    "0000007f7e7d307ba003020105a10302011ea411180f32303236313132333233343934305aa50502030c9b53a603020106a70a1b0843"
    "4f52502e4c4142a8193017a003020101a110300e1b0c64656d6172632d70726f6265a90a1b08434f52502e4c4142aa1d301ba0030201"
    "02a11430121b066b72627467741b08434f52502e4c4142"
)
KRB_PROOF = bytes.fromhex(
    "000001317e82012d30820129a003020105a10302011ea411180f32303236313132333233343934325aa50502030d36d0a603020119a7"
    "0a1b08434f52502e4c4142a81a3018a003020101a111300f1b0d41646d696e6973747261746f72a90a1b08434f52502e4c4142aa1d30"
    "1ba003020102a11430121b066b72627467741b08434f52502e4c4142ab2b1b294e65656420746f207573652050412d454e432d54494d"
    "455354414d502f50412d504b2d41532d524551ac7e047c307a3009a103020110a20204003009a10302010fa2020400300aa104020200"
    "93a20204003009a103020102a2020400300aa10402020088a2020400300aa1040202028fa20204003033a103020113a22c042a302830"
    "26a003020112a1171b15434f52502e4c414241646d696e6973747261746f72a206040400001000"
)
ROOT = bytes.fromhex(
    "3081d20201016481cc04003081c73028041464656661756c744e616d696e67436f6e746578743110040e44433d636f72702c44433d6c"
    "6162301e0414737570706f727465644c44415056657273696f6e31060401320401333018040e697353796e6368726f6e697a65643106"
    "040454525545301d040b646e73486f73744e616d65310e040c6463312e636f72702e6c61623022040b63757272656e7454696d653113"
    "041132303236313132333233343934332e305a301e04146973476c6f62616c436174616c6f6752656164793106040454525545300c02"
    "010165070a010004000400"
)
SMB_ANSWER = bytes.fromhex(
    "0000010efe534d4240000000000000000000010001000000000000000000000000000000000000000000000000000000000000000000"
    "000000000000000000000000000041000300110301006463310000000000000000000000000007000000000080000000800000008000"
    "b4fcf350a57bdd01000000000000000080006000e0000000605e06062b0601050502a0543052a024302206092a864882f71201020206"
    "092a864886f712010202060a2b06010401823702020aa32a3028a0261b246e6f745f646566696e65645f696e5f524643343137384070"
    "6c656173655f69676e6f72650100260000000000010020000100283f7811a9726d92ac41a996d1b93457e1590c5e92b3381d07d59778"
    "02499b91"
)


def octets(text: str) -> bytes:
    """Return text as an OCTET STRING."""
    return ber.encode(ber.OCTET_STRING, text.encode())


def ldap(tag: int, *parts: bytes, ident: int = 1) -> bytes:
    """Return one LDAP message."""
    return ber.encode(ber.SEQUENCE, ber.encode_integer(ident), ber.encode(tag, *parts))


def entry(**attributes: str) -> bytes:
    """Return the root DSE with these attributes."""
    rows = [
        ber.encode(ber.SEQUENCE, octets(name), ber.encode(ber.SET, *([octets(value)] if value else [])))
        for name, value in attributes.items()
    ]
    return ldap(0x64, octets(""), ber.encode(ber.SEQUENCE, *rows))


def done(code: int, tag: int = 0x65, ident: int = 1) -> bytes:
    """Return the end of a search with a result code."""
    return ldap(tag, ber.encode_integer(code, ber.ENUMERATED), octets(""), octets(""), ident=ident)


FULL = entry(
    defaultNamingContext="DC=Corp,DC=lab",
    dnsHostName="DC1.corp.lab",
    currentTime="20261123234633.0Z",
    isSynchronized="TRUE",
    isGlobalCatalogReady="FALSE",
    other="",
)
# What dnsHostName and the others hold -> what is read.
ROOTS: dict[str, tuple[bytes, RootDse]] = {
    "all": (
        FULL + done(0),
        RootDse(domain="corp.lab", host="dc1.corp.lab", current_time=1795477593.0, synchronized=True, catalog=False),
    ),
    "nothing": (entry() + done(0), RootDse()),
    "Samba's own": (
        ROOT,
        RootDse(domain="corp.lab", host="dc1.corp.lab", current_time=1795477783.0, synchronized=True, catalog=True),
    ),
    "odd values": (
        entry(defaultNamingContext="CN=x,DC=lab", dnsHostName="a\nb", currentTime="soon", isSynchronized="maybe")
        + done(0),
        RootDse(host="a?b"),
    ),
    "no such day": (entry(currentTime="20261399000000Z") + done(0), RootDse()),
}


def fed(question: Any, data: bytes, pieces: Sequence[int] = ()) -> Any:
    """Return the last verdict of `question`, fed with `data` cut at `pieces` and closed at the end."""
    cuts = sorted({0, *(n % (len(data) + 1) for n in pieces), len(data)})
    for start, end in pairwise(cuts):
        found = question.feed(data[start:end])
        if found is not None:
            return found
    return question.feed(b"")


@pytest.mark.parametrize("name", ROOTS)
def test_a_root_dse_is_read(name: str) -> None:
    """What the directory says is read; what is none of ours is left out."""
    data, expected = ROOTS[name]
    question = RootQuestion()

    assert fed(question, data, [len(FULL)]) == Done()
    assert question.found == expected


@given(st.lists(st.integers(0, 400), max_size=6))
def test_an_answer_may_come_in_pieces(pieces: list[int]) -> None:
    """However it is cut, it is the same answer."""
    for make, data in (
        (RootQuestion, FULL + ldap(0x73) + done(0)),
        (lambda: SignOnQuestion("x", "corp.lab"), KRB_ERROR),
    ):
        whole, cut = make(), make()
        assert fed(whole, data) == fed(cut, data, pieces) == Done()
        assert whole.found == cut.found != None  # noqa: E711 - a chain of comparisons


REFUSALS: dict[str, tuple[bytes, str, str]] = {
    "busy": (done(51), "refused-by-service", "answers with LDAP result busy (51)"),
    "an entry, then busy": (FULL + done(51), "refused-by-service", "busy (51)"),
    "an unknown code": (done(99), "refused-by-service", "LDAP result 99"),
    "disconnects": (done(52, 0x78, 0), "refused-by-service", "disconnects with LDAP result unavailable (52)"),
    "disconnects without a code": (ldap(0x78, ident=0), "malformed", "without the root DSE"),
    "no entry": (done(0), "malformed", "without the root DSE"),
    "another number": (done(0, ident=2), "malformed", "no answer to a search"),
    "another operation": (done(0, 0x61), "malformed", "no answer to a search"),
    "no result": (ldap(0x65), "malformed", "no result code"),
    "no result code": (ldap(0x65, octets("")), "malformed", "no result code"),
    "no message": (ber.encode(ber.SEQUENCE), "malformed", "no LDAP message"),
    "no number": (ber.encode(ber.SEQUENCE, octets(""), octets("")), "malformed", "no LDAP message"),
    "HTTP": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "malformed", "no LDAP message"),
    "no entry's form": (ldap(0x64, octets("")), "malformed", "no search result entry"),
    "no attribute": (ldap(0x64, octets(""), ber.encode(0x30, ber.encode(0x30))), "malformed", "no attribute"),
    "too many values": (
        ldap(0x64, octets(""), ber.encode(0x30, ber.encode(0x30, octets("a"), ber.encode(0x31, *[octets("b")] * 65)))),
        "malformed",
        "too many values",
    ),
    "longer than any": (b"\x30\x84\x00\x10\x00\x00", "malformed", "too long"),
    "a flood": (b"\x30\x82\x3f\xf0" + bytes(17000), "malformed", "too long"),
    "without a length": (b"\x30\x80\x02\x01\x01", "malformed", "no definite length"),
    "cut inside": (b"\x30\x03\x02\x05\x01", "malformed", "cut short"),
    "closed": (b"", "closed", "without an answer"),
    "closed within": (FULL[:9], "closed", "after 9 bytes"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_directory_that_does_not_serve_says_how(name: str) -> None:
    """Each way not to answer has its fault, and its words."""
    data, fault, words = REFUSALS[name]

    found = fed(RootQuestion(), data)

    assert isinstance(found, Trouble)
    assert (found.fault, found.answered) == (fault, bool(data))
    assert words in found.detail


def krb_error(
    code: int, *, tag: int = 0x7E, kind: int = 30, version: int = 5, time: bytes = b"20261123234633Z"
) -> bytes:
    """Return a KRB-ERROR (or what `tag` and `kind` say) with its length."""
    fields = {
        0: ber.encode_integer(version),
        1: ber.encode_integer(kind),
        3: ber.encode(ber.GENERAL_STRING, b"CORP.LAB"),
        4: ber.encode(ber.GENERALIZED_TIME, time),
        5: ber.encode_integer(250_000),
        6: ber.encode_integer(code),
        9: ber.encode(ber.GENERAL_STRING, b"CORP.LAB"),
    }
    body = ber.encode(ber.SEQUENCE, *(ber.encode(0xA0 | number, field) for number, field in fields.items()))
    message = ber.encode(tag, body)
    return len(message).to_bytes(4) + message


KDC: dict[str, tuple[bytes, KdcReply, str]] = {
    "Samba's own": (
        KRB_ERROR,
        KdcReply(code=6, realm="CORP.LAB", server_time=1795477780.826195),
        "KDC_ERR_C_PRINCIPAL_UNKNOWN (6)",
    ),
    "Samba's own, proof wanted": (
        KRB_PROOF,
        KdcReply(code=25, realm="CORP.LAB", server_time=1795477782.866),
        "KDC_ERR_PREAUTH_REQUIRED (25)",
    ),
    "proof wanted": (
        krb_error(25),
        KdcReply(code=25, realm="CORP.LAB", server_time=1795477593.25),
        "KDC_ERR_PREAUTH_REQUIRED (25)",
    ),
    "an unknown code": (
        krb_error(-(2**31)),
        KdcReply(code=-(2**31), realm="CORP.LAB", server_time=1795477593.25),
        "KRB_ERROR (-2147483648)",
    ),
    "a time that is none": (krb_error(6, time=b"soon"), KdcReply(code=6, realm="CORP.LAB"), "(6)"),
    "no such day": (krb_error(6, time=b"20261399000000Z"), KdcReply(code=6, realm="CORP.LAB"), "(6)"),
    "a ticket": (krb_error(0, tag=0x6B, kind=11), KdcReply(code=None, realm="CORP.LAB"), "without any proof"),
}


@pytest.mark.parametrize("name", KDC)
def test_a_key_server_is_understood(name: str) -> None:
    """Code, realm and clock are read; a ticket is not kept."""
    data, expected, words = KDC[name]
    question = SignOnQuestion("demarc-probe", "corp.lab")

    assert fed(question, data, [3, 4, 5]) == Done()
    assert question.found == expected
    assert words in expected.shown


NO_KDC: dict[str, tuple[bytes, str, str]] = {
    "closed": (b"", "closed", "without an answer"),
    "closed within": (KRB_ERROR[:20], "closed", "after 20 bytes"),
    "HTTP": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "malformed", "no answer of a key server"),
    "another message": (b"\0\0\0\x02\x30\x00", "malformed", "no answer of a key server"),
    "too long": (b"\0\x10\0\0\x7e", "malformed", "too long"),
    "another version": (krb_error(6, version=4), "malformed", "another version"),
    "another kind": (krb_error(6, kind=11), "malformed", "another version"),
    "two messages": (b"\0\0\0\x04\x7e\x00\x7e\x00", "malformed", "neither"),
    "nothing in it": (b"\0\0\0\x04\x7e\x02\x30\x00", "malformed", "field 0 is missing"),
    "not one element": (b"\0\0\0\x06\x7e\x04\x30\x00\x30\x00", "malformed", "not one element"),
    "a number without bytes": (b"\0\0\0\x08\x7e\x06\x30\x04\xa0\x02\x02\x00", "malformed", "no number"),
}


@pytest.mark.parametrize("name", NO_KDC)
def test_what_is_no_key_server_is_told(name: str) -> None:
    """Each way not to answer has its fault, and its words."""
    data, fault, words = NO_KDC[name]

    found = fed(SignOnQuestion("x", "corp.lab"), data)

    assert isinstance(found, Trouble)
    assert (found.fault, found.answered) == (fault, bool(data))
    assert words in found.detail


def test_the_request_asks_for_the_realm_and_holds_no_key() -> None:
    """An AS-REQ for the client in the realm's ticket service, with a nonce that changes."""
    data = kerberos_message.request("demarc-probe", "CORP.LAB", 7)

    (message,) = ber.elements(data[4:])
    body = ber.only(message.data, ber.SEQUENCE).inside()[2]
    fields = {part.tag & 0x1F: part.data for part in ber.only(body.data, ber.SEQUENCE).inside()}
    assert int.from_bytes(data[:4]) == len(data) - 4
    assert message.tag == 0x6A
    assert b"demarc-probe" in fields[1]
    assert fields[2] == ber.encode(ber.GENERAL_STRING, b"CORP.LAB")
    assert b"krbtgt" in fields[3]
    assert fields[7] == ber.encode_integer(7)
    assert 3 not in {part.tag & 0x1F for part in ber.only(message.data, ber.SEQUENCE).inside()}  # no padata
    assert SignOnQuestion("a", "b.c").first != SignOnQuestion("a", "b.c").first


def negotiated(*, status: int = 0, dialect: int = 0x311, mode: int = 3, ticks: int = 0, size: int = 65) -> bytes:
    """Return an SMB2 NEGOTIATE answer up to its times."""
    header = b"\xfeSMB\x40\x00\x00\x00" + status.to_bytes(4, "little") + bytes(2) + bytes(2) + b"\x01" + bytes(47)
    words = size, mode, dialect, 0
    body = b"".join(word.to_bytes(2, "little") for word in words) + bytes(32) + ticks.to_bytes(8, "little") + bytes(9)
    return len(header + body).to_bytes(4) + header + body


SMB: dict[str, tuple[bytes, Negotiated]] = {
    "Samba's own": (SMB_ANSWER, Negotiated(dialect="3.1.1", signing=True, server_time=1795477784.8970413)),
    "signing required": (
        negotiated(ticks=(1_795_477_593 + 11_644_473_600) * 10_000_000 + 5_000_000),
        Negotiated(dialect="3.1.1", signing=True, server_time=1795477593.5),
    ),
    "an old one": (negotiated(dialect=0x202, mode=1), Negotiated(dialect="2.0.2", signing=False, server_time=None)),
    "an unknown one": (negotiated(dialect=0x999), Negotiated(dialect="0x0999", signing=True, server_time=None)),
}


@pytest.mark.parametrize("name", SMB)
def test_a_file_server_is_understood(name: str) -> None:
    """Dialect, signing and clock are read from the answer's fixed part."""
    data, expected = SMB[name]
    question = NegotiateQuestion()

    assert fed(question, data, [5, 68, 90]) == Done()
    assert question.found == expected


NO_SMB: dict[str, tuple[bytes, str, str]] = {
    "SMB 1 only": (b"\0\0\0\x04\xffSMB", "refused-by-service", "SMB 1 only"),
    "a status": (negotiated(status=0xC00000BB), "refused-by-service", "0xc00000bb"),
    "another answer": (negotiated(size=9), "malformed", "no NEGOTIATE"),
    "HTTP": (b"HTTP/1.1 400", "malformed", "no answer of SMB"),
    "closed": (b"", "closed", "without an answer"),
    "closed within": (negotiated()[:70], "closed", "after 70 bytes"),
}


@pytest.mark.parametrize("name", NO_SMB)
def test_what_is_no_file_server_for_us_is_told(name: str) -> None:
    """Each way not to answer has its fault, and its words."""
    data, fault, words = NO_SMB[name]

    found = fed(NegotiateQuestion(), data)

    assert isinstance(found, Trouble)
    assert (found.fault, found.answered) == (fault, bool(data))
    assert words in found.detail


QUESTIONS: dict[str, Callable[[], Any]] = {
    "ldap": RootQuestion,
    "kerberos": lambda: SignOnQuestion("x", "corp.lab"),
    "smb": NegotiateQuestion,
}


@pytest.mark.parametrize("name", QUESTIONS)
@given(data=st.binary(max_size=300), keep=st.integers(0, 90), pieces=st.lists(st.integers(0, 300), max_size=3))
def test_any_bytes_give_a_value(name: str, data: bytes, keep: int, pieces: list[int]) -> None:
    """Nothing but a verdict comes out, after any true beginning."""
    true = {"ldap": FULL + done(0), "kerberos": KRB_ERROR, "smb": negotiated()}[name]
    question = QUESTIONS[name]()

    found = fed(question, true[:keep] + data, pieces)

    assert isinstance(found, Done | Trouble)
    assert (question.found is not None) >= (found == Done())


@given(st.recursive(st.binary(max_size=20), lambda inner: st.lists(inner, max_size=4), max_leaves=12))
def test_what_is_written_is_read(tree: Any) -> None:
    """Elements of elements come back as they were."""

    def write(node: Any) -> bytes:
        return ber.encode(0x04, node) if isinstance(node, bytes) else ber.encode(0x30, *map(write, node))

    def read(element: ber.Element) -> Any:
        return element.data if element.tag == 0x04 else [read(one) for one in element.inside()]

    data = write(tree)
    assert ber.size(data) == len(data)
    assert ber.size(data[:1]) is None
    assert read(*ber.elements(data)) == tree


@given(st.integers(-(2**39), 2**39 - 1))
@example(-(2**39))
def test_numbers_are_written_short_and_read(value: int) -> None:
    """Two's complement in as few bytes as the number needs."""
    data = ber.encode_integer(value)
    assert ber.only(data, ber.INTEGER).integer() == value
    assert len(data) == 2 + next(n for n in range(1, 6) if -(2 ** (8 * n - 1)) <= value < 2 ** (8 * n - 1))


@given(st.binary(max_size=60))
def test_any_bytes_are_elements_or_none(data: bytes) -> None:
    """A list of elements that covers the bytes, or a BerError."""
    try:
        found = ber.elements(data)
    except BerError:
        return
    assert all(one.data in data for one in found)


BROKEN = {
    "a long identifier": ("1f0100", "identifier"),
    "no length": ("3080", "definite"),
    "five bytes of length": ("308500000000ff", "definite"),
    "cut in its length": ("3082ff", "cut"),
    "cut in its contents": ("300500", "cut"),
    "cut in its head": ("30", "cut"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_elements_are_told(name: str) -> None:
    """What is cut or written in a way that neither protocol uses."""
    data, words = BROKEN[name]
    with pytest.raises(BerError, match=words):
        ber.elements(bytes.fromhex(data))


def test_the_size_of_an_element_is_known_from_its_head() -> None:
    """So that a message is not read before it is whole."""
    assert ber.size(b"\x30\x82\x01\x00") == 260
    assert ber.size(b"\x30\x82\x01") is None


def test_contexts_become_names() -> None:
    """Only what consists of DC parts alone is a domain."""
    assert ldap_message.domain_of("DC=Corp, DC=Example,DC=nl") == "corp.example.nl"
    assert ldap_message.domain_of("CN=Configuration,DC=corp") == ""
