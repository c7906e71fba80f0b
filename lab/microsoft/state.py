"""What the simulator shall do, as a JSON file that is read at every request.

What must stay true: a file that does not fit leaves the simulator on its last good state, and a
written file is complete or absent.
"""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from lab.microsoft.exchange import PERMISSIONS

ServerError = Literal["500", "502", "503", "504", "5xx"]
Mode = Literal["ok", "null", "401", "403", "429", "500", "502", "503", "504", "5xx", "html", "hang", "slow"]
Arm = Mode | Literal["404"]
Login = Literal["ok", "429", "500", "502", "503", "504", "5xx", "html", "hang", "slow"]
Credential = Literal["valid", "expired", "wrong", "app-missing", "app-disabled", "policy"]
Identity = Literal["ok", "missing", "410", "429", "500", "hang"]
JobCode = Literal["NotConfigured", "NotRun", "Active", "Paused", "Quarantine"]
Execution = Literal["Succeeded", "Failed", "EntryLevelErrors"]
Quarantine = Literal[
    "EncounteredBaseEscrowThreshold",
    "EncounteredTotalEscrowThreshold",
    "EncounteredEscrowProportionThreshold",
    "EncounteredQuarantineException",
    "QuarantinedOnDemand",
    "TooManyDeletes",
    "IngestionInterrupted",
    "Unknown",
]

# A moment without a zone would mean the host's own zone.
Moment = Annotated[datetime, msgspec.Meta(tz=True)]

# Entra Connect's default cycle (Get-ADSyncScheduler: AllowedSyncCycleInterval 00:30:00).
CYCLE_SECONDS = 1800.0


class State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every switch of the simulator; README.md explains each."""

    mode: Mode = "ok"
    login: Login = "ok"
    credential: Credential = "valid"
    sync_enabled: bool | None = True
    last_sync: Moment | None = None
    sync_age_seconds: float | None = None
    last_password_sync: Moment | None = None
    password_sync_age_seconds: float | None = None
    permissions: tuple[str, ...] = PERMISSIONS
    user_errors: int = 0
    group_errors: int = 0
    contact_errors: int = 0
    job_code: JobCode = "Active"
    job_execution: Execution = "Succeeded"
    job_quarantine: Quarantine = "EncounteredQuarantineException"
    job_actionable: bool = True
    job_age_seconds: float | None = 60.0
    health: str = "serviceOperational"
    health_origin: str = "microsoft"
    secret_ends: Moment | None = None
    identity: Identity = "ok"
    arm: Arm = "ok"
    vpn_status: Literal["Connected", "NotConnected", "Connecting", "Unknown"] = "Connected"
    vpn_since: Moment | None = None
    vpn_tunnels: tuple[str, ...] = ("site_instance0",)
    vpn_tunnels_down: tuple[str, ...] = ()
    vpn_received_bytes: int | None = None
    vpn_sent_bytes: int | None = None
    vpn_health: Literal["Available", "Unavailable", "Degraded", "Unknown"] = "Available"
    retry_after: str | None = "2.128"
    slow_seconds: float = 3.0

    def synced(self, now: float) -> float:
        """Return when the last synchronisation ended (UTC epoch seconds), seen at `now`."""
        return _moment(self.last_sync, self.sync_age_seconds, now)

    def password_synced(self, now: float) -> float:
        """Return when password hashes were last synchronised (UTC epoch seconds), seen at `now`."""
        return _moment(self.last_password_sync, self.password_sync_age_seconds, now)


def _moment(fixed: datetime | None, age_seconds: float | None, now: float) -> float:
    if fixed is not None:
        return fixed.timestamp()
    return now - age_seconds if age_seconds is not None else now - now % CYCLE_SECONDS


def freeze(state: State, now: float) -> State:
    """Return `state` with both synchronisations stopped where they stand at `now`."""
    return msgspec.structs.replace(
        state,
        last_sync=datetime.fromtimestamp(int(state.synced(now)), UTC),
        last_password_sync=datetime.fromtimestamp(int(state.password_synced(now)), UTC),
    )


def change(state: State, changes: dict[str, object]) -> State:
    """Return `state` with `changes` (JSON values); raises msgspec.ValidationError."""
    return msgspec.convert({**msgspec.to_builtins(state), **changes}, State)


def load(path: Path) -> State:
    """Return the state in `path`, defaults when there is none; raises msgspec.DecodeError."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return State()
    return msgspec.json.decode(data, type=State)


def save(path: Path, state: State) -> None:
    """Write `state` to `path` in one piece."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(state)) + b"\n")
    part.replace(path)
