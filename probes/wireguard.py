"""WireGuard: whether the peers of an interface live, by its own counters and handshakes.

WireGuard has no "up": it shakes hands when there is something to send, so an old handshake says only that nothing
was to be sent. What must stay true: no verdict from age alone; a peer is silent when packets were sent to it for
SILENT_SECONDS and none came back, which is WireGuard's own rule for a new handshake (its receiver answers every
packet within ten seconds, by a keep-alive if by nothing else); an idle peer is `unknown`. A live peer is a state: it
proves nothing of what lies behind the tunnel, and every fail accuses the whole path. Private and preshared keys
never leave the parser.
"""

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Final

import msgspec

from probes.kit.netlink_dump import NETLINK_GENERIC, NetlinkDump
from probes.kit.result import Outcome, Result, Stage, failed, unknown
from probes.kit.spec import Evidence, Fault, Flow, Kit, Metric, Spec
from probes.kit.tunnel_state import (
    METRICS,
    SILENT_SECONDS,
    Counters,
    Progress,
    Tunnel,
    follow,
    tunnel_rows,
    tunnel_values,
)
from probes.kit.wireguard_device import (
    QUESTION,
    Peer,
    WireguardError,
    device_question,
    family_question,
    is_key,
    read_family,
    read_messages,
    read_text,
)

_NAME_BYTES: Final = 15  # IFNAMSIZ of linux/if.h, less the NUL
_PATH_BYTES: Final = 107  # struct sockaddr_un has 108 bytes for the path and its NUL (unix(7))
# REJECT_AFTER_TIME (Donenfeld, WireGuard, section 6): keys older than this are used no more.
KEYS_LAST_SECONDS: Final = 180.0
# Some 400 bytes a peer and 30 an allowed address: a gateway with 10,000 of them.
_MOST_BYTES: Final = 8_000_000
_KEY_SHOWN: Final = 8
_NAMES_SHOWN: Final = 5


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Which interface, and what was agreed about which of its peers."""

    target: str
    peer: str | None = None
    endpoint: str | None = None


SPEC: Final = Spec(
    type="wireguard",
    summary="WireGuard: its peers live, by handshakes and counters. Sees only the host it runs on.",
    settings=Settings,
    key_help={
        "target": "Interface of this host's kernel (`wg0`), or the socket of a user-space WireGuard "
        "(`/var/run/wireguard/wg0.sock`).",
        "peer": "Public key of the peer that must live, in base64; without it all of the interface's peers.",
        "endpoint": "`address:port` from which the peer was agreed to come; another one is `degraded`.",
    },
    faults=(
        Fault(
            "not-configured",
            Stage.CONNECT,
            "There is no such interface, or it does not have the peer.",
            "`wg show` on this host: has the tunnel been brought up, is the peer's public key the agreed one?",
        ),
        Fault(
            "peer-silent",
            Stage.CONNECT,
            f"Packets were sent to the peer for {SILENT_SECONDS:g} s or more, and nothing came back.",
            "Compare keys, endpoints and the way of UDP between both gateways; is the peer's interface up?",
        ),
        Fault(
            "other-endpoint",
            Stage.CONNECT,
            "The peer lives and comes from another address than agreed (degraded).",
            "Ask the peer's operator: another line, another NAT, or somebody else with the peer's key?",
        ),
        Fault(
            "idle",
            None,
            "Nothing was sent or received lately: WireGuard says nothing about a peer that nobody speaks to.",
            "Give the peer a PersistentKeepalive, or a probe through the tunnel.",
        ),
        Fault(
            "no-wireguard",
            None,
            "The kernel does not know WireGuard.",
            "Load its module, or write the socket of a user-space one as `target`.",
        ),
        Fault("wireguard-unreachable", None, "Nobody listens on the socket.", "Start WireGuard, or correct `target`."),
        Fault("wireguard-silent", None, "No answer came in time.", "Look at the load and the state of WireGuard."),
        Fault("wireguard-protocol", None, "The answer is not WireGuard's.", "Correct `target`."),
        Fault(
            "no-permission",
            None,
            "We may not ask: the kernel wants CAP_NET_ADMIN, the socket belongs to root.",
            "See docs/vpn.md: the right to ask is the right to change.",
        ),
    ),
    phases=("query",),
    metrics=(
        *METRICS,
        Metric(
            "wireguard_endpoint_changes_total", "Times that a peer was seen to come from another address.", counter=True
        ),
    ),
    evidence=Evidence.STATE,
    default_interval=5.0,
    leaves_traces="none on the wire; the right to ask WireGuard is the right to change it and to read its keys",
)


def flow(settings: Settings) -> Flow:
    """Return the flow: a question to this host; ValueError says which key is wrong."""
    if settings.peer is not None and not is_key(settings.peer):
        raise ValueError("peer: no public key; write the 44 characters that `wg show` prints for the peer")
    if settings.endpoint is not None:
        outer(settings.endpoint)
    path = socket_path(settings.target)
    host, protocol = (settings.target, "netlink") if path is None else (path, "unix")
    return Flow(host=host, protocol=protocol, function="wireguard", connect_bytes=0, carry_bytes=0)


def socket_path(target: str) -> str | None:
    """Return the path of a user-space socket, None for an interface; ValueError when `target` is neither."""
    path = target.removeprefix("unix://")
    if path.startswith("/"):
        if len(path.encode()) > _PATH_BYTES:
            raise ValueError(f"{target!r} is longer than the {_PATH_BYTES} bytes of a socket path")
        return path
    if not 0 < len(target.encode()) <= _NAME_BYTES or any(c.isspace() or c == "/" for c in target):
        raise ValueError(f"{target!r} is neither an interface (`wg0`) nor a socket (`/var/run/wireguard/wg0.sock`)")
    return None


def outer(endpoint: str) -> str:
    """Return an `address:port` as WireGuard writes it; ValueError when it is none."""
    host, _, port = endpoint.rpartition(":")
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
        number = int(port)
    except ValueError:
        raise ValueError(f"endpoint: {endpoint!r} is no address:port; write `203.0.113.2:51820`") from None
    return f"[{address}]:{number}" if address.version == 6 else f"{address}:{number}"


def short(key: str) -> str:
    """Return the beginning of a public key, enough to tell peers apart."""
    return key[:_KEY_SHOWN]


def tunnels_of(settings: Settings, peers: tuple[Peer, ...], wall: float) -> tuple[Tunnel, ...]:
    """Return the peers asked for as tunnels; `wall` is the host's clock, by which WireGuard stamps handshakes."""
    wanted = [peer for peer in peers if settings.peer in {None, peer.key}]
    if not wanted and settings.peer is not None:
        return (Tunnel(name=short(settings.peer), configured=False, state="not configured"),)
    return tuple(_tunnel(peer, wall) for peer in wanted)


def _tunnel(peer: Peer, wall: float) -> Tunnel:
    age = None if peer.handshake_at is None else max(0.0, wall - peer.handshake_at)
    counted = Counters(received_bytes=peer.received_bytes, sent_bytes=peer.sent_bytes)
    return Tunnel(
        name=short(peer.key),
        established=False if age is None else True if age < KEYS_LAST_SECONDS else None,
        sas={peer.key: counted},
        established_seconds=age,
        peer_age_seconds=age,
        state="never heard" if age is None else f"last handshake {age:.0f} s ago",
    )


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe has seen so far: the tunnels' progress, and each peer's endpoint."""

    progress: dict[str, Progress] = {}
    endpoints: dict[str, str] = {}
    endpoint_changes: int = 0


def watch(
    before: Watched, settings: Settings, peers: tuple[Peer, ...], wall: float, now: float
) -> tuple[Watched, Result]:
    """Return what is seen now, and the result (without durations). `wall` and `now` in seconds, UTC and boot time."""
    tunnels = tunnels_of(settings, peers, wall)
    progress = follow(before.progress, tunnels, now)
    wanted = [peer for peer in peers if settings.peer in {None, peer.key}]
    heard = {peer.key: peer.endpoint or before.endpoints.get(peer.key) for peer in wanted}
    endpoints = {key: endpoint for key, endpoint in heard.items() if endpoint is not None}
    moved = sum(before.endpoints.get(key, endpoint) != endpoint for key, endpoint in endpoints.items())
    seen = Watched(
        progress=progress,
        endpoints=endpoints,
        endpoint_changes=before.endpoint_changes + moved,
    )
    values = tunnel_values(tunnels, progress, now) | {"wireguard_endpoint_changes_total": float(seen.endpoint_changes)}
    result = _judge(settings, tunnels, wanted, progress, now)
    told = msgspec.structs.replace(
        result, values=values, rows=tunnel_rows(tunnels, progress, now), facts=_facts(wanted)
    )
    return seen, told


def _judge(
    settings: Settings, tunnels: tuple[Tunnel, ...], peers: list[Peer], progress: dict[str, Progress], now: float
) -> Result:
    if not tunnels or not all(tunnel.configured for tunnel in tunnels):
        which = "peer" if settings.peer is None else f"peer {short(settings.peer)}"
        return failed(Stage.CONNECT, "not-configured", detail=f"{settings.target} has no {which}")
    silent = [one for one in tunnels if progress[one.name].passing(now) is False]
    if silent:
        return failed(Stage.CONNECT, "peer-silent", detail=_told(silent, progress))
    quiet = [one for one in tunnels if one.established is not True and progress[one.name].passing(now) is None]
    if quiet:
        return unknown("idle", _told(quiet, progress))
    agreed = None if settings.endpoint is None else outer(settings.endpoint)
    elsewhere = [peer for peer in peers if agreed is not None and peer.endpoint != agreed]
    if elsewhere:
        detail = f"{short(elsewhere[0].key)} comes from {elsewhere[0].endpoint}, agreed: {agreed}"
        return Result(outcome=Outcome.DEGRADED, fault="other-endpoint", detail=detail)
    return Result(outcome=Outcome.OK, detail=_told(list(tunnels), progress))


def _told(tunnels: list[Tunnel], progress: dict[str, Progress]) -> str:
    told = [_one(tunnel, progress[tunnel.name]) for tunnel in tunnels[:_NAMES_SHOWN]]
    more = [f"{len(tunnels) - _NAMES_SHOWN} more"] if len(tunnels) > _NAMES_SHOWN else []
    return "; ".join(told + more)


def _one(tunnel: Tunnel, progress: Progress) -> str:
    quiet = progress.unanswered_seconds
    return f"{tunnel.name}: {tunnel.state}" + (f", sends unanswered for {quiet:.0f} s" if quiet else "")


def _facts(peers: list[Peer]) -> dict[str, str]:
    """Return what is configured of the peers; the endpoint is what the peer was last heard from."""
    facts = {}
    for peer in peers:
        facts[f"{short(peer.key)} public_key"] = peer.key
        facts[f"{short(peer.key)} allowed_ips"] = ", ".join(sorted(peer.allowed))
        facts[f"{short(peer.key)} keepalive_seconds"] = str(peer.keepalive_seconds or "off")
        if peer.endpoint is not None:
            facts[f"{short(peer.key)} endpoint"] = peer.endpoint
    return facts


class WireguardRunner:
    """Shared by all wireguard probes; a question has a socket of its own, so attempts never wait for each other."""

    def __init__(self, kit: Kit) -> None:
        self._clock = kit.clock
        self._seen: dict[Settings, Watched] = {}

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:  # noqa: ARG002 - every socket is new
        """Ask WireGuard and judge its answer; ends by `deadline` (boot-time seconds)."""
        began = self._clock.boot()
        path = socket_path(settings.target)
        try:
            async with asyncio.timeout(max(0.0, deadline - began)):
                peers = await (_of_kernel(settings.target) if path is None else _of_socket(path))
        except TimeoutError:
            return unknown("wireguard-silent", f"no answer about {settings.target} in time")
        except (WireguardError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            text = str(error) if isinstance(error, WireguardError) else "the answer has no end"
            return unknown("wireguard-protocol", f"{settings.target}: {text}")
        except OSError as error:
            return _refused(settings.target, error, kernel=path is None)
        now = self._clock.boot()
        before = self._seen.get(settings, Watched())
        self._seen[settings], result = watch(before, settings, peers, self._clock.wall(), now)
        if result.outcome is Outcome.UNKNOWN:
            return result
        return msgspec.structs.replace(result, seconds=now - began, phases={"query": now - began})


# errno of the kernel's refusal -> fault: a family that it does not know, an interface that is none of WireGuard's.
_KERNEL_REFUSALS: Final = {
    errno.ENOENT: "no-wireguard",
    errno.ENODEV: "not-configured",
    errno.EOPNOTSUPP: "not-configured",
}


def _refused(target: str, error: OSError, *, kernel: bool) -> Result:
    detail = f"{target}: {error.strerror or type(error).__name__}"
    if error.errno in {errno.EPERM, errno.EACCES}:
        return unknown("no-permission", detail)
    fault = _KERNEL_REFUSALS.get(error.errno or 0, "wireguard-protocol") if kernel else "wireguard-unreachable"
    if fault == "not-configured":
        gone = Tunnel(name=target, configured=False)
        return failed(Stage.CONNECT, fault, detail=detail, values=tunnel_values((gone,), follow({}, (gone,), 0.0), 0.0))
    return unknown(fault, f"no {target}: nobody answers to WireGuard's name" if fault == "no-wireguard" else detail)


async def _of_socket(path: str) -> tuple[Peer, ...]:
    reader, writer = await asyncio.open_unix_connection(path, limit=_MOST_BYTES)
    try:
        writer.write(QUESTION)
        await writer.drain()
        return read_text(await reader.readuntil(b"\n\n"))
    finally:
        writer.transport.abort()


async def _of_kernel(interface: str) -> tuple[Peer, ...]:
    dump = NetlinkDump(NETLINK_GENERIC)
    try:
        family = read_family(await dump.ask(*family_question(), dump=False))
        return read_messages(await dump.ask(*device_question(family, interface)))
    finally:
        dump.close()


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator[WireguardRunner]:  # noqa: A001 - the name of the probe interface
    """Open the shared runner; nothing is asked before the first attempt."""
    yield WireguardRunner(kit)
