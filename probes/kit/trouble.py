"""What keeps an attempt from succeeding below the application, as data, and the tables that name it.

Every probe type speaks of the kernel's and the routers' errors in these words, so that the same
trouble has the same fault name everywhere. Nothing in here touches a socket.

What must stay true: a table decides, not a branch; whatever our own host caused is `unknown`;
every name that can come out of here stands in one of the tables of Fault rows below.
"""

import errno

import msgspec

from probes.kit.result import Outcome, Result, Stage
from probes.kit.spec import Fault


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Why a step did not succeed.

    `local` is true when our own host is the reason (the attempt is `unknown`). `by` is the address
    of the router that said so; `answered` is true when the peer's own bytes say it.
    """

    fault: str
    detail: str = ""
    by: str | None = None
    local: bool = False
    answered: bool = False


class QueuedError(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a socket's error queue (ip(7), IP_RECVERR).

    `type` and `code` are ICMP's when `offender` is set; `quote` is what the error quotes of our
    packet, from its transport header on; `to` the address to which that packet went.
    """

    errno: int
    type: int = 0
    code: int = 0
    info: int = 0
    offender: str | None = None
    quote: bytes = b""
    to: str = ""


TIMEOUT = Trouble(fault="timeout", detail="no answer before the deadline")
LATE = Trouble(fault="no-time", detail="the deadline had passed before anything was sent", local=True)

LOCAL_FAULTS = (
    Fault("no-route", None, "This host has no route to the target.", "Check `ip route get TARGET` on this vantage."),
    Fault(
        "no-permission",
        None,
        "The kernel or this host's own packet filter forbids the probe.",
        "Grant CAP_NET_RAW to the unit or set net.ipv4.ping_group_range; look for an output rule that drops it.",
    ),
    Fault("no-descriptors", None, "No file descriptor was left.", "Raise LimitNOFILE of the unit."),
    Fault("no-buffers", None, "The kernel had no buffer space left.", "Look at memory and queues of this vantage."),
    Fault("no-ports", None, "No local port or address was left.", "Widen net.ipv4.ip_local_port_range."),
    Fault("no-family", None, "This host cannot use that address family.", "Enable IPv6 here or set `family: 4`."),
    Fault("too-big-here", None, "The packet exceeds this host's own link MTU.", "Lower `size`."),
    Fault(
        "no-time", None, "The attempt started after its deadline.", "This vantage is overloaded: see the self-check."
    ),
    Fault("local-error", None, "This host's kernel refused for another reason.", "See the detail of the result."),
)

# What the path or the peer's kernel can say at any stage: name, meaning, remedy.
_PATH_ROWS = (
    ("timeout", "Silence until the deadline.", "Follow the path; compare with other probes."),
    (
        "refused",
        "A reset or an ICMP port-unreachable said no.",
        "Is the service running? Does a filter on the path reject it?",
    ),
    ("reset", "The connection was reset.", "Look at the service and at the filters before it."),
    (
        "neighbour-silent",
        "The first hop (or the target on our own network) does not answer ARP or neighbour discovery.",
        "Look at the first hop: `ip neighbour`.",
    ),
    ("network-unreachable", "A router has no route to the target.", "Ask the router's owner."),
    ("host-unreachable", "A router cannot reach the target host.", "Ask the router's owner."),
    ("prohibited", "A router or firewall says that it forbids this.", "Check the filter rules."),
    ("protocol-unreachable", "The target does not speak the protocol.", "Check the target."),
    ("ttl-exceeded", "The packet ran out of hops: a routing loop.", "Trace the route."),
    ("too-big", "A router cannot forward a packet of this size.", "Check MTU and MSS clamping."),
    ("icmp-error", "A router sent another ICMP error.", "See the detail of the result."),
)


def path_faults(stage: Stage) -> tuple[Fault, ...]:
    """Return the rows of what can go wrong below the application at `stage`."""
    return tuple(Fault(name, stage, meaning, remedy) for name, meaning, remedy in _PATH_ROWS)


# errno of a call that failed before anything left this host -> fault.
_LOCAL: dict[int, str] = {
    errno.ENETUNREACH: "no-route",
    errno.EHOSTUNREACH: "no-route",  # a route of type unreachable (ip-route(8))
    errno.EINVAL: "no-route",  # a route of type blackhole
    errno.ENETDOWN: "no-route",
    errno.EACCES: "no-permission",  # also a route of type prohibit, and broadcast targets
    errno.EPERM: "no-permission",
    errno.EMFILE: "no-descriptors",
    errno.ENFILE: "no-descriptors",
    errno.ENOBUFS: "no-buffers",
    errno.ENOMEM: "no-buffers",
    errno.EAGAIN: "no-buffers",
    errno.EADDRNOTAVAIL: "no-ports",
    errno.EAFNOSUPPORT: "no-family",
    errno.EMSGSIZE: "too-big-here",
}

# errno that arrives later without an ICMP error beside it -> fault of the path.
_PATH: dict[int, str] = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ENOTCONN: "reset",  # the reset came before we looked at the socket again
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "host-unreachable",
    errno.ENETUNREACH: "network-unreachable",
    errno.EACCES: "prohibited",
    errno.ENOPROTOOPT: "protocol-unreachable",
    errno.EPROTO: "icmp-error",
}

_UNREACHABLE_4 = 3
# RFC 792 and RFC 1812 section 5.2.7.1: codes of destination unreachable.
_CODES_4: dict[int, str] = {
    0: "network-unreachable",
    1: "host-unreachable",
    2: "protocol-unreachable",
    3: "refused",
    4: "too-big",
    6: "network-unreachable",
    7: "host-unreachable",
    8: "host-unreachable",
    9: "prohibited",
    10: "prohibited",
    11: "network-unreachable",
    12: "host-unreachable",
    13: "prohibited",
    14: "prohibited",
    15: "prohibited",
}
_TYPES_4: dict[int, str] = {11: "ttl-exceeded"}
_UNREACHABLE_6 = 1
# RFC 4443 section 3.1.
_CODES_6: dict[int, str] = {
    0: "network-unreachable",
    1: "prohibited",
    2: "network-unreachable",
    3: "host-unreachable",
    4: "refused",
    5: "prohibited",
    6: "prohibited",
}
_TYPES_6: dict[int, str] = {2: "too-big", 3: "ttl-exceeded"}


def icmp_fault(family: int, kind: int, code: int) -> str:
    """Return the fault that an ICMP error (`kind`, `code`) of family 4 or 6 stands for."""
    unreachable, codes, types = (
        (_UNREACHABLE_4, _CODES_4, _TYPES_4) if family == 4 else (_UNREACHABLE_6, _CODES_6, _TYPES_6)
    )
    if kind == unreachable:
        return codes.get(code, "icmp-error")
    return types.get(kind, "icmp-error")


def local_trouble(error: OSError) -> Trouble:
    """Return the trouble of a call that failed before a packet left this host."""
    return Trouble(fault=_LOCAL.get(error.errno or 0, "local-error"), detail=_text(error), local=True)


def path_trouble(error: OSError) -> Trouble:
    """Return the trouble of an error that came back from the path without saying who sent it."""
    fault = _PATH.get(error.errno or 0)
    return Trouble(fault=fault, detail=_text(error)) if fault else local_trouble(error)


def queued_trouble(error: QueuedError, family: int, *, own: bool) -> Trouble:
    """Return the trouble that an error-queue entry reports; `own`: its sender is this very host.

    Our own kernel answers ICMP host-unreachable to itself when a neighbour does not answer ARP or
    neighbour discovery (Linux ipv4_link_failure, ip6_link_failure): silence, not a router's word.
    """
    if error.offender is None:
        return local_trouble(OSError(error.errno, ""))
    fault = icmp_fault(family, error.type, error.code)
    if own and fault == "host-unreachable":
        return Trouble(fault="neighbour-silent", detail="no answer to ARP or neighbour discovery")
    text = f"ICMP type {error.type} code {error.code} from {error.offender}"
    if fault == "too-big":
        text += f", next-hop MTU {error.info}"
    return Trouble(fault=fault, detail=text, by=error.offender)


def result_of(
    trouble: Trouble, stage: Stage, seconds: float | None = None, phases: dict[str, float] | None = None
) -> Result:
    """Return the result of an attempt that `trouble` ended at `stage`."""
    if trouble.local:
        return Result(outcome=Outcome.UNKNOWN, fault=trouble.fault, detail=trouble.detail)
    return Result(
        outcome=Outcome.FAILED,
        stage=stage,
        fault=trouble.fault,
        seconds=seconds,
        phases=phases or {},
        answered=trouble.answered,
        by=trouble.by,
        detail=trouble.detail,
    )


def _text(error: OSError) -> str:
    name = errno.errorcode.get(error.errno or 0, "")
    return f"{name}: {error.strerror}" if error.strerror else name
