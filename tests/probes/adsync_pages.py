"""What windows_exporter shows of an Entra Connect server, as the collector of deploy/windows writes it."""

from collections.abc import Mapping

NOW = 1_795_478_400.0
MINUTE = 60.0
_ENTRA, _AD = 'connector="corp.onmicrosoft.com - AAD",type="entra"', 'connector="corp.lab",type="ad"'


def runs(connector: str, profile: str, result: str = "success", *, age: float = 5 * MINUTE) -> dict[str, float]:
    """Return the last run of a profile, and when it last ended well."""
    named = f'{connector},profile="{profile}"'
    ended = {f'adsync_last_run_end_timestamp_seconds{{{named},result="{result}"}}': NOW - age}
    good = NOW - age if result == "success" else NOW - 35 * MINUTE
    return ended | {f"adsync_last_success_timestamp_seconds{{{named}}}": good}


def entra(profile: str = "Export", result: str = "success", *, age: float = 5 * MINUTE) -> dict[str, float]:
    """Return a run to Entra."""
    return runs(_ENTRA, profile, result, age=age)


def directory(profile: str = "Delta Import", result: str = "success", *, age: float = 5 * MINUTE) -> dict[str, float]:
    """Return a run to Active Directory."""
    return runs(_AD, profile, result, age=age)


def last_good(connector: str, profile: str, age: float) -> dict[str, float]:
    """Return when a profile last ended well."""
    named = _ENTRA if connector == "entra" else _AD
    return {f'adsync_last_success_timestamp_seconds{{{named},profile="{profile}"}}': NOW - age}


HEALTHY: Mapping[str, float] = {
    "adsync_collector_timestamp_seconds": NOW - MINUTE,
    **{f'adsync_collector_success{{section="{name}"}}': 1.0 for name in ("service", "scheduler", "runs", "passwords")},
    "adsync_service_running": 1.0,
    "adsync_sync_cycle_enabled": 1.0,
    "adsync_scheduler_suspended": 0.0,
    "adsync_staging_mode": 0.0,
    **entra(),
    **directory(),
    'adsync_phs_heartbeat_timestamp_seconds{connector="corp.lab"}': NOW - 2 * MINUTE,
    'adsync_version_info{version="2.5.190.0"}': 1.0,
    'windows_exporter_collector_success{collector="textfile"}': 1.0,
}


HEARTBEAT = 'adsync_phs_heartbeat_timestamp_seconds{connector="corp.lab"}'
EXPORT = next(name for name in entra() if "run_end" in name)
IMPORT = next(name for name in directory() if "run_end" in name)


def exposition(changes: Mapping[str, float | None], base: Mapping[str, float] = HEALTHY) -> str:
    """Return a page: the healthy one with `changes`, of which None leaves a series out."""
    series = {**base, **changes}
    return "".join(f"{name} {value!r}\n" for name, value in series.items() if value is not None)
