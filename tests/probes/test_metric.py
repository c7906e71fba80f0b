"""metric, pure: what a series says, which settings hold, and what a reply's bytes lead to."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.exposition import Reading, Wanted
from probes.kit.result import Outcome, Stage
from probes.kit.scrape import Missed, Reply, Scraped, page
from probes.kit.spec import Duration, Evidence, Flow
from probes.metric import SPEC, Settings, flow, judge, plan

NOW = 1795453200.0  # Mon, 23 Nov 2026 17:00:00 GMT
URL = "http://10.20.0.5:9182/metrics"
DECLARED = {fault.name: fault.stage for fault in SPEC.faults}
MTIME = "windows_textfile_mtime_seconds"


def settings(**more: Any) -> Settings:
    """Return settings for the series `x`, which must be above 0."""
    return Settings(**{"target": URL, "metric": "x", "ok": "> 0", **more})


def reading(value: float, name: str = "x", *, at: float | None = None, **labels: str) -> Reading:
    """Return one sample."""
    return Reading(name=name, labels=labels, value=value, timestamp=at)


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
    result = judge(readings, plan(settings(**more)), NOW)
    assert (result.outcome, result.fault, result.values) == (outcome, fault, values)
    assert result.stage == (Stage.CONNECT if outcome is Outcome.FAILED else None)
    assert not result.answered
    if fault is not None:
        assert DECLARED[fault] == (None if outcome is Outcome.UNKNOWN else Stage.CONNECT)


def test_the_detail_tells_value_and_condition() -> None:
    """What was read, what was agreed, and by which labels to tell several apart."""
    assert judge((reading(0.25),), plan(settings()), NOW).detail == "value 0.25, as agreed: > 0"
    assert judge((reading(-1),), plan(settings()), NOW).detail == "value -1, agreed: > 0"
    late = judge((reading(NOW - 9000),), plan(settings(age=True, ok="< 7200")), NOW)
    assert late.detail == "age in seconds 9000, agreed: < 7200"
    several = judge((reading(1, a="1", b="1"), reading(1, a="2", b="1")), plan(settings(labels={"b": "1"})), NOW)
    assert several.detail == '2 series x{b="1"}; they differ in a'
    assert judge((reading(1), reading(1)), plan(settings()), NOW).detail == "2 series x; they are the same"


@given(
    st.lists(st.tuples(st.sampled_from(["x", MTIME]), st.floats(), st.none() | st.floats()), max_size=4),
    st.sampled_from([{}, AGE, FRESH, {**AGE, **FRESH, "fresh_labels": {}}]),
)
def test_any_readings_give_a_declared_result(
    rows: list[tuple[str, float, float | None]], more: Mapping[str, Any]
) -> None:
    """Whatever the numbers are, the fault is declared, one line explains it and every value is finite."""
    readings = tuple(reading(value, name, at=at) for name, value, at in rows)
    result = judge(readings, plan(settings(**more)), NOW)
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


HOSTS = {
    "http://10.0.0.1:9182/metrics?collect[]=textfile": ("10.0.0.1:9182", "/metrics?collect[]=textfile"),
    "https://Exporter.lab": ("exporter.lab", "/"),
    "https://[2001:db8::1]:9182/m": ("[2001:db8::1]:9182", "/m"),
    "http://[2001:db8::1]/": ("[2001:db8::1]", "/"),
}


@pytest.mark.parametrize("url", HOSTS)
def test_the_request_asks_for_text(url: str) -> None:
    """Host header and target are the URL's; the text format is asked for, uncompressed."""
    asked = page(url, 4).request
    host, target = HOSTS[url]
    headers = dict(asked.headers)
    assert (headers[b"host"].decode(), asked.target.decode()) == (host, target)
    assert headers[b"accept"] == b"text/plain;version=0.0.4"
    assert headers[b"accept-encoding"] == b"identity"


def reply(*data: bytes, room: int = 1000) -> Scraped | Missed | None:
    """Feed a reply and return the first verdict."""
    parsed = Reply((Wanted(name="x"),), room)
    parsed.begin(page(URL, 4).request)
    verdicts = (parsed.feed(piece) for piece in data)
    return next((verdict for verdict in verdicts if verdict is not None), None)


HEAD = b"HTTP/1.1 200 OK\r\n"
LONG = HEAD + b"Content-Length: 4\r\n\r\n"
REPLIES: dict[str, tuple[tuple[bytes, ...], str | None]] = {
    "a redirect": ((b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\n\r\n",), "exporter-error"),
    "an error": ((b"HTTP/1.1 503 Busy\r\n\r\n",), "exporter-error"),
    "no content": ((b"HTTP/1.1 204 None\r\n\r\n",), "exporter-error"),
    "no HTTP": ((b"SSH-2.0-x\r\n\r\n",), "malformed"),
    "nothing": ((b"",), "exporter-unreachable"),
    "half a head": ((HEAD, b""), "malformed"),
    "half a body": ((LONG + b"x", b""), "malformed"),
    "no end of line": ((LONG + b"x 12",), "malformed"),
    "too long": ((HEAD + b"\r\n" + b"x 1\n" * 251,), "malformed"),
    "a head without end": ((HEAD + b"A: b\r\n" * 20_000,), "malformed"),
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
        assert isinstance(verdict, Missed)
        assert verdict.fault == fault


@pytest.mark.parametrize(
    ("line", "expected"), [(b"Mon, 23 Nov 2026 17:00:00 GMT", NOW), (b"soon", None), (b"\xff", None)]
)
def test_the_exporters_clock_is_read(line: bytes, expected: float | None) -> None:
    """The Date header where it is one."""
    verdict = reply(HEAD + b"Date: " + line + b"\r\nContent-Length: 4\r\n\r\nx 1\n")
    assert isinstance(verdict, Scraped)
    assert verdict.date == expected


@given(st.lists(st.binary(max_size=40) | st.sampled_from([HEAD, LONG, b"\r\n", b"x 1\n"]), max_size=6))
def test_any_bytes_of_a_reply_give_a_verdict(data: list[bytes]) -> None:
    """A value and no exception, whatever comes, ending with the close."""
    verdict = reply(*[piece for piece in data if piece], b"")
    assert isinstance(verdict, Scraped | Missed)
    assert isinstance(verdict, Scraped) or verdict.fault in DECLARED


def test_the_type_is_declared() -> None:
    """A state that confirms in the rounds; every key, fault and metric is explained."""
    assert SPEC.evidence is Evidence.STATE
    assert set(SPEC.key_help) == {field.name for field in msgspec.structs.fields(Settings)}
    assert len(DECLARED) == len(SPEC.faults)
    for fault in SPEC.faults:
        assert fault.meaning.endswith(".")
        assert fault.remedy.endswith((".", "?"))
    assert {"metric_value", "metric_age_seconds"} == {metric.name for metric in SPEC.metrics}


def test_only_declared_faults_are_written() -> None:
    """Every fault name in the source stands in the table."""
    source = Path(judge.__code__.co_filename).read_text()
    written = re.findall(r'(?:unknown\(|fault=|failed\(Stage\.CONNECT, )\s*"([a-z-]+)"', source)
    assert len(written) > 6
    assert set(written) <= DECLARED.keys()
