"""The firewall request: what every probe puts on the network, from where to where, and how much.

Counts are upper estimates of packets in both directions, for people who size rules and rate limits.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec

from agent.model import Chain, Host, Probe
from probes.kit.spec import Flow, Pace

HOUR = 3600.0
PEER_INTERVAL = 1.0  # seconds; an agent asks its peers about once a second at most

_DATAGRAM = 2  # a request and its reply
_HANDSHAKE = 7  # SYN, SYN-ACK, ACK; FIN and ACK in both directions; counted on loopback
_EXCHANGE = 24  # HTTPS with one small certificate: 15 counted on loopback; a public chain adds segments and ACKs
_PACKETS = {"icmp": _DATAGRAM, "icmpv6": _DATAGRAM, "udp": _DATAGRAM}
_NAME_SERVICE_PACKETS = 2  # per hour and name: a name is kept for its TTL, assumed to be an hour


class FlowRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the request. `probe` is empty for the agent's own traffic.

    `packets_per_hour` is steady probing; `packets_per_hour_most` adds confirmation without a pause.
    """

    probe: str
    source: str
    source_segment: str
    target: str
    protocol: str
    port: int | None
    packets_per_hour: int
    packets_per_hour_most: int
    purpose: str


def flows(chain: Chain, host: Host | None = None) -> tuple[FlowRow, ...]:
    """Return the chain's flows in file order, then those of the agent itself when `host` is given."""
    rows = [
        _probe_row(chain, probe, flow)
        for probe in chain.probes.values()
        for flow in (probe.flow, *probe.flow.also)
        if not flow.local
    ]
    rows += _name_rows(chain)
    if host is not None:
        rows += _host_rows(chain, host)
    return tuple(rows)


def packets(flow: Flow) -> int:
    """Return how many packets one attempt makes, both directions together."""
    if flow.packets:
        return flow.packets
    if flow.protocol in _PACKETS:
        return _PACKETS[flow.protocol]
    return _EXCHANGE if flow.carry_bytes > flow.connect_bytes else _HANDSHAKE


def _probe_row(chain: Chain, probe: Probe, flow: Flow) -> FlowRow:
    """Return the row of one of the probe's flows; one beside the main flow counts as if each attempt used it."""
    attempts = HOUR / probe.interval
    confirming = HOUR / chain.confirm.spacing if probe.pace is Pace.ROUND else 0.0
    each = packets(flow)
    served = f" for service {probe.service}" if probe.service else ""
    purpose = probe.description or f"{probe.type} measurement of {probe.path[-1]}{served}"
    return FlowRow(
        probe=probe.id,
        source=probe.vantage,
        source_segment=probe.path[0],
        target=flow.host,
        protocol=flow.protocol,
        port=flow.port,
        packets_per_hour=round(attempts * each),
        packets_per_hour_most=round((attempts + confirming) * each),
        purpose=purpose if flow is probe.flow else f"{flow.function}: {purpose}",
    )


def _name_rows(chain: Chain) -> Iterable[FlowRow]:
    for vantage in chain.vantages.values():
        asked = [[f for f in (p.flow, *p.flow.also) if f.named] for p in chain.probes_of(vantage.id)]
        named = sum(1 for flows_of_probe in asked if flows_of_probe)
        if named:
            steady = sum(map(len, asked)) * _NAME_SERVICE_PACKETS
            yield FlowRow(
                probe="",
                source=vantage.id,
                source_segment=vantage.segment,
                target="the host's resolvers",
                protocol="udp",
                port=53,
                packets_per_hour=steady,
                packets_per_hour_most=steady * int(HOUR / chain.confirm.spacing / 60 + 1),
                purpose=f"names of {named} probe{'s' if named > 1 else ''}",
            )


def _host_rows(chain: Chain, host: Host) -> Iterable[FlowRow]:
    told = [(peer.url, f"observations of the agent at {peer.vantage}", HOUR / PEER_INTERVAL) for peer in host.peers]
    told += [(url, "alerts to Alertmanager", HOUR / 60) for url in host.alertmanagers]
    for url, purpose, requests in told:
        parts = urlsplit(url)
        count = round(requests * _EXCHANGE)
        yield FlowRow(
            probe="",
            source=host.vantage,
            source_segment=chain.vantages[host.vantage].segment,
            target=parts.hostname or "",
            protocol="tcp",
            port=parts.port or (443 if parts.scheme == "https" else 80),
            packets_per_hour=count,
            packets_per_hour_most=count,
            purpose=purpose,
        )
