"""Route: which way would this host send packets for an address, by the kernel's own lookup (rtnetlink(7)).

What must stay true: it reads only the host it runs on and sends no packet; what the kernel says is a
state, so a pass proves nothing on the way. The kernel's refusal to route is a fault of the path; its
refusal to tell is `unknown`. Where several next hops share a route, the kernel names the one that its
hash takes for this address. The pure part maps netlink messages, as pyroute2 reads them, to a result;
the shell asks on one socket for all probes, one question at a time.
"""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from types import MappingProxyType
from typing import Any, Final

import msgspec

from probes.kit.address import canonical, host_endpoint, literal_family
from probes.kit.result import Outcome, Result, Stage, failed, unknown
from probes.kit.rtnetlink import (
    RTM_F_LOOKUP_TABLE,
    CannotLookError,
    Link,
    Netlink,
    Route,
    load_netlink,
    outgoing,
    read_link,
    read_route,
    turns,
)
from probes.kit.spec import Clock, Evidence, Fault, Flow, Kit, Metric, Spec

_NAME_BYTES: Final = 15  # IFNAMSIZ of linux/if.h, less the NUL
_TABLE_MOST: Final = 0xFFFFFFFF
# Addresses of one network that are looked up; each takes 0.4 ms [measured].
_PARTS_MOST: Final = 64
_ERRORS: Final = ("route_link_receive_errors", "route_link_transmit_errors")
_TABLES: Final[Mapping[int, str]] = MappingProxyType({253: "default", 254: "main", 255: "local"})


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The address whose route is looked up, and what was agreed about the way there."""

    target: str
    device: str | None = None
    via: str | None = None
    table: int | None = None
    network: str | None = None


SPEC: Final = Spec(
    type="route",
    summary="The kernel's route to an address: is it the agreed one? Sees only this host's own routes.",
    settings=Settings,
    key_help={
        "target": "Address (no name) whose route is looked up; no packet is sent to it.",
        "device": "Interface by which packets for it must leave; its state is watched too.",
        "via": "Gateway to which they must go; without it any, or none.",
        "table": "Routing table in which the route must be found (strongSwan's is 220); without it any.",
        "network": "Far network (`10.20.0.0/16`) that must go the way of `target` as a whole: wherever a more specific"
        " route within it begins or ends, that address is looked up too. Reads all routes of the host.",
    },
    faults=(
        Fault(
            "device-down",
            Stage.CONNECT,
            "The interface is missing, switched off or without carrier.",
            "`ip link show DEVICE` on this host: a tunnel's interface is gone when its daemon is.",
        ),
        Fault(
            "unreachable",
            Stage.CONNECT,
            "There is no route, or an unreachable, blackhole or prohibit route has taken its place.",
            "`ip route get TARGET`: has the tunnel's or the routing protocol's route been withdrawn?",
        ),
        Fault(
            "wrong-device",
            Stage.CONNECT,
            "Packets would leave by another interface than agreed.",
            "`ip route get TARGET`, `ip rule`: a default or more specific route has taken over.",
        ),
        Fault(
            "wrong-gateway",
            Stage.CONNECT,
            "Packets would go to another gateway than agreed.",
            "Compare the routes of this host with the agreed ones; look at the routing protocol's neighbours.",
        ),
        Fault(
            "wrong-table",
            Stage.CONNECT,
            "The route is found in another routing table than agreed.",
            "`ip rule` and `ip route show table TABLE`: the rule or the table's route is missing.",
        ),
        Fault(
            "link-errors",
            Stage.CONNECT,
            "The way is the agreed one, and its interface has counted errors since the reading before (degraded).",
            "`ip -s -s link show DEVICE`: a tunnel's interface counts what it cannot send.",
        ),
        Fault(
            "netlink-error",
            None,
            "The kernel could not be asked, or its answer not be read.",
            "See the detail; ask by hand with `ip route get TARGET`.",
        ),
        Fault(
            "no-permission",
            None,
            "The host does not let the agent open a netlink socket.",
            "Allow AF_NETLINK in RestrictAddressFamilies= of the unit.",
        ),
    ),
    phases=("query",),
    metrics=(
        Metric("route_mtu_bytes", "MTU of the route, or of its interface where the route has none of its own."),
        Metric("route_link_up", "1 if the agreed interface (else the one in use) is up, 0 if not."),
        Metric("route_link_receive_errors", "Receive errors that the interface has counted since it was made."),
        Metric("route_link_transmit_errors", "Transmit errors that the interface has counted since it was made."),
    ),
    evidence=Evidence.STATE,
    default_interval=5.0,
)


def flow(settings: Settings) -> Flow:
    """Return the flow: a question to this host's kernel; ValueError says which key is wrong."""
    end = host_endpoint(settings.target, 4)
    if end.named or "%" in end.host:
        raise ValueError(f"{settings.target!r} is no plain address; a route is looked up for an address")
    if settings.device is not None and not _is_device(settings.device):
        raise ValueError(f"device: {settings.device!r} is no interface name (1 to {_NAME_BYTES} bytes, no space or /)")
    if settings.via is not None and literal_family(settings.via) is None:
        raise ValueError(f"via: {settings.via!r} is no address; write the gateway's")
    if settings.table is not None and not 1 <= settings.table <= _TABLE_MOST:
        raise ValueError(f"table: {settings.table} is no routing table; write 1 to {_TABLE_MOST}")
    if settings.network is not None and not _is_part(end.host, settings.network):
        raise ValueError(
            f"network: {settings.network!r} is no network with {end.host} in it; write it as `10.20.0.0/16`"
        )
    return Flow(host=end.host, protocol="netlink", family=end.family, function="route", connect_bytes=0, carry_bytes=0)


def _is_part(address: str, network: str) -> bool:
    try:
        return ip_address(address) in ip_network(network)
    except ValueError:
        return False


def _is_device(name: str) -> bool:
    return 0 < len(name.encode()) <= _NAME_BYTES and not any(c.isspace() or c == "/" for c in name)


class Replies(msgspec.Struct, frozen=True, kw_only=True):
    """The kernel's answers to one attempt, each a message, the errno of a refusal, or None if not asked.

    `named` is the agreed interface, `out` the one by which the route leaves, if that is another. `parts` are the
    routes to further addresses of the network, `unread` so many more were not looked up.
    """

    route: object
    named: object = None
    out: object = None
    parts: Mapping[str, object] = {}
    unread: int = 0


def judge(settings: Settings, replies: Replies) -> Result:
    """Return what the kernel's answers say of the agreed way (without durations)."""
    try:
        route, named = read_route(replies.route), read_link(replies.named)
        other = read_link(replies.out) if isinstance(route, Route) else None
        parts = {address: read_route(reply) for address, reply in replies.parts.items()}
    except CannotLookError as error:
        return unknown(error.fault, str(error))
    out = other or (named if isinstance(route, Route) and named and named.index == route.device else None)
    watched = named if settings.device is not None else out
    values = _values(route, out, watched)
    way, known = _in_words(settings.target, route, out), facts(route, out)
    for fault, detail in _departures(settings, route, watched):
        return failed(Stage.CONNECT, fault, detail=f"{detail}; {way}" if detail else way, values=values, facts=known)
    for fault, detail in _parting(settings, route, parts, watched):
        return failed(Stage.CONNECT, fault, detail=f"{detail}; {way}", values=values, facts=known)
    if replies.unread:
        way = f"{way}; {replies.unread} more addresses of {settings.network} were not looked up"
    return Result(outcome=Outcome.OK, detail=way, values=values, facts=known)


def _departures(settings: Settings, route: Route | str, watched: Link | None) -> Iterator[tuple[str, str]]:
    """Yield in what the way departs from the agreed one, the likelier cause first: a fault and its detail."""
    if watched is None and settings.device is not None:
        yield "device-down", f"there is no {settings.device}"
    if watched is not None and not watched.up:
        yield "device-down", f"{watched.name} is {watched.state}"
    if isinstance(route, str):
        yield "unreachable", ""
    else:
        yield from _detours(settings, route, watched)


def _parting(
    settings: Settings, route: Route | str, parts: Mapping[str, Route | str], watched: Link | None
) -> Iterator[tuple[str, str]]:
    """Yield where a part of the network goes another way than it should, or than the target: a fault and its detail."""
    for address, part in parts.items():
        way = _in_words(address, part, None)
        if isinstance(part, str):
            yield "unreachable", way
            continue
        for fault, agreed in _detours(settings, part, watched):
            yield fault, f"{way}, {agreed}"
        if isinstance(route, Route) and part.device != route.device:
            yield "wrong-device", way


def _detours(settings: Settings, route: Route, watched: Link | None) -> Iterator[tuple[str, str]]:
    if settings.device is not None and watched is not None and route.device != watched.index:
        yield "wrong-device", f"{settings.device} is agreed"
    if settings.via is not None and canonical(route.gateway or "") != canonical(settings.via):
        yield "wrong-gateway", f"{settings.via} is agreed"
    if settings.table is not None and route.table != settings.table:
        yield "wrong-table", f"{_table(settings.table)} is agreed"


def link_errors(before: Mapping[str, float], result: Result) -> Result:
    """Return a pass as degraded when the interface counted errors since `before`, the values of the last reading."""
    if result.outcome is not Outcome.OK:
        return result
    risen = {
        name: int(result.values.get(name, 0.0) - before.get(name, result.values.get(name, 0.0))) for name in _ERRORS
    }
    if not any(count > 0 for count in risen.values()):
        return result
    receive, transmit = (max(0, risen[name]) for name in _ERRORS)
    detail = f"{receive} receive and {transmit} transmit errors more; {result.detail}"
    return msgspec.structs.replace(result, outcome=Outcome.DEGRADED, fault="link-errors", detail=detail)


def _table(number: int | None) -> str:
    return "table " + _TABLES.get(number or 0, str(number or "unknown"))


def _in_words(target: str, route: Route | str, out: Link | None) -> str:
    if isinstance(route, str):
        return f"{target} goes nowhere: {route}"
    gateway = f" via {route.gateway}" if route.gateway is not None else ""
    device = out.name if out is not None else f"interface {route.device}"
    return f"{target} goes{gateway} by {device}, {_table(route.table)}"


def facts(route: Route | str, out: Link | None) -> dict[str, str]:
    """Return what to compare with the approved route."""
    if isinstance(route, str):
        return {"route": f"none: {route}"}
    device = out.name if out is not None else f"interface {route.device}"
    found = {"route": f"via {route.gateway} by {device}" if route.gateway else f"by {device}"}
    found["route table"] = _TABLES.get(route.table or 0, str(route.table or "unknown"))
    mtu = route.mtu or (out.mtu if out is not None else None)
    return found if mtu is None else {**found, "route mtu": str(mtu)}


def _values(route: Route | str, out: Link | None, watched: Link | None) -> dict[str, float]:
    """Return the metrics; one that the kernel did not tell is absent."""
    own = route.mtu if isinstance(route, Route) else None
    told: dict[str, int | None] = {
        "route_mtu_bytes": own or (out.mtu if out is not None else None),
        "route_link_up": int(watched.up) if watched is not None else None,
        "route_link_receive_errors": watched.receive_errors if watched is not None else None,
        "route_link_transmit_errors": watched.transmit_errors if watched is not None else None,
    }
    return {name: float(value) for name, value in told.items() if value is not None}


class RouteRunner:
    """Shared by all route probes: one netlink socket, and a lock that makes exchanges one at a time.

    pyroute2 binds its socket to the thread and loop that use it first; this is the agent's loop.
    """

    def __init__(self, clock: Clock, netlink: Netlink) -> None:
        self._clock = clock
        self._netlink = netlink
        self._lock = asyncio.Lock()
        self._socket: Any = None
        self._before: dict[Settings, dict[str, float]] = {}

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:
        """Ask the kernel and judge its answers; ends by `deadline` (boot-time seconds)."""
        began = self._clock.boot()
        try:
            async with asyncio.timeout(max(0.0, deadline - began)), self._lock:
                began = self._clock.boot()
                if fresh:
                    self.close()
                replies = await self._exchange(settings)
        except TimeoutError:
            return unknown("netlink-error", "the kernel did not answer by the deadline")
        except PermissionError as error:
            return unknown("no-permission", f"no netlink socket: {error.strerror}")
        except OSError as error:
            return unknown("netlink-error", f"no netlink socket: {error.strerror or type(error).__name__}")
        result = judge(settings, replies)
        if result.outcome is Outcome.UNKNOWN:
            return result
        before, self._before[settings] = self._before.get(settings, {}), result.values
        result = link_errors(before, result)
        seconds = self._clock.boot() - began
        return msgspec.structs.replace(result, seconds=seconds, phases={"query": seconds})

    async def _exchange(self, settings: Settings) -> Replies:
        try:
            if self._socket is None:
                self._socket = self._netlink.connect()
            route = await self._ask(self._socket.route("get", dst=settings.target, flags=RTM_F_LOOKUP_TABLE))
            named = None
            if settings.device is not None:
                named = await self._ask(self._socket.link("get", ifname=settings.device))
            device, out = outgoing(route), None
            if device is not None and (not isinstance(named, Mapping) or named.get("index") != device):
                out = await self._ask(self._socket.link("get", index=device))
            parts, unread = await self._parts(settings)
        except BaseException:
            self.close()  # in the middle of an exchange, also when cancelled by a deadline
            raise
        return Replies(route=route, named=named, out=out, parts=parts, unread=unread)

    async def _parts(self, settings: Settings) -> tuple[dict[str, object], int]:
        """Return the routes to the addresses of the network at which the way may change, and how many were left."""
        if settings.network is None:
            return {}, 0
        family = socket.AF_INET6 if ":" in settings.network else socket.AF_INET
        routes = [message async for message in await self._socket.route("dump", family=family)]
        addresses = turns(settings.network, routes)
        asked = addresses[:_PARTS_MOST]
        found = {
            address: await self._ask(self._socket.route("get", dst=address, flags=RTM_F_LOOKUP_TABLE))
            for address in asked
        }
        return found, len(addresses) - len(asked)

    async def _ask(self, question: Any) -> object:
        """Return the answer's first message ({} if it has none), or the errno of the kernel's refusal."""
        try:
            messages = await question
        except self._netlink.refusal as error:
            return getattr(error, "code", errno.EPROTO)
        return next(iter(messages), {})

    def close(self) -> None:
        """Close the socket; the next attempt opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator[RouteRunner]:  # noqa: A001 - the name of the probe interface
    """Open the shared runner; the kernel is not asked before the first attempt."""
    runner = RouteRunner(kit.clock, await asyncio.to_thread(load_netlink))
    try:
        yield runner
    finally:
        runner.close()
