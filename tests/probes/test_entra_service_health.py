"""entra_service_health, pure: Microsoft's word about itself is a witness, never an accusation."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.entra_service_health import (
    SPEC,
    STATUSES,
    Further,
    Health,
    Settings,
    flow,
    issues_path,
    judge,
    permissions,
    read_overview,
)
from probes.kit.https_exchange import Reply
from probes.kit.microsoft import Blind
from probes.kit.result import Outcome
from probes.kit.spec import Evidence, Pace

UUID = "66666666-7777-8888-9999-000000000000"
SETTINGS = Settings(tenant="corp.lab", client_id=UUID, secret_file="/none")
DECLARED = {fault.name: fault.stage for fault in SPEC.faults}
METRICS = {metric.name for metric in SPEC.metrics}


def reply(value: object, **more: object) -> Reply:
    """Return Graph's list."""
    return Reply(status=200, headers={}, body=msgspec.json.encode({"value": value, **more}))


def issue(number: int = 1, **more: object) -> dict[str, object]:
    """Return an issue as Graph writes it; its title is nobody's to repeat."""
    named = {"id": f"MO{number:06}", "title": "canary", "origin": "microsoft", "isResolved": False}
    return named | more


def service(name: str = "OrgLiveID", status: str = "serviceOperational") -> dict[str, object]:
    """Return one row of the overview."""
    return {"id": name, "service": "Microsoft Entra", "status": status}


def test_the_service_is_found_by_its_id() -> None:
    """Names are shown in the tenant's language; ids are not."""
    listed = reply([service("Exchange"), service(status="ServiceDegradation")])
    assert read_overview(listed, SETTINGS) == Health("Microsoft Entra", "servicedegradation")


OVERVIEWS: dict[str, tuple[Reply, str | Further]] = {
    "no such service": (reply([service("Exchange")]), "no-data"),
    "no services": (reply([]), "no-data"),
    "on the next page": (
        reply([], **{"@odata.nextLink": "https://graph.microsoft.com/v1.0/x?$skip=100"}),
        Further("/v1.0/x?$skip=100"),
    ),
    "elsewhere": (reply([], **{"@odata.nextLink": "https://example.org/"}), "not-graph"),
    "HTML": (Reply(status=200, headers={}, body=b"<html>"), "not-graph"),
}


@pytest.mark.parametrize("name", OVERVIEWS)
def test_an_overview_without_the_service_says_why(name: str) -> None:
    """Not listed, on a further page, or not Graph's."""
    given_reply, expected = OVERVIEWS[name]
    found = read_overview(given_reply, SETTINGS)
    assert (found.fault if isinstance(found, Blind) else found) == expected


@pytest.mark.parametrize("status", STATUSES)
def test_no_state_is_ever_a_failure(status: str) -> None:
    """Whatever Microsoft says of itself accuses nobody: ok or degraded, with a declared fault."""
    fault = STATUSES[status]
    result = judge(Health("x", status), None if fault is None else reply([issue()]))
    assert result.outcome is (Outcome.OK if fault is None else Outcome.DEGRADED)
    assert result.fault == fault
    assert result.values["entra_service_operational"] == float(fault is None)
    assert fault is None or DECLARED[fault] is not None


ISSUES: dict[str, tuple[Reply | Blind, str, str, float | None]] = {
    "two, one of them resolved": (reply([issue(), issue(2, isResolved=True)]), "service-issue", "MO000001", 1.0),
    "the customer's": (reply([issue(origin="customer")]), "issue-elsewhere", "MO000001", 0.0),
    "both": (reply([issue(origin="thirdParty"), issue(2)]), "service-issue", "MO000001, MO000002", 1.0),
    "none listed": (reply([]), "service-issue", "no issue listed", 0.0),
    "an id of its own": (reply([issue(id="canary")]), "service-issue", "no issue listed", 1.0),
    "not readable": (Blind(fault="graph-error", detail="500"), "service-issue", "could not be read", None),
    "HTML": (Reply(status=200, headers={}, body=b"<html>"), "service-issue", "could not be read", None),
}


@pytest.mark.parametrize("name", ISSUES)
def test_issues_stand_beside_the_state(name: str) -> None:
    """Their ids and whose they are; not their words. Unread issues leave the state as it is."""
    listed, fault, told, own = ISSUES[name]
    result = judge(Health("x", "investigating"), listed)
    assert (result.outcome, result.fault) == (Outcome.DEGRADED, fault)
    assert told in result.detail
    assert "canary" not in result.detail
    assert result.values.get("entra_service_issues_microsoft") == own


def test_a_state_that_is_new_is_unknown() -> None:
    """A word that the table lacks is neither well nor wrong."""
    assert judge(Health("x", "unknownfuturevalue"), None).fault == "no-data"


def test_the_question_for_issues_is_escaped() -> None:
    """A name with a quote or a line end cannot leave the filter."""
    path = issues_path(Health("a' or 'b\r\n", "investigating"))
    assert "a%27%27%20or%20%27%27b%0D%0A" in path


ROWS = st.dictionaries(st.sampled_from(["id", "service", "status", "origin", "isResolved"]), st.text(max_size=8))


@given(st.lists(ROWS | st.none(), max_size=3).map(reply), st.sampled_from(sorted(STATUSES)))
def test_any_reply_gives_a_declared_result(listed: Reply, status: str) -> None:
    """No rows raise; every fault and metric stands in the reference."""
    found = read_overview(listed, SETTINGS)
    assert not isinstance(found, Blind) or DECLARED[found.fault] is None
    result = judge(Health("x", status), listed)
    assert result.fault is None or result.fault in DECLARED
    assert set(result.values) <= METRICS


def test_the_reference_is_complete() -> None:
    """Each key is explained; a wrong id is named; the permission is the least."""
    assert set(SPEC.key_help) == set(Settings.__struct_fields__)
    assert (SPEC.evidence, SPEC.pace) == (Evidence.STATE, Pace.OWN)
    assert flow(SETTINGS).function == "health of OrgLiveID at https://graph.microsoft.com"
    assert permissions(SETTINGS) == ("ServiceHealth.Read.All",)
    assert len(permissions(msgspec.structs.replace(SETTINGS, secret_expiry=True))) == 2
    with pytest.raises(ValueError, match="service_id: "):
        flow(msgspec.structs.replace(SETTINGS, service_id="Microsoft Entra"))
