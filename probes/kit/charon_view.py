"""What a strongSwan gateway says, read from its VICI messages: what is configured, what is established. Pure.

Keys as strongSwan's src/libcharon/plugins/vici/README.md names them (list-conns, list-sas, stats, child-updown,
child-rekey). What must stay true: unknown keys are ignored and a value of another shape counts as absent; an SPI
stays inside the process, as the name by which the counters of an SA are told from those of the next one.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Final

import msgspec

from probes.kit.tunnel_state import Counters, Tunnel
from probes.kit.vici import Section

# States of strongSwan's ike_sa.h and child_sa.h in which traffic flows: the old SA stays in the
# kernel until the rekeyed one has replaced it.
IKE_UP: Final = frozenset({"ESTABLISHED", "REKEYING"})
IKE_STARTING: Final = frozenset({"CREATED", "CONNECTING"})
CHILD_UP: Final = frozenset({"INSTALLED", "UPDATING", "REKEYING"})
# Bypass and drop policies are configured as children and never have an SA.
SHUNTS: Final = frozenset({"PASS", "DROP"})
# Two SAs of one child are normal while it is rekeyed, which takes a round trip and the old one's deletion: both
# must be older than this, several retransmissions with strongSwan's defaults (4 s and 7 s).
DUPLICATE_SECONDS: Final = 15
# Stands in `selectors` between this side's and the far side's.
_BETWEEN: Final = "==="


class ChildSa(msgspec.Struct, frozen=True, kw_only=True):
    """One child SA. Counters of its present keys; seconds since their installation and until their rekeying.

    `heard_seconds`: since the last packet that came in by it, None if none did or the kernel does not tell.
    """

    name: str
    state: str
    spi: str = ""
    counters: Counters = Counters()
    rekey_seconds: int | None = None
    age_seconds: int | None = None
    heard_seconds: int | None = None
    selectors: tuple[str, ...] = ()


class IkeSa(msgspec.Struct, frozen=True, kw_only=True):
    """One IKE SA of a connection; `age_seconds` is None until it is established."""

    connection: str
    state: str
    unique_id: str = ""
    peer: str = ""
    age_seconds: int | None = None
    rekey_seconds: int | None = None
    children: tuple[ChildSa, ...] = ()


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What one gateway says: configured (connection, child) pairs, and its IKE SAs.

    `half_open`: IKE SAs that somebody began with this gateway and has not finished, of all connections; None if
    it was not told. `peers` has the addresses of each connection's other end, `networks` the selectors of
    each child, both as configured.
    """

    configured: frozenset[tuple[str, str]] = frozenset()
    ike: tuple[IkeSa, ...] = ()
    half_open: int | None = None
    peers: dict[str, tuple[str, ...]] = {}
    networks: dict[tuple[str, str], tuple[str, ...]] = {}


def read_view(conns: Iterable[Section], sas: Iterable[Section], stats: Section | None = None) -> View:
    """Return the view that `list-conn` and `list-sa` events and the answer to `stats` give."""
    known = tuple(sections(conns))
    networks = {
        (name, child): _selectors(body)
        for name, conn in known
        for child, body in sections([section(conn.get("children"))])
        if text(body.get("mode")) not in SHUNTS
    }
    return View(
        configured=frozenset(networks),
        ike=tuple(read_ike(name, sa) for name, sa in sections(sas)),
        half_open=count(section((stats or {}).get("ikesas")).get("half-open")),
        peers={name: texts(conn.get("remote_addrs")) for name, conn in known},
        networks=networks,
    )


def read_ike(connection: str, sa: Section) -> IkeSa:
    """Return one IKE SA of a `list-sa`, `ike-updown` or `child-updown` message."""
    return IkeSa(
        connection=connection,
        state=text(sa.get("state")),
        unique_id=text(sa.get("uniqueid")),
        peer=text(sa.get("remote-host")),
        age_seconds=count(sa.get("established")),
        rekey_seconds=count(sa.get("rekey-time")),
        children=tuple(read_child(key, body) for key, body in sections([section(sa.get("child-sas"))])),
    )


def read_child(key: str, body: Section) -> ChildSa:
    """Return one child SA; `key` is name-uniqueid since 5.2.2, `name` holds the configured one."""
    return ChildSa(
        name=text(body.get("name")) or key,
        state=text(body.get("state")),
        spi=text(body.get("spi-in")),
        counters=Counters(
            received_bytes=count(body.get("bytes-in")),
            sent_bytes=count(body.get("bytes-out")),
            received_packets=count(body.get("packets-in")),
            sent_packets=count(body.get("packets-out")),
        ),
        rekey_seconds=count(body.get("rekey-time")),
        age_seconds=count(body.get("install-time")),
        heard_seconds=count(body.get("use-in")),
        selectors=_selectors(body),
    )


def _selectors(body: Section) -> tuple[str, ...]:
    return (*texts(body.get("local-ts")), _BETWEEN, *texts(body.get("remote-ts")))


def last_words(event: str, message: Section) -> Iterator[tuple[str, ChildSa]]:
    """Yield the tunnel's name and the child SA with its last counters, for each that an event says has ended."""
    for connection, sa in sections([message]):
        for key, body in sections([section(sa.get("child-sas"))]):
            ended = section(body.get("old")) if event == "child-rekey" else body
            if event == "child-rekey" or (event == "child-updown" and "up" not in message):
                child = read_child(key, ended)
                yield tunnel_name(connection, child.name), child


def tunnel_name(connection: str, child: str) -> str:
    """Return how a child is called on screen and in metrics."""
    return f"{connection}/{child}"


def established(view: View) -> tuple[tuple[IkeSa, ChildSa], ...]:
    """Return the child SAs by which traffic flows, each with its IKE SA."""
    return tuple(
        (sa, child) for sa in view.ike if sa.state in IKE_UP for child in sa.children if child.state in CHILD_UP
    )


def tunnels(view: View) -> dict[tuple[str, str], Tunnel]:
    """Return every child that is configured or has an SA, as a tunnel, by connection and child."""
    present: dict[tuple[str, str], list[tuple[IkeSa, ChildSa]]] = {pair: [] for pair in sorted(view.configured)}
    for sa in view.ike:
        for child in sa.children:
            present.setdefault((sa.connection, child.name), []).append((sa, child))
    return {pair: _tunnel(pair, own, configured=pair in view.configured) for pair, own in present.items()}


def _tunnel(pair: tuple[str, str], own: list[tuple[IkeSa, ChildSa]], *, configured: bool) -> Tunnel:
    live = [(sa, child) for sa, child in own if sa.state in IKE_UP and child.state in CHILD_UP]
    return Tunnel(
        name=tunnel_name(*pair),
        configured=configured,
        established=bool(live),
        sas={child.spi: child.counters for _, child in own},
        established_seconds=_least(child.age_seconds for _, child in live),
        rekey_seconds=_least(child.rekey_seconds for _, child in live),
        # An inbound packet was authenticated with keys that only the peer has.
        peer_age_seconds=_least(child.heard_seconds for _, child in live),
        duplicates=duplicates(live),
        state=", ".join(sorted({child.state for _, child in own})) or "none",
    )


def narrowed(view: View, pair: tuple[str, str], live: Iterable[ChildSa]) -> tuple[str, ...]:
    """Return the configured selectors of a child that none of its SAs has; `dynamic` ones are the daemon's choice."""
    held = {selector for child in live for selector in child.selectors}
    return tuple(one for one in view.networks.get(pair, ()) if one not in held and not one.startswith("dynamic"))


def uncarried(networks: tuple[str, ...], live: Iterable[ChildSa]) -> tuple[str, ...]:
    """Return those of the far networks (CIDR) that the SAs together do not hold whole, for every protocol."""
    if not networks:
        return ()
    held = [network for child in live for text in _remote(child) if (network := _network(text)) is not None]
    whole: list[IPv4Network | IPv6Network] = [
        *collapse_addresses(n for n in held if isinstance(n, IPv4Network)),
        *collapse_addresses(n for n in held if isinstance(n, IPv6Network)),
    ]
    return tuple(one for one in networks if not any(_holds(network, ip_network(one)) for network in whole))


def _remote(child: ChildSa) -> tuple[str, ...]:
    return child.selectors[child.selectors.index(_BETWEEN) + 1 :] if _BETWEEN in child.selectors else ()


def _network(text: str) -> IPv4Network | IPv6Network | None:
    """Return a selector as a network; None for a range of addresses, or one for some ports only."""
    try:
        return ip_network(text)
    except ValueError:
        return None


def _holds(network: IPv4Network | IPv6Network, part: IPv4Network | IPv6Network) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(part, IPv4Network) and part.subnet_of(network)
    return isinstance(part, IPv6Network) and part.subnet_of(network)


def duplicates(live: Iterable[tuple[IkeSa, ChildSa]]) -> int:
    """Return how many lasting SAs there are beyond one for each peer and pair of selectors."""
    old = [
        (sa.peer, child.name, child.selectors)
        for sa, child in live
        if child.state == "INSTALLED" and (child.age_seconds or 0) >= DUPLICATE_SECONDS
    ]
    return len(old) - len(set(old))


def _least(values: Iterable[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)


def sections(messages: Iterable[Section]) -> Iterator[tuple[str, Section]]:
    """Yield every named section of these messages."""
    for message in messages:
        for name, value in message.items():
            if isinstance(value, dict):
                yield name, value


def section(value: object) -> Section:
    """Return `value` if it is a section, else an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: object) -> str:
    """Return a value as text; empty for a list or a section."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def texts(value: object) -> tuple[str, ...]:
    """Return the texts of a list; empty for anything else."""
    return tuple(text(item) for item in value) if isinstance(value, list) else ()


def count(value: object) -> int | None:
    """Return a number of at most 20 digits, which holds every 64-bit counter; None for anything else."""
    return int(value) if isinstance(value, bytes) and value.isdigit() and len(value) <= 20 else None
