"""Which Microsoft API is asked, as which application and by which credential: the keys that several types share.

Pure. What must stay true: exactly one credential is named, by file or as this host's own identity, never inline;
credentials go to the host of `authority` and tokens to the host of `target` only, both over TLS.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from probes.kit.address import FAMILY_HELP, Endpoint, endpoint
from probes.kit.microsoft import Blind
from probes.kit.spec import Fault, Flow, Metric

IDENTITY: Final = "http://169.254.169.254"  # Azure's instance metadata service, on every virtual machine there
ARC: Final = "http://127.0.0.1:40342"  # that of the Azure Connected Machine agent, on a server elsewhere
_TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}\Z")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
OWN_IDENTITY: Final = ("direct", "arc")  # these hold the permissions themselves: login is not asked
_CREDENTIALS: Final = ("secret_file", "certificate_file", "token_file", "managed_identity")


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask as which application. Files are named by path or as `credential:NAME` of systemd."""

    target: str = "https://graph.microsoft.com"
    authority: str = "https://login.microsoftonline.com"
    tenant: str
    client_id: str = ""
    secret_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    token_file: str = ""
    managed_identity: Literal["", "direct", "federated", "arc"] = ""
    identity_id: str = ""
    identity_endpoint: str = IDENTITY
    secret_expiry: bool = False
    ca_file: str = ""
    proxy: str = ""
    family: Literal[4, 6] = 4


ACCESS_HELP: Final = {
    "target": "Graph of the tenant's cloud.",
    "authority": "Login of the tenant's cloud.",
    "tenant": "Directory (tenant) id, or a verified domain.",
    "client_id": "Application (client) id; docs/entra.md lists the permissions that it needs.",
    "secret_file": "File with the client secret, or `credential:NAME` for a systemd credential.",
    "certificate_file": "Instead of a secret: PEM file with the certificate that the application knows.",
    "key_file": "PEM file of its RSA key, without a passphrase, or `credential:NAME`; empty: in the same file.",
    "token_file": "Instead of a secret: file with another issuer's token that the application trusts (workload "
    "identity federation); read anew at each attempt.",
    "managed_identity": "Instead of a secret: this virtual machine's own identity. direct: it holds the permissions "
    "itself, in its own directory; federated: the application of `client_id`, in any directory, trusts it; arc: as "
    "direct, of a server outside Azure that Azure Arc has taken in.",
    "identity_id": "Client id of a user-assigned managed identity; empty: the machine's own.",
    "identity_endpoint": "Address of the instance metadata service, of this host or link only; left as it is, arc asks "
    f"{ARC}.",
    "secret_expiry": "Also read when our client secret ends; needs Application.Read.All.",
    "ca_file": "PEM file of the CA to trust instead of the system's, for a simulator.",
    "proxy": "`http://host:port` of a CONNECT proxy; the environment's proxy settings are not used.",
    "family": FAMILY_HELP,
}
ACCESS_METRICS: Final = (
    Metric(
        "entra_credential_expiry_timestamp_seconds", "When our own credential ends, where that is known, UTC epoch."
    ),
)
ACCESS_FAULTS: Final = (
    Fault("credential-expired", None, "Our own credential has expired.", "Make a new one and replace the file."),
    Fault(
        "credential-wrong",
        None,
        "Login does not accept our credential.",
        "A secret: write its value (not its id) into the file. A certificate or a trusted issuer: register it.",
    ),
    Fault("credential-unreadable", None, "Its file cannot be used.", "See the detail: path, rights, form."),
    Fault(
        "identity-unavailable",
        None,
        "This host's own identity gives no token.",
        "Is a managed identity assigned to this machine? See the detail.",
    ),
    Fault("ca-unreadable", None, "The CA file cannot be used.", "Check `ca_file` and its permissions."),
    Fault("app-not-found", None, "The tenant or its application does not exist.", "Correct `tenant` or `client_id`."),
    Fault("app-disabled", None, "The application is disabled in the tenant.", "Enable it."),
    Fault("token-refused", None, "Login refuses for another reason.", "Look up the AADSTS code of the detail."),
    Fault(
        "no-permission",
        None,
        "Microsoft refuses the token.",
        "Grant the permission of docs/entra.md to the application, with admin consent; `demarc doctor` names it.",
    ),
    Fault("throttled", None, "Microsoft asks us to stay away for a while.", "Raise `interval`; nothing else to do."),
    Fault("graph-error", None, "Microsoft answers with a server error.", "Compare with its service health."),
    Fault(
        "not-graph",
        None,
        "Something else answers in Microsoft's place: a portal, a proxy, an inspecting firewall.",
        "Open the address from this vantage and see who answers.",
    ),
    Fault(
        "graph-unreachable",
        None,
        "No reply: resolution, connection, TLS or time.",
        "An http probe to the same host says on which segment.",
    ),
    Fault("proxy-refused", None, "The proxy does not let us through.", "Allow the host at the proxy."),
    Fault("clock", None, "This host's clock or Microsoft's is wrong.", "Compare them; see the detail."),
)
# For sources that not every application may read: that is no trouble of the watched system's, nor ours.
OPTIONAL_FAULTS: Final = (
    Fault(
        "unavailable",
        None,
        "The application may not read this.",
        "Grant the permission of the detail, with admin consent, or take the probe out: others do not need it.",
    ),
    *(fault for fault in ACCESS_FAULTS if fault.name != "no-permission"),
)
# Permissions that include narrower ones (learn.microsoft.com, "Microsoft Graph permissions reference").
BROADER: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "Directory.Read.All": ("Organization.Read.All", "User.Read.All", "Group.Read.All", "OrgContact.Read.All"),
        "Synchronization.ReadWrite.All": ("Synchronization.Read.All",),
        "Application.ReadWrite.All": ("Application.Read.All",),
    }
)
LEAVES: Final = "a service-principal sign-in in the tenant's sign-in log for each new token, about one an hour"


def origin(url: str, key: str, family: int, scheme: str = "https") -> Endpoint:
    """Return the endpoint of `scheme://host[:port]`; ValueError names `key` and what to write."""
    if "@" in url:
        raise ValueError(f"{key}: an address holds no credentials; write {scheme}://host:port")
    authority = url.removeprefix(f"{scheme}://").removesuffix("/")
    if not url.startswith(f"{scheme}://") or set(authority) & set("/?#"):
        raise ValueError(f"{key}: {url!r} is not {scheme}://host or {scheme}://host:port")
    try:
        return endpoint(authority, family, 443 if scheme == "https" else None)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def unavailable(blind: Blind, permission: str) -> Blind:
    """Return `blind`, with a lacking permission told as what cannot be read."""
    if blind.fault != "no-permission":
        return blind
    return msgspec.structs.replace(blind, fault="unavailable", detail=f"{blind.detail}; it needs {permission}")


def permitted(access: Access, *needed: str) -> tuple[str, ...]:
    """Return `needed` permissions, with the one more that the end of our own secret takes where it is asked for."""
    return (*needed, "Application.Read.All") if access.secret_expiry else needed


def application_id(key: str, value: str) -> None:
    """Raise ValueError when `value` of `key` is no id of Entra's."""
    if not _UUID.match(value):
        raise ValueError(f"{key}: {value!r} is no id (8-4-4-4-12 hexadecimal digits)")


def identity_endpoint(access: Access) -> Endpoint:
    """Return where this host's own identity is asked; ValueError for what could be another host."""
    named = access.identity_endpoint
    if access.managed_identity == "arc" and named == IDENTITY:
        named = ARC
    try:
        end = endpoint(named.removeprefix("http://").removesuffix("/"), 4, 80)
        near = not end.named and (ip_address(end.host).is_link_local or ip_address(end.host).is_loopback)
    except ValueError as error:
        raise ValueError(f"identity_endpoint: {error}") from None
    if not near or not named.startswith("http://"):
        raise ValueError(f"identity_endpoint: {named!r} is no address of this host; write {IDENTITY}")
    return end


def access_flow(access: Access, what: str) -> Flow:
    """Return the flow to the API, and also to login, or to the proxy alone; ValueError says which key is wrong.

    `what` names the question: that one is answered says nothing of another.
    """
    api = origin(access.target, "target", access.family)
    login = origin(access.authority, "authority", access.family)
    proxy = origin(access.proxy, "proxy", access.family, "http") if access.proxy else None
    _check(access)
    function = f"{what} at {access.target}"
    if proxy is not None:
        return _https(proxy, function)
    also = () if login == api or access.managed_identity in OWN_IDENTITY else (_https(login, "sign-in"),)
    return msgspec.structs.replace(_https(api, function), also=also)


def _check(access: Access) -> None:
    named = [key for key in _CREDENTIALS if getattr(access, key)]
    if len(named) != 1:
        raise ValueError(f"secret_file: write exactly one of {', '.join(_CREDENTIALS)}")
    if access.key_file and not access.certificate_file:
        raise ValueError("key_file: belongs to `certificate_file`; write both, or leave it out")
    if access.secret_expiry and not access.secret_file:
        raise ValueError("secret_expiry: only a client secret needs it; leave it out")
    if not _TENANT.match(access.tenant):
        raise ValueError(f"tenant: {access.tenant!r} is neither a directory id nor a domain")
    for key, needed in (("client_id", access.managed_identity not in OWN_IDENTITY), ("identity_id", False)):
        value = getattr(access, key)
        if value or needed:
            application_id(key, value)
    identity_endpoint(access)


def _https(end: Endpoint, function: str) -> Flow:
    return Flow(
        host=end.host,
        protocol="tcp",
        port=end.port,
        family=end.family,
        function=function,
        carry_bytes=1500,
        named=end.named,
    )
