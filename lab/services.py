"""What runs in the nodes: IKE daemons, web servers, DNS server, Microsoft's simulator, cable relays.

`table` is data: which program, in which node, with what files. `Services` starts and stops them.
Every program stays in the foreground as the supervisor's child, as root of its own world: nothing daemonises.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from lab import tunnel
from lab.kernel import inside
from lab.preflight import installed_command
from lab.rundir import LabError
from lab.topology import ADDRESSES, CABLES, ERP_PORT, HR_PORT

CHECKOUT = str(Path(__file__).resolve().parent.parent)
READY_SECONDS = 5.0

NAMES = {
    "erp.corp.lab": "erp",
    "hr.corp.lab": "hr",
    "login.microsoftonline.com": "microsoft",
    "graph.microsoft.com": "microsoft",
}
# The directory and the application that the simulator knows; random, as real ones are.
TENANT = "6f1d4c1e-53a9-4d0e-9b58-0a4f3b7c2d11"
CLIENT_ID = "b7c0a2de-1c44-4f7e-8f39-52d1e9a06c35"
CLIENT_SECRET = "lab-client-secret"
GATES = {"gate-cloud": "cloud-gw", "gate-onprem": "onprem-gw"}
# Short, so that a name server that dies is noticed; answers are still cached as by any resolver.
NAME_TTL_SECONDS = 2


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One program. `node` None: in the supervisor's own, empty network. `socket_path`: ready when it accepts."""

    command: tuple[str, ...]
    node: str | None
    environment: dict[str, str] = {}
    directory: str = "/"
    socket_path: str | None = None
    port: tuple[str, int] | None = None
    descriptors: tuple[int, ...] = ()


def nginx_text(run_dir: Path, name: str, port: int) -> str:
    """Return nginx's configuration of one application."""
    answer = f"default_type text/plain; return 200 '{name} is well\\n';"
    scratch = "".join(
        f"  {kind}_temp_path {run_dir}/scratch/{name}.{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
daemon off;
master_process off;
user root;
pid {run_dir}/{name}.pid;
error_log {run_dir}/log/{name}.nginx.log notice;
events {{
  worker_connections 256;
}}
http {{
  access_log off;
  keepalive_timeout 10s;
{scratch}
  server {{
    listen {ADDRESSES[name]}:{port} ssl;
    server_name {name}.corp.lab;
    ssl_certificate {run_dir}/tls/{name}.pem;
    ssl_certificate_key {run_dir}/tls/{name}.key;
    location / {{
      {answer}
    }}
  }}
}}
"""


def nginx_file(run_dir: Path, name: str) -> Path:
    """Return where that configuration is kept."""
    return run_dir / "nginx" / f"{name}.conf"


def _silence(run_dir: Path, name: str, port: int) -> Service:
    where, tls = f"{ADDRESSES[name]}:{port}", run_dir / "tls"
    return Service(
        command=(sys.executable, "-m", "lab.silence", where, f"{tls}/{name}.pem", f"{tls}/{name}.key"),
        node="app",
        directory=CHECKOUT,
        port=(ADDRESSES[name], port),
    )


def _nginx(run_dir: Path, name: str, port: int) -> Service:
    path = nginx_file(run_dir, name)
    return Service(
        command=("nginx", "-e", f"{run_dir}/log/{name}.nginx.log", "-p", str(run_dir), "-c", str(path)),
        node="app",
        port=(ADDRESSES[name], port),
    )


def _dns(run_dir: Path) -> Service:
    records = [f"--host-record={name},{ADDRESSES[node]},{NAME_TTL_SECONDS}" for name, node in NAMES.items()]
    options = (
        "--no-daemon",
        "--conf-file=/dev/null",
        "--no-hosts",
        "--no-resolv",
        "--local=/lab/",
        "--local=/microsoft.com/",
        "--local=/microsoftonline.com/",
        "--bind-interfaces",
    )
    return Service(
        command=("dnsmasq", *options, f"--listen-address={ADDRESSES['dns']}", "--pid-file=", *records),
        node="dns",
        directory=str(run_dir),
        port=(ADDRESSES["dns"], 53),
    )


def _ike(run_dir: Path, node: str) -> Service:
    return Service(
        command=("charon-systemd",),
        node=node,
        environment={"STRONGSWAN_CONF": str(tunnel.daemon_file(run_dir, node))},
        socket_path=str(tunnel.vici_path(run_dir, node)),
    )


def _gate(run_dir: Path, node: str, command: str) -> Service:
    gate = str(tunnel.gate_path(run_dir, node))
    charon = str(tunnel.vici_path(run_dir, node))
    return Service(
        command=(command, "vici", "--charon", charon, "--listen", gate, "--group", "root"),
        node=node,
        socket_path=gate,
    )


def _cable(run_dir: Path, name: str, networks: dict[str, int]) -> Service:
    ends = [(networks[node], device) for node, device in (CABLES[name].one, CABLES[name].other)]
    path = str(run_dir / f"{name}.cable")
    places = [f"{network}:{device}" for network, device in ends]
    return Service(
        command=(sys.executable, "-m", "lab.wire", *places, path),
        node=None,
        directory=CHECKOUT,
        socket_path=path,
        descriptors=tuple(network for network, _ in ends),
    )


def _microsoft(run_dir: Path) -> Service:
    tls = run_dir / "tls"
    options = {
        "--listen": f"{ADDRESSES['microsoft']}:443",
        "--cert": str(tls / "microsoft.pem"),
        "--key": str(tls / "microsoft.key"),
        "--tenant": TENANT,
        "--client-id": CLIENT_ID,
        "--secret-file": str(run_dir / "client-secret"),
        "--state": str(run_dir / "microsoft.json"),
    }
    return Service(
        command=(sys.executable, "-m", "lab.microsoft", *(word for option in options.items() for word in option)),
        node="microsoft",
        directory=CHECKOUT,
        port=(ADDRESSES["microsoft"], 443),
    )


def table(run_dir: Path, networks: dict[str, int]) -> dict[str, Service]:
    """Return every service of the lab by name; `erp-silent` takes the place of `erp` in a fault.

    The gates before the gateways' control sockets are the product's: where it is not installed there are none.
    """
    command = installed_command()
    gates = {} if command is None else {name: _gate(run_dir, node, command) for name, node in GATES.items()}
    return {
        **{f"cable-{name}": _cable(run_dir, name, networks) for name in CABLES},
        "ike-cloud": _ike(run_dir, "cloud-gw"),
        "ike-onprem": _ike(run_dir, "onprem-gw"),
        **gates,
        "dns": _dns(run_dir),
        "erp": _nginx(run_dir, "erp", ERP_PORT),
        "erp-silent": _silence(run_dir, "erp", ERP_PORT),
        "hr": _nginx(run_dir, "hr", HR_PORT),
        "microsoft": _microsoft(run_dir),
    }


STANDBY = ("erp-silent",)


def accepts(family: int, address: str | tuple[str, int]) -> bool:
    """Return whether somebody accepts a stream connection there, from the current network."""
    with socket.socket(family) as probe:
        probe.settimeout(0.2)
        try:
            probe.connect(address)
        except OSError:
            return False
    return True


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until `condition` holds; LabError with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"{what} after {seconds} s.")
        time.sleep(0.005)


class Services:
    """Starts, stops and watches the programs of `table`; the supervisor's, single-threaded."""

    def __init__(self, run_dir: Path, networks: dict[str, int], environment: dict[str, str]) -> None:
        self._run_dir = run_dir
        self._networks = networks
        self._environment = environment
        self._table = table(run_dir, networks)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def names(self) -> tuple[str, ...]:
        """Return the services that run in a healthy lab."""
        return tuple(name for name in self._table if name not in STANDBY)

    def start(self, name: str) -> None:
        """Start one service without waiting for it; it runs already: nothing."""
        if self.alive(name):
            return
        service = self._table[name]
        for path in (service.socket_path, f"{self._run_dir}/{name}.pid"):
            Path(path).unlink(missing_ok=True) if path else None
        with ExitStack() as stack:
            log = stack.enter_context((self._run_dir / "log" / f"{name}.out").open("ab"))
            if service.node is not None:
                stack.enter_context(inside(self._networks[service.node]))
            self._running[name] = subprocess.Popen(
                service.command,
                cwd=service.directory,
                env={**self._environment, **service.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=service.descriptors,
                start_new_session=True,
            )

    def wait(self, name: str) -> None:
        """Wait until the service answers; LabError with its last words when it ends or stays silent."""

        def settled() -> bool:
            return not self.alive(name) or self._answers(name)

        wait_until(settled, READY_SECONDS, f"{name} does not answer, see {self._run_dir}/log")
        if not self.alive(name):
            words = (self._run_dir / "log" / f"{name}.out").read_text(errors="replace").strip()[-600:]
            raise LabError(f"{name} ended with status {self._running[name].returncode}: {words}")

    def stop(self, name: str) -> None:
        """Kill the service, as a power cut would; it does not run: nothing."""
        process = self._running.pop(name, None)
        if process is None:
            return
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def alive(self, name: str) -> bool:
        """Return whether the service's process runs."""
        process = self._running.get(name)
        return process is not None and process.poll() is None

    def node_of(self, name: str) -> str | None:
        """Return the node in which the service runs."""
        return self._table[name].node

    def _answers(self, name: str) -> bool:
        service = self._table[name]
        if service.socket_path is not None:
            return accepts(socket.AF_UNIX, service.socket_path)
        if service.node is None or service.port is None:
            return True
        with inside(self._networks[service.node]):
            return accepts(socket.AF_INET, service.port)
