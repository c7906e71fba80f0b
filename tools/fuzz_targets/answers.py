"""What applications answer: names, pages, metrics, certificates, greetings; and the small languages of settings."""

import contextlib
import gzip
import struct
from typing import Final

from tools.fuzz_targets.target import Run, Seeds

_OK: Final = b"HTTP/1.1 200 OK\r\n"
_TEXT: Final = b'# TYPE up gauge\nup{job="a",b="\\"x\\n"} 1.5e3 1795442400123\nup 2 # {t="x"} 1 2\n'


def dns() -> tuple[Run, Seeds]:
    """Read a response, its answers, and whether it is ours."""
    from probes.kit.dns_exchange import question, read_answer  # noqa: PLC0415
    from probes.kit.dns_message import decode, encode_query  # noqa: PLC0415
    from probes.kit.dns_names import DecodeError  # noqa: PLC0415
    from probes.kit.dns_records import TYPES, comparable, soa_minimum  # noqa: PLC0415

    asked = question("192.0.2.1", 53, 4, name="erp.corp.lab", record="A")

    def run(data: bytes) -> None:
        read_answer(data, asked, data[:2])
        with contextlib.suppress(DecodeError):
            message = decode(data)
            for record in TYPES:
                for one in message.answers_to(message.question[0] if message.question else "a", record):
                    comparable(one.data, one.type)
            for one in message.authority:
                if one.type == "SOA":
                    soa_minimum(one.data)

    head = struct.pack("!HHHHHH", 7, 0x8180, 1, 1, 1, 1) + encode_query(7, "erp.corp.lab", "A")[12:]
    soa = b"\x01a\0\x01b\0" + bytes(20)
    found = {1: bytes(4), 28: bytes(16), 5: b"\x01a\xc0\x0c", 15: b"\0\x0a\x01m\0", 16: b"\x03abc"}
    found |= {33: bytes(6) + b"\x01a\0", 2: b"\xc0\x0c", 6: soa}
    rows = [b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(rdata)) + rdata for kind, rdata in found.items()]
    opt = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)
    return run, [head + row + rows[-1] + opt for row in rows]


def resolver_files() -> tuple[Run, Seeds]:
    """Read hosts(5) and resolv.conf(5)."""
    from probes.kit.resolver_files import candidates, parse_hosts, parse_resolv_conf  # noqa: PLC0415

    def run(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        parse_hosts(text)
        candidates("erp", parse_resolv_conf(text))

    return run, [b"127.0.0.1 localhost # x\n::1 a\n", b"nameserver 10.0.0.1\nsearch a. b\noptions ndots:2 x\n"]


def exposition() -> tuple[Run, Seeds]:
    """Read what an exporter writes, in two pieces, as text and as OpenMetrics."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415

    from probes.kit.exposition import Sieve, Sifted, Wanted, choose, read  # noqa: PLC0415

    wanted = (Wanted(name="up"), Wanted(name="up", labels={"job": "a"}))

    def run(data: bytes) -> None:
        sieve = Sieve(wanted)
        half = len(data) // 2
        sieve.feed(b"up 1\n" + data[:half])
        sieve.feed(data[half:] + b"\n")
        found = sieve.finish()
        for openmetrics in (False, True):
            readings = (
                read(found, text_string_to_metric_families, openmetrics=openmetrics)
                if isinstance(found, Sifted)
                else ()
            )
            if isinstance(readings, tuple):
                choose(readings, wanted[1])

    return run, [_TEXT]


def scrape() -> tuple[Run, Seeds]:
    """Read an exporter's whole reply, packed and not."""
    from probes.kit.exposition import Wanted  # noqa: PLC0415
    from probes.kit.scrape import Reply  # noqa: PLC0415

    def run(data: bytes) -> None:
        reply = Reply((Wanted(name="up"),), 100_000)
        pieces = (data[: len(data) // 2], data[len(data) // 2 :])
        for piece in (*filter(None, pieces), b""):
            verdict = reply.feed(piece)
            while verdict is None and reply.packed:
                verdict = reply.unpack()
            if verdict is not None:
                return

    chunked = _OK + b"Transfer-Encoding: chunked\r\nDate: Mon, 23 Nov 2026 17:00:00 GMT\r\n\r\n5\r\nup 1\n\r\n0\r\n\r\n"
    return run, [chunked, _OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(_TEXT)]


def response() -> tuple[Run, Seeds]:
    """Read a web server's reply, in pieces of the size that its first byte says, and judge it."""
    from probes.kit.response import Body, Head, Response  # noqa: PLC0415
    from probes.kit.trouble import Trouble  # noqa: PLC0415
    from probes.kit.web_answer import Wanted  # noqa: PLC0415

    pointers = {"/a/0": "1", "": "x"}
    wanted = Wanted(status=((200, 399),), contains=b"a", lacks=b"secret", pointers=pointers, max_bytes=10_000)

    def run(data: bytes) -> None:
        step = (data[0] if data else 0) + 1
        reader, head = Response(10_000), None
        for at in (*range(1, len(data), step), len(data)):
            verdict = reader.feed(data[at : at + step])
            while verdict is not None:
                if isinstance(verdict, Head):
                    head = verdict
                elif isinstance(verdict, Body | Trouble):
                    if isinstance(verdict, Body) and head is not None:
                        wanted.verdict(head, verdict)
                    return
                verdict = reader.feed(None)

    sized = _OK + b"Content-Length: 3\r\nA: b\r\n c\r\n\r\nabc"
    packed = _OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b'{"a":[1,"b"]}')
    chunked = _OK + b"Transfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: x\r\n\r\n"
    return run, [b"\x07" + sized, b"\xff" + packed, b"\xff" + chunked]


def certificate() -> tuple[Run, Seeds]:
    """Read a certificate in DER, as a peer shows it."""
    from probes.kit.certificate import read_certificate  # noqa: PLC0415

    def run(data: bytes) -> None:
        with contextlib.suppress(ValueError):
            read_certificate(data)

    return run, [_self_signed()]


def _self_signed() -> bytes:
    from datetime import UTC, datetime  # noqa: PLC0415

    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "erp.corp.lab")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("erp.corp.lab")]), critical=False)
    return made.sign(key, None).public_bytes(Encoding.DER)


def greetings() -> tuple[Run, Seeds]:
    """Read what servers of every greeting say first; the first byte chooses the protocol."""
    from probes.kit.greetings import GREETINGS, judge  # noqa: PLC0415

    names = sorted(GREETINGS)

    def run(data: bytes) -> None:
        judge(names[data[0] % len(names)] if data else names[0], data[1:])

    words = (
        b"220 x ESMTP\r\n",
        b"* OK x\r\n",
        b"SSH-2.0-x\r\n",
        b"\x03\0\0\x13\x0e\xd0" + bytes(13),
        b"\x30\x0c" + bytes(12),
    )
    return run, [bytes([at]) + word for at in range(len(names)) for word in words]


def starttls() -> tuple[Run, Seeds]:
    """Read what servers say until TLS begins; the first byte chooses the protocol, zero bytes cut the pieces."""
    from probes.kit.starttls import StartTls  # noqa: PLC0415

    names = ("smtp", "ftp", "imap", "pop3", "ldap", "postgres")

    def run(data: bytes) -> None:
        dialogue = StartTls(names[data[0] % len(names)] if data else names[0])
        for piece in data[1:].split(b"\0"):
            dialogue.feed(piece)

    words = (b"220 x\r\n\x00250 STARTTLS\r\n\x00220 go\r\n", b"* OK\r\n\0a1 OK\r\n", b"+OK\r\n\0+OK\r\n", b"S")
    return run, [bytes([at]) + word for at in range(len(names)) for word in words]


def settings() -> tuple[Run, Seeds]:
    """Read small languages: conditions and matchers of a chain file, web addresses, also of a redirect."""
    from probes.kit.condition import parse_condition  # noqa: PLC0415
    from probes.kit.matcher import parse_matcher  # noqa: PLC0415
    from probes.kit.url import read_url, redirected  # noqa: PLC0415

    base = read_url("https://erp.corp.lab/a/b?c")

    def run(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        for read in (parse_condition, parse_matcher):
            with contextlib.suppress(ValueError):
                read(text)
        with contextlib.suppress(ValueError):
            read_url(text)
        with contextlib.suppress(ValueError):
            redirected(base, data)

    return run, [b"> 1.5e3 or 0..5 or == 2h", b"a!=b|c*", b"https://[2001:db8::1]:8443/a?b"]
