"""The Microsoft simulator over real HTTPS: Microsoft's own client library accepts it."""

import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.peers.simulated_microsoft import CLIENT, SECRET, TENANT, Microsoft, running

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def microsoft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Microsoft]:
    """Give one simulator for the module."""
    with running(tmp_path_factory.mktemp("microsoft")) as simulated:
        yield simulated


def test_it_keeps_connections_and_labels_replies(microsoft: Microsoft) -> None:
    """Requests on one connection are answered, each with the label; HEAD without a body."""
    context = ssl.create_default_context(cafile=str(microsoft.directory / "ca.pem"))
    connection = http.client.HTTPSConnection("localhost", microsoft.port, timeout=5, context=context)
    try:
        for method, path, status in (
            ("GET", "/healthz", 200),
            ("HEAD", "/healthz", 200),
            ("GET", "/v1.0/organization", 401),
        ):
            connection.request(method, path)
            reply = connection.getresponse()
            reply.read()
            assert (reply.status, reply.getheader("X-Demarc-Simulated")) == (status, "microsoft")
    finally:
        connection.close()


def test_it_ends_in_order_with_a_request_hanging(tmp_path: Path) -> None:
    """SIGTERM ends it at once, whatever is open; `running` checks code and log."""
    with running(tmp_path) as simulated:
        simulated.behave(mode="hang")
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        with (
            socket.create_connection(("127.0.0.1", simulated.port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secured,
        ):
            secured.sendall(b"GET /v1.0/organization HTTP/1.1\r\nHost: localhost\r\n\r\n")
            until = time.monotonic() + 5
            while not simulated.requests():
                assert time.monotonic() < until
                time.sleep(0.02)
            assert simulated.requests() == ["GET /v1.0/organization None"]


def test_strangers_leave_no_trace(microsoft: Microsoft) -> None:
    """Bytes that are no TLS, no HTTP or nothing at all end their own connection only."""
    context = ssl.create_default_context(cafile=str(microsoft.directory / "ca.pem"))
    for secure in (False, True):
        for sent in (b"", b"\0\xff\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", microsoft.port), timeout=5) as plain:
                end = context.wrap_socket(plain, server_hostname="localhost") if secure else plain
                with end, suppress(OSError):
                    end.sendall(sent)
                    end.settimeout(0.3)
                    end.recv(1)
    test_it_keeps_connections_and_labels_replies(microsoft)


def test_microsofts_own_library_gets_a_token(microsoft: Microsoft) -> None:
    """MSAL discovers, asks and understands both the token and the refusal."""
    msal = pytest.importorskip("msal")
    requests = pytest.importorskip("requests")
    session = requests.Session()
    session.trust_env = False
    session.verify = str(microsoft.directory / "ca.pem")

    def ask(secret: str) -> Any:
        application = msal.ConfidentialClientApplication(
            CLIENT,
            client_credential=secret,
            authority=f"https://localhost:{microsoft.port}/{TENANT}",
            instance_discovery=False,
            http_client=session,
        )
        return application.acquire_token_for_client(["https://graph.microsoft.com/.default"])

    with session:
        assert ask(SECRET)["token_type"] == "Bearer"
        assert ask("wrong")["error_codes"] == [7000215]
