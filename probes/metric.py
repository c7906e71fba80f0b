"""Metric: one series of any Prometheus exporter, against a condition: to watch what only others can see.

What must stay true: the value is the exporter's word about a state. It proves nothing on the way, and
a state that is not as agreed may have any cause on the declared path, so it accuses the whole path
(stage `connect`; a later stage would accuse the exporter's own segment alone). Whatever keeps us from
reading exactly one fresh number is `unknown`: no reply, no exposition, no such series, several, NaN, a
time stamp that is too old. Ages are counted by the clock of the reply's own Date header where it has
one, so that our clock cannot make a state stale. Neither body nor reply is ever held whole.
"""

import asyncio
import math
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Final, Literal

import msgspec

from probes.kit.address import FAMILY_HELP, KEPT
from probes.kit.condition import Condition, overlap, parse_condition
from probes.kit.exposition import Malformed, Missing, Parser, Reading, Several, Wanted, choose, read, selector
from probes.kit.result import Outcome, Result, Stage, failed, unknown
from probes.kit.scrape import SCRAPE_FAULTS, Missed, Page, Scrape, Scraped, page
from probes.kit.spec import Duration, Evidence, Fault, Flow, Kit, Metric, Pace, Spec
from probes.kit.tls import Contexts
from probes.kit.trouble import LOCAL_FAULTS

# Above this the parser works in a thread: 16 KiB take it 16 ms at worst (see probes.kit.exposition).
_THREAD_BYTES: Final = 16 * 1024
# Two clocks may differ a little; a time further in the future is none, or not in seconds.
FUTURE_SECONDS: Final = 300.0
# What every exporter may use (prometheus.io/docs/concepts/data_model); UTF-8 names are not asked for.
_METRIC_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,254}")
_LABEL_NAME: Final = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]{0,254}")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Which series of which exporter, what it must be, and how old it may be."""

    target: str
    metric: str
    labels: dict[str, str] = {}
    ok: str
    degraded: str = ""
    age: bool = False
    fresh_metric: str = ""
    fresh_labels: dict[str, str] = {}
    fresh_within: Duration = Duration(15 * 60)
    ca_file: str = ""
    family: Literal[4, 6] = 4


SPEC: Final = Spec(
    type="metric",
    summary="A series of any Prometheus exporter meets a condition: what only others can see.",
    settings=Settings,
    key_help={
        "target": "URL of the exporter's metrics, http or https; a query may narrow what it collects.",
        "metric": "Name of the series, as the exporter writes it.",
        "labels": "Labels that the series must have, with exactly these values; enough of them to leave one series.",
        "ok": 'What the value must be, in quotes: "> 0", ">= 1", "== 1", "!= 3", "< 7200", or a range "0..5".',
        "degraded": "What it may be for a while: a condition that shares no value with `ok`.",
        "age": "The value is a time (UTC epoch seconds); the conditions are about its age in seconds.",
        "fresh_metric": "A series of the same exporter that holds the time of the last reading, as "
        "windows_textfile_mtime_seconds does for a file that a scheduled task writes.",
        "fresh_labels": "Labels of that series.",
        "fresh_within": "How old that time, or a time stamp of the series' own, may be; older is `unknown`.",
        "ca_file": "PEM file of authorities to trust instead of the system's.",
        "family": FAMILY_HELP,
    },
    phases=("resolve", "connect", "secure", "first_byte", "transfer"),
    faults=(
        Fault(
            "condition-degraded",
            Stage.CONNECT,
            "The value meets `degraded`, not `ok` (degraded).",
            "See the detail for the value; look at what the series measures.",
        ),
        Fault(
            "condition",
            Stage.CONNECT,
            "The value does not meet the condition.",
            "See the detail for the value; look at what the series measures.",
        ),
        Fault(
            "no-series",
            None,
            "The exporter has no such series.",
            "Compare `metric` and `labels` with the exporter's page; is the collector switched on?",
        ),
        Fault(
            "ambiguous",
            None,
            "Several series have this name and these labels.",
            "Write more `labels`; the detail names those in which they differ.",
        ),
        Fault("not-a-number", None, "The value is NaN.", "Ask the exporter's owner; NaN often means: not measured."),
        Fault(
            "reading-stale",
            None,
            "The reading is older than `fresh_within`: nobody has looked since.",
            "Look at what writes it: a scheduled task, a collector.",
        ),
        Fault(
            "timestamp-future",
            None,
            "A time lies in the future, or is none.",
            "Is the series in seconds? Compare the exporter's clock with the one that wrote the time.",
        ),
        *SCRAPE_FAULTS,
        *LOCAL_FAULTS,
    ),
    metrics=(
        Metric("metric_value", "The value that the exporter gave."),
        Metric("metric_age_seconds", "Age of the time that was read: the value's with `age`, else the reading's."),
    ),
    evidence=Evidence.STATE,
    pace=Pace.ROUND,
    default_interval=15.0,
    # Timeouts are equal where probes meet in one conflict by what crosses the path; a state does not. An
    # exporter collects while we wait: windows_exporter and snmp_exporter take seconds for it.
    default_timeout=5.0,
    leaves_traces="One scrape in the exporter's log; each makes it collect what it serves.",
)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Settings, read and checked."""

    page: Page
    series: Wanted
    fresh: Wanted | None
    ok: Condition
    degraded: Condition | None
    age: bool
    fresh_within: float


def flow(settings: Settings) -> Flow:
    """Return the scrape's flow; ValueError says which key is wrong and what to write."""
    made = plan(settings)
    end = made.page.end
    return Flow(
        host=end.host,
        protocol="tcp",
        port=end.port,
        family=end.family,
        # That the exporter answers says nothing of the state, nor one condition of another.
        function=f"{selector(made.series)} {made.ok.text} at {settings.target}",
        connect_bytes=60,  # a SYN with its options
        carry_bytes=1500,  # full segments
        named=end.named,
    )


def plan(settings: Settings) -> Plan:
    """Return the settings as the attempt needs them; ValueError names the key and what to write."""
    ok = _condition("ok", settings.ok)
    degraded = _condition("degraded", settings.degraded) if settings.degraded else None
    if degraded is not None and overlap(ok, degraded):
        raise ValueError(f"degraded: shares values with `ok` ({ok.text}); write what only `degraded` shall mean")
    if settings.fresh_labels and not settings.fresh_metric:
        raise ValueError("fresh_labels: write `fresh_metric` too, or leave them out")
    if settings.fresh_within <= 0:
        raise ValueError("fresh_within: write a time above zero, as `15m`")
    fresh = _wanted("fresh_", settings.fresh_metric, settings.fresh_labels) if settings.fresh_metric else None
    return Plan(
        page=page(settings.target, settings.family, settings.ca_file),
        series=_wanted("", settings.metric, settings.labels),
        fresh=fresh,
        ok=ok,
        degraded=degraded,
        age=settings.age,
        fresh_within=settings.fresh_within,
    )


def _condition(key: str, text: str) -> Condition:
    try:
        return parse_condition(text)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _wanted(prefix: str, name: str, labels: dict[str, str]) -> Wanted:
    """Return the series; the keys of the chain file are `prefix` + metric and labels."""
    if not _METRIC_NAME.fullmatch(name):
        raise ValueError(f"{prefix}metric: {name[:40]!r} is no metric name; write it without labels, as `up`")
    for label in labels:
        if not _LABEL_NAME.fullmatch(label):
            raise ValueError(f"{prefix}labels: {label[:40]!r} is no label name")
    return Wanted(name=name, labels=labels)


def judge(readings: tuple[Reading, ...], made: Plan, now: float) -> Result:
    """Return what the readings say at `now` (UTC epoch seconds, the exporter's clock where it gave one)."""
    reading = _single(readings, made.series)
    if isinstance(reading, Result):
        return reading
    values = {"metric_value": reading.value} if math.isfinite(reading.value) else {}
    if math.isnan(reading.value):
        return unknown("not-a-number", f"{reading.name} is NaN")
    read_at = _read_at(readings, reading, made)
    if isinstance(read_at, Result):
        return read_at
    if read_at is not None:
        old = now - read_at
        values |= _age(old)
        if old < -FUTURE_SECONDS:
            return unknown("timestamp-future", f"read {-old:.0f} s in the future", values=values)
        if old > made.fresh_within:
            return unknown(
                "reading-stale", f"read {old:.0f} s ago, wanted within {made.fresh_within:.0f} s", values=values
            )
    if not made.age:
        return _verdict(reading.value, "value", made, values)
    age = now - reading.value
    values |= _age(age)
    if age < -FUTURE_SECONDS:
        return unknown("timestamp-future", f"{reading.name} lies {-age:.0f} s in the future", values=values)
    return _verdict(max(age, 0.0), "age in seconds", made, values)


def _single(readings: tuple[Reading, ...], wanted: Wanted) -> Reading | Result:
    found = choose(readings, wanted)
    if isinstance(found, Missing):
        return unknown("no-series", f"no series {selector(wanted)}"[:400])
    if isinstance(found, Several):
        differing = f"they differ in {', '.join(found.labels[:8])}" if found.labels else "they are the same"
        return unknown("ambiguous", f"{found.count} series {selector(wanted)}; {differing}"[:400])
    return found


def _read_at(readings: tuple[Reading, ...], reading: Reading, made: Plan) -> float | Result | None:
    """Return when the value was read (UTC epoch seconds): by its own time stamp or by the series that tells it."""
    if made.fresh is None:
        return reading.timestamp
    told = _single(readings, made.fresh)
    if isinstance(told, Result):
        return told
    if math.isnan(told.value):
        return unknown("not-a-number", f"{told.name} is NaN")
    return told.value if reading.timestamp is None else min(told.value, reading.timestamp)


def _age(seconds: float) -> dict[str, float]:
    return {"metric_age_seconds": max(seconds, 0.0)} if math.isfinite(seconds) else {}


def _verdict(number: float, what: str, made: Plan, values: dict[str, float]) -> Result:
    """Return what the conditions say of `number`, which is not NaN."""
    found = f"{what} {number:.10g}"
    if made.ok.holds(number):
        return Result(outcome=Outcome.OK, detail=f"{found}, as agreed: {made.ok.text}", values=values)
    detail = f"{found}, agreed: {made.ok.text}"
    if made.degraded is not None and made.degraded.holds(number):
        return Result(outcome=Outcome.DEGRADED, fault="condition-degraded", detail=detail, values=values)
    return failed(Stage.CONNECT, "condition", detail=detail, values=values)


class MetricRunner:
    """All metric probes of the agent."""

    def __init__(self, kit: Kit, parser: Parser) -> None:
        self._kit = kit
        self._parser = parser
        self._contexts = Contexts()
        self._plans: dict[int, tuple[Settings, Plan]] = {}  # by the identity of settings that it keeps alive

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:  # noqa: ARG002
        """Scrape once and judge; every attempt is `fresh`."""
        began = self._kit.clock.boot()
        made = self._plan(settings)
        wanted = (made.series,) if made.fresh is None else (made.series, made.fresh)
        scrape = Scrape(self._kit, made.page, wanted, deadline)
        scraped = await scrape.run(self._contexts)
        if isinstance(scraped, Missed):
            return unknown(scraped.fault, scraped.detail, phases=scrape.phases)
        result = await self._judged(scraped, made, deadline)
        seconds = None if result.outcome is Outcome.UNKNOWN else self._kit.clock.boot() - began
        return msgspec.structs.replace(result, seconds=seconds, phases=scrape.phases)

    def _plan(self, settings: Settings) -> Plan:
        known = self._plans.get(id(settings))
        if known is None or known[0] is not settings:
            if len(self._plans) >= KEPT:
                self._plans.clear()
            known = self._plans[id(settings)] = settings, plan(settings)
        return known[1]

    async def _judged(self, scraped: Scraped, made: Plan, deadline: float) -> Result:
        """Parse, in a thread when it is much, and judge."""
        sifted = scraped.found
        if len(sifted.first) + sum(map(len, sifted.kept)) <= _THREAD_BYTES:
            readings = read(sifted, self._parser)
        else:
            try:
                async with asyncio.timeout(max(deadline - self._kit.clock.boot(), 0.0)):
                    readings = await asyncio.to_thread(read, sifted, self._parser)
            except TimeoutError:
                return unknown("no-time", "reading the series took longer than the deadline")
        if isinstance(readings, Malformed):
            return unknown("malformed", readings.detail)
        result = judge(readings, made, self._kit.clock.wall() if scraped.date is None else scraped.date)
        if not sifted.whole and result.fault != "ambiguous":  # what was left out may be the series too
            return unknown("ambiguous", f"too many series {selector(made.series)}"[:400])
        return result


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator[MetricRunner]:  # noqa: A001 - the probe interface's name
    """Open the shared runner; the parser is imported here, in a thread, because that takes 80 ms."""
    module = await asyncio.to_thread(import_module, "prometheus_client.parser")
    yield MetricRunner(kit, module.text_string_to_metric_families)
