"""HTTPS against a real nginx: several names, a private page, a large page, HTTP/2 beside HTTP/1.1."""

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from probes import http
from probes.kit.result import Outcome, Result, Stage
from tests.peers.probing import CLOCK, Authority, Kit, Names, ask

pytestmark = pytest.mark.peer


class Site(NamedTuple):
    """A running nginx: its port and the authority that signed its certificates."""

    port: int
    authority: Authority


def _configuration(folder: Path, port: int, authority: Authority) -> str:
    scratch = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    servers = ""
    for name in ("erp.test", "hr.test"):
        certificate, key = authority.issue(name)
        servers += f"""
  server {{
    listen 127.0.0.1:{port} ssl http2;
    server_name {name};
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    location = /health {{ return 200 "{name} is well"; }}
    location = /private {{ return 401; }}
    location = /moved {{ return 301 /health; }}
    location = /mute {{ return 444; }}
    location / {{ root {folder}/pages; }}
  }}"""
    return f"""daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{ access_log off; {scratch} {servers} }}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Yield an nginx with two names."""
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None:
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("nginx")
    authority = Authority(folder)
    (folder / "pages").mkdir()
    (folder / "pages" / "large").write_bytes(b"x" * 200_000 + b"the end")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = folder / "nginx.conf"
    configuration.write_text(_configuration(folder, port, authority))
    server = subprocess.Popen([program, "-e", str(folder / "error.log"), "-c", str(configuration)])
    try:
        deadline = CLOCK.boot() + 10
        while True:
            assert server.poll() is None, (folder / "error.log").read_text()
            assert CLOCK.boot() < deadline, "nginx did not start"
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
                break
            time.sleep(0.02)
        yield Site(port, authority)
    finally:
        server.terminate()
        server.wait()


def probe(site: Site, path: str, name: str = "erp.test", **settings: Any) -> Result:
    """Probe `path` at `name`."""
    made = http.Settings(target=f"https://{name}:{site.port}{path}", ca_file=str(site.authority.ca_file), **settings)
    return asyncio.run(ask(http, made, kit=Kit(Names({"erp.test": "127.0.0.1", "hr.test": "127.0.0.1"}))))


# path -> (settings, status seen, fault)
PAGES: dict[str, tuple[dict[str, Any], int, str | None]] = {
    "/health": ({"body_contains": "erp.test is well"}, 200, None),
    "/private": ({}, 401, "status"),
    "/moved": ({}, 301, None),
    "/absent": ({}, 404, "status"),
    "/large": ({"body_contains": "the end"}, 200, None),
}


@pytest.mark.parametrize("path", PAGES)
def test_pages(site: Site, path: str) -> None:
    """Status and text are judged; the connection, certificate and phases are reported whatever the status."""
    settings, status, fault = PAGES[path]

    result = probe(site, path, **settings)

    assert (result.fault, result.values["http_status_code"]) == (fault, status), result
    assert result.answered == (fault is not None)
    assert {"resolve", "connect", "secure", "first_byte"} <= set(result.phases)
    assert result.values["http_certificate_expiry_timestamp_seconds"] > time.time()


def test_each_name_has_its_own_certificate(site: Site) -> None:
    """SNI chooses the server; asking for one name with the other's certificate is a hostname fault."""
    right = probe(site, "/health", "hr.test", body_contains="hr.test is well")
    wrong = probe(site, "/health", server_name="other.test")

    assert right.outcome is Outcome.OK
    assert (wrong.stage, wrong.fault) == (Stage.SECURE, "certificate-hostname")


def test_text_behind_the_limit_is_not_seen(site: Site) -> None:
    """Reading stops at `max_bytes`, and the result says so."""
    result = probe(site, "/large", body_contains="the end", max_bytes=1000)

    assert (result.fault, result.values["http_response_bytes"]) == ("body-mismatch", 1000)
    assert "first part" in result.detail


def test_a_server_that_hangs_up(site: Site) -> None:
    """Nginx's 444 closes without a word: nobody said anything."""
    result = probe(site, "/mute")

    assert (result.stage, result.fault, result.answered) == (Stage.ANSWER, "closed", False)
