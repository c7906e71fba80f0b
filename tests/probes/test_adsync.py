"""What adsync declares, and what each state of an Entra Connect server means."""

import string
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from probes import adsync
from probes.kit.adsync_state import (
    NAMES,
    OWN,
    WANTED,
    Agreed,
    Server,
    facts,
    gather,
    judge,
    kind_of,
    version_of,
)
from probes.kit.exposition import Reading, Sieve, Sifted, read
from probes.kit.result import Outcome, Result, Stage
from probes.kit.spec import Duration, Flow
from tests.probes.adsync_pages import (
    EXPORT,
    HEALTHY,
    HEARTBEAT,
    IMPORT,
    MINUTE,
    NOW,
    directory,
    entra,
    exposition,
    last_good,
)

ACTIVE = Agreed(
    warn=90 * MINUTE,
    critical=180 * MINUTE,
    password_warn=60 * MINUTE,
    password_critical=120 * MINUTE,
    collector_within=15 * MINUTE,
    minimum_version=(2, 5, 79, 0),
    certificate_days=30,
)
STAGING = Agreed(
    role="staging",
    warn=90 * MINUTE,
    critical=180 * MINUTE,
    password_warn=60 * MINUTE,
    password_critical=120 * MINUTE,
    collector_within=15 * MINUTE,
    minimum_version=(2, 5, 79, 0),
    certificate_days=30,
)
Changes = Mapping[str, float | None]


def judged(changes: Changes, agreed: Agreed = ACTIVE, base: Mapping[str, float] = HEALTHY) -> Result:
    """Return what a page means at NOW."""
    sieve = Sieve(WANTED)
    sieve.feed(("up 1\n" + exposition(changes, base)).encode())
    found = sieve.finish()
    assert isinstance(found, Sifted)
    readings = read(found, text_string_to_metric_families)
    assert isinstance(readings, tuple)
    server = gather(readings)
    return server if isinstance(server, Result) else judge(server, agreed, NOW)


def old(minutes: float) -> dict[str, float]:
    """Return all runs as that old, each of which ended well."""
    return {**entra(age=minutes * MINUTE), **directory(age=minutes * MINUTE)}


def run(series: str, now: dict[str, float]) -> Changes:
    """Return a run in the place of the healthy one."""
    return {series: None, **now}


# what is changed -> outcome, fault, what the detail holds
STATES: dict[str, tuple[Changes, Outcome, str | None, str]] = {
    "in order": ({}, Outcome.OK, None, "version 2.5.190.0, last run 5 min ago"),
    "service stopped, so that nothing else can be read": (
        {
            "adsync_service_running": 0.0,
            "adsync_sync_cycle_enabled": None,
            "adsync_staging_mode": None,
            'adsync_collector_success{section="scheduler"}': 0.0,
        },
        Outcome.FAILED,
        "service-stopped",
        "ADSync does not run",
    ),
    "scheduler disabled": ({"adsync_sync_cycle_enabled": 0.0}, Outcome.FAILED, "scheduler-disabled", "disabled"),
    "scheduler suspended": ({"adsync_scheduler_suspended": 1.0}, Outcome.DEGRADED, "scheduler-suspended", "wizard"),
    "staging": ({"adsync_staging_mode": 1.0, HEARTBEAT: None}, Outcome.FAILED, "staging", "exports nothing"),
    "an old version": (
        {'adsync_version_info{version="2.5.190.0"}': None, 'adsync_version_info{version="2.4.131.0"}': 1.0},
        Outcome.FAILED,
        "version-unsupported",
        "version 2.4.131.0, supported from 2.5.79.0",
    ),
    "deletion threshold": (
        run(EXPORT, entra(result="stopped-deletion-threshold-exceeded")),
        Outcome.FAILED,
        "deletion-threshold",
        "threshold of deletions",
    ),
    "an export failed once": (
        run(EXPORT, entra(result="stopped-extension-dll-exception")),
        Outcome.DEGRADED,
        "entra-run-failed",
        "corp.onmicrosoft.com - AAD Export: stopped-extension-dll-exception",
    ),
    "exports fail": (
        {**run(EXPORT, entra(result="stopped-server-down")), **last_good("entra", "Export", 90 * MINUTE)},
        Outcome.FAILED,
        "entra-run-failed",
        "stopped-server-down",
    ),
    "imports fail": (
        {**run(IMPORT, directory(result="no-start-connection")), **last_good("ad", "Delta Import", 91 * MINUTE)},
        Outcome.FAILED,
        "ad-run-failed",
        "corp.lab Delta Import: no-start-connection",
    ),
    "another connector fails, and never did anything else": (
        {'adsync_last_run_end_timestamp_seconds{connector="hr",profile="Import",result="no-start-ma"}': NOW},
        Outcome.FAILED,
        "other-run-failed",
        "hr Import: no-start-ma",
    ),
    "objects in error": (
        run(EXPORT, entra(result="completed-export-errors")),
        Outcome.DEGRADED,
        "run-errors",
        "completed-export-errors",
    ),
    "warnings": (run(EXPORT, entra(result="completed-sync-warnings")), Outcome.OK, None, "last run"),
    "a word not known": (
        run(EXPORT, entra(result="paused-by-moonlight")),
        Outcome.UNKNOWN,
        "run-result-unknown",
        "'paused-by-moonlight'",
    ),
    "a word not known beside what stops": (
        {**run(EXPORT, entra(result="paused")), "adsync_service_running": 0.0},
        Outcome.FAILED,
        "service-stopped",
        "ADSync",
    ),
    "late": (old(90), Outcome.DEGRADED, "runs-late", "90 min ago"),
    "stale": (old(180), Outcome.FAILED, "runs-stale", "180 min ago"),
    "stale because disabled": (
        {**old(400), "adsync_sync_cycle_enabled": 0.0},
        Outcome.FAILED,
        "scheduler-disabled",
        "disabled; the last run ended 400 min ago",
    ),
    "passwords late": ({HEARTBEAT: NOW - 60 * MINUTE}, Outcome.DEGRADED, "password-late", "corp.lab last"),
    "passwords stale": ({HEARTBEAT: NOW - 120 * MINUTE}, Outcome.FAILED, "password-stale", "120 min ago"),
    "one of two domains": (
        {'adsync_phs_heartbeat_timestamp_seconds{connector="b.lab"}': NOW - 500 * MINUTE},
        Outcome.FAILED,
        "password-stale",
        "passwords of b.lab",
    ),
    "certificate expired": (
        {'adsync_event_timestamp_seconds{id="1012"}': NOW - 600},
        Outcome.FAILED,
        "sync-certificate-expired",
        "has expired",
    ),
    "an expired certificate of last week": (
        {'adsync_event_timestamp_seconds{id="1012"}': NOW - 7 * 86400},
        Outcome.OK,
        None,
        "version",
    ),
    "certificate ends, says an event": (
        {'adsync_event_timestamp_seconds{id="1011"}': NOW - 600},
        Outcome.DEGRADED,
        "certificate-expiring",
        "warns",
    ),
    "certificate ends": (
        {"adsync_certificate_expiry_timestamp_seconds": NOW + 20 * 86400},
        Outcome.DEGRADED,
        "certificate-expiring",
        "in 20 days",
    ),
    "certificate ended": (
        {"adsync_certificate_expiry_timestamp_seconds": NOW},
        Outcome.FAILED,
        "sync-certificate-expired",
        "has expired",
    ),
    "a certificate that was renewed, whatever old events say": (
        {
            "adsync_certificate_expiry_timestamp_seconds": NOW + 300 * 86400,
            'adsync_event_timestamp_seconds{id="1012"}': NOW - 600,
        },
        Outcome.OK,
        None,
        "version",
    ),
    "a collector that died": (
        {"adsync_collector_timestamp_seconds": NOW - 16 * MINUTE, "adsync_service_running": 0.0},
        Outcome.UNKNOWN,
        "collector-stale",
        "collected 16 min ago, wanted within 15 min",
    ),
    "a clock that runs ahead": (
        {"adsync_collector_timestamp_seconds": NOW + 6 * MINUTE},
        Outcome.UNKNOWN,
        "clock",
        "360 s in the future",
    ),
    "a section that could not be read": (
        {'adsync_collector_success{section="runs"}': 0.0},
        Outcome.UNKNOWN,
        "collector-blind",
        "runs",
    ),
    "nothing of the scheduler": (
        {"adsync_scheduler_suspended": None},
        Outcome.UNKNOWN,
        "collector-blind",
        "scheduler",
    ),
    "nothing of the runs": ({EXPORT: None, IMPORT: None}, Outcome.UNKNOWN, "collector-blind", "runs"),
    "no passwords where some should be": ({HEARTBEAT: None}, Outcome.UNKNOWN, "collector-blind", "passwords"),
    "no version": ({'adsync_version_info{version="2.5.190.0"}': None}, Outcome.UNKNOWN, "collector-blind", "version"),
    "no service": ({"adsync_service_running": None}, Outcome.UNKNOWN, "collector-blind", "service"),
    "no number": ({"adsync_service_running": float("nan")}, Outcome.UNKNOWN, "collector-blind", "service"),
    "blind is worse than degraded": (
        {"adsync_scheduler_suspended": 1.0, "adsync_service_running": None},
        Outcome.UNKNOWN,
        "collector-blind",
        "service",
    ),
    "nothing of the collector": (
        dict.fromkeys(HEALTHY) | {"up": 1.0},
        Outcome.UNKNOWN,
        "collector-missing",
        "no series",
    ),
    "text files unread": (
        dict.fromkeys(HEALTHY) | {'windows_exporter_collector_success{collector="textfile"}': 0.0},
        Outcome.UNKNOWN,
        "textfile-error",
        "could not read",
    ),
    "text files unread, by an older exporter": (
        dict.fromkeys(HEALTHY) | {"windows_textfile_scrape_error": 1.0},
        Outcome.UNKNOWN,
        "textfile-error",
        "could not read",
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_each_state_has_its_fault(name: str) -> None:
    """The one nearest to the cause, and the rest in the detail; what was not seen is unknown."""
    changes, outcome, fault, words = STATES[name]

    found = judged(changes)

    assert (found.outcome, found.fault) == (outcome, fault), found
    assert words in found.detail
    if outcome is Outcome.FAILED:  # the server's own, or whatever lies on the path
        assert (found.stage, found.answered) == ((Stage.ANSWER, True) if fault in OWN else (Stage.CONNECT, False))
    if fault is not None:
        assert any(row.name == fault for row in adsync.SPEC.faults)
    if fault in ("collector-missing", "textfile-error"):
        assert not found.values


def test_a_server_that_stands_by_must_stage() -> None:
    """Two that export fight each other; one that stages synchronises no passwords."""
    good = judged({"adsync_staging_mode": 1.0, HEARTBEAT: None}, STAGING)
    bad = judged({}, STAGING)

    assert (good.outcome, good.values["adsync_staging"]) == (Outcome.OK, 1.0)
    assert good.detail.endswith(", staging")
    assert (bad.outcome, bad.fault) == (Outcome.FAILED, "not-staging")


def test_values_are_those_that_were_read() -> None:
    """Ages of run, passwords and collector, and how much is not in order."""
    found = judged({"adsync_scheduler_suspended": 1.0})

    assert found.values == {
        "adsync_collector_age_seconds": 60.0,
        "adsync_run_age_seconds": 300.0,
        "adsync_password_age_seconds": 120.0,
        "adsync_staging": 0.0,
        "adsync_findings": 1.0,
    }
    assert set(found.values) == {metric.name for metric in adsync.SPEC.metrics}


def test_facts_are_of_the_configuration() -> None:
    """What the server is set to, to be compared with what was agreed; not what it does now, nor what nobody read."""
    whole = gather([reading(name, value) for name, value in HEALTHY.items()])
    assert isinstance(whole, Server)
    assert facts(whole) == {
        "version": "2.5.190.0",
        "scheduler enabled": "yes",
        "staging mode": "no",
        "connectors": "corp.lab, corp.onmicrosoft.com - AAD",
    }
    assert facts(Server(collected=NOW)) == {}


def reading(name: str, value: float) -> Reading:
    """Return a series as the parser would."""
    (family,) = text_string_to_metric_families(f"{name} {value}\n")
    (sample,) = family.samples
    return Reading(name=sample.name, labels=sample.labels, value=sample.value)


KINDS = {
    "success": "good",
    "in-progress": "good",
    "completed-no-objects": "good",
    "completed-sync-warnings": "good",
    "completed-export-errors": "errors",
    "completed-discovery-errors": "errors",
    "completed-transient-objects": "errors",
    "stopped-server-down": "failed",
    "stopped-connectivity": "failed",
    "stopped-deletion-threshold-exceeded": "threshold",
    "no-start-connection": "failed",
    "successful": "unknown",
    "": "unknown",
}


@pytest.mark.parametrize("result", KINDS)
def test_results_are_taken_by_their_beginning(result: str) -> None:
    """As Microsoft names them; what it may add is unknown."""
    assert kind_of(result) == KINDS[result]


@given(st.text(string.printable, max_size=30))
def test_versions_are_numbers_or_none(text: str) -> None:
    """Nothing else comes out of any text."""
    found = version_of(text)
    assert found is None or ".".join(map(str, found)).count(".") == text.count(".")
    assert version_of("2.5.79.0") == (2, 5, 79, 0)


readings = st.builds(
    Reading,
    name=st.sampled_from(NAMES),
    labels=st.dictionaries(
        st.sampled_from(["result", "connector", "section", "id", "version", "type"]), st.text(max_size=9)
    ),
    value=st.floats(),
)


@given(st.lists(readings, max_size=12))
def test_any_readings_give_a_result(found: list[Reading]) -> None:
    """A server or an unknown; and of a server a result, with numbers only where there are some."""
    server = gather(found)
    if isinstance(server, Server):
        result = judge(server, ACTIVE, NOW)
        assert result.outcome is not Outcome.OK or (server.running and server.enabled and server.runs)
        assert len(result.detail) <= 400
    else:
        assert server.outcome is Outcome.UNKNOWN


def settings(**more: Any) -> adsync.Settings:
    """Return settings of a server."""
    return adsync.Settings(**{"target": "https://sync.corp.lab:9182/metrics", **more})


def test_the_flow_is_a_scrape() -> None:
    """Of that exporter, in that role."""
    assert adsync.flow(settings()) == Flow(
        host="sync.corp.lab",
        protocol="tcp",
        port=9182,
        function="Entra Connect (active) at https://sync.corp.lab:9182/metrics",
        carry_bytes=1500,
        named=True,
    )


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a version": ({"minimum_version": "latest"}, "minimum_version"),
    "an order": ({"warn": Duration(7200), "critical": Duration(7200)}, "warn"),
    "an order of passwords": ({"password_warn": Duration(0)}, "password_warn"),
    "no time": ({"collector_within": Duration(0)}, "collector_within"),
    "too many days": ({"certificate_days": 4000}, "certificate_days"),
    "a secret in the clear": ({"target": "http://sync.corp.lab:9182/metrics", "token_file": "x"}, "https only"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_with_its_key(name: str) -> None:
    """The operator learns which key to change."""
    more, words = WRONG[name]
    with pytest.raises(ValueError, match=words):
        adsync.flow(settings(**more))
