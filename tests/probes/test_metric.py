"""metric, pure: what a series says, which settings hold, and what a reply's bytes lead to."""

import gzip
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from probes.kit import scrape, scrapes, series
from probes.kit.exposition import Reading, Wanted, read
from probes.kit.result import Outcome, Result, Stage
from probes.kit.scrape import Reply, Scraped, head
from probes.kit.secret import Secret
from probes.kit.series import Snapshot, judge, snapshot
from probes.kit.spec import Duration, Evidence, Flow
from probes.kit.trouble import Trouble
from probes.metric import SPEC, Settings, flow, plan

NOW = 1795453200.0  # Mon, 23 Nov 2026 17:00:00 GMT
URL = "http://10.20.0.5:9182/metrics"
TLS = "https://10.20.0.5:9182/metrics"
ROWS = {(fault.name, fault.stage) for fault in SPEC.faults}
DECLARED = {name for name, _ in ROWS}
MTIME = "windows_textfile_mtime_seconds"


def settings(**more: Any) -> Settings:
    """Return settings for the series `x`, which must be above 0."""
    return Settings(**{"target": URL, "metric": "x", "ok": "> 0", **more})


def reading(value: float, name: str = "x", *, at: float | None = None, **labels: str) -> Reading:
    """Return one sample."""
    return Reading(name=name, labels=labels, value=value, timestamp=at)


def verdict(readings: tuple[Reading, ...], more: Mapping[str, Any], before: Snapshot | None = None) -> Result:
    """Return what `readings` say at NOW, ten seconds after `before`."""
    return judge(readings, plan(settings(**more)).agreed, NOW, before, 10.0)


AGE: Mapping[str, Any] = {"age": True, "ok": "< 7200", "degraded": "7200..10800"}
FRESH: Mapping[str, Any] = {"fresh_metric": MTIME, "fresh_labels": {"file": "a"}, "fresh_within": Duration(900)}
MET = (reading(1.0),)
# name -> (settings, readings, outcome, fault, values)
Case = tuple[Mapping[str, Any], tuple[Reading, ...], Outcome, str | None, dict[str, float]]
JUDGED: dict[str, Case] = {
    "holds": ({}, MET, Outcome.OK, None, {"metric_value": 1.0}),
    "does not hold": ({}, (reading(0.0),), Outcome.FAILED, "condition", {"metric_value": 0.0}),
    "holds for a while": (
        {"degraded": "-1..0"},
        (reading(-0.5),),
        Outcome.DEGRADED,
        "condition-degraded",
        {"metric_value": -0.5},
    ),
    "not even that": ({"degraded": "-1..0"}, (reading(-2),), Outcome.FAILED, "condition", {"metric_value": -2.0}),
    "infinite": ({}, (reading(math.inf),), Outcome.OK, None, {}),
    "not a number": ({}, (reading(math.nan),), Outcome.UNKNOWN, "not-a-number", {}),
    "absent": ({}, (reading(1.0, "y"),), Outcome.UNKNOWN, "no-series", {}),
    "with other labels": ({"labels": {"a": "1"}}, (reading(1.0, a="2"),), Outcome.UNKNOWN, "no-series", {}),
    "several": ({}, (reading(1.0, a="1"), reading(1.0, a="2")), Outcome.UNKNOWN, "ambiguous", {}),
    "twice": ({}, (reading(1.0), reading(1.0)), Outcome.UNKNOWN, "ambiguous", {}),
    "recent": (AGE, (reading(NOW - 60),), Outcome.OK, None, {"metric_value": NOW - 60, "metric_age_seconds": 60.0}),
    "late": (
        AGE,
        (reading(NOW - 7200),),
        Outcome.DEGRADED,
        "condition-degraded",
        {"metric_value": NOW - 7200, "metric_age_seconds": 7200.0},
    ),
    "too long ago": (
        AGE,
        (reading(NOW - 10801),),
        Outcome.FAILED,
        "condition",
        {"metric_value": NOW - 10801, "metric_age_seconds": 10801.0},
    ),
    "never": (AGE, (reading(0.0),), Outcome.FAILED, "condition", {"metric_value": 0.0, "metric_age_seconds": NOW}),
    "before all time": (AGE, (reading(-math.inf),), Outcome.FAILED, "condition", {}),
    "a little ahead": (
        AGE,
        (reading(NOW + 300),),
        Outcome.OK,
        None,
        {"metric_value": NOW + 300, "metric_age_seconds": 0.0},
    ),
    "in milliseconds": (
        AGE,
        (reading(NOW * 1000),),
        Outcome.UNKNOWN,
        "timestamp-future",
        {"metric_value": NOW * 1000, "metric_age_seconds": 0.0},
    ),
    "after all time": (AGE, (reading(math.inf),), Outcome.UNKNOWN, "timestamp-future", {}),
    "read just now": (
        FRESH,
        (*MET, reading(NOW - 900, MTIME, file="a")),
        Outcome.OK,
        None,
        {"metric_value": 1.0, "metric_age_seconds": 900.0},
    ),
    "nobody has looked": (
        FRESH,
        (*MET, reading(NOW - 901, MTIME, file="a")),
        Outcome.UNKNOWN,
        "reading-stale",
        {"metric_value": 1.0, "metric_age_seconds": 901.0},
    ),
    "stale and not as agreed": (
        FRESH,
        (reading(0.0), reading(NOW - 901, MTIME, file="a")),
        Outcome.UNKNOWN,
        "reading-stale",
        {"metric_value": 0.0, "metric_age_seconds": 901.0},
    ),
    "another file is fresh": (FRESH, (*MET, reading(NOW, MTIME, file="b")), Outcome.UNKNOWN, "no-series", {}),
    "the reading's time is NaN": (
        FRESH,
        (*MET, reading(math.nan, MTIME, file="a")),
        Outcome.UNKNOWN,
        "not-a-number",
        {},
    ),
    "read in the future": (
        FRESH,
        (*MET, reading(NOW + 301, MTIME, file="a")),
        Outcome.UNKNOWN,
        "timestamp-future",
        {"metric_value": 1.0, "metric_age_seconds": 0.0},
    ),
    "a fresh time stamp of its own": (
        {},
        (reading(1.0, at=NOW - 5),),
        Outcome.OK,
        None,
        {"metric_value": 1.0, "metric_age_seconds": 5.0},
    ),
    "a stale time stamp of its own": (
        {},
        (reading(1.0, at=NOW - 901),),
        Outcome.UNKNOWN,
        "reading-stale",
        {"metric_value": 1.0, "metric_age_seconds": 901.0},
    ),
    "the older of two times counts": (
        FRESH,
        (reading(1.0, at=NOW - 901), reading(NOW, MTIME, file="a")),
        Outcome.UNKNOWN,
        "reading-stale",
        {"metric_value": 1.0, "metric_age_seconds": 901.0},
    ),
}


@pytest.mark.parametrize("name", JUDGED)
def test_readings_are_judged(name: str) -> None:
    """Only one fresh number is judged; a state not as agreed accuses the declared path, all else is unknown."""
    more, readings, outcome, fault, values = JUDGED[name]
    result = verdict(readings, more)
    assert (result.outcome, result.fault, result.values) == (outcome, fault, values)
    assert result.stage == (Stage.CONNECT if outcome is Outcome.FAILED else None)
    assert not result.answered
    if fault is not None:
        assert (fault, None if outcome is Outcome.UNKNOWN else Stage.CONNECT) in ROWS


def test_the_detail_tells_value_and_condition() -> None:
    """What was read, what was agreed, and by which labels to tell several apart."""
    assert verdict((reading(0.25),), {}).detail == "value 0.25, as agreed: > 0"
    assert verdict((reading(-1),), {}).detail == "value -1, agreed: > 0"
    late = verdict((reading(NOW - 9000),), {"age": True, "ok": "< 2h"})
    assert late.detail == "age in seconds 9000, agreed: < 2h"
    two = (reading(1, a="1", b="1"), reading(-1, a="2", b="1"))
    assert verdict(two, {"labels": {"b": "1"}}).detail == '2 series x{b="1"}; they differ in a'
    assert verdict((reading(1), reading(1)), {}).detail == "2 series x; they are the same"
    assert verdict(two, {"several": "all"}).detail == "1 of 2 series as agreed; worst: value -1, agreed: > 0"
    assert verdict(two, {"several": "any"}).detail == "1 of 2 series as agreed; best: value 1, as agreed: > 0"
    assert verdict(two, {"several": "sum"}).detail == "sum of 2: value 0, agreed: > 0"


SOME = tuple(reading(value, a=str(value)) for value in (3.0, 1.0, -2.0))
# how -> (condition, readings, outcome, fault, metric_value)
SEVERAL: dict[str, tuple[Mapping[str, Any], tuple[Reading, ...], Outcome, str | None, float | None]] = {
    "sum": ({"several": "sum", "ok": "== 2"}, SOME, Outcome.OK, None, 2.0),
    "min": ({"several": "min", "ok": "> 0"}, SOME, Outcome.FAILED, "condition", -2.0),
    "max": ({"several": "max", "ok": "== 3"}, SOME, Outcome.OK, None, 3.0),
    "count": ({"several": "count", "ok": ">= 3"}, SOME, Outcome.OK, None, 3.0),
    "count of none": ({"several": "count", "ok": "== 0"}, (), Outcome.UNKNOWN, "no-series", None),
    "any": ({"several": "any", "ok": "== 1"}, SOME, Outcome.OK, None, None),
    "any, none": ({"several": "any", "ok": "== 9"}, SOME, Outcome.FAILED, "condition", None),
    "any of none": ({"several": "any"}, (), Outcome.UNKNOWN, "no-series", None),
    "all": ({"several": "all", "ok": "> -3"}, SOME, Outcome.OK, None, None),
    "all but one": ({"several": "all", "ok": "> 0"}, SOME, Outcome.FAILED, "condition", None),
    "all for a while": (
        {"several": "all", "ok": "> 0", "degraded": "-5..0"},
        SOME,
        Outcome.DEGRADED,
        "condition-degraded",
        None,
    ),
    "matched": ({"several": "all", "match": ("a!=-2.0",), "ok": "> 0"}, SOME, Outcome.OK, None, None),
    "matched to one": ({"match": ("a=1*",), "ok": "== 1"}, SOME, Outcome.OK, None, 1.0),
    "one is NaN": ({"several": "any"}, (*SOME, reading(math.nan)), Outcome.UNKNOWN, "not-a-number", None),
    "two infinities": (
        {"several": "sum"},
        (reading(math.inf), reading(-math.inf)),
        Outcome.UNKNOWN,
        "not-a-number",
        None,
    ),
    "the oldest of them": (
        {"several": "max", "age": True, "ok": "< 1m"},
        (reading(NOW - 10), reading(NOW - 120)),
        Outcome.FAILED,
        "condition",
        NOW - 10,
    ),
    "one stale": (
        {"several": "any"},
        (reading(1.0, at=NOW), reading(1.0, at=NOW - 901)),
        Outcome.UNKNOWN,
        "reading-stale",
        None,
    ),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_series_mean_what_is_written(name: str) -> None:
    """One number of them, or the conditions on each; none that fits is never as agreed."""
    more, readings, outcome, fault, value = SEVERAL[name]
    result = verdict(readings, more)
    assert (result.outcome, result.fault, result.values.get("metric_value")) == (outcome, fault, value)


RATE: Mapping[str, Any] = {"rate": True, "ok": "< 5", "several": "sum"}
BEFORE = (reading(100, a="1"), reading(50, a="2"))
# name -> (readings, the earlier ones, seconds between, outcome, fault, metric_value)
RATES: dict[str, tuple[tuple[Reading, ...], tuple[Reading, ...] | None, float, Outcome, str | None, float | None]] = {
    "grown": ((reading(120, a="1"), reading(60, a="2")), BEFORE, 10, Outcome.OK, None, 3.0),
    "grown much": ((reading(190, a="1"), reading(60, a="2")), BEFORE, 10, Outcome.FAILED, "condition", 10.0),
    "begun again": ((reading(20, a="1"), reading(60, a="2")), BEFORE, 10, Outcome.OK, None, 3.0),
    "a new one": ((reading(120, a="1"), reading(999, a="3")), BEFORE, 10, Outcome.OK, None, 2.0),
    "only new ones": ((reading(999, a="3"),), BEFORE, 10, Outcome.UNKNOWN, "no-rate", None),
    "first": (BEFORE, None, 10, Outcome.UNKNOWN, "no-rate", None),
    "too soon": (BEFORE, BEFORE, 0.4, Outcome.UNKNOWN, "no-rate", None),
    "too long ago": (BEFORE, BEFORE, 901, Outcome.UNKNOWN, "no-rate", None),
    "gone": ((), BEFORE, 10, Outcome.UNKNOWN, "no-series", None),
}


@pytest.mark.parametrize("name", RATES)
def test_rates_are_between_two_scrapes(name: str) -> None:
    """Per second and series; a counter that went down began again at zero."""
    readings, earlier, seconds, outcome, fault, value = RATES[name]
    agreed = plan(settings(**RATE)).agreed
    before = None if earlier is None else snapshot(earlier, agreed, 100.0)
    result = judge(readings, agreed, NOW, before, 100.0 + seconds)
    assert (result.outcome, result.fault, result.values.get("metric_value")) == (outcome, fault, value)


@given(
    st.lists(st.tuples(st.sampled_from(["x", MTIME]), st.floats(), st.none() | st.floats()), max_size=4),
    st.sampled_from([{}, AGE, FRESH, {**AGE, **FRESH, "fresh_labels": {}}, RATE]),
    st.sampled_from(["ambiguous", "any", "all", "min", "max"]),
)
def test_any_readings_give_a_declared_result(
    rows: list[tuple[str, float, float | None]], more: Mapping[str, Any], several: str
) -> None:
    """Whatever the numbers are, the fault is declared, one line explains it and every value is finite."""
    readings = tuple(reading(value, name, at=at) for name, value, at in rows)
    agreed = plan(settings(**{**more, "several": several})).agreed
    result = judge(readings, agreed, NOW, snapshot(readings, agreed, 0.0), 10.0)
    assert result.fault is None or result.fault in DECLARED
    assert "\n" not in result.detail
    assert all(math.isfinite(value) for value in result.values.values())


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no URL": ({"target": "10.20.0.5:9182"}, "write a URL"),
    "another scheme": ({"target": "ftp://10.20.0.5/"}, "write a URL"),
    "a port beyond": ({"target": "http://10.20.0.5:99999/"}, "is not a URL"),
    "a password": ({"target": "http://u:p@10.20.0.5/"}, "leave user"),
    "a space": ({"target": "http://10.20.0.5/a b"}, "percent-encode"),
    "a broken name": ({"target": "http://-x/"}, "neither an IP address nor a host name"),
    "labels in the name": ({"metric": 'x{a="1"}'}, r"^metric: "),
    "an empty name": ({"metric": ""}, r"^metric: "),
    "a label of two words": ({"labels": {"a b": "1"}}, r"^labels: "),
    "a label of the system's": ({"labels": {"__name__": "1"}}, r"^labels: "),
    "no condition": ({"ok": "5"}, r"^ok: "),
    "no condition for a while": ({"degraded": "some"}, r"^degraded: "),
    "the same twice": ({"degraded": "< 1"}, r"^degraded: shares values with `ok` \(> 0\)"),
    "labels of nothing": ({"fresh_labels": {"a": "1"}}, r"^fresh_labels: "),
    "another broken name": ({"fresh_metric": "a-b"}, r"^fresh_metric: "),
    "another broken label": ({"fresh_metric": "a", "fresh_labels": {"1": "1"}}, r"^fresh_labels: "),
    "no matcher": ({"match": ("a~b",)}, r"^match: "),
    "the age of a rate": ({"age": True, "rate": True}, r"^age: has no rate"),
    "the age of a sum": ({"age": True, "several": "sum"}, r"^age: has no sum"),
    "a user alone": ({"user": "x"}, r"^user: "),
    "a user with a colon": ({"target": TLS, "user": "a:b", "password_file": "/x"}, r"^user: "),
    "two credentials": ({"target": TLS, "user": "a", "password_file": "/x", "token_file": "/y"}, r"^token_file: "),
    "a key alone": ({"target": TLS, "key_file": "/x"}, r"^key_file: "),
    "a password in the open": ({"user": "a", "password_file": "/x"}, r"^target: .*https"),
    "a token in the open": ({"token_file": "/x"}, r"^target: .*https"),
    "no time": ({"fresh_within": Duration(0)}, r"^fresh_within: "),
}


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_cannot_hold_are_refused(name: str) -> None:
    """The error begins with its key, so that the loader points at it."""
    more, complaint = REFUSED[name]
    with pytest.raises(ValueError, match=complaint) as caught:
        flow(settings(**more))
    assert caught.value.__cause__ is None


def test_the_flow_names_series_and_condition() -> None:
    """A function of its own for each series and condition: an answering exporter exonerates no state."""
    assert flow(settings(labels={"b": "2", "a": "1"})) == Flow(
        host="10.20.0.5",
        protocol="tcp",
        port=9182,
        function=f'x{{a="1",b="2"}} > 0 at {URL}',
        carry_bytes=1500,
    )
    assert flow(settings(target="https://exporter.lab/metrics")).port == 443
    assert flow(settings()).function == f"x > 0 at {URL}"
    assert flow(settings()).function != flow(settings(ok="> 1")).function
    assert flow(settings(several="all", match=("a=b*",))).function == f'all of x{{a="b*"}} > 0 at {URL}'


HOSTS = {
    "http://10.0.0.1:9182/metrics?collect[]=textfile": ("10.0.0.1:9182", "/metrics?collect[]=textfile"),
    "https://Exporter.lab": ("exporter.lab", "/"),
    "https://[2001:db8::1]:9182/m": ("[2001:db8::1]:9182", "/m"),
    "http://[2001:db8::1]/": ("[2001:db8::1]", "/"),
}


def request(secret: str | None = None, **more: Any) -> tuple[str, dict[str, str]]:
    """Return the request line and the fields that are sent."""
    sent = head(plan(settings(**more)).page, None if secret is None else Secret(secret))
    assert sent.endswith(b"\r\n\r\n")
    line, *fields = sent.decode("ascii").removesuffix("\r\n\r\n").split("\r\n")
    return line, {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}


@pytest.mark.parametrize("url", HOSTS)
def test_the_request_asks_for_text(url: str) -> None:
    """Host header and target are the URL's; text is asked for, packed by gzip or not, and never protobuf."""
    host, target = HOSTS[url]
    line, fields = request(target=url)
    assert (line, fields["host"]) == (f"GET {target} HTTP/1.1", host)
    assert fields["accept"].startswith("text/plain;version=0.0.4")
    assert "protobuf" not in fields["accept"]
    assert fields["accept-encoding"] == "gzip"
    assert "authorization" not in fields


def test_credentials_stand_in_the_request() -> None:
    """Basic (RFC 7617) or bearer (RFC 6750); what cannot stand in a header is refused without being shown."""
    basic: Mapping[str, Any] = {"target": TLS, "user": "Aladdin", "password_file": "/x"}
    bearer: Mapping[str, Any] = {"target": TLS, "token_file": "/x"}
    assert request("open sesame", **basic)[1]["authorization"] == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert request("mF_9.B5f-4.1JqM", **bearer)[1]["authorization"] == "Bearer mF_9.B5f-4.1JqM"
    with pytest.raises(ValueError, match="no bearer token") as caught:
        request("canary\r\nX: y", **bearer)
    assert "canary" not in str(caught.value)


def reply(*data: bytes, room: int = 1000) -> Scraped | Trouble | None:
    """Feed a reply and return the first verdict."""
    parsed = Reply((Wanted(name="x"),), room)
    for piece in data:
        verdict = parsed.feed(piece)
        while verdict is None and parsed.packed:
            verdict = parsed.unpack()
        if verdict is not None:
            return verdict
    return None


HEAD = b"HTTP/1.1 200 OK\r\n"
LONG = HEAD + b"Content-Length: 4\r\n\r\n"
GZIP = HEAD + b"Content-Encoding: gzip\r\n\r\n"
PACKED = gzip.compress(b"x 1\n")
PROTOBUF = b"Content-Type: application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily\r\n"
REPLIES: dict[str, tuple[tuple[bytes, ...], str | None]] = {
    "a redirect": ((b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\n\r\n",), "status"),
    "an error": ((b"HTTP/1.1 503 Busy\r\n\r\n",), "status"),
    "no content": ((b"HTTP/1.1 204 None\r\n\r\n",), "status"),
    "no HTTP": ((b"SSH-2.0-x\r\n\r\n",), "malformed"),
    "nothing": ((b"",), "closed"),
    "half a head": ((HEAD, b""), "malformed"),
    "half a body": ((LONG + b"x", b""), "malformed"),
    "no end of line": ((LONG + b"x 12",), "malformed"),
    "too long": ((HEAD + b"\r\n" + b"x 1\n" * 251,), "malformed"),
    "a head without end": ((HEAD + b"A: b\r\n" * 20_000,), "malformed"),
    "protobuf": ((HEAD + PROTOBUF + b"\r\n" + b"x",), "malformed"),
    "packed as it was not asked for": ((HEAD + b"Content-Encoding: br\r\n\r\nx",), "malformed"),
    "packed, and not": ((GZIP + b"x 1\n", b""), "malformed"),
    "packed and cut": ((GZIP + PACKED[:-1], b""), "malformed"),
    "packed and more": ((GZIP + PACKED + b"x", b""), "malformed"),
    "packed and more of it": ((GZIP + PACKED, PACKED, b""), "malformed"),
    "packed a thousand to one": ((GZIP + gzip.compress(b"x 1\n" * 1_000_000),), "malformed"),
    "packed": ((GZIP + PACKED, b""), None),
    "packed, byte by byte": ((GZIP, *(PACKED[n : n + 1] for n in range(len(PACKED))), b""), None),
    "whole": ((LONG, b"x 1\n"), None),
    "until the end": ((HEAD + b"\r\nx 1\n", b""), None),
    "after an interim answer": ((b"HTTP/1.1 100 Continue\r\n\r\n" + LONG + b"x 1\n",), None),
    "in chunks": ((HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n3\r\n 1\n\r\n0\r\n\r\n"), None),
}


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_has_its_verdict(name: str) -> None:
    """Only a whole 200 that ends as an exposition does is scraped."""
    data, fault = REPLIES[name]
    verdict = reply(*data)
    if fault is None:
        assert isinstance(verdict, Scraped)
        assert verdict.found.kept == (b"x 1",)
    else:
        assert isinstance(verdict, Trouble)
        assert verdict.fault == fault


@pytest.mark.parametrize(
    ("line", "expected"), [(b"Mon, 23 Nov 2026 17:00:00 GMT", NOW), (b"soon", None), (b"\xff", None)]
)
def test_the_exporters_clock_is_read(line: bytes, expected: float | None) -> None:
    """The Date header where it is one."""
    verdict = reply(HEAD + b"Date: " + line + b"\r\nContent-Length: 4\r\n\r\nx 1\n")
    assert isinstance(verdict, Scraped)
    assert verdict.date == expected


# As windows_exporter 0.25 and snmp_exporter 0.26 write them, with the blanks and comments that they write.
WINDOWS = rb"""# HELP windows_service_state The state of the service (State)
# TYPE windows_service_state gauge
windows_service_state{name="adsync",state="running"} 1
windows_service_state{name="adsync",state="stopped"} 0
windows_service_state{name="ntds",state="running"} 1
# HELP windows_logical_disk_free_bytes Free space in bytes, updates every 10-15 min (LogicalDisk.PercentFreeSpace)
# TYPE windows_logical_disk_free_bytes gauge
windows_logical_disk_free_bytes{volume="C:"} 3.4359738368e+10
windows_logical_disk_free_bytes{volume="D:"} 1.073741824e+09
windows_logical_disk_free_bytes{volume="HarddiskVolume1"} 5.24288e+06
# HELP windows_textfile_mtime_seconds Unixtime mtime of textfiles successfully read.
# TYPE windows_textfile_mtime_seconds gauge
windows_textfile_mtime_seconds{file="C:\\Program Files\\windows_exporter\\textfile_inputs\\adsync.prom"} 1.7954531e+09
adsync_last_success_timestamp_seconds 1.7954521e+09
"""
SNMP = rb"""# HELP ifOperStatus The current operational state of the interface - 1.3.6.1.2.1.2.2.1.8
# TYPE ifOperStatus gauge
ifOperStatus{ifAlias="",ifDescr="lo",ifIndex="1",ifName="lo"} 1
ifOperStatus{ifAlias="WAN \"GlasNet\"",ifDescr="GigabitEthernet0/0",ifIndex="2",ifName="Gi0/0"} 1
ifOperStatus{ifAlias="VPN",ifDescr="Tunnel0",ifIndex="9",ifName="Tu0"} 2
# HELP ifHCInOctets The total number of octets received on the interface - 1.3.6.1.2.1.31.1.1.1.6
# TYPE ifHCInOctets counter
ifHCInOctets{ifAlias="WAN \"GlasNet\"",ifDescr="GigabitEthernet0/0",ifIndex="2",ifName="Gi0/0"} 1.2345678e+10
# HELP snmp_scrape_pdus_returned PDUs returned from get, bulkget, and walk.
# TYPE snmp_scrape_pdus_returned gauge
snmp_scrape_pdus_returned{module="if_mib"} 62
"""
DISKS = {"metric": "windows_logical_disk_free_bytes", "match": ("volume=C:|D:",), "ok": "> 2e9"}
FILE = {"file": r"C:\Program Files\windows_exporter\textfile_inputs\adsync.prom"}
SYNC = {"metric": "adsync_last_success_timestamp_seconds", "age": True, "fresh_metric": MTIME, "fresh_labels": FILE}
# name -> (exposition, settings, outcome, words of the detail)
EXPORTERS: dict[str, tuple[bytes, Mapping[str, Any], Outcome, str]] = {
    "a service": (
        WINDOWS,
        {"metric": "windows_service_state", "labels": {"name": "adsync", "state": "running"}, "ok": "== 1"},
        Outcome.OK,
        "value 1, as agreed",
    ),
    "every service": (
        WINDOWS,
        {"metric": "windows_service_state", "labels": {"state": "running"}, "several": "all", "ok": "== 1"},
        Outcome.OK,
        "2 of 2 series as agreed",
    ),
    "the fullest disk": (WINDOWS, {**DISKS, "several": "min"}, Outcome.FAILED, "min of 2: value 1073741824"),
    "the time of a synchronisation": (WINDOWS, {**SYNC, "ok": "< 30m"}, Outcome.OK, "age in seconds 1100"),
    "from an old file": (WINDOWS, {**SYNC, "ok": "< 30m", "fresh_within": Duration(60)}, Outcome.UNKNOWN, "read 100 s"),
    "a tunnel that is down": (
        SNMP,
        {"metric": "ifOperStatus", "labels": {"ifName": "Tu0"}, "ok": "== 1"},
        Outcome.FAILED,
        "value 2, agreed: == 1",
    ),
    "an interface by its alias": (
        SNMP,
        {"metric": "ifOperStatus", "match": ('ifAlias=WAN "*"',), "ok": "== 1"},
        Outcome.OK,
        "value 1",
    ),
}


@pytest.mark.parametrize("name", EXPORTERS)
def test_what_exporters_write_is_read(name: str) -> None:
    """Services, disks, times of files, interfaces."""
    text, more, outcome, words = EXPORTERS[name]
    made = plan(settings(**more))
    parsed = Reply(made.wanted)
    verdict = parsed.feed(
        HEAD + b"Date: Mon, 23 Nov 2026 17:00:00 GMT\r\nContent-Length: %d\r\n\r\n" % len(text) + text
    )
    assert isinstance(verdict, Scraped)
    readings = read(verdict.found, text_string_to_metric_families)
    assert isinstance(readings, tuple)
    result = judge(readings, made.agreed, verdict.date or 0.0, None, 0.0)
    assert result.outcome is outcome, result
    assert words in result.detail


@given(st.lists(st.binary(max_size=40) | st.sampled_from([HEAD, LONG, b"\r\n", b"x 1\n"]), max_size=6))
def test_any_bytes_of_a_reply_give_a_verdict(data: list[bytes]) -> None:
    """A value and no exception, whatever comes, ending with the close."""
    verdict = reply(*[piece for piece in data if piece], b"")
    assert isinstance(verdict, Scraped | Trouble)


@given(st.lists(st.binary(max_size=40) | st.sampled_from([PACKED, PACKED[:9], PACKED[9:]]), max_size=4))
def test_any_packed_bytes_give_a_verdict(data: list[bytes]) -> None:
    """Broken, cut and doubled packing is a value too."""
    verdict = reply(GZIP, *[piece for piece in data if piece], b"")
    assert isinstance(verdict, Scraped | Trouble)


def test_a_large_packed_reply_is_unpacked_in_steps() -> None:
    """No step of it is larger than a megabyte, and all of it is read."""
    parsed = Reply((Wanted(name="x"),), 8_000_000)
    assert parsed.feed(GZIP + gzip.compress(b"y 1\n" * 1_000_000 + b"x 2\n")) is None
    steps = 0
    while parsed.packed:
        assert parsed.unpack() is None
        steps += 1
    verdict = parsed.feed(b"")
    assert steps >= 3
    assert isinstance(verdict, Scraped)
    assert verdict.found.kept == (b"x 2",)


def test_openmetrics_is_known_by_its_type() -> None:
    """For those that speak nothing else."""
    kind = b"Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n\r\n"
    verdict = reply(HEAD + kind + b"x 1\n# EOF\n", b"")
    assert isinstance(verdict, Scraped)
    assert verdict.openmetrics


def test_the_type_is_declared() -> None:
    """A state that confirms in the rounds; every key, fault and metric is explained."""
    assert SPEC.evidence is Evidence.STATE
    assert set(SPEC.key_help) == {field.name for field in msgspec.structs.fields(Settings)}
    assert len(ROWS) == len(SPEC.faults)
    for fault in SPEC.faults:
        assert fault.meaning.endswith(".")
        assert fault.remedy.endswith((".", "?"))
    assert {"metric_value", "metric_series", "metric_age_seconds"} == {metric.name for metric in SPEC.metrics}


def test_only_declared_faults_are_written() -> None:
    """Every fault name in the sources stands in the table."""
    for module in (scrape, scrapes, series):
        source = Path(str(module.__file__)).read_text()
        written = re.findall(r'(?:unknown\(|Missed\(|_unread\(|fault=|failed\(Stage\.\w+, )\s*"([a-z-]+)"', source)
        assert written
        assert set(written) - {"status"} <= DECLARED
