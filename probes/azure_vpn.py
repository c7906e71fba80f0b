"""azure_vpn: what Azure says of a site-to-site connection of its VPN gateway, through ARM with an app-only token.

What must stay true: it is Microsoft's word about a state and proves nothing of the way; every fail accuses the whole
path. Whatever keeps us from reading it (401, 403, 429, 5xx, nulls, silence) is `unknown` with its reason, and nothing
else of demarc needs it. The connection's shared key is never asked for, and is passed over where it is told.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from probes.kit.azure_connection import Health, Watched, read_connection, read_health, watch
from probes.kit.https_exchange import ExchangeError
from probes.kit.microsoft import Blind
from probes.kit.microsoft_access import ACCESS_FAULTS, ACCESS_HELP, ACCESS_METRICS, LEAVES, Access, access_flow
from probes.kit.microsoft_client import MicrosoftClient, Visit
from probes.kit.result import Result, Stage, failed
from probes.kit.spec import Evidence, Fault, Flow, Kit, Metric, Pace, Spec
from probes.kit.tunnel_state import METRICS, Tunnel, follow, tunnel_values

ARM: Final = "https://management.azure.com"
_CONNECTION_VERSION: Final = "2024-05-01"
_HEALTH_VERSION: Final = "2020-05-01"
_NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_.()-]{0,89}"
_RESOURCE: Final = re.compile(
    rf"/subscriptions/[0-9a-fA-F-]{{36}}/resourceGroups/{_NAME}/providers/Microsoft\.Network/connections/({_NAME})\Z"
)
_HEALTH_AGAIN_SECONDS: Final = 600.0  # after a refusal that named no time
_MISSING: Final = ("ResourceNotFound", "ResourceGroupNotFound", "SubscriptionNotFound")


class Settings(Access, frozen=True, kw_only=True):
    """Which connection is read, and whether Resource Health is asked too."""

    target: str = ARM
    connection: str
    health: bool = True


SPEC: Final = Spec(
    type="azure_vpn",
    summary="What Azure says of a VPN gateway's connection: status, tunnels, bytes, which instance, Resource Health.",
    settings=Settings,
    key_help=ACCESS_HELP
    | {
        "target": "Azure's Resource Manager of the tenant's cloud.",
        "client_id": "Application (client) id; it needs the role Reader on the connection, nothing in the directory.",
        "connection": "Resource id of the connection: `/subscriptions/…/resourceGroups/…/providers/"
        "Microsoft.Network/connections/NAME`.",
        "health": "Also ask Resource Health about the connection.",
    },
    faults=(
        Fault(
            "not-configured",
            Stage.CONNECT,
            "Azure has no such connection.",
            "Compare `connection` with the portal (Properties, Resource ID): was the connection deleted or renamed?",
        ),
        Fault(
            "not-connected",
            Stage.CONNECT,
            "Azure's gateway has no tunnel to the other side.",
            "An ike probe tells whether the other gateway lives; Resource Health names what Azure sees.",
        ),
        Fault(
            "connecting",
            Stage.CONNECT,
            "Azure's gateway is setting the tunnel up, without success so far.",
            "No answer, another key, or no common proposal: read both gateways' logs.",
        ),
        Fault(
            "tunnel-down",
            Stage.CONNECT,
            "One tunnel of several is not connected (degraded).",
            "The other instance of the gateway, or the way to the other side's second address.",
        ),
        Fault(
            "health-unavailable",
            Stage.CONNECT,
            "The tunnel stands, and Resource Health does not call the connection available (degraded).",
            "The detail holds Microsoft's reason; see Resource Health in the portal.",
        ),
        Fault("no-data", None, "Azure tells no status, or one that we do not know.", "Grant Reader on the connection."),
        *ACCESS_FAULTS,
    ),
    phases=("token", "graph"),
    metrics=(
        *METRICS,
        Metric("azure_vpn_reconnects_same_total", "Tunnels seen to come back on the same instance.", counter=True),
        Metric("azure_vpn_reconnects_other_total", "Tunnels seen to come back on the other instance.", counter=True),
        Metric("azure_vpn_available", "1 if Resource Health calls the connection available, else 0."),
        *ACCESS_METRICS,
    ),
    evidence=Evidence.STATE,
    pace=Pace.OWN,
    default_interval=60.0,
    default_timeout=30.0,
    leaves_traces=LEAVES,
)


def flow(settings: Settings) -> Flow:
    """Return the flow to ARM, and also to login, or to the proxy alone; ValueError says which key is wrong."""
    if not _RESOURCE.match(settings.connection):
        raise ValueError(
            f"connection: {settings.connection[:80]!r} is no resource id of a connection; write /subscriptions/…/"
            "resourceGroups/…/providers/Microsoft.Network/connections/NAME"
        )
    return access_flow(settings, f"connection {connection_name(settings)}")


def connection_name(settings: Settings) -> str:
    """Return the connection's own name."""
    return settings.connection.rpartition("/")[2]


class AzureRunner:
    """Shared by all azure_vpn probes: tokens and waits of each application, and what was seen."""

    def __init__(self, kit: Kit) -> None:
        self._clock = kit.clock
        self._client = MicrosoftClient(kit)
        self._seen: dict[Settings, Watched] = {}
        self._health_after: dict[Settings, float] = {}

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:
        """Ask Azure, with a new token if `fresh` or due; ends by `deadline` (boot-time seconds)."""

        async def question(visit: Visit) -> Result | Blind:
            return await self._ask(settings, visit)

        result = await self._client.attempt(settings, deadline, question, fresh=fresh)
        return msgspec.structs.replace(result, detail=result.detail.replace("Graph answered", "Azure answered"))

    async def _ask(self, settings: Settings, visit: Visit) -> Result | Blind:
        reply = await visit.get(f"{settings.connection}?api-version={_CONNECTION_VERSION}")
        if isinstance(reply, Blind):
            return _missing(settings) if reply.status == 404 and reply.detail.endswith(_MISSING) else reply
        connection = read_connection(reply)
        if isinstance(connection, Blind):
            return connection
        health = await self._health(settings, visit) if settings.health else Health()
        before = self._seen.get(settings, Watched())
        self._seen[settings], result = watch(
            before,
            connection_name(settings),
            connection,
            health,
            wall=visit.now(reply),
            now=self._clock.boot(),
        )
        return result

    async def _health(self, settings: Settings, visit: Visit) -> Health:
        """Return what Resource Health says; nothing while it does not tell: it is a witness more, and optional."""
        if self._clock.boot() < self._health_after.get(settings, 0.0):
            return Health()
        path = f"{settings.connection}/providers/Microsoft.ResourceHealth/availabilityStatuses/current"
        try:
            told = await visit.get(f"{path}?api-version={_HEALTH_VERSION}")
        except ExchangeError:
            return Health()
        if isinstance(told, Blind):
            self._health_after[settings] = self._clock.boot() + (told.wait_seconds or _HEALTH_AGAIN_SECONDS)
        return read_health(told)


def _missing(settings: Settings) -> Result:
    gone = (Tunnel(name=connection_name(settings), configured=False),)
    values = tunnel_values(gone, follow({}, gone, 0.0), 0.0)
    detail = f"Azure has no connection {connection_name(settings)}"
    return failed(Stage.CONNECT, "not-configured", detail=detail, values=values)


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator[AzureRunner]:  # noqa: A001 - the probe interface's name
    """Open the shared runner; nothing is asked before the first attempt."""
    yield AzureRunner(kit)
