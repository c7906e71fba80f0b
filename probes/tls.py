"""TLS: who answers there, with which certificates, for how long, over how good a connection.

The handshake alone, after the plain words that some protocols begin with; nothing is asked inside it. What must stay
true: a certificate that was refused is described too; a finding about the server rests on bytes that the server
sent; a chain is looked at only up to `_LONGEST`, however long it is (OpenSSL takes 100 KiB at most).
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal

import msgspec

from probes.kit.address import FAMILY_HELP, KEPT, endpoint, is_name, literal_family
from probes.kit.asker import Asker, Heard, Target
from probes.kit.certificate import Certificate, read_certificate
from probes.kit.exchange import Opening
from probes.kit.readiness import Readiness
from probes.kit.resolver import RESOLVE_FAULTS
from probes.kit.result import Outcome, Result, Stage
from probes.kit.spec import Fault, Flow, Kit, Metric, Spec
from probes.kit.starttls import StartTls
from probes.kit.tls import TLS_FAULTS, Trust, presented, verified
from probes.kit.trouble import LOCAL_FAULTS, Trouble, path_faults, result_of

_LONGEST: Final = 16  # certificates of a chain; real ones have two to five
_DAY: Final = 86400.0
# What the plain protocols listen on (IANA service names); TLS from the first byte is most often a web server.
_PORTS: Final = {"": 443, "smtp": 25, "imap": 143, "pop3": 110, "ldap": 389, "postgres": 5432, "ftp": 21}
_HEX: Final = re.compile(r"[0-9a-f]{64}\Z")
_VERSIONS: Final = {"TLSv1": 1.0, "TLSv1.1": 1.1, "TLSv1.2": 1.2, "TLSv1.3": 1.3}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to shake hands with, and what must be true of it."""

    target: str
    starttls: Literal["", "smtp", "imap", "pop3", "ldap", "postgres", "ftp"] = ""
    server_name: str = ""
    ca_file: str = ""
    verify: bool = True
    certificate_file: str = ""
    key_file: str = ""
    minimum_version: Literal["1.2", "1.3"] = "1.2"
    pin: tuple[str, ...] = ()
    warn_days: int = 14
    weak: Literal["ok", "degraded"] = "degraded"
    settle: int = 10
    family: Literal[4, 6] = 4


SPEC: Final = Spec(
    type="tls",
    summary="TLS: version, cipher and certificates of a server, and how long they last.",
    settings=Settings,
    key_help={
        "target": "`host` or `host:port`; without a port that of the protocol (443 without `starttls`).",
        "starttls": "Protocol that begins in plain words: smtp, imap, pop3, ldap, postgres or ftp.",
        "server_name": "Name for SNI and certificate, when it is not the target's host.",
        "ca_file": "PEM file of authorities to trust instead of the system's.",
        "verify": "Whether to check the certificate.",
        "certificate_file": "PEM file with our own certificate and its chain, or `credential:NAME` of systemd.",
        "key_file": "PEM file of its key, without a passphrase, or `credential:NAME`; empty: in the same file.",
        "minimum_version": "Oldest TLS version that the server may choose.",
        "pin": "SHA-256 of the public key (SPKI, hex or base64) of the server's certificate or of one above it; one "
        "of these must be in the chain.",
        "warn_days": "Degraded when a certificate of the chain has no more than this left; 0 never warns.",
        "weak": "What known weaknesses (keys, signatures, ciphers) make of an attempt: `ok` or `degraded`.",
        "settle": "Notice another issuer: degraded (`issuer-changed`) until it has been seen this many times in a "
        "row; the first one after a start counts as good. 0 notices none.",
        "family": FAMILY_HELP,
    },
    phases=("resolve", "connect", "starttls", "secure"),
    faults=(
        *path_faults(Stage.CONNECT),
        *path_faults(Stage.SECURE),
        *TLS_FAULTS,
        Fault("starttls-refused", Stage.SECURE, "The server refuses to begin TLS.", "Check the server's TLS settings."),
        Fault("starttls-malformed", Stage.SECURE, "It does not speak that protocol.", "What really listens there?"),
        Fault("version-too-old", Stage.SECURE, "It chose an older TLS version.", "Enable newer ones at the server."),
        Fault("pin-mismatch", Stage.SECURE, "No pinned key is in the chain.", "Was the key replaced? By whom?"),
        Fault("issuer-changed", Stage.SECURE, "Another authority issued it (degraded).", "Was that meant?"),
        Fault("certificate-expiring", Stage.SECURE, "A certificate expires soon (degraded).", "Renew it."),
        Fault("tls-weak", Stage.SECURE, "Weak keys, signatures or ciphers (degraded).", "See the detail."),
        *RESOLVE_FAULTS,
        *LOCAL_FAULTS,
    ),
    metrics=(
        Metric("tls_handshake_seconds", "The kernel's round trip of the connection."),
        Metric("tls_version", "The TLS version that the server chose, as 1.2 or 1.3."),
        Metric("tls_leaf_expiry_timestamp_seconds", "When the server's own certificate expires."),
        Metric("tls_presented_expiry_timestamp_seconds", "The first expiry among the certificates that it sent."),
        Metric("tls_verified_expiry_timestamp_seconds", "The first expiry in the chain up to the trusted authority."),
        Metric("tls_presented_certificates", "Certificates that the server sent."),
        Metric("tls_weaknesses", "Known weaknesses of keys, signatures and cipher."),
    ),
    default_interval=60.0,
    leaves_traces="One TLS connection without a request; some servers log it.",
)


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Settings, read and checked; `pins` in hex."""

    settings: Settings
    target: Target
    pins: frozenset[str]


class Issuer(msgspec.Struct, frozen=True):
    """The issuer that counts as good, and the one seen last, how often in a row."""

    good: str
    seen: str
    times: int


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a handshake showed; `verified` is empty where nothing was checked."""

    version: str
    cipher: str
    presented: tuple[Certificate | None, ...]
    verified: tuple[Certificate | None, ...]

    @property
    def leaf(self) -> Certificate | None:
        """Return the server's own certificate, None when it cannot be read."""
        return self.presented[0] if self.presented else None

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """Return the chain that counts: as verified, else as presented."""
        return tuple(one for one in self.verified or self.presented if one is not None)


def flow(settings: Settings) -> Flow:
    """Return the handshake's flow; ValueError says what is wrong with which key."""
    end = _plan(settings).target.end
    return Flow(
        host=end.host,
        protocol="tcp",
        port=end.port,
        family=end.family,
        function=f"TLS {settings.starttls or end.port}",
        connect_bytes=60,  # a SYN with its options
        carry_bytes=1500,  # full segments: a certificate chain
        named=end.named,
    )


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator["HandshakeRunner"]:  # noqa: A001 - the probe interface's name
    """Open the shared runner: TLS contexts are shared, connections never."""
    with Readiness(kit.clock).opened() as readiness:
        yield HandshakeRunner(kit, readiness)


def _plan(settings: Settings) -> _Plan:
    end = endpoint(settings.target, settings.family, default_port=_PORTS[settings.starttls])
    name = settings.server_name
    if name and not (is_name(name) or literal_family(name)):
        raise ValueError(f"server_name {name!r} is not a name")
    for key in ("warn_days", "settle"):
        if not 0 <= getattr(settings, key) <= 100_000:
            raise ValueError(f"{key}: write a number from 0 to 100000")
    trust = Trust(
        ca_file=settings.ca_file,
        verify=settings.verify,
        certificate_file=settings.certificate_file,
        key_file=settings.key_file,
        protocols=(),
    )
    return _Plan(
        settings=settings,
        target=Target(end=end, trust=trust, server_name=name or end.host),
        pins=frozenset(parse_pin(pin) for pin in settings.pin),
    )


def parse_pin(text: str) -> str:
    """Return a pin in hex, given as that (with colons or not) or in base64 (`sha256/` before it or not)."""
    bare = text.lower().replace(":", "")
    if _HEX.match(bare):
        return bare
    try:
        found = b64decode(text.removeprefix("sha256/"), validate=True)
    except (Base64Error, ValueError):
        found = b""
    if len(found) != 32:
        raise ValueError(f"pin {text!r}: write the SHA-256 of a public key in hex or base64")
    return found.hex()


class HandshakeRunner:
    """All tls probes of the agent."""

    def __init__(self, kit: Kit, readiness: Readiness) -> None:
        self._clock = kit.clock
        self._asker = Asker(kit, readiness)
        self._plan = lru_cache(KEPT)(_plan)
        self._issuers: dict[Settings, Issuer] = {}

    def harvest(self) -> float | None:
        """Do nothing: sockets tell by themselves when they are ready, and their deadlines have their own timer."""
        return None

    def launch(self, settings: Settings, deadline: float, done: Callable[[Result], None]) -> bool:
        """Start now; False when a name must be resolved or a file be read first."""
        plan = self._plan(settings)
        return self._asker.launch(
            plan.target, deadline, lambda heard: done(self._judge(plan, heard)), opening=_opening(settings)
        )

    def flush(self) -> None:
        """Do nothing: every SYN has left."""

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:  # noqa: ARG002
        """Connect, shake hands, close; every attempt is `fresh`."""
        plan = self._plan(settings)
        heard = await self._asker.ask(plan.target, deadline, opening=_opening(settings))
        return heard if isinstance(heard, Result) else self._judge(plan, heard)

    def _judge(self, plan: _Plan, heard: Heard) -> Result:
        made, settings = heard.made, plan.settings
        seen = self._seen(settings, heard)
        values = measured(seen)
        if made.round_trip is not None:
            values["tls_handshake_seconds"] = made.round_trip
        trouble = made.trouble or refusal(seen, plan.pins, settings.minimum_version)
        if trouble is not None:
            result = result_of(trouble, made.stage if made.trouble else Stage.SECURE, heard.seconds, heard.phases)
        else:
            fault, detail = self._concern(settings, seen)
            outcome = Outcome.DEGRADED if fault else Outcome.OK
            shown = detail or _described(seen)
            result = Result(outcome=outcome, fault=fault, seconds=heard.seconds, phases=heard.phases, detail=shown)
        return msgspec.structs.replace(
            result, values=values, packet_bytes=made.packet_bytes, rows=_rows(seen), facts=facts(seen)
        )

    def _seen(self, settings: Settings, heard: Heard) -> Seen:
        tls = heard.made.tls
        if tls is None:
            return Seen(version="", cipher="", presented=(), verified=())
        cipher = tls.cipher()
        shaken = bool(heard.made.certificate)
        return Seen(
            version=(tls.version() or "") if shaken else "",
            cipher=cipher[0] if cipher and shaken else "",
            presented=tuple(_readable(one) for one in presented(tls)[:_LONGEST]),
            verified=tuple(_readable(one) for one in verified(tls)[:_LONGEST]) if shaken and settings.verify else (),
        )

    def _concern(self, settings: Settings, seen: Seen) -> tuple[str | None, str]:
        """Return the fault and text of what is not as it should be, (None, "") when all is."""
        if settings.settle and seen.leaf is not None:
            if len(self._issuers) >= KEPT:
                self._issuers.clear()
            self._issuers[settings], changed = remember(self._issuers.get(settings), seen.leaf.issuer, settings.settle)
            if changed:
                return "issuer-changed", f"issued by {seen.leaf.issuer}; was {self._issuers[settings].good}"
        return concern(seen, self._clock.wall(), settings)


def _opening(settings: Settings) -> Opening | None:
    return Opening(StartTls(settings.starttls), "starttls", Stage.SECURE) if settings.starttls else None


def _readable(der: bytes) -> Certificate | None:
    try:
        return read_certificate(der)
    except ValueError:
        return None


def measured(seen: Seen) -> dict[str, float]:
    """Return the type's own metrics, those that the handshake came far enough for."""
    values: dict[str, float] = {}
    if seen.version in _VERSIONS:
        values["tls_version"] = _VERSIONS[seen.version]
    if seen.leaf is not None:
        values["tls_leaf_expiry_timestamp_seconds"] = seen.leaf.not_after
    for name, chain in (("presented", seen.presented), ("verified", seen.verified)):
        ends = [one.not_after for one in chain if one is not None]
        if ends:
            values[f"tls_{name}_expiry_timestamp_seconds"] = min(ends)
    if seen.presented:
        values["tls_presented_certificates"] = float(len(seen.presented))
    if seen.cipher:
        values["tls_weaknesses"] = float(len(weaknesses(seen)))
    return values


def facts(seen: Seen) -> dict[str, str]:
    """Return what to compare with what was approved, as far as the handshake came."""
    found = seen.leaf.facts if seen.leaf is not None else {}
    if seen.version:
        found |= {"tls version": seen.version, "tls cipher": seen.cipher}
    return found


def refusal(seen: Seen, pins: frozenset[str], minimum_version: str) -> Trouble | None:
    """Return what must not be as the handshake showed it."""
    if pins and not any(one.pin in pins for one in seen.certificates):
        shown = seen.leaf.pin if seen.leaf else "unreadable"
        return Trouble(fault="pin-mismatch", detail=f"the server's key is {shown}", answered=True)
    if _VERSIONS.get(seen.version, 0.0) < float(minimum_version):
        return Trouble(fault="version-too-old", detail=f"the server chose {seen.version}", answered=True)
    return None


def concern(seen: Seen, now: float, settings: Settings) -> tuple[str | None, str]:
    """Return the fault and text of what works but should not stay so; `now` in UTC epoch seconds."""
    first = min(seen.certificates, key=lambda one: one.not_after, default=None)
    if first is not None and settings.warn_days and first.not_after - now <= settings.warn_days * _DAY:
        return "certificate-expiring", f"{first.subject} until {_day(first.not_after)}"
    found = weaknesses(seen)
    if found and settings.weak == "degraded":
        return "tls-weak", "; ".join(found)
    return None, ""


def weaknesses(seen: Seen) -> tuple[str, ...]:
    """Return what is known to be weak, one line each."""
    found = [one.weakness for one in seen.certificates if one.weakness]
    # RFC 9325 section 4.1: no key exchange without forward secrecy; section 4.2.1: authenticated encryption only.
    if seen.version != "TLSv1.3":
        if not seen.cipher.startswith(("ECDHE-", "DHE-")):
            found.append(f"{seen.cipher} has no forward secrecy")
        if not any(mode in seen.cipher for mode in ("GCM", "CCM", "CHACHA20")):
            found.append(f"{seen.cipher} is no authenticated encryption")
    return tuple(dict.fromkeys(found))


def remember(before: Issuer | None, issuer: str, settle: int) -> tuple[Issuer, bool]:
    """Return what to remember of `issuer` after `before`, and whether it is another than the good one."""
    if before is None or issuer == before.good:
        return Issuer(issuer, issuer, 0), False
    times = before.times + 1 if issuer == before.seen else 1
    if times > settle:
        return Issuer(issuer, issuer, 0), False
    return Issuer(before.good, issuer, times), True


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def _described(seen: Seen) -> str:
    leaf = seen.leaf
    about = f"; {leaf.subject} by {leaf.issuer} until {_day(leaf.not_after)}" if leaf else ""
    return f"{seen.version} {seen.cipher}{about}"


def _rows(seen: Seen) -> tuple[dict[str, str | int | float | None], ...]:
    """Return both chains as a table for people."""
    return tuple(
        {
            "chain": name,
            "subject": one.subject,
            "issuer": one.issuer,
            "until": _day(one.not_after),
            "key": f"{one.key} {one.key_bits}" if one.key_bits else one.key,
            "pin": one.pin,
        }
        for name, chain in (("presented", seen.presented), ("verified", seen.verified))
        for one in chain
        if one is not None
    )
