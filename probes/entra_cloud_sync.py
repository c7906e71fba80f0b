"""Entra Cloud Sync: the state of the provisioning jobs that feed the directory, by Graph with an app-only token.

Source: learn.microsoft.com, "synchronizationJob", "synchronizationStatus" and "synchronizationQuarantine" resource
types. What must stay true: it is Microsoft's word about a state, so a fail accuses the whole path and a pass clears
nothing on the way; what the application may not read is `unavailable`, never a fault of the synchronisation; of
Microsoft's texts only words of the tables below are repeated.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Final

import msgspec

from probes.kit.https_exchange import Reply
from probes.kit.microsoft import Blind, http_date, read_json
from probes.kit.microsoft_access import (
    ACCESS_HELP,
    ACCESS_METRICS,
    LEAVES,
    OPTIONAL_FAULTS,
    Access,
    access_flow,
    application_id,
    permitted,
    unavailable,
)
from probes.kit.microsoft_client import MicrosoftClient, Visit
from probes.kit.result import Outcome, Result, Stage, failed, unknown
from probes.kit.spec import Duration, Evidence, Fault, Flow, Kit, Metric, Pace, Spec

PERMISSION: Final = "Synchronization.Read.All"
# The job's id begins with what it does; its templateId misleads (Microsoft's own sample shows another's).
PREFIXES: Final = MappingProxyType({"provisioning": "ad2aadprovisioning", "passwords": "ad2aadpasswordhash"})
# quarantineReason -> fault. What stands elsewhere is told as `quarantine`.
REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "encounteredbaseescrowthreshold": "quarantine-objects",
        "encounteredtotalescrowthreshold": "quarantine-objects",
        "encounteredescrowproportionthreshold": "quarantine-objects",
        "toomanydeletes": "quarantine-deletes",
        "quarantinedondemand": "quarantine-on-demand",
        "ingestioninterrupted": "quarantine-ingestion",
    }
)


class Settings(Access, frozen=True, kw_only=True):
    """Whose jobs are watched, and from what age of their last run on they are late or stale."""

    service_principal: str
    jobs: tuple[str, ...] = ("provisioning",)
    warn: Duration = Duration(3600)
    critical: Duration = Duration(3 * 3600)


SPEC: Final = Spec(
    type="entra_cloud_sync",
    summary="Jobs of Entra Cloud Sync: running, late, paused or in quarantine, and why, by Microsoft Graph.",
    settings=Settings,
    key_help=ACCESS_HELP
    | {
        "service_principal": "Object id of Cloud Sync's service principal (enterprise application) in the tenant.",
        "jobs": "Which jobs: provisioning, passwords.",
        "warn": "Age of the last run from which it is late. It runs every two minutes.",
        "critical": "Age from which it is stale.",
    },
    faults=(
        Fault("run-late", Stage.CONNECT, "The last run is older than `warn` (degraded).", "See run-stale."),
        Fault(
            "run-stale",
            Stage.CONNECT,
            "The last run is older than `critical`.",
            "Look at the provisioning agents (service, way to the internet) and at the job in the admin centre.",
        ),
        Fault("run-failed", Stage.CONNECT, "The last run failed (degraded).", "See the job's log in the admin centre."),
        Fault(
            "entry-errors",
            Stage.CONNECT,
            "The last run left out some objects (degraded).",
            "Correct these objects; the provisioning log names them.",
        ),
        Fault(
            "quarantine-objects",
            Stage.CONNECT,
            "In quarantine: too many objects are in error.",
            "Correct the objects, then restart the job.",
        ),
        Fault(
            "quarantine-deletes",
            Stage.CONNECT,
            "In quarantine: more would be deleted than is allowed.",
            "Ask who deleted or moved them; allow the deletions or undo them.",
        ),
        Fault(
            "quarantine-on-demand",
            Stage.CONNECT,
            "In quarantine by order of an administrator.",
            "Ask the tenant's administrators; the audit log names who.",
        ),
        Fault(
            "quarantine-ingestion",
            Stage.CONNECT,
            "In quarantine: reading from the domain was interrupted.",
            "Look at the provisioning agents and the domain controllers.",
        ),
        Fault(
            "quarantine",
            Stage.CONNECT,
            "In quarantine for another reason.",
            "The detail says whether the tenant can act; look at the job in the admin centre.",
        ),
        Fault("job-paused", Stage.CONNECT, "The job is paused.", "Ask the tenant's administrators who paused it."),
        Fault("job-not-set-up", Stage.CONNECT, "The job is not configured.", "Configure it in the admin centre."),
        Fault(
            "job-not-run", Stage.CONNECT, "The job has never run (degraded).", "Start it, or wait for its first run."
        ),
        Fault(
            "no-data",
            None,
            "There is no such job, or its state is none that we know.",
            "Compare `service_principal` and `jobs` with the admin centre.",
        ),
        *OPTIONAL_FAULTS,
    ),
    phases=("token", "graph"),
    metrics=(
        Metric("entra_cloud_sync_jobs", "Jobs found of the watched kinds."),
        Metric("entra_cloud_sync_quarantined", "Of these, how many are in quarantine."),
        Metric("entra_cloud_sync_last_run_timestamp_seconds", "When the job that ran longest ago last ran, UTC epoch."),
        Metric("entra_cloud_sync_successive_failures", "Failures in a row of the job with most of them."),
        Metric("entra_cloud_sync_tenant_actionable", "1 if Microsoft says that the tenant can solve it, else 0."),
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
    made = access_flow(settings, f"cloud sync of {', '.join(settings.jobs)}")
    application_id("service_principal", settings.service_principal)
    if not settings.jobs or any(job not in PREFIXES for job in settings.jobs):
        raise ValueError(f"jobs: write some of {', '.join(PREFIXES)}")
    if not 0 < settings.warn < settings.critical:
        raise ValueError("warn must be above zero and below critical")
    return made


def permissions(settings: Settings) -> tuple[str, ...]:
    """Return the application permissions that these settings need."""
    return permitted(settings, PERMISSION)


class _Error(msgspec.Struct, rename="camel"):
    tenant_actionable: bool | None = None


class _Execution(msgspec.Struct, rename="camel"):
    state: str | None = None
    time_ended: str | None = None
    error: _Error | None = None


class _Quarantine(msgspec.Struct, rename="camel"):
    reason: str | None = None
    error: _Error | None = None


class _Status(msgspec.Struct, rename="camel"):
    code: str | None = None
    count_successive_complete_failures: int | None = None
    last_execution: _Execution | None = None
    last_successful_execution: _Execution | None = None
    quarantine: _Quarantine | None = None


class _Job(msgspec.Struct, rename="camel"):
    id: str = ""
    status: _Status | None = None


class _Jobs(msgspec.Struct):
    value: tuple[_Job, ...]


# The worst counts; what we do not know is worse than well, and better than what is known to be wrong.
_WORSE: Final = MappingProxyType({Outcome.OK: 0, Outcome.UNKNOWN: 1, Outcome.DEGRADED: 2, Outcome.FAILED: 3})


def judge(reply: Reply, settings: Settings, wall: float) -> Result:
    """Return what Graph's list of jobs says; `wall` (UTC epoch seconds) stands in for a missing Date header."""
    listed = read_json(reply.body, _Jobs)
    if listed is None:
        return unknown("not-graph", "a 200 that is not Graph's list of jobs")
    date = http_date(reply.headers.get("date", ""))
    now = wall if date is None else date
    found: list[tuple[str, _Status]] = []
    for kind in settings.jobs:
        jobs = [job.status or _Status() for job in listed.value if job.id.lower().startswith(PREFIXES[kind])]
        if not jobs:
            return unknown("no-data", f"no job for {kind}")
        found += [(kind, status) for status in jobs]
    results = [_job(kind, status, settings, now) for kind, status in found]
    worst = max(results, key=lambda result: _WORSE[result.outcome])
    return msgspec.structs.replace(worst, values=_values([status for _, status in found], now))


def _values(statuses: list[_Status], now: float) -> dict[str, float]:
    values = {
        "entra_cloud_sync_jobs": float(len(statuses)),
        "entra_cloud_sync_quarantined": float(sum(_is(status.code, "quarantine") for status in statuses)),
    }
    runs = [_last_run(status, now) for status in statuses]
    told = [run for run in runs if run is not None]
    if told and len(told) == len(runs):
        values["entra_cloud_sync_last_run_timestamp_seconds"] = min(told)
    failures = [status.count_successive_complete_failures for status in statuses]
    counted = [number for number in failures if number is not None and number >= 0]
    values |= {"entra_cloud_sync_successive_failures": float(max(counted))} if counted else {}
    acts = [act for status in statuses if (act := _actionable(status)) is not None]
    return values | ({"entra_cloud_sync_tenant_actionable": float(any(acts))} if acts else {})


def _job(kind: str, status: _Status, settings: Settings, now: float) -> Result:
    """Return what one job's status says."""
    code = (status.code or "").lower()
    if code == "quarantine":
        reason = (status.quarantine.reason or "") if status.quarantine else ""
        known = reason if reason.lower() in REASONS else "another reason"
        return failed(
            Stage.CONNECT,
            REASONS.get(reason.lower(), "quarantine"),
            detail=f"{kind}: in quarantine, {known}{_who_acts(status)}",
        )
    if code in ("paused", "notconfigured"):
        fault = "job-paused" if code == "paused" else "job-not-set-up"
        return failed(Stage.CONNECT, fault, detail=f"{kind}: {fault.replace('-', ' ')}")
    if code == "notrun":
        return Result(outcome=Outcome.DEGRADED, fault="job-not-run", detail=f"{kind}: never run")
    if code != "active":
        return unknown("no-data", f"{kind}: a state that we do not know")
    return _active(kind, status, settings, now)


def _active(kind: str, status: _Status, settings: Settings, now: float) -> Result:
    last = _last_run(status, now)
    state = status.last_execution.state if status.last_execution else None
    if last is None:
        return unknown("no-data", f"{kind}: active, and no run is told")
    detail = f"{kind}: last run {max(now - last, 0.0) / 60:.0f} min ago"
    if now - last >= settings.critical:
        return failed(Stage.CONNECT, "run-stale", detail=detail)
    for fault, holds in (
        ("run-late", now - last >= settings.warn),
        ("run-failed", _is(state, "failed")),
        ("entry-errors", _is(state, "entrylevelerrors")),
    ):
        if holds:
            who = _who_acts(status) if fault == "run-failed" else ""
            return Result(outcome=Outcome.DEGRADED, fault=fault, detail=detail + who)
    return Result(outcome=Outcome.OK, detail=detail)


def _is(word: str | None, other: str) -> bool:
    return (word or "").lower() == other


def _actionable(status: _Status) -> bool | None:
    """Return whether Microsoft says that the tenant can act, None when it says nothing."""
    errors = (
        status.quarantine.error if status.quarantine else None,
        status.last_execution.error if status.last_execution else None,
    )
    return next((error.tenant_actionable for error in errors if error and error.tenant_actionable is not None), None)


def _who_acts(status: _Status) -> str:
    words = {None: "", True: "; Microsoft: the tenant can act", False: "; Microsoft: not for the tenant to solve"}
    return words[_actionable(status)]


def _last_run(status: _Status, now: float) -> float | None:
    """Return when the job last ran without failing as a whole; runs with errors of some objects count.

    Microsoft writes the year 1, or nothing, for "never". A run in the future is none.
    """
    runs = [status.last_successful_execution]
    if status.last_execution is not None and not _is(status.last_execution.state, "failed"):
        runs.append(status.last_execution)
    ends = (_moment(run.time_ended) for run in runs if run is not None)
    # Two clocks of Microsoft's may differ a little.
    return max((end for end in ends if end is not None and end <= now + 300.0), default=None)


def _moment(text: str | None) -> float | None:
    try:
        found = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None
    return found.timestamp() if found.tzinfo is not None and found.year > 1970 else None


class CloudSyncRunner:
    """Shared by all entra_cloud_sync probes."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._client = MicrosoftClient(kit)

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:
        """Ask Graph, with a new token if `fresh` or due; ends by `deadline` (boot-time seconds)."""

        async def question(visit: Visit) -> Result | Blind:
            reply = await visit.get(f"/v1.0/servicePrincipals/{settings.service_principal}/synchronization/jobs")
            if not isinstance(reply, Blind):
                return judge(reply, settings, self._kit.clock.wall())
            if reply.status == 404:
                return Blind(fault="no-data", detail="Graph knows no such service principal")
            return unavailable(reply, PERMISSION)

        return await self._client.attempt(settings, deadline, question, fresh=fresh)


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator[CloudSyncRunner]:  # noqa: A001 - the probe interface's name
    """Open the shared runner; nothing is asked before the first attempt."""
    yield CloudSyncRunner(kit)
