"""Names to addresses without blocking: the hosts file, then the configured servers, kept for their TTL.

It reads what the system's resolver reads (hosts(5), resolv.conf(5)) and asks by itself, because
getaddrinfo blocks, hides the TTL and cannot say why it failed. What must stay true: one family a
question; an answer is never served after its TTL, however silent the servers are; every failure has
a name of RESOLVE_FAULTS; a name that many probes want is asked for once at a time; the file system
is touched once a second at most, and only to see whether the two files changed.

How a name is asked for: each candidate of the search list in turn; for each, the servers in the
file's order, each for an equal share of the time that is left, the next one when one is silent or
fails. So the host is configured and so its users resolve; a server that is down shows in the phase
`resolve`, and in a dns probe of its own by address.
"""

from pathlib import Path
from typing import Final

import msgspec

from probes.kit.address import Endpoint, literal_family
from probes.kit.dns_exchange import Answered, Question, Stopped, ask_udp, question
from probes.kit.dns_message import Message
from probes.kit.dns_records import soa_minimum
from probes.kit.resolver_files import Configuration, candidates, parse_hosts, parse_resolv_conf
from probes.kit.result import Outcome, Result, Stage
from probes.kit.shared import Shared
from probes.kit.spec import Clock, Fault, Kit

# An answer that must not be kept (TTL 0) holds for the probes of one second; no answer holds for more than
# an hour, so that a move is seen the same hour whatever the zone says.
LEAST_SECONDS: Final = 1.0
MOST_SECONDS: Final = 3600.0
# What a server denied holds as long as its zone says (RFC 2308 section 5), within these bounds, so that a name
# that comes back is seen within half a minute; what it said without a zone, for the least: RFC 9520 wants 1 s.
NEGATIVE_SECONDS: Final = 5.0
MOST_NEGATIVE_SECONDS: Final = 30.0
_CACHED_NAMES: Final = 4096
_LOOK_SECONDS: Final = 1.0  # between two looks at the files
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
_SILENCE: Final = "resolve-timeout"
_DENIED: Final = frozenset({"resolve-nxdomain", "resolve-no-address"})  # a server's word on the name: ask no other


class ResolveError(Exception):
    """A name did not become an address: `fault` of RESOLVE_FAULTS, one line of `detail`."""

    def __init__(self, fault: str, detail: str = "") -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.detail = detail


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An answer or failure, the boot time until which it holds, and how long was waited for it."""

    until: float = 0.0
    address: str = ""
    fault: str = ""
    detail: str = ""
    waited: float = 0.0


_Key = tuple[str, int]  # lower-case name, family


async def locate(kit: Kit, end: Endpoint, deadline: float, phases: dict[str, float]) -> str:
    """Return the address of `end` by `deadline` (boot time); raises ResolveError.

    The phase `resolve` is entered only where a question was asked: what is kept was not reached now.
    """
    if not end.named:
        return end.host
    known = kit.resolver.known(end.host, end.family)
    if known is not None:
        return known
    start = kit.clock.boot()
    address = await kit.resolver.resolve(end.host, end.family, deadline)
    phases["resolve"] = kit.clock.boot() - start
    return address


def resolve_result(error: ResolveError, seconds: float) -> Result:
    """Return the result of an attempt that ended at `resolve` after `seconds`."""
    if any(row.name == error.fault and row.stage is None for row in RESOLVE_FAULTS):
        return Result(outcome=Outcome.UNKNOWN, fault=error.fault, detail=error.detail)
    return Result(outcome=Outcome.FAILED, stage=Stage.RESOLVE, fault=error.fault, seconds=seconds, detail=error.detail)


class SystemResolver:
    """The host's resolver configuration, asked without blocking; safe to call concurrently."""

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
        self._looked = -_LOOK_SECONDS
        self._stamps: tuple[tuple[int, int, int], ...] = ()
        self._hosts: dict[_Key, str] = {}
        self._configuration = Configuration()
        self._cache: dict[_Key, _Entry] = {}
        self._asking: Shared[_Key, _Entry] = Shared()

    def known(self, name: str, family: int) -> str | None:
        """Return the address that holds without a question: a literal, the hosts file, an answer within its TTL."""
        self._notice_changes()
        if literal_family(name) == family:
            return name
        key = (name.lower(), family)
        entry = self._fresh_entry(key)
        return self._hosts.get((key[0].removesuffix("."), family)) or (entry.address or None if entry else None)

    async def resolve(self, name: str, family: int, deadline: float) -> str:
        """Return one address of `family`, by `deadline` (boot time); raises ResolveError."""
        known = self.known(name, family)
        if known is not None:
            return known
        if literal_family(name) is not None:
            raise ResolveError("resolve-no-address", f"{name} is not an IPv{family} address")
        key = (name.lower(), family)
        entry = self._fresh_entry(key) or await self._asking.ask(
            key,
            lambda: self._ask(key, deadline),
            seconds=lambda: deadline - self._clock.boot(),
            good_enough=lambda found: found.fault != _SILENCE or deadline - self._clock.boot() <= found.waited,
        )
        if entry is None:
            raise ResolveError("resolve-timeout", f"no answer for {key[0]} before the deadline")
        if entry.fault:
            raise ResolveError(entry.fault, entry.detail)
        return entry.address

    def _fresh_entry(self, key: _Key) -> _Entry | None:
        entry = self._cache.get(key)
        return entry if entry is not None and self._clock.boot() < entry.until else None

    async def _ask(self, key: _Key, deadline: float) -> _Entry:
        """Ask for each candidate until one is found; a missing name leads on to the next one."""
        name, family = key
        start = self._clock.boot()
        stamps = self._stamps
        if not self._configuration.servers:
            return _Entry(fault="resolver-missing", detail=f"no nameserver in {self._resolv_file}")
        entry = _Entry(fault="resolve-nxdomain", detail=f"{name} does not exist")
        for candidate in candidates(name, self._configuration):
            found = await self._ask_servers(candidate, family, deadline)
            if entry.fault != "resolve-no-address" or found.fault not in _DENIED:  # that a name exists says more
                entry = found
            if found.fault not in _DENIED:
                break
        if entry.until > 0 and stamps == self._stamps:  # what an older configuration said is not kept
            if len(self._cache) >= _CACHED_NAMES:
                self._cache.clear()
            self._cache[key] = entry
        return msgspec.structs.replace(entry, waited=self._clock.boot() - start)

    async def _ask_servers(self, name: str, family: int, deadline: float) -> _Entry:
        servers = self._configuration.servers
        entry = _Entry(fault="resolve-timeout", detail="no time was left to ask")
        for index, server in enumerate(servers):
            now = self._clock.boot()
            if now >= deadline:
                break
            version = literal_family(server) or 4
            try:
                asked = question(server, self._port, version, name=name, record=_RECORDS[family])
            except ValueError as error:
                return self._kept("resolve-nxdomain", str(error), NEGATIVE_SECONDS)
            share = now + (deadline - now) / (len(servers) - index)
            entry = self._entry_of(await ask_udp(asked, deadline=share, clock=self._clock), asked)
            if not entry.fault or entry.fault in _DENIED:
                break
        return entry

    def _entry_of(self, outcome: Answered | Stopped, asked: Question) -> _Entry:
        """Return what a server said, to be kept; what it did not say (silence, errors of the way) is asked again."""
        where = f"{asked.name} at {asked.address}"
        if isinstance(outcome, Stopped):
            trouble = outcome.trouble
            fault = "resolver-blocked" if trouble.local else _EXCHANGE.get(trouble.fault, "resolve-unreachable")
            return _Entry(fault=fault, detail=f"{where}: {trouble.detail or trouble.fault}")
        message = outcome.message
        if message.rcode != "noerror":
            fault = _RCODES.get(message.rcode, "resolve-servfail")
            return self._kept(fault, f"{where}: {message.rcode}", _negative_seconds(message))
        found = message.answers_to(asked.name, asked.record)
        if found:
            seconds = min(max(float(min(record.ttl for record in found)), LEAST_SECONDS), MOST_SECONDS)
            address = next(record.data for record in found if record.type == asked.record)
            return _Entry(until=self._clock.boot() + seconds, address=address)
        if message.truncated:
            return _Entry(fault="resolve-malformed", detail=f"{where}: truncated")
        return self._kept("resolve-no-address", f"{where}: no {asked.record} record", _negative_seconds(message))

    def _kept(self, fault: str, detail: str, seconds: float) -> _Entry:
        return _Entry(until=self._clock.boot() + seconds, fault=fault, detail=detail)

    def _notice_changes(self) -> None:
        now = self._clock.boot()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        stamps = (_stamp(self._hosts_file), _stamp(self._resolv_file))
        if stamps == self._stamps:
            return
        self._stamps = stamps
        self._hosts = parse_hosts(_text(self._hosts_file))
        self._configuration = parse_resolv_conf(_text(self._resolv_file))
        self._cache.clear()


def _negative_seconds(message: Message) -> float:
    """Return for how long a denial holds: the lesser of the SOA's TTL and minimum (RFC 2308 section 5), bounded."""
    soa = next((record for record in message.authority if record.type == "SOA"), None)
    if soa is None:
        return NEGATIVE_SECONDS
    return min(max(float(min(soa.ttl, soa_minimum(soa.data))), LEAST_SECONDS), MOST_NEGATIVE_SECONDS)


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
