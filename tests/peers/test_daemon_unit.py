"""The systemd unit: systemd itself finds nothing wrong with it, and it runs the command that there is."""

import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from agent.daemon.errors import EX_CONFIG
from agent.daemon.process import STOP_SECONDS
from tests.peers.running_agent import CHECKOUT, RunningAgent

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (package systemd)"),
]
UNIT = CHECKOUT / "deploy" / "systemd" / "demarc.service"


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze; it needs no running systemd for this."""
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=60, check=False)


def unit() -> ConfigParser:
    """Return the unit; keys that stand twice keep their last value."""
    parsed = ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    parsed.read(UNIT)
    return parsed


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    """With a program in the place of the installed one, verify says nothing."""
    here = tmp_path / UNIT.name
    here.write_text(UNIT.read_text().replace("/opt/demarc/bin/demarc", sys.executable))
    done = analyze("verify", "--man=no", str(here))
    about_it = [line for line in (done.stdout + done.stderr).splitlines() if "demarc" in line]
    assert about_it == []


def test_exposure_stays_low() -> None:
    """Systemd's own score, 0 (best) to 10, stays below 2."""
    done = analyze("security", "--offline=true", "--threshold=20", str(UNIT))
    assert done.returncode == 0, done.stdout


def test_unit_runs_the_command_that_there_is(tmp_path: Path) -> None:
    """Its words are accepted by the command line: with no such file they end in the exit code for that."""
    words = unit()["Service"]["ExecStart"].replace("/etc/demarc", str(tmp_path)).split()[1:]
    done = subprocess.run(RunningAgent.command(*words), cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == EX_CONFIG
    assert "cannot be read" in done.stderr


def test_unit_agrees_with_the_agent() -> None:
    """It waits longer than a stop takes and does not restart over a wrong configuration."""
    service = unit()["Service"]
    assert float(service["TimeoutStopSec"]) > STOP_SECONDS
    assert int(service["RestartPreventExitStatus"]) == EX_CONFIG
    assert service["Type"] == "notify"
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == "CAP_NET_RAW"
