"""HTTP and HTTPS requests to an nginx on loopback, beside blackbox_exporter: CPU time of a fresh connection each.

The same page at the same rate, in turns; both verify the certificate (an authority of ours, TLS 1.3, ECDSA). Ours
runs as the agent's wheel turns it: what is due is launched every 20 ms, the sockets tell by themselves when they are
ready. Loopback does the server's part of each packet in the sender's system calls, in both figures. Two a second
shows what an attempt costs on an idle host, with cold caches.
"""

import asyncio
import http.client
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import psutil

from probes import http as probe
from probes.kit.clock import SystemClock
from probes.kit.resolver import SystemResolver
from probes.kit.result import Outcome, Result
from tools.bench import blackbox
from tools.bench.table import Row, ratios, spread

RUNS = 5
RATE, SECONDS = 200, 4.0
IDLE_RATE, IDLE_SECONDS = 2, 6.0
TICK = 0.02
NGINX = "/usr/sbin/nginx"
# Several KB of a page would measure the copying; a health page has some hundred bytes.
PAGE = "x" * 500
CONFIG = """modules:
  http: {{prober: http, timeout: 1s, http: {{preferred_ip_protocol: ip4, tls_config: {{ca_file: {ca}}}}}}}
"""


class Site(msgspec.Struct, frozen=True):
    """A running nginx: its URLs by scheme, and the authority's file."""

    urls: dict[str, str]
    ca_file: Path


class Kit:
    """The real clock and resolver."""

    clock = SystemClock()
    resolver = SystemResolver(clock)


def measure() -> list[Row]:
    """Return the rows of this group."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with site(folder) as served, peer(folder, served) as process:
            cpu = turns(served, process)
    rows = []
    for scheme, goal in (("http", "0.4; 0.2"), ("https", "0.7; 0.5")):
        ours, idle, theirs = (cpu[f"{scheme} {who}"] for who in ("ours", "idle", "blackbox"))
        rows.append(Row(what=f"CPU of an {scheme} attempt, {RATE}/s", measured=spread(ours, "us", 1e6)))
        rows.append(Row(what=f"CPU of an {scheme} attempt, {IDLE_RATE}/s", measured=spread(idle, "us", 1e6)))
        if theirs:
            rows.append(Row(what=f"blackbox_exporter, {scheme}, {RATE}/s", measured=spread(theirs, "us", 1e6)))
            rows.append(Row(what=f"{scheme}, ours to blackbox_exporter's", measured=ratios(ours, theirs), goal=goal))
    return rows


def turns(served: Site, process: psutil.Process | None) -> dict[str, list[float]]:
    """Return CPU seconds of an attempt, by scheme and who made it, taking turns."""
    cpu: dict[str, list[float]] = {
        f"{scheme} {who}": [] for scheme in served.urls for who in ("ours", "idle", "blackbox")
    }
    for _ in range(RUNS):
        for scheme, url in served.urls.items():
            settings = probe.Settings(target=url, ca_file=str(served.ca_file))
            cpu[f"{scheme} ours"].append(asyncio.run(attempts(settings, RATE, SECONDS)))
            cpu[f"{scheme} idle"].append(asyncio.run(attempts(settings, IDLE_RATE, IDLE_SECONDS)))
            if process is not None:
                cpu[f"{scheme} blackbox"].append(asked(process, url))
    return cpu


async def attempts(settings: probe.Settings, rate: int, seconds: float) -> float:
    """Ask `rate` times a second as the wheel does; return CPU seconds an attempt."""
    async with probe.open(Kit()) as runner:
        results: list[Result] = [await runner.attempt(settings, Kit.clock.boot() + 1)]  # loads the authority
        count, launched, loop = round(rate * seconds), 0, asyncio.get_running_loop()
        began, cpu = loop.time(), time.process_time()
        while launched < count:
            while launched < count and launched / rate <= loop.time() - began:
                if not runner.launch(settings, Kit.clock.boot() + 1, results.append):
                    raise RuntimeError("an attempt needed a task")
                launched += 1
            await asyncio.sleep(max(TICK, began + launched / rate - loop.time()))
        took = (time.process_time() - cpu) / count
        while len(results) <= count:  # noqa: ASYNC110 - the last ones, at most their timeout
            await asyncio.sleep(TICK)
    wrong = [result for result in results if result.outcome is not Outcome.OK]
    if len(wrong) > count / 100:
        raise RuntimeError(f"{len(wrong)} of {count} attempts failed: {wrong[0]}")
    return took


def asked(process: psutil.Process, url: str) -> float:
    """Have blackbox_exporter ask; return its CPU seconds a probe."""
    connection = http.client.HTTPConnection("127.0.0.1", 9115)
    done, wrong = 0, 0
    began, cpu = time.monotonic(), sum(process.cpu_times()[:2])
    while time.monotonic() - began < SECONDS:
        connection.request("GET", f"/probe?module=http&target={url}")
        wrong += "\nprobe_success 1" not in connection.getresponse().read().decode()
        done += 1
        time.sleep(max(0.0, began + done / RATE - time.monotonic()))
    if wrong > done / 100:
        raise RuntimeError(f"{wrong} of {done} probes of blackbox_exporter failed")
    return (sum(process.cpu_times()[:2]) - cpu) / done


@contextmanager
def peer(folder: Path, served: Site) -> Iterator[psutil.Process | None]:
    """Run blackbox_exporter where it is installed."""
    if not blackbox.installed():
        yield None
        return
    order = blackbox.order(folder)
    (folder / "blackbox.yml").write_text(CONFIG.format(ca=served.ca_file))
    with subprocess.Popen(order, stderr=subprocess.DEVNULL) as started:
        try:
            reachable(9115)
            yield blackbox.process_of(started)
        finally:
            started.terminate()


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Run an nginx with one page, plain and over TLS."""
    program = shutil.which("nginx") or NGINX
    openssl(folder)
    plain, secure = free_port(), free_port()
    scratch = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(f"""
        daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
        events {{ worker_connections 1024; }}
        http {{
          access_log off; {scratch} ssl_protocols TLSv1.2 TLSv1.3;
          server {{ listen 127.0.0.1:{plain}; location / {{ return 200 "{PAGE}"; }} }}
          server {{
            listen 127.0.0.1:{secure} ssl; ssl_certificate {folder}/own.crt; ssl_certificate_key {folder}/own.key;
            location / {{ return 200 "{PAGE}"; }}
          }}
        }}""")
    with subprocess.Popen([program, "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]) as server:
        try:
            reachable(secure)
            urls = {"http": f"http://127.0.0.1:{plain}/", "https": f"https://127.0.0.1:{secure}/"}
            yield Site(urls, folder / "ca.crt")
        finally:
            server.terminate()


def openssl(folder: Path) -> None:
    """Make an authority and a certificate for 127.0.0.1."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    ca = ["req", "-x509", *key, "-subj", "/CN=bench", "-keyout", "ca.key", "-out", "ca.crt"]
    own = ["req", "-x509", *key, "-CA", "ca.crt", "-CAkey", "ca.key", "-subj", "/CN=page"]
    own += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "own.key", "-out", "own.crt"]
    for order in (ca, own):
        subprocess.run(["openssl", *order], cwd=folder, check=True, stderr=subprocess.DEVNULL)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def reachable(port: int) -> None:
    """Wait until something listens on `port`."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}")
