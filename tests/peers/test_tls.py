"""TLS handshakes with real servers: chains, versions, ciphers, words before TLS, servers that are wrong."""

import asyncio
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from probes import tls
from probes.kit.certificate import read_certificate
from probes.kit.result import Outcome, Result, Stage
from tests.peers.probing import CLOCK, Authority, Handler, Kit, Names, ask, serve
from tests.probes.certificates import certificate, name

pytestmark = pytest.mark.peer
DAY = 86400.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return a certificate authority."""
    return Authority(tmp_path_factory.mktemp("authority"))


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve nothing but the connection."""
    await reader.read()


def shake(
    authority: Authority,
    context: ssl.SSLContext | None,
    handler: Handler = hold,
    *,
    within: float = 1.0,
    **settings: Any,
) -> Result:
    """Probe a server that calls itself `erp.test`."""

    async def scenario() -> Result:
        async with serve(handler, context) as port:
            given = {"ca_file": str(authority.ca_file), "warn_days": 0, **settings}
            made = tls.Settings(target=f"erp.test:{port}", **given)
            return await ask(tls, made, within=within, kit=Kit(Names({"erp.test": "127.0.0.1"})))

    return asyncio.run(scenario())


def test_a_good_server_is_described(authority: Authority) -> None:
    """Version, cipher and both chains; leaf and earliest expiry apart."""
    result = shake(authority, authority.server("erp.test", days=10))

    assert result.outcome is Outcome.OK, result
    assert list(result.phases) == ["resolve", "connect", "secure"]
    assert result.detail.startswith("TLSv1.3 TLS_")
    assert "CN=erp.test by CN=peer tests until" in result.detail
    assert result.values["tls_version"] == 1.3
    assert result.values["tls_leaf_expiry_timestamp_seconds"] == pytest.approx(time.time() + 10 * DAY, abs=600)
    assert result.values["tls_verified_expiry_timestamp_seconds"] == pytest.approx(time.time() + 10 * DAY, abs=600)
    assert [(row["chain"], row["subject"]) for row in result.rows] == [
        ("presented", "CN=erp.test"),
        ("verified", "CN=erp.test"),
        ("verified", "CN=peer tests"),
    ]


FINDINGS: dict[str, tuple[dict[str, Any], dict[str, Any], Outcome, str | None]] = {
    "expires soon": ({"days": 10}, {"warn_days": 14}, Outcome.DEGRADED, "certificate-expiring"),
    "the authority expires soon": ({"days": 60}, {"warn_days": 40}, Outcome.DEGRADED, "certificate-expiring"),
    "expired": ({"days": -1}, {}, Outcome.FAILED, "certificate-expired"),
    "other name": ({}, {"server_name": "hr.test"}, Outcome.FAILED, "certificate-hostname"),
    "untrusted": ({}, {"ca_file": ""}, Outcome.FAILED, "certificate-untrusted"),
    "not checked": ({"days": -1}, {"verify": False}, Outcome.OK, None),
    "another key than pinned": ({}, {"pin": ("00" * 32,)}, Outcome.FAILED, "pin-mismatch"),
    "large": ({"filler": 400}, {}, Outcome.OK, None),
    "larger than anybody's": ({"filler": 4000}, {}, Outcome.FAILED, "tls-protocol"),
}


@pytest.mark.parametrize("case", FINDINGS)
def test_certificates(authority: Authority, case: str) -> None:
    """What is wrong is the server's own word; a certificate that was refused is described all the same."""
    more, settings, outcome, fault = FINDINGS[case]

    result = shake(authority, authority.server("erp.test", **more), **settings)

    assert (result.outcome, result.fault) == (outcome, fault), result
    if outcome is Outcome.FAILED:
        assert (result.stage, result.answered) == (Stage.SECURE, True)
        assert ("secure" in result.phases) == (fault == "pin-mismatch")
    if case != "larger than anybody's":
        assert result.values["tls_leaf_expiry_timestamp_seconds"] > 0


def test_the_authoritys_key_can_be_pinned(authority: Authority) -> None:
    """A pin above the server's certificate outlives its renewal."""
    pem = x509.load_pem_x509_certificate(authority.ca_file.read_bytes())
    pin = read_certificate(pem.public_bytes(Encoding.DER)).pin

    assert shake(authority, authority.server("erp.test"), pin=(pin,)).outcome is Outcome.OK


VERSIONS: dict[str, tuple[ssl.TLSVersion, str, dict[str, Any], str | None]] = {
    "1.2": (ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM", {}, None),
    "1.2 is too old": (ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM", {"minimum_version": "1.3"}, "version-too-old"),
    "CBC": (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-SHA384", {}, "tls-weak"),
    "CBC is accepted": (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-SHA384", {"weak": "ok"}, None),
}


@pytest.mark.parametrize("case", VERSIONS)
def test_versions_and_ciphers(authority: Authority, case: str) -> None:
    """What the server chose is judged."""
    version, ciphers, settings, fault = VERSIONS[case]
    context = authority.server("erp.test")
    context.maximum_version = version
    context.set_ciphers(ciphers)

    result = shake(authority, context, **settings)

    assert result.fault == fault, result
    assert result.values["tls_version"] == 1.2


def test_a_small_key_is_weak(authority: Authority, tmp_path: Path) -> None:
    """An RSA key of 1024 bits is named where policy lets it through at all."""
    key = rsa.generate_private_key(65537, 1024)
    made = certificate(
        x509.load_pem_x509_certificate(authority.ca_file.read_bytes()).not_valid_after_utc,
        subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "erp.test")]),
        issuer=name(CN="somebody"),
        key=key,
        digest=SHA256(),
    )
    pem = x509.load_der_x509_certificate(made).public_bytes(Encoding.PEM)
    (tmp_path / "all.pem").write_bytes(pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(tmp_path / "all.pem")

    result = shake(authority, context, verify=False)

    assert result.fault == "tls-weak" or result.stage is Stage.SECURE, result  # a strict OpenSSL refuses such a key


def test_another_issuer_is_noticed_until_it_settles(authority: Authority, tmp_path: Path) -> None:
    """A certificate from elsewhere, trusted or not, is a change."""
    other = Authority(tmp_path, "another authority")
    contexts = [authority.server("erp.test"), other.server("erp.test")]

    async def scenario() -> list[str | None]:
        faults = []
        async with tls.open(Kit(Names({"erp.test": "127.0.0.1"}))) as runner:
            server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            server.close()
            await server.wait_closed()
            made = tls.Settings(target=f"erp.test:{port}", verify=False, warn_days=0, settle=2)
            for context in (contexts[0], contexts[1], contexts[1], contexts[1]):
                server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", port, ssl=context)
                faults.append((await runner.attempt(made, CLOCK.boot() + 1)).fault)
                server.close()
                await server.wait_closed()
        return faults

    assert asyncio.run(scenario()) == [None, "issuer-changed", "issuer-changed", None]


def client_wanted(authority: Authority) -> ssl.SSLContext:
    """Return a server context that insists on a client certificate before its handshake is done."""
    context = authority.server("erp.test")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(str(authority.ca_file))
    return context


def test_a_client_certificate_is_shown(authority: Authority) -> None:
    """The server that insists on one gets it; a missing file is our own fault."""
    certificate_file, key_file = authority.issue("probe.test")
    own: dict[str, Any] = {"certificate_file": str(certificate_file), "key_file": str(key_file)}

    shown = shake(authority, client_wanted(authority), **own)
    missing = shake(authority, client_wanted(authority), certificate_file="/nonexistent/own.pem")

    assert shown.outcome is Outcome.OK, shown
    assert (missing.outcome, missing.fault) == (Outcome.UNKNOWN, "certificate-unreadable")


def speaking(context: ssl.SSLContext | None, *turns: tuple[bytes, bytes]) -> Handler:
    """Return a server that says and waits for words in turns, then begins TLS."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for say, wait in turns:
            writer.write(say)
            if wait:
                await reader.readuntil(wait)
        await writer.drain()
        if context is not None:
            await writer.start_tls(context)
        await reader.read()

    return handler


WORDS = {
    "smtp": (
        (b"220 ready\r\n", b"EHLO demarc.invalid\r\n"),
        (b"250-erp\r\n250 STARTTLS\r\n", b"STARTTLS\r\n"),
        (b"220 go\r\n", b""),
    ),
    "imap": ((b"* OK ready\r\n", b"a STARTTLS\r\n"), (b"a OK go\r\n", b"")),
    "ldap": ((b"", b"1.3.6.1.4.1.1466.20037"), (bytes.fromhex("300c02010178070a010004000400"), b"")),
    "postgres": ((b"", bytes.fromhex("04d2162f")), (b"S", b"")),
}


@pytest.mark.parametrize("protocol", WORDS)
def test_words_before_tls(authority: Authority, protocol: str) -> None:
    """The handshake follows the protocol's own words, which have a phase of their own."""
    result = shake(authority, None, speaking(authority.server("erp.test"), *WORDS[protocol]), starttls=protocol)

    assert result.outcome is Outcome.OK, result
    assert list(result.phases) == ["resolve", "connect", "starttls", "secure"]


BAD: dict[str, tuple[Handler, dict[str, Any], str, bool]] = {
    "refuses": (speaking(None, (b"", b"/"), (b"N", b"")), {"starttls": "postgres"}, "starttls-refused", True),
    "greets as another": (speaking(None, (b"SSH-2.0-x\r\n", b"")), {"starttls": "imap"}, "starttls-malformed", True),
    "does not greet": (hold, {"starttls": "smtp"}, "timeout", False),
    "agrees, then is silent": (
        speaking(None, (b"", bytes.fromhex("04d2162f")), (b"S", b"")),
        {"starttls": "postgres"},
        "timeout",
        False,
    ),
    "speaks in the clear": (speaking(None, (b"220 smtp ready\r\n" * 9, b"")), {}, "tls-protocol", True),
    "is silent": (hold, {}, "timeout", False),
}


@pytest.mark.parametrize("case", BAD)
def test_servers_that_are_wrong(authority: Authority, case: str) -> None:
    """Words are the server's own, silence is not."""
    handler, settings, fault, answered = BAD[case]

    result = shake(authority, None, handler, within=0.4, **settings)

    assert (result.stage, result.fault, result.answered) == (Stage.SECURE, fault, answered), result
    assert "secure" not in result.phases
