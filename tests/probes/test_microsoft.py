"""Microsoft's replies, pure: a token, data, or a reason why we are blind; never their words."""

import base64
import string
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.entra_sync import SPEC
from probes.kit.https_exchange import Reply, is_bearer
from probes.kit.microsoft import (
    AADSTS,
    MAX_TOKEN_SECONDS,
    MAX_WAIT_SECONDS,
    Blind,
    Token,
    arc_key_name,
    backoff_seconds,
    granted,
    http_date,
    identity_path,
    read_graph_error,
    read_identity_token,
    read_token,
    token_form,
    wait_seconds,
)
from probes.kit.microsoft_access import Access, access_flow, identity_endpoint, unavailable
from probes.kit.microsoft_client import read_secret_end
from probes.kit.secret import Secret

UNKNOWN = {fault.name for fault in SPEC.faults if fault.stage is None}
TRACE = "0b9a3d4e-7c1f-4b8a-9a55-2f6c7d8e9f00"
CANARY = "canary~Secret.8Q"


def reply(status: int, body: object, **headers: str) -> Reply:
    """Return a reply with a JSON body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers=named, body=msgspec.json.encode(body))


def refusal(error: str, *codes: int) -> dict[str, Any]:
    """Return the token endpoint's error object; its text repeats the secret, as no text should."""
    return {
        "error": error,
        "error_description": f"AADSTS{codes}: {CANARY}",
        "error_codes": list(codes),
        "trace_id": TRACE,
        "correlation_id": CANARY,
    }


REFUSED: dict[str, tuple[Reply, str]] = {
    "secret expired": (reply(401, refusal("invalid_client", 7000222)), "credential-expired"),
    "secret wrong": (reply(401, refusal("invalid_client", 7000215)), "credential-wrong"),
    "no secret at all": (reply(401, refusal("invalid_client", 7000218)), "credential-wrong"),
    "app not in the tenant": (reply(400, refusal("unauthorized_client", 700016)), "app-not-found"),
    "tenant not found": (reply(400, refusal("invalid_request", 90002)), "app-not-found"),
    "app disabled": (reply(400, refusal("unauthorized_client", 7000112)), "app-disabled"),
    "bad scope": (reply(400, refusal("invalid_scope", 70011)), "token-refused"),
    "policy": (reply(400, refusal("interaction_required", 530032)), "token-refused"),
    "no code": (reply(400, {"error": "invalid_request"}), "token-refused"),
    "an error of its own making": (reply(400, {"error": CANARY}), "token-refused"),
    "the second code is known": (reply(401, refusal("invalid_client", 1, 7000222)), "credential-expired"),
    "transient": (reply(400, refusal("temporarily_unavailable", 90033)), "graph-error"),
    "tenant throttled": (reply(400, refusal("invalid_request", 90055)), "throttled"),
    "429": (reply(429, refusal("invalid_request", 1)), "throttled"),
    "429 without JSON": (Reply(status=429, headers={}, body=b""), "throttled"),
    "503": (reply(503, refusal("server_error")), "graph-error"),
    "503 without JSON": (Reply(status=503, headers={}, body=b"<html>"), "graph-error"),
    "a portal": (Reply(status=200, headers={}, body=b"<html>"), "not-graph"),
    "a portal's redirect": (Reply(status=302, headers={"location": "http://portal"}, body=b""), "not-graph"),
    "200 without a token": (reply(200, {"token_type": "Bearer"}), "not-graph"),
    "200 with a null": (reply(200, {"access_token": None}), "not-graph"),
    "200 with no lifetime to read": (reply(200, {"access_token": "t", "expires_in": "soon"}), "not-graph"),
    "a token with a line end": (reply(200, {"access_token": "a\r\nb", "expires_in": 1}), "not-graph"),
    "an empty token": (reply(200, {"access_token": "", "expires_in": 1}), "not-graph"),
    "200 with an endless lifetime": (
        Reply(status=200, headers={}, body=b'{"access_token":"t","expires_in":1' + b"0" * 400 + b"}"),
        "not-graph",
    ),
    "200 nested without end": (Reply(status=200, headers={}, body=b'{"x":' + b"[" * 200_000), "not-graph"),
    "400 nested without end": (Reply(status=400, headers={}, body=b'{"x":' + b"[" * 200_000), "not-graph"),
    "bytes that are no text": (Reply(status=400, headers={}, body=b'{"error": "\xff"}'), "not-graph"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_token_says_why(name: str) -> None:
    """Known codes decide, then the status; the detail holds codes and ids and never the reply's text."""
    given_reply, fault = REFUSED[name]
    blind = read_token(given_reply)
    assert isinstance(blind, Blind)
    assert blind.fault == fault
    assert CANARY not in repr(blind)


def test_the_detail_holds_what_support_asks_for() -> None:
    """Codes, OAuth error and trace id are shown; an id that is none is left out."""
    blind = read_token(REFUSED["secret expired"][0])
    assert isinstance(blind, Blind)
    assert blind.detail == f"login answered 401: AADSTS7000222, invalid_client, trace {TRACE}"


LIVES = {3599: 3599.0, "3599": 3599.0, 0: 0.0, -5: 0.0, "nan": 0.0, 1e12: MAX_TOKEN_SECONDS, "inf": MAX_TOKEN_SECONDS}


@pytest.mark.parametrize("expires_in", LIVES)
def test_a_token_lives_as_long_as_it_says(expires_in: float | str) -> None:
    """Lifetimes come as numbers or texts; absurd ones are bounded."""
    token = read_token(reply(200, {"access_token": "eyJ0.e_-30.x", "expires_in": expires_in}))
    assert isinstance(token, Token)
    assert (token.seconds, token.bearer.reveal()) == (LIVES[expires_in], "eyJ0.e_-30.x")
    assert "eyJ0" not in repr(token)


GRAPH: dict[str, tuple[Reply, str, str]] = {
    "401": (
        reply(
            401,
            {"error": {"code": "InvalidAuthenticationToken", "message": CANARY, "innerError": {"request-id": TRACE}}},
        ),
        "no-permission",
        f"Graph answered 401: InvalidAuthenticationToken, request {TRACE}",
    ),
    "403, other spelling": (
        reply(403, {"error": {"code": "Authorization_RequestDenied", "innererror": {"request-id": TRACE}}}),
        "no-permission",
        f"Graph answered 403: Authorization_RequestDenied, request {TRACE}",
    ),
    "403 without ids": (reply(403, {"error": {"code": CANARY}}), "no-permission", "Graph answered 403"),
    "a proxy's 403": (Reply(status=403, headers={}, body=b"<html>blocked"), "not-graph", "Graph answered 403"),
    "a proxy's 407": (Reply(status=407, headers={}, body=b""), "not-graph", "Graph answered 407"),
    "429": (reply(429, {"error": {"code": "TooManyRequests"}}), "throttled", "Graph answered 429: TooManyRequests"),
    "500": (Reply(status=500, headers={}, body=b""), "graph-error", "Graph answered 500"),
    "504": (reply(504, {"error": {"code": "UnknownError"}}), "graph-error", "Graph answered 504: UnknownError"),
    "a redirect": (Reply(status=302, headers={}, body=b""), "not-graph", "Graph answered 302"),
    "400": (reply(400, {"error": {"code": "BadRequest"}}), "not-graph", "Graph answered 400: BadRequest"),
    "204": (Reply(status=204, headers={}, body=b""), "not-graph", "Graph answered 204"),
}


@pytest.mark.parametrize("name", GRAPH)
def test_an_error_of_graph_says_why(name: str) -> None:
    """Status decides; 401 and 403 count as Graph's only in Graph's own form."""
    given_reply, fault, detail = GRAPH[name]
    blind = read_graph_error(given_reply)
    assert (blind.fault, blind.detail) == (fault, detail)


WAITS: dict[str, tuple[dict[str, str], float | None]] = {
    "fractional": ({"retry-after": "2.128"}, 2.128),
    "whole": ({"retry-after": " 30 "}, 30.0),
    "zero": ({"retry-after": "0"}, 0.0),
    "bounded": ({"retry-after": "99999999"}, MAX_WAIT_SECONDS),
    "absent": ({}, None),
    "a word": ({"retry-after": "soon"}, None),
    "negative": ({"retry-after": "-3"}, None),
    "a date": (
        {"retry-after": "Mon, 23 Nov 2026 17:00:30 GMT", "date": "Mon, 23 Nov 2026 17:00:00 GMT"},
        30.0,
    ),
    "a date in the past": (
        {"retry-after": "Mon, 23 Nov 2026 16:00:00 GMT", "date": "Mon, 23 Nov 2026 17:00:00 GMT"},
        0.0,
    ),
    "a date without a date": ({"retry-after": "Mon, 23 Nov 2026 17:00:30 GMT"}, None),
    "a broken date": ({"retry-after": "Mon, 99 Nov 2026 GMT", "date": "Mon, 23 Nov 2026 17:00:00 GMT"}, None),
}


@pytest.mark.parametrize("name", WAITS)
def test_a_wait_is_read(name: str) -> None:
    """Retry-After in seconds, fractional too, or as a date against the reply's own Date."""
    headers, seconds = WAITS[name]
    assert wait_seconds(headers) == seconds
    assert read_graph_error(Reply(status=503, headers=headers, body=b"")).wait_seconds == seconds


def test_waits_without_a_header_double_up_to_an_hour() -> None:
    """10 s, 20 s, 40 s, … at most one hour."""
    assert [backoff_seconds(refusals) for refusals in (0, 1, 2, 3, 4)] == [10.0, 10.0, 20.0, 40.0, 80.0]
    assert backoff_seconds(10**6) == MAX_WAIT_SECONDS


def test_the_form_is_escaped_and_hidden() -> None:
    """A secret with the form's own characters arrives as it is, and no rendering shows it."""
    form = token_form("app", {"client_secret": Secret("a&b=c+d %")}, "https://graph.microsoft.com/.default")
    assert form.reveal() == (
        "grant_type=client_credentials&client_id=app&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default"
        "&client_secret=a%26b%3Dc%2Bd+%25"
    )
    assert f"{form}{form!r}" == "******"


def jwt(claims: bytes) -> Secret:
    """Return a token in Microsoft's form with these claims."""
    return Secret(f"e30.{base64.urlsafe_b64encode(claims).rstrip(b'=').decode()}.c2ln")


CLAIMS: dict[str, tuple[Secret, frozenset[str] | None]] = {
    "two permissions": (jwt(b'{"roles":["User.Read.All","a b"]}'), frozenset({"User.Read.All"})),
    "none": (jwt(b'{"aud":"x"}'), frozenset()),
    "of another form": (jwt(b'{"roles":{}}'), None),
    "no JSON": (jwt(b"roles"), None),
    "opaque": (Secret("opaque"), None),
    "no base64": (Secret("a.b\u00e9.c"), None),
    "cut base64": (Secret("a.abcde.c"), None),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_token_may_tell_its_permissions(name: str) -> None:
    """For advice only: a token that does not tell gives None."""
    token, roles = CLAIMS[name]
    assert granted(token) == roles


@given(st.text(string.printable, max_size=40))
def test_any_token_tells_or_not(text: str) -> None:
    """No token raises."""
    assert granted(Secret(text)) is None or "." in text
    granted(Secret(f"a.{text}.b"))


IDENTITY: dict[str, tuple[Reply, str, float | None]] = {
    "being renewed": (Reply(status=410, headers={}, body=b""), "the metadata service answered 410", 70.0),
    "throttled": (
        Reply(status=429, headers={"retry-after": "5"}, body=b"{}"),
        "the metadata service answered 429",
        5.0,
    ),
    "no identity": (
        reply(400, {"error": "invalid_request", "error_description": CANARY}),
        "the metadata service answered 400: invalid_request",
        None,
    ),
    "an error of its own": (reply(400, {"error": CANARY}), "the metadata service answered 400", None),
}


@pytest.mark.parametrize("name", IDENTITY)
def test_a_metadata_service_without_a_token_says_why(name: str) -> None:
    """It is this host's service: its refusals are not login's."""
    given_reply, detail, wait = IDENTITY[name]
    assert read_identity_token(given_reply) == Blind(fault="identity-unavailable", detail=detail, wait_seconds=wait)


def test_a_metadata_service_is_asked_as_documented() -> None:
    """Version and resource, and the identity where there are several; its 200 is a token as login's."""
    path = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fgraph.microsoft.com%2F"
    assert identity_path("https://graph.microsoft.com/", "") == path
    assert identity_path("https://graph.microsoft.com/", "app") == f"{path}&client_id=app"
    assert isinstance(read_identity_token(reply(200, {"access_token": "t", "expires_in": "3599"})), Token)


CHALLENGES: dict[str, tuple[int, str, str | None]] = {
    "as documented": (401, "Basic realm=/var/opt/azcmagent/tokens/7f-1.key", "7f-1.key"),
    "in quotes": (401, 'Basic realm="/var/opt/azcmagent/tokens/7f.key"', "7f.key"),
    "a bare name": (401, "basic realm=7f.key", "7f.key"),
    "another folder": (401, "Basic realm=/etc/../root/x.key", "x.key"),
    "no key": (401, "Basic realm=/etc/shadow", None),
    "hidden": (401, "Basic realm=/x/.key", None),
    "two lines": (401, "Basic realm=/x/7f.key\n", None),
    "another scheme": (401, "Bearer realm=7f.key", None),
    "nothing": (401, "", None),
    "a token at once": (200, "Basic realm=7f.key", None),
    "an error": (500, "Basic realm=7f.key", None),
}


@pytest.mark.parametrize("name", CHALLENGES)
def test_azure_arc_names_a_key_of_its_own(name: str) -> None:
    """Of what it names only the file's name counts, and only a key's; all else is our own identity's trouble."""
    status, challenge, found = CHALLENGES[name]
    told = arc_key_name(Reply(status=status, headers={"www-authenticate": challenge}, body=b"{}"))
    assert (told if isinstance(told, str) else None) == found
    assert found or (isinstance(told, Blind) and told.fault == "identity-unavailable")


def test_azure_arc_is_asked_at_its_own_address_and_version() -> None:
    """Left as it is, the endpoint is Arc's; one that is written counts."""
    assert "api-version=2020-06-01&" in identity_path("https://graph.microsoft.com/", "", arc=True)
    access = Access(tenant="corp.example", managed_identity="arc")
    assert identity_endpoint(access).host == "127.0.0.1"
    assert identity_endpoint(access).port == 40342
    assert identity_endpoint(msgspec.structs.replace(access, identity_endpoint="http://127.0.0.1:99")).port == 99
    assert not access_flow(access, "x").also


def test_a_lacking_permission_makes_a_source_unavailable() -> None:
    """Where others do not need it, a refusal is told as such, with what would grant it; other reasons stay."""
    refused = Blind(fault="no-permission", detail="Graph answered 403", status=403)
    told = Blind(fault="unavailable", detail="Graph answered 403; it needs X.Read", status=403)
    assert unavailable(refused, "X.Read") == told
    assert unavailable(told, "X.Read") is told


PASSWORDS: dict[str, tuple[object, float | None]] = {
    "ours": ([{"hint": "can", "endDateTime": "2027-01-01T00:00:00Z"}], 1798761600.0),
    "another": ([{"hint": "xyz", "endDateTime": "2027-01-01T00:00:00Z"}], None),
    "two that it may be": (
        [{"hint": "can", "endDateTime": f"{year}-01-01T00:00:00Z"} for year in (2028, 2027)],
        1798761600.0,
    ),
    "no hint": ([{"hint": None, "endDateTime": "2027-01-01T00:00:00Z"}], None),
    "an empty hint": ([{"hint": "", "endDateTime": "2027-01-01T00:00:00Z"}], None),
    "no end": ([{"hint": "can", "endDateTime": None}], None),
    "none": ([], None),
    "no list": (5, None),
}


@pytest.mark.parametrize("name", PASSWORDS)
def test_our_secret_is_found_by_its_first_characters(name: str) -> None:
    """The earliest end of those that it may be; nothing when none is."""
    listed, ends = PASSWORDS[name]
    assert read_secret_end(reply(200, {"passwordCredentials": listed}), Secret(CANARY)) == ends


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "code", "error_codes", "innerError", "request-id", "access_token", "expires_in", "trace_id"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
BODIES = st.binary(max_size=60) | JSON.map(msgspec.json.encode)
HEADERS = st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text(string.printable, max_size=30))


@given(st.integers(min_value=100, max_value=599), HEADERS, BODIES)
def test_any_reply_gives_a_token_or_a_declared_reason(status: int, headers: dict[str, str], body: bytes) -> None:
    """No bytes raise; every reason stands in the fault table as an `unknown`."""
    anything = Reply(status=status, headers=headers, body=body)
    for outcome in (read_token(anything), read_graph_error(anything), read_identity_token(anything)):
        if isinstance(outcome, Token):
            assert status == 200
            assert is_bearer(outcome.bearer.reveal())
            continue
        assert outcome.fault in UNKNOWN
        assert outcome.wait_seconds is None or 0.0 <= outcome.wait_seconds <= MAX_WAIT_SECONDS


@given(st.text(string.printable, max_size=40))
def test_any_text_is_a_date_or_none(text: str) -> None:
    """A text that is no HTTP date gives None."""
    assert http_date(text) is None
    assert http_date(f"{text} GMT") is None or isinstance(http_date(f"{text} GMT"), float)


def test_every_code_leads_to_a_declared_fault() -> None:
    """The table of AADSTS codes names faults of the reference only."""
    assert set(AADSTS.values()) <= UNKNOWN
