"""A VPN tunnel as its gateway tells of it, the same for every kind of VPN, and what its counters say over time.

Configured, established and passing are three claims, and each can be false alone; none follows from another here.
What must stay true: pure; totals never fall, though the counters of single SAs begin anew at every rekey; a tunnel
that carries nothing is idle, not down; the names of SAs (`sas`) never leave the process.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from probes.kit.spec import Metric

# WireGuard calls a peer silent when it has sent and for so long received nothing: KEEPALIVE_TIMEOUT and
# REKEY_TIMEOUT, 10 and 5 s (Donenfeld, WireGuard, section 6.5). Taken for every kind of tunnel.
SILENT_SECONDS: Final = 15.0

# Every VPN probe type declares these, beside what only its kind has.
METRICS: Final = (
    Metric("vpn_tunnels_configured", "Tunnels asked for that the gateway has configured; 0 if it has none of them."),
    Metric("vpn_tunnels_established", "Tunnels asked for that are established; absent while this is not known of one."),
    Metric(
        "vpn_passing",
        f"1 if every tunnel has received something in the last {SILENT_SECONDS:g} s, 0 if one has sent for that long "
        "and nothing came back; absent while a tunnel is idle.",
    ),
    Metric(
        "vpn_received_bytes_total",
        "Bytes received through the tunnels since the agent looks, across rekeys.",
        counter=True,
    ),
    Metric(
        "vpn_sent_bytes_total", "Bytes sent through the tunnels since the agent looks, across rekeys.", counter=True
    ),
    Metric("vpn_received_packets_total", "Packets received, counted as the bytes are.", counter=True),
    Metric("vpn_sent_packets_total", "Packets sent, counted as the bytes are.", counter=True),
    Metric("vpn_received_age_seconds", "Time since the tunnel was last seen to receive (of several the longest)."),
    Metric("vpn_unanswered_seconds", "For how long a tunnel has been sending while nothing came back; 0 if none does."),
    Metric("vpn_established_seconds", "Age of the youngest tunnel's present keys or connection."),
    Metric("vpn_rekey_seconds", "Time until the next tunnel is due for new keys."),
    Metric("vpn_peer_age_seconds", "Time since a peer last proved itself by a message that only it can make."),
    Metric("vpn_duplicates", "Established SAs beyond one for each tunnel (while it is rekeyed: one)."),
)


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """What has passed; None where the gateway does not count it."""

    received_bytes: int | None = None
    sent_bytes: int | None = None
    received_packets: int | None = None
    sent_packets: int | None = None


class Tunnel(msgspec.Struct, frozen=True, kw_only=True):
    """One tunnel at one moment: a child, a peer, a connection.

    `sas` has the counters of each set of keys in use, by a name that no other set ever has (an SPI, say); two
    sets while the tunnel is rekeyed. `established` is None where the gateway does not know it (a WireGuard peer
    that nothing was sent to). Ages and times in seconds, None where the gateway does not tell them.
    """

    name: str
    configured: bool = True
    established: bool | None = False
    sas: Mapping[str, Counters] = {}
    established_seconds: float | None = None
    rekey_seconds: float | None = None
    peer_age_seconds: float | None = None
    duplicates: int = 0
    state: str = ""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What a tunnel's readings say together. Moments are boot-time seconds, of the reading that showed it.

    `received_at`, `sent_at`: when it was last seen to receive and to send; `unanswered_at`: when it was first seen
    to send after it had last received.
    """

    at: float
    sas: Mapping[str, Counters] = {}
    total: Counters = Counters()
    received_at: float | None = None
    sent_at: float | None = None
    unanswered_at: float | None = None

    @property
    def unanswered_seconds(self) -> float:
        """Return for how long it has been sending without receiving; 0 once it rests or receives."""
        if self.sent_at is None or self.unanswered_at is None:
            return 0.0
        return self.sent_at - self.unanswered_at

    def passing(self, now: float) -> bool | None:
        """Return whether it carries packets to us; None while it is idle, or not long enough known."""
        if self.unanswered_seconds >= SILENT_SECONDS:
            return False
        return True if self.received_at is not None and now - self.received_at <= SILENT_SECONDS else None


def advance(before: Progress | None, tunnel: Tunnel, now: float) -> Progress:
    """Return the progress with one more reading of the tunnel at `now` (boot-time seconds).

    A set of keys that was not there before counts as a whole, one that is gone keeps what it had; counters that
    fell began again at zero. The first reading shows no movement, since nobody knows when its counts came.
    """
    if before is None:
        return Progress(at=now, sas=tunnel.sas, total=_sum(tunnel.sas.values()))
    grown = _sum(_grown(before.sas.get(name), counters) for name, counters in tunnel.sas.items())
    received = bool(grown.received_bytes or grown.received_packets)
    sent = bool(grown.sent_bytes or grown.sent_packets)
    unanswered_at = None if received else before.unanswered_at
    return Progress(
        at=now,
        sas=tunnel.sas,
        total=_sum((before.total, grown)),
        received_at=now if received else before.received_at,
        sent_at=now if sent else before.sent_at,
        unanswered_at=now if sent and not received and unanswered_at is None else unanswered_at,
    )


def follow(before: Mapping[str, Progress], tunnels: Iterable[Tunnel], now: float) -> dict[str, Progress]:
    """Return the progress of each of these tunnels by name; one that is no longer among them is forgotten."""
    return {tunnel.name: advance(before.get(tunnel.name), tunnel, now) for tunnel in tunnels}


def tunnel_values(tunnels: Iterable[Tunnel], progress: Mapping[str, Progress], now: float) -> dict[str, float]:
    """Return the metrics of METRICS for these tunnels together; what no gateway told is absent.

    `progress` holds every tunnel by its name, as `follow` gives it.
    """
    known = tuple(tunnels)
    configured = [tunnel for tunnel in known if tunnel.configured]
    moved = [progress[tunnel.name] for tunnel in known]
    total = _sum(one.total for one in moved)
    passing = [one.passing(now) for one in moved]
    told: dict[str, float | None] = {
        "vpn_tunnels_configured": len(configured),
        "vpn_tunnels_established": _established(configured),
        "vpn_passing": 0.0 if False in passing else 1.0 if passing and None not in passing else None,
        "vpn_received_bytes_total": total.received_bytes,
        "vpn_sent_bytes_total": total.sent_bytes,
        "vpn_received_packets_total": total.received_packets,
        "vpn_sent_packets_total": total.sent_packets,
        "vpn_received_age_seconds": _most(None if one.received_at is None else now - one.received_at for one in moved),
        "vpn_unanswered_seconds": _most(one.unanswered_seconds for one in moved),
        "vpn_established_seconds": _least(tunnel.established_seconds for tunnel in known),
        "vpn_rekey_seconds": _least(tunnel.rekey_seconds for tunnel in known),
        "vpn_peer_age_seconds": _most(tunnel.peer_age_seconds for tunnel in known),
        "vpn_duplicates": sum(tunnel.duplicates for tunnel in known),
    }
    return {name: float(value) for name, value in told.items() if value is not None}


def tunnel_rows(
    tunnels: Iterable[Tunnel], progress: Mapping[str, Progress], now: float
) -> tuple[dict[str, str | int | float | None], ...]:
    """Return a table of the tunnels for `demarc probe`."""
    return tuple(
        {
            "tunnel": tunnel.name,
            "configured": _YES[tunnel.configured],
            "established": _YES[tunnel.established],
            "passing": _YES[progress[tunnel.name].passing(now)],
            "state": tunnel.state,
            "received bytes": progress[tunnel.name].total.received_bytes,
            "sent bytes": progress[tunnel.name].total.sent_bytes,
        }
        for tunnel in tunnels
    )


_YES: Final[Mapping[bool | None, str]] = MappingProxyType({True: "yes", False: "no", None: "not known"})


def _established(configured: Iterable[Tunnel]) -> int | None:
    """Return how many are established; None when that is not known of one."""
    told = [tunnel.established for tunnel in configured]
    return None if None in told else sum(map(bool, told))


def _sum(counters: Iterable[Counters]) -> Counters:
    """Return the sum of each counter over those that have it; None where none has."""
    known = tuple(counters)

    def add(name: str) -> int | None:
        told = [value for one in known if (value := getattr(one, name)) is not None]
        return sum(told) if told else None

    return Counters(**{name: add(name) for name in Counters.__struct_fields__})


def _grown(before: Counters | None, now: Counters) -> Counters:
    if before is None:
        return now
    return Counters(
        **{name: _increase(getattr(before, name), getattr(now, name)) for name in Counters.__struct_fields__}
    )


def _increase(before: int | None, now: int | None) -> int | None:
    if now is None or before is None:
        return now
    return now - before if now >= before else now


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _least(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)
