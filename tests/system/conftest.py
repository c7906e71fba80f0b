"""One virtual machine for the whole run, and what it reported. Where it cannot run the tests fail and say why."""

import json
import os
import re
import shutil
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.system import debian_root, machine, package

HERE = Path(__file__).parent
CACHE = package.ROOT / "build" / "machine"
# A backstop. On two idle cores it takes a fraction of this; beside other work an emulated machine takes its time.
WITHIN_SECONDS = 900.0
# Services of a first boot and of terminals, which nothing here asks.
MASKED = (
    *("getty.target", "systemd-logind.service", "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service"),
    *("systemd-ask-password-wall.path", "systemd-ask-password-console.path", "systemd-repart.service"),
    *("systemd-firstboot.service", "systemd-machine-id-commit.service", "systemd-hwdb-update.service"),
)
TEST_UNIT = """[Unit]
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
WorkingDirectory=/opt/test
Environment=PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
StandardOutput=file:/dev/ttyS1
StandardError=file:/dev/ttyS1
ExecStart=/usr/bin/python3 -m tests.system.guest_steps
# When the other one has ended, if it has not yet.
ExecStopPost=/usr/bin/systemctl start kernel-test.service
"""
# Beside it: it has namespaces of its own, and the machine has two processors.
KERNEL_UNIT = """[Unit]
After=multi-user.target
[Service]
Type=oneshot
RemainAfterExit=yes
WorkingDirectory=/opt/test
Environment=PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
StandardOutput=file:/dev/ttyS2
StandardError=file:/dev/ttyS2
ExecStart=/opt/demarc/bin/python -m tests.system.kernel_guest
"""
TARGET = "[Unit]\nRequires=multi-user.target\nWants=system-test.service kernel-test.service\nAfter=multi-user.target\n"


def plan() -> dict[str, Any]:
    """Return what the documents tell to do, in the order in which the guest does it."""
    operations = package.install_lines(package.ROOT / "docs/operations.md")
    readme = package.install_lines(package.ROOT / "README.md")
    vpn, dispute = ((package.ROOT / f"docs/{name}.md").read_text() for name in ("vpn", "dispute"))
    units = [line for line in operations if line.startswith("install ")]
    first = [line for line in readme if " init " in line or " check " in line]
    doctor = [line for line in (*readme, *operations) if "demarc doctor" in line]
    enable = [line for line in operations if line.startswith("systemctl")]
    return {
        "install": [*units, *first, *doctor, *enable],
        "doctor": doctor[-1],
        "gate": re.findall(r"^    ((?:install|systemctl) .*)", vpn, re.MULTILINE),
        "right": textwrap.dedent("".join(re.findall(r"^    \[Service\]\n(?:    .*\n)+", vpn, re.MULTILINE))),
        "credential": re.findall(r"`(LoadCredentialEncrypted=ledger-key:\S+)`", dispute)[0],
    }


def prepare(root: Path) -> None:
    """Put the guest's steps and its own unit into the root."""
    units = root / "etc/systemd/system"
    for name in MASKED:
        (units / name).unlink(missing_ok=True)
        (units / name).symlink_to("/dev/null")
    (units / "system-test.service").write_text(TEST_UNIT)
    (units / "kernel-test.service").write_text(KERNEL_UNIT)
    (units / "system-test.target").write_text(TARGET)
    (units / "default.target").unlink(missing_ok=True)
    (units / "default.target").symlink_to("system-test.target")
    test = root / "opt/test"
    shutil.rmtree(test, ignore_errors=True)
    shutil.copytree(HERE, test / "tests/system", ignore=shutil.ignore_patterns("__pycache__"))
    (test / "plan.json").write_text(json.dumps(plan()))


@pytest.fixture(scope="session")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what the guest reported."""
    if os.geteuid():
        pytest.fail("the virtual machine is LEFT OUT: making its root folder takes root")
    found = machine.find()
    if isinstance(found, str):
        pytest.fail(f"the virtual machine is LEFT OUT: it needs {found}")
    try:
        root = package.make(CACHE, (*debian_root.PACKAGES, f"linux-image-{found.release}"))
    except debian_root.MissingPackageError as missing:
        pytest.fail(f"the virtual machine is LEFT OUT: Debian packages are missing: {missing}")
    prepare(root)
    console, report = machine.run(found, root, tmp_path_factory.mktemp("machine"), within=WITHIN_SECONDS)
    assert 'RESULT ["end"' in report, f"{console[-2000:]}\n{report[-4000:]}"
    return report


@pytest.fixture(scope="session")
def found(printed: str) -> dict[str, Any]:
    """Return every step's finding."""
    lines = [json.loads(line.removeprefix("RESULT ")) for line in printed.splitlines() if line.startswith("RESULT ")]
    return {line[0]: line[1] for line in lines}
