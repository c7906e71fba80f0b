"""The xfrm probe with the real kernel: policies, what is being negotiated, events, and no permission."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.lab

EXPECTED: dict[str, tuple[str, str]] = {
    "nothing": ("failed", "not-configured"),
    "policy": ("failed", "sa-missing"),
    "under negotiation": ("failed", "sa-missing"),
    "flushed": ("failed", "not-configured"),
    "no permission": ("unknown", "no-permission"),
}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """Return every step's result."""
    tried = subprocess.run(["unshare", "--net", "ip", "xfrm", "policy"], capture_output=True, check=False)
    if os.geteuid() != 0 or tried.returncode:
        pytest.skip("root, and a kernel with IPsec's netlink")
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.lab.xfrm_places"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    results: dict[str, Any] = json.loads(done.stdout)
    return results


@pytest.mark.parametrize("step", EXPECTED)
def test_the_kernels_word_is_read(step: str, found: dict[str, Any]) -> None:
    """Each state of the kernel gives its verdict; one that is not shown is unknown."""
    assert (found[step]["outcome"], found[step]["fault"]) == EXPECTED[step]


def test_a_missing_tunnel_is_a_series_at_zero(found: dict[str, Any]) -> None:
    """Configured and not established is one and zero."""
    values = found["policy"]["values"]
    assert (values["vpn_tunnels_configured"], values["vpn_tunnels_established"]) == (1, 0)


def test_the_kernel_tells_of_a_change(found: dict[str, Any]) -> None:
    """A policy that is added makes the probes of that gateway ask at once."""
    assert found["event"] == "192.0.2.2"


def test_error_counters_need_no_permission(found: dict[str, Any]) -> None:
    """What /proc tells everybody is told though the associations are not."""
    assert found["no permission"]["values"]["xfrm_in_errors_total"] == 0


def test_no_descriptor_stays_open(found: dict[str, Any]) -> None:
    """An attempt gives back what it opened."""
    assert found["descriptors"] == 0
