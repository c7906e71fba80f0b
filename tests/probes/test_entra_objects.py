"""Objects in error, pure: pages of Graph's lists into counts, and names only on request."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.entra_sync import SPEC
from probes.kit.entra_objects import KINDS, PERMISSION, Page, first_path, judge_objects, read_page
from probes.kit.https_exchange import Reply
from probes.kit.microsoft import Blind
from probes.kit.result import Outcome

TARGET = "https://graph.microsoft.com"
NAME = "canary.upn@example.org"
DECLARED = {metric.name for metric in SPEC.metrics}


def error(cause: str | None = "UserPrincipalName", since: str | None = "2026-11-20T08:00:00Z") -> dict[str, object]:
    """Return one conflict as Graph writes it."""
    return {"category": "PropertyConflict", "propertyCausingError": cause, "occurredDateTime": since, "value": NAME}


def entry(*errors: dict[str, object]) -> dict[str, object]:
    """Return one user in error."""
    return {"id": "x", "userPrincipalName": NAME, "onPremisesProvisioningErrors": list(errors)}


def reply(*entries: object, **more: object) -> Reply:
    """Return a page of Graph's."""
    return Reply(status=200, headers={}, body=msgspec.json.encode({"value": entries, **more}))


def page(*entries: object, names: bool = False) -> Page:
    """Return a page that can be read."""
    found = read_page(reply(*entries), TARGET, names=names)
    assert isinstance(found, Page)
    return found


def counted(total: int, *entries: object) -> Page:
    """Return a page of a list that Graph says is longer."""
    found = read_page(reply(*entries, **{"@odata.count": total}), TARGET, names=False)
    assert isinstance(found, Page)
    return found


def test_causes_are_counted_and_the_oldest_told() -> None:
    """Each conflict counts by its property, in whatever capitals; the first of them gives the time."""
    errors = (error(), error("proxyaddress", "2026-11-19T08:00:00Z"), error("Another"), error(None, None))
    result = judge_objects([("users", page(entry(*errors), entry()))], 1, 0)
    assert result.values == {
        "entra_object_errors": 2.0,
        "entra_object_errors_upn": 1.0,
        "entra_object_errors_proxy_address": 1.0,
        "entra_object_errors_other": 2.0,
        "entra_object_error_oldest_timestamp_seconds": 1795075200.0,
    }
    assert result.detail == "2 objects in error, 2 users, 1 by name, 1 by mail address"


def test_names_are_told_on_request_only() -> None:
    """Neither a name nor the conflicting value leaves the reply unless it is asked for."""
    assert NAME not in repr(page(entry(error())))
    assert "userPrincipalName" not in first_path("users", names=False)
    assert NAME in judge_objects([("users", page(entry(error()), names=True))], 1, 0).detail
    assert "displayName" in first_path("groups", names=True)
    odd = {"displayName": "a\nb" + "x" * 200, "onPremisesProvisioningErrors": None}
    assert page(odd, names=True).names == ("a?b" + "x" * 110,)
    five = judge_objects([("users", page(*[entry(error())] * 9, names=True))], 1, 0)
    assert five.detail.count(NAME) == 5


JUDGED: dict[str, tuple[int, int, int, Outcome]] = {
    "none": (0, 1, 0, Outcome.OK),
    "fewer than matter": (2, 3, 0, Outcome.OK),
    "some": (3, 3, 0, Outcome.DEGRADED),
    "many, and never failed": (900, 1, 0, Outcome.DEGRADED),
    "fewer than fail": (9, 1, 10, Outcome.DEGRADED),
    "too many": (10, 1, 10, Outcome.FAILED),
}


@pytest.mark.parametrize("name", JUDGED)
def test_the_number_is_judged(name: str) -> None:
    """Degraded from one threshold on, failed from another, which may be none."""
    total, warn, critical, outcome = JUDGED[name]
    result = judge_objects([("users", counted(total))], warn, critical)
    assert result.outcome is outcome
    assert result.values["entra_object_errors"] == total


def test_what_was_not_read_has_no_cause() -> None:
    """When pages are left out the total is Graph's own, and no count of causes is shown."""
    seen = counted(700, entry(error()))
    assert judge_objects([("users", seen), ("groups", page())], 1, 0).values == {"entra_object_errors": 700.0}


LINKS: dict[str, tuple[str, str | None]] = {
    "as Graph gives it": (f"{TARGET}/v1.0/users?$skiptoken=ab", "/v1.0/users?$skiptoken=ab"),
    "with its port": (f"{TARGET}:443/v1.0/users", "/v1.0/users"),
    "another host": ("https://evil.example/v1.0/users", None),
    "another port": (f"{TARGET}:8443/v1.0/users", None),
    "in the clear": ("http://graph.microsoft.com/v1.0/users", None),
    "credentials": ("https://a@graph.microsoft.com/v1.0/users", None),
    "a header": (f"{TARGET}/v1.0/users\r\nX: y", None),
    "a space": (f"{TARGET}/v1.0/users?a b", None),
    "no path": (TARGET, None),
    "no port": (f"{TARGET}:x/", None),
    "no link": ("[", None),
}


@pytest.mark.parametrize("name", LINKS)
def test_a_token_goes_to_no_other_address(name: str) -> None:
    """A further page is asked for at the very host of `target`; anything else is not Graph's list."""
    link, path = LINKS[name]
    found = read_page(reply(**{"@odata.nextLink": link}), TARGET, names=False)
    if path is None:
        assert isinstance(found, Blind)
        assert found.fault == "not-graph"
    else:
        assert isinstance(found, Page)
        assert found.further == path


@given(st.binary(max_size=80) | st.lists(st.dictionaries(st.text(max_size=9), st.none())).map(msgspec.json.encode))
def test_any_body_gives_a_page_or_a_reason(body: bytes) -> None:
    """No bytes raise, and what is judged has declared metrics only."""
    found = read_page(Reply(status=200, headers={}, body=body), TARGET, names=True)
    if isinstance(found, Blind):
        assert found.fault == "not-graph"
    else:
        assert set(judge_objects([("users", found)], 1, 1).values) <= DECLARED


def test_every_kind_has_its_permission() -> None:
    """What may be counted has a permission and a path."""
    assert set(PERMISSION) == set(KINDS)
    assert all(first_path(kind, names=False).startswith(f"/v1.0/{kind}?$filter=") for kind in KINDS)
