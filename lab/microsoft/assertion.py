"""Client assertions: what login checks of a JWT that an application signed (RFC 7523 section 3).

Source: learn.microsoft.com, "Microsoft identity platform application authentication certificate credentials".
"""

import base64
import binascii
import hashlib
from typing import Any

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from lab.microsoft.exchange import Tenant

# Microsoft allows clocks to differ by five minutes.
SKEW_SECONDS = 300


def refused_assertion(assertion: str, tenant: Tenant, audience: str, now: float) -> int | None:
    """Return the AADSTS code with which `assertion` is refused, None when it is good."""
    try:
        head, claims, signature = (base64.urlsafe_b64decode(part + "==") for part in assertion.split("."))
        header: dict[str, Any] = msgspec.json.decode(head, type=dict)
        said: dict[str, Any] = msgspec.json.decode(claims, type=dict)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        return 50027
    if not tenant.certificate:
        return 700213
    certificate = x509.load_pem_x509_certificate(tenant.certificate.encode())
    der = certificate.public_bytes(serialization.Encoding.DER)
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
    key = certificate.public_key()
    # MSAL pads the thumbprint, which RFC 7515 does not; login takes both.
    known = str(header.get("x5t#S256")).rstrip("=") == thumbprint
    if header.get("alg") != "PS256" or not known or not isinstance(key, rsa.RSAPublicKey):
        return 700027
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    try:
        key.verify(signature, assertion.rpartition(".")[0].encode(), pss, hashes.SHA256())
    except InvalidSignature:
        return 700027
    if certificate.not_valid_after_utc.timestamp() < now:
        return 700027
    if said.get("iss") != tenant.client_id or said.get("sub") != tenant.client_id or said.get("aud") != audience:
        return 50027
    begins, ends = said.get("nbf", said.get("iat")), said.get("exp")
    if not isinstance(begins, int | float) or not isinstance(ends, int | float):
        return 50027
    return None if begins - SKEW_SECONDS <= now < ends + SKEW_SECONDS else 700024
