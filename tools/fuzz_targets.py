"""What `tools.fuzz` feeds: every parser of bytes that another host chooses, and of the host's resolver files.

A target takes any bytes. It may raise nothing: the errors that its parser declares are caught in it, so
whatever comes out is a find. Modules are imported in the target's maker, once they can be instrumented.
"""

import base64
import contextlib
import gzip
import struct
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

Run = Callable[[bytes], object]
Seeds = Sequence[bytes]
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


def echo() -> tuple[Run, Seeds]:
    """Read echo replies and what ICMP errors quote."""
    from probes.kit.echo import parse_quote, parse_reply  # noqa: PLC0415

    def run(data: bytes) -> None:
        for family in (4, 6):
            parse_reply(family, data)
            parse_quote(family, data)

    return run, [bytes(16), b"\x45" + bytes(27), b"\x08\0" + bytes(6), b"\x81\0" + bytes(10)]


def kernel_entries() -> tuple[Run, Seeds]:
    """Read error queues and TCP_INFO: the kernel's, with what routers quote in them."""
    from probes.kit.sockets import parse_error, parse_tcp_info  # noqa: PLC0415

    def run(data: bytes) -> None:
        for family in (4, 6):
            parse_tcp_info(data, family)
        parse_error(data, data[16:])

    return run, [bytes(200), struct.pack("=IBBBxII", 111, 2, 3, 3, 0, 0) + b"\x02\0" + bytes(14)]


def icmp_error() -> tuple[Run, Seeds]:
    """Read a router's error with its extensions."""
    from probes.kit.icmp_error import mpls_labels, read_entry, read_stamp  # noqa: PLC0415

    def run(data: bytes) -> None:
        read_entry(data[32:], [(0, 11, data[:32])])
        mpls_labels(data)
        read_stamp(data)

    return run, [struct.pack("=IBBBxII", 113, 2, 11, 0, 0, 8) + b"\x02\0" + bytes(14) + bytes(8) + b"\x20" + bytes(20)]


def hop_packets() -> tuple[Run, Seeds]:
    """Read what answers to packets that died on the way, and what errors quote of them; the first byte chooses."""
    from probes.kit.hop_packets import Datagrams, Echoes, Packets, Syns  # noqa: PLC0415

    token = b"12345678"
    flows: list[Packets] = [Echoes(family, 7, token, 0, raw=raw) for family in (4, 6) for raw in (False, True)]
    flows += [Datagrams(4, token, 0), Syns(4, (40000, 443), 1, bytes(8)), Syns(6, (40000, 443), 1, bytes(32))]

    def run(data: bytes) -> None:
        flow = flows[data[0] % len(flows)] if data else flows[0]
        for read in (flow.quoted, flow.answered, flow.sent):
            read(data[1:])

    return run, [bytes([at]) + flow.packet(3) for at, flow in enumerate(flows)]


def netlink() -> tuple[Run, Seeds]:
    """Read the kernel's notices."""
    from probes.kit.netlink_message import NetlinkDecodeError, notices, route_answer  # noqa: PLC0415

    def run(data: bytes) -> None:
        with contextlib.suppress(NetlinkDecodeError):
            notices(data)
        with contextlib.suppress(NetlinkDecodeError):
            route_answer(data, 1)

    return run, [struct.pack("=IHHII", 32, 16, 0, 1, 0) + bytes(16), struct.pack("=IHHII", 36, 24, 0, 1, 0) + bytes(20)]


def ntp() -> tuple[Run, Seeds]:
    """Read what a time server answers."""
    from probes.kit.ntp_message import Reply, offset_and_delay, parse_reply  # noqa: PLC0415

    cookie = b"12345678"

    def run(data: bytes) -> None:
        for reply in (parse_reply(data, cookie), parse_reply(data[:24] + cookie + data[32:], cookie)):
            if isinstance(reply, Reply):
                offset_and_delay(reply, 1795468800.0, 0.1)

    return run, [b"\x24\x01" + bytes(22) + cookie + b"\xee" * 16, b"\x24\0" + bytes(10) + b"RATE" + bytes(32)]


def vici() -> tuple[Run, Seeds]:
    """Read what speaks on strongSwan's socket, its log, and what a client asks the gate."""
    from probes.kit.charon_log import LogReader  # noqa: PLC0415
    from probes.kit.charon_view import last_words, read_view, tunnels  # noqa: PLC0415
    from probes.kit.vici import ViciError, parse  # noqa: PLC0415
    from probes.kit.vici_gate import decide  # noqa: PLC0415

    def run(data: bytes) -> None:
        with contextlib.suppress(ViciError):
            decide(data)
        with contextlib.suppress(ViciError):
            message = parse(data).message
            view = read_view([message], [message], message)
            tunnels(view)
            list(last_words("child-rekey", message))
            LogReader().take(message, 0.0, view.peers)
        line = {"msg": data, "ikesa-name": b"(unnamed)", "ikesa-uniqueid": b"1"}
        LogReader().take(line, 0.0, {})

    section = b"\x01\x01a\x03\x01b\0\x01c\x04\x01d\x05\0\x01e\x06\x02"
    said = b"retransmit 1 of request with message ID 2"
    return run, [b"\x07\x03ike" + section, b"\x01" + section, b"\x00\x08list-sas" + section, said]


def ike() -> tuple[Run, Seeds]:
    """Read what answers on port 500."""
    from probes.ike import read_datagram  # noqa: PLC0415

    spi = b"12345678"

    def run(data: bytes) -> None:
        read_datagram(spi + data, b"", spi)

    body = struct.pack("!BBHBBH", 0, 0, 8, 0, 0, 14)
    return run, [bytes(8) + struct.pack("!BBBBII", 41, 0x20, 34, 0x20, 0, 28 + len(body)) + body]


def wireguard() -> tuple[Run, Seeds]:
    """Read what a WireGuard interface tells, as text and as the kernel's bytes."""
    from probes.kit.wireguard_device import WireguardError, read_messages, read_text  # noqa: PLC0415

    def run(data: bytes) -> None:
        with contextlib.suppress(WireguardError):
            read_text(data)
        with contextlib.suppress(WireguardError):
            read_messages([(28, data)])

    text = b"public_key=" + b"00" * 32 + b"\nendpoint=192.0.2.1:1\nrx_bytes=1\nallowed_ip=10.0.0.0/8\nerrno=0\n\n"
    peer = struct.pack("=HH32sHHQ", 36, 1, bytes(32), 12, 7, 9)
    return run, [text, bytes(4) + struct.pack("=HHHH", 8 + len(peer), 8, 4 + len(peer), 0) + peer]


def xfrm() -> tuple[Run, Seeds]:
    """Read the kernel's IPsec state."""
    from probes.kit.xfrm_message import XfrmError, read_associations, read_policies, read_statistics  # noqa: PLC0415

    def run(data: bytes) -> None:
        for read, kind in ((read_associations, 16), (read_policies, 19)):
            with contextlib.suppress(XfrmError):
                read([(kind, data)])
        read_statistics(data.decode("latin-1"))

    family = bytes(212) + b"\x02" + bytes(11)
    return run, [family + struct.pack("=HH68s", 72, 18, b"rfc4106(gcm(aes))"), bytes(232), b"XfrmInError 0\n"]


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


def directory() -> tuple[Run, Seeds]:
    """Read what a domain controller says: a root DSE, a key server's answer, an SMB negotiation, in two pieces."""
    from probes.kit.ad_answer import of_kerberos, of_ldap, of_smb  # noqa: PLC0415
    from probes.kit.ber import SEQUENCE, encode, encode_integer  # noqa: PLC0415
    from probes.kit.kerberos_message import SignOnQuestion  # noqa: PLC0415
    from probes.kit.ldap_message import RootQuestion  # noqa: PLC0415
    from probes.kit.smb_message import NegotiateQuestion  # noqa: PLC0415

    def run(data: bytes) -> None:
        root, realm, files = RootQuestion(), SignOnQuestion("x", "corp.lab"), NegotiateQuestion()
        half = len(data) // 2
        for question in (root, realm, files):
            for piece in (data[:half], data[half:], b""):
                if question.feed(piece) is not None:
                    break
        if root.found is not None:
            of_ldap(root.found, "corp.lab")
        if realm.found is not None:
            of_kerberos(realm.found)
        if files.found is not None:
            of_smb(files.found)

    texts = [
        encode(4, text) for text in (b"defaultNamingContext", b"DC=corp,DC=lab", b"currentTime", b"20261123234633.0Z")
    ]
    rows = [encode(SEQUENCE, texts[n], encode(0x31, texts[n + 1])) for n in (0, 2)]
    entry = encode(SEQUENCE, encode_integer(1), encode(0x64, encode(4), encode(SEQUENCE, *rows)))
    end = encode(SEQUENCE, encode_integer(1), encode(0x65, encode_integer(0, 0x0A), encode(4), encode(4)))
    fields = {0: encode_integer(5), 1: encode_integer(30), 4: encode(0x18, b"20261123234633Z"), 5: encode_integer(7)}
    fields |= {6: encode_integer(25), 9: encode(0x1B, b"CORP.LAB")}
    error = encode(0x7E, encode(SEQUENCE, *(encode(0xA0 | number, field) for number, field in fields.items())))
    header = b"\xfeSMB\x40\x00" + bytes(10) + b"\x01" + bytes(47) + b"\x41\x00\x03\x00\x11\x03" + bytes(60)
    return run, [entry + end, len(error).to_bytes(4) + error, len(header).to_bytes(4) + header]


def sync_server() -> tuple[Run, Seeds]:
    """Read what an Entra Connect server tells of itself, and judge it."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415

    from probes.kit.adsync_state import WANTED, Agreed, Server, gather, judge  # noqa: PLC0415
    from probes.kit.exposition import Sieve, Sifted, read  # noqa: PLC0415

    agreed = Agreed(
        warn=1.0,
        critical=2.0,
        password_warn=1.0,
        password_critical=2.0,
        collector_within=1e12,
        minimum_version=(2, 5),
        certificate_days=30,
    )

    def run(data: bytes) -> None:
        sieve = Sieve(WANTED)
        sieve.feed(b"up 1\n" + data + b"\n")
        found = sieve.finish()
        readings = read(found, text_string_to_metric_families) if isinstance(found, Sifted) else ()
        server = gather(readings) if isinstance(readings, tuple) else None
        if isinstance(server, Server):
            judge(server, agreed, 1e9)

    named = b'connector="a",type="ad",profile="Export"'
    page = b'adsync_collector_timestamp_seconds 9e8\nadsync_version_info{version="2.5.79.0"} 1\n'
    run_line = b'adsync_last_run_end_timestamp_seconds{%s,result="stopped-x"} 1\n' % named
    return run, [page + run_line, page + b'adsync_event_timestamp_seconds{id="1012"} 9e8\nadsync_staging_mode 1\n']


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


def microsoft() -> tuple[Run, Seeds]:
    """Read replies of the login, of Graph and of a metadata service; the first byte chooses the status."""
    from probes import entra_cloud_sync, entra_service_health, entra_sync  # noqa: PLC0415
    from probes.kit.entra_objects import Page, judge_objects, read_page  # noqa: PLC0415
    from probes.kit.https_exchange import Reply  # noqa: PLC0415
    from probes.kit.microsoft import granted, read_graph_error, read_identity_token, read_token  # noqa: PLC0415
    from probes.kit.microsoft_client import read_secret_end  # noqa: PLC0415
    from probes.kit.secret import Secret  # noqa: PLC0415

    statuses = (200, 400, 401, 403, 429, 503)
    common: dict[str, Any] = {"tenant": "corp.lab", "client_id": "x", "secret_file": "/none"}
    syncs = [entra_sync.Settings(**common, watch=watch) for watch in ("sync", "password")]
    jobs = entra_cloud_sync.Settings(**common, service_principal="x", jobs=("provisioning", "passwords"))
    health = entra_service_health.Settings(**common)

    def run(data: bytes) -> None:
        status = statuses[data[0] % len(statuses)] if data else 200
        headers = {"retry-after": data[1:9].decode("latin-1")}
        reply = Reply(status=status, headers=headers, body=data[9:])
        for read in (read_token, read_graph_error, read_identity_token):
            read(reply)
        for settings in syncs:
            entra_sync.judge(reply, settings, 1.8e9)
        entra_cloud_sync.judge(reply, jobs, 1.8e9)
        found = entra_service_health.read_overview(reply, health)
        if isinstance(found, entra_service_health.Health):
            entra_service_health.judge(found, reply)
        page = read_page(reply, health.target, names=True)
        if isinstance(page, Page):
            judge_objects([("users", page)], 1, 2)
        read_secret_end(reply, Secret("x"))
        granted(Secret(f"a.{data[9:].decode('latin-1')}.b"))

    bodies = (
        b'{"access_token":"x","expires_in":3599,"token_type":"Bearer"}',
        b'{"value":[{"onPremisesSyncEnabled":true,"onPremisesLastSyncDateTime":"2026-11-23T13:41:07Z"}]}',
        b'{"value":[{"id":"AD2AADProvisioning.x","status":{"code":"Active","lastExecution":{"state":"Failed"}}}]}',
        b'{"value":[{"id":"OrgLiveID","service":"x","status":"investigating","origin":"customer"}]}',
        (
            b'{"@odata.count":2,"@odata.nextLink":"https://graph.microsoft.com/x?y","value":[{"userPrincipalName":"a@b",'
            b'"onPremisesProvisioningErrors":[{"propertyCausingError":"x","occurredDateTime":"2026-11-23T13:41:07Z"}]}]}'
        ),
        b'{"passwordCredentials":[{"hint":"x","endDateTime":"2027-01-01T00:00:00Z"}]}',
        b"eyJyb2xlcyI6WyJVc2VyLlJlYWQuQWxsIl19",
    )
    error = b'{"error":{"code":"x","message":"y","innerError":{"request-id":"z"}}}'
    return run, [
        *(b"\0       5" + body for body in bodies),
        b"\x04       5" + error,
        b'\x01       5{"error":"invalid_client","error_codes":[7]}',
    ]


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


def changes() -> tuple[Run, Seeds]:
    """Read what a peer tells of its changes."""
    from agent.drift.others import read_changes  # noqa: PLC0415

    seed = (
        b'[{"event":"changed","at":5.5,"not_before":null,"vantage":"onprem","probe":"t","segments":["vpn"],'
        b'"moves":{"mode":{"before":"a","after":"b"}},"text":"x"}]'
    )
    return lambda data: read_changes(data, "onprem", 9.0), [seed]


def dispute() -> tuple[Run, Seeds]:
    """Read what people hand in for the ledger, their signatures and evidence, and an Alertmanager's silences."""
    from agent.alerts.silences import silenced  # noqa: PLC0415
    from agent.ledger.correction import Refused, read_proposal  # noqa: PLC0415
    from agent.ledger.evidence import packed, unpacked  # noqa: PLC0415
    from agent.ledger.sshsig import BEGIN, END, SignatureError, parse, read_key, verify  # noqa: PLC0415
    from agent.ledger.submission import read_submission  # noqa: PLC0415

    def run(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        with contextlib.suppress(SignatureError):
            parse(text)
        with contextlib.suppress(SignatureError):
            read_key(text)
        armored = f"{BEGIN}\n{base64.b64encode(b'SSHSIG' + data).decode()}\n{END}"
        with contextlib.suppress(SignatureError):
            verify(armored, b"", parse(armored).key)
        for reader in (read_proposal, read_submission):
            with contextlib.suppress(Refused):
                reader(data)
        with contextlib.suppress(ValueError):
            unpacked(data)
        with contextlib.suppress(ValueError):
            silenced(data, data)

    blob = b"\0\0\0\1\0\0\0\x0f\0\0\0\x0bssh-ed25519\0\0\0\x06demarc\0\0\0\0\0\0\0\x06sha512\0\0\0\x00"
    return run, [blob, packed([("a", b"{}")], ("a",)).data, b'[{"labels":{},"startsAt":"2026-11-23T14:00:00Z"}]']


TARGETS: Final[Mapping[str, Callable[[], tuple[Run, Seeds]]]] = MappingProxyType(
    {
        make.__name__: make
        for make in (
            certificate,
            changes,
            directory,
            dispute,
            dns,
            echo,
            exposition,
            greetings,
            icmp_error,
            hop_packets,
            ike,
            kernel_entries,
            microsoft,
            netlink,
            ntp,
            resolver_files,
            response,
            scrape,
            settings,
            starttls,
            sync_server,
            vici,
            wireguard,
            xfrm,
        )
    }
)
