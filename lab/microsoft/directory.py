"""What Graph keeps beside the organisation: objects in error, jobs of Cloud Sync, service health, the application.

Bodies follow learn.microsoft.com: "onPremisesProvisioningError", "synchronizationJob", "serviceHealth",
"serviceHealthIssue" and "passwordCredential" resource types. Values are made of the state; pages are as large as
asked for, up to what Graph allows.
"""

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType

import msgspec

from lab.microsoft.exchange import Request, Tenant
from lab.microsoft.state import State

NEVER = "0001-01-01T00:00:00Z"
# Graph's greatest page of directory objects, and the only one of service announcements.
MOST_OBJECTS = 999
HEALTH_PAGE = 100
NAMESPACE = uuid.UUID("9f0c8f5e-5a43-4f5b-8a53-6a4f6f1f0c11")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A resource: the permission that it needs, and its body."""

    permission: str
    body: dict[str, object]


class RefusedError(Exception):
    """A question that Graph refuses whoever asks: its status, code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: path below the version, options of the query, and everything that decides the answer."""

    resource: str
    options: Mapping[str, str]
    request: Request
    state: State
    tenant: Tenant
    now: float


def find(asked: Asked) -> Found | None:
    """Return what the resource holds, None when there is no such segment; raises RefusedError."""
    known = next((make for prefix, make in SEGMENTS.items() if asked.resource.startswith(prefix)), None)
    return None if known is None else known(asked)


def iso(moment: float) -> str:
    """Return UTC epoch seconds as Graph writes them."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _objects(asked: Asked) -> Found:
    kind = asked.resource
    permission = {"users": "User.Read.All", "groups": "Group.Read.All", "contacts": "OrgContact.Read.All"}[kind]
    if "$count" in asked.options and asked.request.headers.get("consistencylevel") != "eventual":
        raise RefusedError(400, "Request_UnsupportedQuery", "Unsupported or invalid query filter clause specified.")
    top = asked.options.get("$top", "100")
    skip = asked.options.get("$skiptoken", "0")
    if not (top.isdigit() and skip.isdigit() and 1 <= int(top) <= MOST_OBJECTS):
        raise RefusedError(400, "Request_BadRequest", "Invalid page size specified.")
    total = {"users": asked.state.user_errors, "groups": asked.state.group_errors}.get(kind, asked.state.contact_errors)
    first, last = int(skip), min(int(skip) + int(top), total)
    selected = asked.options.get("$select", "id").split(",")
    entries = [_object(kind, number, asked) for number in range(first, last)]
    body: dict[str, object] = {"@odata.count": total}
    if last < total:
        path, _, query = asked.request.target.partition("?")
        kept = "&".join(word for word in query.split("&") if not word.startswith("$skiptoken="))
        body["@odata.nextLink"] = f"https://{asked.request.headers.get('host', '')}{path}?{kept}&$skiptoken={last}"
    body["value"] = [{name: value for name, value in entry.items() if name in selected} for entry in entries]
    return Found(permission=permission, body=body)


def _object(kind: str, number: int, asked: Asked) -> dict[str, object]:
    address = f"simulated.{number}@{asked.tenant.id[:8]}.example"
    cause = "UserPrincipalName" if number % 2 == 0 and kind == "users" else "ProxyAddress"
    return {
        "id": str(uuid.uuid5(NAMESPACE, f"{kind}{number}")),
        "userPrincipalName": address,
        "displayName": f"SIMULATED {kind} {number}",
        "onPremisesProvisioningErrors": [
            {
                "category": "PropertyConflict",
                "occurredDateTime": iso(asked.now - 86400.0 * (number + 1)),
                "propertyCausingError": cause,
                "value": address if cause == "UserPrincipalName" else f"SMTP:{address}",
            }
        ],
    }


def _jobs(asked: Asked) -> Found:
    parts = asked.resource.split("/")
    if len(parts) != 4 or parts[2:] != ["synchronization", "jobs"]:
        raise RefusedError(400, "BadRequest", "Resource not found for the segment.")
    if parts[1] != str(uuid.uuid5(NAMESPACE, asked.tenant.id)):
        message = (
            f"Resource '{parts[1]}' does not exist or one of its queried reference-property objects are not present."
        )
        raise RefusedError(404, "Request_ResourceNotFound", message)
    value = [_job("AD2AADProvisioning", asked, asked.state), _job("AD2AADPasswordHash", asked, State())]
    return Found(permission="Synchronization.Read.All", body={"value": value})


def _job(prefix: str, asked: Asked, state: State) -> dict[str, object]:
    return {
        "id": f"{prefix}.{asked.tenant.id.replace('-', '')}.{uuid.uuid5(NAMESPACE, asked.tenant.id)}",
        # Microsoft's own sample shows another template than the job's.
        "templateId": "BoxOutDelta",
        "schedule": {"expiration": None, "interval": "P10675199DT2H48M5.4775807S", "state": "Active"},
        "status": _job_status(prefix, asked.now, state),
        "synchronizationJobSettings": [],
    }


def _job_status(prefix: str, now: float, state: State) -> dict[str, object]:
    ended = NEVER if state.job_age_seconds is None else iso(now - state.job_age_seconds)
    trouble = state.job_code == "Quarantine" or state.job_execution == "Failed"
    error = {"code": "HybridSynchronizationActiveDirectoryInternalServerError", "message": "Simulated."}
    error_or_none = {**error, "tenantActionable": state.job_actionable} if trouble else None
    execution = {
        "activityIdentifier": str(uuid.uuid5(NAMESPACE, prefix)),
        "countEntitled": 0,
        "countEscrowed": 3 if state.job_execution == "EntryLevelErrors" else 0,
        "state": state.job_execution,
        "timeBegan": ended,
        "timeEnded": ended,
        "error": error_or_none,
    }
    good = {**execution, "state": "Succeeded", "error": None}
    quarantine = {
        "currentBegan": iso(now - 3600.0),
        "nextAttempt": iso(now + 3600.0),
        "reason": state.job_quarantine,
        "seriesBegan": iso(now - 7200.0),
        "seriesCount": 3,
        "error": error_or_none,
    }
    return {
        "countSuccessiveCompleteFailures": 5 if trouble else 0,
        "escrowsPruned": False,
        "code": state.job_code,
        "lastExecution": None if state.job_age_seconds is None else execution,
        "lastSuccessfulExecution": None if state.job_age_seconds is None or trouble else good,
        "lastSuccessfulExecutionWithExports": None,
        "quarantine": quarantine if state.job_code == "Quarantine" else None,
        "steadyStateFirstAchievedTime": NEVER,
        "steadyStateLastAchievedTime": NEVER,
        "troubleshootingUrl": "",
    }


# Services of a tenant, as the overview lists them (id -> name); their order is Microsoft's.
SERVICES = {"Exchange": "Exchange Online", "OrgLiveID": "Microsoft Entra", "SharePoint": "SharePoint Online"}


def _health(asked: Asked) -> Found:
    status = asked.state.health
    value = [
        {"service": name, "status": status if service == "OrgLiveID" else "serviceOperational", "id": service}
        for service, name in SERVICES.items()
    ]
    return Found(permission="ServiceHealth.Read.All", body={"value": value})


def _issues(asked: Asked) -> Found:
    open_issue = asked.state.health not in ("serviceOperational", "ServiceOperational")
    issue = {
        "id": "MO000001",
        "title": "SIMULATED: users may be unable to sign in",
        "service": "Microsoft Entra",
        "classification": "incident",
        "origin": asked.state.health_origin,
        "status": asked.state.health,
        "isResolved": False,
        "startDateTime": iso(asked.now - 1800.0),
        "endDateTime": None,
        "lastModifiedDateTime": iso(asked.now - 60.0),
    }
    selected = asked.options.get("$select", ",".join(issue)).split(",")
    value = [{name: entry for name, entry in issue.items() if name in selected}] if open_issue else []
    return Found(permission="ServiceHealth.Read.All", body={"value": value})


def _application(asked: Asked) -> Found:
    if asked.resource != f"applications(appId='{asked.tenant.client_id}')":
        raise RefusedError(404, "Request_ResourceNotFound", "Resource does not exist.")
    ends = asked.state.secret_ends
    password = {
        "customKeyIdentifier": None,
        "displayName": "demarc",
        "endDateTime": iso(ends.timestamp()) if ends else iso(asked.now + 180 * 86400.0),
        "hint": asked.tenant.secret[:3],
        "keyId": str(uuid.uuid5(NAMESPACE, "key")),
        "secretText": None,
        "startDateTime": iso(asked.now - 86400.0),
    }
    another = {**password, "hint": "~~~", "endDateTime": iso(asked.now - 86400.0), "displayName": "the one before"}
    return Found(permission="Application.Read.All", body={"passwordCredentials": [another, password]})


SEGMENTS: Mapping[str, Callable[[Asked], Found]] = MappingProxyType(
    {
        "users": _objects,
        "groups": _objects,
        "contacts": _objects,
        "servicePrincipals/": _jobs,
        "admin/serviceAnnouncement/healthOverviews": _health,
        "admin/serviceAnnouncement/issues": _issues,
        "applications(": _application,
    }
)
