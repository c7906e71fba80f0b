"""A site of its own for tests of the directory: one network namespace with a domain controller and what is beside it.

The controller is Samba's (`lab.samba`), its clock chrony's, the site's name server dnsmasq. All of them listen on
addresses of the namespace's loopback; tests run probes inside it.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from lab import samba
from lab.kernel import inside, new_network
from lab.preflight import PATH
from probes.kit.clock import SystemClock
from probes.kit.result import Result
from tests.peers.probing import Authority, Kit, attempt

DC, DC2, NAMES, PROXY, SERVER = "10.20.0.22", "10.20.0.23", "10.20.0.53", "10.20.0.80", "10.20.0.31"
# Microsoft's names and where they are simulated (RFC 5737 stands for public addresses); nobody listens at the last.
EDGES = {
    "login.microsoftonline.com": "203.0.113.10",
    "adminwebservice.microsoftonline.com": "203.0.113.11",
    "crl3.digicert.com": "203.0.113.12",
    "silent.microsoftonline.com": "203.0.113.13",
}
ADDRESSES = (DC, DC2, NAMES, PROXY, SERVER, *EDGES.values())
# What the proxy does at each of its ports.
LETS, FORBIDS, ASKS_WHO, INSPECTS = 3128, 3129, 3130, 3131
CHECKOUT = Path(__file__).parents[1]
PORTS = (389, 636, 445, 88, 53)
_CLOCK = SystemClock()
_CHRONY = """port 123
bindaddress {address}
cmdport 0
local stratum 5
allow
pidfile {folder}/chronyd.pid
"""
_SQUID = """http_port {address}:3128 name=lets
http_port {address}:3129 name=forbids
http_port {address}:3130 name=asks
http_port {address}:3131 name=inspects ssl-bump cert={folder}/inspection.pem generate-host-certificates=on
auth_param basic program /usr/lib/squid/basic_fake_auth
acl forbids myportname forbids
acl asks myportname asks
acl inspects myportname inspects
acl known proxy_auth REQUIRED
http_access deny forbids
http_access deny asks !known
http_access allow all
ssl_bump bump inspects
ssl_bump splice all
sslcrtd_program /usr/lib/squid/security_file_certgen -s {folder}/made -M 4MB
tls_outgoing_options cafile={ca}
hosts_file {folder}/hosts
dns_nameservers {names}
cache deny all
access_log stdio:{folder}/access.log
cache_log {folder}/cache.log
pid_filename {folder}/squid.pid
coredump_dir {folder}
shutdown_lifetime 1 seconds
connect_timeout 30 seconds
pinger_enable off
"""


def against(*programs: str) -> str:
    """Return why a site with these programs cannot be had here; "" when it can."""
    lacking = [name for name in programs if shutil.which(name, path=PATH) is None]
    lacking += samba.missing() if "samba" in programs else ()
    if lacking:
        return f"not installed: {', '.join(lacking)}; see tools/install_system_packages.sh"
    try:
        os.close(new_network())
    except OSError as error:
        return f"no network namespace of its own: {error}"
    return ""


def accepts(address: str, port: int) -> bool:
    """Return whether somebody accepts a connection there, in the current network."""
    with socket.socket() as sock:
        sock.settimeout(0.5)
        return sock.connect_ex((address, port)) == 0


class Site:
    """The namespace, and the programs that run in it by their names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder, "corp.lab authority")
        self._network = new_network()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._scratch: list[Path] = []
        with self.inside():
            for line in ("link set lo up", *(f"address add {address}/32 dev lo" for address in ADDRESSES)):
                subprocess.run(["ip", *line.split()], env={"PATH": PATH}, check=True)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Run the block in the site's network; the caller has one thread there."""
        with inside(self._network):
            yield

    def attempt(self, module: ModuleType, settings: Any, *, within: float = 10.0, kit: Kit | None = None) -> Result:
        """Make one attempt of a probe from inside; the time is for a busy machine, not measured."""
        with self.inside():
            return attempt(module, settings, within=within, kit=kit)

    def start(self, name: str, command: tuple[str, ...], ready: Callable[[], bool]) -> None:
        """Start a program and wait until `ready` says (inside) that it is."""
        with (self.folder / f"{name}.log").open("ab") as log, self.inside():
            process = subprocess.Popen(
                command,
                cwd=CHECKOUT,
                env={"PATH": PATH},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            self._running[name] = process
            deadline = _CLOCK.boot() + 60
            while not ready():
                assert process.poll() is None, f"{name} ended: {self.log(name)[-2000:]}"
                assert _CLOCK.boot() < deadline, f"{name} does not answer: {self.log(name)[-2000:]}"
                time.sleep(0.02)

    def stop(self, name: str) -> None:
        """Kill a program and what it started, and wait until that has let go; one that does not run: nothing."""
        process = self._running.pop(name, None)
        if process is not None:
            with suppress(ProcessLookupError):  # it ended by itself
                os.killpg(process.pid, 9)
            process.wait()
            deadline = _CLOCK.boot() + 20
            with self.inside():
                while name == "dc" and any(accepts(DC, port) for port in PORTS):
                    assert _CLOCK.boot() < deadline, "the controller does not let go of its ports"
                    time.sleep(0.02)

    def runs(self, name: str) -> bool:
        """Return whether a program was started and not stopped."""
        return name in self._running

    def drop(self, rule: str) -> None:
        """Drop what `rule` (nft) matches, instead of what was dropped before; "" drops nothing."""
        chain = (
            "add table ip faults; flush table ip faults; add chain ip faults in { type filter hook input priority 1; }"
        )
        with self.inside():
            rules = f"{chain}; add rule ip faults in {rule} drop" if rule else chain
            subprocess.run(["nft", rules], env={"PATH": PATH}, check=True)

    def log(self, name: str) -> str:
        """Return what a program has said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def close(self) -> None:
        """Stop everything."""
        for name in list(self._running):
            self.stop(name)
        for folder in self._scratch:
            shutil.rmtree(folder)
        os.close(self._network)

    def start_controller(self) -> None:
        """Start Samba at DC; unpacked the first time, as it was left the next."""
        folder = self.folder / "dc"
        if not folder.exists():
            folder.mkdir()
            tls, key = self.authority.issue(f"{samba.HOST}.{samba.DOMAIN}")
            self._samba = samba.install(
                samba.archive(DC), folder, interfaces=f"{DC}/32", tls=tls, key=key, ca=self.authority.ca_file
            )
        self.start("dc", self._samba, lambda: all(accepts(DC, port) for port in PORTS))

    def start_clock(self) -> None:
        """Start chrony at DC."""
        path = self.folder / "chrony.conf"
        path.write_text(_CHRONY.format(address=DC, folder=self.folder))
        command = ("chronyd", "-d", "-x", "-u", "root", "-f", str(path))
        self.start("clock", command, (self.folder / "chronyd.pid").exists)

    def start_edges(self) -> None:
        """Start what is simulated of Microsoft."""
        self.microsoft = Authority(self._subfolder("microsoft"), "Microsoft, simulated")
        names = [name for name, address in EDGES.items() if not name.startswith("silent")]
        tls, key = self.microsoft.issue(names[0], names=names)
        addresses = [EDGES[name] for name in names]
        with self.inside():  # what comes in for the last one is dropped, as behind a dead circuit
            chain = "add table ip edges; add chain ip edges in { type filter hook input priority 0; }"
            rules = f"{chain}; add rule ip edges in ip daddr {EDGES['silent.microsoftonline.com']} drop"
            subprocess.run(["nft", rules], env={"PATH": PATH}, check=True)
        command = (sys.executable, "-m", "tests.microsoft_edges", str(tls), str(key), *addresses)
        self.start("edges", command, lambda: accepts(addresses[0], 443) and accepts(addresses[2], 80))

    def start_proxy(self) -> None:
        """Start squid, which by the port lets through, forbids, asks who it is, or inspects."""
        folder = Path(tempfile.mkdtemp(prefix="demarc-squid-"))  # where squid's own user can get at it
        self._scratch.append(folder)
        self.proxy_log = folder / "access.log"
        self.inspection = Authority(self._subfolder("inspection"), "corp.lab TLS inspection")
        (folder / "inspection.pem").write_bytes(self.inspection.bundle())
        (folder / "hosts").write_text("".join(f"{address} {name}\n" for name, address in EDGES.items()))
        shutil.copy(self.microsoft.ca_file, folder / "ca.pem")
        text = _SQUID.format(address=PROXY, folder=folder, ca=folder / "ca.pem", names=NAMES)
        (folder / "squid.conf").write_text(text)
        made = ["/usr/lib/squid/security_file_certgen", "-c", "-s", str(folder / "made"), "-M", "4MB"]
        subprocess.run(made, check=True, capture_output=True)
        subprocess.run(["chown", "-R", "proxy:proxy", str(folder)], check=True)
        command = ("squid", "-N", "-f", str(folder / "squid.conf"))
        self.start("proxy", command, lambda: all(accepts(PROXY, port) for port in (3128, 3129, 3130, 3131)))

    def start_page(self) -> None:
        """Start the simulated windows_exporter of the Connect server, which shows what `write_page` wrote."""
        folder = self._subfolder("page")
        command = (sys.executable, "-m", "tests.exporter_page", SERVER, "9182", str(folder / "page.prom"))
        self.start("page", command, lambda: accepts(SERVER, 9182))

    def write_page(self, text: str) -> None:
        """Say what the exporter shows from now on."""
        path = self._subfolder("page") / "page.prom"
        part = path.with_suffix(".part")
        part.write_text(text)
        part.rename(path)

    def _subfolder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def start_names(self) -> None:
        """Start the site's name server, which announces a second controller beside the real one."""
        there = [f"--srv-host=_ldap._tcp.dc._msdcs.corp.lab,dc{n}.corp.lab,389,0,100" for n in (1, 2)]
        names = {"dc1.corp.lab": DC, "dc2.corp.lab": DC2}
        records = [f"--host-record={name},{address}" for name, address in names.items()]
        options = ("--no-daemon", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--local=/lab/", "--user=root")
        listen = ("--bind-interfaces", f"--listen-address={NAMES}", "--pid-file=")
        self.start("names", ("dnsmasq", *options, *listen, *there, *records), lambda: accepts(NAMES, 53))


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Yield an empty site, and stop what runs in it at the end."""
    with ExitStack() as stack:
        made = Site(folder)
        stack.callback(made.close)
        yield made
