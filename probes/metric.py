"""Metric: series of any Prometheus exporter, against a condition: to watch what only others can see.

What must stay true: the value is the exporter's word about a state. It proves nothing on the way, and
a state that is not as agreed may have any cause on the declared path, so it accuses the whole path.
Whatever keeps us from reading fresh numbers is `unknown`: no exposition, no such series, NaN, a time
stamp that is too old; no reply too, unless the declared path is said to be the way to the exporter.
Ages are counted by the clock of the reply's own Date header where it has one, so that our clock cannot
make a state stale. Neither body nor reply is ever held whole.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal

import msgspec

from probes.kit.address import FAMILY_HELP, KEPT
from probes.kit.condition import GRAMMAR, Condition, overlap, parse_condition
from probes.kit.exposition import Malformed, Wanted, selector
from probes.kit.matcher import LABEL_NAME, Matcher, parse_matcher
from probes.kit.readings import Readings, open_readings, timed
from probes.kit.result import Result, Stage, failed, unknown
from probes.kit.scrape import REACH_FAULTS, SCRAPE_FAULTS, Access, Missed, Page, Scraped, page
from probes.kit.scrapes import Taken
from probes.kit.series import LEAST_RATE_SECONDS, Agreement, Many, Snapshot, judge, snapshot
from probes.kit.spec import Duration, Evidence, Fault, Flow, Kit, Metric, Pace, Spec
from probes.kit.tls import Trust
from probes.kit.trouble import LOCAL_FAULTS

# What every exporter may use (prometheus.io/docs/concepts/data_model); UTF-8 names are not asked for.
_METRIC_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,254}")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Which series of which exporter, what they must be, and how old they may be."""

    target: str
    metric: str
    labels: dict[str, str] = {}
    match: tuple[str, ...] = ()
    ok: str
    degraded: str = ""
    several: Many = "ambiguous"
    age: bool = False
    rate: bool = False
    fresh_metric: str = ""
    fresh_labels: dict[str, str] = {}
    fresh_within: Duration = Duration(15 * 60)
    unreachable: Literal["unknown", "failed"] = "unknown"
    user: str = ""
    password_file: str = ""
    token_file: str = ""
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    family: Literal[4, 6] = 4


SPEC: Final = Spec(
    type="metric",
    summary="Series of any Prometheus exporter meet a condition: what only others can see.",
    settings=Settings,
    key_help={
        "target": "URL of the exporter's metrics, http or https; a query may narrow what it collects.",
        "metric": "Name of the series, as the exporter writes it.",
        "labels": "Labels that the series must have, with exactly these values; an empty value: must not have.",
        "match": "Further labels, in quotes: `label=value`, `label!=value`, `label=one|other`; `*` in a value stands "
        "for any text.",
        "ok": f"What the value must be, in quotes: {GRAMMAR}. A number may have a unit of time (s, m, h, d).",
        "degraded": "What it may be for a while: a condition that shares no value with `ok`.",
        "several": "What it means that several series fit. ambiguous: nobody knows, `unknown`; any, all: one of them, "
        "all of them meet the conditions; sum, min, max, count: the conditions are about that number. None that fits "
        "is `unknown` in every case.",
        "age": "The value is a time (UTC epoch seconds); the conditions are about its age in seconds.",
        "rate": "The value is a counter; the conditions are about its increase a second since this probe's last "
        "scrape. A counter that went down began again at zero. The first scrape is `unknown`.",
        "fresh_metric": "A series of the same exporter that holds the time of the last reading, as "
        "windows_textfile_mtime_seconds does for a file that a scheduled task writes.",
        "fresh_labels": "Labels of that series.",
        "fresh_within": "How old that time, or a time stamp of the series' own, may be; older is `unknown`. A rate "
        "reaches back no further.",
        "unreachable": "failed: the declared path is the way to the exporter, and no reply counts as in other types; "
        "unknown: the path is the watched state's, and without a reply nobody could look.",
        "user": "User of basic authentication, over https only.",
        "password_file": "File with its password, or `credential:NAME` for a systemd credential.",
        "token_file": "The same with a bearer token.",
        "ca_file": "PEM file of authorities to trust instead of the system's.",
        "certificate_file": "PEM file with our own certificate and its chain, or `credential:NAME` of systemd.",
        "key_file": "PEM file of its key, without a passphrase, or `credential:NAME`; empty: in the same file.",
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
            "Write more `labels`, or say with `several` what they mean; the detail names where they differ.",
        ),
        Fault("not-a-number", None, "The value is NaN.", "Ask the exporter's owner; NaN often means: not measured."),
        Fault(
            "reading-stale",
            None,
            "The reading is older than `fresh_within`: nobody has looked since.",
            "Look at what writes it: a scheduled task, a collector.",
        ),
        Fault("no-rate", None, "A rate needs two scrapes, and there has been one.", "Wait for the next one."),
        Fault(
            "timestamp-future",
            None,
            "A time lies in the future, or is none.",
            "Is the series in seconds? Compare the exporter's clock with the one that wrote the time.",
        ),
        *SCRAPE_FAULTS,
        *REACH_FAULTS,
        *LOCAL_FAULTS,
    ),
    metrics=(
        Metric("metric_value", "The value, rate or aggregate that was judged; for an age the time that was read."),
        Metric("metric_series", "How many series it was made of, where several may fit."),
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
    """Settings, read and checked; `wanted` are the series to look for."""

    page: Page
    agreed: Agreement
    wanted: tuple[Wanted, ...]
    on_the_way: bool


def flow(settings: Settings) -> Flow:
    """Return the scrape's flow; ValueError says which key is wrong and what to write."""
    made = plan(settings)
    end = made.page.end
    several = "" if settings.several == "ambiguous" else f"{settings.several} of "
    return Flow(
        host=end.host,
        protocol="tcp",
        port=end.port,
        family=end.family,
        # That the exporter answers says nothing of the state, nor one condition of another.
        function=f"{several}{selector(made.agreed.series)} {made.agreed.ok.text} at {settings.target}",
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
    if settings.age and (settings.rate or settings.several in ("sum", "count")):
        raise ValueError(f"age: has no {'rate' if settings.rate else settings.several}; leave one of them out")
    series = _wanted("", settings.metric, settings.labels, tuple(map(_matcher, settings.match)))
    fresh = _wanted("fresh_", settings.fresh_metric, settings.fresh_labels) if settings.fresh_metric else None
    access = Access(user=settings.user, password_file=settings.password_file, token_file=settings.token_file)
    trust = Trust(ca_file=settings.ca_file, certificate_file=settings.certificate_file, key_file=settings.key_file)
    return Plan(
        page=page(settings.target, settings.family, access, trust),
        agreed=Agreement(
            series=series,
            ok=ok,
            degraded=degraded,
            several=settings.several,
            age=settings.age,
            rate=settings.rate,
            fresh=fresh,
            fresh_within=settings.fresh_within,
        ),
        wanted=(series,) if fresh is None else (series, fresh),
        on_the_way=settings.unreachable == "failed",
    )


def _condition(key: str, text: str) -> Condition:
    try:
        return parse_condition(text)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _matcher(text: str) -> Matcher:
    try:
        return parse_matcher(text)
    except ValueError as error:
        raise ValueError(f"match: {error}") from None


def _wanted(prefix: str, name: str, labels: dict[str, str], matchers: tuple[Matcher, ...] = ()) -> Wanted:
    """Return the series; the keys of the chain file are `prefix` + metric and labels."""
    if not _METRIC_NAME.fullmatch(name):
        raise ValueError(f"{prefix}metric: {name[:40]!r} is no metric name; write it without labels, as `up`")
    for label in labels:
        if not LABEL_NAME.fullmatch(label):
            raise ValueError(f"{prefix}labels: {label[:40]!r} is no label name")
    return Wanted(name=name, labels=labels, matchers=matchers)


class _Known(msgspec.Struct, kw_only=True, eq=False):
    """One probe: its settings (kept alive, since they are known by their identity), plan and last counters."""

    settings: Settings
    plan: Plan
    before: Snapshot | None = None


class MetricRunner:
    """All metric probes of the agent."""

    def __init__(self, kit: Kit, readings: Readings) -> None:
        self._kit = kit
        self._readings = readings
        self._known: dict[int, _Known] = {}

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:  # noqa: ARG002
        """Judge a scrape that this probe has not had yet, so that every attempt is `fresh`."""
        known = self._probe(settings)
        taken = await self._readings.take(known.plan.page, known.plan.wanted, known, deadline)
        if isinstance(taken.outcome, Missed):
            result = _missed(taken.outcome, known.plan)
        else:
            result = await self._judged(taken, taken.outcome, known, deadline)
        return timed(result, taken)

    def _probe(self, settings: Settings) -> _Known:
        known = self._known.get(id(settings))
        if known is None or known.settings is not settings:
            before = next((one.before for one in self._known.values() if one.settings == settings), None)  # a reload
            if len(self._known) >= KEPT:
                self._known.clear()
            known = self._known[id(settings)] = _Known(settings=settings, plan=plan(settings), before=before)
        return known

    async def _judged(self, taken: Taken, scraped: Scraped, known: _Known, deadline: float) -> Result:
        """Parse, in a thread when it is much, and judge."""
        readings = await self._readings.read(scraped, known.plan.wanted, deadline)
        if isinstance(readings, Result):
            return readings
        agreed = known.plan.agreed
        if isinstance(readings, Malformed):
            at_stage = failed(Stage.ANSWER, "malformed", answered=True, detail=readings.detail)
            return _missed(Missed("malformed", readings.detail, at_stage), known.plan)
        now = self._kit.clock.wall() if scraped.date is None else scraped.date
        result = judge(readings, agreed, now, known.before, taken.ended)
        if agreed.rate and (known.before is None or taken.ended - known.before.at >= LEAST_RATE_SECONDS):
            known.before = snapshot(readings, agreed, taken.ended)
        if agreed.series in scraped.found.flooded:  # what was left out may be the series too
            return unknown("ambiguous", f"too many series {selector(agreed.series)}"[:400])
        return result


def _missed(missed: Missed, made: Plan) -> Result:
    """Return what no reading means: nothing, or a fail on the way to the exporter."""
    return missed.on_the_way if made.on_the_way else unknown(missed.fault, missed.detail)


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator[MetricRunner]:  # noqa: A001 - the probe interface's name
    """Open the shared runner."""
    async with open_readings(kit) as readings:
        yield MetricRunner(kit, readings)
