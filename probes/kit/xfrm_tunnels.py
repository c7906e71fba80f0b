"""IPsec tunnels as a kernel has them: policies with their associations, what is lacking, and what passes. Pure.

A policy says that packets between two networks must go through a tunnel; a pair of associations between its two
gateways is that tunnel. What must stay true: idle is not down, and a tunnel through which nothing comes back is
`degraded` and no fail, since IPsec owes no answer; an association that is only being negotiated is none; no SPI and
no key stands in a name, a detail or a fact.
"""

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Final

import msgspec

from probes.kit.address import canonical
from probes.kit.result import Outcome, Result, Stage, failed
from probes.kit.tunnel_state import Counters, Progress, Tunnel, follow, tunnel_rows, tunnel_values
from probes.kit.xfrm_message import Association, Policy

_NAMES_SHOWN: Final = 5


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Which tunnels: through which gateway, and to which far network, None for all."""

    target: str
    network: str | None = None


class Kernel(msgspec.Struct, frozen=True, kw_only=True):
    """What the kernel says at one moment. `errors`: the counters of xfrm_stat; `wall` in UTC epoch seconds."""

    policies: tuple[Policy, ...] = ()
    associations: tuple[Association, ...] = ()
    errors: Mapping[str, int] = {}
    wall: float = 0.0


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A policy and the associations that serve it, in either direction; only those that hold keys."""

    policy: Policy
    sent: tuple[Association, ...] = ()
    received: tuple[Association, ...] = ()


def pairs(asked: Asked, kernel: Kernel) -> tuple[Pair, ...]:
    """Return the outward policies asked for, each with its associations."""
    remote = canonical(asked.target)
    network = None if asked.network is None else str(ip_network(asked.network))
    wanted = dict.fromkeys(
        msgspec.structs.replace(policy, priority=0)
        for policy in kernel.policies
        if policy.direction == "out" and policy.remote == remote and network in {None, policy.destination}
    )
    ways: dict[tuple[str, str, int], list[Association]] = {}
    for one in kernel.associations:
        if one.algorithms:
            ways.setdefault((one.source, one.destination, one.reqid), []).append(one)
    return tuple(
        Pair(
            policy=policy,
            sent=tuple(ways.get((policy.local, policy.remote, policy.reqid), ())),
            received=tuple(ways.get((policy.remote, policy.local, policy.reqid), ())),
        )
        for policy in wanted
    )


def _tunnel(pair: Pair, wall: float) -> Tunnel:
    both = (*pair.sent, *pair.received)
    stands = bool(pair.sent and pair.received)
    received = {one.spi: Counters(received_bytes=one.bytes, received_packets=one.packets) for one in pair.received}
    sent = {f"to {one.spi}": Counters(sent_bytes=one.bytes, sent_packets=one.packets) for one in pair.sent}
    return Tunnel(
        name=f"{pair.policy.source} to {pair.policy.destination}",
        established=stands,
        sas=received | sent,
        established_seconds=max(0.0, wall - max(one.added_at for one in both)) if stands else None,
        rekey_seconds=_left(both, wall, "soft_seconds"),
        duplicates=max(0, min(len(pair.sent), len(pair.received)) - 1),
        state=f"{len(pair.sent)} out, {len(pair.received)} in",
    )


def _left(associations: tuple[Association, ...], wall: float, limit: str) -> float | None:
    """Return the time until a limit of the newest associations, None where they have none."""
    limits = [(one.added_at, getattr(one, limit)) for one in associations]
    left = [added + after - wall for added, after in limits if after is not None]
    return max(0.0, *left) if left else None


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe has seen so far: its tunnels' progress, and how many packets each association had refused."""

    progress: dict[str, Progress] = {}
    refused: Mapping[str, int] = {}


def watch(before: Watched, asked: Asked, kernel: Kernel, now: float) -> tuple[Watched, Result]:
    """Return what is seen at `now` (boot-time seconds), and the result (without durations)."""
    found = pairs(asked, kernel)
    tunnels = tuple(_tunnel(pair, kernel.wall) for pair in found)
    if not tunnels:
        tunnels = (Tunnel(name=asked.network or asked.target, configured=False, state="no policy"),)
    progress = follow(before.progress, tunnels, now)
    present = {one.spi: one for pair in found for one in (*pair.sent, *pair.received)}.values()
    replays, failures = sum(one.replays for one in present), sum(one.integrity_failures for one in present)
    refused = {one.spi: one.replays + one.integrity_failures for one in present}
    rising = any(count > before.refused.get(spi, count) for spi, count in refused.items())
    values = tunnel_values(tunnels, progress, now) | statistics(kernel.errors)
    values |= {"xfrm_replay_errors_total": float(replays), "xfrm_integrity_errors_total": float(failures)}
    hard = _left(tuple(present), kernel.wall, "hard_seconds")
    values |= {} if hard is None else {"xfrm_expiry_seconds": hard}
    result = _judge(asked, found, progress, kernel.wall, rising=rising)
    facts = _facts(found)
    seen = Watched(progress=progress, refused=refused)
    return seen, msgspec.structs.replace(result, values=values, rows=tunnel_rows(tunnels, progress, now), facts=facts)


def _judge(
    asked: Asked, found: tuple[Pair, ...], progress: Mapping[str, Progress], wall: float, *, rising: bool
) -> Result:
    if not found:
        network = f" for {asked.network}" if asked.network else ""
        return failed(Stage.CONNECT, "not-configured", detail=f"no policy to {asked.target}{network}")
    lacking = [(fault, pair) for pair in found if (fault := _lack(pair, wall)) is not None]
    if lacking:
        worst = min((fault for fault, _ in lacking), key=_SEVERITY.index)
        return failed(Stage.CONNECT, worst, detail=_names([pair for _, pair in lacking]))
    if rising:
        return Result(outcome=Outcome.DEGRADED, fault="sa-errors", detail=_names(list(found)))
    silent = [name for name, one in progress.items() if one.passing(one.at) is False]
    if silent:
        detail = f"{silent[0]}: sent unanswered for {progress[silent[0]].unanswered_seconds:.0f} s"
        return Result(outcome=Outcome.DEGRADED, fault="unanswered", detail=detail)
    return Result(outcome=Outcome.OK, detail=_names(list(found)))


# The first of these that holds for any tunnel names the fault.
_SEVERITY: Final = ("sa-missing", "sa-one-way", "sa-expired")


def _lack(pair: Pair, wall: float) -> str | None:
    if not pair.sent and not pair.received:
        return "sa-missing"
    if not pair.sent or not pair.received:
        return "sa-one-way"
    ended = [_left(way, wall, "hard_seconds") == 0.0 for way in (pair.sent, pair.received)]
    return "sa-expired" if any(ended) else None


def _names(found: list[Pair]) -> str:
    told = [
        f"{pair.policy.source} to {pair.policy.destination}: {len(pair.sent)} out, {len(pair.received)} in"
        for pair in found[:_NAMES_SHOWN]
    ]
    more = [f"{len(found) - _NAMES_SHOWN} more"] if len(found) > _NAMES_SHOWN else []
    return "; ".join(told + more)


def _facts(found: tuple[Pair, ...]) -> dict[str, str]:
    """Return what is configured and negotiated of each tunnel: gateways, algorithms, limits; never a key or SPI."""
    facts = {}
    for pair in found:
        name = f"{pair.policy.source} to {pair.policy.destination}"
        facts[f"{name} gateways"] = f"{pair.policy.local} to {pair.policy.remote}"
        newest = max(pair.sent, key=lambda one: one.added_at, default=None)
        if newest is not None:
            facts[f"{name} algorithms"] = ", ".join(newest.algorithms)
            facts[f"{name} hard_seconds"] = str(newest.hard_seconds or "none")
            facts[f"{name} hard_bytes"] = str(newest.hard_bytes or "none")
    return facts


def statistics(errors: Mapping[str, int]) -> dict[str, float]:
    """Return the metrics of xfrm_stat; a counter that the kernel does not have is absent."""
    if not errors:
        return {}
    told = {
        "xfrm_in_errors_total": sum(count for name, count in errors.items() if name.startswith("XfrmIn")),
        "xfrm_out_errors_total": sum(count for name, count in errors.items() if name.startswith("XfrmOut")),
        "xfrm_in_no_states_total": errors.get("XfrmInNoStates"),
        "xfrm_out_no_states_total": errors.get("XfrmOutNoStates"),
    }
    return {name: float(count) for name, count in told.items() if count is not None}
