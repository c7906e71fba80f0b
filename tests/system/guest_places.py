"""The chain in the guest: this host is the cloud's gateway; the carrier and the other side are namespaces behind it.

    this host 198.51.100.2 -wan- 198.51.100.1 carrier 203.0.113.1 -far- 203.0.113.2 onprem
    10.10.0.1                                                                     10.20.0.1, 10.20.0.20

IPsec by strongSwan and the kernel's ESP between 10.10.0.0/24 and 10.20.0.0/24; WireGuard between 10.9.0.1 and 10.9.0.2.
"""

from pathlib import Path

from tests.system.guest import eventually, run, sh

NETWORK = """
ip netns add carrier; ip netns add onprem
ip link add wan type veth peer name wan netns carrier
ip -n carrier link add far type veth peer name far netns onprem
ip link set lo up; ip link set wan up; ip addr add 198.51.100.2/24 dev wan; ip addr add 10.10.0.1/32 dev lo
ip route add default via 198.51.100.1
ip -n carrier link set lo up; ip -n carrier link set wan up; ip -n carrier link set far up
ip -n carrier addr add 198.51.100.1/24 dev wan; ip -n carrier addr add 203.0.113.1/24 dev far
ip netns exec carrier sysctl -qw net.ipv4.ip_forward=1
ip -n onprem link set lo up; ip -n onprem link set far up; ip -n onprem addr add 203.0.113.2/24 dev far
ip -n onprem addr add 10.20.0.1/32 dev lo; ip -n onprem addr add 10.20.0.20/32 dev lo
ip -n onprem route add default via 203.0.113.1
"""
STRONGSWAN = """
charon-systemd { plugins { vici { socket = unix:///run/onprem.vici } } }
swanctl { plugins { vici { socket = unix:///run/onprem.vici } } }
"""
CONNECTION = """
connections {{ site {{ version = 2
  local_addrs = {own}
  remote_addrs = {peer}
  proposals = aes128gcm16-prfsha256-x25519
  local {{ auth = psk
    id = {own_id} }}
  remote {{ auth = psk
    id = {peer_id} }}
  children {{ net {{
    local_ts = {own_network}
    remote_ts = {peer_network}
    esp_proposals = aes128gcm16 }} }} }} }}
secrets {{ ike-1 {{ secret = "canary-psk-77aa" }} }}
"""
CLOUD, ONPREM = ("198.51.100.2", "cloud", "10.10.0.0/24"), ("203.0.113.2", "onprem", "10.20.0.0/24")
# The gateway's probes ask once a minute: what they tell at once, an event has told them.
CHAIN = """version: 1
effective: 2026-01-01T00:00
timezone: Europe/Amsterdam
director: msp
parties: {{msp: {{name: MSP}}, carrier: {{name: Carrier}}, incumbent: {{name: Incumbent}}}}
segments:
  cloud-gw: {{owner: msp, side: cloud}}
  carrier: {{owner: carrier, side: transit}}
  vpn: {{owner: [msp, incumbent], lead: msp, side: line}}
  onprem-gw: {{owner: incumbent, side: onprem}}
  app: {{owner: incumbent, side: onprem}}
vantages: {{cloud: {{segment: cloud-gw, operator: msp}}}}
confirm: {{rounds: 3, spacing: 1s}}
probes:
  edge: {{type: icmp, from: cloud, target: 198.51.100.1, interval: 2s, path: [cloud-gw, carrier]}}
  underlay: {{type: icmp, from: cloud, target: 203.0.113.2, interval: 2s, count: 20,
    path: &line [cloud-gw, carrier, onprem-gw]}}
  peer: {{type: ike, from: cloud, target: 203.0.113.2, interval: 30s, timeout: 10s, path: *line}}
  anchor: {{type: icmp, from: cloud, target: 10.20.0.1, interval: 2s, path: &far [cloud-gw, carrier, vpn, onprem-gw]}}
  app: {{type: tcp, from: cloud, target: "10.20.0.20:8080", interval: 5s,
    path: [cloud-gw, carrier, vpn, onprem-gw, app]}}
  tunnel: {{type: strongswan, from: cloud, target: /run/demarc-vici.sock, connection: site, interval: 1m,
    timeout: 20s, path: *far}}
  kernel: {{type: xfrm, from: cloud, target: 203.0.113.2, network: 10.20.0.0/24, interval: 1m,
    timeout: 20s, path: *far}}
  into: {{type: route, from: cloud, target: 10.20.0.1, table: 220, interval: 1m, timeout: 20s, path: [cloud-gw, vpn]}}
  wire: {{type: wireguard, from: cloud, target: wg0, peer: "{key}", timeout: 5s, path: *far}}
  size: {{type: pmtu, from: cloud, target: 10.20.0.1, interval: 10s, path: *far}}
"""


def lay() -> None:
    """Lay the network, without any tunnel."""
    for line in NETWORK.strip().splitlines():
        sh(line)


def lay_tunnels() -> str:
    """Start strongSwan on both sides, its tunnel not initiated; lay WireGuard's and return the key of its peer."""
    Path("/etc/onprem.conf").write_text(STRONGSWAN)
    Path("/etc/swanctl/conf.d/site.conf").write_text(_connection(CLOUD, ONPREM))
    Path("/etc/onprem.swanctl").write_text(_connection(ONPREM, CLOUD))
    inside = "-p NetworkNamespacePath=/run/netns/onprem"
    sh(f"systemd-run -q --unit=onprem-gw {inside} -E STRONGSWAN_CONF=/etc/onprem.conf /usr/sbin/charon-systemd")
    sh(f"systemd-run -q --unit=onprem-app {inside} python3 -m http.server --bind 10.20.0.20 8080 --directory /srv")
    sh("systemctl start strongswan")
    eventually(Path("/run/onprem.vici").is_socket, "the other side's charon")
    sh("STRONGSWAN_CONF=/etc/onprem.conf swanctl --load-all --file /etc/onprem.swanctl --uri unix:///run/onprem.vici")
    return _lay_wireguard()


def _connection(own: tuple[str, str, str], peer: tuple[str, str, str]) -> str:
    return CONNECTION.format(
        own=own[0], own_id=own[1], own_network=own[2], peer=peer[0], peer_id=peer[1], peer_network=peer[2]
    )


def _lay_wireguard() -> str:
    public = {}
    for side in ("here", "there"):
        public[side] = sh(f"umask 77; wg genkey | tee /root/{side}.key | wg pubkey").strip()
    for side, other, prefix, inside, own, far in (
        ("here", "there", "", "", "10.9.0.1", "10.9.0.2,endpoint 203.0.113.2:51820"),
        ("there", "here", "-n onprem", "ip netns exec onprem", "10.9.0.2", "10.9.0.1,"),
    ):
        allowed, _, more = far.partition(",")
        sh(f"ip {prefix} link add wg0 type wireguard")
        peer = f"peer {public[other]} {more} allowed-ips {allowed}/32 persistent-keepalive 5"
        sh(f"{inside} wg set wg0 listen-port 51820 private-key /root/{side}.key {peer}")
        sh(f"ip {prefix} addr add {own}/24 dev wg0; ip {prefix} link set wg0 up")
    return public["there"]


def chain(key: str) -> str:
    """Return the chain file; `key` is the public one of WireGuard's peer."""
    return CHAIN.format(key=key)


def disturb(netem: str) -> None:
    """Put `netem` on the carrier's port to the other side; an empty text heals it."""
    where = "dev far root"
    run(f"ip netns exec carrier tc qdisc del {where}")
    if netem:
        sh(f"ip netns exec carrier tc qdisc add {where} netem {netem}")
