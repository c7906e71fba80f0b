"""The server on real sockets: TLS, client certificates, basic auth, reload of files, a bounded stop."""

import asyncio
import base64
import datetime as dt
import os
import ssl
import time
from collections.abc import Sequence
from pathlib import Path

import bcrypt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from agent.config.problem import ConfigError
from agent.web.server import STOP_SECONDS, serve
from agent.web.webconfig import SECTIONS, load

pytestmark = pytest.mark.peer
Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def issue(name: str, issuer: Pair | None = None, sans: Sequence[str] = ()) -> Pair:
    """Return a certificate and its key, self-signed without an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if sans:
        names = x509.SubjectAlternativeName([x509.DNSName(san) for san in sans])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def store(folder: Path, name: str, pair: Pair) -> tuple[str, str]:
    """Write certificate and key; return their paths."""
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    cert.write_bytes(pair[0].public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        pair[1].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return str(cert), str(key)


async def hello(request: Request) -> Response:
    """Answer with what the server knows of a local peer."""
    return PlainTextResponse(f"hello {getattr(request.state, 'peer_uid', 'remote')}")


async def slow(_: Request) -> Response:
    """Never answer."""
    await asyncio.sleep(60)
    return PlainTextResponse("late")


APP: ASGIApp = Starlette(routes=[Route("/", hello), Route("/slow", slow)])


async def get(
    port: int, context: ssl.SSLContext | None = None, path: str = "/", headers: dict[str, str] | None = None
) -> str:
    """Return the whole answer to one request as text; empty when the server cut the connection."""
    name = "localhost" if context else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    lines = "".join(f"{k}: {v}\r\n" for k, v in (headers or {}).items())
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n".encode())
        return (await reader.read()).decode()
    except (ConnectionError, ssl.SSLError):
        return ""
    finally:
        writer.transport.abort()


def trusting(authority: Pair, client: tuple[str, str] | None = None) -> ssl.SSLContext:
    """Return a client context that trusts only `authority`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority[0].public_bytes(serialization.Encoding.PEM).decode())
    if client:
        context.load_cert_chain(*client)
    return context


def test_plain_on_a_port_of_the_kernels_choice() -> None:
    """Port 0 serves, and the answer carries its date and no server name."""

    async def scenario() -> str:
        async with serve(APP, "127.0.0.1:0") as served:
            assert served.port
            assert not served.tls
            return await get(served.port)

    answer = asyncio.run(scenario())
    assert answer.startswith("HTTP/1.1 200")
    assert answer.endswith("hello remote")
    assert "\ndate: " in answer.lower()
    assert "\nserver: " not in answer.lower()


def test_an_empty_host_serves_both_families() -> None:
    """`:0` answers on IPv4, and on IPv6 where the host has it."""

    async def scenario() -> str:
        async with serve(APP, ":0") as served:
            return await get(served.port)

    assert asyncio.run(scenario()).endswith("hello remote")


def test_the_unix_socket_knows_its_peer(tmp_path: Path) -> None:
    """A local client is known by its user id and needs no password; the socket goes with the server."""
    path = tmp_path / "agent.sock"
    path.write_bytes(b"")
    path.unlink()
    config = tmp_path / "web.yml"
    config.write_text(f"basic_auth_users: {{ops: {bcrypt.hashpw(b'pw', bcrypt.gensalt(4)).decode()}}}\n")

    async def scenario() -> str:
        async with serve(APP, "127.0.0.1:0", config, path):
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
            return answer.decode()

    assert asyncio.run(scenario()).endswith(f"hello {os.getuid()}")
    assert not path.exists()


def test_a_dead_socket_is_replaced(tmp_path: Path) -> None:
    """After kill -9 the socket file is still there; the next start takes its place."""
    path = tmp_path / "agent.sock"

    async def scenario() -> int:
        async with serve(APP, "127.0.0.1:0", uds=path):
            left = tmp_path / "left.sock"
            os.link(path, left)
        left.rename(path)
        async with serve(APP, "127.0.0.1:0", uds=path):
            return path.stat().st_mode & 0o777

    assert asyncio.run(scenario()) == 0o660


def test_basic_auth(tmp_path: Path) -> None:
    """Only the right password of a known user gets an answer, every time."""
    hashed = bcrypt.hashpw(b"s3cret", bcrypt.gensalt(4)).decode()
    config = tmp_path / "web.yml"
    config.write_text(
        f"basic_auth_users:\n  ops: {hashed}\nhttp_server_config:\n  headers:\n    X-Frame-Options: deny\n"
    )
    cases = {"": 401, "ops:s3cret": 200, "ops:wrong": 401, "nobody:s3cret": 401}

    async def scenario() -> list[str]:
        async with serve(APP, "127.0.0.1:0", config) as served:
            answers = []
            for user in [*cases, *cases]:
                header = {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()} if user else {}
                answers.append(await get(served.port, headers=header))
            return answers

    answers = asyncio.run(scenario())
    assert [int(answer.split()[1]) for answer in answers] == [*cases.values(), *cases.values()]
    assert all("x-frame-options: deny" in answer for answer in answers)


def test_tls_follows_its_files(tmp_path: Path) -> None:
    """A renewed certificate holds from the next connection; a broken file leaves the old one in force."""
    first, second = issue("first"), issue("second")
    store(tmp_path, "server", issue("localhost", first, ["localhost"]))
    config = tmp_path / "web.yml"
    config.write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}\n")

    async def scenario() -> list[bool]:
        seen = []
        async with serve(APP, "127.0.0.1:0", config) as served:
            assert served.tls
            seen.append((await get(served.port, trusting(first))).endswith("hello remote"))
            store(tmp_path, "server", issue("localhost", second, ["localhost"]))
            seen.append((await get(served.port, trusting(second))).endswith("hello remote"))
            (tmp_path / "server.crt").write_text("garbage")
            seen.append((await get(served.port, trusting(second))).endswith("hello remote"))
        return seen

    assert asyncio.run(scenario()) == [True, True, True]


@pytest.mark.parametrize(
    ("san", "answers"), [("scraper.example", True), ("other.example", False), (None, False)], ids=str
)
def test_client_certificates(tmp_path: Path, san: str | None, answers: bool) -> None:
    """With mutual TLS only a verified client on the list gets an answer."""
    authority = issue("authority")
    store(tmp_path, "ca", authority)
    store(tmp_path, "server", issue("localhost", authority, ["localhost"]))
    client = store(tmp_path, "client", issue("client", authority, [san])) if san else None
    config = tmp_path / "web.yml"
    config.write_text(
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_ca_file: ca.crt\n"
        "  client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [scraper.example]\n"
        "  min_version: TLS13\n"
    )

    async def scenario() -> str:
        async with serve(APP, "127.0.0.1:0", config) as served:
            return await get(served.port, trusting(authority, client))

    assert asyncio.run(scenario()).endswith("hello remote") is answers


def test_the_documented_example_loads(tmp_path: Path) -> None:
    """The example in the documentation is a configuration that this server takes, and every key is told of."""
    page = (Path(__file__).parents[2] / "docs" / "web-configuration.md").read_text()
    authority = issue("authority")
    store(tmp_path, "ca", authority)
    store(tmp_path, "server", issue("localhost", authority, ["localhost"]))
    file = tmp_path / "web.yml"
    file.write_text(page.split("```yaml\n")[1].split("```")[0])
    config = load(file)
    assert config.tls is not None
    assert config.tls.allowed_sans == ("prometheus.example",)
    assert set(config.users) == {"prometheus"}
    assert all(key in page for keys in SECTIONS.values() for key in keys)


def test_a_stop_is_bounded() -> None:
    """A handler that never answers and an idle connection do not hold up a stop."""

    async def scenario() -> float:
        async with serve(APP, "127.0.0.1:0") as served:
            hanging = asyncio.create_task(get(served.port, path="/slow"))
            _, idle = await asyncio.open_connection("127.0.0.1", served.port)
            await asyncio.sleep(0.1)
            began = time.monotonic()
        took = time.monotonic() - began
        await hanging
        idle.transport.abort()
        return took

    assert asyncio.run(scenario()) < STOP_SECONDS + 1


def test_a_wrong_file_does_not_start(tmp_path: Path) -> None:
    """An agent never starts half protected."""
    config = tmp_path / "web.yml"
    config.write_text("tls_server_config: {cert_file: none.crt, key_file: none.key}\n")

    async def scenario() -> None:
        async with serve(APP, "127.0.0.1:0", config):
            raise AssertionError

    with pytest.raises(ConfigError, match=r"web\.yml:1: tls_server_config\.cert_file"):
        asyncio.run(scenario())
