"""A running Microsoft simulator with a CA of its own, for tests over real HTTPS."""

import datetime as dt
import ipaddress
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from lab.microsoft.directory import NAMESPACE
from lab.microsoft.state import State, save
from probes.entra_sync import Settings
from probes.kit.clock import SystemClock
from probes.kit.resolver import ResolveError

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "66666666-7777-8888-9999-000000000000"
SECRET = "canary~Secret.8Q"
# What Azure Arc's metadata service writes for those who may read it.
ARC_KEY = "canary-arc-key~5f3"
# Another issuer's token, as a cluster or a managed identity brings it.
TRUSTED = "canaryHead.canaryClaims.canarySignature"
# The object id that the simulator gives Cloud Sync's service principal in this tenant.
CLOUD_SYNC = str(uuid.uuid5(NAMESPACE, TENANT))
NAMES = ("login.sim.test", "graph.sim.test", "localhost")


class Clock(SystemClock):
    """Boot time that can be moved on."""

    moved_seconds = 0.0

    def boot(self) -> float:
        """Return boot time, moved."""
        return super().boot() + self.moved_seconds


class Resolver:
    """Names of the simulator, and nothing else."""

    def known(self, name: str, family: int) -> str | None:
        """Return nothing: every name is asked for."""
        return None

    async def resolve(self, name: str, family: int, deadline: float) -> str:
        """Return loopback for known names."""
        if name.endswith((".sim.test", "127.0.0.1")):
            return "127.0.0.1"
        raise ResolveError("resolve-nxdomain", f"{name} does not exist")


class Kit:
    """What a runner borrows."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.resolver: Any = Resolver()


def write_certificates(directory: Path) -> None:
    """Write ca.pem, and server.pem with server.key for NAMES, 127.0.0.1 and ::1."""
    now = dt.datetime.now(dt.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "demarc test CA")])
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in NAMES]
    alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]

    def builder(subject: x509.Name) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
        )

    ca = builder(ca_name).public_key(ca_key.public_key()).add_extension(x509.BasicConstraints(True, 0), critical=True)
    leaf = builder(x509.Name([])).public_key(key.public_key())
    leaf = leaf.add_extension(x509.SubjectAlternativeName(alternatives), critical=True)
    pem = serialization.Encoding.PEM
    (directory / "ca.pem").write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    (directory / "server.pem").write_bytes(leaf.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    (directory / "server.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def write_application(directory: Path, name: str = "app", days: float = 30.0) -> None:
    """Write an application's own certificate and RSA key, NAME.pem and NAME.key."""
    now, key = dt.datetime.now(dt.UTC), rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "demarc")])
    certificate = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    certificate = certificate.serial_number(x509.random_serial_number())
    certificate = certificate.not_valid_before(now - dt.timedelta(days=60))
    signed = certificate.not_valid_after(now + dt.timedelta(days=days)).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    (directory / f"{name}.pem").write_bytes(signed.public_bytes(pem))
    (directory / f"{name}.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


class Microsoft:
    """A simulator process: where it listens, what it logged, and how to change its mind."""

    def __init__(self, directory: Path, port: int, identity_port: int = 0) -> None:
        self.directory = directory
        self.port = port
        self.identity = f"http://127.0.0.1:{identity_port}"
        self.secret_file = directory / "client-secret"

    def behave(self, **changes: object) -> None:
        """Set these switches; all others are back at their defaults."""
        save(self.directory / "state.json", msgspec.convert(changes, State))

    def log(self) -> str:
        """Return all that it logged."""
        return (self.directory / "log").read_text()

    def requests(self) -> list[str]:
        """Return method, path and status of each request so far."""
        lines = [json.loads(line) for line in self.log().splitlines()]
        return [f"{line['method']} {line['path']} {line['status']}" for line in lines if line["event"] == "request"]

    def settings(self, **changes: object) -> Settings:
        """Return probe settings that reach it."""
        settings = Settings(
            target=f"https://graph.sim.test:{self.port}",
            authority=f"https://login.sim.test:{self.port}",
            tenant=TENANT,
            client_id=CLIENT,
            secret_file=str(self.secret_file),
            ca_file=str(self.directory / "ca.pem"),
        )
        return msgspec.structs.replace(settings, **changes)


@contextmanager
def running(directory: Path, address: str = "127.0.0.1") -> Iterator[Microsoft]:
    """Run a simulator on a free port of `address`; its files live in `directory`."""
    write_certificates(directory)
    (directory / "client-secret").write_text(SECRET + "\n")
    command = [sys.executable, "-m", "lab.microsoft", "--listen", f"{address}:0", "--tenant", TENANT]
    command += ["--client-id", CLIENT, "--secret-file", str(directory / "client-secret")]
    command += ["--cert", str(directory / "server.pem"), "--key", str(directory / "server.key")]
    command += ["--state", str(directory / "state.json")]
    write_application(directory)
    (directory / "trusted-token").write_text(TRUSTED + "\n")
    command += ["--certificate-file", str(directory / "app.pem"), "--token-file", str(directory / "trusted-token")]
    (directory / "arc").mkdir()
    (directory / "arc" / "7f.key").write_text(ARC_KEY)
    command += ["--identity-listen", "127.0.0.1:0", "--arc-key-file", str(directory / "arc" / "7f.key")]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=Path(__file__).parents[2])
    try:
        microsoft = Microsoft(directory, *_ports(directory / "log", process))
        yield microsoft
        process.terminate()
        assert process.wait(timeout=5) == 0
        assert "Traceback" not in microsoft.log()
    finally:
        process.kill()
        process.wait(timeout=5)


def _ports(log: Path, process: subprocess.Popen[bytes]) -> tuple[int, int]:
    until = time.monotonic() + 20
    while not (text := log.read_text()).endswith("\n"):
        assert process.poll() is None, text
        assert time.monotonic() < until, "the simulator did not start"
        time.sleep(0.02)
    first = json.loads(text.splitlines()[0])
    return first["port"], first["identity_port"]
