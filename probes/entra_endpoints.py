"""Whether a site's exit lets through what Entra Connect needs: login, provisioning, revocation lists.

Asked from the site, as the Connect server would ask, without any credential. What must stay true: the path leads to
the exit (the proxy, or the firewall that inspects), and only the exit's own words fail it; what lies behind it
(circuit, Microsoft) is another probe's; one request for each endpoint, no second try.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from probes.kit import egress
from probes.kit.address import FAMILY_HELP, KEPT, host_endpoint
from probes.kit.asker import Asker, Target
from probes.kit.certificate import Certificate, read_certificate
from probes.kit.exchange import Opening
from probes.kit.readiness import Readiness
from probes.kit.resolver import RESOLVE_FAULTS
from probes.kit.response import Asking, Head, Tunnel, request
from probes.kit.result import Outcome, Result, Stage
from probes.kit.spec import Fault, Flow, Kit, Metric, Pace, Spec
from probes.kit.tls import Trust, presented
from probes.kit.trouble import LOCAL_FAULTS, path_faults
from probes.kit.url import Url, read_url

# learn.microsoft.com: Entra Connect, "Troubleshoot connectivity", which itself tests the provisioning address and
# wants a 200; login's configuration and DigiCert's list are public too.
ENDPOINTS: Final = MappingProxyType(
    {
        "login": "https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration",
        "provisioning": "https://adminwebservice.microsoftonline.com/ProvisioningService.svc",
        "revocation": "http://crl3.digicert.com/DigiCertGlobalRootG2.crl",
    }
)
# Who signs these addresses' certificates (Microsoft PKI repository, "Azure Certificate Authority details").
ISSUERS: Final = ("O=Microsoft Corporation", "O=DigiCert Inc")
_MAX_BYTES: Final = 4096  # of a body: the first byte tells a list from a page
_MOST: Final = 16


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Which addresses, through which exit, and whose certificates are the true ones."""

    proxy: str = ""
    endpoints: dict[str, str] = {}
    issuers: tuple[str, ...] = ISSUERS
    ca_file: str = ""
    family: Literal[4, 6] = 4


SPEC: Final = Spec(
    type="entra_endpoints",
    summary="The site's exit lets through what Entra Connect needs: login, provisioning, revocation lists; TLS is not "
    "inspected.",
    settings=Settings,
    key_help={
        "proxy": "The site's proxy, as `http://proxy.corp.example:3128`; empty: there is none. The proxy must be the "
        "one that the Connect server uses (its machine.config).",
        "endpoints": "Names and URLs to ask for; empty: Microsoft's public ones. https must answer 200, http must "
        "answer with a revocation list.",
        "issuers": "Who signs the true certificates: texts or globs, found in the issuer. Another one inspects.",
        "ca_file": "PEM file of authorities to trust instead of the system's.",
        "family": FAMILY_HELP,
    },
    phases=("resolve", "connect", "proxy", "secure", "first_byte", "transfer"),
    faults=(
        *path_faults(Stage.CONNECT),
        Fault("malformed", Stage.ANSWER, "The proxy's answer is not HTTP.", "What really listens there?"),
        Fault("truncated", Stage.ANSWER, "The proxy closed before a whole answer.", "Look at the proxy's log."),
        Fault(
            "proxy-authentication",
            Stage.ANSWER,
            "The proxy wants a sign-on (407).",
            "Let the Connect server's addresses through without one, or compare with its service account.",
        ),
        Fault("proxy-blocked", Stage.ANSWER, "The proxy forbids it (403).", "Allow Microsoft's addresses there."),
        Fault("proxy-error", Stage.ANSWER, "The proxy refuses for another reason.", "See the detail: its status."),
        Fault(
            "tls-inspected",
            Stage.SECURE,
            "Somebody on the way put a certificate of his own in Microsoft's place.",
            "Except Microsoft's addresses from TLS inspection: Entra Connect does not support it.",
        ),
        Fault(
            "not-the-list",
            Stage.ANSWER,
            "Something else than the revocation list answers.",
            "Open the address from this vantage and see who answers: a portal, a block page?",
        ),
        Fault(
            "endpoint-unreachable",
            Stage.ANSWER,
            "The exit lets us out, and no answer comes from behind it (degraded).",
            "A tcp or http probe that goes the whole way says on which segment.",
        ),
        Fault("endpoint-error", Stage.ANSWER, "Microsoft itself answers an error (degraded).", "Service health?"),
        Fault(
            "egress-silent",
            None,
            "No reply, and without a proxy nobody says why.",
            "A tcp or http probe that goes the whole way says on which segment.",
        ),
        Fault("ca-unreadable", None, "The CA file cannot be read.", "Check `ca_file` and its permissions."),
        *RESOLVE_FAULTS,
        *LOCAL_FAULTS,
    ),
    metrics=(
        Metric("entra_endpoints_asked", "How many addresses were asked for."),
        Metric("entra_endpoints_reached", "How many of them answered as they should."),
    ),
    pace=Pace.OWN,
    default_interval=60.0,
    default_timeout=10.0,
    leaves_traces="One line for each address in the proxy's log; Microsoft sees anonymous requests.",
)


class _Question(msgspec.Struct, frozen=True, kw_only=True):
    """One address: whom to connect to, what to say."""

    url: Url
    target: Target
    request: bytes


def flow(settings: Settings) -> Flow:
    """Return the flow to the proxy, or to every address; ValueError says which key is wrong."""
    if len(settings.endpoints) > _MOST:
        raise ValueError(f"endpoints: write at most {_MOST} addresses")
    if not settings.issuers or not all(settings.issuers):
        raise ValueError("issuers: write who signs the true certificates, or leave the key out")
    questions = _questions(settings)
    if settings.proxy:
        end = next(iter(questions.values())).target.end
        asked = ", ".join(questions)
        return _flow(end.host, end.port or 0, end.family, f"Entra endpoints through a proxy: {asked}", end.named)
    flows = [
        _flow(one.url.host, one.url.port, one.target.end.family, f"Entra endpoint {name}", one.target.end.named)
        for name, one in questions.items()
    ]
    return msgspec.structs.replace(flows[0], also=tuple(flows[1:]))


def _flow(host: str, port: int, family: int, function: str, named: bool) -> Flow:
    return Flow(host=host, protocol="tcp", port=port, family=family, function=function, carry_bytes=1500, named=named)


def _questions(settings: Settings) -> dict[str, _Question]:
    try:
        proxy = read_url(settings.proxy) if settings.proxy else None
    except ValueError as error:
        raise ValueError(f"proxy: {error}") from None
    if proxy is not None and (proxy.secure or proxy.path != "/"):
        raise ValueError(f"proxy: {settings.proxy!r}: write it as `http://host:port`")
    made = {}
    for name, text in (settings.endpoints or ENDPOINTS).items():
        try:
            url = read_url(text)
        except ValueError as error:
            raise ValueError(f"endpoints: {name}: {error}") from None
        host, port = (proxy.host, proxy.port) if proxy else (url.host, url.port)
        trust = Trust(ca_file=settings.ca_file) if url.secure else None
        whole = f"{url.origin}{url.path}" if proxy and not url.secure else url.path
        made[name] = _Question(
            url=url,
            target=Target(end=host_endpoint(host, settings.family, port), trust=trust, server_name=url.host),
            request=request("GET", whole, url.host_field(url.host), {}),
        )
    return made


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator["EgressRunner"]:  # noqa: A001 - the probe interface's name
    """Open the shared runner: TLS contexts are shared, connections never."""
    with Readiness(kit.clock).opened() as readiness:
        yield EgressRunner(kit, readiness)


class EgressRunner:
    """All entra_endpoints probes of the agent."""

    def __init__(self, kit: Kit, readiness: Readiness) -> None:
        self._clock = kit.clock
        self._asker = Asker(kit, readiness)
        self._certificate = lru_cache(KEPT)(_readable)

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:  # noqa: ARG002
        """Ask for every address at the same time; every attempt is `fresh`."""
        began = self._clock.boot()
        phases: dict[str, float] = {}
        async with asyncio.TaskGroup() as group:
            tasks = {
                name: group.create_task(self._ask(settings, one, deadline, phases))
                for name, one in _questions(settings).items()
            }
        said = {name: task.result() for name, task in tasks.items()}
        reached = sum(one.outcome is Outcome.OK for one in said.values())
        values = {"entra_endpoints_asked": float(len(said)), "entra_endpoints_reached": float(reached)}
        result = egress.result_of(egress.together(said), self._clock.boot() - began, phases, values)
        rows = tuple({"endpoint": name, "fault": one.fault, "detail": one.detail} for name, one in said.items())
        return msgspec.structs.replace(result, rows=rows)

    async def _ask(self, settings: Settings, one: _Question, deadline: float, phases: dict[str, float]) -> egress.Said:
        """Ask for one address; `phases` gets the longest of each."""
        tunnel = Tunnel(one.url.authority) if settings.proxy and one.url.secure else None
        asking = Asking(one.request, _wants_body, _MAX_BYTES, head_only=False)
        opening = Opening(tunnel, "proxy", Stage.CONNECT) if tunnel else None
        heard = await self._asker.ask(one.target, deadline, dialogue=asking, opening=opening)
        if isinstance(heard, Result):
            return _unasked(heard)
        for phase, seconds in heard.phases.items():
            phases[phase] = max(phases.get(phase, 0.0), seconds)
        made = heard.made
        chain = presented(made.tls) if made.tls is not None else ()
        return egress.judge(
            egress.Heard(
                proxied=bool(settings.proxy),
                secure=one.url.secure,
                connected="connect" in heard.phases,
                trouble=made.trouble,
                stage=made.stage,
                tunnel=tunnel.head if tunnel else None,
                leaf=self._certificate(chain[0]) if chain else None,
                head=asking.head,
                body=asking.body,
            ),
            settings.issuers,
        )


def _wants_body(head: Head) -> bool:
    return head.status == 200


def _unasked(before: Result) -> egress.Said:
    """Return what an attempt that ended before a connection says: the name's trouble, or our own host's."""
    return egress.Said(outcome=before.outcome, stage=before.stage, fault=before.fault, detail=before.detail)


def _readable(der: bytes) -> Certificate | None:
    try:
        return read_certificate(der)
    except ValueError:
        return None
