"""Entra's service health: what Microsoft itself says of its sign-in service, by Graph with an app-only token.

Source: learn.microsoft.com, "serviceHealth" and "serviceHealthIssue" resource types. What must stay true: it is a
witness and no oracle. An issue that Microsoft reports may not touch this tenant, and one that touches it may not be
reported yet; so the worst that it says is `degraded`, which accuses nobody and stands beside what the probes of
the way prove. No text of Microsoft's is repeated but ids and words of the tables below.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

import msgspec

from probes.kit.https_exchange import Reply
from probes.kit.microsoft import Blind, next_path, read_json
from probes.kit.microsoft_access import (
    ACCESS_HELP,
    ACCESS_METRICS,
    LEAVES,
    OPTIONAL_FAULTS,
    Access,
    access_flow,
    permitted,
    unavailable,
)
from probes.kit.microsoft_client import MicrosoftClient, Visit
from probes.kit.result import Outcome, Result, Stage, unknown
from probes.kit.spec import Evidence, Fault, Flow, Kit, Metric, Pace, Spec

PERMISSION: Final = "ServiceHealth.Read.All"
OVERVIEW: Final = "/v1.0/admin/serviceAnnouncement/healthOverviews"
ISSUES: Final = "/v1.0/admin/serviceAnnouncement/issues"
_SELECT: Final = "id,classification,origin,status,isResolved"
# A tenant subscribes to some 40 services, and a page holds 100.
_MOST_PAGES: Final = 3
_ISSUE: Final = re.compile(r"[A-Z]{2}[0-9]{1,9}\Z")
_SERVICE: Final = re.compile(r"[A-Za-z0-9._-]{1,60}\Z")
_ISSUE_FAULT: Final = "service-issue"
# serviceHealthStatus, in lower case: the documentation and its samples disagree about capitals. None: all is well.
STATUSES: Final[Mapping[str, str | None]] = MappingProxyType(
    {
        "serviceoperational": None,
        "servicerestored": None,
        "postincidentreviewpublished": None,
        "falsepositive": None,
        "resolved": None,
        "resolvedexternal": None,
        "mitigated": None,
        "mitigatedexternal": None,
        "investigating": _ISSUE_FAULT,
        "investigationsuspended": _ISSUE_FAULT,
        "reported": _ISSUE_FAULT,
        "confirmed": _ISSUE_FAULT,
        "restoringservice": _ISSUE_FAULT,
        "verifyingservice": _ISSUE_FAULT,
        "extendedrecovery": _ISSUE_FAULT,
        "servicedegradation": _ISSUE_FAULT,
        "serviceinterruption": "service-interrupted",
    }
)


class Settings(Access, frozen=True, kw_only=True):
    """Which service's health is read."""

    service_id: str = "OrgLiveID"


SPEC: Final = Spec(
    type="entra_service_health",
    summary="What Microsoft itself says of its sign-in service: a witness beside the probes, never an accusation.",
    settings=Settings,
    key_help=ACCESS_HELP | {"service_id": "The service's id in Microsoft's overview; OrgLiveID is Microsoft Entra."},
    faults=(
        Fault(
            _ISSUE_FAULT,
            Stage.CONNECT,
            "Microsoft reports an issue of the service (degraded).",
            "The detail holds its id; the admin centre (Service health) tells whom it touches.",
        ),
        Fault(
            "service-interrupted",
            Stage.CONNECT,
            "Microsoft reports that the service is interrupted (degraded).",
            "The detail holds the issue's id; see the admin centre.",
        ),
        Fault(
            "issue-elsewhere",
            Stage.CONNECT,
            "Microsoft reports an issue whose origin is the customer or a third party (degraded).",
            "The detail holds its id; see the admin centre.",
        ),
        Fault(
            "no-data",
            None,
            "The overview has no such service, or a state that we do not know.",
            "Compare `service_id` with the ids of the overview.",
        ),
        *OPTIONAL_FAULTS,
    ),
    phases=("token", "graph"),
    metrics=(
        Metric("entra_service_operational", "1 if Microsoft calls its service operational, else 0."),
        Metric("entra_service_issues", "Open issues that Microsoft reports of it."),
        Metric("entra_service_issues_microsoft", "Of these, issues of Microsoft's own origin."),
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
    if not _SERVICE.match(settings.service_id):
        raise ValueError(f"service_id: {settings.service_id[:40]!r} is no id of a service; write OrgLiveID")
    return access_flow(settings, f"health of {settings.service_id}")


def permissions(settings: Settings) -> tuple[str, ...]:
    """Return the application permissions that these settings need."""
    return permitted(settings, PERMISSION)


class _Health(msgspec.Struct):
    id: str = ""
    service: str = ""
    status: str = ""


class _Overview(msgspec.Struct):
    value: tuple[_Health, ...]
    further: str | None = msgspec.field(default=None, name="@odata.nextLink")


class _Issue(msgspec.Struct, rename="camel"):
    id: str = ""
    origin: str | None = None
    is_resolved: bool | None = None


class _Issues(msgspec.Struct):
    value: tuple[_Issue, ...]


class Health(msgspec.Struct, frozen=True):
    """One service of the overview: its name, by which issues are filtered, and its state (in lower case)."""

    name: str
    status: str


class Further(msgspec.Struct, frozen=True):
    """The service is not on this page of the overview; `path` leads to the next one."""

    path: str


def read_overview(reply: Reply, settings: Settings) -> Health | Further | Blind:
    """Return the service of an overview's page, or where to look further."""
    listed = read_json(reply.body, _Overview)
    if listed is None:
        return Blind(fault="not-graph", detail="a 200 that is not Graph's overview of health")
    for one in listed.value:
        if one.id.lower() == settings.service_id.lower():
            return Health(one.service, one.status.lower())
    if not listed.further:
        return Blind(fault="no-data", detail=f"the overview has no service {settings.service_id}")
    path = next_path(listed.further, settings.target)
    return Further(path) if path else Blind(fault="not-graph", detail="an overview that goes on at another address")


def issues_path(health: Health) -> str:
    """Return what to ask for the open issues of a service."""
    name = health.name.replace("'", "''")[:80]
    condition = quote(f"service eq '{name}' and isResolved eq false")
    return f"{ISSUES}?$filter={condition}&$select={_SELECT}&$top=20"


def judge(health: Health, issues: Reply | Blind | None) -> Result:
    """Return what a service's state and its open issues say; `issues` None: not asked, since all is well."""
    if health.status not in STATUSES:
        return unknown("no-data", "a state that we do not know")
    fault = STATUSES[health.status]
    values = {"entra_service_operational": float(fault is None)}
    if fault is None:
        return Result(outcome=Outcome.OK, detail="Microsoft calls the service operational", values=values)
    listed = read_json(issues.body, _Issues) if isinstance(issues, Reply) else None
    if listed is None:
        detail = f"Microsoft: {health.status}; its issues could not be read"
        return Result(outcome=Outcome.DEGRADED, fault=fault, detail=detail, values=values)
    open_ones = [one for one in listed.value if not one.is_resolved]
    own = [one for one in open_ones if (one.origin or "microsoft").lower() == "microsoft"]
    values |= {"entra_service_issues": float(len(open_ones)), "entra_service_issues_microsoft": float(len(own))}
    if open_ones and not own:
        fault = "issue-elsewhere"
    names = ", ".join(one.id for one in open_ones if _ISSUE.match(one.id)) or "no issue listed"
    return Result(outcome=Outcome.DEGRADED, fault=fault, detail=f"Microsoft: {health.status}, {names}", values=values)


class HealthRunner:
    """Shared by all entra_service_health probes."""

    def __init__(self, kit: Kit) -> None:
        self._client = MicrosoftClient(kit)

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:
        """Ask Graph, with a new token if `fresh` or due; ends by `deadline` (boot-time seconds)."""

        async def question(visit: Visit) -> Result | Blind:
            path = OVERVIEW
            for _ in range(_MOST_PAGES):
                reply = await visit.get(path)
                seen = unavailable(reply, PERMISSION) if isinstance(reply, Blind) else read_overview(reply, settings)
                if isinstance(seen, Blind):
                    return seen
                if isinstance(seen, Health):
                    well = STATUSES.get(seen.status, "") is None
                    return judge(seen, None if well else await visit.get(issues_path(seen)))
                path = seen.path
            return Blind(fault="no-data", detail="the overview is longer than we read")

        return await self._client.attempt(settings, deadline, question, fresh=fresh)


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator[HealthRunner]:  # noqa: A001 - the probe interface's name
    """Open the shared runner; nothing is asked before the first attempt."""
    yield HealthRunner(kit)
