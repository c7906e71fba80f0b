"""Contexts and OpenSSL's errors; what a handshake shows, judged."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from probes import tls
from probes.kit.certificate import Certificate, read_certificate
from probes.kit.tls import CaError, Contexts, FileError, Trust, tls_trouble
from tests.probes.certificates import KEY, ONE


def verification(code: int) -> ssl.SSLCertVerificationError:
    """Return OpenSSL's verification error with `code`."""
    error = ssl.SSLCertVerificationError(1, "text")
    error.verify_code = code
    error.verify_message = "why"
    return error


def failure(reason: str | None) -> ssl.SSLError:
    """Return an OpenSSL error with `reason`."""
    error = ssl.SSLError(1, "text")
    setattr(error, "reason", reason)  # noqa: B010 - OpenSSL leaves it empty at times, typeshed does not know
    return error


@pytest.mark.parametrize(
    ("error", "fault", "answered"),
    [
        (verification(10), "certificate-expired", True),
        (verification(9), "certificate-not-yet-valid", True),
        (verification(62), "certificate-hostname", True),
        (verification(64), "certificate-hostname", True),
        (verification(19), "certificate-untrusted", True),
        (ssl.SSLEOFError(8, "eof"), "closed", False),
        (ssl.SSLZeroReturnError(6, "zero"), "closed", False),
        (failure("SSLV3_ALERT_HANDSHAKE_FAILURE"), "tls-alert", True),
        (failure("WRONG_VERSION_NUMBER"), "tls-protocol", True),
        (failure(None), "tls-protocol", True),
    ],
)
def test_openssl_errors_have_names(error: ssl.SSLError, fault: str, answered: bool) -> None:
    """Everything but a bare end rests on bytes that the peer sent."""
    found = tls_trouble(error)

    assert (fault, answered) == (found.fault, found.answered)


def test_contexts_are_shared_until_the_file_changes(tmp_path: Path) -> None:
    """One context per CA file, its version and the kind of check."""
    first = x509.load_der_x509_certificate(ONE).public_bytes(Encoding.PEM)
    file = tmp_path / "ca.pem"
    file.write_bytes(first)

    async def scenario() -> None:
        contexts = Contexts()
        one = await contexts.get(str(file), verify=True)
        again = await contexts.get(str(file), verify=True)
        blind = await contexts.get(str(file), verify=False)
        system = await contexts.get("", verify=True)
        file.write_bytes(first + first)
        changed = await contexts.get(str(file), verify=True)
        assert isinstance(one, ssl.SSLContext)
        assert isinstance(blind, ssl.SSLContext)
        assert isinstance(system, ssl.SSLContext)
        assert one is again
        assert len({id(one), id(blind), id(system), id(changed)}) == 4
        assert (one.verify_mode, one.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert (blind.verify_mode, blind.check_hostname) == (ssl.CERT_NONE, False)

    asyncio.run(scenario())


def test_many_at_once_load_one_context(tmp_path: Path) -> None:
    """Probes that start together share the first one's context; a cancelled first one holds nobody up."""
    file = tmp_path / "ca.pem"
    file.write_bytes(x509.load_der_x509_certificate(ONE).public_bytes(Encoding.PEM))

    async def scenario() -> None:
        contexts = Contexts()
        tasks = [asyncio.create_task(contexts.get(str(file), verify=True)) for _ in range(20)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert len({id(one) for one in found[1:]}) == 1
        assert isinstance(found[1], ssl.SSLContext)
        assert contexts._locks == {}

    asyncio.run(scenario())


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_an_unusable_ca_file_says_so(tmp_path: Path, content: bytes | None) -> None:
    """A missing, empty or wrong CA file is a value that names it."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)

    found = asyncio.run(Contexts().get(str(file), verify=True))

    assert isinstance(found, CaError)
    assert "ca.pem" in found.detail


def test_kept_contexts_are_bounded(tmp_path: Path) -> None:
    """Many CA files do not fill the memory; all of them still work."""
    pem = x509.load_der_x509_certificate(ONE).public_bytes(Encoding.PEM)

    async def scenario() -> None:
        contexts = Contexts()
        for number in range(70):
            file = tmp_path / f"{number}.pem"
            file.write_bytes(pem)
            assert isinstance(await contexts.get(str(file), verify=True), ssl.SSLContext)
        assert len(contexts._kept) <= 64

    asyncio.run(scenario())


def test_own_certificates_are_read_from_files_and_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chain and key may be apart; a key with a passphrase or a missing one says so, without asking the terminal."""
    pem = x509.load_der_x509_certificate(ONE).public_bytes(Encoding.PEM)
    locked = BestAvailableEncryption(b"secret")
    (tmp_path / "own.crt").write_bytes(pem)
    (tmp_path / "own.key").write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "locked.key").write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    async def load(**files: Any) -> ssl.SSLContext | FileError:
        contexts = Contexts()
        trust = Trust(verify=False, **files)
        found = await contexts.load(trust)
        assert contexts.kept(trust) is (found if isinstance(found, ssl.SSLContext) else None)
        return found

    crt, key = str(tmp_path / "own.crt"), str(tmp_path / "own.key")
    assert isinstance(asyncio.run(load(certificate_file=crt, key_file=key)), ssl.SSLContext)
    credential = asyncio.run(load(certificate_file=crt, key_file="credential:own.key"))
    assert isinstance(credential, ssl.SSLContext)
    for wrong in (
        {"certificate_file": crt},
        {"certificate_file": crt, "key_file": str(tmp_path / "locked.key")},
        {"certificate_file": crt, "key_file": str(tmp_path / "none.key")},
        {"certificate_file": crt, "key_file": "credential:none"},
    ):
        found = asyncio.run(load(**wrong))
        assert isinstance(found, FileError)
        assert found.fault == "certificate-unreadable"
        assert "secret" not in found.detail


NOW = datetime(2027, 1, 1, tzinfo=UTC)


def a_certificate(days: float = 90, **more: Any) -> Certificate:
    """Return a certificate that has `days` left."""
    given = {
        "subject": "CN=erp.test",
        "issuer": "CN=CA",
        "self_issued": False,
        "not_before": 0.0,
        "not_after": (NOW + timedelta(days=days)).timestamp(),
        "key": "ec",
        "key_bits": 256,
        "pin": "ab" * 32,
        "digest": "cd" * 32,
        "old_digest": "",
        **more,
    }
    return Certificate(**given)


def shown(*presented: Certificate | None, version: str = "TLSv1.3", cipher: str = "", **more: Any) -> tls.Seen:
    """Return what a handshake showed."""
    names = {"TLSv1.3": "TLS_AES_256_GCM_SHA384", "TLSv1.2": "ECDHE-RSA-AES256-GCM-SHA384"}
    return tls.Seen(
        version=version, cipher=cipher or names[version], presented=presented, verified=more.get("verified", presented)
    )


SETTINGS = tls.Settings(target="erp.test")
CONCERNS: dict[str, tuple[tls.Seen, tls.Settings, str | None]] = {
    "nothing": (shown(a_certificate()), SETTINGS, None),
    "expires soon": (shown(a_certificate(13)), SETTINGS, "certificate-expiring"),
    "its issuer expires sooner": (shown(a_certificate(), a_certificate(5)), SETTINGS, "certificate-expiring"),
    "only what was sent needlessly expires": (
        shown(a_certificate(), a_certificate(5), verified=(a_certificate(),)),
        SETTINGS,
        None,
    ),
    "no warning wanted": (shown(a_certificate(1)), tls.Settings(target="erp.test", warn_days=0), None),
    "small key": (shown(a_certificate(key="rsa", key_bits=1024)), SETTINGS, "tls-weak"),
    "old signature": (shown(a_certificate(old_digest="SHA-1")), SETTINGS, "tls-weak"),
    "weak and known": (shown(a_certificate(old_digest="MD5")), tls.Settings(target="erp.test", weak="ok"), None),
    "TLS 1.2": (shown(a_certificate(), version="TLSv1.2"), SETTINGS, None),
    "no forward secrecy": (shown(a_certificate(), version="TLSv1.2", cipher="AES256-GCM-SHA384"), SETTINGS, "tls-weak"),
    "CBC": (shown(a_certificate(), version="TLSv1.2", cipher="ECDHE-RSA-AES256-SHA384"), SETTINGS, "tls-weak"),
    "nothing readable": (shown(None), SETTINGS, None),
}


@pytest.mark.parametrize("case", CONCERNS)
def test_what_should_not_stay_so(case: str) -> None:
    """Expiry and weakness are judged on the chain that counts."""
    seen, settings, fault = CONCERNS[case]

    assert tls.concern(seen, NOW.timestamp(), settings)[0] == fault


def test_what_must_not_be() -> None:
    """A pin may be of any certificate in the chain; the version must be new enough."""
    seen = shown(a_certificate(pin="aa"), a_certificate(pin="bb"), version="TLSv1.2")
    refused = {
        name: tls.refusal(seen, frozenset(pins), version)
        for name, pins, version in (
            ("no pin", (), "1.2"),
            ("of the issuer", ("bb", "cc"), "1.2"),
            ("of nobody", ("cc",), "1.2"),
            ("too old", ("aa",), "1.3"),
        )
    }

    assert {name: trouble and trouble.fault for name, trouble in refused.items()} == {
        "no pin": None,
        "of the issuer": None,
        "of nobody": "pin-mismatch",
        "too old": "version-too-old",
    }


def test_metrics_are_those_that_were_reached() -> None:
    """Leaf and earliest expiry stand apart; nothing is zero for want of an answer."""
    leaf, issuer = a_certificate(60), a_certificate(30)

    assert tls.measured(tls.Seen(version="", cipher="", presented=(), verified=())) == {}
    assert tls.measured(tls.Seen(version="", cipher="", presented=(None,), verified=())) == {
        "tls_presented_certificates": 1.0
    }
    assert tls.measured(shown(leaf, issuer)) == {
        "tls_version": 1.3,
        "tls_leaf_expiry_timestamp_seconds": leaf.not_after,
        "tls_presented_expiry_timestamp_seconds": issuer.not_after,
        "tls_verified_expiry_timestamp_seconds": issuer.not_after,
        "tls_presented_certificates": 2.0,
        "tls_weaknesses": 0.0,
    }


@given(st.lists(st.sampled_from("ABC"), max_size=30), st.integers(1, 4))
def test_another_issuer_is_told_until_it_has_settled(seen: list[str], settle: int) -> None:
    """It is told at every attempt until it came `settle` times in a row; then it is the good one."""
    memory, good, row = None, seen[0] if seen else "", 0
    for before, issuer in zip(["", *seen], seen, strict=False):
        memory, changed = tls.remember(memory, issuer, settle)
        row = 0 if issuer == good else row + 1 if issuer == before else 1
        if row > settle:
            good, row = issuer, 0
        assert changed == (issuer != good)
        assert memory.good == good


PIN = "ab" * 32


@pytest.mark.parametrize(
    "text",
    [
        PIN,
        PIN.upper(),
        ":".join(["AB"] * 32),
        "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=",
        "sha256/q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=",
    ],
)
def test_pins_are_written_in_many_ways(text: str) -> None:
    """Hex with or without colons, base64 with or without its scheme."""
    assert tls.parse_pin(text) == PIN


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"target": "erp.test:0"}, "port"),
        ({"target": "erp.test", "server_name": "a b"}, "server_name"),
        ({"target": "erp.test", "pin": ("abc",)}, "pin"),
        ({"target": "erp.test", "pin": ("é",)}, "pin"),
        ({"target": "erp.test", "key_file": "x"}, "certificate_file"),
        ({"target": "erp.test", "warn_days": -1}, "warn_days"),
        ({"target": "erp.test", "settle": -1}, "settle"),
    ],
)
def test_wrong_settings_say_why(settings: dict[str, Any], words: str) -> None:
    """What cannot work is refused when the file is read."""
    with pytest.raises(ValueError, match=words):
        tls.flow(tls.Settings(**settings))


def test_the_flow_knows_the_protocols_port() -> None:
    """Without a port it is the one that the protocol listens on."""
    assert tls.flow(SETTINGS).port == 443
    assert tls.flow(tls.Settings(target="erp.test", starttls="smtp")).port == 25
    assert tls.flow(tls.Settings(target="[2001:db8::1]:8443")).family == 6


def test_a_readable_certificate_is_its_own_reading() -> None:
    """What cannot be read is told as such, not left out."""
    assert tls._readable(ONE) == read_certificate(ONE)
    assert tls._readable(b"none") is None
