"""A first chain file and agent file for a host, from what the host itself knows of its network.

Pure: takes the text of /proc/net/route and resolv.conf, returns the text of two files. The result
names nobody who has not been named: segments other than the host are `unassigned`.
"""

import ipaddress
import re
import struct
from collections.abc import Mapping
from datetime import datetime

import msgspec

from agent.config.document import core_value
from agent.config.scalars import RESERVED_NAME
from agent.model import UNASSIGNED

_UP, _GATEWAY = 0x1, 0x2  # RTF_UP, RTF_GATEWAY of linux/route.h
_HOST_BITS = 32
# A first chain is to be read by a person: so many gateways and resolvers are proposed.
MOST_GATEWAYS, MOST_RESOLVERS = 3, 3


class Neighbourhood(msgspec.Struct, frozen=True, kw_only=True):
    """What a host sees of its network: default gateway, directly attached networks, resolvers.

    `routes` are the networks behind another gateway, each with that gateway.
    """

    gateway: str | None = None
    attached: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    resolvers: tuple[str, ...] = ()

    def is_attached(self, address: str) -> bool:
        """Tell whether `address` is reached without the gateway."""
        found = ipaddress.ip_address(address)
        return any(found in ipaddress.ip_network(network) for network in self.attached)

    def via(self, address: str) -> str | None:
        """Return the gateway through which `address` is reached; None: without any, or not at all."""
        if self.is_attached(address):
            return None
        found = ipaddress.ip_address(address)
        networks = ((ipaddress.ip_network(network), gateway) for network, gateway in self.routes)
        behind = ((network.prefixlen, gateway) for network, gateway in networks if found in network)
        return max(behind, default=(0, self.gateway), key=lambda entry: entry[0])[1]


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What the person who installs says: who operates this host, where, and in which timezone."""

    operator: str
    vantage: str
    side: str = "cloud"
    timezone: str
    effective: datetime
    data: str


def neighbourhood(route: str, resolv: str) -> Neighbourhood:
    """Read /proc/net/route (addresses as little-endian hex, see proc_net_route(5)) and resolv.conf."""
    gateways: list[tuple[int, str]] = []
    attached: list[str] = []
    routes: list[tuple[str, str]] = []
    for line in route.splitlines()[1:]:
        cells = line.split()
        if len(cells) < 8 or not int(cells[3], 16) & _UP:
            continue
        destination, mask = _address(cells[1]), int.from_bytes(bytes.fromhex(cells[7])[::-1])
        if int(cells[3], 16) & _GATEWAY:
            if mask == 0:
                gateways.append((int(cells[6]), _address(cells[2])))
            else:
                routes.append((f"{destination}/{mask.bit_count()}", _address(cells[2])))
        elif mask:
            attached.append(f"{destination}/{mask.bit_count()}")
    return Neighbourhood(
        gateway=min(gateways)[1] if gateways else None,
        attached=tuple(dict.fromkeys(attached)),
        routes=tuple(dict.fromkeys(routes)),
        resolvers=resolvers(resolv),
    )


def resolvers(resolv: str) -> tuple[str, ...]:
    """Return the IPv4 name servers of resolv.conf, without those on the host itself."""
    found = re.findall(r"^\s*nameserver\s+(\S+)", resolv, re.MULTILINE)
    addresses = []
    for written in found:
        try:
            address = ipaddress.IPv4Address(written)
        except ValueError:
            continue
        if not address.is_loopback and not address.is_unspecified:
            addresses.append(str(address))
    return tuple(dict.fromkeys(addresses))


def _address(cell: str) -> str:
    return str(ipaddress.IPv4Address(struct.unpack("<I", bytes.fromhex(cell))[0]))


def slug(name: str) -> str:
    """Return a name that a chain file accepts, made from a name that people use."""
    made = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    if not made:
        return "operator"
    taken = made in (RESERVED_NAME, UNASSIGNED) or not isinstance(core_value(made), str)
    return f"party-{made}" if taken else made


def chain_file(near: Neighbourhood, said: Answers) -> str:
    """Return the chain file's text; ValueError when there is nothing to measure."""
    gateways = _gateways(near)
    if not gateways and not near.resolvers:
        raise ValueError("this host has no default gateway and no resolver; name one with --gateway ADDRESS")
    operator, host = slug(said.operator), f"{said.vantage}-host"
    segments = {host: f"{{owner: {operator}, side: {said.side}}}"}
    probes: dict[str, str] = {}
    for address, name in gateways.items():
        segments[name] = f"{{owner: unassigned, side: {said.side}}}"
        probes[name.replace("gateway", "gw")] = _probe("icmp", said.vantage, address, [host, name])
    for number, address in enumerate(near.resolvers[:MOST_RESOLVERS], start=1):
        if address in gateways:
            continue
        name = f"resolver-{number}"
        segments[name] = f"{{owner: unassigned, side: {said.side}}}"
        between = [gateways[g] for g in (near.via(address),) if g in gateways]
        asks = 'dns, name: ".", record: NS'  # every resolver can answer it
        probes[name] = _probe(asks, said.vantage, address, [host, *between, name])
    return _CHAIN.format(
        effective=said.effective.strftime("%Y-%m-%dT%H:%M"),
        timezone=said.timezone,
        operator=operator,
        name=said.operator.replace("\\", "\\\\").replace('"', '\\"'),
        segments=_block(segments),
        vantage=said.vantage,
        host=host,
        probes=_block(probes),
    )


def _gateways(near: Neighbourhood) -> dict[str, str]:
    """Name the default gateway and those of other networks, by address; the default one first."""
    found = dict.fromkeys([g for g in (near.gateway, *(gateway for _, gateway in near.routes)) if g is not None])
    return {g: "gateway" if n == 1 else f"gateway-{n}" for n, g in enumerate(tuple(found)[:MOST_GATEWAYS], start=1)}


def agent_file(said: Answers) -> str:
    """Return the agent file's text."""
    return _AGENT.format(vantage=said.vantage, data=said.data)


def _probe(sort: str, vantage: str, target: str, path: list[str]) -> str:
    return f"{{type: {sort}, from: {vantage}, target: {target}, interval: 1s, path: [{', '.join(path)}]}}"


def _block(entries: Mapping[str, str]) -> str:
    width = max(map(len, entries)) + 1
    return "\n".join(f"  {(name + ':').ljust(width)} {text}" for name, text in entries.items())


_CHAIN = """\
# What the parties agree on; the reference of every key is docs/chain-file.md. Check it: demarc check chain.yml
version: 1
effective: {effective}
timezone: {timezone}
director: {operator}              # who coordinates when nobody owns the cause alone

parties:                        # add everybody who owns a segment
  {operator}: {{name: "{name}"}}

segments:                       # one thing that must work, and who owns it; `unassigned` until somebody accepts it
{segments}

vantages:                       # the hosts that run demarc
  {vantage}: {{segment: {host}, operator: {operator}}}

probes:                         # a path is every segment crossed, this host first, the one that answers last
{probes}
"""

_AGENT = """\
# What is local to this host. Start it: demarc run --config.file agent.yml
vantage: {vantage}
chain: chain.yml
data: {data}
# peers: [{{vantage: onprem, url: "https://10.20.0.30:10199"}}]
# alertmanagers: ["http://127.0.0.1:9093"]
"""
