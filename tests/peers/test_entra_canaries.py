"""No secret shows: an agent runs through everything that Microsoft can do to it, and all that it leaves is searched."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.running_agent import CHECKOUT, RunningAgent, eventually
from tests.peers.simulated_microsoft import CLIENT, CLOUD_SYNC, SECRET, TENANT, TRUSTED, Microsoft, running

pytestmark = pytest.mark.peer

PASSWORD = "canary!Password.7"
# How every token of the simulator begins: its header, in base64url (RFC 7515).
TOKEN = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsImtpZCI6IlNJTVVMQVRFRCJ9"
UPN = f"@{TENANT[:8]}.example"

CHAIN = """
version: 1
effective: 2026-01-01T00:00
timezone: Europe/Amsterdam
director: msp
parties: {{msp: {{name: MSP}}, microsoft: {{name: Microsoft (simulated)}}, incumbent: {{name: Incumbent}}}}
segments:
  host: {{owner: msp, side: cloud}}
  saas: {{owner: microsoft, side: saas}}
  sync: {{owner: incumbent, side: onprem}}
vantages: {{cloud: {{segment: host, operator: msp}}}}
services: {{signin: {{name: Sign-in}}}}
confirm: {{rounds: 2, spacing: 200ms, skew: 100ms}}
probes:
  saas: {{type: http, from: cloud, target: "https://127.0.0.1:{port}/healthz", ca_file: {ca}, interval: 1s,
    timeout: 300ms, path: [host, saas]}}
  secret: {{type: entra_sync, {common}, secret_file: {folder}/client-secret, secret_expiry: true}}
  certificate: {{type: entra_sync, {common}, certificate_file: {folder}/app.pem, key_file: {folder}/app.key}}
  no-key: {{type: entra_sync, {common}, certificate_file: {folder}/app.pem, key_file: {folder}/client-secret}}
  as-ca: {{type: entra_sync, {base}, tenant: {tenant}, ca_file: {folder}/client-secret, secret_file: {folder}/app.key}}
  elsewhere: {{type: entra_sync, {base}, tenant: other.example, ca_file: {ca}, secret_file: {folder}/client-secret}}
  federated: {{type: entra_sync, watch: password, {common}, token_file: {folder}/trusted-token}}
  identity: {{type: entra_sync, {common}, managed_identity: federated, identity_endpoint: "{identity}"}}
  objects: {{type: entra_sync, watch: objects, critical_objects: 1, {slow}, secret_file: {folder}/client-secret}}
  jobs: {{type: entra_cloud_sync, service_principal: {principal}, {common}, secret_file: {folder}/client-secret}}
  health: {{type: entra_service_health, {common}, secret_file: {folder}/client-secret}}
  metric: {{type: metric, from: cloud, target: "https://127.0.0.1:{port}/healthz", metric: up, ok: "== 1", user: canary,
    password_file: {folder}/password, ca_file: {ca}, interval: 300ms, timeout: 300ms, path: [host, saas]}}
"""
# Each is seen by every probe a few times; Microsoft's texts repeat what was sent, as far as the real ones do.
MOODS: tuple[dict[str, object], ...] = (
    {},
    {"user_errors": 3, "sync_age_seconds": 2e4, "password_sync_age_seconds": 2e4, "job_code": "Quarantine"},
    {"credential": "wrong"},
    {"credential": "expired"},
    {"login": "500", "retry_after": None},
    {"mode": "401", "retry_after": None},
    {"mode": "403"},
    {"mode": "html"},
    {"mode": "null", "health": "serviceInterruption"},
    {"permissions": []},
    {"identity": "500", "mode": "500", "retry_after": None},
)
PAGES = (
    "/",
    "/?lang=nl",
    "/metrics",
    "/api/v1/status",
    "/api/v1/incidents?state=all",
    "/api/v1/chain",
    "/api/v1/probes",
)
COMMANDS = (
    ("doctor", "--config.file", "{file}"),
    ("probe", "objects", "--config.file", "{file}"),
    ("observations", "--data", "{data}"),
    ("ledger", "export", "{data}"),
)


@pytest.fixture
def microsoft(tmp_path: Path) -> Iterator[Microsoft]:
    """Give a simulator whose files hold the canaries."""
    folder = tmp_path / "microsoft"
    folder.mkdir()
    with running(folder) as simulated:
        (folder / "password").write_text(PASSWORD + "\n")
        yield simulated


def canaries(microsoft: Microsoft) -> dict[str, bytes]:
    """Return what must not show anywhere: every secret, and a line from within the private key."""
    key = (microsoft.directory / "app.key").read_text().splitlines()
    return {
        "client secret": SECRET.encode(),
        "its escaped form": SECRET.replace("~", "%7E").encode(),
        "another issuer's token": TRUSTED.encode(),
        "access token": TOKEN.encode(),
        "private key": key[len(key) // 2].encode(),
        "assertion": b"eyJhbGciOiJQUzI1NiI",
        "password": PASSWORD.encode(),
        "basic authentication": b"Y2FuYXJ5Om",
        "user's name": UPN.encode(),
    }


def written(tmp_path: Path, microsoft: Microsoft) -> Path:
    """Write the chain file."""
    url = f"https://127.0.0.1:{microsoft.port}"
    ca = microsoft.directory / "ca.pem"
    base = f'from: cloud, target: "{url}", authority: "{url}", client_id: {CLIENT}, timeout: 1s, '
    base += "service: signin, path: [host, saas, sync]"
    chain = tmp_path / "chain.yml"
    chain.write_text(
        CHAIN.format(
            port=microsoft.port,
            ca=ca,
            folder=microsoft.directory,
            identity=microsoft.identity,
            principal=CLOUD_SYNC,
            tenant=TENANT,
            base=f"{base}, interval: 300ms",
            common=f"{base}, interval: 300ms, tenant: {TENANT}, ca_file: {ca}",
            # A slow source is confirmed once no evidence of its newest fail's seconds is still to come.
            slow=f"{base}, interval: 2500ms, tenant: {TENANT}, ca_file: {ca}",
        )
    )
    return chain


def test_no_secret_is_in_anything_that_an_agent_leaves(tmp_path: Path, microsoft: Microsoft) -> None:
    """Log, incident log, pages, metrics, API, store, ledger and commands: searched for every secret and name."""
    left: dict[str, bytes] = {}
    with RunningAgent(tmp_path / "agent", written(tmp_path, microsoft)).start() as agent:
        # What never passed accuses nobody.
        eventually(lambda: "GET /v1.0/users 200" in microsoft.requests())
        for number, mood in enumerate(MOODS):
            microsoft.behave(**mood)
            seen = len(microsoft.requests())
            eventually(lambda seen=seen: len(microsoft.requests()) > seen + 15)  # type: ignore[misc]
            if "user_errors" in mood:
                eventually(lambda: agent.transitions("confirmed"))
                eventually(
                    lambda: all(fault in agent.get("/api/v1/probes") for fault in ("objects-in-error", "quarantine"))
                )
            left |= {f"{path} in mood {number}": agent.get(path).encode() for path in PAGES}
        for words in COMMANDS:
            filled = [word.format(file=agent.file, data=agent.folder / "data") for word in words]
            done = subprocess.run(agent.command(*filled), cwd=CHECKOUT, capture_output=True, timeout=60, check=False)
            assert done.stdout, (words, done.stderr)
            left[" ".join(words)] = done.stdout + done.stderr
        assert agent.end() == 0
    left |= {str(path): path.read_bytes() for path in agent.folder.rglob("*") if path.is_file()}
    left["the simulator's log"] = microsoft.log().encode()
    everything = b"\n".join(left.values())
    for word in (b"credential-wrong", b"credential-unreadable", b"ca-unreadable", b"objects-in-error", b"quarantine"):
        assert word in everything, "the canaries were not where they could have been seen"
    hidden = canaries(microsoft).items()
    assert [(name, place) for name, value in hidden for place, page in left.items() if value in page] == []
