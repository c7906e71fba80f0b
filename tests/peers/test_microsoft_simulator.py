"""The Microsoft simulator over real HTTPS: Microsoft's own client library accepts it."""

import http.client
import ssl
from collections.abc import Iterator
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
    """Two requests on one connection are answered, each with the label."""
    context = ssl.create_default_context(cafile=str(microsoft.directory / "ca.pem"))
    connection = http.client.HTTPSConnection("localhost", microsoft.port, timeout=5, context=context)
    try:
        for path, status in (("/healthz", 200), ("/v1.0/organization", 401)):
            connection.request("GET", path)
            reply = connection.getresponse()
            reply.read()
            assert (reply.status, reply.getheader("X-Demarc-Simulated")) == (status, "microsoft")
    finally:
        connection.close()


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
