"""What shows Microsoft's login who we are: a secret, a signed assertion, or another issuer's token.

Source: learn.microsoft.com, "Microsoft identity platform application authentication certificate credentials" (RFC 7523
section 2.2, RFC 7515). What must stay true: what a file holds is in a `Secret` and in no error; files are read anew at
each attempt, so that a rotated credential counts at once; the key is parsed only when an assertion is signed.
"""

import base64
import hashlib
import ssl
import uuid
from pathlib import Path
from typing import Final

import msgspec

from probes.kit.certificate import read_certificate
from probes.kit.microsoft import Blind
from probes.kit.microsoft_access import Access
from probes.kit.secret import Secret, read_secret

# Microsoft: "keep it short - 5-10 minutes after nbf at most".
ASSERTION_SECONDS: Final = 300
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523 section 2.2
# Where the Azure Connected Machine agent writes them on Linux, readable by root and the group himds.
ARC_KEYS: Final = Path("/var/opt/azcmagent/tokens")
_HOST_IDENTITY: Final = Secret("this host's own identity")


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """A credential as its files hold it now; `not_after` (UTC epoch seconds) only where the credential says so.

    `kind` is secret, certificate, token or identity; `text` the secret, the private key's PEM, or the token.
    """

    kind: str
    text: Secret
    certificate: bytes = b""
    not_after: float | None = None


def read_proof(access: Access) -> Proof | Blind:
    """Read the files that `access` names, or say which cannot be used."""
    if access.managed_identity:
        return Proof(kind="identity", text=_HOST_IDENTITY)
    path = access.secret_file or access.token_file or access.certificate_file
    try:
        text = read_secret(path)
        if not access.certificate_file:
            return Proof(kind="secret" if access.secret_file else "token", text=text)
        der = ssl.PEM_cert_to_DER_cert(_certificate_pem(text.reveal()))
        not_after = read_certificate(der).not_after
        path = access.key_file or path
        return Proof(kind="certificate", text=read_secret(path), certificate=der, not_after=not_after)
    except OSError as error:
        return Blind(fault="credential-unreadable", detail=f"{path}: {error.strerror or error}")
    except ValueError:
        return Blind(fault="credential-unreadable", detail=f"{path}: empty, too long, or not what it should hold")


def read_arc_key(name: str, folder: Path = ARC_KEYS) -> Secret | Blind:
    """Return the key by which Azure Arc's metadata service knows that we may have the server's token."""
    path = folder / name
    try:
        return read_secret(str(path))
    except OSError as error:
        why = f"{path}: {error.strerror or error}; is the agent's user in the group himds?"
        return Blind(fault="credential-unreadable", detail=why)
    except ValueError:
        return Blind(fault="credential-unreadable", detail=f"{path}: empty, too long, or no text")


def _certificate_pem(text: str) -> str:
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    _, found, rest = text.partition(begin)
    body, ended, _ = rest.partition(end)
    if not found or not ended:
        raise ValueError("no certificate")
    return f"{begin}{body}{end}\n"


def proof_form(proof: Proof, client_id: str, audience: str, now: float) -> dict[str, Secret] | Blind:
    """Return the form fields that prove who we are to `audience` (the token endpoint) at `now` (UTC epoch seconds)."""
    if proof.kind == "secret":
        return {"client_secret": proof.text}
    token = proof.text if proof.kind == "token" else _signed(proof, client_id, audience, int(now))
    if isinstance(token, Blind):
        return token
    return assertion_form(token)


def assertion_form(token: Secret) -> dict[str, Secret]:
    """Return the form fields of a client assertion."""
    return {"client_assertion_type": Secret(ASSERTION_TYPE), "client_assertion": token}


def _signed(proof: Proof, client_id: str, audience: str, now: int) -> Secret | Blind:
    """Return a JWT signed by PS256 (RFC 7518 section 3.5: SHA-256, MGF1 with it, a salt of 32 bytes)."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - 25 MB, and most sign with a secret
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415

    try:
        key = load_pem_private_key(proof.text.reveal().encode(), password=None)
        public = load_der_x509_certificate(proof.certificate).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):  # their words are not repeated: they may quote the file
        return Blind(fault="credential-unreadable", detail="the key file holds no usable key, or one with a passphrase")
    if not isinstance(key, rsa.RSAPrivateKey):
        return Blind(fault="credential-unreadable", detail="Microsoft takes assertions of RSA keys; this is another")
    if key.public_key() != public:
        return Blind(fault="credential-unreadable", detail="key and certificate do not belong together")
    header = {"alg": "PS256", "typ": "JWT", "x5t#S256": _b64(hashlib.sha256(proof.certificate).digest())}
    claims = {"aud": audience, "iss": client_id, "sub": client_id, "jti": str(uuid.uuid4())}
    claims_with_times = {**claims, "nbf": now, "iat": now, "exp": now + ASSERTION_SECONDS}
    signed = f"{_b64(msgspec.json.encode(header))}.{_b64(msgspec.json.encode(claims_with_times))}"
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    return Secret(f"{signed}.{_b64(key.sign(signed.encode(), pss, hashes.SHA256()))}")


def _b64(data: bytes) -> str:
    """Return base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
