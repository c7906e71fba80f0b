"""Certificate dates and OpenSSL's errors."""

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.tls import CaError, Contexts, not_after, tls_trouble

KEY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kit")])


def certificate(until: datetime) -> bytes:
    """Return a certificate (DER) that ends at `until`."""
    return (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(KEY.public_key())
        .serial_number(2**150 + 1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(until)
        .sign(KEY, SHA256())
        .public_bytes(Encoding.DER)
    )


ONE = certificate(datetime(2027, 1, 15, 12, 30, 5, tzinfo=UTC))


@pytest.mark.parametrize("year", [2027, 2030, 2049, 2050, 2100])
def test_reads_the_end_of_validity(year: int) -> None:
    """Both of RFC 5280's ways to write a time are read."""
    until = datetime(year, 1, 15, 12, 30, 5, tzinfo=UTC)

    assert until.timestamp() == not_after(certificate(until))


def element(kind: int, content: bytes) -> bytes:
    """Return a short DER element."""
    return bytes([kind, len(content)]) + content


@pytest.mark.parametrize(
    ("kind", "text", "seconds"),
    [
        (0x17, b"270115123005Z", 1800016205.0),
        (0x17, b"500101000000Z", -631152000.0),
        (0x18, b"20270115123005Z", 1800016205.0),
        (0x18, b"20270115123005.5Z", None),
        (0x18, b"2027011512300xZ", None),
        (0x18, b"20271315123005Z", None),
        (0x17, b"2701151230Z", None),
        (0x04, b"20270115123005Z", None),
    ],
)
def test_times_are_read_as_the_profile_writes_them(kind: int, text: bytes, seconds: float | None) -> None:
    """RFC 5280 section 4.1.2.5: two-digit years from 50 on are of the last century; nothing but whole seconds in Z."""
    validity = element(0x30, element(0x17, b"200101000000Z") + element(kind, text))
    body = element(0x02, b"\1") + element(0x30, b"") + element(0x30, b"") + validity
    certificate = element(0x30, element(0x30, body))

    assert not_after(certificate) == seconds


@given(st.binary(max_size=64))
def test_any_bytes_have_an_end_or_none(data: bytes) -> None:
    """What is no certificate has no date."""
    assert not_after(data) is None


@given(st.integers(0, len(ONE) - 1), st.integers(0, 255))
def test_a_changed_certificate_has_an_end_or_none(place: int, value: int) -> None:
    """Nearly right certificates are as safe as random bytes."""
    changed = bytearray(ONE)
    changed[place] = value

    assert isinstance(not_after(bytes(changed)), float | None)


@pytest.mark.parametrize("length", range(0, len(ONE) // 2, 7))
def test_a_cut_certificate_has_an_end_or_none(length: int) -> None:
    """A cut certificate does not fail otherwise."""
    assert isinstance(not_after(ONE[:length]), float | None)


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
