"""Active Directory: a domain controller, or every one that a domain announces, does what it is there for.

One function a probe (`check`), so that a filter that stops one port is told from a controller that is ill. What must
stay true: nobody signs in and no ticket is kept; one attempt, one connection or datagram for each controller, no
second try at another; clocks are compared, never set; a domain's controllers are those that DNS announces now.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

from probes.kit.ad_answer import Said, of_dns, of_kerberos, of_ldap, of_smb, of_time, weighed
from probes.kit.address import FAMILY_HELP, KEPT, Endpoint, host_endpoint, is_name, split_port
from probes.kit.asker import Asker, Target
from probes.kit.controllers import announced, asked, resolved, service_name, together
from probes.kit.datagram import Datagram, Heard, exchange
from probes.kit.dns_exchange import UNFRAGMENTED, Answered, Stopped, ask_udp, datagram, question
from probes.kit.dns_message import Message
from probes.kit.kerberos_message import SignOnQuestion
from probes.kit.ldap_message import RootQuestion
from probes.kit.ntp_message import COOKIE_BYTES, Reply, offset_and_delay, parse_reply
from probes.kit.ntp_message import request as time_request
from probes.kit.readiness import Readiness
from probes.kit.resolver import RESOLVE_FAULTS, ResolveError, locate, resolve_result
from probes.kit.result import Result, Stage, failed
from probes.kit.smb_message import NegotiateQuestion
from probes.kit.spec import Duration, Fault, Flow, Kit, Metric, Spec
from probes.kit.tls import TLS_FAULTS, Trust
from probes.kit.trouble import LOCAL_FAULTS, Trouble, path_faults, result_of

Check = Literal["ldap", "ldaps", "kerberos", "smb", "time", "dns"]
# Kerberos' own bound (RFC 4120 section 1.6; Windows' "maximum tolerance for computer clock synchronization").
KERBEROS_SECONDS: Final = 300.0
_EDNS_BYTES: Final = 1232  # dnsflagday.net/2020: what passes everywhere in one piece
_HEADERS: Final = {4: 28, 6: 48}  # IP and UDP


class _Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A check: where it is asked, what it proves in words, the most bytes of a packet, whether clocks are judged."""

    port: int
    protocol: str = "tcp"
    what: str
    carry_bytes: int
    clock: bool = False


KINDS: Final[Mapping[str, _Kind]] = MappingProxyType(
    {
        "ldap": _Kind(port=389, what="LDAP root DSE", carry_bytes=576),
        "ldaps": _Kind(port=636, what="LDAP root DSE over TLS", carry_bytes=1500),
        "kerberos": _Kind(port=88, what="Kerberos AS exchange", carry_bytes=576, clock=True),
        "smb": _Kind(port=445, what="SMB negotiation", carry_bytes=576),
        "time": _Kind(port=123, protocol="udp", what="NTP time", carry_bytes=76, clock=True),
        "dns": _Kind(port=53, protocol="udp", what="DNS of the domain", carry_bytes=576),
    }
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Which domain, which controller (none: all that it announces), what to ask."""

    domain: str
    check: Check = "ldap"
    target: str = ""
    dns: str = ""
    site: str = ""
    client: str = "demarc-probe"
    max_offset: Duration = Duration(KERBEROS_SECONDS)
    server_name: str = ""
    ca_file: str = ""
    verify: bool = True
    family: Literal[4, 6] = 4


SPEC: Final = Spec(
    type="ad",
    summary="Active Directory: a controller, or every one that the domain announces, answers LDAP, Kerberos, SMB, "
    "time or DNS; nobody signs in.",
    settings=Settings,
    key_help={
        "domain": "The domain's DNS name, as `corp.example`; the Kerberos realm is the same in capitals.",
        "check": "What is asked, of a port of its own so that a closed one is told from an ill controller. ldap, "
        "ldaps: the root DSE, which everybody may read; kerberos: an AS-REQ without any credential; smb: NEGOTIATE; "
        "time: NTP; dns: whether it announces the domain's controllers.",
        "target": "One controller: `address`, `name` or `[v6]`, with `:port` when it is not the check's own. Empty: "
        "every controller that DNS announces (at most 16), of which some silent ones make `degraded`.",
        "dns": "Name server that knows the domain, as `address` or `address:port`; needed without `target`.",
        "site": "Look only for controllers of this Active Directory site.",
        "client": "Name that kerberos asks for. One that does not exist will do; use the same everywhere, so that the "
        "controllers' owner can except it from alarms.",
        "max_offset": "kerberos and time: degraded when the clocks are further apart, in either direction; Kerberos "
        "bears 5 minutes. 0: any offset passes.",
        "server_name": "ldaps: name in the certificate, when it is not the target's.",
        "ca_file": "ldaps: PEM file of authorities to trust instead of the system's.",
        "verify": "ldaps: whether to check the certificate.",
        "family": FAMILY_HELP,
    },
    phases=("discover", "resolve", "connect", "secure", "first_byte", "transfer", "answer", "controllers"),
    faults=(
        *path_faults(Stage.CONNECT),
        *path_faults(Stage.SECURE),
        *TLS_FAULTS,
        *path_faults(Stage.ANSWER),
        Fault("closed", Stage.ANSWER, "The controller closed before a whole answer.", "Look at its event log."),
        Fault("malformed", Stage.ANSWER, "The answer is not of this protocol.", "What really listens there?"),
        Fault(
            "refused-by-service",
            Stage.ANSWER,
            "The controller answers that it does not serve.",
            "See the detail for its code; look at the directory service's event log.",
        ),
        Fault(
            "other-domain",
            Stage.ANSWER,
            "It answers for another domain.",
            "Compare `domain`; has the controller been demoted or the address been given to another?",
        ),
        Fault("rcode-nxdomain", Stage.ANSWER, "The controller's DNS does not know the domain.", "Look at its zones."),
        Fault("rcode-servfail", Stage.ANSWER, "The controller's DNS failed.", "Look at its zones and forwarders."),
        Fault("rcode-refused", Stage.ANSWER, "The controller's DNS does not serve us.", "Check its access list."),
        Fault("rcode-other", Stage.ANSWER, "The controller's DNS reports an error.", "See the detail."),
        Fault("no-answer", Stage.ANSWER, "Its DNS announces no controller.", "Run `nltest /dsregdns` there."),
        Fault(
            "controllers-missing",
            Stage.ANSWER,
            "Some of the domain's controllers do not answer (degraded).",
            "See the detail for which; is one of them only left behind in DNS?",
        ),
        Fault(
            "not-synchronized",
            Stage.ANSWER,
            "The controller has not caught up with its partners (degraded).",
            "Look at its replication: `repadmin /showrepl`.",
        ),
        Fault(
            "clock-apart",
            Stage.ANSWER,
            "Clocks are further apart than `max_offset` (degraded).",
            "Is it this vantage's clock or the controller's? Compare with a third; `w32tm /query /status` there.",
        ),
        Fault(
            "unsynchronised",
            Stage.ANSWER,
            "The controller's time service does not trust its own clock (degraded).",
            "`w32tm /query /status` there: what does it follow?",
        ),
        *RESOLVE_FAULTS,
        *LOCAL_FAULTS,
    ),
    metrics=(
        Metric("ad_controllers", "Controllers that the domain announces and that were asked."),
        Metric("ad_controllers_answering", "How many of them answered."),
        Metric("ad_clock_offset_seconds", "How far the controller's clock is ahead of this vantage's."),
    ),
    default_interval=30.0,
    minimum_interval=5.0,
    leaves_traces="kerberos: event 4768 with result 0x6 on the controller, if it audits failed sign-ons; the others "
    "leave none by default. See docs/ad.md.",
)


def flow(settings: Settings) -> Flow:
    """Return the check's flow; ValueError says which key is wrong."""
    if not is_name(settings.domain) or "." not in settings.domain.strip("."):
        raise ValueError(f"domain: {settings.domain!r} is no DNS name of a domain; write it as `corp.example`")
    if settings.max_offset < 0:
        raise ValueError("max_offset: write a positive time, or 0 for any")
    if not settings.client.isascii() or not settings.client.isprintable() or not 0 < len(settings.client) <= 64:
        raise ValueError("client: write 1 to 64 printable ASCII characters")
    if settings.site and not is_name(settings.site):
        raise ValueError(f"site: {settings.site!r} is no name of a site")
    kind = KINDS[settings.check]
    function = f"{kind.what} of {settings.domain.lower()}"
    if settings.target:
        if settings.dns or settings.site:
            raise ValueError("dns: with `target` nothing is looked for; leave `dns` and `site` out")
        end = _endpoint(settings.target, settings.family, kind.port)
        return _flow(kind, end.host, end.port or 0, end.family, function, named=end.named)
    if not settings.dns:
        raise ValueError("dns: write the name server that knows the domain, or `target` for one controller")
    server = _name_server(settings)
    also = Flow(
        host=server.host,
        protocol="udp",
        port=server.port,
        family=server.family,
        function=f"controllers of {settings.domain.lower()}",
        carry_bytes=UNFRAGMENTED,
    )
    made = _flow(kind, settings.domain.lower(), kind.port, settings.family, function, named=True)
    return msgspec.structs.replace(made, also=(also,))


def _flow(kind: _Kind, host: str, port: int, family: int, function: str, *, named: bool) -> Flow:
    return Flow(
        host=host,
        protocol=kind.protocol,
        port=port,
        family=family,
        function=function,
        carry_bytes=kind.carry_bytes,
        named=named,
    )


def _endpoint(text: str, family: int, default_port: int) -> Endpoint:
    host, port = split_port(text)
    return host_endpoint(host, family, port or default_port)


def _name_server(settings: Settings) -> Endpoint:
    try:
        server = _endpoint(settings.dns, settings.family, 53)
    except ValueError as error:
        raise ValueError(f"dns: {error}") from None
    if server.named:
        raise ValueError(f"dns: {settings.dns!r} is no address; a name server is not found by name")
    return server


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator["ControllerRunner"]:  # noqa: A001 - the probe interface's name
    """Open the shared runner; every attempt has connections of its own."""
    with Readiness(kit.clock).opened() as readiness:
        yield ControllerRunner(kit, readiness)


class ControllerRunner:
    """All ad probes of the agent."""

    def __init__(self, kit: Kit, readiness: Readiness) -> None:
        self._kit = kit
        self._asker = Asker(kit, readiness)
        self._endpoint = lru_cache(KEPT)(_endpoint)

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:  # noqa: ARG002
        """Ask the controller, or all that the domain announces; every attempt is `fresh`."""
        if not settings.target:
            return await self._domain(settings, deadline)
        end = self._endpoint(settings.target, settings.family, KINDS[settings.check].port)
        return await self._ask(settings, end, settings.server_name or end.host, deadline)

    async def _domain(self, settings: Settings, deadline: float) -> Result:
        """Look the controllers up and ask each of them at the same time."""
        clock = self._kit.clock
        began = clock.boot()
        name = service_name(settings.domain, settings.site)
        told = await self._look_up(settings, name, "SRV", deadline)
        found = resolved(told, name, "SRV")
        phases = {"discover": clock.boot() - began}
        if isinstance(found, Result):
            seconds = None if found.stage is None else phases["discover"]
            return msgspec.structs.replace(found, seconds=seconds)
        hosts = [one.host for one in asked(announced(found, name))]
        if not hosts:
            detail = f"{name} names no host"
            return failed(Stage.RESOLVE, "resolve-malformed", seconds=phases["discover"], detail=detail)
        async with asyncio.TaskGroup() as group:
            tasks = {host: group.create_task(self._announced(settings, host, deadline)) for host in hosts}
        ended = clock.boot()
        phases["controllers"] = ended - began - phases["discover"]
        result = together({host: task.result() for host, task in tasks.items()}, ended - began, phases)
        known = None if found.truncated else {"controllers": ", ".join(sorted(hosts))}
        return msgspec.structs.replace(result, facts=known)

    async def _announced(self, settings: Settings, host: str, deadline: float) -> Result:
        """Ask one controller by the address that the domain's name server has for it."""
        record = "A" if settings.family == 4 else "AAAA"
        found = resolved(await self._look_up(settings, host, record, deadline), host, record)
        if isinstance(found, Result):
            return found
        address = next(one.data for one in found.answers_to(host, record) if one.type == record)
        end = host_endpoint(address, settings.family, KINDS[settings.check].port)
        return await self._ask(settings, end, host, deadline)

    async def _look_up(self, settings: Settings, name: str, record: str, deadline: float) -> Answered | Stopped:
        server = _name_server(settings)
        sought = question(
            server.host, server.port or 53, server.family, name=name, record=record, edns_bytes=_EDNS_BYTES
        )
        return await ask_udp(sought, deadline=deadline, clock=self._kit.clock)

    async def _ask(self, settings: Settings, end: Endpoint, name: str, deadline: float) -> Result:
        """Put the check's question to one controller, whose certificate is for `name`."""
        if KINDS[settings.check].protocol == "udp":
            return await self._ask_datagram(settings, end, deadline)
        trust = None
        if settings.check == "ldaps":
            trust = Trust(ca_file=settings.ca_file, verify=settings.verify, protocols=())
        asking, weigh = _dialogue(settings)
        heard = await self._asker.ask(Target(end=end, trust=trust, server_name=name), deadline, dialogue=asking)
        if isinstance(heard, Result):
            return heard
        made = heard.made
        if made.trouble is not None:
            result = result_of(made.trouble, made.stage, heard.seconds, heard.phases)
        else:
            now = self._kit.clock.wall() - heard.phases.get("first_byte", 0.0) / 2
            result = weighed(weigh(asking.found), now, _bound(settings), heard.seconds, heard.phases)
        return msgspec.structs.replace(result, packet_bytes=made.packet_bytes)

    async def _ask_datagram(self, settings: Settings, end: Endpoint, deadline: float) -> Result:
        clock = self._kit.clock
        start = clock.boot()
        phases: dict[str, float] = {}
        try:
            address = await locate(self._kit, end, deadline, phases)
        except ResolveError as error:
            return resolve_result(error, clock.boot() - start)
        asking, weigh = _packet(settings, address, end)
        heard = await exchange(asking, deadline=deadline, clock=clock)
        if isinstance(heard, Trouble):
            stage = Stage.ANSWER if heard.answered else Stage.CONNECT
            return result_of(heard, stage, clock.boot() - start, phases)
        phases["answer"] = heard.seconds
        result = weighed(weigh(heard), clock.wall(), _bound(settings), sum(phases.values()), phases)
        size = heard.size + _HEADERS[end.family]
        return msgspec.structs.replace(result, packet_bytes=size if size <= UNFRAGMENTED else None)


def _bound(settings: Settings) -> float:
    """Return how far the clocks may be apart, 0 where the check does not say."""
    return settings.max_offset if KINDS[settings.check].clock else 0.0


def _dialogue(settings: Settings) -> tuple[Any, Callable[[Any], Said]]:
    """Return the question over TCP, and how its answer is weighed."""
    if settings.check == "kerberos":
        return SignOnQuestion(settings.client, settings.domain), of_kerberos
    if settings.check == "smb":
        return NegotiateQuestion(), of_smb
    return RootQuestion(), partial(of_ldap, domain=settings.domain)


def _packet(settings: Settings, address: str, end: Endpoint) -> tuple[Datagram[Any], Callable[[Heard[Any]], Said]]:
    """Return the question in a datagram, and how its answer is weighed."""
    if settings.check == "dns":
        name = service_name(settings.domain)
        sought = question(address, end.port or 53, end.family, name=name, record="SRV", edns_bytes=_EDNS_BYTES)
        return datagram(sought), partial(_of_dns, name)
    cookie = secrets.token_bytes(COOKIE_BYTES)
    asking: Datagram[Reply] = Datagram(
        address=address,
        port=end.port or 123,
        family=end.family,
        payload=time_request(cookie),
        read=partial(_read_time, cookie),
    )
    return asking, _of_time


def _of_dns(name: str, heard: Heard[Message]) -> Said:
    return of_dns(heard.answer, name)


def _of_time(heard: Heard[Reply]) -> Said:
    return of_time(heard.answer, offset_and_delay(heard.answer, heard.sent, heard.seconds))


def _read_time(cookie: bytes, data: bytes) -> Reply | Trouble | None:
    found = parse_reply(data, cookie)
    return Trouble(fault="malformed", detail=found, answered=True) if isinstance(found, str) else found
