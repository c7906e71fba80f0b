"""adsync: the Entra Connect server itself, by the text file that a scheduled task writes there (deploy/windows).

No shell into a tier-0 server: the server tells, through windows_exporter, and nobody signs in. What must stay true:
what was read is the server's word about a state, so it proves nothing on the way; what is the server's own accuses it
alone, a run that failed or an age the whole path; a dead collector, an unread section and an exporter that does not
answer are `unknown`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal

import msgspec

from probes.kit.address import FAMILY_HELP, KEPT
from probes.kit.adsync_state import OWN, WANTED, Agreed, Role, facts, gather, judge, version_of
from probes.kit.exposition import Malformed
from probes.kit.readings import Readings, open_readings, timed
from probes.kit.result import Result, Stage, unknown
from probes.kit.scrape import SCRAPE_FAULTS, Access, Missed, Page, Scraped, page
from probes.kit.spec import Duration, Evidence, Fault, Flow, Kit, Metric, Pace, Spec
from probes.kit.tls import Trust
from probes.kit.trouble import LOCAL_FAULTS

_MINUTE: Final = 60.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Which server, what role it has, and how old its state may be."""

    target: str
    role: Role = "active"
    password_sync: bool = True
    # Three and six cycles of 30 minutes; the heartbeat of passwords comes every 30 minutes, Microsoft alerts at 120.
    warn: Duration = Duration(90 * _MINUTE)
    critical: Duration = Duration(180 * _MINUTE)
    password_warn: Duration = Duration(60 * _MINUTE)
    password_critical: Duration = Duration(120 * _MINUTE)
    collector_within: Duration = Duration(15 * _MINUTE)
    minimum_version: str = "2.5.79.0"  # below it Entra refuses since 30 September 2026
    certificate_days: int = 30
    user: str = ""
    password_file: str = ""
    token_file: str = ""
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    family: Literal[4, 6] = 4


def _state(name: str, meaning: str, remedy: str) -> Fault:
    return Fault(name, Stage.ANSWER if name in OWN else Stage.CONNECT, meaning, remedy)


SPEC: Final = Spec(
    type="adsync",
    summary="The Entra Connect server itself, by the file of a scheduled task: service, scheduler, staging, runs, "
    "passwords, certificate, version.",
    settings=Settings,
    key_help={
        "target": "URL of windows_exporter on that server, as `https://sync.corp.example:9182/metrics`; "
        "`?collect[]=textfile` has it collect nothing else.",
        "role": "active: it must export; staging: it must not (a second server that stands by).",
        "password_sync": "Whether password hashes are synchronised, and their age is watched.",
        "warn": "Age of the last run from which it is late (degraded); a cycle takes 30 minutes.",
        "critical": "Age from which it is stale.",
        "password_warn": "The same of the password synchronisation, whose heartbeat comes every 30 minutes.",
        "password_critical": "Age from which that is stale; Microsoft's own alert comes at 120 minutes.",
        "collector_within": "How old the collector's file may be; older is `unknown`.",
        "minimum_version": "Oldest version of Entra Connect that is supported; compare Microsoft's version history.",
        "certificate_days": "Degraded when the certificate by which it signs in ends within so many days.",
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
        _state("service-stopped", "The service ADSync does not run.", "Start it; is its LocalDB full (10 GB)?"),
        _state(
            "sync-certificate-expired",
            "The certificate by which the server signs in has expired (event 1012).",
            "Rotate it: Entra Connect's wizard, Rotate application certificate.",
        ),
        _state("version-unsupported", "Entra does not support this version any more.", "Upgrade Entra Connect."),
        _state(
            "deletion-threshold",
            "An export stopped because it would delete too much.",
            "Are the deletions meant? If so confirm them: Disable-ADSyncExportDeletionThreshold.",
        ),
        _state("scheduler-disabled", "The scheduler is disabled.", "Set-ADSyncScheduler -SyncCycleEnabled $true"),
        _state("staging", "The active server is in staging mode: nothing is exported.", "Who changed it, and why?"),
        _state("not-staging", "A server that should stand by exports.", "There are two active servers: stage one."),
        _state("entra-run-failed", "A run to Entra failed.", "See the detail; look at its way to Microsoft."),
        _state("ad-run-failed", "A run to Active Directory failed.", "See the detail; its account, the controllers."),
        _state("other-run-failed", "A run of another connector failed.", "See the detail."),
        _state("runs-stale", "The last run is older than `critical`.", "Look at the scheduler: is a run hanging?"),
        _state("runs-late", "The last run is older than `warn` (degraded).", "See runs-stale."),
        _state(
            "password-stale",
            "Passwords were last synchronised longer than `password_critical` ago.",
            "Events 611, 655 and 616; restart the service. Are the controllers reachable by RPC?",
        ),
        _state("password-late", "The same, `password_warn` (degraded).", "See password-stale."),
        _state("scheduler-suspended", "The scheduler is suspended (degraded).", "Is a wizard open on the server?"),
        _state("run-errors", "Runs end with errors of single objects (degraded).", "Synchronization Service Manager."),
        _state("certificate-expiring", "The certificate ends soon (degraded).", "Rotate it in time."),
        Fault("collector-missing", None, "The exporter has nothing of our collector.", "See deploy/windows/README.md."),
        Fault("collector-stale", None, "The collector has not run for a while.", "Look at its scheduled task."),
        Fault("collector-blind", None, "The collector could not read a part.", "Look at its rights and its log."),
        Fault("textfile-error", None, "The exporter cannot read its text files.", "Look at the exporter's log."),
        Fault("run-result-unknown", None, "A run ended in a way not known here.", "See the detail; tell us."),
        Fault("clock", None, "The collector's time lies in the future.", "Look at the server's clock."),
        *SCRAPE_FAULTS,
        *LOCAL_FAULTS,
    ),
    metrics=(
        Metric("adsync_run_age_seconds", "Age of the last run that did not fail."),
        Metric("adsync_password_age_seconds", "Age of the password synchronisation of the connector that lags most."),
        Metric("adsync_collector_age_seconds", "Age of what the collector wrote."),
        Metric("adsync_staging", "1 if the server is in staging mode, 0 if it exports."),
        Metric("adsync_findings", "How much is not in order."),
    ),
    evidence=Evidence.STATE,
    pace=Pace.OWN,
    default_interval=60.0,
    default_timeout=10.0,  # windows_exporter collects while we wait
    leaves_traces="One scrape in the exporter's log.",
)


def flow(settings: Settings) -> Flow:
    """Return the scrape's flow; ValueError says which key is wrong and what to write."""
    made = _plan(settings)
    end = made.page.end
    return Flow(
        host=end.host,
        protocol="tcp",
        port=end.port,
        family=end.family,
        function=f"Entra Connect ({settings.role}) at {settings.target}",
        carry_bytes=1500,  # full segments
        named=end.named,
    )


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Settings, read and checked."""

    page: Page
    agreed: Agreed


def _plan(settings: Settings) -> _Plan:
    version = version_of(settings.minimum_version)
    if version is None:
        raise ValueError(f"minimum_version: {settings.minimum_version!r} is no version; write it as `2.5.79.0`")
    for low, high in (("warn", "critical"), ("password_warn", "password_critical")):
        if not 0 < getattr(settings, low) < getattr(settings, high):
            raise ValueError(f"{low}: write a time above zero and below `{high}`")
    if settings.collector_within <= 0:
        raise ValueError("collector_within: write a time above zero, as `15m`")
    if not 0 <= settings.certificate_days <= 3650:
        raise ValueError("certificate_days: write a number from 0 to 3650")
    access = Access(user=settings.user, password_file=settings.password_file, token_file=settings.token_file)
    trust = Trust(ca_file=settings.ca_file, certificate_file=settings.certificate_file, key_file=settings.key_file)
    return _Plan(
        page=page(settings.target, settings.family, access, trust),
        agreed=Agreed(
            role=settings.role,
            password_sync=settings.password_sync,
            warn=settings.warn,
            critical=settings.critical,
            password_warn=settings.password_warn,
            password_critical=settings.password_critical,
            collector_within=settings.collector_within,
            minimum_version=version,
            certificate_days=settings.certificate_days,
        ),
    )


class ServerRunner:
    """All adsync probes of the agent."""

    def __init__(self, kit: Kit, readings: Readings) -> None:
        self._kit = kit
        self._readings = readings
        self._plans: dict[Settings, _Plan] = {}

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:  # noqa: ARG002
        """Judge a scrape that this probe has not had yet, so that every attempt is `fresh`."""
        made = self._plan(settings)
        taken = await self._readings.take(made.page, WANTED, settings, deadline)
        if isinstance(taken.outcome, Missed):
            result = unknown(taken.outcome.fault, taken.outcome.detail)
        else:
            result = await self._judged(taken.outcome, made.agreed, deadline)
        return timed(result, taken)

    def _plan(self, settings: Settings) -> _Plan:
        if settings not in self._plans:
            if len(self._plans) >= KEPT:
                self._plans.clear()
            self._plans[settings] = _plan(settings)
        return self._plans[settings]

    async def _judged(self, scraped: Scraped, agreed: Agreed, deadline: float) -> Result:
        """Parse, in a thread when it is much, and judge."""
        if scraped.found.flooded:
            return unknown("malformed", f"too many series {scraped.found.flooded[0].name}")
        readings = await self._readings.read(scraped, WANTED, deadline)
        if isinstance(readings, Malformed):
            return unknown("malformed", readings.detail)
        if isinstance(readings, Result):
            return readings
        server = gather(readings)
        if isinstance(server, Result):
            return server
        result = judge(server, agreed, self._kit.clock.wall() if scraped.date is None else scraped.date)
        return msgspec.structs.replace(result, facts=facts(server))


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator[ServerRunner]:  # noqa: A001 - the probe interface's name
    """Open the shared runner."""
    async with open_readings(kit) as readings:
        yield ServerRunner(kit, readings)
