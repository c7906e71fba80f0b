"""The kernel's routes and interfaces, as pyroute2 reads rtnetlink messages (rtnetlink(7)), and its socket.

What must stay true: reading is pure, and any message becomes a value or a CannotLookError; the kernel's
refusal to route is a value, its refusal to tell is not. pyroute2 is imported by `load_netlink` only.
"""

import errno
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_network
from types import MappingProxyType
from typing import Any, Final

import msgspec

# linux/rtnetlink.h: answer with the table in which the route was found.
RTM_F_LOOKUP_TABLE: Final = 0x1000
_IFF_UP: Final = 1  # netdevice(7)
# Operational states (RFC 2863) in which traffic flows: a driver that does not tell is `unknown`, and
# counts as up (Linux, Documentation/networking/operstates.rst).
_FLOWING: Final = frozenset({"UP", "UNKNOWN"})
# How Linux refuses a lookup: errno of fib_props (net/ipv4/fib_semantics.c) and ip6_rt_type_to_error.
_NO_WAY: Final[Mapping[int, str]] = MappingProxyType(
    {
        errno.ENETUNREACH: "no route",
        errno.EHOSTUNREACH: "an unreachable route",
        errno.EINVAL: "a blackhole route",
        errno.EACCES: "a prohibit route",
        errno.EAGAIN: "a throw route",
    }
)
# The same as route types (rtnetlink(7), rtm_type), where the kernel answers with the route itself.
_NO_WAY_TYPES: Final[Mapping[int, str]] = MappingProxyType(
    {6: "a blackhole route", 7: "an unreachable route", 8: "a prohibit route", 9: "a throw route"}
)
_NO_DEVICE: Final = frozenset({errno.ENODEV, errno.ENXIO})


class CannotLookError(Exception):
    """The kernel did not answer our question; `fault` says why."""

    def __init__(self, fault: str, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The way to an address: interface number, gateway (None if on the link), table, own MTU in bytes."""

    device: int | None = None
    gateway: str | None = None
    table: int | None = None
    mtu: int | None = None


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One interface; `state` is its operational state as RFC 2863 names it, errors are counters."""

    index: int
    name: str
    up: bool
    state: str
    mtu: int | None = None
    receive_errors: int | None = None
    transmit_errors: int | None = None


def read_route(reply: object) -> Route | str:
    """Return the route, or in words why there is none; CannotLookError when the kernel did not tell."""
    if isinstance(reply, int):
        if reply in _NO_WAY:
            return _NO_WAY[reply]
        raise _refusal(reply)
    if not isinstance(reply, Mapping):
        raise CannotLookError("netlink-error", "no answer about the route")
    kind = _number(reply.get("type"))
    if kind is not None and kind in _NO_WAY_TYPES:
        return _NO_WAY_TYPES[kind]
    found = _attributes(reply)
    if kind is None or "RTA_OIF" not in found:
        raise CannotLookError("netlink-error", "the answer about the route cannot be read")
    via = found.get("RTA_VIA")  # a gateway of the other family (RFC 5549)
    gateway = found.get("RTA_GATEWAY") or (via.get("addr") if isinstance(via, Mapping) else None)
    table = found.get("RTA_TABLE")
    return Route(
        device=_number(found["RTA_OIF"]),
        gateway=gateway if isinstance(gateway, str) else None,
        table=_number(reply.get("table") if table is None else table),
        mtu=_number(_attributes(found.get("RTA_METRICS")).get("RTAX_MTU")),
    )


def read_link(reply: object) -> Link | None:
    """Return the interface, None when there is none; CannotLookError when the kernel did not tell."""
    if reply is None or (isinstance(reply, int) and reply in _NO_DEVICE):
        return None
    if isinstance(reply, int):
        raise _refusal(reply)
    found = _attributes(reply)
    index = _number(reply.get("index")) if isinstance(reply, Mapping) else None
    flags = _number(reply.get("flags")) if isinstance(reply, Mapping) else None
    name, state = found.get("IFLA_IFNAME"), found.get("IFLA_OPERSTATE", "UNKNOWN")
    if index is None or flags is None or not isinstance(name, str) or not isinstance(state, str):
        raise CannotLookError("netlink-error", "the answer about the interface cannot be read")
    counted = found.get("IFLA_STATS64")
    errors = counted if isinstance(counted, Mapping) else {}
    return Link(
        index=index,
        name=name,
        up=bool(flags & _IFF_UP) and state in _FLOWING,
        state=state.lower() if flags & _IFF_UP else "switched off",
        mtu=_number(found.get("IFLA_MTU")),
        receive_errors=_number(errors.get("rx_errors")),
        transmit_errors=_number(errors.get("tx_errors")),
    )


def outgoing(reply: object) -> int | None:
    """Return the number of the interface by which a route leaves, None when the answer names none."""
    return _number(_attributes(reply).get("RTA_OIF"))


def turns(network: str, messages: Iterable[object]) -> tuple[str, ...]:
    """Return the addresses of a network at which the kernel's choice of a route may change, in order.

    `messages` are all its routes: the choice is the same from the network's first address, from the first one of each
    more specific route and from the one behind each of these, up to the next such address.
    """
    whole = ip_network(network)
    starts = {whole.network_address}
    for message in messages:
        found, length = _attributes(message).get("RTA_DST"), _dst_length(message)
        try:
            part = ip_network(f"{found}/{length}")
        except ValueError:
            continue  # the default route names no destination; another family has no part in this network
        if part.version == whole.version and part.network_address in whole and length > whole.prefixlen:
            starts.add(part.network_address)
            if part.broadcast_address != whole.broadcast_address:
                starts.add(part.broadcast_address + 1)
    return tuple(str(one) for one in sorted(starts, key=int))


def _dst_length(message: object) -> int:
    length = _number(message.get("dst_len")) if isinstance(message, Mapping) else None
    return -1 if length is None else length


def _refusal(code: int) -> CannotLookError:
    name = errno.errorcode.get(code, str(code))
    fault = "no-permission" if code == errno.EPERM else "netlink-error"
    return CannotLookError(fault, f"the kernel refuses the question: {name}")


def _attributes(message: object) -> dict[str, Any]:
    """Return a message's attributes by name; pyroute2 keeps (name, value) slots and decodes them when read."""
    slots = message.get("attrs") if isinstance(message, Mapping) else None
    found: dict[str, Any] = {}
    for slot in slots if isinstance(slots, list | tuple) else ():
        try:
            name, value = slot[0], slot[1]
        except (TypeError, LookupError):
            continue
        if isinstance(name, str):
            found[name] = value
    return found


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


class Netlink(msgspec.Struct, frozen=True):
    """What we use of pyroute2: makes a socket (`route`, `link` and `close`), and its error, which has a `code`."""

    connect: Callable[[], Any]
    refusal: type[Exception]


def load_netlink() -> Netlink:
    """Import pyroute2 (0.15 s and 13 MB, so only where a route is probed, and beside the loop)."""
    from pyroute2 import AsyncIPRoute  # noqa: PLC0415 - see the docstring
    from pyroute2.netlink.exceptions import NetlinkError  # noqa: PLC0415 - the same

    return Netlink(lambda: AsyncIPRoute(groups=0), NetlinkError)
