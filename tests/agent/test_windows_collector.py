"""The collector for Entra Connect, as far as its text tells: nothing here runs PowerShell."""

import re
from pathlib import Path

import pytest

from probes.adsync import SPEC
from probes.kit.adsync_state import NAMES

FOLDER = Path(__file__).parents[2] / "deploy" / "windows"
SCRIPTS = ("demarc-adsync.ps1", "install-demarc-adsync.ps1")
COLLECTOR = (FOLDER / SCRIPTS[0]).read_text()
WRITTEN = set(re.findall(r"Add-Sample '([a-z_]+)'", COLLECTOR))


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_reads_the_same_in_every_locale(name: str) -> None:
    """ASCII (PowerShell 5.1 takes a file without a mark for the local code page), strict, and no tabs."""
    data = (FOLDER / name).read_bytes()
    text = data.decode("ascii")
    assert data.endswith(b"\n")
    assert "\t" not in text
    assert "Set-StrictMode -Version Latest" in text
    assert "$ErrorActionPreference = 'Stop'" in text


def test_the_probe_reads_what_the_collector_writes() -> None:
    """Every series that the probe looks for is written, but the exporter's own; each has a name of ours."""
    assert {name for name in NAMES if name.startswith("adsync_")} <= WRITTEN
    assert all(name.startswith("adsync_") for name in WRITTEN)
    # A metric of the probe is another thing than a series of the collector.
    assert not WRITTEN & {metric.name for metric in SPEC.metrics}


def test_times_do_not_pass_through_text() -> None:
    """No date is formatted or parsed by the locale's rules; numbers are written by the invariant culture."""
    assert "ToString('R', $invariant)" in COLLECTOR
    assert not re.search(r"Get-Date -Format|-UFormat|\[datetime\]::Parse|ToShortDate|\.ToString\(\)", COLLECTOR)


def test_the_file_appears_in_one_piece_with_lf() -> None:
    """It is written beside, with a final line feed, and moved over; the exporter reads *.prom only."""
    assert '(($lines -join "`n") + "`n")' in COLLECTOR
    assert "[System.IO.File]::Replace($part, $OutputFile" in COLLECTOR
    assert '$part = "$OutputFile.part"' in COLLECTOR
    assert not re.search(r"Set-Content|Out-File|Add-Content", COLLECTOR)


def test_nothing_is_changed_and_nobody_is_named() -> None:
    """Only commands that read, and none that reads objects of the directory."""
    commands = set(re.findall(r"\b([A-Z][a-z]+)-ADSync(\w+)", COLLECTOR))
    assert {verb for verb, _ in commands} == {"Get"}
    assert {noun for _, noun in commands} <= {
        "Scheduler",
        "Connector",
        "RunProfileResult",
        "PartitionPasswordSyncState",
    }


def test_the_task_has_few_rights() -> None:
    """A managed account without elevation, no password in a file, files that only administrators change."""
    text = (FOLDER / SCRIPTS[1]).read_text()
    assert "-RunLevel Limited" in text
    assert "SetAccessRuleProtection($true, $false)" in text
    assert "ADSyncAdmins" not in text
    assert "'S-1-5-32-544', 'FullControl'" in text
    assert "SupportsShouldProcess" in text
