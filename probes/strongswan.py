"""strongSwan: the configured children of a gateway against the established ones, by VICI.

What must stay true: an established SA is the gateway's word about a state. It proves nothing about
forwarding (ESP can be dropped while IKE passes), so a data-plane probe stands beside this one; and a
missing SA may have any cause on the declared path, so every fail is of the stage `connect` and
accuses the whole path. That holds for a missing configuration too: it is this side's gateway that
lacks it, while a fail in a later stage would accuse the last segment alone. If the VPN works, the
diagnosis calls such a fail what it is, a contradiction between chain file and gateway.
A gateway that we cannot ask is `unknown`. No key material is in the answers that are read, and only
names, states and counters leave this module.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from probes.kit.result import Outcome, Result, Stage, failed, unknown
from probes.kit.spec import Clock, Evidence, Fault, Flow, Kit, Metric, Pace, Spec
from probes.kit.vici import Section, Session, ViciError

# struct sockaddr_un has 108 bytes for the path and its NUL (unix(7)).
MAX_SOCKET_PATH_BYTES = 107

# Probes that start within this many seconds share one exchange with the daemon; small against the
# smallest interval (1 s), and a confirmation round asks anew anyway.
SHARED_SECONDS = 0.2

# States of strongSwan's ike_sa.h and child_sa.h in which traffic flows: the old SA stays in the
# kernel until the rekeyed one has replaced it.
IKE_UP = frozenset({"ESTABLISHED", "REKEYING"})
IKE_STARTING = frozenset({"CREATED", "CONNECTING"})
CHILD_UP = frozenset({"INSTALLED", "UPDATING", "REKEYING"})
# Bypass and drop policies are configured as children and never have an SA.
SHUNTS = frozenset({"PASS", "DROP"})

NAMES_SHOWN = 5


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What must be established: one child, all of one connection, or all that is configured."""

    target: str = "/run/charon.vici"
    connection: str | None = None
    child: str | None = None


SPEC = Spec(
    type="strongswan",
    summary="Compare strongSwan's configured children with the established ones, over its VICI socket.",
    settings=Settings,
    key_help={
        "target": "VICI socket of this side's gateway: a path or `unix:///path`.",
        "connection": "The connection that must be up; without it all that are configured.",
        "child": "The child that must be up; without it all of the connection.",
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
            "no-permission",
            None,
            "We may not open the socket.",
            "Let the agent's group use it (VICI has no read-only access: it is full control of the VPN).",
        ),
    ),
    phases=("query",),
    metrics=(
        Metric("vpn_ike_up", "1 if every connection asked for has an established IKE SA."),
        Metric("vpn_child_up", "1 if every child asked for is installed."),
        Metric("vpn_children_configured", "Children asked for that are configured."),
        Metric("vpn_children_established", "Children asked for that are installed."),
        Metric("vpn_child_duplicates", "Installed SAs beyond one for each child."),
        Metric("vpn_received_bytes", "Bytes received by the present SAs; falls back at each rekey."),
        Metric("vpn_sent_bytes", "Bytes sent by the present SAs; falls back at each rekey."),
        Metric("vpn_rekey_seconds", "Time until the next child SA is due for rekeying."),
        Metric("vpn_ike_age_seconds", "Age of the youngest IKE SA."),
    ),
    evidence=Evidence.STATE,
    pace=Pace.ROUND,
    leaves_traces="none on the wire; the agent holds a VICI connection, which is full control of the daemon",
)


class ChildSa(msgspec.Struct, frozen=True, kw_only=True):
    """One child SA. Byte counters of its present keys; seconds until its rekeying, None if never."""

    name: str
    state: str
    received_bytes: int = 0
    sent_bytes: int = 0
    rekey_seconds: int | None = None


class IkeSa(msgspec.Struct, frozen=True, kw_only=True):
    """One IKE SA of a connection; `age_seconds` is None until it is established."""

    connection: str
    state: str
    age_seconds: int | None = None
    children: tuple[ChildSa, ...] = ()


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What one gateway says: configured (connection, child) pairs, and its IKE SAs.

    `seconds` is how long it took to answer.
    """

    seconds: float = 0.0
    configured: frozenset[tuple[str, str]] = frozenset()
    ike: tuple[IkeSa, ...] = ()


def socket_path(target: str) -> str:
    """Return the socket's path; ValueError names what is wrong with `target`."""
    path = target.removeprefix("unix://")
    if not path.startswith("/"):
        raise ValueError(f"{target!r} is no absolute path of a VICI socket; write /run/charon.vici or unix:///path")
    if len(path.encode()) > MAX_SOCKET_PATH_BYTES:
        raise ValueError(f"{target!r} is longer than the {MAX_SOCKET_PATH_BYTES} bytes of a socket path")
    return path


def flow(settings: Settings) -> Flow:
    """Return the flow: a local socket, no packet leaves the host."""
    return Flow(host=socket_path(settings.target), protocol="unix", function="vici", connect_bytes=0, carry_bytes=0)


def read_view(conns: Iterable[Section], sas: Iterable[Section]) -> View:
    """Return the view that `list-conn` and `list-sa` events give.

    Unknown keys are ignored, values of another shape count as absent.
    """
    configured = frozenset(
        (name, child)
        for name, conn in _sections(conns)
        for child, body in _sections([_section(conn.get("children"))])
        if _text(body.get("mode")) not in SHUNTS
    )
    ike = tuple(
        IkeSa(
            connection=name,
            state=_text(sa.get("state")),
            age_seconds=_count(sa.get("established")),
            children=tuple(_child(key, body) for key, body in _sections([_section(sa.get("child-sas"))])),
        )
        for name, sa in _sections(sas)
    )
    return View(configured=configured, ike=ike)


def _child(key: str, body: Section) -> ChildSa:
    # The key is name-uniqueid since 5.2.2; `name` holds the configured one.
    return ChildSa(
        name=_text(body.get("name")) or key,
        state=_text(body.get("state")),
        received_bytes=_count(body.get("bytes-in")) or 0,
        sent_bytes=_count(body.get("bytes-out")) or 0,
        rekey_seconds=_count(body.get("rekey-time")),
    )


def _sections(messages: Iterable[Section]) -> Iterable[tuple[str, Section]]:
    for message in messages:
        for name, value in message.items():
            if isinstance(value, dict):
                yield name, value


def _section(value: object) -> Section:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def _count(value: object) -> int | None:
    # 20 digits hold every 64-bit counter.
    return int(value) if isinstance(value, bytes) and value.isdigit() and len(value) <= 20 else None


def wanted(settings: Settings, view: View) -> frozenset[tuple[str, str]]:
    """Return the configured (connection, child) pairs that `settings` ask for."""
    return frozenset(
        (connection, child)
        for connection, child in view.configured
        if settings.connection in (None, connection) and settings.child in (None, child)
    )


def judge(settings: Settings, view: View) -> Result:
    """Return what `view` says of what must be established (without durations)."""
    pairs = wanted(settings, view)
    up = [
        (sa.connection, child)
        for sa in view.ike
        if sa.state in IKE_UP
        for child in sa.children
        if child.state in CHILD_UP and (sa.connection, child.name) in pairs
    ]
    missing = sorted(pairs - {(connection, child.name) for connection, child in up})
    values = _values(pairs, up, view)
    if not pairs:
        asked = "/".join(name for name in (settings.connection, settings.child) if name) or "any child"
        return failed(Stage.CONNECT, "not-configured", detail=f"{asked} is not configured", values=values)
    if not missing:
        return Result(outcome=Outcome.OK, values=values)
    fault = min((_why(connection, view) for connection, _ in missing), key=_SEVERITY.index)
    names = ", ".join(f"{connection}/{child}" for connection, child in missing[:NAMES_SHOWN])
    more = f" and {len(missing) - NAMES_SHOWN} more" if len(missing) > NAMES_SHOWN else ""
    return failed(Stage.CONNECT, fault, detail=f"not established: {names}{more}", values=values)


# The first of these that holds for any missing child names the fault.
_SEVERITY = ("ike-missing", "ike-connecting", "child-missing")


def _why(connection: str, view: View) -> str:
    states = {sa.state for sa in view.ike if sa.connection == connection}
    if states & IKE_UP:
        return "child-missing"
    return "ike-connecting" if states & IKE_STARTING else "ike-missing"


def _values(pairs: frozenset[tuple[str, str]], up: list[tuple[str, ChildSa]], view: View) -> dict[str, float]:
    connections = {connection for connection, _ in pairs}
    ike = [sa for sa in view.ike if sa.connection in connections and sa.state in IKE_UP]
    established = {(connection, child.name) for connection, child in up}
    values: dict[str, float] = {
        "vpn_ike_up": float(bool(connections) and connections == {sa.connection for sa in ike}),
        "vpn_child_up": float(bool(pairs) and pairs == established),
        "vpn_children_configured": len(pairs),
        "vpn_children_established": len(established),
        "vpn_child_duplicates": len(up) - len(established),
        "vpn_received_bytes": sum(child.received_bytes for _, child in up),
        "vpn_sent_bytes": sum(child.sent_bytes for _, child in up),
    }
    rekey = [child.rekey_seconds for _, child in up if child.rekey_seconds is not None]
    if rekey:
        values["vpn_rekey_seconds"] = min(rekey)
    ages = [sa.age_seconds for sa in ike if sa.age_seconds is not None]
    if ages:
        values["vpn_ike_age_seconds"] = min(ages)
    return values


class _Gateway:
    """One VICI socket: its session, its last view, and a lock that makes exchanges one at a time."""

    def __init__(self, path: str, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = asyncio.Lock()
        self._session: Session | None = None
        self._view = View()
        self._taken = float("-inf")

    async def view(self, not_before: float) -> View:
        """Return a view taken at `not_before` (boot-time seconds) or later."""
        async with self._lock:
            if self._taken < not_before:
                began = self._clock.boot()
                view = await self._ask()
                self._view = msgspec.structs.replace(view, seconds=self._clock.boot() - began)
                self._taken = began
            return self._view

    async def _ask(self) -> View:
        session = self._session
        if session is not None:
            try:
                return await self._query(session)
            except (OSError, asyncio.IncompleteReadError):
                self.close()  # the daemon restarted since the last attempt: ask the new one
        self._session = session = await Session.connect(self._path)
        return await self._query(session)

    async def _query(self, session: Session) -> View:
        try:
            conns = await session.stream("list-conns", "list-conn")
            sas = await session.stream("list-sas", "list-sa")
        except BaseException:
            self.close()  # in the middle of an exchange, also when cancelled by a deadline
            raise
        return read_view(conns, sas)

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


class StrongswanRunner:
    """Shared by all strongswan probes: one session for each socket."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gateways: dict[str, _Gateway] = {}

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:
        """Ask the gateway and judge its answer; ends by `deadline` (boot-time seconds).

        A fail is believed when a second reading agrees: list-sas walks a living table, and while an
        IKE SA is rekeyed it can meet the old SA without children and miss the new one (seen on
        5.9.8, once in some thousand readings).
        """
        began = self._clock.boot()
        path = socket_path(settings.target)
        gateway = self._gateways.setdefault(path, _Gateway(path, self._clock))
        try:
            async with asyncio.timeout(max(0.0, deadline - began)):
                view = await gateway.view(began - (0.0 if fresh else SHARED_SECONDS))
                result = judge(settings, view)
                if result.outcome is Outcome.FAILED:
                    view = await gateway.view(self._clock.boot())
                    result = judge(settings, view)
        except TimeoutError:
            return unknown("vici-silent", f"no answer on {path} in time")
        except PermissionError:
            return unknown("no-permission", f"may not open {path}")
        except ViciError as error:
            return unknown("vici-protocol", f"{path}: {error}")
        except asyncio.IncompleteReadError:
            return unknown("vici-unreachable", f"{path}: the daemon closed the connection")
        except OSError as error:
            return unknown("vici-unreachable", f"{path}: {error.strerror or type(error).__name__}")
        return msgspec.structs.replace(result, seconds=view.seconds, phases={"query": view.seconds})

    def close(self) -> None:
        """Close every session."""
        for gateway in self._gateways.values():
            gateway.close()


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator[Any]:  # noqa: A001 - the name of the probe interface
    """Open the shared runner; nothing is connected before the first attempt."""
    runner = StrongswanRunner(kit.clock)
    try:
        yield runner
    finally:
        runner.close()
