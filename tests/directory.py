"""A site of its own for tests of the directory: one network namespace with a domain controller and what is beside it.

The controller is Samba's (`lab.samba`), its clock chrony's, the site's name server dnsmasq. All of them listen on
addresses of the namespace's loopback; tests run probes inside it.
"""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from lab import samba
from lab.kernel import inside, new_network
from lab.preflight import PATH
from probes.kit.clock import SystemClock
from probes.kit.result import Result
from tests.peers.probing import Authority, Kit, attempt

DC, DC2, NAMES, HOST = "10.20.0.22", "10.20.0.23", "10.20.0.53", "10.20.0.30"
ADDRESSES = (DC, DC2, NAMES, HOST, "10.20.0.80", "203.0.113.10", "203.0.113.11", "203.0.113.12")
PORTS = (389, 636, 445, 88, 53)
_CLOCK = SystemClock()
_CHRONY = """port 123
bindaddress {address}
cmdport 0
local stratum 5
allow
pidfile {folder}/chronyd.pid
"""


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
        with self.inside():
            for line in ("link set lo up", *(f"address add {address}/32 dev lo" for address in ADDRESSES)):
                subprocess.run(["ip", *line.split()], env={"PATH": PATH}, check=True)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Run the block in the site's network; the caller has one thread there."""
        with inside(self._network):
            yield

    def attempt(self, module: ModuleType, settings: Any, *, within: float = 5.0, kit: Kit | None = None) -> Result:
        """Make one attempt of a probe from inside; the time is for a busy machine, not measured."""
        with self.inside():
            return attempt(module, settings, within=within, kit=kit)

    def start(self, name: str, command: tuple[str, ...], ready: Callable[[], bool]) -> None:
        """Start a program and wait until `ready` says (inside) that it is."""
        with (self.folder / f"{name}.log").open("ab") as log, self.inside():
            process = subprocess.Popen(
                command, env={"PATH": PATH}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
            self._running[name] = process
            deadline = _CLOCK.boot() + 60
            while not ready():
                assert process.poll() is None, f"{name} ended: {self.log(name)[-2000:]}"
                assert _CLOCK.boot() < deadline, f"{name} does not answer: {self.log(name)[-2000:]}"
                time.sleep(0.02)

    def stop(self, name: str) -> None:
        """Kill a program and what it started; one that does not run: nothing."""
        process = self._running.pop(name, None)
        if process is not None:
            os.killpg(process.pid, 9)
            process.wait()

    def log(self, name: str) -> str:
        """Return what a program has said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def close(self) -> None:
        """Stop everything."""
        for name in list(self._running):
            self.stop(name)
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
