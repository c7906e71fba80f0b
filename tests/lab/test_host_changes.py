"""Links and routes of a real kernel: heard within milliseconds, and nothing lost in a storm of 10,000 routes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.lab

WELL = {"links": ["a0", "b0", "c0", "d0"], "routes": True, "gateways": True, "used": ["a0"], "dark": []}
ONE_PORT = ["c0", "d0"]
TARGETS = ["192.0.2.9", "198.51.100.1"]
# step of host_changes.py -> what is read, beside WELL
EXPECTED: dict[str, dict[str, Any]] = {
    "well": {},
    "carrier lost": {"links": ONE_PORT, "gateways": False, "dark": TARGETS},
    "carrier again": {},
    "after the flap": {},
    "default route gone": {"gateways": False},
    "default route again": {},
    "switched off": {"links": ONE_PORT, "gateways": False, "used": []},
    "after a storm": {},
    "after it": {"gateways": False},
    "after an overrun": {"gateways": False},
}


@pytest.fixture(scope="module")
def found(lab_possible: None) -> dict[str, Any]:
    """Return what each step found."""
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", sys.executable, "-m", "tests.lab.host_changes"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    results: dict[str, Any] = json.loads(done.stdout)
    return results


@pytest.mark.parametrize("step", EXPECTED)
def test_what_is_read(found: dict[str, Any], step: str) -> None:
    """After each change the host reads as it is; the storm and the overrun changed nothing in that."""
    assert found[step] == WELL | EXPECTED[step]


def test_a_flap_leaves_its_mark(found: dict[str, Any]) -> None:
    """A carrier that was gone between two looks makes its targets dark in the next one."""
    assert found["a flap"] == {"dark": TARGETS}


def test_a_storm_is_heard_whole(found: dict[str, Any]) -> None:
    """With the large buffer all 10,000 routes are heard coming and going; without it the overrun is told."""
    assert found["heard"] >= 10_000
    assert found["calm"] >= 10_001
    assert found["overruns"]
