"""entra_cloud_sync, pure: what Graph's list of jobs says, and which settings hold."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.entra_cloud_sync import REASONS, SPEC, Settings, flow, judge, permissions
from probes.kit.https_exchange import Reply
from probes.kit.result import Outcome, Result, Stage
from probes.kit.spec import Duration, Evidence, Pace

DATE = {"date": "Mon, 23 Nov 2026 17:00:00 GMT"}
NOW = datetime(2026, 11, 23, 17, 0, 0, tzinfo=UTC).timestamp()
UUID = "66666666-7777-8888-9999-000000000000"
SETTINGS = Settings(tenant="corp.lab", client_id=UUID, secret_file="/none", service_principal=UUID)
DECLARED = {fault.name: fault.stage for fault in SPEC.faults}
CANARY = "canary.upn@example.org"
RAN: Final[dict[str, object]] = {"state": "Succeeded", "timeEnded": "2026-11-23T16:58:00Z", "error": None}
ERROR: Final[dict[str, object]] = {"code": "X", "message": CANARY, "tenantActionable": True}


def status(code: str = "Active", **more: object) -> dict[str, object]:
    """Return a job's status as Graph writes it."""
    return {"code": code, "countSuccessiveCompleteFailures": 0, "lastExecution": RAN, "quarantine": None} | more


def jobs(*statuses: object, prefix: str = "AD2AADProvisioning") -> bytes:
    """Return Graph's body for jobs of one kind."""
    listed = [{"id": f"{prefix}.{UUID}", "templateId": "BoxOutDelta", "status": one} for one in statuses]
    return msgspec.json.encode({"value": listed})


def quarantined(reason: object, error: object = None) -> bytes:
    """Return a job in quarantine."""
    return jobs(status("Quarantine", quarantine={"reason": reason, "error": error}))


def ran(**more: object) -> dict[str, object]:
    """Return an active job whose last run was otherwise."""
    return status(lastExecution={**RAN, **more})


JUDGED: dict[str, tuple[bytes, Outcome, str | None]] = {
    "in order": (jobs(status()), Outcome.OK, None),
    "59 minutes ago": (jobs(ran(timeEnded="2026-11-23T16:01:00Z")), Outcome.OK, None),
    "an hour ago": (jobs(ran(timeEnded="2026-11-23T16:00:00Z")), Outcome.DEGRADED, "run-late"),
    "three hours ago": (jobs(ran(timeEnded="2026-11-23T14:00:00Z")), Outcome.FAILED, "run-stale"),
    "some objects in error": (jobs(ran(state="EntryLevelErrors")), Outcome.DEGRADED, "entry-errors"),
    "failed, and ran before": (
        jobs(status(lastExecution={**RAN, "state": "Failed", "error": ERROR}, lastSuccessfulExecution=RAN)),
        Outcome.DEGRADED,
        "run-failed",
    ),
    "failed, and never ran": (jobs(ran(state="Failed")), Outcome.UNKNOWN, "no-data"),
    "no run at all": (jobs(status(lastExecution=None)), Outcome.UNKNOWN, "no-data"),
    "the year one": (jobs(ran(timeEnded="0001-01-01T00:00:00Z")), Outcome.UNKNOWN, "no-data"),
    "an empty time": (jobs(ran(timeEnded="")), Outcome.UNKNOWN, "no-data"),
    "a time without a zone": (jobs(ran(timeEnded="2026-11-23T16:58:00")), Outcome.UNKNOWN, "no-data"),
    "a time to come": (jobs(ran(timeEnded="2026-11-23T18:00:00Z")), Outcome.UNKNOWN, "no-data"),
    "paused": (jobs(status("Paused")), Outcome.FAILED, "job-paused"),
    "not set up": (jobs(status("NotConfigured")), Outcome.FAILED, "job-not-set-up"),
    "never run": (jobs(status("NotRun")), Outcome.DEGRADED, "job-not-run"),
    "an unknown state": (jobs(status("unknownFutureValue")), Outcome.UNKNOWN, "no-data"),
    "no status": (jobs(None), Outcome.UNKNOWN, "no-data"),
    "quarantine without a reason": (jobs(status("quarantine")), Outcome.FAILED, "quarantine"),
    "quarantine of an unknown reason": (quarantined("Whim"), Outcome.FAILED, "quarantine"),
    "quarantine of no reason": (quarantined(None), Outcome.FAILED, "quarantine"),
    "the worst of two": (jobs(status(), status("Paused")), Outcome.FAILED, "job-paused"),
    "one well, one unknown": (jobs(status(), status("Odd")), Outcome.UNKNOWN, "no-data"),
    "one late, one unknown": (jobs(status("NotRun"), status("Odd")), Outcome.DEGRADED, "job-not-run"),
    "another kind of job": (jobs(status(), prefix="AD2AADPasswordHash"), Outcome.UNKNOWN, "no-data"),
    "no jobs": (jobs(), Outcome.UNKNOWN, "no-data"),
    "another object": (b'{"value":{}}', Outcome.UNKNOWN, "not-graph"),
    "HTML": (b"<html>", Outcome.UNKNOWN, "not-graph"),
}


@pytest.mark.parametrize("name", JUDGED)
def test_jobs_are_judged(name: str) -> None:
    """State, then age, then the last run's own word; what cannot be told is unknown; no text of theirs is repeated."""
    body, outcome, fault = JUDGED[name]
    result = judge(Reply(status=200, headers=DATE, body=body), SETTINGS, wall=0.0)
    assert (result.outcome, result.fault) == (outcome, fault)
    assert CANARY not in repr(result)
    check(result)


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_of_quarantine_is_told_apart(reason: str) -> None:
    """The reason decides whose move it is, so each has its fault."""
    result = judge(Reply(status=200, headers=DATE, body=quarantined(reason.upper(), ERROR)), SETTINGS, wall=0.0)
    assert (result.outcome, result.fault) == (Outcome.FAILED, REASONS[reason])
    assert result.detail.endswith("Microsoft: the tenant can act")
    assert result.values["entra_cloud_sync_tenant_actionable"] == 1.0


def test_values_speak_of_all_watched_jobs() -> None:
    """Number, quarantine, the run longest ago, and the most failures in a row."""
    late = status(lastExecution={**RAN, "timeEnded": "2026-11-23T16:00:00Z"}, countSuccessiveCompleteFailures=4)
    error = {"code": "X", "message": "", "tenantActionable": False}
    bad = status("Quarantine", lastExecution=None, lastSuccessfulExecution=RAN, quarantine={"error": error})
    result = judge(Reply(status=200, headers={}, body=jobs(late, bad)), SETTINGS, wall=NOW)
    assert result.values == {
        "entra_cloud_sync_jobs": 2.0,
        "entra_cloud_sync_quarantined": 1.0,
        "entra_cloud_sync_last_run_timestamp_seconds": NOW - 3600.0,
        "entra_cloud_sync_successive_failures": 4.0,
        "entra_cloud_sync_tenant_actionable": 0.0,
    }
    assert "not for the tenant to solve" in result.detail


def test_each_kind_of_job_must_be_there() -> None:
    """Two kinds are watched, one is found: nobody knows of the other."""
    both = msgspec.structs.replace(SETTINGS, jobs=("provisioning", "passwords"))
    result = judge(Reply(status=200, headers=DATE, body=jobs(status())), both, wall=0.0)
    assert (result.fault, result.detail) == ("no-data", "no job for passwords")


def check(result: Result) -> None:
    """Fault, stage and metrics agree with the reference."""
    if result.fault is not None:
        stage = DECLARED[result.fault]
        assert (result.outcome is Outcome.UNKNOWN) == (stage is None)
    assert result.stage == (Stage.CONNECT if result.outcome is Outcome.FAILED else None)
    assert set(result.values) <= {metric.name for metric in SPEC.metrics}


ANY = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8) | st.just("2026-11-23T16:58:00Z")
RUN = st.none() | st.dictionaries(st.sampled_from(["state", "timeEnded", "error"]), ANY, max_size=3)
STATUS = st.none() | st.dictionaries(
    st.sampled_from(["code", "lastExecution", "lastSuccessfulExecution", "quarantine"]),
    st.sampled_from(["Active", "Quarantine", "Paused"]) | RUN,
    max_size=4,
)


@given(st.lists(STATUS, max_size=3).map(lambda found: jobs(*found)) | st.binary(max_size=60))
def test_any_body_gives_a_declared_result(body: bytes) -> None:
    """No bytes raise; every fault stands in the table."""
    check(judge(Reply(status=200, headers=DATE, body=body), SETTINGS, wall=0.0))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a principal's name": ({"service_principal": "cloud sync"}, "service_principal: "),
    "no jobs": ({"jobs": ()}, "jobs: "),
    "another job": ({"jobs": ("mail",)}, "jobs: "),
    "late after it is stale": ({"warn": Duration(99999)}, "warn must"),
    "no credential": ({"secret_file": ""}, "secret_file: "),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_named(name: str) -> None:
    """The error starts with the key."""
    changes, pattern = WRONG[name]
    with pytest.raises(ValueError, match=pattern):
        flow(msgspec.structs.replace(SETTINGS, **changes))


def test_the_reference_is_complete() -> None:
    """Each key is explained; the flow names the question; the permissions are the least."""
    assert set(SPEC.key_help) == set(Settings.__struct_fields__)
    assert (SPEC.evidence, SPEC.pace) == (Evidence.STATE, Pace.OWN)
    assert flow(SETTINGS).function == "cloud sync of provisioning at https://graph.microsoft.com"
    assert permissions(SETTINGS) == ("Synchronization.Read.All",)
    assert len(permissions(msgspec.structs.replace(SETTINGS, secret_expiry=True))) == 2
