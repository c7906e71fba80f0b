"""What a real strongSwan 5.9.8 said (shortened), and short ways to write the like of it."""

from typing import Any

from probes.kit.charon_log import LogReader
from probes.kit.charon_verdict import Situation
from probes.kit.charon_view import ChildSa, IkeSa, View, tunnels
from probes.kit.tunnel_state import Counters, Progress, follow

CONN: dict[str, Any] = {
    "site": {
        "local_addrs": [b"192.0.2.1"],
        "remote_addrs": [b"192.0.2.2"],
        "version": b"IKEv2",
        "local-1": {"id": b"a.lab", "class": b"pre-shared key"},
        "children": {
            "net": {
                "mode": b"TUNNEL",
                "rekey_time": b"3600",
                "local-ts": [b"10.1.0.0/24"],
                "remote-ts": [b"10.2.0.0/24"],
            },
            "lan-bypass": {"mode": b"PASS"},
        },
    }
}
CHILD: dict[str, Any] = {
    "name": b"net",
    "state": b"INSTALLED",
    "bytes-in": b"1200",
    "packets-in": b"3",
    "use-in": b"0",
    "bytes-out": b"3400",
    "packets-out": b"4",
    "rekey-time": b"3288",
    "install-time": b"60",
    "spi-in": b"d1109242",
    "local-ts": [b"10.1.0.0/24"],
    "remote-ts": [b"10.2.0.0/24"],
}
SA: dict[str, Any] = {
    "site": {
        "uniqueid": b"1",
        "state": b"ESTABLISHED",
        "remote-host": b"192.0.2.2",
        "established": b"79",
        "rekey-time": b"13271",
        "initiator-spi": b"19b6539c8bd26e29",
        "child-sas": {"net-1": CHILD},
    }
}
STATS: dict[str, Any] = {"ikesas": {"total": b"1", "half-open": b"0"}}


def ike(state: str, *children: ChildSa, connection: str = "site", age_seconds: int | None = 5) -> IkeSa:
    """Return an IKE SA with the id 1."""
    return IkeSa(connection=connection, state=state, unique_id="1", age_seconds=age_seconds, children=children)


def child(state: str = "INSTALLED", name: str = "net", spi: str = "a", age: int = 60) -> ChildSa:
    """Return a child SA."""
    counters = Counters(received_bytes=10, sent_bytes=20, received_packets=1, sent_packets=2)
    return ChildSa(name=name, state=state, spi=spi, counters=counters, rekey_seconds=300, age_seconds=age)


def view(*sas: IkeSa, configured: tuple[str, ...] = ("site/net",)) -> View:
    """Return a view with these `connection/child` pairs configured."""
    pairs = frozenset((name.split("/")[0], name.split("/")[1]) for name in configured)
    return View(configured=pairs, ike=sas)


def situation(
    seen: View, *, log: LogReader | None = None, progress: dict[str, Progress] | None = None, now: float = 100.0
) -> Situation:
    """Return what is known with this view as the first one, unless `progress` says more."""
    own = tunnels(seen)
    known = follow({}, own.values(), now) | (progress or {})
    return Situation(now=now, view=seen, tunnels=own, progress=known, log=log or LogReader(), listening=True)


def line(message: str, *, ike: str = "1", name: str = "site") -> dict[str, Any]:
    """Return the message of a `log` event."""
    return {"group": b"IKE", "ikesa-name": name.encode(), "ikesa-uniqueid": ike.encode(), "msg": message.encode()}
