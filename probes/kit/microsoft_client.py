"""Asking a Microsoft API with an app-only token: tokens kept, waits kept, everything bounded by a deadline.

What must stay true: whatever keeps us from reading is a `Blind`, never a fail; no request leaves before the time that
Microsoft named, for all probes of the application; a kept token serves only the very credential that got it, so that a
rotated one is tried at once; a credential is revealed in no variable, error or log.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote

import msgspec

from probes.kit.https_exchange import ExchangeError, Reply, Request, exchange
from probes.kit.microsoft import (
    RENEW_SECONDS,
    Blind,
    Token,
    arc_key_name,
    backoff_seconds,
    granted,
    http_date,
    identity_path,
    read_graph_error,
    read_identity_token,
    read_json,
    read_token,
    token_form,
)
from probes.kit.microsoft_access import OWN_IDENTITY, Access, identity_endpoint, origin
from probes.kit.microsoft_proof import ARC_KEYS, Proof, assertion_form, proof_form, read_arc_key, read_proof
from probes.kit.result import Outcome, Result, unknown
from probes.kit.secret import Secret
from probes.kit.spec import Kit
from probes.kit.tls import Contexts, FileError, Trust

# A permission counts in new tokens only; a refused token this old gives way to one that may hold it.
_REFUSED_SECONDS: Final = 600.0
# What a managed identity's token is for when it stands for an application (workload identity federation).
_EXCHANGE: Final = "api://AzureADTokenExchange"


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A token, when it came and until when it is used (boot time), and the credential that got it.

    `ends`: when that credential ends (UTC epoch seconds), where it is known.
    """

    bearer: Secret
    since: float
    until: float
    proof: Proof
    ends: float | None


class _Away(msgspec.Struct, frozen=True, kw_only=True):
    """Microsoft asked us to stay away: until when (boot time), after how many refusals, why."""

    until: float
    refusals: int
    blind: Blind


# Whose token and whose patience: probes of the same application share both.
_Key = tuple[str, str, str, str, str]


def _key(access: Access) -> _Key:
    identity = f"{access.managed_identity} {access.identity_id}"
    return (access.target, access.authority, access.tenant, access.client_id, identity)


class MicrosoftClient:
    """Shared by all probes of a type: tokens and waits of each application."""

    def __init__(self, kit: Kit, arc_keys: Path = ARC_KEYS) -> None:
        self.kit = kit
        self.arc_keys = arc_keys
        self.contexts = Contexts()
        self.tokens: dict[_Key, _Kept] = {}
        self.asking: dict[_Key, asyncio.Lock] = {}
        self._away: dict[_Key, _Away] = {}

    async def attempt(
        self,
        access: Access,
        deadline: float,
        question: "Callable[[Visit], Awaitable[Result | Blind]]",
        *,
        fresh: bool = False,
    ) -> Result:
        """Put `question`, with a new token if `fresh` or due; ends by `deadline` (boot-time seconds)."""
        began, key = self.kit.clock.boot(), _key(access)
        away = self._away.get(key)
        if away is not None and began < away.until:
            return unknown(away.blind.fault, f"{away.blind.detail}; asked to wait {away.until - began:.0f} s more")
        if fresh:
            self.tokens.pop(key, None)
        visit = Visit(self, access, deadline)
        try:
            async with asyncio.timeout(max(0.0, deadline - began)):
                answer: Result | Blind | None = await visit.prepare()
                if answer is None:
                    answer = await question(visit)
        except TimeoutError:
            answer = _unreached("", f"{visit.asked} was silent until the deadline", visit.asked)
        except ExchangeError as error:
            answer = _unreached(error.step, str(error), visit.asked)
        self._note(key, answer)
        if visit.renewed and access.secret_expiry:
            await visit.learn_end()
        values = {} if visit.ends is None else {"entra_credential_expiry_timestamp_seconds": visit.ends}
        if isinstance(answer, Blind):
            return unknown(answer.fault, answer.detail, phases=visit.phases, values=values)
        seconds = None if answer.outcome is Outcome.UNKNOWN else self.kit.clock.boot() - began
        return msgspec.structs.replace(answer, seconds=seconds, phases=visit.phases, values=answer.values | values)

    def _note(self, key: _Key, answer: Result | Blind) -> None:
        """Stay away as long as Microsoft asks, or ever longer when it throttles without saying."""
        before = self._away.pop(key, None)
        if not isinstance(answer, Blind) or (answer.fault != "throttled" and answer.wait_seconds is None):
            return
        refusals = before.refusals + 1 if before is not None else 1
        wait = answer.wait_seconds if answer.wait_seconds is not None else backoff_seconds(refusals)
        self._away[key] = _Away(until=self.kit.clock.boot() + wait, refusals=refusals, blind=answer)


def _unreached(step: str, detail: str, asked: str) -> Blind:
    if step == "proxy":
        return Blind(fault="proxy-refused", detail=detail)
    return Blind(fault="identity-unavailable" if asked == _IDENTITY else "graph-unreachable", detail=detail)


_LOGIN: Final = "login"
_API: Final = "Graph"
_IDENTITY: Final = "the metadata service"


class Visit:
    """One attempt: what it asks, and the phases that it reached (seconds), filled on the way.

    `asked` is whom it waits for; `ends` when our credential ends (UTC epoch seconds), where that is known;
    `renewed` whether it got a new token.
    """

    def __init__(self, client: MicrosoftClient, access: Access, deadline: float) -> None:
        self.access = access
        self.phases: dict[str, float] = {}
        self.asked = _LOGIN
        self.ends: float | None = None
        self.renewed = False
        self._client = client
        self._clock = client.kit.clock
        self._deadline = deadline
        self._proof = Proof(kind="", text=Secret(""))
        self._context: ssl.SSLContext | None = None

    async def prepare(self) -> Blind | None:
        """Read the credential's files and the authorities; say which cannot be used."""
        proof = await asyncio.to_thread(read_proof, self.access)
        if isinstance(proof, Blind):
            return proof
        context = await self._client.contexts.load(Trust(ca_file=self.access.ca_file))
        if isinstance(context, FileError):
            return Blind(fault=context.fault, detail=context.detail)
        self._proof, self._context, self.ends = proof, context, proof.not_after
        return None

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply | Blind:
        """Return the API's 200, or why there is none; raises ExchangeError where nothing came back."""
        key = _key(self.access)
        bearer = await self.bearer()
        if isinstance(bearer, Blind):
            return bearer
        self.asked = _API
        began = self._clock.boot()
        server = origin(self.access.target, "target", self.access.family)
        reply = await self._exchange(Request(server=server, path=path, bearer=bearer, headers=headers or {}))
        ended = self._clock.boot()
        self.phases["graph"] = self.phases.get("graph", 0.0) + ended - began
        if reply.status == 200:
            return reply
        kept = self._client.tokens.get(key)
        if reply.status == 401 or (reply.status == 403 and kept and ended - kept.since > _REFUSED_SECONDS):
            self._client.tokens.pop(key, None)
        return read_graph_error(reply)

    def now(self, reply: Reply) -> float:
        """Return Microsoft's own time (UTC epoch seconds) where `reply` tells it, else ours."""
        told = http_date(reply.headers.get("date", ""))
        return self._clock.wall() if told is None else told

    async def bearer(self) -> Secret | Blind:
        """Return the kept token while it lives and the credential is the same, else a new one.

        Probes that begin together wait for the one that asks.
        """
        async with self._client.asking.setdefault(_key(self.access), asyncio.Lock()):
            kept = self._client.tokens.get(_key(self.access))
            if kept is not None and self._clock.boot() < kept.until and kept.proof == self._proof:
                self.ends = kept.ends
                return kept.bearer
            return await self._new_bearer()

    async def _new_bearer(self) -> Secret | Blind:
        key, began = _key(self.access), self._clock.boot()
        self._client.tokens.pop(key, None)
        token = await self._token()
        ended = self._clock.boot()
        self.phases["token"] = ended - began
        if isinstance(token, Blind):
            expired = self.ends is not None and self.ends < self._clock.wall() and token.fault == "credential-wrong"
            return msgspec.structs.replace(token, fault="credential-expired") if expired else token
        self.renewed = True
        until = ended + token.seconds - RENEW_SECONDS
        kept = _Kept(bearer=token.bearer, since=ended, until=until, proof=self._proof, ends=self.ends)
        self._client.tokens[key] = kept
        return token.bearer

    async def _token(self) -> Token | Blind:
        access = self.access
        way = access.managed_identity
        if way in OWN_IDENTITY:
            return await self._identity_token(f"{access.target.rstrip('/')}/")
        if way == "federated":
            own = await self._identity_token(_EXCHANGE)
            if isinstance(own, Blind):
                return own
            form: dict[str, Secret] | Blind = assertion_form(own.bearer)
        else:
            audience = f"{access.authority.rstrip('/')}{self._token_path()}"
            form = await asyncio.to_thread(proof_form, self._proof, access.client_id, audience, self._clock.wall())
        if isinstance(form, Blind):
            return form
        self.asked = _LOGIN
        request = Request(
            server=origin(access.authority, "authority", access.family),
            path=self._token_path(),
            form=token_form(access.client_id, form, f"{access.target.rstrip('/')}/.default"),
        )
        return read_token(await self._exchange(request))

    def _token_path(self) -> str:
        return f"/{quote(self.access.tenant, safe='')}/oauth2/v2.0/token"

    async def _identity_token(self, resource: str) -> Token | Blind:
        """Ask this host's metadata service, in the clear and never through a proxy: it does not leave the host.

        Azure Arc's first has us read a file, which shows that we may have the token.
        """
        self.asked = _IDENTITY
        arc = self.access.managed_identity == "arc"
        path = identity_path(resource, self.access.identity_id, arc=arc)
        request = Request(server=identity_endpoint(self.access), path=path, headers={"Metadata": "true"})
        resolver, deadline = self._client.kit.resolver, self._deadline
        reply = await exchange(request, context=None, resolver=resolver, deadline=deadline)
        if not arc:
            return read_identity_token(reply)
        name = arc_key_name(reply)
        if isinstance(name, Blind):
            return name
        key = await asyncio.to_thread(read_arc_key, name, self._client.arc_keys)
        if isinstance(key, Blind):
            return key
        request = msgspec.structs.replace(request, local_key=key)
        return read_identity_token(await exchange(request, context=None, resolver=resolver, deadline=deadline))

    async def learn_end(self) -> None:
        """Ask when our client secret ends; an application that may not read that does not learn it."""
        key = _key(self.access)
        kept = self._client.tokens.get(key)
        if kept is None:
            return
        path = f"/v1.0/applications(appId='{quote(self.access.client_id)}')?$select=passwordCredentials"
        server = origin(self.access.target, "target", self.access.family)
        with suppress(ExchangeError, TimeoutError):
            async with asyncio.timeout(max(0.0, self._deadline - self._clock.boot())):
                reply = await self._exchange(Request(server=server, path=path, bearer=kept.bearer))
                self.ends = read_secret_end(reply, self._proof.text) if reply.status == 200 else None
                self._client.tokens[key] = msgspec.structs.replace(kept, ends=self.ends)

    async def _exchange(self, request: Request) -> Reply:
        proxy = self.access.proxy
        return await exchange(
            request,
            context=self._context,
            resolver=self._client.kit.resolver,
            deadline=self._deadline,
            proxy=origin(proxy, "proxy", self.access.family, "http") if proxy else None,
        )


class _Password(msgspec.Struct, rename="camel"):
    end_date_time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    hint: str | None = None


class _Application(msgspec.Struct, rename="camel"):
    password_credentials: tuple[_Password, ...] = ()


def read_secret_end(reply: Reply, secret: Secret) -> float | None:
    """Return when `secret` ends (UTC epoch seconds), by the application's list; the earliest of those it may be.

    Microsoft lists no secrets, but the first three characters of each (passwordCredential resource type, `hint`).
    """
    listed = read_json(reply.body, _Application)
    if listed is None:
        return None
    mine = (one for one in listed.password_credentials if one.hint and secret.reveal().startswith(one.hint))
    return min((one.end_date_time.timestamp() for one in mine if one.end_date_time is not None), default=None)


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """What signing in shows: `result` says whether it works, `roles` what the token permits (None: it does not tell).

    `ends` is when the credential ends (UTC epoch seconds), None where that is not known.
    """

    result: Result
    roles: frozenset[str] | None
    ends: float | None


async def examine(kit: Kit, access: Access, deadline: float) -> Examined:
    """Sign in once with a new token, for an administrator's eyes (`demarc doctor`)."""
    tokens: list[Secret] = []

    async def question(visit: Visit) -> Result | Blind:
        bearer = await visit.bearer()
        if isinstance(bearer, Blind):
            return bearer
        tokens.append(bearer)
        return Result(outcome=Outcome.OK)

    result = await MicrosoftClient(kit).attempt(access, deadline, question)
    roles = granted(tokens[0]) if tokens else None
    return Examined(result=result, roles=roles, ends=result.values.get("entra_credential_expiry_timestamp_seconds"))
