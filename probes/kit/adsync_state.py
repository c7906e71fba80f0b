"""The state of an Entra Connect server as its collector writes it (deploy/windows), and what of it is not in order.

Pure. What must stay true: what the collector could not read is blind, never in order; of several findings the one
nearest to the cause is the fault, and the detail names them all; a word for a run's result that is not known here is
`unknown`, since Microsoft may add some at any time.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from probes.kit.exposition import Reading, Wanted
from probes.kit.result import Outcome, Result, Stage, unknown

# Two clocks may differ a little (the exporter's and the collector's are of one server, but drift shows in Date too).
FUTURE_SECONDS: Final = 300.0
# Events of the certificate come with each cycle: one of yesterday is of a certificate since replaced.
EVENT_SECONDS: Final = 24 * 3600.0
_DAY: Final = 86400.0
_DETAIL: Final = 400
_VERSION: Final = re.compile(r"\d{1,6}(?:\.\d{1,6}){1,3}\Z", re.ASCII)

NAMES: Final = (
    "adsync_collector_timestamp_seconds",
    "adsync_collector_success",
    "adsync_service_running",
    "adsync_sync_cycle_enabled",
    "adsync_scheduler_suspended",
    "adsync_staging_mode",
    "adsync_last_run_end_timestamp_seconds",
    "adsync_last_success_timestamp_seconds",
    "adsync_phs_heartbeat_timestamp_seconds",
    "adsync_version_info",
    "adsync_event_timestamp_seconds",
    "adsync_certificate_expiry_timestamp_seconds",
    "windows_textfile_scrape_error",
    "windows_exporter_collector_success",
)
WANTED: Final = tuple(Wanted(name=name) for name in NAMES)

Role = Literal["active", "staging"]


class Agreed(msgspec.Struct, frozen=True, kw_only=True):
    """How the server should be: its role, the least version, ages in seconds."""

    role: Role = "active"
    password_sync: bool = True
    warn: float
    critical: float
    password_warn: float
    password_critical: float
    collector_within: float
    minimum_version: tuple[int, ...]
    certificate_days: float


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The last run of a profile: of which kind of connector ("ad", "entra" or another), its result, its end.

    `succeeded`: when one ended well, 0 when none is known to have.
    """

    connector: str
    kind: str
    profile: str
    result: str
    ended: float
    succeeded: float = 0.0


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """What the collector wrote, None or empty where it wrote nothing; times in UTC epoch seconds."""

    collected: float
    blind: tuple[str, ...] = ()
    running: bool | None = None
    enabled: bool | None = None
    suspended: bool | None = None
    staging: bool | None = None
    runs: tuple[Run, ...] = ()
    passwords: Mapping[str, float] = MappingProxyType({})
    version: str = ""
    events: Mapping[str, float] = MappingProxyType({})
    certificate_ends: float | None = None


class Finding(msgspec.Struct, frozen=True):
    """Something that is not in order: the fault, whether it stops the synchronisation, and in words."""

    fault: str
    stops: bool
    detail: str


# What is the server's own, whatever lies around it; of the rest (a run that failed, an age) the cause may lie anywhere
# on the path: at the controllers, on the way out, at Microsoft.
OWN: Final = frozenset(
    {
        "service-stopped",
        "sync-certificate-expired",
        "version-unsupported",
        "scheduler-disabled",
        "staging",
        "not-staging",
    }
)


# How a run's result is taken, by its beginning (the longest that fits); the rest is unknown.
_RESULTS: Final = MappingProxyType(
    {
        "success": "good",
        "in-progress": "good",
        "completed-no-objects": "good",
        "completed-warnings": "good",
        "completed-": "errors",  # completed-export-errors, completed-sync-errors, completed-transient-objects, …
        "stopped-deletion-threshold-exceeded": "threshold",
        "stopped-": "failed",
        "no-start-": "failed",
    }
)


def kind_of(result: str) -> str:
    """Return how a run's result is taken: good, errors, threshold, failed or unknown."""
    if result.startswith("completed-") and result.endswith("-warnings"):
        return "good"
    fitting = [start for start in _RESULTS if result == start or (start.endswith("-") and result.startswith(start))]
    return _RESULTS[max(fitting, key=len)] if fitting else "unknown"


def version_of(text: str) -> tuple[int, ...] | None:
    """Return a version as numbers, None when it is none."""
    return tuple(map(int, text.split("."))) if _VERSION.match(text) else None


class Written:
    """The finite readings of a page, by name."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._by_name: dict[str, list[Reading]] = {}
        for one in readings:
            if math.isfinite(one.value):
                self._by_name.setdefault(one.name, []).append(one)

    def all(self, name: str) -> Sequence[Reading]:
        """Return the series of a name."""
        return self._by_name.get(name, ())

    def first(self, name: str) -> float | None:
        """Return the value of a name's first series."""
        return next((one.value for one in self.all(name)), None)

    def flag(self, name: str) -> bool | None:
        """Return the same as yes or no."""
        value = self.first(name)
        return None if value is None else bool(value)

    def by(self, label: str, name: str) -> dict[str, float]:
        """Return the values of a name by one of their labels."""
        return {one.labels.get(label, ""): one.value for one in self.all(name)}


def gather(readings: Iterable[Reading]) -> Server | Result:
    """Return what the collector wrote, or why there is nothing of it."""
    written = Written(readings)
    collected = written.first("adsync_collector_timestamp_seconds")
    if collected is None:
        return _nothing(written)
    sections = written.by("section", "adsync_collector_success")
    return Server(
        collected=collected,
        blind=tuple((section or "?")[:40] for section, read in sections.items() if not read),
        running=written.flag("adsync_service_running"),
        enabled=written.flag("adsync_sync_cycle_enabled"),
        suspended=written.flag("adsync_scheduler_suspended"),
        staging=written.flag("adsync_staging_mode"),
        runs=tuple(_runs_of(written)),
        passwords=written.by("connector", "adsync_phs_heartbeat_timestamp_seconds"),
        version=next(iter(written.by("version", "adsync_version_info")), ""),
        events=written.by("id", "adsync_event_timestamp_seconds"),
        certificate_ends=written.first("adsync_certificate_expiry_timestamp_seconds"),
    )


def _runs_of(written: Written) -> Iterable[Run]:
    """Yield the last run of each profile, with when one last ended well."""

    def of(one: Reading) -> tuple[str, str]:
        return one.labels.get("connector", ""), one.labels.get("profile", "")

    succeeded = {of(one): one.value for one in written.all("adsync_last_success_timestamp_seconds")}
    for one in written.all("adsync_last_run_end_timestamp_seconds"):
        connector, profile = of(one)
        yield Run(
            connector=connector,
            kind=one.labels.get("type", ""),
            profile=profile,
            result=one.labels.get("result", ""),
            ended=one.value,
            succeeded=succeeded.get((connector, profile), 0.0),
        )


def facts(server: Server) -> dict[str, str]:
    """Return what was seen of the server's configuration; what it does now (a run, an age) is none."""
    flags = {"scheduler enabled": server.enabled, "staging mode": server.staging}
    found = {name: "yes" if flag else "no" for name, flag in flags.items() if flag is not None}
    if server.version:
        found["version"] = server.version
    if server.runs:
        found["connectors"] = ", ".join(sorted({run.connector for run in server.runs}))
    return found


def _nothing(written: Written) -> Result:
    """Return why there is no reading: the exporter could not read its files, or there is none of ours."""
    erred = any(one.value for one in written.all("windows_textfile_scrape_error"))
    if erred or written.by("collector", "windows_exporter_collector_success").get("textfile") == 0:
        return unknown("textfile-error", "windows_exporter could not read its text files")
    return unknown("collector-missing", "the exporter has no series of the collector")


def judge(server: Server, agreed: Agreed, now: float) -> Result:
    """Return what the state means at `now` (UTC epoch seconds, the server's own clock where it gave one)."""
    old = now - server.collected
    values = {"adsync_collector_age_seconds": max(old, 0.0)}
    if old < -FUTURE_SECONDS:
        return unknown("clock", f"collected {-old:.0f} s in the future", values=values)
    if old > agreed.collector_within:
        within = f"wanted within {agreed.collector_within / 60:.0f} min"
        return unknown("collector-stale", f"collected {old / 60:.0f} min ago, {within}", values=values)
    found = tuple(findings(server, agreed, now))
    values |= _values(server, now) | {"adsync_findings": float(len(found))}
    detail = "; ".join(one.detail for one in found)[:_DETAIL]
    stopping = next((one for one in found if one.stops), None)
    if stopping is not None:
        own = stopping.fault in OWN
        return Result(
            outcome=Outcome.FAILED,
            stage=Stage.ANSWER if own else Stage.CONNECT,
            fault=stopping.fault,
            answered=own,
            detail=detail,
            values=values,
        )
    strange = [run for run in server.runs if kind_of(run.result) == "unknown"]
    if strange:
        return unknown("run-result-unknown", f"{_run(strange[0])}: {strange[0].result[:80]!r}", values=values)
    blind = _unseen(server, agreed)
    if blind:
        return unknown("collector-blind", f"the collector could not read: {', '.join(blind)}"[:_DETAIL], values=values)
    if found:
        return Result(outcome=Outcome.DEGRADED, fault=found[0].fault, detail=detail, values=values)
    return Result(outcome=Outcome.OK, detail=_described(server, now), values=values)


def findings(server: Server, agreed: Agreed, now: float) -> Iterable[Finding]:
    """Yield what is not in order, the nearest to a cause first."""
    if server.running is False:
        yield Finding("service-stopped", True, "the service ADSync does not run")
    yield from _credential(server, agreed, now)
    version = version_of(server.version)
    if version is not None and version < agreed.minimum_version:
        wanted = ".".join(map(str, agreed.minimum_version))
        yield Finding("version-unsupported", True, f"version {server.version}, supported from {wanted}")
    if any(kind_of(run.result) == "threshold" for run in server.runs):
        yield Finding("deletion-threshold", True, "an export stopped at the threshold of deletions")
    if server.enabled is False:
        yield Finding("scheduler-disabled", True, "the scheduler is disabled")
    if server.staging is True and agreed.role == "active":
        yield Finding("staging", True, "the server is in staging mode: it exports nothing and no passwords")
    if server.staging is False and agreed.role == "staging":
        yield Finding("not-staging", True, "the server exports, while it should stage: there are two active ones")
    yield from _runs(server, agreed, now)
    if agreed.password_sync and not server.staging:
        yield from _passwords(server, agreed, now)
    if server.suspended is True:
        yield Finding("scheduler-suspended", False, "the scheduler is suspended: a wizard is open, or was left so")


def _credential(server: Server, agreed: Agreed, now: float) -> Iterable[Finding]:
    """Yield what is wrong with the certificate by which the server signs in, by its own end or by events."""
    ends = server.certificate_ends
    recent = {number for number, moment in server.events.items() if 0 <= now - moment + FUTURE_SECONDS <= EVENT_SECONDS}
    if (ends is not None and ends <= now) or (ends is None and "1012" in recent):
        yield Finding("sync-certificate-expired", True, "the certificate of the synchronisation has expired")
    elif ends is not None and ends - now <= agreed.certificate_days * _DAY:
        yield Finding("certificate-expiring", False, f"the certificate expires in {(ends - now) / _DAY:.0f} days")
    elif ends is None and "1011" in recent:
        yield Finding("certificate-expiring", False, "the server warns that its certificate expires")


def _runs(server: Server, agreed: Agreed, now: float) -> Iterable[Finding]:
    failed = [run for run in server.runs if kind_of(run.result) == "failed"]
    for fault, own in (("entra-run-failed", "entra"), ("ad-run-failed", "ad"), ("other-run-failed", "")):
        mine = [run for run in failed if (run.kind if run.kind in ("ad", "entra") else "") == own]
        if mine:
            # One run that fails is made good by the next; three cycles without a good one are not.
            lasting = any(now - run.succeeded >= agreed.warn for run in mine)
            yield Finding(fault, lasting, "; ".join(f"{_run(run)}: {run.result[:60]}" for run in mine[:4]))
    ages = [now - run.ended for run in server.runs if kind_of(run.result) in ("good", "errors")]
    if ages and min(ages) >= agreed.warn:
        stale = min(ages) >= agreed.critical
        yield Finding("runs-stale" if stale else "runs-late", stale, f"the last run ended {min(ages) / 60:.0f} min ago")
    erring = [run for run in server.runs if kind_of(run.result) == "errors"]
    if erring:
        yield Finding("run-errors", False, "; ".join(f"{_run(run)}: {run.result[:60]}" for run in erring[:4]))


def _passwords(server: Server, agreed: Agreed, now: float) -> Iterable[Finding]:
    """Yield how long ago the connector that lags the most synchronised passwords."""
    if not server.passwords:
        return
    name, moment = min(server.passwords.items(), key=lambda item: item[1])
    age = now - moment
    if age >= agreed.password_warn:
        stale = age >= agreed.password_critical
        fault = "password-stale" if stale else "password-late"
        yield Finding(fault, stale, f"passwords of {name[:60]} last synchronised {age / 60:.0f} min ago")


def _unseen(server: Server, agreed: Agreed) -> tuple[str, ...]:
    """Return what cannot be said to be in order, since nobody could look."""
    missing = {
        "service": server.running is None,
        "scheduler": None in (server.enabled, server.suspended, server.staging),
        "runs": not server.runs,
        "version": version_of(server.version) is None,
        "passwords": agreed.password_sync and not server.staging and not server.passwords,
    }
    return tuple(dict.fromkeys((*(name for name, is_so in missing.items() if is_so), *server.blind)))


def _run(run: Run) -> str:
    return f"{run.connector[:60]} {run.profile[:40]}".strip()


def _values(server: Server, now: float) -> dict[str, float]:
    values: dict[str, float] = {}
    ended = [run.ended for run in server.runs if kind_of(run.result) in ("good", "errors")]
    if ended:
        values["adsync_run_age_seconds"] = max(now - max(ended), 0.0)
    if server.passwords:
        values["adsync_password_age_seconds"] = max(now - min(server.passwords.values()), 0.0)
    if server.staging is not None:
        values["adsync_staging"] = float(server.staging)
    return values


def _described(server: Server, now: float) -> str:
    age = _values(server, now).get("adsync_run_age_seconds", 0.0)
    return f"version {server.version}, last run {age / 60:.0f} min ago{', staging' if server.staging else ''}"
