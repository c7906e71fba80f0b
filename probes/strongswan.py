"""strongSwan: the configured children of a gateway against the established ones, by VICI.

What must stay true: an established SA is the gateway's word about a state. It proves nothing about
forwarding (ESP can be dropped while IKE passes), so a data-plane probe stands beside this one; and a
missing SA may have any cause on the declared path. A gateway that we cannot ask is `unknown`. No key
material is in the answers that are read, and only names, states, counters and lines of the gateway's log
leave this module. The reading is in `charon_view` and `charon_log`, the verdict in `charon_verdict`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_network
from typing import Final

import msgspec

from probes.kit.charon_gateway import Gateway
from probes.kit.charon_verdict import Asked, judge
from probes.kit.result import Outcome, Result, Stage, unknown
from probes.kit.spec import Clock, Evidence, Fault, Flow, Kit, Metric, Pace, Spec
from probes.kit.tunnel_state import METRICS
from probes.kit.vici import ViciError, ViciUnknownError

# struct sockaddr_un has 108 bytes for the path and its NUL (unix(7)).
MAX_SOCKET_PATH_BYTES: Final = 107

# Probes that start within this many seconds share one exchange with the daemon; small against the
# smallest interval (1 s), and a confirmation round asks anew anyway.
SHARED_SECONDS: Final = 0.2


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What must be established: one child, all of one connection, or all that is configured; for these `networks`."""

    target: str = "/run/charon.vici"
    connection: str | None = None
    child: str | None = None
    networks: tuple[str, ...] = ()
    one_way: bool = False


SPEC: Final = Spec(
    type="strongswan",
    summary="Compare strongSwan's configured children with the established ones, over its VICI socket.",
    settings=Settings,
    key_help={
        "target": "VICI socket of this side's gateway: a path or `unix:///path`. Better the gate's, which passes on"
        " reading only: /run/demarc-vici.sock (docs/vpn.md).",
        "connection": "The connection that must be up; without it all that are configured.",
        "child": "The child that must be up; without it all of the connection.",
        "networks": "Far networks for which the tunnel was agreed (`[10.20.0.0/16]`): degraded while it stands for"
        " less. A silent address behind it then accuses the tunnel too, unless its word is good.",
        "one_way": "Traffic may flow outwards only: packets sent and none received are no sign of trouble then.",
    },
    faults=(
        Fault(
            "ike-missing",
            Stage.CONNECT,
            "There is no IKE SA for the connection.",
            "Compare both gateways' configuration and reachability on UDP 500 and 4500.",
        ),
        Fault(
            "ike-connecting",
            Stage.CONNECT,
            "The IKE SA is being negotiated: the peer is silent, or refuses.",
            "Read the gateway's log: no answer, no proposal chosen, or authentication failed.",
        ),
        Fault(
            "child-missing",
            Stage.CONNECT,
            "The IKE SA stands and the child does not.",
            "Compare traffic selectors and ESP proposals of both gateways.",
        ),
        Fault(
            "peer-silent",
            Stage.CONNECT,
            "The peer's IKE daemon does not answer (degraded while the SAs still stand).",
            "Is the peer's gateway alive and reachable on UDP 500 and 4500? An `ike` probe tells.",
        ),
        Fault(
            "auth-refused",
            Stage.CONNECT,
            "The peer refuses our authentication.",
            "Compare pre-shared keys, identities and certificates of both gateways; the peer's log says which.",
        ),
        Fault(
            "key-mismatch",
            Stage.CONNECT,
            "The peer's authentication does not fit the pre-shared key that this gateway has for it.",
            "Compare the pre-shared keys of both gateways: which was changed last?",
        ),
        Fault(
            "no-proposal",
            Stage.CONNECT,
            "The gateways have no cryptographic proposal in common, for IKE or for ESP.",
            "Compare `proposals` and `esp_proposals` of both gateways, the Diffie-Hellman group of a rekeying too.",
        ),
        Fault(
            "selectors-mismatch",
            Stage.CONNECT,
            "The gateways do not agree on the networks behind them (traffic selectors).",
            "Compare `local_ts` and `remote_ts` of both gateways.",
        ),
        Fault(
            "certificate-refused",
            Stage.CONNECT,
            "A certificate is expired, revoked, or of an authority that this gateway does not trust.",
            "See the line of the gateway's log; compare with `swanctl --list-certs`.",
        ),
        Fault(
            "identity-mismatch",
            Stage.CONNECT,
            "A gateway has no configuration for the address or identity with which the other one comes.",
            "Compare `remote_addrs` and `id` of both gateways.",
        ),
        Fault(
            "inbound-silent",
            Stage.CONNECT,
            "Degraded: packets leave and none comes back: ESP is dropped, or the peer no longer has this SA.",
            "Compare with the probes through the tunnel; compare the SPIs on both gateways (`swanctl --list-sas`).",
        ),
        Fault(
            "rekey-failing",
            Stage.CONNECT,
            "Degraded: the tunnel stands on keys that could not be renewed, and ends with them.",
            "See the line of the gateway's log; compare proposals and groups of both gateways before the keys expire.",
        ),
        Fault(
            "selectors-narrowed",
            Stage.CONNECT,
            "Degraded: the tunnel stands for fewer networks than were agreed (`networks`), or than this gateway has"
            " configured: one of the two narrowed them.",
            "Compare `local_ts` and `remote_ts` of both gateways: addresses outside are dropped, others pass.",
        ),
        Fault(
            "child-duplicate",
            Stage.CONNECT,
            "Degraded: several SAs of one child stand side by side.",
            "Let one side start the tunnel only; set `unique = replace` on both.",
        ),
        Fault(
            "not-configured",
            Stage.CONNECT,
            "The gateway has no such connection or child.",
            "Load the configuration (`swanctl --load-all`), or correct the names in the chain file.",
        ),
        Fault(
            "vici-unreachable",
            None,
            "Nobody listens on the socket.",
            "Start strongSwan with its vici plugin, or correct `target`.",
        ),
        Fault(
            "vici-silent",
            None,
            "The daemon took the question and did not answer in time.",
            "Look at the load and the state of the strongSwan daemon.",
        ),
        Fault(
            "vici-protocol",
            None,
            "What listens on the socket does not answer as VICI does.",
            "Correct `target`.",
        ),
        Fault(
            "vici-refused",
            None,
            "The daemon, or the gate before it, does not let us ask.",
            "Is `target` the gate's socket, and of this version of demarc?",
        ),
        Fault(
            "no-permission",
            None,
            "We may not open the socket.",
            "Run the gate that passes on reading only (`demarc vici`, docs/vpn.md) and let `target` name its socket.",
        ),
    ),
    phases=("query",),
    metrics=(
        *METRICS,
        Metric("vpn_ike_up", "1 if every connection asked for has an established IKE SA."),
        Metric("vpn_child_up", "1 if every child asked for is installed."),
        Metric("vpn_ike_age_seconds", "Age of the youngest IKE SA."),
        Metric("vpn_ike_rekey_seconds", "Time until the next IKE SA is due for rekeying."),
        Metric("vpn_ike_half_open", "IKE SAs begun and not finished at this gateway, of all connections."),
        Metric("vpn_unanswered_requests", "How often the request was sent again that the peer has not answered yet."),
        Metric("vpn_downs_total", "Child SAs of the connections asked for that went down.", counter=True),
        Metric("vpn_rekeys_total", "IKE and child SAs of these connections that got new keys.", counter=True),
        Metric("vpn_listening", "1 while the gateway tells of its events and its log, 0 while it is only asked."),
    ),
    evidence=Evidence.STATE,
    pace=Pace.ROUND,
    leaves_traces="none on the wire; the agent holds two VICI connections: full control, unless by the gate",
)


def socket_path(target: str) -> str:
    """Return the socket's path; ValueError names what is wrong with `target`."""
    path = target.removeprefix("unix://")
    if not path.startswith("/"):
        raise ValueError(f"{target!r} is no absolute path of a VICI socket; write /run/charon.vici or unix:///path")
    if len(path.encode()) > MAX_SOCKET_PATH_BYTES:
        raise ValueError(f"{target!r} is longer than the {MAX_SOCKET_PATH_BYTES} bytes of a socket path")
    return path


def flow(settings: Settings) -> Flow:
    """Return the flow: a local socket, no packet leaves the host; ValueError says which key is wrong."""
    for one in settings.networks:
        try:
            ip_network(one)
        except ValueError:
            raise ValueError(f"networks: {one!r} is no network; write it as `10.20.0.0/16`") from None
    return Flow(
        host=socket_path(settings.target),
        protocol="unix",
        function="vici",
        connect_bytes=0,
        carry_bytes=0,
        carries=settings.networks,
    )


class StrongswanRunner:
    """Shared by all strongswan probes: one gateway for each socket."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gateways: dict[str, Gateway] = {}
        self._changed: Callable[[str], None] = lambda _: None

    def hear(self, changed: Callable[[str], None]) -> None:
        """Call `changed` with the host of the flow when a gateway tells of a change."""
        self._changed = changed

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:
        """Ask the gateway and judge its answer; ends by `deadline` (boot-time seconds).

        A fail is believed when a second reading agrees: list-sas walks a living table, and while an
        IKE SA is rekeyed it can meet the old SA without children and miss the new one (seen on
        5.9.8, once in some thousand readings).
        """
        began = self._clock.boot()
        path = socket_path(settings.target)
        asked = Asked(
            connection=settings.connection,
            child=settings.child,
            networks=settings.networks,
            one_way=settings.one_way,
        )
        gateway = self._gateway(path)
        try:
            async with asyncio.timeout(max(0.0, deadline - began)):
                result = judge(asked, await gateway.look(began - (0.0 if fresh else SHARED_SECONDS)))
                if result.outcome is Outcome.FAILED:
                    result = judge(asked, await gateway.look(self._clock.boot()))
        except TimeoutError:
            return unknown("vici-silent", f"no answer on {path} in time")
        except PermissionError:
            return unknown("no-permission", f"may not open {path}")
        except ViciUnknownError as error:
            return unknown("vici-refused", f"{path}: {error}")
        except ViciError as error:
            return unknown("vici-protocol", f"{path}: {error}")
        except asyncio.IncompleteReadError:
            return unknown("vici-unreachable", f"{path}: the daemon closed the connection")
        except OSError as error:
            return unknown("vici-unreachable", f"{path}: {error.strerror or type(error).__name__}")
        seconds = gateway.seconds
        return msgspec.structs.replace(
            result, seconds=seconds, phases={"query": seconds}, facts=gateway.facts(settings.connection)
        )

    def _gateway(self, path: str) -> Gateway:
        if path not in self._gateways:
            self._gateways[path] = Gateway(path, self._clock, partial(self._tell, path))
        return self._gateways[path]

    def _tell(self, path: str) -> None:
        self._changed(path)

    async def close(self) -> None:
        """Leave every gateway alone."""
        for gateway in self._gateways.values():
            await gateway.close()


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator[StrongswanRunner]:  # noqa: A001 - the name of the probe interface
    """Open the shared runner; nothing is connected before the first attempt."""
    runner = StrongswanRunner(kit.clock)
    try:
        yield runner
    finally:
        await runner.close()
