"""The instance metadata service of a virtual machine, as far as tokens of its own identity go; plain HTTP.

Sources: learn.microsoft.com, "How to use managed identities for Azure resources on an Azure VM to acquire an access
token" and "Authenticate against Azure resources with Azure Arc-enabled servers". For `api://AzureADTokenExchange` it
gives the token that the tenant's application trusts. Azure Arc's (api-version 2020-06-01) first answers 401 and names
a file; who shows its content may read it, and gets the token. SIMULATED: Arc makes a new file for each question.
"""

from urllib.parse import parse_qs

from lab.microsoft.exchange import TOKEN_SECONDS, Reply, Request, Tenant, json_reply
from lab.microsoft.state import State

PATH = "/metadata/identity/oauth2/token"
EXCHANGE = "api://AzureADTokenExchange"
VERSION = "2018-02-01"
ARC_VERSION = "2020-06-01"


def token(request: Request, state: State, tenant: Tenant, now: float) -> Reply:
    """Return a token of the machine's identity, or the documented error."""
    options = {name: values[0] for name, values in parse_qs(request.target.partition("?")[2]).items()}
    resource = options.get("resource", "")
    if request.headers.get("metadata", "").lower() != "true" or "x-forwarded-for" in request.headers:
        return _refuse(400, "bad_request_102", "Required metadata header not specified")
    if options.get("api-version") == ARC_VERSION and tenant.arc_key:
        if request.headers.get("authorization") != f"Basic {tenant.arc_key}":
            challenge = ("WWW-Authenticate", f"Basic realm={tenant.arc_key_file}")
            return json_reply(401, {"error": "unauthorized_client"}, challenge)
    elif options.get("api-version") != VERSION:
        return _refuse(400, "invalid_request", "Required query parameter missing.")
    if not resource:
        return _refuse(400, "invalid_request", "Required query parameter missing.")
    if state.identity == "missing":
        return _refuse(400, "invalid_request", "Identity not found")
    if state.identity in ("410", "429", "500"):
        return _refuse(int(state.identity), "unknown", "Simulated.")
    granted = resource.rstrip("/")
    access = tenant.trusted_token if resource == EXCHANGE else tenant.issue(now, granted, state.permissions)
    body = {
        "access_token": access,
        "client_id": tenant.client_id,
        "expires_in": str(TOKEN_SECONDS),
        "expires_on": str(int(now) + TOKEN_SECONDS),
        "not_before": str(int(now)),
        "resource": resource,
        "token_type": "Bearer",
    }
    return json_reply(200, body)


def _refuse(status: int, error: str, text: str) -> Reply:
    return json_reply(status, {"error": error, "error_description": text})
