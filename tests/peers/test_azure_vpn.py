"""azure_vpn against the simulated Resource Manager, over real HTTPS: SIMULATED, no real gateway of Azure's."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from lab.microsoft.arm import CONNECTION, SHARED_KEY
from probes import azure_vpn
from probes.azure_vpn import AzureRunner, Settings
from probes.kit.result import Outcome, Result
from tests.peers.simulated_microsoft import CLIENT, SECRET, TENANT, Kit, Microsoft, running

pytestmark = pytest.mark.peer

READ = f"GET {CONNECTION} 200"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Microsoft]:
    """Give one simulator for the module."""
    with running(tmp_path_factory.mktemp("azure")) as microsoft:
        yield microsoft


@pytest.fixture
def azure(shared: Microsoft) -> Microsoft:
    """Give the simulator with its defaults."""
    shared.behave()
    return shared


def settings(azure: Microsoft, connection: str = CONNECTION) -> Settings:
    """Return settings that reach the simulator."""
    return Settings(
        target=f"https://graph.sim.test:{azure.port}",
        authority=f"https://login.sim.test:{azure.port}",
        tenant=TENANT,
        client_id=CLIENT,
        secret_file=str(azure.secret_file),
        ca_file=str(azure.directory / "ca.pem"),
        connection=connection,
    )


@asynccontextmanager
async def asking(asked: Settings) -> AsyncIterator[tuple[Callable[..., Awaitable[Result]], Kit]]:
    """Open the probe; what is given makes one attempt."""
    kit = Kit()
    async with azure_vpn.open(kit) as runner:

        async def ask(within: float = 20.0) -> Result:
            assert isinstance(runner, AzureRunner)
            return await runner.attempt(asked, kit.clock.boot() + within)

        yield ask, kit


def once(asked: Settings, within: float = 20.0) -> Result:
    """Make one attempt."""

    async def main() -> Result:
        async with asking(asked) as (ask, _):
            return await ask(within)

    return asyncio.run(main())


def test_a_connection_is_read(azure: Microsoft) -> None:
    """One token, one look at the connection, one at its health; the family's values are told."""
    result = once(settings(azure))
    assert (result.outcome, result.detail) == (
        Outcome.OK,
        "Azure: Connected, 1 of 1 tunnels connected; Resource Health: Available",
    )
    assert result.values["vpn_tunnels_established"] == 1
    assert result.values["azure_vpn_available"] == 1
    assert result.values["vpn_received_bytes_total"] > 0
    assert set(result.phases) == {"token", "graph"}
    assert READ in azure.requests()


STATES: dict[str, tuple[dict[str, object], str, str]] = {
    "not connected": ({"vpn_status": "NotConnected"}, "failed", "not-connected"),
    "connecting": ({"vpn_status": "Connecting"}, "failed", "connecting"),
    "status Unknown": ({"vpn_status": "Unknown"}, "unknown", "no-data"),
    "one of two": ({"vpn_tunnels": ["a", "b"], "vpn_tunnels_down": ["b"]}, "degraded", "tunnel-down"),
    "not healthy": ({"vpn_health": "Unavailable"}, "degraded", "health-unavailable"),
    "deleted": ({"arm": "404"}, "failed", "not-configured"),
    "nulls": ({"arm": "null"}, "unknown", "no-data"),
    "401": ({"arm": "401"}, "unknown", "no-permission"),
    "403": ({"arm": "403"}, "unknown", "no-permission"),
    "429": ({"arm": "429"}, "unknown", "throttled"),
    "500": ({"arm": "500"}, "unknown", "graph-error"),
    "503": ({"arm": "503"}, "unknown", "graph-error"),
    "a portal": ({"arm": "html"}, "unknown", "not-graph"),
    "login refuses": ({"credential": "expired"}, "unknown", "credential-expired"),
}


@pytest.mark.parametrize("case", STATES)
def test_what_azure_says_is_told(azure: Microsoft, case: str) -> None:
    """What it says of the tunnel is judged; whatever keeps us from reading is unknown, with its reason."""
    changes, outcome, fault = STATES[case]
    azure.behave(**changes)
    result = once(settings(azure))
    assert (result.outcome, result.fault) == (outcome, fault)
    assert "Graph" not in result.detail


def test_silence_is_unknown(azure: Microsoft) -> None:
    """An attempt ends by its deadline."""
    azure.behave(arm="hang")
    result = once(settings(azure), within=1.0)
    assert (result.outcome, result.fault) == (Outcome.UNKNOWN, "graph-unreachable")


def test_the_instance_of_a_reconnect(azure: Microsoft) -> None:
    """Back under its name: the way or the other device. Under the other one: Microsoft's own failover."""
    later = datetime.now(UTC) + timedelta(minutes=1)

    async def main() -> None:
        async with asking(settings(azure)) as (ask, _):
            await ask()
            azure.behave(vpn_status="NotConnected")
            assert (await ask()).fault == "not-connected"
            azure.behave(vpn_since=later)
            assert (await ask()).values["azure_vpn_reconnects_same_total"] == 1
            azure.behave(vpn_since=later + timedelta(minutes=1), vpn_tunnels=["site_instance1"])
            values = (await ask()).values
            assert (values["azure_vpn_reconnects_same_total"], values["azure_vpn_reconnects_other_total"]) == (1, 1)

    asyncio.run(main())


def test_what_comes_back_or_does_not_is_seen(azure: Microsoft) -> None:
    """Bytes in both directions pass; bytes out and none in for some time do not."""

    async def main() -> None:
        async with asking(settings(azure)) as (ask, kit):
            azure.behave(vpn_received_bytes=10, vpn_sent_bytes=10)
            first = await ask()
            azure.behave(vpn_received_bytes=20, vpn_sent_bytes=20)
            assert (await ask()).values["vpn_passing"] == 1
            for sent in (30, 40):
                azure.behave(vpn_received_bytes=20, vpn_sent_bytes=sent)
                kit.clock.moved_seconds += 60.0
                last = await ask()
            assert "vpn_passing" not in first.values
            assert last.outcome is Outcome.OK
            assert last.values["vpn_passing"] == 0

    asyncio.run(main())


def test_waiting_is_waited(azure: Microsoft) -> None:
    """While Azure asks us to stay away nothing is sent."""
    azure.behave(arm="429", retry_after="60")

    async def main() -> None:
        async with asking(settings(azure)) as (ask, _):
            await ask()
            sent = len(azure.requests())
            assert "asked to wait" in (await ask()).detail
            assert len(azure.requests()) == sent

    asyncio.run(main())


def test_neither_shared_key_nor_token_nor_secret_is_repeated(
    azure: Microsoft, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """The canaries that the simulator answers with, and our own secret, stand in no result, log or output."""
    caplog.set_level(logging.DEBUG)
    told = ""
    for changes in ({}, {"vpn_status": "NotConnected"}, {"arm": "403"}, {"arm": "null"}, {"credential": "wrong"}):
        azure.behave(**changes)
        result = once(settings(azure))
        told += repr(result) + msgspec.json.encode(result).decode()
    output = capfd.readouterr()
    told += caplog.text + output.out + output.err + azure.log()
    for canary in (SHARED_KEY, SECRET, "eyJ"):
        assert canary not in told
