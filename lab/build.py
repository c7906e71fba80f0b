"""Build the lab inside the supervisor's namespaces: networks, cables, addresses, filters, servers, tunnel.

Single-threaded: entering a network changes the whole process for the length of a block.
"""

import os
import socket
import subprocess
from functools import partial
from pathlib import Path

from lab import topology, tunnel
from lab.kernel import inside, new_network
from lab.pki import Issuer
from lab.preflight import PATH
from lab.rundir import MARK, LabError
from lab.services import (
    CLIENT_SECRET,
    GATES,
    NAMES,
    READY_SECONDS,
    Services,
    accepts,
    nginx_file,
    nginx_text,
    wait_until,
)
from lab.topology import ADDRESSES, CABLES, ERP_PORT, HR_PORT, NODES

DIRECTORIES = ("log", "nodes", "nginx", "scratch", "swan", "tls", "cloud", "onprem")
TUNNEL_SECONDS = 5.0
# Who must reach whom before the lab counts as up: neighbours resolved, routes in force, servers answering.
END_TO_END = (
    ("cloud-host", "dns", 53),
    ("cloud-host", "microsoft", 443),
    ("cloud-host", "erp", ERP_PORT),
    ("cloud-host", "hr", HR_PORT),
    ("onprem-host", "erp", ERP_PORT),
    ("onprem-host", "hr", HR_PORT),
    ("onprem-host", "microsoft", 443),
)
# Path filtering would refuse what arrives by the out-of-band link or the server VLAN; a gateway's packet filter
# must not reach into the switch beside it (it does where br_netfilter is loaded, as Docker does).
KERNEL_SETTINGS = {
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/bridge/bridge-nf-call-iptables": "0",
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
}


def host_process_id() -> int:
    """Return this process's id as the mounted /proc sees it (inside a pid namespace `getpid` says 1)."""
    return int(str(Path("/proc/self").readlink()))


def run_in(network: int, command: list[str], script: str = "") -> None:
    """Run a program in that network with `script` on its standard input; LabError with its words on failure."""
    with inside(network):
        result = subprocess.run(
            command, input=script, text=True, capture_output=True, env={"PATH": PATH}, timeout=10, check=False
        )
    if result.returncode:
        raise LabError(f"{' '.join(command)} fails: {result.stderr.strip()}\n{script}")


def _set_kernel(network: int, *, forwards: bool) -> None:
    settings = {**KERNEL_SETTINGS, "net/ipv4/ip_forward": "1" if forwards else "0"}
    with inside(network):
        for key, value in settings.items():
            path = Path("/proc/sys") / key
            if path.exists():
                path.write_text(value)


def write_files(run_dir: Path) -> None:
    """Write everything that the servers read."""
    for name in DIRECTORIES:
        (run_dir / name).mkdir(mode=0o700)
    issuer = Issuer()
    issuer.write_root(run_dir / "ca.pem")
    for node in sorted(set(NAMES.values())):
        names = [name for name, owner in NAMES.items() if owner == node]
        issuer.write_server(run_dir / "tls" / f"{node}.pem", run_dir / "tls" / f"{node}.key", names, [ADDRESSES[node]])
    for name, port in (("erp", ERP_PORT), ("hr", HR_PORT)):
        nginx_file(run_dir, name).write_text(nginx_text(run_dir, name, port))
    for node in NODES:
        server = ADDRESSES["dns"] if node == "cloud-host" else "127.0.0.1"
        (run_dir / "nodes" / f"{node}.resolv.conf").write_text(f"nameserver {server}\noptions timeout:1 attempts:1\n")
    for node in tunnel.GATEWAYS:
        tunnel.daemon_file(run_dir, node).write_text(tunnel.daemon_text(run_dir, node))
    (run_dir / "client-secret").touch(mode=0o600)
    (run_dir / "client-secret").write_text(CLIENT_SECRET)


class Site:
    """The built lab: its networks, its servers and its tunnel."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.environment = {**os.environ, "PATH": PATH, MARK: str(run_dir), "LC_ALL": "C.UTF-8"}
        self.networks = {name: new_network() for name in NODES}
        self.services = Services(run_dir, self.networks, self.environment)
        self.swanctl = tunnel.Swanctl(run_dir, self.environment)

    def build(self) -> None:
        """Bring everything up; LabError says what does not come."""
        write_files(self.run_dir)
        cables = [f"cable-{name}" for name in CABLES]
        # What takes a while to load starts first.
        for name in (*cables, *(gate for gate in GATES if gate in self.services.names())):
            self.services.start(name)
        paths = {name: f"/proc/{host_process_id()}/fd/{network}" for name, network in self.networks.items()}
        for name, network in self.networks.items():
            _set_kernel(network, forwards=NODES[name].forwards)
            run_in(network, ["ip", "-batch", "-"], topology.creation_lines(name, paths))
        for name in cables:
            self.services.wait(name)
        for name, network in self.networks.items():
            run_in(network, ["ip", "-batch", "-"], topology.address_lines(name))
            if NODES[name].filters:
                run_in(network, ["nft", "-f", "-"], NODES[name].filters)
        self._serve()

    def _serve(self) -> None:
        rest = [name for name in self.services.names() if not name.startswith("cable-")]
        for name in rest:  # what runs already stays
            self.services.start(name)
        for name, node in (("ike-onprem", "onprem-gw"), ("ike-cloud", "cloud-gw")):
            self.services.wait(name)
            self.swanctl.load(node)
        for name in rest:
            self.services.wait(name)
        wait_until(self.swanctl.agrees, TUNNEL_SECONDS, f"The tunnel does not come up, see {self.run_dir}/log")
        for node, target, port in END_TO_END:
            address = (ADDRESSES[target], port)
            with inside(self.networks[node]):
                wait_until(partial(accepts, socket.AF_INET, address), READY_SECONDS, f"{node} does not reach {address}")
