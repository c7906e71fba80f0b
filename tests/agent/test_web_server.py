"""The server's parsers and checks without a socket: listen addresses, web configuration, credentials."""

import asyncio
import base64
import re
from pathlib import Path

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.problem import ConfigError
from agent.web.server import parse_listen
from agent.web.tls import PasswordCheck, allowed, credentials
from agent.web.webconfig import WebConfig, load
from probes.kit.secret import Secret

HASH = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (":10199", ("", 10199)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:10199", ("::1", 10199)),
        ("[fe80::1%eth0]:65535", ("fe80::1%eth0", 65535)),
        ("host.example:80", ("host.example", 80)),
    ],
)
def test_listen(text: str, found: tuple[str, int]) -> None:
    """Prometheus' forms of a listen address."""
    assert parse_listen(text) == found


@pytest.mark.parametrize(
    "text", ["", "10199", "::1:10199", "[::1]", "host:", "host:65536", "[host]:1", "a b:1:2", ":-1"]
)
def test_no_listen_address(text: str) -> None:
    """Anything else says what to write instead."""
    with pytest.raises(ValueError, match=re.escape("write such as `:10199`")):
        parse_listen(text)


@given(st.text(max_size=40))
def test_any_listen_text(text: str) -> None:
    """Any text is a host and a port in range, or a ValueError."""
    try:
        _, port = parse_listen(text)
    except ValueError:
        return
    assert 0 <= port <= 65535


def refused(folder: Path, text: str) -> list[str]:
    """Return the problems of a web configuration, without the folder's name."""
    file = folder / "web.yml"
    file.write_text(text)
    for name in ("s.crt", "s.key", "ca.crt"):
        (folder / name).write_text("x")
    with pytest.raises(ConfigError) as caught:
        load(file)
    return [str(problem).replace(str(folder) + "/", "") for problem in caught.value.problems]


TLS = "tls_server_config:\n  cert_file: s.crt\n  key_file: s.key\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "tls_config: {}\n",
            "web.yml:1: tls_config: is not supported here; remove it; did you mean `tls_server_config`?",
        ),
        (TLS + "  cert: x\n", "web.yml:4: tls_server_config.cert: is not supported here; remove it"),
        ("tls_server_config:\n  cert_file: s.crt\n", "web.yml:1: tls_server_config: needs cert_file and key_file"),
        (
            "tls_server_config:\n  cert_file: no.crt\n  key_file: s.key\n",
            "web.yml:2: tls_server_config.cert_file: `no.crt` cannot be read: No such file or directory",
        ),
        (
            "tls_server_config: {cert_file: 7, key_file: s.key}\n",
            "web.yml:1: tls_server_config.cert_file: must be text",
        ),
        (TLS, "web.yml:1: tls_server_config: certificate, key and CA do not load: "),
        (
            TLS + "  min_version: TLS10\n",
            "web.yml:4: tls_server_config.min_version: `TLS10` is not supported; write TLS12 or TLS13",
        ),
        (
            TLS + "  client_auth_type: RequireAnyClientCert\n",
            "web.yml:4: tls_server_config.client_auth_type: `RequireAnyClientCert` is not supported; this server",
        ),
        (
            TLS + "  client_auth_type: RequireAndVerifyClientCert\n",
            "web.yml:4: tls_server_config.client_auth_type: needs client_ca_file",
        ),
        (
            TLS + "  client_ca_file: ca.crt\n  client_allowed_sans: [a.example]\n",
            "web.yml:5: tls_server_config.client_allowed_sans: needs `client_auth_type: RequireAndVerifyClientCert`",
        ),
        (
            TLS + "  client_allowed_sans: a.example\n",
            "web.yml:4: tls_server_config.client_allowed_sans: must be a list",
        ),
        ("basic_auth_users: [ops]\n", "web.yml:1: basic_auth_users: must hold keys, each on a line of its own"),
        ("basic_auth_users:\n  ops: s3cret\n", "web.yml:2: basic_auth_users.ops: must be a bcrypt hash"),
        (
            "http_server_config:\n  headers:\n    Set-Cookie: a\n",
            "web.yml:3: http_server_config.headers.Set-Cookie: cannot be set; write Content-Security-Policy,",
        ),
        (
            'http_server_config:\n  headers:\n    X-Frame-Options: "a\\nb"\n',
            "web.yml:3: http_server_config.headers.X-Frame-Options: must be printable ASCII on one line",
        ),
        ("just text\n", "web.yml:1: must hold keys, each on a line of its own"),
        ("a: [\n", "web.yml:"),
    ],
)
def test_what_is_wrong_with_a_web_configuration(tmp_path: Path, text: str, problem: str) -> None:
    """What this server cannot honour is an error with its line, never ignored."""
    found = refused(tmp_path, text)
    assert any(said.startswith(problem) for said in found), found
    assert "s3cret" not in str(found)


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    """Three mistakes give three lines."""
    assert len(refused(tmp_path, "a: 1\nbasic_auth_users: {x: y}\nhttp_server_config: {headers: {Y: z}}\n")) == 3


@pytest.mark.parametrize("text", ["", "\n \n", "{}\n", "http_server_config:\n", "basic_auth_users: {}\n"])
def test_an_empty_configuration_is_plain(tmp_path: Path, text: str) -> None:
    """Nothing configured is plain HTTP, as in exporter-toolkit."""
    file = tmp_path / "web.yml"
    file.write_text(text)
    assert load(file) == WebConfig()


def test_users_and_headers(tmp_path: Path) -> None:
    """Hashes are kept as secrets, headers as written; http2 is taken and means nothing here."""
    file = tmp_path / "web.yml"
    file.write_text(
        f"basic_auth_users:\n  ops: {HASH}\nhttp_server_config:\n  http2: true\n  headers:\n    X-Frame-Options: deny\n"
    )
    config = load(file)
    assert config == WebConfig(users={"ops": Secret(HASH)}, headers={"X-Frame-Options": "deny"})
    assert HASH not in repr(config)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Any bytes are a configuration or a ConfigError, nothing else."""
    file = tmp_path_factory.mktemp("web") / "web.yml"
    file.write_bytes(data)
    try:
        config = load(file)
    except ConfigError as error:
        assert error.problems  # noqa: PT017 - one of the two outcomes
        return
    assert config.tls is None


def basic(text: str) -> str:
    """Return a basic Authorization header."""
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (basic("ops:pass:word"), ("ops", "pass:word")),
        (basic("ops"), ("ops", "")),
        ("basic  " + base64.b64encode(b"a:b").decode(), ("a", "b")),
        ("Bearer x", ("", "")),
        ("Basic ###", ("", "")),
        ("Basic /w==", ("", "")),
        ("", ("", "")),
    ],
)
def test_credentials(header: str, found: tuple[str, str]) -> None:
    """RFC 7617: the first colon separates; what is malformed names nobody."""
    assert credentials(header) == found


def test_passwords() -> None:
    """Right and wrong passwords, an unknown user, and one that bcrypt would cut short."""
    hashed = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    config = WebConfig(users={"ops": Secret(hashed)})
    check = PasswordCheck()

    async def scenario() -> list[bool]:
        tried = ["ops:" + "x" * 72, "ops:wrong", "nobody:" + "x" * 72, "ops:" + "x" * 73, "ops:\0", "ops:" + "x" * 72]
        return [await check(basic(text), config) for text in tried]

    assert asyncio.run(scenario()) == [True, False, False, False, False, True]


def test_remembered_passwords_are_bounded() -> None:
    """Accepted credentials are remembered, the oldest forgotten; a changed hash is a new credential."""
    check = PasswordCheck()
    hashes = [bcrypt.hashpw(b"p", bcrypt.gensalt(4)).decode() for _ in range(70)]

    async def scenario() -> bool:
        return all([await check(basic("ops:p"), WebConfig(users={"ops": Secret(hashed)})) for hashed in hashes])

    assert asyncio.run(scenario())
    assert len(check._good) == 64


@pytest.mark.parametrize(
    ("certificate", "found"),
    [
        ({"subjectAltName": (("DNS", "a.example"), ("IP Address", "10.0.0.1"))}, True),
        ({"subjectAltName": (("IP Address", "10.0.0.9"),)}, True),
        ({"subjectAltName": (("DNS", "b.example"),)}, False),
        ({"subject": ((("commonName", "a.example"),),)}, False),
        (None, False),
    ],
)
def test_allowed_names(certificate: dict[str, object] | None, found: bool) -> None:
    """Only subject alternative names count, of whatever kind."""
    assert allowed(certificate, ("a.example", "10.0.0.9")) is found
