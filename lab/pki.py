"""The lab's own certificate authority and the servers' certificates.

The chains are long on purpose (an intermediate, dozens of alternative names): the server's first flight must
fill full-size packets, or an MTU hole in the carrier would not be noticed in a handshake.
"""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

FILLER_NAMES = 60  # about 2.5 kB of alternative names: more than one 1400-byte packet
LIFETIME = timedelta(days=30)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


class Issuer:
    """A root and an intermediate that signs the servers' certificates."""

    def __init__(self) -> None:
        now = self._now = datetime.now(UTC)
        root_key = ec.generate_private_key(ec.SECP256R1())
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._root = self._authority("demarc lab root", root_key, "demarc lab root", root_key, now)
        self._intermediate = self._authority("demarc lab servers", self._key, "demarc lab root", root_key, now)

    @staticmethod
    def _authority(
        subject: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: str,
        issuer_key: ec.EllipticCurvePrivateKey,
        now: datetime,
    ) -> x509.Certificate:
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        return (
            _builder(subject, issuer, key, now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
            .sign(issuer_key, SHA256())
        )

    def write_root(self, path: Path) -> None:
        """Write the root certificate that clients trust."""
        path.write_bytes(self._root.public_bytes(Encoding.PEM))

    def write_server(self, chain_path: Path, key_path: Path, names: list[str], addresses: list[str]) -> None:
        """Write a server's chain (leaf, intermediate) and key for these DNS names and IP addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        filler = [f"alias-{number:02}.department.{names[0]}" for number in range(FILLER_NAMES)]
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in [*names, *filler]]
        alternatives += [x509.IPAddress(ip_address(address)) for address in addresses]
        leaf = (
            _builder(names[0], "demarc lab servers", key, self._now)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, SHA256())
        )
        certificates = [leaf, self._intermediate]
        chain_path.write_bytes(b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates))
        key_path.touch(mode=0o600)
        key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
