"""Names to addresses without blocking: the hosts file, then the configured servers, kept for their TTL.

It reads what the system's resolver reads (hosts(5), resolv.conf(5)) and asks by itself, because
getaddrinfo blocks, hides the TTL and cannot say why it failed. What must stay true: one family a
question; an answer is never served after its TTL; every failure has a name of RESOLVE_FAULTS; the
file system is touched only to see whether the two files changed.
"""

import asyncio
from pathlib import Path
from typing import Final

import msgspec

from probes.kit.address import canonical, literal_family
from probes.kit.dns_exchange import Answered, Question, Stopped, ask_udp
from probes.kit.dns_message import encode_name
from probes.kit.result import Outcome, Result, Stage
from probes.kit.spec import Clock, Fault

_LEAST_SECONDS: Final = 1.0
_MOST_SECONDS: Final = 3600.0
_NEGATIVE_SECONDS: Final = 5.0
_CACHED_NAMES: Final = 4096
_SERVERS: Final = 3  # MAXNS of resolv.conf(5)
_RECORDS: Final = {4: "A", 6: "AAAA"}

RESOLVE_FAULTS: Final = (
    Fault("resolve-timeout", Stage.RESOLVE, "The name server was silent.", "Probe the name server itself."),
    Fault("resolve-refused", Stage.RESOLVE, "The name server refused us or is not running.", "Check the server."),
    Fault("resolve-nxdomain", Stage.RESOLVE, "The name does not exist.", "Check the name and its zone."),
    Fault("resolve-servfail", Stage.RESOLVE, "The name server failed.", "Check its forwarders and its zone."),
    Fault(
        "resolve-no-address",
        Stage.RESOLVE,
        "The name exists but has no address of this family.",
        "Set `family`, or add the record.",
    ),
    Fault("resolve-malformed", Stage.RESOLVE, "The name server's answer is not DNS or was cut.", "Check the server."),
    Fault("resolve-unreachable", Stage.RESOLVE, "A router says the name server is out of reach.", "Check the route."),
    Fault(
        "resolver-missing",
        None,
        "This host has no name server configured.",
        "Write one into /etc/resolv.conf or use an address.",
    ),
    Fault("resolver-blocked", None, "This host could not send its query.", "See the detail of the result."),
)

# Faults of an exchange -> faults of a resolution; all others of the path are `resolve-unreachable`.
_EXCHANGE: Final = {
    "timeout": "resolve-timeout",
    "refused": "resolve-refused",
    "malformed": "resolve-malformed",
    "neighbour-silent": "resolve-timeout",
}
_RCODES: Final = {"nxdomain": "resolve-nxdomain", "refused": "resolve-refused"}


class ResolveError(Exception):
    """A name did not become an address: `fault` of RESOLVE_FAULTS, one line of `detail`."""

    def __init__(self, fault: str, detail: str = "") -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.detail = detail


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """What resolv.conf(5) says of servers, search domains and ndots."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    ndots: int = 1


class _Entry(msgspec.Struct, frozen=True):
    """A cached answer or failure and the boot time until which it holds."""

    until: float
    address: str = ""
    fault: str = ""
    detail: str = ""


def parse_resolv_conf(text: str) -> Configuration:
    """Read resolv.conf(5); what it does not know or cannot read it leaves out, as the system does."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    ndots = 1
    for line in text.splitlines():
        words = line.split("#", 1)[0].split(";", 1)[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver" and literal_family(words[1]) is not None:
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            search = tuple(word.strip(".") for word in words[1:] if word.strip("."))
        elif words[0] == "options":
            found = [word[6:] for word in words[1:] if word.startswith("ndots:") and word[6:].isascii()]
            ndots = next((min(int(number), 15) for number in found if number.isdigit()), ndots)
    return Configuration(servers=tuple(servers[:_SERVERS]), search=search, ndots=ndots)


def parse_hosts(text: str) -> dict[tuple[str, int], str]:
    """Read hosts(5) into (lower-case name, family) -> address; the first line wins."""
    found: dict[tuple[str, int], str] = {}
    for line in text.splitlines():
        words = line.split("#", 1)[0].split()
        family = literal_family(words[0]) if words else None
        if family is None:
            continue
        for name in words[1:]:
            found.setdefault((name.lower().removesuffix("."), family), canonical(words[0]))
    return found


def candidates(name: str, configuration: Configuration) -> tuple[str, ...]:
    """Return the names to ask for, in order (resolv.conf(5): search, ndots; a final dot is absolute)."""
    if name.endswith("."):
        return (name,)
    searched = tuple(f"{name}.{domain}" for domain in configuration.search)
    return (name, *searched) if name.count(".") >= configuration.ndots else (*searched, name)


def resolve_result(error: ResolveError, seconds: float) -> Result:
    """Return the result of an attempt that ended at `resolve` after `seconds`."""
    if any(row.name == error.fault and row.stage is None for row in RESOLVE_FAULTS):
        return Result(outcome=Outcome.UNKNOWN, fault=error.fault, detail=error.detail)
    return Result(outcome=Outcome.FAILED, stage=Stage.RESOLVE, fault=error.fault, seconds=seconds, detail=error.detail)


class SystemResolver:
    """The host's resolver configuration, asked without blocking; safe to call concurrently.

    Servers are asked in the file's order, each for an equal share of the time that is left, since
    that is how the host is configured to resolve; which of them is down shows in the phase.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        hosts_file: str = "/etc/hosts",
        resolv_file: str = "/etc/resolv.conf",
        port: int = 53,
    ) -> None:
        self._clock = clock
        self._hosts_file = hosts_file
        self._resolv_file = resolv_file
        self._port = port
        self._stamps: tuple[tuple[int, int, int], ...] = ()
        self._hosts: dict[tuple[str, int], str] = {}
        self._configuration = Configuration()
        self._cache: dict[tuple[str, int], _Entry] = {}
        self._asking: dict[tuple[str, int], asyncio.Event] = {}

    async def resolve(self, name: str, family: int, deadline: float) -> str:
        """Return one address of `family`, by `deadline` (boot time); raises ResolveError."""
        self._notice_changes()
        literal = literal_family(name)
        if literal is not None:
            if literal != family:
                raise ResolveError("resolve-no-address", f"{name} is not an IPv{family} address")
            return name
        key = (name.lower(), family)
        if address := self._hosts.get((key[0].removesuffix("."), family)):
            return address
        while (entry := self._fresh_entry(key)) is None:
            if not await self._wait_for_other(key, deadline):
                entry = await self._lead(key, deadline)
                break
        if entry.fault:
            raise ResolveError(entry.fault, entry.detail)
        return entry.address

    def _fresh_entry(self, key: tuple[str, int]) -> _Entry | None:
        entry = self._cache.get(key)
        return entry if entry is not None and self._clock.boot() < entry.until else None

    async def _wait_for_other(self, key: tuple[str, int], deadline: float) -> bool:
        """Wait while somebody else asks for `key`; False when nobody does."""
        event = self._asking.get(key)
        if event is None:
            return False
        try:
            async with asyncio.timeout(max(deadline - self._clock.boot(), 0.0)):
                await event.wait()
        except TimeoutError:
            raise ResolveError("resolve-timeout", f"no answer for {key[0]} before the deadline") from None
        return True

    async def _lead(self, key: tuple[str, int], deadline: float) -> _Entry:
        event = self._asking[key] = asyncio.Event()
        try:
            entry = await self._ask(key, deadline)
            if len(self._cache) >= _CACHED_NAMES:
                self._cache.clear()
            self._cache[key] = entry
        finally:
            del self._asking[key]
            event.set()
        return entry

    async def _ask(self, key: tuple[str, int], deadline: float) -> _Entry:
        """Ask for each candidate until one is found; a missing name leads on to the next one."""
        name, family = key
        if not self._configuration.servers:
            return self._failure("resolver-missing", f"no nameserver in {self._resolv_file}", keep=False)
        entry = self._failure("resolve-nxdomain", f"{name} does not exist")
        for candidate in candidates(name, self._configuration):
            entry = await self._ask_servers(candidate, family, deadline)
            if entry.fault not in ("resolve-nxdomain", "resolve-no-address"):
                break
        return entry

    async def _ask_servers(self, name: str, family: int, deadline: float) -> _Entry:
        try:
            encode_name(name)
        except ValueError as error:
            return self._failure("resolve-nxdomain", str(error))
        servers = self._configuration.servers
        entry = self._failure("resolve-timeout", "no time was left to ask", keep=False)
        for index, server in enumerate(servers):
            now = self._clock.boot()
            if now >= deadline:
                break
            question = Question(
                address=server,
                port=self._port,
                family=literal_family(server) or 4,
                name=name,
                record=_RECORDS[family],
            )
            share = now + (deadline - now) / (len(servers) - index)
            entry = self._entry_of(await ask_udp(question, deadline=share, clock=self._clock), question)
            if not entry.fault or entry.fault in ("resolve-nxdomain", "resolve-no-address"):
                break
        return entry

    def _entry_of(self, outcome: Answered | Stopped, question: Question) -> _Entry:
        server = question.address
        if isinstance(outcome, Stopped):
            trouble = outcome.trouble
            fault = "resolver-blocked" if trouble.local else _EXCHANGE.get(trouble.fault, "resolve-unreachable")
            return self._failure(fault, f"{question.name} at {server}: {trouble.detail or trouble.fault}", keep=False)
        message = outcome.message
        if message.rcode != "noerror":
            fault = _RCODES.get(message.rcode, "resolve-servfail")
            return self._failure(fault, f"{question.name} at {server}: {message.rcode}")
        found = [record for record in message.answers if record.type == question.record]
        if found:
            ttl = min(record.ttl for record in message.answers)
            kept = min(max(float(ttl), _LEAST_SECONDS), _MOST_SECONDS)
            return _Entry(self._clock.boot() + kept, address=found[0].data)
        if message.truncated:
            return self._failure("resolve-malformed", f"{question.name} at {server}: truncated", keep=False)
        return self._failure("resolve-no-address", f"{question.name} at {server}: no {question.record} record")

    def _failure(self, fault: str, detail: str, *, keep: bool = True) -> _Entry:
        """Return a failure; only what a server said is kept, silence is asked again next time."""
        return _Entry(self._clock.boot() + _NEGATIVE_SECONDS if keep else 0.0, fault=fault, detail=detail)

    def _notice_changes(self) -> None:
        stamps = (_stamp(self._hosts_file), _stamp(self._resolv_file))
        if stamps == self._stamps:
            return
        self._stamps = stamps
        self._hosts = parse_hosts(_text(self._hosts_file))
        self._configuration = parse_resolv_conf(_text(self._resolv_file))
        self._cache.clear()


def _stamp(path: str) -> tuple[int, int, int]:
    """Return what changes when `path` is written or replaced (file number, time in ns, size); zeros without it."""
    try:
        found = Path(path).stat()
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_mtime_ns, found.st_size


def _text(path: str) -> str:
    """Return a system file's text; a missing or unreadable file is an empty one, as for the system."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
