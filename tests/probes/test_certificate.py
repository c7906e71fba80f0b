"""What certificates say, as `cryptography` made them, and what is none."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.certificate import Certificate, read_certificate
from tests.probes.certificates import ONE, certificate, name

LATER = datetime(2030, 1, 15, 12, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize("year", [2027, 2030, 2049, 2050, 2100])
def test_reads_the_end_of_validity(year: int) -> None:
    """Both of RFC 5280's ways to write a time are read."""
    until = datetime(year, 1, 15, 12, 30, 5, tzinfo=UTC)

    found = read_certificate(certificate(until))

    assert until.timestamp() == found.not_after
    assert found.not_before == datetime(2020, 1, 1, tzinfo=UTC).timestamp()


def test_reads_who_issued_whom() -> None:
    """The attributes that people know are shown, the common name first, nothing that disturbs a line."""
    der = certificate(LATER, subject=name(ST="x", O="Gemeente é", CN="erp\n.test"), issuer=name(O="Keten", CN="CA 1"))

    found = read_certificate(der)

    assert found.subject == "CN=erp?.test, O=Gemeente é"
    assert found.issuer == "CN=CA 1, O=Keten"
    assert not found.self_issued
    assert read_certificate(ONE).self_issued


def test_the_pin_is_that_of_the_public_key() -> None:
    """RFC 7469's pin: SHA-256 over the subject public key info, as every tool computes it."""
    key = x509.load_der_x509_certificate(ONE).public_key()
    expected = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()

    assert read_certificate(ONE).pin == expected


KEYS: dict[str, tuple[Any, str, int, str]] = {
    "ec 256": (ec.generate_private_key(ec.SECP256R1()), "ec", 256, ""),
    "ec 384": (ec.generate_private_key(ec.SECP384R1()), "ec", 384, ""),
    "ec 521": (ec.generate_private_key(ec.SECP521R1()), "ec", 521, ""),
    "unknown curve": (ec.generate_private_key(ec.BrainpoolP256R1()), "ec", 0, ""),
    "ed25519": (ed25519.Ed25519PrivateKey.generate(), "", 0, ""),
    "rsa 2048": (rsa.generate_private_key(65537, 2048), "rsa", 2048, ""),
    "rsa 1024": (rsa.generate_private_key(65537, 1024), "rsa", 1024, "1024 bit RSA key of CN=kit"),
}


@pytest.mark.parametrize("case", KEYS)
def test_keys_have_a_kind_and_a_size(case: str) -> None:
    """What is known to be too small is named as weak; what is not known is not."""
    key, kind, bits, weakness = KEYS[case]

    found = read_certificate(certificate(LATER, key=key))

    assert (found.key, found.key_bits, found.weakness) == (kind, bits, weakness)


def old_signature(der: bytes) -> bytes:
    """Return the certificate as if it was signed with ecdsa-with-SHA1: the same length, other algorithm."""
    new, old = bytes.fromhex("300a06082a8648ce3d040302"), bytes.fromhex("300906072a8648ce3d0401")
    inner = der[4 : der.rindex(new)]
    changed = inner.replace(new, old)
    body = changed[4:]
    tbs = b"\x30\x82" + len(body).to_bytes(2) + body
    whole = tbs + der[der.rindex(new) :]
    return b"\x30\x82" + len(whole).to_bytes(2) + whole


def test_an_old_signature_is_weak_except_of_an_anchor() -> None:
    """SHA-1 under an issued certificate is named; nobody checks the signature of a root."""
    issued = certificate(LATER, subject=name(O="a" * 60, CN="erp.test"), issuer=name(CN="CA", O="b" * 60))
    anchor = certificate(LATER, subject=name(CN="CA", O="a" * 60), issuer=name(CN="CA", O="a" * 60))

    assert read_certificate(old_signature(issued)).weakness.startswith("SHA-1 signature of CN=erp.test")
    assert read_certificate(old_signature(anchor)).old_digest == "SHA-1"
    assert read_certificate(old_signature(anchor)).weakness == ""


def element(kind: int, content: bytes) -> bytes:
    """Return a short DER element."""
    return bytes([kind, len(content)]) + content


NAME = element(0x30, b"")
ALGORITHM = element(0x30, element(0x06, b"\1"))
PUBLIC_KEY = element(0x30, ALGORITHM + element(0x03, b"\0"))
START = element(0x17, b"200101000000Z")


def built(validity: bytes, key: bytes = PUBLIC_KEY, subject: bytes = NAME, signature: bytes = ALGORITHM) -> bytes:
    """Return a small certificate without version, signed by nobody."""
    body = element(0x02, b"\1") + signature + NAME + element(0x30, validity) + subject + key
    return element(0x30, element(0x30, body))


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
    der = built(START + element(kind, text))

    if seconds is None:
        with pytest.raises(ValueError, match=r"time|month|ascii"):
            read_certificate(der)
    else:
        assert read_certificate(der).not_after == seconds


VALID = START + START
RSA = bytes.fromhex("06092a864886f70d010101")
BROKEN = {
    "nothing": b"",
    "no sequence": element(0x31, b""),
    "bytes behind it": built(VALID) + b"\0",
    "too few fields": element(0x30, element(0x30, element(0x02, b"\1"))),
    "three times": built(VALID + START),
    "a name that is none": built(VALID, subject=element(0x31, b"")),
    "a name of three parts": built(
        VALID, subject=element(0x30, element(0x31, element(0x30, element(0x06, b"\1") * 3)))
    ),
    "a key without a kind": built(VALID, key=element(0x30, element(0x30, b"") + element(0x03, b"\0"))),
    "an RSA key that is none": built(VALID, key=element(0x30, element(0x30, RSA) + element(0x03, b"\0\5\0"))),
    "no signature algorithm": built(VALID, signature=element(0x30, b"")),
    "an endless length": b"\x30\x80" + b"\0" * 20,
    "a length with a zero": b"\x30\x82\x00\x80" + b"\0" * 128,
    "a length too long written": b"\x30\x81\x01\0",
    "a cut length": b"\x30\x82\x01",
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_certificate(case: str) -> None:
    """Each way of being wrong is a ValueError."""
    with pytest.raises(ValueError, match=r"not a certificate|not DER"):
        read_certificate(BROKEN[case])


def test_an_ec_key_without_a_curve_has_no_size() -> None:
    """A key is not believed to be weak because we do not know it."""
    ec_key = element(0x30, element(0x30, bytes.fromhex("06072a8648ce3d0201")) + element(0x03, b"\0"))

    assert read_certificate(built(VALID, key=ec_key)).key_bits == 0


@given(st.binary(max_size=64))
def test_any_bytes_are_a_certificate_or_a_value_error(data: bytes) -> None:
    """What is no certificate is not read as one."""
    with pytest.raises(ValueError, match="not"):
        read_certificate(data)


@given(st.integers(0, len(ONE) - 1), st.integers(0, 255), st.integers(0, len(ONE)))
def test_a_changed_certificate_is_read_or_a_value_error(place: int, value: int, length: int) -> None:
    """Nearly right certificates are as safe as random bytes."""
    changed = bytearray(ONE)
    changed[place] = value
    for der in (bytes(changed), bytes(changed[:length])):
        try:
            assert isinstance(read_certificate(der), Certificate)
        except ValueError:
            continue
