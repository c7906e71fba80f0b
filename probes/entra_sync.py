"""Entra: what Microsoft's directory says of the synchronisation that feeds it, by Graph with an app-only token.

One probe watches one thing: the last synchronisation, the last synchronisation of passwords, or the
objects in error. Each has causes and owners of its own, so each has a path of its own.

What must stay true: it is Microsoft's word about a state, and a stale one may have any cause on the
declared path, so it accuses the whole path (stage `connect`) and a fresh one proves nothing of now on the way.
When it was (`as_of`) is evidence of that moment only, for the diagnosis to weigh.
Whatever keeps us from reading it (credential, permission, throttling, an error of Microsoft's, nulls)
is `unknown`: blind, never down. Graph answers nulls, not 403, to an app without permission; null
therefore means "never synchronised, or not allowed to see". Age is counted by the clock of the reply's
own Date header where it has one, so that our clock cannot make it stale.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Final, Literal

import msgspec

from probes.kit.entra_objects import (
    HEADERS,
    KINDS,
    MOST_PAGES,
    OBJECT_FAULTS,
    OBJECT_METRICS,
    PERMISSION,
    Page,
    first_path,
    judge_objects,
    read_page,
)
from probes.kit.https_exchange import Reply
from probes.kit.microsoft import Blind, granted, http_date, read_json
from probes.kit.microsoft_access import (
    ACCESS_FAULTS,
    ACCESS_HELP,
    ACCESS_METRICS,
    LEAVES,
    Access,
    access_flow,
    permitted,
)
from probes.kit.microsoft_client import MicrosoftClient, Visit
from probes.kit.result import Outcome, Result, Stage, failed, unknown
from probes.kit.spec import Duration, Evidence, Fault, Flow, Kit, Metric, Pace, Spec

# Two clocks of Microsoft's may differ a little; a synchronisation further in the future is no time.
FUTURE_SECONDS: Final = 300.0
_ORGANISATION: Final = "Organization.Read.All"


class Settings(Access, frozen=True, kw_only=True):
    """What to watch, and from when on it is late or stale; whom to ask as which application."""

    watch: Literal["sync", "password", "objects"] = "sync"
    warn: Duration = Duration(0)
    critical: Duration = Duration(0)
    objects: tuple[str, ...] = ("users",)
    warn_objects: int = 1
    critical_objects: int = 0
    names: bool = False


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """A time that Graph keeps: where to read it, how to tell of it, and from what ages on (seconds).

    `prefix` begins the names of its faults, `metric` stands in those of its metrics.
    """

    path: str
    what: str
    prefix: str
    metric: str
    warn: float
    critical: float


# onPremisesLastSyncDateTime is in v1.0; that of password synchronisation is in beta only. Thresholds are ours:
# three and six cycles of 30 minutes; passwords: two heartbeats, and Microsoft's own alert at 120 minutes.
WATCHED: Final[Mapping[str, Watched]] = MappingProxyType(
    {
        "sync": Watched(
            path="/v1.0/organization?$select=id,displayName,onPremisesSyncEnabled,onPremisesLastSyncDateTime",
            what="synchronisation",
            prefix="sync",
            metric="sync",
            warn=90 * 60.0,
            critical=3 * 3600.0,
        ),
        "password": Watched(
            path="/beta/organization?$select=id,displayName,onPremisesSyncEnabled,onPremisesLastPasswordSyncDateTime",
            what="password synchronisation",
            prefix="password",
            metric="password_sync",
            warn=60 * 60.0,
            critical=2 * 3600.0,
        ),
    }
)

SPEC: Final = Spec(
    type="entra_sync",
    summary="Age of the last directory or password synchronisation (Entra Connect), or its objects in error, by Graph.",
    settings=Settings,
    key_help=ACCESS_HELP
    | {
        "watch": "sync: the last synchronisation; password: that of password hashes (known to Graph's beta only); "
        "objects: how many objects are in error.",
        "warn": "Age from which it is late; 0: 90 min (three cycles), for passwords 60 min (two heartbeats).",
        "critical": "Age from which it is stale; 0: 3 h, for passwords 2 h.",
        "objects": "Which objects are counted: users (needs User.Read.All), groups (Group.Read.All), contacts "
        "(OrgContact.Read.All).",
        "warn_objects": "From so many objects in error on: degraded.",
        "critical_objects": "From so many on: failed; 0: never.",
        "names": "Also read whose objects these are and tell some in the detail, which is stored: personal data.",
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
            "password-late",
            Stage.CONNECT,
            "The last synchronisation of passwords is older than `warn` (degraded).",
            "See password-stale.",
        ),
        Fault(
            "password-stale",
            Stage.CONNECT,
            "The last synchronisation of passwords is older than `critical`.",
            "Look at Entra Connect: staging, its account in the domain, its ports to the domain controllers.",
        ),
        Fault(
            "sync-disabled",
            Stage.CONNECT,
            "The directory says that it is no longer synchronised.",
            "Ask the tenant's administrators who turned directory synchronisation off.",
        ),
        *OBJECT_FAULTS,
        Fault(
            "no-data",
            None,
            "Graph answers null: never synchronised, or the application may not see it.",
            "Grant Organization.Read.All (application) with admin consent; see docs/entra.md.",
        ),
        *ACCESS_FAULTS,
    ),
    phases=("token", "graph"),
    metrics=(
        Metric("entra_last_sync_timestamp_seconds", "When the directory was last synchronised, UTC epoch."),
        Metric("entra_sync_age_seconds", "Age of the last synchronisation when it was read."),
        Metric("entra_last_password_sync_timestamp_seconds", "When passwords were last synchronised, UTC epoch."),
        Metric("entra_password_sync_age_seconds", "Age of the last synchronisation of passwords when it was read."),
        Metric("entra_sync_enabled", "1 if the directory is synchronised from on-premise, 0 if no longer."),
        *OBJECT_METRICS,
        *ACCESS_METRICS,
    ),
    evidence=Evidence.STATE,
    pace=Pace.OWN,
    default_interval=300.0,
    default_timeout=30.0,
    leaves_traces=LEAVES,
)


def flow(settings: Settings) -> Flow:
    """Return the flow to Graph, and also to login, or to the proxy alone; ValueError says which key is wrong."""
    made = access_flow(settings, settings.watch)
    if strange := [kind for kind in settings.objects if kind not in KINDS]:
        raise ValueError(f"objects: {strange[0][:40]!r} is none of {', '.join(KINDS)}")
    if settings.warn_objects < 1 or settings.critical_objects < 0:
        raise ValueError("warn_objects must be 1 or more, critical_objects 0 or more")
    if settings.watch != "objects":
        warn, critical = thresholds(settings)
        if not 0 < warn < critical:
            raise ValueError(f"warn ({warn:.0f} s) must be below critical ({critical:.0f} s); write both")
    elif not settings.objects:
        raise ValueError("objects: write what to count, as [users]")
    return made


def thresholds(settings: Settings) -> tuple[float, float]:
    """Return the ages (seconds) from which what is watched is late, and stale."""
    watched = WATCHED[settings.watch]
    return settings.warn or watched.warn, settings.critical or watched.critical


def permissions(settings: Settings) -> tuple[str, ...]:
    """Return the application permissions that these settings need."""
    asked = tuple(PERMISSION[kind] for kind in settings.objects) if settings.watch == "objects" else (_ORGANISATION,)
    return permitted(settings, *asked)


class _Organisation(msgspec.Struct, rename="camel"):
    on_premises_sync_enabled: bool | None = None
    on_premises_last_sync_date_time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    on_premises_last_password_sync_date_time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class _Organisations(msgspec.Struct):
    value: list[_Organisation]


def judge(reply: Reply, settings: Settings, wall: float) -> Result:
    """Return what Graph's 200 says; `wall` (UTC epoch seconds) stands in for a missing Date header."""
    listed = read_json(reply.body, _Organisations)
    if listed is None:
        return unknown("not-graph", "a 200 that is not Graph's list of organisations")
    if not listed.value:
        return unknown("no-data", "Graph lists no organisation")
    watched, first = WATCHED[settings.watch], listed.value[0]
    enabled, last = first.on_premises_sync_enabled, first.on_premises_last_sync_date_time
    if settings.watch == "password":
        last = first.on_premises_last_password_sync_date_time
    values: dict[str, float] = {} if enabled is None else {"entra_sync_enabled": float(enabled)}
    # Microsoft writes the year 1 for "never".
    moment = last.timestamp() if last is not None and last.year > 1970 else None
    now = http_date(reply.headers.get("date", ""))
    age = (wall if now is None else now) - moment if moment is not None else None
    if moment is not None and age is not None:
        names = f"entra_last_{watched.metric}_timestamp_seconds", f"entra_{watched.metric}_age_seconds"
        values |= dict(zip(names, (moment, max(age, 0.0)), strict=True))
    if enabled is False:
        return failed(Stage.CONNECT, "sync-disabled", detail="onPremisesSyncEnabled is false", values=values)
    if age is None:
        return unknown("no-data", f"the time of the last {watched.what} is null", values=values)
    if age < -FUTURE_SECONDS:
        return unknown("clock", f"last {watched.what} {-age:.0f} s in the future")
    # By our own clock, however far it is from Microsoft's.
    return msgspec.structs.replace(_by_age(max(age, 0.0), settings, values), as_of=wall - max(age, 0.0))


def _by_age(age: float, settings: Settings, values: dict[str, float]) -> Result:
    watched = WATCHED[settings.watch]
    warn, critical = thresholds(settings)
    detail = f"last {watched.what} {age / 60:.0f} min ago"
    if age >= critical:
        return failed(Stage.CONNECT, f"{watched.prefix}-stale", detail=detail, values=values)
    if age >= warn:
        return Result(outcome=Outcome.DEGRADED, fault=f"{watched.prefix}-late", detail=detail, values=values)
    return Result(outcome=Outcome.OK, detail=detail, values=values)


class EntraRunner:
    """Shared by all entra_sync probes."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._client = MicrosoftClient(kit)

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:
        """Ask Graph, with a new token if `fresh` or due; ends by `deadline` (boot-time seconds)."""

        async def question(visit: Visit) -> Result | Blind:
            return await (self._objects if settings.watch == "objects" else self._organisation)(visit, settings)

        return await self._client.attempt(settings, deadline, question, fresh=fresh)

    async def _organisation(self, visit: Visit, settings: Settings) -> Result | Blind:
        reply = await visit.get(WATCHED[settings.watch].path)
        if isinstance(reply, Blind):
            return reply
        result = judge(reply, settings, self._kit.clock.wall())
        if result.fault != "no-data":
            return result
        bearer = await visit.bearer()  # the kept one
        roles = None if isinstance(bearer, Blind) else granted(bearer)
        why = "" if roles is None or _ORGANISATION in roles else f"; the token holds no {_ORGANISATION}"
        return msgspec.structs.replace(result, detail=result.detail + why)

    async def _objects(self, visit: Visit, settings: Settings) -> Result | Blind:
        pages: list[tuple[str, Page]] = []
        for kind in settings.objects:
            path = first_path(kind, names=settings.names)
            for _ in range(MOST_PAGES):
                reply = await visit.get(path, HEADERS)
                page = reply if isinstance(reply, Blind) else read_page(reply, settings.target, names=settings.names)
                if isinstance(page, Blind):
                    return page
                pages.append((kind, page))
                if page.further is None:
                    break
                path = page.further
        return judge_objects(pages, settings.warn_objects, settings.critical_objects)


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator[EntraRunner]:  # noqa: A001 - the probe interface's name
    """Open the shared runner; nothing is asked before the first attempt."""
    yield EntraRunner(kit)
