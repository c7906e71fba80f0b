"""Graph: the organisation with its last synchronisation and what `directory` knows, or the documented error.

Sources: learn.microsoft.com, "organization resource type", "Microsoft Graph error responses and
resource types", "Microsoft Graph throttling guidance". What must stay true: the time of password
synchronisation is known to beta only, a token is honoured only if this tenant issued it for Graph, and
without permission the organisation has nulls where everything else is refused.
"""

from datetime import UTC, datetime
from urllib.parse import parse_qs

from lab.microsoft import directory
from lab.microsoft.directory import Asked, iso
from lab.microsoft.exchange import GRAPH, Header, Reply, Request, Tenant, html_reply, json_reply, request_ids
from lab.microsoft.state import State

ODATA = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
# 00000003-… is Microsoft Graph's own application id.
CHALLENGE: Header = (
    "WWW-Authenticate",
    (
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id='
        '"00000003-0000-0000-c000-000000000000"'
    ),
)

# Errors that have nothing to do with the request: status, Graph's code, message.
ERRORS = {
    "401": (401, "InvalidAuthenticationToken", "Access token validation failure."),
    "403": (403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."),
    "429": (429, "TooManyRequests", "Please retry again later."),
    "500": (500, "InternalServerError", "Internal server error."),
    "502": (502, "BadGateway", "Bad gateway."),
    "503": (503, "ServiceUnavailable", "The service is temporarily unavailable."),
    "504": (504, "GatewayTimeout", "The gateway timed out."),
}


def broken(mode: str, state: State, request: Request, now: float) -> Reply | None:
    """Return what every request gets in this mode, or None when the request decides."""
    if mode == "html":
        return html_reply()
    known = ERRORS.get("503" if mode == "5xx" else mode)
    if known is None:
        return None
    status, code, message = known
    headers: tuple[Header, ...] = (CHALLENGE,) if status == 401 else ()
    if state.retry_after is not None and status in (429, 503):
        headers = (("Retry-After", state.retry_after),)
    return refuse(status, code, message, request, now, *headers)


def refuse(status: int, code: str, message: str, request: Request, now: float, *headers: Header) -> Reply:
    """Return Graph's error object."""
    own, client = request_ids(request)
    date = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    inner = {"date": date, "request-id": own, "client-request-id": client}
    body = {"error": {"code": code, "message": message, "innerError": inner}}
    return json_reply(status, body, ("request-id", own), ("client-request-id", client), *headers)


PROPERTIES = {
    "v1.0": ("id", "displayName", "onPremisesSyncEnabled", "onPremisesLastSyncDateTime"),
    "beta": (
        "id",
        "displayName",
        "onPremisesSyncEnabled",
        "onPremisesLastSyncDateTime",
        "onPremisesLastPasswordSyncDateTime",
    ),
}


def answer(request: Request, state: State, tenant: Tenant, now: float) -> Reply:
    """Return Graph's reply to a bearer of ours, else the documented error."""
    path, _, query = request.target.partition("?")
    version, _, resource = path.strip("/").partition("/")
    header = request.headers.get("authorization", "")
    issued = tenant.known(header, now, f"https://{request.headers.get('host', '')}") or tenant.known(header, now, GRAPH)
    if issued is None:
        text = "Access token validation failure." if header.partition(" ")[2] else "Access token is empty."
        return refuse(401, "InvalidAuthenticationToken", text, request, now, CHALLENGE)
    if request.method != "GET":
        return refuse(405, "Request_BadRequest", "Specified HTTP method is not allowed.", request, now)
    if resource == "organization":
        nulls = state.mode == "null" or "Organization.Read.All" not in issued.roles
        return _listed(request, _organisation(state, tenant, now, nulls=nulls), now)
    options = {name: values[0] for name, values in parse_qs(query).items()}
    asked = Asked(resource=resource, options=options, request=request, state=state, tenant=tenant, now=now)
    try:
        found = directory.find(asked)
    except directory.RefusedError as error:
        return refuse(error.status, error.code, error.message, request, now)
    if found is None:
        text = f"Resource not found for the segment '{resource.partition('/')[0]}'."
        return refuse(400, "BadRequest", text, request, now)
    if found.permission not in issued.roles:
        status, code, message = ERRORS["403"]
        return refuse(status, code, message, request, now)
    own, client = request_ids(request)
    headers = (("request-id", own), ("client-request-id", client), ("OData-Version", "4.0"))
    context = f"https://graph.microsoft.com/{version}/$metadata#{resource}"
    return json_reply(200, {"@odata.context": context, **found.body}, *headers, kind=ODATA)


def _listed(request: Request, entry: dict[str, object], now: float) -> Reply:
    """Return the organisation's selected properties; a property that this version lacks is an error."""
    path, _, query = request.target.partition("?")
    version = path.strip("/").partition("/")[0]
    known = PROPERTIES[version]
    selected = parse_qs(query).get("$select", [",".join(known)])[0].split(",")
    for name in selected:
        if name not in known:
            text = f"Could not find a property named '{name}' on type 'microsoft.graph.organization'."
            return refuse(400, "BadRequest", text, request, now)
    body = {
        "@odata.context": f"https://graph.microsoft.com/{version}/$metadata#organization({','.join(selected)})",
        "value": [{name: value for name, value in entry.items() if name in selected}],
    }
    own, client = request_ids(request)
    headers = (("request-id", own), ("client-request-id", client), ("OData-Version", "4.0"))
    return json_reply(200, body, *headers, kind=ODATA)


def _organisation(state: State, tenant: Tenant, now: float, *, nulls: bool) -> dict[str, object]:
    never = state.sync_enabled is None or nulls
    return {
        "id": tenant.id,
        "displayName": None if nulls else tenant.name,
        "onPremisesSyncEnabled": None if nulls else state.sync_enabled,
        "onPremisesLastSyncDateTime": None if never else iso(state.synced(now)),
        "onPremisesLastPasswordSyncDateTime": None if never else iso(state.password_synced(now)),
    }
