"""entra_sync, pure: what Graph's answer says of the last synchronisation, and which settings hold."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.entra_cloud_sync import SPEC as CLOUD_SYNC
from probes.entra_service_health import SPEC as SERVICE_HEALTH
from probes.entra_sync import SPEC, Settings, flow, judge, permissions
from probes.kit.https_exchange import Reply
from probes.kit.microsoft import AADSTS
from probes.kit.result import Outcome, Result, Stage
from probes.kit.spec import Duration, Evidence, Pace

NOW = datetime(2026, 11, 23, 17, 0, 0, tzinfo=UTC).timestamp()
DATE = {"date": "Mon, 23 Nov 2026 17:00:00 GMT"}
SETTINGS = Settings(tenant="corp.lab", client_id="66666666-7777-8888-9999-000000000000", secret_file="/none")
DECLARED = {fault.name: fault.stage for fault in SPEC.faults}


def organisation(last: object = "2026-11-23T16:41:07Z", *, enabled: object = True) -> bytes:
    """Return Graph's body for one organisation."""
    entry = {"id": "x", "displayName": "X", "onPremisesSyncEnabled": enabled, "onPremisesLastSyncDateTime": last}
    return msgspec.json.encode({"@odata.context": "https://graph.microsoft.com/v1.0/$metadata", "value": [entry]})


JUDGED: dict[str, tuple[bytes, Outcome, str | None]] = {
    "fresh": (organisation(), Outcome.OK, None),
    "seven digits of a second": (organisation("2026-11-23T16:41:07.1234567Z"), Outcome.OK, None),
    "another zone": (organisation("2026-11-23T17:41:07+01:00"), Outcome.OK, None),
    "a second before late": (organisation("2026-11-23T15:30:01Z"), Outcome.OK, None),
    "late": (organisation("2026-11-23T15:30:00Z"), Outcome.DEGRADED, "sync-late"),
    "a second before stale": (organisation("2026-11-23T14:00:01Z"), Outcome.DEGRADED, "sync-late"),
    "stale": (organisation("2026-11-23T14:00:00Z"), Outcome.FAILED, "sync-stale"),
    "a year old": (organisation("2025-11-23T14:00:00Z"), Outcome.FAILED, "sync-stale"),
    "turned off": (organisation(enabled=False), Outcome.FAILED, "sync-disabled"),
    "turned off long ago": (organisation("2020-01-01T00:00:00Z", enabled=False), Outcome.FAILED, "sync-disabled"),
    "turned off, time withheld": (organisation(None, enabled=False), Outcome.FAILED, "sync-disabled"),
    "nulls": (organisation(None, enabled=None), Outcome.UNKNOWN, "no-data"),
    "enabled, never synchronised": (organisation(None), Outcome.UNKNOWN, "no-data"),
    "the year one": (organisation("0001-01-01T00:00:00Z"), Outcome.UNKNOWN, "no-data"),
    "flag withheld, time given": (organisation(enabled=None), Outcome.OK, None),
    "keys left out": (b'{"value":[{}]}', Outcome.UNKNOWN, "no-data"),
    "no organisation": (b'{"value":[]}', Outcome.UNKNOWN, "no-data"),
    "a little in the future": (organisation("2026-11-23T17:05:00Z"), Outcome.OK, None),
    "far in the future": (organisation("2026-11-23T17:05:01Z"), Outcome.UNKNOWN, "clock"),
    "a time without a zone": (organisation("2026-11-23T16:41:07"), Outcome.UNKNOWN, "not-graph"),
    "a time in words": (organisation("yesterday"), Outcome.UNKNOWN, "not-graph"),
    "a flag in words": (organisation(enabled="true"), Outcome.UNKNOWN, "not-graph"),
    "another object": (b'{"error":{}}', Outcome.UNKNOWN, "not-graph"),
    "HTML": (b"<html>", Outcome.UNKNOWN, "not-graph"),
    "nothing": (b"", Outcome.UNKNOWN, "not-graph"),
    "nested without end": (b'{"value":' + b"[" * 200_000, Outcome.UNKNOWN, "not-graph"),
}


@pytest.mark.parametrize("name", JUDGED)
def test_an_organisation_is_judged(name: str) -> None:
    """Age by thresholds; a flag that says no longer; nulls and strangers are unknown."""
    body, outcome, fault = JUDGED[name]
    result = judge(Reply(status=200, headers=DATE, body=body), SETTINGS, wall=0.0)
    assert (result.outcome, result.fault) == (outcome, fault)
    assert result.stage == (Stage.CONNECT if outcome is Outcome.FAILED else None)
    assert not result.answered


def test_values_hold_time_and_age() -> None:
    """The metrics tell when, how long ago and whether synchronisation is on."""
    values = judge(Reply(status=200, headers=DATE, body=organisation()), SETTINGS, wall=0.0).values
    assert values == {
        "entra_sync_enabled": 1.0,
        "entra_last_sync_timestamp_seconds": NOW - 1133.0,
        "entra_sync_age_seconds": 1133.0,
    }


def test_without_a_date_our_own_clock_counts() -> None:
    """A reply without a readable Date header is aged by the wall clock."""
    for headers in ({}, {"date": "now"}):
        result = judge(Reply(status=200, headers=headers, body=organisation()), SETTINGS, wall=NOW + 100.0)
        assert result.values["entra_sync_age_seconds"] == 1233.0


def test_our_own_clock_cannot_make_a_synchronisation_stale() -> None:
    """With a Date header a vantage whose clock is a year ahead still says ok."""
    assert judge(Reply(status=200, headers=DATE, body=organisation()), SETTINGS, wall=NOW + 3e7).outcome is Outcome.OK


def test_the_moment_is_told_by_our_own_clock() -> None:
    """What the diagnosis compares with its rounds is counted by their clock; what cannot be judged has no moment."""
    ahead = judge(Reply(status=200, headers=DATE, body=organisation()), SETTINGS, wall=NOW + 3e7)
    assert ahead.as_of == NOW + 3e7 - 1133.0
    for body in (organisation(None), organisation("2026-11-23T17:05:01Z"), organisation(enabled=False)):
        assert judge(Reply(status=200, headers=DATE, body=body), SETTINGS, wall=NOW).as_of is None


def test_thresholds_come_from_the_chain_file() -> None:
    """`warn` and `critical` decide."""
    settings = msgspec.structs.replace(SETTINGS, warn=Duration(60), critical=Duration(1133))
    assert judge(Reply(status=200, headers=DATE, body=organisation()), settings, wall=0.0).fault == "sync-stale"


PASSWORDS: dict[str, tuple[object, Outcome, str | None]] = {
    "a second before late": ("2026-11-23T16:00:01Z", Outcome.OK, None),
    "late": ("2026-11-23T16:00:00Z", Outcome.DEGRADED, "password-late"),
    "stale": ("2026-11-23T15:00:00Z", Outcome.FAILED, "password-stale"),
    "null": (None, Outcome.UNKNOWN, "no-data"),
}


@pytest.mark.parametrize("name", PASSWORDS)
def test_passwords_have_thresholds_of_their_own(name: str) -> None:
    """Two heartbeats, and Microsoft's own 120 minutes; the directory's time, however old, says nothing of them."""
    last, outcome, fault = PASSWORDS[name]
    entry = {"onPremisesLastSyncDateTime": "2020-01-01T00:00:00Z", "onPremisesLastPasswordSyncDateTime": last}
    body = msgspec.json.encode({"value": [{"onPremisesSyncEnabled": True, **entry}]})
    watching = msgspec.structs.replace(SETTINGS, watch="password")
    result = judge(Reply(status=200, headers=DATE, body=body), watching, wall=0.0)
    assert (result.outcome, result.fault) == (outcome, fault)
    assert ("entra_password_sync_age_seconds" in result.values) == (last is not None)


NEEDS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "the synchronisation": ({}, ("Organization.Read.All",)),
    "passwords": ({"watch": "password"}, ("Organization.Read.All",)),
    "objects": ({"watch": "objects", "objects": ("users", "contacts")}, ("User.Read.All", "OrgContact.Read.All")),
    "the secret's end": ({"secret_expiry": True}, ("Organization.Read.All", "Application.Read.All")),
}


@pytest.mark.parametrize("name", NEEDS)
def test_each_question_needs_its_own_permission_only(name: str) -> None:
    """What is not asked needs no permission."""
    changes, needed = NEEDS[name]
    assert permissions(msgspec.structs.replace(SETTINGS, **changes)) == needed


def test_each_question_is_a_function_of_its_own() -> None:
    """That passwords are synchronised does not answer for the rest: the flow names what is asked."""
    functions = {
        flow(msgspec.structs.replace(SETTINGS, watch=what)).function for what in ("sync", "password", "objects")
    }
    assert len(functions) == 3


MOMENTS = st.datetimes().map(lambda moment: f"{moment.isoformat()}Z") | st.text(max_size=12) | st.none() | st.integers()
FLAGS = st.booleans() | st.none() | st.text(max_size=5)


@given(MOMENTS, FLAGS, st.floats(min_value=0, max_value=1e11), st.sampled_from([DATE, {}]))
def test_any_organisation_gives_a_declared_result(
    last: object, flag: object, wall: float, headers: dict[str, str]
) -> None:
    """Any moment and flag give ok, degraded, failed or unknown with a fault of the table."""
    check(judge(Reply(status=200, headers=headers, body=organisation(last, enabled=flag)), SETTINGS, wall))


@given(st.binary(max_size=80))
def test_any_body_gives_a_declared_result(body: bytes) -> None:
    """No bytes raise."""
    check(judge(Reply(status=200, headers={}, body=body), SETTINGS, NOW))


def check(result: Result) -> None:
    """Fault and stage agree with the reference."""
    if result.outcome is Outcome.OK:
        assert result.fault is None
        return
    assert result.fault is not None
    assert (result.outcome is Outcome.UNKNOWN) == (DECLARED[result.fault] is None)
    assert set(result.values) <= {metric.name for metric in SPEC.metrics}
    assert result.values.get("entra_sync_age_seconds", 0.0) >= 0.0


def test_the_flow_goes_to_graph() -> None:
    """Without a proxy the packets go to Graph's own host, and also to the one that gives out tokens."""
    to = flow(SETTINGS)
    assert (to.host, to.port, to.named) == ("graph.microsoft.com", 443, True)
    assert [(f.host, f.protocol, f.port, f.named) for f in to.also] == [("login.microsoftonline.com", "tcp", 443, True)]


def test_one_server_for_both_is_one_flow() -> None:
    """Where login and Graph are the same server, as in a simulator, there is nothing further to allow."""
    same = msgspec.structs.replace(SETTINGS, target="https://10.0.0.9:8443", authority="https://10.0.0.9:8443/")
    assert flow(same).also == ()


def test_the_flow_goes_to_the_proxy() -> None:
    """With a proxy that is where the packets go."""
    through = flow(msgspec.structs.replace(SETTINGS, proxy="http://10.0.0.8:3128"))
    assert (through.host, through.port, through.named) == ("10.0.0.8", 3128, False)
    assert through.function == "sync at https://graph.microsoft.com"
    assert through.also == ()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "plain http": ({"target": "http://graph.microsoft.com"}, "target: .* is not https://host"),
    "a path": ({"target": "https://graph.microsoft.com/v1.0"}, "target: .* is not https://host"),
    "no host": ({"target": "https://"}, "target: "),
    "a host without scheme and a slash": ({"target": "graph.microsoft.com/"}, "target: .* is not https://host"),
    "no scheme": ({"authority": "login.microsoftonline.com"}, "authority: .* is not https://host"),
    "a tenant in the authority": ({"authority": "https://login.microsoftonline.com/x"}, "authority: "),
    "credentials in the address": ({"proxy": "http://me:secret@proxy:3128"}, "proxy: "),
    "a proxy without a port": ({"proxy": "http://proxy"}, "proxy: .*port"),
    "an https proxy": ({"proxy": "https://proxy:3128"}, "proxy: .* is not http://host"),
    "brackets": ({"target": "https://[::1"}, "target: "),
    "a tenant with a slash": ({"tenant": "a/b"}, "tenant: "),
    "an empty tenant": ({"tenant": ""}, "tenant: "),
    "an application's name": ({"client_id": "demarc"}, "client_id: "),
    "no time between the thresholds": ({"warn": Duration(60), "critical": Duration(60)}, "warn .60 s. must be"),
    "late after it is stale": ({"warn": Duration(4 * 3600)}, "warn .14400 s. must be"),
    "passwords late after they are stale": ({"watch": "password", "critical": Duration(3000)}, "warn .3600 s. must be"),
    "no credential": ({"secret_file": ""}, "secret_file: write exactly one"),
    "two credentials": ({"token_file": "/t"}, "secret_file: write exactly one"),
    "a key without a certificate": ({"key_file": "/k"}, "key_file: belongs to"),
    "the end of what is no secret": ({"secret_file": "", "token_file": "/t", "secret_expiry": True}, "secret_expiry: "),
    "an identity's name": ({"identity_id": "mine"}, "identity_id: "),
    "an identity of another host": ({"identity_endpoint": "http://192.0.2.1"}, "identity_endpoint: "),
    "an identity by name": ({"identity_endpoint": "http://metadata"}, "identity_endpoint: "),
    "an identity over TLS": ({"identity_endpoint": "https://169.254.169.254"}, "identity_endpoint: "),
    "an identity nowhere": ({"identity_endpoint": "http://:x"}, "identity_endpoint: "),
    "objects of another kind": ({"watch": "objects", "objects": ("devices",)}, "objects: 'devices' is none of"),
    "no objects": ({"watch": "objects", "objects": ()}, "objects: write what"),
    "no number of objects": ({"watch": "objects", "warn_objects": 0}, "warn_objects must be"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_named(name: str) -> None:
    """The error starts with the key and says what to write; credentials in it are not repeated."""
    changes, pattern = WRONG[name]
    with pytest.raises(ValueError, match=pattern) as caught:
        flow(msgspec.structs.replace(SETTINGS, **changes))
    assert "me:secret" not in str(caught.value)


def test_every_key_is_documented() -> None:
    """The reference explains each key; the type confirms at its own pace and proves a state only."""
    assert set(SPEC.key_help) == set(Settings.__struct_fields__)
    assert (SPEC.evidence, SPEC.pace) == (Evidence.STATE, Pace.OWN)


def test_the_guide_explains_every_fault() -> None:
    """docs/entra.md speaks of each fault of the three types, and of no code that we do not know."""
    guide = (Path(__file__).parents[2] / "docs" / "entra.md").read_text()
    faults = {fault.name for spec in (SPEC, CLOUD_SYNC, SERVICE_HEALTH) for fault in spec.faults}
    assert [name for name in sorted(faults) if f"`{name}`" not in guide] == []
    assert {int(code) for code in re.findall(r"AADSTS(\d+)", guide)} <= set(AADSTS)
