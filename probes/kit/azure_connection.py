"""A VPN connection as Azure's Resource Manager tells it, and what readings of it say together. Pure.

Sources: learn.microsoft.com, "Virtual Network Gateway Connections - Get" (api-version 2024-05-01), "Availability
Statuses - Get By Resource" (Resource Health). What must stay true: the answer may hold the connection's `sharedKey`,
which no field here takes; a status that is null, absent or not one of the documented words is not known, since a
caller without enough rights gets nulls; no text of Microsoft's is repeated but documented words and tunnels' names.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

import msgspec

from probes.kit.https_exchange import Reply
from probes.kit.microsoft import Blind, read_json
from probes.kit.result import Outcome, Result, Stage, failed, unknown
from probes.kit.tunnel_state import Counters, Progress, Tunnel, follow, tunnel_rows, tunnel_values

# connectionStatus: whether the tunnel is established; the rest is not known.
_STATUSES: Final[Mapping[str, bool]] = MappingProxyType({"Connected": True, "NotConnected": False, "Connecting": False})
# availabilityState of Resource Health: whether it is available; `Unknown` is not known.
_AVAILABLE: Final[Mapping[str, float]] = MappingProxyType({"Available": 1.0, "Degraded": 0.0, "Unavailable": 0.0})
_REASON: Final = re.compile(r"[A-Za-z][A-Za-z ]{0,39}\Z")
_TUNNEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,79}\Z")
# `lastConnectionEstablishedUtcTime` is text in the United States' form, or ISO's.
_FORMS: Final = ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%Y-%m-%dT%H:%M:%SZ")
_WORD: Final = re.compile(r"[A-Za-z0-9_]{1,40}\Z")
_MOST_TUNNELS: Final = 16


class _Tunnel(msgspec.Struct, rename="camel"):
    tunnel: str | None = None
    connection_status: str | None = None
    ingress_bytes_transferred: int | None = None
    egress_bytes_transferred: int | None = None
    last_connection_established_utc_time: str | None = None


class _Policy(msgspec.Struct, rename="camel"):
    sa_life_time_seconds: int | None = None
    sa_data_size_kilobytes: int | None = None
    ipsec_encryption: str | None = None
    ipsec_integrity: str | None = None
    ike_encryption: str | None = None
    ike_integrity: str | None = None
    dh_group: str | None = None
    pfs_group: str | None = None


class _Properties(msgspec.Struct, rename="camel"):
    connection_status: str | None = None
    ingress_bytes_transferred: int | None = None
    egress_bytes_transferred: int | None = None
    tunnel_connection_status: tuple[_Tunnel, ...] | None = None
    connection_protocol: str | None = None
    dpd_timeout_seconds: int | None = None
    use_policy_based_traffic_selectors: bool | None = None
    ipsec_policies: tuple[_Policy, ...] | None = None


class _Connection(msgspec.Struct):
    properties: _Properties


class _Health(msgspec.Struct, rename="camel"):
    availability_state: str | None = None
    reason_type: str | None = None


class _HealthReply(msgspec.Struct):
    properties: _Health


class AzureTunnel(msgspec.Struct, frozen=True, kw_only=True):
    """One tunnel of a connection: to one instance of the gateway. `since` in UTC epoch seconds."""

    name: str
    connected: bool | None
    since: float | None = None
    received_bytes: int | None = None
    sent_bytes: int | None = None


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection: its status in Microsoft's word ("" if none that we know), each tunnel's, and what is configured."""

    status: str
    received_bytes: int | None = None
    sent_bytes: int | None = None
    tunnels: tuple[AzureTunnel, ...] = ()
    facts: Mapping[str, str] = {}


class Health(msgspec.Struct, frozen=True):
    """What Resource Health says: state and reason in Microsoft's words, "" if it says none that we know."""

    state: str = ""
    reason: str = ""


def read_connection(reply: Reply) -> Connection | Blind:
    """Return the connection in ARM's 200."""
    body = read_json(reply.body, _Connection)
    if body is None:
        return Blind(fault="not-graph", detail="a 200 that is not Azure's description of a connection")
    told = body.properties
    status = told.connection_status or ""
    return Connection(
        status=status if status in _STATUSES else "",
        received_bytes=told.ingress_bytes_transferred,
        sent_bytes=told.egress_bytes_transferred,
        tunnels=tuple(_tunnel(one) for one in (told.tunnel_connection_status or ())[:_MOST_TUNNELS]),
        facts=dict(_facts(told)),
    )


def _facts(told: _Properties) -> Iterator[tuple[str, str]]:
    """Yield what is configured and told; a null is not told. No policies of one's own: Azure's defaults."""
    for name in ("connection_protocol", "dpd_timeout_seconds", "use_policy_based_traffic_selectors"):
        value = getattr(told, name)
        if value is not None and _WORD.match(str(value)):
            yield name, str(value)
    if told.ipsec_policies is not None:
        policies = [_in_words(policy) for policy in told.ipsec_policies[:_MOST_TUNNELS]]
        yield "ipsec_policies", "; ".join(policies) or "Azure's defaults"


def _in_words(policy: _Policy) -> str:
    told = ((name, getattr(policy, name)) for name in policy.__struct_fields__)
    return ", ".join(f"{name} {value}" for name, value in told if value is not None and _WORD.match(str(value)))


def _tunnel(told: _Tunnel) -> AzureTunnel:
    name = told.tunnel or ""
    return AzureTunnel(
        name=name if _TUNNEL.match(name) else "",
        connected=_STATUSES.get(told.connection_status or ""),
        since=read_moment(told.last_connection_established_utc_time or ""),
        received_bytes=told.ingress_bytes_transferred,
        sent_bytes=told.egress_bytes_transferred,
    )


def read_moment(text: str) -> float | None:
    """Return such a time as UTC epoch seconds, None for what is none."""
    for form in _FORMS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    return None


def read_health(reply: Reply | Blind | None) -> Health:
    """Return what Resource Health says; nothing where it was not asked, or did not answer."""
    body = read_json(reply.body, _HealthReply) if isinstance(reply, Reply) else None
    if body is None:
        return Health()
    state, reason = body.properties.availability_state or "", body.properties.reason_type or ""
    return Health(state if state in _AVAILABLE else "", reason if _REASON.match(reason) else "")


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe has seen so far: progress, and how tunnels came back.

    `since`: the tunnels of the last reading in which any was connected, and since when; `ever`: all seen so far.
    """

    progress: dict[str, Progress] = {}
    since: Mapping[str, float] = {}
    ever: frozenset[str] = frozenset()
    same_instance: int = 0
    other_instance: int = 0


def watch(
    before: Watched, name: str, seen: Connection, health: Health, *, wall: float, now: float
) -> tuple[Watched, Result]:
    """Return what is seen now, and the result. `name` is the connection's; `wall` UTC epoch, `now` boot time (s).

    A tunnel that has come back under its own name came back on the same instance of the gateway: the way or the
    other side's device. One that was not there before, in place of one that is gone, is the other instance's: a
    failover or maintenance of Microsoft's.
    """
    tunnels = tuple(_as_tunnel(name, one, wall) for one in _described(seen))
    progress = follow(before.progress, tunnels, now)
    since = {one.name: one.since for one in seen.tunnels if one.connected and one.since is not None}
    same, other = _returned(before, since)
    watched = Watched(
        progress=progress,
        since=since or before.since,
        ever=before.ever | frozenset(since),
        same_instance=before.same_instance + same,
        other_instance=before.other_instance + other,
    )
    values = tunnel_values(tunnels, progress, now) | {
        "azure_vpn_reconnects_same_total": float(watched.same_instance),
        "azure_vpn_reconnects_other_total": float(watched.other_instance),
    }
    values |= {"azure_vpn_available": _AVAILABLE[health.state]} if health.state else {}
    result = _judge(seen, health)
    rows = tunnel_rows(tunnels, progress, now)
    return watched, msgspec.structs.replace(result, values=values, rows=rows, facts=dict(seen.facts))


def _returned(before: Watched, since: Mapping[str, float]) -> tuple[int, int]:
    """Return how many tunnels have come back since the reading before: on the same instance, on the other one."""
    anew = [name for name, at in since.items() if at > before.since.get(name, 0.0)] if before.since else []
    replaced = bool(set(before.since) - set(since))
    other = sum(name not in before.since and replaced for name in anew)
    same = sum(name in before.since or (name in before.ever and not replaced) for name in anew)
    return same, other


def _described(seen: Connection) -> tuple[AzureTunnel, ...]:
    """Return the tunnels, with the connection's own counters where they have none; else the connection as one."""
    whole = AzureTunnel(
        name="",
        connected=_STATUSES.get(seen.status),
        received_bytes=seen.received_bytes,
        sent_bytes=seen.sent_bytes,
    )
    if not seen.tunnels:
        return (whole,)
    if all(one.received_bytes is None and one.sent_bytes is None for one in seen.tunnels):
        first = msgspec.structs.replace(
            seen.tunnels[0], received_bytes=whole.received_bytes, sent_bytes=whole.sent_bytes
        )
        return (first, *seen.tunnels[1:])
    return seen.tunnels


def _as_tunnel(name: str, one: AzureTunnel, wall: float) -> Tunnel:
    counted = Counters(received_bytes=one.received_bytes, sent_bytes=one.sent_bytes)
    return Tunnel(
        name=one.name or name,
        established=one.connected,
        sas={"": counted},
        established_seconds=max(0.0, wall - one.since) if one.connected and one.since is not None else None,
        state={True: "connected", False: "not connected", None: "not told"}[one.connected],
    )


def _judge(seen: Connection, health: Health) -> Result:
    detail = _told(seen, health)
    if not seen.status:
        return unknown("no-data", f"Azure tells no status of the connection{_health(health)}")
    if seen.status == "NotConnected":
        return failed(Stage.CONNECT, "not-connected", detail=detail)
    if seen.status == "Connecting":
        return failed(Stage.CONNECT, "connecting", detail=detail)
    if any(one.connected is False for one in seen.tunnels):
        return Result(outcome=Outcome.DEGRADED, fault="tunnel-down", detail=detail)
    if health.state in {"Unavailable", "Degraded"}:
        return Result(outcome=Outcome.DEGRADED, fault="health-unavailable", detail=detail)
    return Result(outcome=Outcome.OK, detail=detail)


def _told(seen: Connection, health: Health) -> str:
    up = sum(one.connected is True for one in seen.tunnels)
    tunnels = f", {up} of {len(seen.tunnels)} tunnels connected" if seen.tunnels else ""
    return f"Azure: {seen.status}{tunnels}{_health(health)}"


def _health(health: Health) -> str:
    if not health.state:
        return ""
    return f"; Resource Health: {health.state}" + (f" ({health.reason})" if health.reason else "")
