"""Azure's Resource Manager: one VPN gateway's connection and its Resource Health, or the documented error.

Sources: learn.microsoft.com, "Virtual Network Gateway Connections - Get", "Availability Statuses - Get By Resource",
"Troubleshoot Azure Resource Manager errors". SIMULATED: made from documented fields, compared with no real gateway.
What must stay true: the connection's `sharedKey` is in the answer, as it may be in Microsoft's, so that whoever
repeats it is found out; the time of a connection is text in the United States' form.
"""

import re
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qs

from lab.microsoft.exchange import Header, Reply, Request, Tenant, html_reply, json_reply, request_ids
from lab.microsoft.state import State

AUDIENCE: Final = "https://management.azure.com"
# A canary: it stands in every answer and may stand nowhere else.
SHARED_KEY: Final = "canary-SharedKey-7c1d"
CONNECTION: Final = (
    "/subscriptions/99999999-8888-7777-6666-555555555555/resourceGroups/rg-demarc/providers/Microsoft.Network"
    "/connections/site"
)
_HEALTH: Final = "/providers/Microsoft.ResourceHealth/availabilityStatuses/current"
_ERRORS: Final = {
    "401": (401, "InvalidAuthenticationToken", "The access token is invalid."),
    "403": (403, "AuthorizationFailed", "The client does not have authorization to perform the action."),
    "404": (404, "ResourceNotFound", "The Resource was not found."),
    "429": (429, "TooManyRequests", "The request is being throttled."),
    "500": (500, "InternalServerError", "Encountered internal server error."),
    "502": (502, "BadGateway", "Bad gateway."),
    "503": (503, "ServerTimeout", "The request timed out."),
    "504": (504, "GatewayTimeout", "The gateway did not receive a response."),
}
_STARTED: Final = datetime(2026, 11, 23, 9, 0, tzinfo=UTC).timestamp()
_BYTES_A_SECOND: Final = 5_000


def broken(mode: str, state: State, request: Request) -> Reply | None:
    """Return what every request gets in this mode, or None when the request decides."""
    if mode == "html":
        return html_reply()
    known = _ERRORS.get("503" if mode == "5xx" else mode)
    return None if known is None else _refuse(known, state, request)


def _refuse(error: tuple[int, str, str], state: State, request: Request) -> Reply:
    status, code, message = error
    headers: tuple[Header, ...] = ()
    if state.retry_after is not None and status in (429, 503):
        headers = (("Retry-After", state.retry_after),)
    return json_reply(status, {"error": {"code": code, "message": message}}, *_ids(request), *headers)


def _ids(request: Request) -> tuple[Header, ...]:
    own, _ = request_ids(request)
    return (("x-ms-request-id", own), ("x-ms-correlation-request-id", own))


def answer(request: Request, state: State, tenant: Tenant, now: float) -> Reply:
    """Return ARM's reply to a bearer of ours for ARM, else the documented error."""
    path, _, query = request.target.partition("?")
    header = request.headers.get("authorization", "")
    host = f"https://{request.headers.get('host', '')}"
    if tenant.known(header, now, AUDIENCE) is None and tenant.known(header, now, host) is None:
        return _refuse(_ERRORS["401"], state, request)
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", parse_qs(query).get("api-version", [""])[0]):
        error = (400, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required.")
        return _refuse(error, state, request)
    if path == CONNECTION:
        return json_reply(200, _connection(state, now), *_ids(request))
    if path == CONNECTION + _HEALTH:
        return json_reply(200, _health(state, now), *_ids(request))
    return _refuse(_ERRORS["404"], state, request)


def _connection(state: State, now: float) -> dict[str, object]:
    hidden = state.arm == "null"
    elapsed = max(0.0, now - _STARTED)
    flowing = int(elapsed * _BYTES_A_SECOND)
    received = flowing if state.vpn_received_bytes is None else state.vpn_received_bytes
    sent = flowing if state.vpn_sent_bytes is None else state.vpn_sent_bytes
    since = datetime.fromtimestamp(state.vpn_since.timestamp() if state.vpn_since else _STARTED, UTC)
    tunnels = [
        {
            "tunnel": name,
            "connectionStatus": state.vpn_status if name not in state.vpn_tunnels_down else "NotConnected",
            "ingressBytesTransferred": received,
            "egressBytesTransferred": sent,
            "lastConnectionEstablishedUtcTime": since.strftime("%m/%d/%Y %H:%M:%S"),
        }
        for name in state.vpn_tunnels
    ]
    return {
        "name": "site",
        "id": CONNECTION,
        "type": "Microsoft.Network/connections",
        "location": "westeurope",
        "properties": {
            "provisioningState": "Succeeded",
            "connectionType": "IPsec",
            "connectionProtocol": "IKEv2",
            "sharedKey": SHARED_KEY,
            "enableBgp": False,
            "usePolicyBasedTrafficSelectors": False,
            "ipsecPolicies": [],
            "dpdTimeoutSeconds": 45,
            "connectionStatus": None if hidden else state.vpn_status,
            "ingressBytesTransferred": None if hidden else received,
            "egressBytesTransferred": None if hidden else sent,
            "tunnelConnectionStatus": None if hidden else tunnels,
        },
    }


def _health(state: State, now: float) -> dict[str, object]:
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "id": f"{CONNECTION}{_HEALTH}",
        "name": "current",
        "type": "Microsoft.ResourceHealth/AvailabilityStatuses",
        "location": "westeurope",
        "properties": {
            "availabilityState": state.vpn_health,
            "title": state.vpn_health,
            "summary": "SIMULATED.",
            "reasonType": "" if state.vpn_health == "Available" else "Unplanned",
            "occuredTime": moment,
            "reasonChronicity": "Persistent",
            "reportedTime": moment,
        },
    }
