"""The lab's chain file and agent files, written into its run directory.

What must stay true: the paths say what really is crossed in `lab.topology`; the wording follows the contract
in the project's design, so that the plain form is what the examples and the tests exercise.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from lab.agent_key import agent_key
from lab.services import CLIENT_ID, TENANT
from lab.topology import ADDRESSES, CLOUD_PREFIX, HR_PORT, ONPREM_PREFIX
from lab.tunnel import CONNECTION, gate_path

AGENT_PORT = 10199


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds; tests compress time with them. `slow_interval` is for http, dns and the VPN's state.

    `peer_interval` is for the far gateway's IKE daemon, which must not be asked more often than every 30 s; 0: it is
    not asked at all, since a test has ended before a second answer comes.
    """

    interval: float = 1.0
    slow_interval: float = 5.0
    entra_interval: float = 15.0
    spacing: float = 1.0
    timeout: float = 1.0
    skew: float = 1.0
    peer_interval: float = 0.0


# What people look at: `python -m lab up`, the demo, the pictures.
SHOWN = Pace(peer_interval=60.0)


PEER = """  peer: {{type: ike, from: cloud, target: {target}, interval: {interval}s,
    path: [cloud-host, cloud-gw, carrier, onprem-gw]}}
"""


def chain_text(run_dir: Path, pace: Pace, keys: Mapping[str, str]) -> str:
    """Return the chain file; `keys` are the agents' verifier keys by vantage."""
    a = ADDRESSES
    fast, slow = f"interval: {pace.interval}s", f"interval: {pace.slow_interval}s"
    ca = f"{run_dir}/ca.pem"
    far = "cloud-host, cloud-gw, carrier, vpn, onprem-gw"
    timing = f"timeout: {pace.timeout}s"
    peer = PEER.format(target=a["onprem-gw-outer"], interval=pace.peer_interval) if pace.peer_interval else ""
    return f"""# The lab's chain. Times are compressed where the lab was brought up with other than the defaults.
version: 1
effective: 2026-01-01T00:00
timezone: Europe/Amsterdam
director: msp
parties:
  client: {{name: Gemeente Voorbeeld, language: nl}}
  msp: {{name: Nieuwe MSP, contact: {{phone: "+31 20 000 00 00", email: noc@msp.example}}}}
  carrier: {{name: GlasNet, contact: {{phone: "+31 88 000 00 00"}}}}
  incumbent: {{name: Zittende ICT, language: nl, support: "Mo-Fr 08:00-17:00"}}
  microsoft: {{name: Microsoft (simulated)}}
segments:
  cloud-host: {{owner: msp, side: cloud}}
  cloud-gw: {{owner: msp, side: cloud}}
  dns: {{owner: msp, side: cloud}}
  carrier: {{owner: carrier, side: transit, quote: "circuit NL-123456"}}
  vpn: {{owner: [msp, incumbent], lead: msp, side: line, description: agreed configuration of the tunnel}}
  onprem-gw: {{owner: incumbent, side: onprem}}
  onprem-fw: {{owner: incumbent, side: onprem, filters: true}}
  erp-app: {{owner: incumbent, side: onprem, until: 2028-07-01}}
  hr-app: {{owner: incumbent, side: onprem, until: 2028-07-01}}
  onprem-host: {{owner: incumbent, side: onprem}}
  microsoft-cloud: {{owner: microsoft, side: saas}}
  entra-sync: {{owner: incumbent, side: onprem}}
vantages:
  cloud: {{segment: cloud-host, operator: msp, key: "{keys["cloud"]}"}}
  onprem: {{segment: onprem-host, operator: incumbent, key: "{keys["onprem"]}"}}
services:
  erp: {{name: ERP, hours: "Mo-Fr 07:00-19:00", page: {{when: hours, after: 2m}}, norm: {{availability: 99.5%}}}}
  hr: {{name: Personeelszaken, norm: {{availability: 99%}}}}
  signin: {{name: Aanmelden bij Entra}}
confirm: {{rounds: 5, spacing: {pace.spacing}s, skew: {pace.skew}s}}
probes:
  gw: {{type: icmp, from: cloud, target: {a["cloud-gw"]}, {fast}, {timing}, path: [cloud-host, cloud-gw]}}
  gw-outer: {{type: icmp, from: cloud, target: {a["cloud-gw-outer"]}, {fast}, {timing}, path: [cloud-host, cloud-gw]}}
  saas: {{type: http, from: cloud, target: "https://{a["microsoft"]}/healthz", ca_file: {ca}, {fast}, {timing},
    path: [cloud-host, cloud-gw, microsoft-cloud]}}
  carrier-edge: {{type: icmp, from: cloud, target: {a["carrier-edge"]}, {fast}, {timing},
    path: [cloud-host, cloud-gw, carrier]}}
  underlay: {{type: icmp, from: cloud, target: {a["onprem-gw-outer"]}, {fast}, {timing},
    path: [cloud-host, cloud-gw, carrier, onprem-gw]}}
  anchor: {{type: icmp, from: cloud, target: {a["onprem-gw"]}, {fast}, {timing}, path: [{far}]}}
  erp: {{type: http, from: cloud, target: "https://erp.corp.lab/health", ca_file: {ca}, {slow}, {timing}, service: erp,
    resolve: [dns], path: [{far}, onprem-fw, erp-app]}}
  hr: {{type: http, from: cloud, target: "https://hr.corp.lab:{HR_PORT}/health", ca_file: {ca}, {slow}, {timing},
    service: hr, resolve: [dns], path: [{far}, onprem-fw, hr-app]}}
  dns: {{type: dns, from: cloud, target: {a["dns"]}, name: erp.corp.lab, {slow}, {timing}, path: [cloud-host, dns]}}
  tunnel: {{type: strongswan, from: cloud, target: "{gate_path(run_dir, "cloud-gw")}", connection: {CONNECTION},
    networks: [{ONPREM_PREFIX}], {slow}, {timing}, path: [cloud-host, cloud-gw, carrier, onprem-gw, vpn]}}
{peer}  entra: {{type: entra_sync, from: cloud, target: "https://graph.microsoft.com",
    authority: "https://login.microsoftonline.com", tenant: {TENANT}, client_id: {CLIENT_ID},
    secret_file: {run_dir}/client-secret, ca_file: {ca}, interval: {pace.entra_interval}s, timeout: 10s,
    service: signin, resolve: [dns], path: [cloud-host, cloud-gw, microsoft-cloud, entra-sync]}}
  o-gw: {{type: icmp, from: onprem, target: {a["onprem-gw"]}, {fast}, {timing}, path: [onprem-host, onprem-gw]}}
  o-gw-outer: {{type: icmp, from: onprem, target: {a["onprem-gw-outer"]}, {fast}, {timing},
    path: [onprem-host, onprem-gw]}}
  o-carrier-edge: {{type: icmp, from: onprem, target: {a["carrier-far-edge"]}, {fast}, {timing},
    path: [onprem-host, onprem-gw, carrier]}}
  o-underlay: {{type: icmp, from: onprem, target: {a["cloud-gw-outer"]}, {fast}, {timing},
    path: [onprem-host, onprem-gw, carrier, cloud-gw]}}
  o-anchor: {{type: icmp, from: onprem, target: {a["cloud-gw"]}, {fast}, {timing},
    path: [onprem-host, onprem-gw, carrier, vpn, cloud-gw]}}
  o-tunnel: {{type: strongswan, from: onprem, target: "{gate_path(run_dir, "onprem-gw")}", connection: {CONNECTION},
    networks: [{CLOUD_PREFIX}], {slow}, {timing}, path: [onprem-host, onprem-gw, carrier, cloud-gw, vpn]}}
  erp-local: {{type: http, from: onprem, target: "https://{a["erp"]}/health", ca_file: {ca}, {slow}, {timing},
    path: [onprem-host, erp-app]}}
  hr-local: {{type: http, from: onprem, target: "https://{a["hr"]}:{HR_PORT}/health", ca_file: {ca}, {slow}, {timing},
    path: [onprem-host, hr-app]}}
"""


def agent_text(run_dir: Path, vantage: str) -> str:
    """Return the agent file of one side; the other side is its peer over the out-of-band link."""
    peer = {"cloud": "onprem", "onprem": "cloud"}[vantage]
    address = ADDRESSES[f"{peer}-host-oob"]
    return f"""vantage: {vantage}
chain: {run_dir}/chain.yml
data: {run_dir}/{vantage}/data
peers: [{{vantage: {peer}, url: "http://{address}:{AGENT_PORT}"}}]
"""


def write_configuration(run_dir: Path, pace: Pace) -> None:
    """Write `chain.yml`, and each agent's file and key where it has none."""
    keys = {}
    for vantage in ("cloud", "onprem"):
        data = run_dir / vantage / "data"
        data.mkdir(mode=0o700, exist_ok=True)
        keys[vantage] = agent_key(data / "ledger.key", f"demarc/{vantage}")
        (run_dir / vantage / "agent.yml").write_text(agent_text(run_dir, vantage))
    (run_dir / "chain.yml").write_text(chain_text(run_dir, pace, keys))
