"""Login: tokens for client credentials, OpenID configuration, errors with their AADSTS codes.

Sources: learn.microsoft.com, "Microsoft identity platform and the OAuth 2.0 client credentials flow"
and "Microsoft Entra authentication and authorization error codes".
"""

import hmac
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qs

from lab.microsoft.assertion import refused_assertion
from lab.microsoft.exchange import TOKEN_SECONDS, Reply, Request, Tenant, html_reply, json_reply
from lab.microsoft.state import State

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

# AADSTS code: status, OAuth error (RFC 6749 section 5.2), text.
REFUSALS = {
    90002: (400, "invalid_request", "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID."),
    900561: (400, "invalid_request", "The endpoint only accepts POST requests. Received a {method} request."),
    900144: (400, "invalid_request", "The request body must contain the following parameter: 'grant_type'."),
    70003: (400, "unsupported_grant_type", "The app requested an unsupported grant type '{grant}'."),
    700016: (
        400,
        "unauthorized_client",
        "Application with identifier '{app}' was not found in the directory '{name}'.",
    ),
    7000112: (400, "unauthorized_client", "Application '{app}'(demarc) is disabled."),
    7000218: (
        401,
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    ),
    7000215: (
        401,
        "invalid_client",
        (
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
            "not the client secret ID, for a secret added to app '{app}'."
        ),
    ),
    7000222: (401, "invalid_client", "The provided client secret keys for app '{app}' are expired."),
    700027: (
        401,
        "invalid_client",
        "The certificate with identifier used to sign the client assertion is not registered on application.",
    ),
    700024: (401, "invalid_client", "Client assertion is not within its valid time range."),
    700213: (400, "invalid_request", "No matching federated identity record found for presented assertion subject."),
    50027: (401, "invalid_client", "JWT token is invalid or malformed."),
    53003: (400, "invalid_grant", "Access has been blocked by Conditional Access policies."),
    70011: (400, "invalid_scope", "The provided value for the input parameter 'scope' is not valid."),
    90055: (429, "invalid_request", "Tenant throttled: too many requests."),
    90033: (503, "temporarily_unavailable", "A transient error has occurred. Please try again."),
}


def broken(mode: str, state: State, now: float) -> Reply | None:
    """Return what every request gets in this mode, or None when the request decides."""
    if mode == "html":
        return html_reply()
    if mode in ("ok", "hang", "slow"):
        return None
    reply = refuse(90055 if mode == "429" else 90033, {}, now)
    retry = (("Retry-After", state.retry_after),) if state.retry_after is not None else ()
    status = reply.status if mode == "5xx" else int(mode)
    return Reply(status=status, body=reply.body, headers=(*reply.headers, *retry))


def token(request: Request, state: State, tenant: Tenant, now: float) -> Reply:
    """Return the token endpoint's reply to a client-credentials request."""
    form = {name: values[0] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
    named = request.target.partition("?")[0].strip("/").partition("/")[0]
    if named != tenant.id:
        code: int | None = 90002
    elif request.method != "POST":
        code = 900561
    else:
        code = _refusal(form, state, tenant, f"https://{request.headers.get('host', '')}{request.target}", now)
    if code is not None:
        app, grant = form.get("client_id", ""), form.get("grant_type", "")
        names = {"tenant": named, "method": request.method, "grant": grant, "app": app, "name": tenant.name}
        return refuse(code, names, now)
    body = {
        "token_type": "Bearer",
        "expires_in": TOKEN_SECONDS,
        "ext_expires_in": TOKEN_SECONDS,
        "access_token": tenant.issue(now, form["scope"].removesuffix("/.default"), granted(state, form["scope"])),
    }
    return json_reply(200, body, ("x-ms-request-id", str(uuid.uuid4())))


def granted(state: State, scope: str) -> tuple[str, ...]:
    """Return the application permissions in a token: those of Graph, in a token for Graph (of any address)."""
    return () if scope.startswith("https://management.") else state.permissions


def _refusal(form: Mapping[str, str], state: State, tenant: Tenant, audience: str, now: float) -> int | None:
    """Return the AADSTS code of the first condition that does not hold."""
    scope = form.get("scope", "")
    conditions = (
        (900144, "grant_type" in form),
        (70003, form.get("grant_type") == "client_credentials"),
        (700016, form.get("client_id") == tenant.client_id and state.credential != "app-missing"),
        (7000112, state.credential != "app-disabled"),
    )
    code = next((code for code, holds in conditions if not holds), None) or _unproven(
        form, state, tenant, audience, now
    )
    if code is not None:
        return code
    if state.credential == "policy":
        return 53003
    return None if scope.startswith("https://") and scope.endswith("/.default") else 70011


def _unproven(form: Mapping[str, str], state: State, tenant: Tenant, audience: str, now: float) -> int | None:
    """Return the code with which the presented credential is refused, None when it is good."""
    secret, assertion = form.get("client_secret", ""), form.get("client_assertion", "")
    if assertion and form.get("client_assertion_type") == ASSERTION_TYPE:
        if tenant.trusted_token and hmac.compare_digest(assertion, tenant.trusted_token):
            return {"wrong": 700213, "expired": 700024}.get(state.credential)
        refused = refused_assertion(assertion, tenant, audience, now)
        return refused or {"wrong": 700027, "expired": 700027}.get(state.credential)
    if not secret:
        return 7000218
    if not hmac.compare_digest(secret.encode(), tenant.secret.encode()) or state.credential == "wrong":
        return 7000215
    return 7000222 if state.credential == "expired" else None


def refuse(code: int, names: Mapping[str, str], now: float) -> Reply:
    """Return the token endpoint's error object."""
    status, error, text = REFUSALS[code]
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    said = text.format(**names) if names else text
    body = {
        "error": error,
        "error_description": f"AADSTS{code}: {said} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {at}",
        "error_codes": [code],
        "timestamp": at,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://login.microsoftonline.com/error?code={code}",
    }
    return json_reply(status, body, ("x-ms-request-id", trace))


def openid(request: Request, tenant: Tenant) -> Reply:
    """Return the OpenID configuration; its addresses are those by which the caller came."""
    origin = f"https://{request.headers.get('host', 'login.microsoftonline.com')}/{tenant.id}"
    return json_reply(
        200,
        {
            "issuer": f"{origin}/v2.0",
            "authorization_endpoint": f"{origin}/oauth2/v2.0/authorize",
            "token_endpoint": f"{origin}/oauth2/v2.0/token",
            "jwks_uri": f"{origin}/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "tenant_region_scope": "EU",
        },
    )
