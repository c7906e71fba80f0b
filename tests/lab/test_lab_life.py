"""A lab comes up, goes down and leaves nothing behind, however it is interrupted."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import rundir
from lab.api import Lab
from lab.rundir import LabError
from lab.services import CHECKOUT
from tests.lab.conftest import unique_name

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab_possible")]

NOBODY = 65534


def cli(*arguments: str, python: tuple[str, ...] = (sys.executable,)) -> subprocess.CompletedProcess[str]:
    """Run the lab's command line to its end."""
    return subprocess.run(
        [*python, "-m", "lab", *arguments], cwd=CHECKOUT, capture_output=True, text=True, timeout=30, check=False
    )


def remains(run_dir: Path) -> list[str]:
    """Return what is left of a lab: processes (they alone hold its namespaces), files, mounts, named networks."""
    mounts = Path("/proc/self/mountinfo").read_text()
    named = [entry.name for entry in Path("/run/netns").glob(f"*{run_dir.name}*")]
    return [
        *(f"process {pid}" for pid in rundir.processes(run_dir)),
        *([str(run_dir)] if run_dir.exists() else []),
        *([f"mount of {run_dir}"] if str(run_dir) in mounts else []),
        *named,
    ]


def eventually(condition: Callable[[], bool], seconds: float = 8.0) -> bool:
    """Poll until `condition` holds."""
    deadline = time.monotonic() + seconds
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return held


@pytest.fixture
def name() -> Iterator[str]:
    """A name for one lab, which is cleared whatever the test does."""
    chosen = unique_name("life")
    yield chosen
    rundir.clear(rundir.path_of(chosen))


def test_up_status_down_by_the_command_line(name: str) -> None:
    """The lab outlives the command that brought it up; `down` leaves nothing and says so once."""
    up = cli("up", "--name", name)
    assert up.returncode == 0, up.stderr
    status = cli("status", "--name", name)
    assert "up on both sides" in status.stdout
    assert "fault    none" in status.stdout
    assert cli("down", "--name", name).stdout == f"The lab {name!r} is gone.\n"
    assert remains(rundir.path_of(name)) == []
    assert "no lab" in cli("down", "--name", name).stdout


def test_a_second_up_of_one_name_is_refused(name: str) -> None:
    """The running lab is not disturbed."""
    with Lab.up(name) as lab:
        refused = cli("up", "--name", name)
        assert (refused.returncode, "up already" in refused.stderr) == (1, True)
        assert lab.status().tunnel
    assert remains(lab.run_dir) == []


def test_two_labs_do_not_see_each_other(name: str) -> None:
    """Same addresses, own worlds: a fault in one leaves the other whole."""
    with Lab.up(name) as one, Lab.up(f"{name}-b") as other:
        one.break_("app-stopped")
        ca = str(other.run_dir / "ca.pem")
        fetched = other.run("cloud-host", ["curl", "-sS", "--cacert", ca, "https://erp.corp.lab/health"])
        assert fetched.stdout == "erp is well\n", fetched.stderr
        assert one.run("cloud-host", ["curl", "-sS", "https://erp.corp.lab/health"]).returncode == 7  # refused
        assert not other.status().faults
    assert remains(one.run_dir) + remains(other.run_dir) == []


@pytest.mark.parametrize("after", [0.05, 0.12, 0.2, 0.3, 0.4, 0.5])
def test_an_interrupted_up_leaves_nothing(name: str, after: float) -> None:
    """Killed at any moment, the lab's processes end by themselves; `up` anew works, `down` clears."""
    run_dir = rundir.path_of(name)
    with subprocess.Popen(
        [sys.executable, "-m", "lab", "up", "--name", name],
        cwd=CHECKOUT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as starter:
        time.sleep(after)
        starter.kill()
    ended = eventually(lambda: not rundir.processes(run_dir), 3)
    if not ended:  # the last of the moments may come after the starter let go: then the lab is simply up
        assert cli("status", "--name", name).returncode == 0
    cli("down", "--name", name)
    assert remains(run_dir) == []
    with Lab.up(name) as lab:
        assert lab.status().tunnel
    assert remains(run_dir) == []


def test_a_killed_supervisor_takes_everything_along(name: str) -> None:
    """Servers and namespaces go with it; the next `up` of that name starts clean."""
    lab = Lab.up(name)
    state = rundir.read_state(lab.run_dir)
    assert state is not None
    os.kill(state.pid, signal.SIGKILL)
    assert eventually(lambda: not rundir.processes(lab.run_dir))
    with pytest.raises(LabError, match="does not answer"):
        lab.status()
    with Lab.up(name) as again:
        assert again.status().tunnel
    lab.down()
    assert remains(lab.run_dir) == []


def test_a_tied_lab_goes_with_its_starter(name: str) -> None:
    """A test run that is killed leaves no lab and no agent."""
    code = (
        "import sys, time; from lab.api import Lab; lab = Lab.up(sys.argv[1]);"
        "lab.popen('cloud-host', ['sleep', '100']); print('up', flush=True); time.sleep(100)"
    )
    run_dir = rundir.path_of(name)
    with subprocess.Popen(
        [sys.executable, "-c", code, name], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "up\n"
        assert eventually(lambda: rundir.processes(run_dir, guests_of="cloud-host") != [])
        starter.kill()
    assert eventually(lambda: remains(run_dir) == [])


def test_down_ends_what_was_started_inside(name: str) -> None:
    """A program started by `exec` ends with the lab, even one that ignores SIGTERM."""
    lab = Lab.up(name)
    stubborn = ["sh", "-c", "trap '' TERM; sleep 100; true"]
    with subprocess.Popen(
        [sys.executable, "-m", "lab", "exec", "--name", name, "onprem-host", "--", *stubborn], cwd=CHECKOUT
    ) as guest:
        assert eventually(lambda: guest.pid in rundir.processes(lab.run_dir, guests_of="onprem-host"))
        lab.down()
        assert guest.wait(2) == -signal.SIGKILL
    assert remains(lab.run_dir) == []


def test_a_started_process_is_the_program_itself(name: str) -> None:
    """The agent's process id is known, signals reach it, and the fault `agent-suspended` stops and continues it."""
    with Lab.up(name) as lab, lab.popen("cloud-host", ["sleep", "100"]) as agent:

        def state() -> str:
            return Path(f"/proc/{agent.pid}/stat").read_text().rpartition(") ")[2][0]

        assert eventually(lambda: Path(f"/proc/{agent.pid}/comm").read_text() == "sleep\n")
        lab.break_("agent-suspended")
        assert eventually(lambda: state() == "T")
        lab.heal()
        assert eventually(lambda: state() == "S")
        agent.terminate()


def test_a_node_has_its_own_name_servers_and_devices(name: str) -> None:
    """What a program sees in /etc/resolv.conf and /sys is the node's; the machine's stays as it was."""
    before = Path("/etc/resolv.conf").read_bytes()
    with Lab.up(name) as lab:
        shown = lab.run("cloud-host", ["sh", "-c", "ls /sys/class/net; cat /etc/resolv.conf"]).stdout.split()
        assert shown[:3] == ["eth0", "lo", "oob0"]
        assert shown[3:5] == ["nameserver", lab.addresses["dns"]]
    assert Path("/etc/resolv.conf").read_bytes() == before


def test_errors_are_plain_sentences(name: str) -> None:
    """No lab, no such command, a wrong parameter, a bad name: status and one sentence, no traceback."""
    assert "No lab" in cli("status", "--name", name).stderr
    assert "lower case" in cli("status", "--name", "../x").stderr
    with Lab.up(name) as lab:
        assert lab.run("cloud-host", ["no-such-program"]).returncode == 127
        with pytest.raises(LabError, match="No parameter speed; known: cable, percent"):
            lab.break_("loss", speed=3)
        with pytest.raises(LabError, match="<= 1"):
            lab.break_("loss", percent=300)
        with pytest.raises(LabError, match="No cable"):
            lab.break_("loss", cable="middle")
        lab.break_("dns-stopped")
        with pytest.raises(LabError, match="active already"):
            lab.break_("dns-stopped")
        with pytest.raises(LabError, match="not active"):
            lab.heal("near-cut")
        assert list(lab.status().faults) == ["dns-stopped"]
        assert lab.heal("dns-stopped").faults == {}


def test_sigterm_ends_a_lab_in_order(name: str) -> None:
    """As at the machine's shutdown: processes and files are gone."""
    lab = Lab.up(name)
    state = rundir.read_state(lab.run_dir)
    assert state is not None
    os.kill(state.pid, signal.SIGTERM)
    assert eventually(lambda: remains(lab.run_dir) == [])
    lab.down()


@pytest.mark.skipif(os.geteuid() != 0, reason="the other lab tests run as this ordinary user already")
def test_an_ordinary_user_gets_a_lab_too(name: str) -> None:
    """In user namespaces of their own, faults included."""
    path = ":".join(entry for entry in sys.path if entry)
    become = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "env", "-u", "XDG_RUNTIME_DIR")
    pythons = [sys.executable, shutil.which("python3", path="/usr/bin") or sys.executable]
    for python in pythons:
        command = (*become, f"PYTHONPATH={path}", "PYTHONDONTWRITEBYTECODE=1", python)
        if (
            subprocess.run(
                [*command, "-c", "import lab.api"], cwd=CHECKOUT, capture_output=True, check=False
            ).returncode
            == 0
        ):
            break
    else:
        pytest.skip("no Python here that an ordinary user may run with the project's dependencies")
    run_dir = Path("/tmp") / f"demarc-lab-{name}"
    try:
        up = cli("up", "--name", name, python=command)
        assert up.returncode == 0, up.stderr
        broken = cli("break", "onprem-gw-dead", "--name", name, python=command)
        assert "tunnel   down" in broken.stdout, broken.stderr
        assert "up on both sides" in cli("heal", "--name", name, python=command).stdout
        assert cli("exec", "--name", name, "app", "--", "true", python=command).returncode == 0
    finally:
        down = cli("down", "--name", name, python=command)
    assert "is gone" in down.stdout, down.stderr
    assert remains(run_dir) == []
