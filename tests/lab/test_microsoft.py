"""The Microsoft simulator, pure: documented bodies and headers, and a state file that never breaks it."""

import io
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.microsoft.exchange import MAX_TOKENS, Reply, Request, Tenant
from lab.microsoft.login import REFUSALS
from lab.microsoft.replies import answer
from lab.microsoft.script import apply, main
from lab.microsoft.server import Simulator
from lab.microsoft.state import State, change, load, save

# Monday 23 November 2026, 17:00:10 UTC: ten seconds into a cycle of half an hour.
NOW = 1795453210.0
APP = "66666666-7777-8888-9999-000000000000"
FORM = {
    "grant_type": "client_credentials",
    "client_id": APP,
    "client_secret": "right",
    "scope": "https://graph.microsoft.com/.default",
}


def tenant() -> Tenant:
    """Return a directory with one application and no tokens."""
    return Tenant(id="t1", client_id=APP, secret="right")


def post(form: dict[str, str], named: str = "t1") -> Request:
    """Return a token request."""
    return Request(method="POST", target=f"/{named}/oauth2/v2.0/token", body=urlencode(form).encode())


def get(path: str, bearer: str | None = None, **headers: str) -> Request:
    """Return a GET request, with a bearer token if given."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if bearer is not None:
        sent["authorization"] = f"Bearer {bearer}"
    return Request(method="GET", target=path, headers=sent)


def body(reply: Reply) -> Any:
    """Return a JSON body."""
    return msgspec.json.decode(reply.body)


REFUSED: dict[str, tuple[dict[str, str], State, int, int, str]] = {
    "another tenant": (FORM, State(), 90002, 400, "invalid_request"),
    "no grant type": ({}, State(), 900144, 400, "invalid_request"),
    "another grant type": (FORM | {"grant_type": "password"}, State(), 70003, 400, "unsupported_grant_type"),
    "another application": (FORM | {"client_id": "x"}, State(), 700016, 400, "unauthorized_client"),
    "application missing": (FORM, State(credential="app-missing"), 700016, 400, "unauthorized_client"),
    "application disabled": (FORM, State(credential="app-disabled"), 7000112, 400, "unauthorized_client"),
    "no secret": (FORM | {"client_secret": ""}, State(), 7000218, 401, "invalid_client"),
    "wrong secret": (FORM | {"client_secret": "left"}, State(), 7000215, 401, "invalid_client"),
    "right secret called wrong": (FORM, State(credential="wrong"), 7000215, 401, "invalid_client"),
    "expired": (FORM, State(credential="expired"), 7000222, 401, "invalid_client"),
    "wrong secret before expired": (
        FORM | {"client_secret": "left"},
        State(credential="expired"),
        7000215,
        401,
        "invalid_client",
    ),
    "another scope": (FORM | {"scope": "User.Read"}, State(), 70011, 400, "invalid_scope"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_login_refuses_as_documented(name: str) -> None:
    """Each condition that does not hold has its code, its OAuth error and its status."""
    form, state, code, status, error = REFUSED[name]
    reply = answer(post(form, "t2" if name == "another tenant" else "t1"), state, tenant(), NOW)
    said = body(reply)
    assert (reply.status, said["error"], said["error_codes"]) == (status, error, [code])
    assert said["error_description"].startswith(f"AADSTS{code}: ")
    assert {"timestamp", "trace_id", "correlation_id", "error_uri"} < set(said)
    assert b"right" not in reply.body


def test_every_refusal_can_be_written() -> None:
    """No text of the table names a field that a request does not give."""
    for code in REFUSALS:
        REFUSALS[code][2].format(tenant="t", method="GET", grant="g", app="a", name="n")


def test_a_token_opens_graph_until_it_expires() -> None:
    """Only a token of this tenant, within its hour, is honoured."""
    directory = tenant()
    granted = body(answer(post(FORM), State(), directory, NOW))
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 3599)
    path = "/v1.0/organization"
    for moment, bearer, status in (
        (NOW + 3598, granted["access_token"], 200),
        (NOW + 3599, granted["access_token"], 401),
        (NOW, "forged", 401),
        (NOW, None, 401),
    ):
        reply = answer(get(path, bearer), State(), directory, moment)
        assert reply.status == status
        assert ("WWW-Authenticate" in dict(reply.headers)) == (status == 401)


def test_tokens_are_bounded() -> None:
    """The oldest token is forgotten when too many live."""
    directory = tenant()
    first = directory.issue(NOW)
    for _ in range(MAX_TOKENS):
        directory.issue(NOW)
    assert (len(directory.tokens), first in directory.tokens) == (MAX_TOKENS, False)


SELECT = "?$select=id,displayName,onPremisesSyncEnabled,onPremisesLastSyncDateTime"
PASSWORD = "?$select=onPremisesLastPasswordSyncDateTime"
SEEN: dict[str, tuple[str, State, dict[str, object]]] = {
    "in order": (
        f"/v1.0/organization{SELECT}",
        State(),
        {"onPremisesSyncEnabled": True, "onPremisesLastSyncDateTime": "2026-11-23T17:00:00Z"},
    ),
    "stopped": (
        f"/v1.0/organization{SELECT}",
        change(State(), {"last_sync": "2026-11-23T10:00:00+01:00"}),
        {"onPremisesLastSyncDateTime": "2026-11-23T09:00:00Z"},
    ),
    "an age": (
        f"/v1.0/organization{SELECT}",
        State(sync_age_seconds=70.0),
        {"onPremisesLastSyncDateTime": "2026-11-23T16:59:00Z"},
    ),
    "turned off": (f"/v1.0/organization{SELECT}", State(sync_enabled=False), {"onPremisesSyncEnabled": False}),
    "never on": (f"/v1.0/organization{SELECT}", State(sync_enabled=None), {"onPremisesLastSyncDateTime": None}),
    "no permission": (
        f"/v1.0/organization{SELECT}",
        State(mode="null"),
        {"onPremisesSyncEnabled": None, "onPremisesLastSyncDateTime": None, "displayName": None},
    ),
    "passwords, in beta": (
        f"/beta/organization{PASSWORD}",
        State(password_sync_age_seconds=10.0),
        {"onPremisesLastPasswordSyncDateTime": "2026-11-23T17:00:00Z"},
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_graph_shows_the_organisation(name: str) -> None:
    """The selected properties, and no others, say what the state says."""
    path, state, expected = SEEN[name]
    directory = tenant()
    reply = answer(get(path, directory.issue(NOW), client_request_id="mine"), state, directory, NOW)
    said = body(reply)
    assert said["value"][0] | expected == said["value"][0]
    assert set(said["value"][0]) == set(path.partition("=")[2].split(","))
    headers = dict(reply.headers)
    assert (headers["client-request-id"], headers["Date"]) == ("mine", "Mon, 23 Nov 2026 17:00:10 GMT")
    assert len(headers["request-id"]) == 36


def test_it_is_labelled_as_simulated() -> None:
    """Nobody can take the organisation for a real one."""
    assert tenant().name.startswith("SIMULATED")


ERRORS: dict[str, tuple[str, State, int, str]] = {
    "password time in v1.0": (f"/v1.0/organization{PASSWORD}", State(), 400, "BadRequest"),
    "another resource": ("/v1.0/devices", State(), 400, "BadRequest"),
    "401": ("/v1.0/organization", State(mode="401"), 401, "InvalidAuthenticationToken"),
    "403": ("/v1.0/organization", State(mode="403"), 403, "Authorization_RequestDenied"),
    "429": ("/v1.0/organization", State(mode="429"), 429, "TooManyRequests"),
    "5xx": ("/beta/organization", State(mode="5xx"), 503, "ServiceUnavailable"),
    "502": ("/beta/organization", State(mode="502"), 502, "BadGateway"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_graph_refuses_as_documented(name: str) -> None:
    """The error object holds a code and the ids that Microsoft's support asks for."""
    path, state, status, code = ERRORS[name]
    directory = tenant()
    reply = answer(get(path, directory.issue(NOW)), state, directory, NOW)
    error = body(reply)["error"]
    assert (reply.status, error["code"]) == (status, code)
    assert error["innerError"]["request-id"] == dict(reply.headers)["request-id"]
    assert dict(reply.headers).get("Retry-After") == ("2.128" if status in (429, 503) else None)


def test_a_wait_may_be_left_out() -> None:
    """With `retry_after` null no Retry-After is sent."""
    reply = answer(get("/v1.0/organization"), State(mode="429", retry_after=None), tenant(), NOW)
    assert "Retry-After" not in dict(reply.headers)


MOODS: dict[str, tuple[Request, State, int, float]] = {
    "login hangs": (post(FORM), State(login="hang"), 200, float("inf")),
    "login is slow": (post(FORM), State(login="slow", slow_seconds=2.0), 200, 2.0),
    "login is a portal": (post(FORM), State(login="html"), 200, 0.0),
    "login throttles": (post(FORM), State(login="429"), 429, 0.0),
    "login has trouble": (post(FORM), State(login="5xx"), 503, 0.0),
    "login has other trouble": (post(FORM), State(login="500"), 500, 0.0),
    "Graph hangs, login does not": (post(FORM), State(mode="hang"), 200, 0.0),
    "reachability is another matter": (get("/healthz"), State(mode="hang", login="hang"), 200, 0.0),
    "something else": (get("/favicon.ico"), State(), 404, 0.0),
    "the wrong method at login": (get("/t1/oauth2/v2.0/token"), State(), 400, 0.0),
    "OpenID configuration": (get("/t1/v2.0/.well-known/openid-configuration", host="h:1"), State(), 200, 0.0),
}


@pytest.mark.parametrize("name", MOODS)
def test_each_half_has_its_own_mood(name: str) -> None:
    """Login, Graph and the reachability page misbehave independently."""
    request, state, status, delay = MOODS[name]
    reply = answer(request, state, tenant(), NOW)
    assert (reply.status, reply.delay_seconds) == (status, delay)


def test_openid_names_the_addresses_by_which_one_came() -> None:
    """A client that discovers finds the simulator again, not Microsoft."""
    said = body(answer(get("/t1/v2.0/.well-known/openid-configuration", host="h:1"), State(), tenant(), NOW))
    assert said["token_endpoint"] == "https://h:1/t1/oauth2/v2.0/token"


@given(
    st.text(max_size=30), st.dictionaries(st.sampled_from(["authorization", "host"]), st.text(max_size=9)), st.binary()
)
def test_any_request_is_answered(target: str, headers: dict[str, str], sent: bytes) -> None:
    """No target, header or body breaks the simulator."""
    for prefix in ("/", "//[", "/v1.0/", "/v1.0/organization?$select=", "/t1/oauth2/v2.0/token?"):
        for method in ("GET", "POST", "PUT"):
            request = Request(method=method, target=prefix + target, headers=headers, body=sent)
            assert 200 <= answer(request, State(), tenant(), NOW).status < 600


def test_the_state_is_written_and_read_in_one_piece(tmp_path: Path) -> None:
    """What is saved is loaded; a missing file means the defaults; no part file stays behind."""
    file = tmp_path / "state.json"
    assert load(file) == State()
    save(file, State(mode="429"))
    assert load(file) == State(mode="429")
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("text", ["", "{", '{"mode":"418"}', '{"mood":"ok"}', '{"last_sync":"2026-11-23T10:00:00"}'])
def test_a_bad_state_file_leaves_the_last_good_state(tmp_path: Path, text: str) -> None:
    """The simulator goes on and says so in its log."""
    file, log = tmp_path / "state.json", io.StringIO()
    simulator = Simulator(tenant(), file, log)
    save(file, State(mode="403"))
    assert simulator.state().mode == "403"
    file.write_text(text)
    assert simulator.state().mode == "403"
    assert '"event": "bad state file"' in log.getvalue()
    assert '"simulated": "microsoft"' in log.getvalue()


WORDS: dict[str, tuple[list[str], dict[str, object]]] = {
    "a mode": (["mode=429"], {"mode": "429"}),
    "null": (["retry_after=null", "sync_enabled=null"], {"retry_after": None, "sync_enabled": None}),
    "false": (["sync_enabled=false"], {"sync_enabled": False}),
    "a number": (["sync_age_seconds=90"], {"sync_age_seconds": 90.0}),
    "no number": (["sync_age_seconds=90", "sync_age_seconds=null"], {}),
    "a fraction that is a text": (["retry_after=0.5"], {"retry_after": "0.5"}),
    "reset": (["mode=429", "reset", "login=503"], {"login": "503"}),
    "freeze": (["freeze"], {"last_sync": "2026-11-23T17:00:00Z", "last_password_sync": "2026-11-23T17:00:00Z"}),
}


@pytest.mark.parametrize("name", WORDS)
def test_words_change_the_state(name: str) -> None:
    """Words are applied in order, from the defaults on."""
    words, expected = WORDS[name]
    assert apply(State(), words, NOW) == change(State(), expected)


@pytest.mark.parametrize("word", ["mode", "mode=418", "mood=ok", "sync_age_seconds=old", "last_sync=yesterday"])
def test_a_word_that_does_not_fit_changes_nothing(
    tmp_path: Path, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command exits 2 and writes no file."""
    file = tmp_path / "state.json"
    assert main([str(file), word]) == 2
    assert capsys.readouterr().err
    assert not file.exists()


def test_the_command_shows_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without changes it only shows."""
    file = tmp_path / "state.json"
    assert main([str(file)]) == 0
    assert not file.exists()
    assert main([str(file), "mode=html"]) == 0
    assert load(file) == State(mode="html")
    assert '"mode": "html"' in capsys.readouterr().out
