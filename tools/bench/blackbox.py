"""blackbox_exporter as the peer: its configuration, and who asks it for probes over HTTP."""

import shutil
import subprocess
import sys
from pathlib import Path

import psutil

BLACKBOX = "prometheus-blackbox-exporter"
NAME = "erp.corp.lab"  # what the dns module asks for
BLACKBOX_CONFIG = f"""modules:
  icmp: {{prober: icmp, timeout: 1s}}
  tcp: {{prober: tcp, timeout: 1s}}
  http: {{prober: http, timeout: 1s, http: {{tls_config: {{insecure_skip_verify: true}}}}}}
  dns: {{prober: dns, timeout: 1s, dns: {{query_name: {NAME}, query_type: A}}}}
"""
# Asks for every URL given once a second, one after the other, for so many seconds.
DRIVER = """
import sys, time, urllib.request
urls, seconds = sys.argv[2:], float(sys.argv[1])
end = time.monotonic() + seconds
while time.monotonic() < end:
    tick = time.monotonic()
    for url in urls:
        urllib.request.urlopen(url, timeout=3).read()
    time.sleep(max(0, 1 - (time.monotonic() - tick)))
"""


def installed() -> bool:
    """Return whether the peer is there to be measured."""
    return shutil.which(BLACKBOX) is not None


def order(folder: Path, listen: str = "127.0.0.1:9115") -> list[str]:
    """Write the configuration into `folder` and return the command line."""
    config = folder / "blackbox.yml"
    config.write_text(BLACKBOX_CONFIG)
    return [BLACKBOX, f"--config.file={config}", f"--web.listen-address={listen}", "--log.level=error"]


def driver(seconds: float, urls: list[str]) -> list[str]:
    """Return the command line that asks for all `urls` once a second."""
    return [sys.executable, "-c", DRIVER, str(seconds), *urls]


def process_of(started: subprocess.Popen[bytes]) -> psutil.Process:
    """Return the exporter's own process, below whatever entered a namespace."""
    process = psutil.Process(started.pid)
    return next((p for p in (process, *process.children(recursive=True)) if "blackbox" in p.name()), process)
