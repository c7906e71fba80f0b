"""What the peer tests of the probe types share: a kit, an authority, a runner, open descriptors."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import ModuleType
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from probes.kit.clock import SystemClock
from probes.kit.resolver import ResolveError, SystemResolver
from probes.kit.result import Result
from probes.kit.spec import Clock

CLOCK = SystemClock()
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Names:
    """A resolver of literal tables: a name's address, or the fault with which it fails."""

    def __init__(self, addresses: dict[str, str] | None = None, faults: dict[str, str] | None = None) -> None:
        self._addresses = addresses or {}
        self._faults = faults or {}

    def known(self, name: str, family: int) -> str | None:
        """Return nothing: every name is asked for."""
        return None

    async def resolve(self, name: str, family: int, deadline: float) -> str:
        """Return the address of `name`, or raise its fault."""
        if name in self._addresses:
            return self._addresses[name]
        raise ResolveError(self._faults.get(name, "resolve-nxdomain"), name)


class Kit:
    """The real clock and a given resolver."""

    def __init__(self, resolver: Names | SystemResolver | None = None) -> None:
        self.clock: Clock = CLOCK
        self.resolver = resolver or Names()


def attempt(module: ModuleType, settings: Any, *, within: float = 2.0, kit: Kit | None = None) -> Result:
    """Run one attempt in a loop of its own."""

    async def scenario() -> Result:
        return await ask(module, settings, within=within, kit=kit)

    return asyncio.run(scenario())


async def ask(module: ModuleType, settings: Any, *, within: float = 2.0, kit: Kit | None = None) -> Result:
    """Open the type's runner, run one attempt, and see that it ends by its deadline (with 0.3 s for a busy host)."""
    async with module.open(kit or Kit()) as runner:
        deadline = CLOCK.boot() + within
        result: Result = await runner.attempt(settings, deadline)
        assert CLOCK.boot() < deadline + 0.3
        return result


@asynccontextmanager
async def serve(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve TCP on a free loopback port; connections still open at the end are cut."""
    tasks: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def open_descriptors() -> int:
    """Return how many descriptors this process holds."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class Authority:
    """A certificate authority in a folder; writes `ca.pem` and servers' certificates."""

    def __init__(self, folder: Path, name: str = "peer tests") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.ca_file = folder / "ca.pem"
        certificate = self._builder(self._name, self._key, days=30).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.ca_file.write_bytes(certificate.sign(self._key, SHA256()).public_bytes(Encoding.PEM))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: int) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
        )

    def bundle(self) -> bytes:
        """Return certificate and key in PEM, for whoever signs in this authority's name."""
        key = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self.ca_file.read_bytes() + key

    def issue(self, name: str, *, days: int = 10, filler: int = 0, names: Sequence[str] = ()) -> tuple[Path, Path]:
        """Return certificate and key files for a DNS name or address and `names`; `filler` names make it larger."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            listed: list[x509.GeneralName] = [x509.IPAddress(ip_address(name))]
        except ValueError:
            listed = [x509.DNSName(name)]
        listed += [x509.DNSName(other) for other in names if other != name]
        listed += [x509.DNSName(f"filler-number-{n}.a-rather-long-name.example") for n in range(filler)]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            self._builder(subject, key, days=days)
            .add_extension(x509.SubjectAlternativeName(listed), critical=False)
            .sign(self._key, SHA256())
        )
        stem = f"{name}.{days}.{filler}"
        crt, pem = self._folder / f"{stem}.crt", self._folder / f"{stem}.key"
        crt.write_bytes(certificate.public_bytes(Encoding.PEM))
        pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return crt, pem

    def server(self, name: str, *, days: int = 10, filler: int = 0) -> ssl.SSLContext:
        """Return a server's TLS context with a fresh certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(name, days=days, filler=filler))
        return context
