"""Entra: how long ago the directory was last synchronised, by Microsoft Graph with an app-only token.

What must stay true: the last synchronisation is Microsoft's word about a state, and a stale one may
have any cause on the declared path, so it accuses the whole path (stage `connect`) and a fresh one
proves nothing on the way. Whatever keeps us from reading it (credential, permission, throttling, an
error of Microsoft's, nulls) is `unknown`: blind, never down. Graph answers nulls, not 403, to an app
without permission; null therefore means "never synchronised, or not allowed to see". Age is counted
by the clock of the reply's own Date header where it has one, so that our clock cannot make it stale.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Final, Literal
from urllib.parse import quote

import msgspec

from probes.kit.address import FAMILY_HELP, Endpoint, endpoint
from probes.kit.https_exchange import ExchangeError, Reply, Request, exchange
from probes.kit.microsoft import (
    RENEW_SECONDS,
    Blind,
    backoff_seconds,
    http_date,
    read_graph_error,
    read_json,
    read_token,
    token_form,
)
from probes.kit.result import Outcome, Result, Stage, failed, unknown
from probes.kit.secret import Secret, read_secret
from probes.kit.spec import Duration, Evidence, Fault, Flow, Kit, Metric, Pace, Spec

# onPremisesLastSyncDateTime is in v1.0; that of password synchronisation is in beta only.
PATH: Final = "/v1.0/organization?$select=id,displayName,onPremisesSyncEnabled,onPremisesLastSyncDateTime"
# Two clocks of Microsoft's may differ a little; a synchronisation further in the future is no time.
FUTURE_SECONDS: Final = 300.0
_TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}\Z")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask as which application, and from what age on a synchronisation is late or stale."""

    target: str = "https://graph.microsoft.com"
    authority: str = "https://login.microsoftonline.com"
    tenant: str
    client_id: str
    secret_file: str
    ca_file: str = ""
    proxy: str = ""
    family: Literal[4, 6] = 4
    warn: Duration = Duration(90 * 60)
    critical: Duration = Duration(3 * 3600)


SPEC: Final = Spec(
    type="entra_sync",
    summary="Age of the last directory synchronisation (Entra Connect), by Microsoft Graph.",
    settings=Settings,
    key_help={
        "target": "Graph of the tenant's cloud.",
        "authority": "Login of the tenant's cloud.",
        "tenant": "Directory (tenant) id, or a verified domain.",
        "client_id": "Application (client) id; it needs the application permission Organization.Read.All.",
        "secret_file": "File with the client secret, or `credential:NAME` for a systemd credential.",
        "ca_file": "PEM file of the CA to trust instead of the system's, for a simulator.",
        "proxy": "`http://host:port` of a CONNECT proxy; the environment's proxy settings are not used.",
        "family": FAMILY_HELP,
        "warn": "Age from which a synchronisation is late (three cycles of 30 minutes).",
        "critical": "Age from which it is stale.",
    },
    faults=(
        Fault(
            "sync-late", Stage.CONNECT, "The last synchronisation is older than `warn` (degraded).", "See sync-stale."
        ),
        Fault(
            "sync-stale",
            Stage.CONNECT,
            "The last synchronisation is older than `critical`.",
            "Look at Entra Connect (service, scheduler, staging), its way to the internet and the domain controllers.",
        ),
        Fault(
            "sync-disabled",
            Stage.CONNECT,
            "The directory says that it is no longer synchronised.",
            "Ask the tenant's administrators who turned directory synchronisation off.",
        ),
        Fault(
            "no-data",
            None,
            "Graph answers null: never synchronised, or the application may not see it.",
            "Grant Organization.Read.All (application) with admin consent; see docs/entra.md.",
        ),
        Fault("clock", None, "The last synchronisation lies in the future.", "Compare the clocks with Microsoft's."),
        Fault("credential-expired", None, "The client secret has expired.", "Make a new one and replace the file."),
        Fault(
            "credential-wrong",
            None,
            "Login does not accept the client secret.",
            "Put the secret's value (not its id) into the file.",
        ),
        Fault("credential-unreadable", None, "The secret file cannot be used.", "See the detail: path, rights."),
        Fault("ca-unreadable", None, "The CA file cannot be used.", "Check `ca_file` and its permissions."),
        Fault(
            "app-not-found", None, "The tenant or its application does not exist.", "Correct `tenant` or `client_id`."
        ),
        Fault("app-disabled", None, "The application is disabled in the tenant.", "Enable it."),
        Fault("token-refused", None, "Login refuses for another reason.", "Look up the AADSTS code of the detail."),
        Fault(
            "no-permission",
            None,
            "Graph refuses the token.",
            "Grant Organization.Read.All (application) with admin consent.",
        ),
        Fault(
            "throttled", None, "Microsoft asks us to stay away for a while.", "Raise `interval`; nothing else to do."
        ),
        Fault("graph-error", None, "Microsoft answers with a server error.", "Compare with its service health."),
        Fault(
            "not-graph",
            None,
            "Something else answers in Microsoft's place: a portal, a proxy, an inspecting firewall.",
            "Open the address from this vantage and see who answers.",
        ),
        Fault(
            "graph-unreachable",
            None,
            "No reply: resolution, connection, TLS or time.",
            "An http probe to the same host says on which segment.",
        ),
        Fault("proxy-refused", None, "The proxy does not let us through.", "Allow the host at the proxy."),
    ),
    phases=("token", "graph"),
    metrics=(
        Metric("entra_last_sync_timestamp_seconds", "When the directory was last synchronised, UTC epoch."),
        Metric("entra_sync_age_seconds", "Age of the last synchronisation when it was read."),
        Metric("entra_sync_enabled", "1 if the directory is synchronised from on-premise, 0 if no longer."),
    ),
    evidence=Evidence.STATE,
    pace=Pace.OWN,
    default_interval=300.0,
    default_timeout=30.0,
    leaves_traces="a service-principal sign-in in the tenant's sign-in log for each new token, about one an hour",
)


def origin(url: str, key: str, family: int, scheme: str = "https") -> Endpoint:
    """Return the endpoint of `scheme://host[:port]`; ValueError names `key` and what to write."""
    if "@" in url:
        raise ValueError(f"{key}: an address holds no credentials; write {scheme}://host:port")
    authority = url.removeprefix(f"{scheme}://").removesuffix("/")
    if not url.startswith(f"{scheme}://") or set(authority) & set("/?#"):
        raise ValueError(f"{key}: {url!r} is not {scheme}://host or {scheme}://host:port")
    try:
        return endpoint(authority, family, 443 if scheme == "https" else None)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def flow(settings: Settings) -> Flow:
    """Return the flow to Graph, and also to login, or to the proxy alone; ValueError says which key is wrong."""
    graph = origin(settings.target, "target", settings.family)
    login = origin(settings.authority, "authority", settings.family)
    proxy = origin(settings.proxy, "proxy", settings.family, "http") if settings.proxy else None
    if not _TENANT.match(settings.tenant):
        raise ValueError(f"tenant: {settings.tenant!r} is neither a directory id nor a domain")
    if not _UUID.match(settings.client_id):
        raise ValueError(f"client_id: {settings.client_id!r} is no application id (8-4-4-4-12 hexadecimal digits)")
    if not 0 < settings.warn < settings.critical:
        raise ValueError("warn must be above zero and below critical")
    if proxy is not None:
        return _https(proxy, settings.target)
    also = () if login == graph else (_https(login, "sign-in"),)
    return msgspec.structs.replace(_https(graph, settings.target), also=also)


def _https(end: Endpoint, function: str) -> Flow:
    return Flow(
        host=end.host,
        protocol="tcp",
        port=end.port,
        family=end.family,
        function=function,
        carry_bytes=1500,
        named=end.named,
    )


class _Organisation(msgspec.Struct, rename="camel"):
    on_premises_sync_enabled: bool | None = None
    on_premises_last_sync_date_time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class _Organisations(msgspec.Struct):
    value: list[_Organisation]


def judge(reply: Reply, settings: Settings, wall: float) -> Result:
    """Return what Graph's 200 says; `wall` (UTC epoch seconds) stands in for a missing Date header."""
    listed = read_json(reply.body, _Organisations)
    if listed is None:
        return unknown("not-graph", "a 200 that is not Graph's list of organisations")
    if not listed.value:
        return unknown("no-data", "Graph lists no organisation")
    first = listed.value[0]
    enabled, last = first.on_premises_sync_enabled, first.on_premises_last_sync_date_time
    values: dict[str, float] = {} if enabled is None else {"entra_sync_enabled": float(enabled)}
    # Microsoft writes the year 1 for "never".
    moment = last.timestamp() if last is not None and last.year > 1970 else None
    now = http_date(reply.headers.get("date", ""))
    age = (wall if now is None else now) - moment if moment is not None else None
    if moment is not None and age is not None:
        values |= {"entra_last_sync_timestamp_seconds": moment, "entra_sync_age_seconds": max(age, 0.0)}
    if enabled is False:
        return failed(Stage.CONNECT, "sync-disabled", detail="onPremisesSyncEnabled is false", values=values)
    if age is None:
        return unknown("no-data", "onPremisesLastSyncDateTime is null", values=values)
    if age < -FUTURE_SECONDS:
        return unknown("clock", f"last synchronisation {-age:.0f} s in the future")
    return _by_age(max(age, 0.0), settings, values)


def _by_age(age: float, settings: Settings, values: dict[str, float]) -> Result:
    detail = f"last synchronisation {age / 60:.0f} min ago"
    if age >= settings.critical:
        return failed(Stage.CONNECT, "sync-stale", detail=detail, values=values)
    if age >= settings.warn:
        return Result(outcome=Outcome.DEGRADED, fault="sync-late", detail=detail, values=values)
    return Result(outcome=Outcome.OK, detail=detail, values=values)


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A token, the boot time until which it is used, and the secret that got it."""

    bearer: Secret
    until: float
    secret: Secret


class _Away(msgspec.Struct, frozen=True, kw_only=True):
    """Microsoft asked us to stay away: until when (boot time), after how many refusals, why."""

    until: float
    refusals: int
    blind: Blind


# Whose token and whose patience: probes of the same application share both.
_Key = tuple[str, str, str, str]


class _Call(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt: what it needs, and the phases that it reached (seconds), filled on the way."""

    key: _Key
    settings: Settings
    deadline: float
    secret: Secret
    context: ssl.SSLContext
    phases: dict[str, float]


def _material(settings: Settings) -> tuple[Secret, ssl.SSLContext] | Result:
    """Read both files, anew at each attempt so that a rotated one counts; or say which cannot be used."""
    try:
        secret = read_secret(settings.secret_file)
    except OSError as error:
        return unknown("credential-unreadable", f"{settings.secret_file}: {error.strerror or error}")
    except ValueError as error:
        return unknown("credential-unreadable", str(error))
    try:
        return secret, ssl.create_default_context(cafile=settings.ca_file or None)
    except OSError as error:  # ssl.SSLError too
        return unknown("ca-unreadable", f"{settings.ca_file}: {error.strerror or error}")


class EntraRunner:
    """Shared by all entra_sync probes: tokens and waits of each application."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._tokens: dict[_Key, _Kept] = {}
        self._away: dict[_Key, _Away] = {}

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:
        """Ask Graph, with a new token if `fresh` or due; ends by `deadline` (boot-time seconds)."""
        began = self._kit.clock.boot()
        key = (settings.target, settings.authority, settings.tenant, settings.client_id)
        away = self._away.get(key)
        if away is not None and began < away.until:
            return unknown(away.blind.fault, f"{away.blind.detail}; asked to wait {away.until - began:.0f} s more")
        if fresh:
            self._tokens.pop(key, None)
        phases: dict[str, float] = {}
        try:
            async with asyncio.timeout(max(0.0, deadline - began)):
                material = await asyncio.to_thread(_material, settings)
                if isinstance(material, Result):
                    return material
                secret, context = material
                call = _Call(
                    key=key, settings=settings, deadline=deadline, secret=secret, context=context, phases=phases
                )
                answer = await self._ask(call)
        except TimeoutError:
            silent = "Graph" if key in self._tokens else "login"
            return unknown("graph-unreachable", f"{silent} was silent until the deadline", phases=phases)
        except ExchangeError as error:
            fault = "proxy-refused" if error.step == "proxy" else "graph-unreachable"
            return unknown(fault, str(error), phases=phases)
        self._note(key, answer)
        if isinstance(answer, Blind):
            return unknown(answer.fault, answer.detail, phases=phases)
        seconds = None if answer.outcome is Outcome.UNKNOWN else self._kit.clock.boot() - began
        return msgspec.structs.replace(answer, seconds=seconds, phases=phases)

    async def _ask(self, call: _Call) -> Result | Blind:
        bearer = await self._bearer(call)
        if isinstance(bearer, Blind):
            return bearer
        began = self._kit.clock.boot()
        server = origin(call.settings.target, "target", call.settings.family)
        reply = await self._exchange(call, Request(server=server, path=PATH, bearer=bearer))
        call.phases["graph"] = self._kit.clock.boot() - began
        if reply.status == 200:
            return judge(reply, call.settings, self._kit.clock.wall())
        if reply.status == 401:
            self._tokens.pop(call.key, None)
        return read_graph_error(reply)

    async def _bearer(self, call: _Call) -> Secret | Blind:
        """Return the kept token while it lives and the secret file is the same, else a new one."""
        began = self._kit.clock.boot()
        kept = self._tokens.get(call.key)
        if kept is not None and began < kept.until and kept.secret == call.secret:
            return kept.bearer
        self._tokens.pop(call.key, None)
        settings = call.settings
        request = Request(
            server=origin(settings.authority, "authority", settings.family),
            path=f"/{quote(settings.tenant, safe='')}/oauth2/v2.0/token",
            form=token_form(settings.client_id, call.secret, f"{settings.target.rstrip('/')}/.default"),
        )
        token = read_token(await self._exchange(call, request))
        ended = self._kit.clock.boot()
        call.phases["token"] = ended - began
        if isinstance(token, Blind):
            return token
        self._tokens[call.key] = _Kept(
            bearer=token.bearer, until=ended + token.seconds - RENEW_SECONDS, secret=call.secret
        )
        return token.bearer

    async def _exchange(self, call: _Call, request: Request) -> Reply:
        proxy = call.settings.proxy
        return await exchange(
            request,
            context=call.context,
            resolver=self._kit.resolver,
            deadline=call.deadline,
            proxy=origin(proxy, "proxy", call.settings.family, "http") if proxy else None,
        )

    def _note(self, key: _Key, answer: Result | Blind) -> None:
        """Stay away as long as Microsoft asks, or ever longer when it throttles without saying."""
        before = self._away.pop(key, None)
        if not isinstance(answer, Blind) or (answer.fault != "throttled" and answer.wait_seconds is None):
            return
        refusals = before.refusals + 1 if before is not None else 1
        wait = answer.wait_seconds if answer.wait_seconds is not None else backoff_seconds(refusals)
        self._away[key] = _Away(until=self._kit.clock.boot() + wait, refusals=refusals, blind=answer)


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator[EntraRunner]:  # noqa: A001 - the probe interface's name
    """Open the shared runner; nothing is asked before the first attempt."""
    yield EntraRunner(kit)
