"""Certificates for tests, made by `cryptography`, which the product itself does not load for them."""

from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

KEY = ec.generate_private_key(ec.SECP256R1())
ATTRIBUTES = {"CN": NameOID.COMMON_NAME, "O": NameOID.ORGANIZATION_NAME, "ST": NameOID.STATE_OR_PROVINCE_NAME}


def name(**parts: str) -> x509.Name:
    """Return a distinguished name."""
    return x509.Name([x509.NameAttribute(ATTRIBUTES[key], value) for key, value in parts.items()])


def certificate(
    until: datetime,
    *,
    subject: x509.Name | None = None,
    issuer: x509.Name | None = None,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey = KEY,
    digest: Any = None,
) -> bytes:
    """Return a certificate (DER) that ends at `until`."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject or name(CN="kit"))
        .issuer_name(issuer or name(CN="kit"))
        .public_key(key.public_key())
        .serial_number(2**150 + 1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(until)
        .sign(KEY, digest or SHA256())
        .public_bytes(Encoding.DER)
    )


ONE = certificate(datetime(2027, 1, 15, 12, 30, 5, tzinfo=UTC))
