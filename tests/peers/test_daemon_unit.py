"""The systemd unit: systemd itself finds nothing wrong with it, and it runs the command that there is."""

import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from agent.cli import vici
from agent.daemon.errors import EX_CONFIG
from agent.daemon.process import STOP_SECONDS
from tests.peers.running_agent import CHECKOUT, RunningAgent

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (package systemd)"),
]
UNIT = CHECKOUT / "deploy" / "systemd" / "demarc.service"
GATE, GATE_SOCKET = (UNIT.with_name(f"demarc-vici.{kind}") for kind in ("service", "socket"))
UNITS = (UNIT, GATE, GATE_SOCKET)


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze; it needs no running systemd for this."""
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=60, check=False)


def unit(path: Path = UNIT) -> ConfigParser:
    """Return a unit; keys that stand twice keep their last value."""
    parsed = ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    parsed.read(path)
    return parsed


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    """With a program in the place of the installed one, verify says nothing of any unit."""
    for path in UNITS:
        (tmp_path / path.name).write_text(path.read_text().replace("/opt/demarc/bin/demarc", sys.executable))
    done = analyze("verify", "--man=no", *(str(tmp_path / path.name) for path in UNITS))
    about_it = [line for line in (done.stdout + done.stderr).splitlines() if "demarc" in line]
    assert about_it == []


@pytest.mark.parametrize("path", [UNIT, GATE], ids=["agent", "gate"])
def test_exposure_stays_low(path: Path) -> None:
    """Systemd's own score, 0 (best) to 10, stays below 2."""
    done = analyze("security", "--offline=true", "--threshold=20", str(path))
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


def test_the_gates_units_agree_with_its_command() -> None:
    """The socket is the command's own default, its group the agent's, and the command has these options."""
    options = {option.name: option for option in vici.command.params}
    assert unit(GATE_SOCKET)["Socket"]["ListenStream"] == str(options["listen"].default)
    assert unit(GATE_SOCKET)["Socket"]["SocketGroup"] == unit()["Service"]["Group"] == options["group"].default
    words = unit(GATE)["Service"]["ExecStart"].split()[2:]
    assert words == ["--charon", options["charon"].default]
