"""The lab's network as data: nodes, links, addresses, routes, filters. Pure; `lab.build` carries it out.

    cloud-host --+                                carrier                                +-- onprem-host --+
    10.10.0.10   +- cloud-gw =near= edge =core= core -- far edge =last mile= onprem-gw --+  10.20.0.30     |
    dns ---------+     |                     |                           10.20.0.1       +-- onprem-fw -- app
    10.10.0.53         +---- microsoft ------+                                                10.20.0.20, .21

    = TAP cable with faults; - veth. cloud-host and onprem-host share an out-of-band link (192.0.2.0/30).

What must stay true: the carrier has no route to 10/8; cloud-gw reaches Microsoft without the carrier and the
on-prem site only through it; onprem-host reaches the application servers without the firewall (own leg in the
server VLAN); with the tunnel down no packet for the far prefix leaves a gateway in plain text.
"""

import msgspec

CLOUD_PREFIX = "10.10.0.0/16"
ONPREM_PREFIX = "10.20.0.0/16"

# What the chain file, the tests and the demo name. RFC 5737 documentation addresses stand for public ones.
ADDRESSES = {
    "cloud-host": "10.10.0.10",
    "cloud-host-oob": "192.0.2.1",
    "cloud-gw": "10.10.0.1",
    "cloud-gw-outer": "198.51.100.2",
    "dns": "10.10.0.53",
    "carrier-edge": "198.51.100.1",
    "carrier-far-edge": "203.0.113.1",
    "microsoft": "192.0.2.100",
    "onprem-gw": "10.20.0.1",
    "onprem-gw-outer": "203.0.113.2",
    "onprem-fw": "10.20.0.2",
    "erp": "10.20.0.20",
    "hr": "10.20.0.21",
    "onprem-host": "10.20.0.30",
    "onprem-host-oob": "192.0.2.2",
}
ERP_PORT = 443
HR_PORT = 8443


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A box: one network namespace. `addresses` are (device, address/length), `routes` arguments of `ip route add`.

    `bridge` is (device, its ports), `filters` an nft script.
    """

    addresses: tuple[tuple[str, str], ...]
    routes: tuple[str, ...] = ()
    forwards: bool = False
    bridge: tuple[str, tuple[str, ...]] | None = None
    filters: str = ""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A veth pair: each end is (node, device)."""

    one: tuple[str, str]
    other: tuple[str, str]


class Cable(msgspec.Struct, frozen=True, kw_only=True):
    """A TAP relay; direction `ab` runs from `one` to `other`."""

    one: tuple[str, str]
    other: tuple[str, str]


def _gateway_filters(lan: str) -> str:
    """Translate the LAN's source address towards the outside; the tunnel and its far prefix stay as they are.

    The tunnel device's MTU is 1400 (strongSwan's kernel-libipsec): clamp TCP as site gateways do.
    """
    return f"""
table ip nat {{
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    oifname {{ "wan0", "ms0" }} ip saddr {lan} masquerade
  }}
  chain forward {{
    type filter hook forward priority mangle;
    oifname "ipsec0" tcp flags syn tcp option maxseg size set 1360
    iifname "ipsec0" tcp flags syn tcp option maxseg size set 1360
  }}
}}
"""


# A carrier that keeps quiet about its own failures, as most do: no ICMP unreachable from its routers.
# Whoever sends such errors would also clear itself; the chain's findings must not rest on that luck.
_QUIET = """
table inet quiet {
  chain output {
    type filter hook output priority filter;
    icmp type destination-unreachable drop
  }
}
"""

NODES = {
    "cloud-host": Node(
        addresses=(("eth0", "10.10.0.10/24"), ("oob0", "192.0.2.1/30")),
        routes=("default via 10.10.0.1 dev eth0",),
    ),
    "dns": Node(addresses=(("eth0", "10.10.0.53/24"),), routes=("default via 10.10.0.1 dev eth0",)),
    "cloud-gw": Node(
        bridge=("lan0", ("lan1", "lan2")),
        addresses=(("lan0", "10.10.0.1/24"), ("wan0", "198.51.100.2/24"), ("ms0", "192.0.2.9/30")),
        routes=(
            "default via 198.51.100.1 dev wan0",
            "192.0.2.100/32 via 192.0.2.10 dev ms0",
            f"unreachable {ONPREM_PREFIX} metric 4096",
        ),
        forwards=True,
        filters=_gateway_filters(CLOUD_PREFIX),
    ),
    "carrier-edge": Node(
        addresses=(("near0", "198.51.100.1/24"), ("core0", "100.64.0.1/30")),
        routes=("203.0.113.0/24 via 100.64.0.2", "192.0.2.100/32 via 100.64.0.2"),
        forwards=True,
        filters=_QUIET,
    ),
    "carrier-core": Node(
        addresses=(("edge0", "100.64.0.2/30"), ("far0", "100.64.0.5/30"), ("ms0", "192.0.2.13/30")),
        routes=(
            "198.51.100.0/24 via 100.64.0.1",
            "203.0.113.0/24 via 100.64.0.6",
            "192.0.2.100/32 via 192.0.2.14 dev ms0",
        ),
        forwards=True,
        filters=_QUIET,
    ),
    "carrier-far-edge": Node(
        addresses=(("last0", "203.0.113.1/24"), ("core0", "100.64.0.6/30")),
        routes=("198.51.100.0/24 via 100.64.0.5", "192.0.2.100/32 via 100.64.0.5"),
        forwards=True,
        filters=_QUIET,
    ),
    "microsoft": Node(
        addresses=(("cloud0", "192.0.2.10/30"), ("carrier0", "192.0.2.14/30"), ("lo", "192.0.2.100/32")),
        routes=("203.0.113.0/24 via 192.0.2.13 dev carrier0",),
    ),
    "onprem-gw": Node(
        bridge=("lan0", ("lan1", "lan2")),
        addresses=(("lan0", "10.20.0.1/24"), ("wan0", "203.0.113.2/24")),
        routes=(
            "default via 203.0.113.1 dev wan0",
            "10.20.0.20/31 via 10.20.0.2 dev lan0",
            f"unreachable {CLOUD_PREFIX} metric 4096",
        ),
        forwards=True,
        filters=_gateway_filters(ONPREM_PREFIX),
    ),
    "onprem-fw": Node(
        addresses=(("lan0", "10.20.0.2/24"),),
        routes=("10.20.0.20/31 dev srv0", "default via 10.20.0.1 dev lan0"),
        forwards=True,
    ),
    "app": Node(
        addresses=(("eth0", "10.20.0.20/32"), ("eth0", "10.20.0.21/32")),
        routes=(
            "10.20.0.2/32 dev eth0 scope link",
            "default via 10.20.0.2 dev eth0",
            "10.20.0.30/32 dev vlan0 scope link",
        ),
    ),
    "onprem-host": Node(
        addresses=(("eth0", "10.20.0.30/24"), ("oob0", "192.0.2.2/30")),
        routes=("10.20.0.20/31 dev vlan0 scope link src 10.20.0.30", "default via 10.20.0.1 dev eth0"),
    ),
}

LINKS = (
    Link(one=("cloud-gw", "lan1"), other=("cloud-host", "eth0")),
    Link(one=("cloud-gw", "lan2"), other=("dns", "eth0")),
    Link(one=("cloud-gw", "ms0"), other=("microsoft", "cloud0")),
    Link(one=("carrier-core", "far0"), other=("carrier-far-edge", "core0")),
    Link(one=("carrier-core", "ms0"), other=("microsoft", "carrier0")),
    Link(one=("onprem-gw", "lan1"), other=("onprem-fw", "lan0")),
    Link(one=("onprem-gw", "lan2"), other=("onprem-host", "eth0")),
    Link(one=("onprem-fw", "srv0"), other=("app", "eth0")),
    Link(one=("onprem-host", "vlan0"), other=("app", "vlan0")),
    Link(one=("cloud-host", "oob0"), other=("onprem-host", "oob0")),
)

CABLES = {
    "near": Cable(one=("cloud-gw", "wan0"), other=("carrier-edge", "near0")),
    "core": Cable(one=("carrier-edge", "core0"), other=("carrier-core", "edge0")),
    "last-mile": Cable(one=("carrier-far-edge", "last0"), other=("onprem-gw", "wan0")),
}


def creation_lines(name: str, namespace_path: dict[str, str]) -> str:
    """Return the `ip -batch` lines, run inside node `name`, that create its bridge and the veth pairs it starts.

    `namespace_path` maps a node to a path at which `ip` finds its namespace.
    """
    node = NODES[name]
    lines = ["link set lo up"]
    if node.bridge:
        lines.append(f"link add {node.bridge[0]} type bridge forward_delay 0")
    lines += [
        f"link add {link.one[1]} type veth peer name {link.other[1]} netns {namespace_path[link.other[0]]}"
        for link in LINKS
        if link.one[0] == name
    ]
    return "\n".join(lines) + "\n"


def address_lines(name: str) -> str:
    """Return the `ip -batch` lines that bring up and address the devices of node `name`; its TAP ends exist by then."""
    node = NODES[name]
    devices = [end[1] for link in LINKS for end in (link.one, link.other) if end[0] == name]
    devices += [end[1] for cable in CABLES.values() for end in (cable.one, cable.other) if end[0] == name]
    lines = [f"addr add {address} dev {device}" for device, address in node.addresses]
    if node.bridge:
        bridge, ports = node.bridge
        lines += [f"link set {port} master {bridge}" for port in ports]
        devices.append(bridge)
    # `state up` saves the second that the kernel may take to see a new link as up (net/core/link_watch.c),
    # in which a bridge forwards nothing to it.
    lines += [f"link set {device} {what}" for device in devices for what in ("up", "state up")]
    lines += [f"route add {route}" for route in node.routes]
    return "\n".join(lines) + "\n"
