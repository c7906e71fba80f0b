"""What a strongSwan gateway's word says of the tunnels that must stand. Pure.

What must stay true: an established SA is the gateway's word about a state, so every fail is of the stage `connect`
and accuses the whole path; the log may say more precisely why, and never whose doing it is. That holds for a
missing configuration too: it is this side's gateway that lacks it, while a fail in a later stage would accuse the
last segment alone. A tunnel that stands and shows a sign of trouble is `degraded`; one that carries nothing is idle.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from probes.kit.charon_log import PEER_SILENT, LogReader
from probes.kit.charon_view import (
    DUPLICATE_SECONDS,
    IKE_STARTING,
    IKE_UP,
    ChildSa,
    IkeSa,
    View,
    established,
    narrowed,
    tunnel_name,
    uncarried,
)
from probes.kit.result import Outcome, Result, Stage, failed
from probes.kit.tunnel_state import SILENT_SECONDS, Progress, Tunnel, tunnel_rows, tunnel_values

NAMES_SHOWN: Final = 5
# The first of these that holds for any missing child names the fault, unless the log knows better.
_SEVERITY: Final = ("ike-missing", "ike-connecting", "child-missing")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What must be established: one child, all of one connection, or all; `one_way`: traffic may only leave.

    `networks` are the far ones (CIDR) for which the tunnel was agreed.
    """

    connection: str | None = None
    child: str | None = None
    networks: tuple[str, ...] = ()
    one_way: bool = False

    def covers(self, connection: str, child: str) -> bool:
        """Return whether this child is asked for."""
        return self.connection in (None, connection) and self.child in (None, child)


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one gateway at `now` (boot-time seconds).

    `tunnels` has every tunnel of the view by connection and child, `progress` by name; `downs` and `rekeys` count a
    connection's events; `listening`: whether the gateway tells of events and its log.
    """

    now: float
    view: View
    tunnels: Mapping[tuple[str, str], Tunnel]
    progress: Mapping[str, Progress]
    log: LogReader
    downs: Mapping[str, int] = {}
    rekeys: Mapping[str, int] = {}
    listening: bool = False


def judge(asked: Asked, seen: Situation) -> Result:
    """Return what the gateway says of what must be established (without durations)."""
    pairs = frozenset(pair for pair in seen.view.configured if asked.covers(*pair))
    up = [(sa, child) for sa, child in established(seen.view) if (sa.connection, child.name) in pairs]
    own = [seen.tunnels[pair] for pair in sorted(pairs)]
    known = {
        "values": {**_values(pairs, up, seen), **tunnel_values(own, seen.progress, seen.now)},
        "rows": tunnel_rows(own, seen.progress, seen.now),
    }
    if not pairs:
        name = "/".join(name for name in (asked.connection, asked.child) if name) or "any child"
        return failed(Stage.CONNECT, "not-configured", detail=f"{name} is not configured", **known)
    missing = sorted(pairs - {(sa.connection, child.name) for sa, child in up})
    if missing:
        fault, detail = _why(missing, seen)
        return failed(Stage.CONNECT, fault, detail=detail, **known)
    for fault, detail in _signs(asked, up, seen):
        return Result(outcome=Outcome.DEGRADED, fault=fault, detail=detail, **known)  # type: ignore[arg-type]
    return Result(outcome=Outcome.OK, **known)  # type: ignore[arg-type]


def _why(missing: list[tuple[str, str]], seen: Situation) -> tuple[str, str]:
    """Return the fault of what is missing, and the words for it: the log's line last."""
    connections = dict.fromkeys(connection for connection, _ in missing)
    fault = min((_state(connection, seen.view) for connection in connections), key=_SEVERITY.index)
    names = ", ".join(tunnel_name(*pair) for pair in missing[:NAMES_SHOWN])
    more = f" and {len(missing) - NAMES_SHOWN} more" if len(missing) > NAMES_SHOWN else ""
    detail = f"not established: {names}{more}"
    said = [why for connection in connections if (why := _said(connection, seen)) is not None]
    if not said:
        return fault, detail
    _, told, line = max(said)
    return told, f"{detail}; the gateway's log: {line}"


def _state(connection: str, view: View) -> str:
    states = {sa.state for sa in view.ike if sa.connection == connection}
    if states & IKE_UP:
        return "child-missing"
    return "ike-connecting" if states & IKE_STARTING else "ike-missing"


def _said(connection: str, seen: Situation) -> tuple[float, str, str] | None:
    """Return when the log said why this connection is missing, the fault and the line; the last one counts."""
    found = seen.log.evidence(connection, seen.now)
    waiting = [
        (unanswered.at, PEER_SILENT, f"retransmit {unanswered.times} of request with message ID {unanswered.request}")
        for sa in seen.view.ike
        if sa.connection == connection and (unanswered := seen.log.unanswered(sa.unique_id)) is not None
    ]
    return max([*waiting, *([(found.at, found.fault, found.line)] if found is not None else [])], default=None)


def _signs(asked: Asked, up: list[tuple[IkeSa, ChildSa]], seen: Situation) -> Iterator[tuple[str, str]]:
    """Yield the signs of trouble of tunnels that stand, the gravest first."""
    for sa in dict.fromkeys(sa for sa, _ in up):
        waiting = seen.log.unanswered(sa.unique_id)
        if waiting is not None:
            yield PEER_SILENT, f"{sa.connection}: the peer has not answered a request, sent again {waiting.times} times"
    children: dict[tuple[str, str], list[ChildSa]] = {}
    for sa, child in up:
        children.setdefault((sa.connection, child.name), []).append(child)
    for pair in () if asked.one_way else children:
        seconds = seen.progress[tunnel_name(*pair)].unanswered_seconds
        if seconds >= SILENT_SECONDS:
            yield "inbound-silent", f"{tunnel_name(*pair)}: packets leave and none has come back for {seconds:.0f} s"
    for sa, _ in up:
        found = seen.log.evidence(sa.connection, seen.now)
        if found is not None and found.ike == sa.unique_id:
            yield "rekey-failing", f"{sa.connection}: {found.line}"
    for pair, live in children.items():
        if lacking := narrowed(seen.view, pair, live):
            yield "selectors-narrowed", f"{tunnel_name(*pair)} stands without {', '.join(lacking[:NAMES_SHOWN])}"
    if lost := uncarried(asked.networks, [child for _, child in up]):
        yield "selectors-narrowed", f"agreed, and no tunnel stands for it: {', '.join(lost[:NAMES_SHOWN])}"
    for pair in children:
        if number := seen.tunnels[pair].duplicates:
            yield "child-duplicate", f"{tunnel_name(*pair)}: {number + 1} SAs older than {DUPLICATE_SECONDS} s"


def _values(
    pairs: frozenset[tuple[str, str]], up: Iterable[tuple[IkeSa, ChildSa]], seen: Situation
) -> dict[str, float]:
    connections = {connection for connection, _ in pairs}
    own = [sa for sa in seen.view.ike if sa.connection in connections]
    ike = [sa for sa in own if sa.state in IKE_UP]
    waiting = [one.times for sa in own if (one := seen.log.unanswered(sa.unique_id)) is not None]
    told: dict[str, float | None] = {
        "vpn_ike_up": bool(connections) and connections == {sa.connection for sa in ike},
        "vpn_child_up": bool(pairs) and pairs == {(sa.connection, child.name) for sa, child in up},
        "vpn_ike_age_seconds": min((sa.age_seconds for sa in ike if sa.age_seconds is not None), default=None),
        "vpn_ike_rekey_seconds": min((sa.rekey_seconds for sa in ike if sa.rekey_seconds is not None), default=None),
        "vpn_ike_half_open": seen.view.half_open,
        "vpn_listening": seen.listening,
    }
    if seen.listening:
        told["vpn_unanswered_requests"] = max(waiting, default=0)
    told["vpn_downs_total"] = sum(seen.downs.get(connection, 0) for connection in connections)
    told["vpn_rekeys_total"] = sum(seen.rekeys.get(connection, 0) for connection in connections)
    return {name: float(value) for name, value in told.items() if value is not None}
