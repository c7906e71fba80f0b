"""The route probe with the real kernel: routes, fallbacks and interfaces that change while it looks."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.lab

# step of route_places.py -> (outcome, fault, what the detail tells)
EXPECTED: dict[str, tuple[str, str | None, str]] = {
    "present": ("ok", None, "10.20.0.5 goes via 10.1.0.2 by vpn0, table 220"),
    "present, IPv6": ("ok", None, "fd00:20::5 goes via fd00:1::2 by vpn0, table main"),
    "nothing agreed": ("ok", None, "10.20.0.5 goes via 10.1.0.2 by vpn0, table 220"),
    "own address": ("ok", None, "127.0.0.1 goes by lo, table local"),
    "other device": ("failed", "wrong-device", "eth0 is agreed; 10.20.0.5 goes via 10.1.0.2 by vpn0"),
    "no such device": ("failed", "device-down", "there is no vpn9"),
    "other gateway": ("failed", "wrong-gateway", "10.1.0.3 is agreed"),
    "whole network": ("ok", None, "10.20.0.5 goes via 10.1.0.2 by vpn0, table 220"),
    "a part by the way, not taken": ("ok", None, "10.20.0.5 goes via 10.1.0.2 by vpn0, table 220"),
    "a part elsewhere": ("failed", "wrong-device", "10.20.5.0 goes by interface"),
    "a part nowhere": ("failed", "unreachable", "10.20.5.0 goes nowhere: an unreachable route; 10.20.0.5 goes via"),
    "whole again": ("ok", None, "table 220"),
    "whole network, IPv6": ("ok", None, "fd00:20::5 goes via fd00:1::2 by vpn0, table main"),
    "blackhole": ("failed", "unreachable", "a blackhole route"),
    "prohibit": ("failed", "unreachable", "a prohibit route"),
    "no route": ("failed", "unreachable", "no route"),
    "unreachable, IPv6": ("failed", "unreachable", "an unreachable route"),
    "blackhole, IPv6": ("failed", "unreachable", "a blackhole route"),
    "removed": ("failed", "unreachable", "10.20.0.5 goes nowhere: an unreachable route"),
    "removed, IPv6": ("failed", "unreachable", "fd00:20::5 goes nowhere: no route"),
    "default takes over": ("failed", "wrong-device", "vpn0 is agreed; 10.20.0.5 goes by eth0, table main"),
    "back, lower MTU": ("ok", None, "table 220"),
    "no carrier": ("failed", "device-down", "vpn0 is down"),
    "carrier again": ("ok", None, "table 220"),
    "switched off": ("failed", "device-down", "vpn0 is switched off"),
}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """Return every step's result."""
    root = Path(__file__).parents[2]
    if (refusal := _refusal()) is not None:
        pytest.skip(refusal)
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", sys.executable, "-m", "tests.lab.route_places"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    results: dict[str, Any] = json.loads(done.stdout)
    return results


def _refusal() -> str | None:
    """Return why this machine has no namespace with a tun device, None when it has."""
    tried = subprocess.run(
        ["unshare", "--map-root-user", "--net", "ip", "tuntap", "add", "t0", "mode", "tun"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    return None if tried.returncode == 0 else f"no tun device in a namespace: {tried.stderr.strip()}"


@pytest.mark.parametrize("step", EXPECTED)
def test_what_the_kernel_does_is_what_is_told(found: dict[str, Any], step: str) -> None:
    """Each change of routes and interfaces is seen at once, with its name and what was found instead."""
    outcome, fault, detail = EXPECTED[step]
    result = found[step]
    assert (result["outcome"], result["fault"]) == (outcome, fault), result
    assert detail in result["detail"]
    assert result["stage"] == ("connect" if fault else None)


def test_counted(found: dict[str, Any]) -> None:
    """MTU is the route's where it has one; the link is 1 or 0; the kernel's error counters are there."""
    assert found["present"]["values"] == {
        "route_mtu_bytes": 1500.0,
        "route_link_up": 1.0,
        "route_link_receive_errors": 0.0,
        "route_link_transmit_errors": 0.0,
    }
    assert found["back, lower MTU"]["values"]["route_mtu_bytes"] == 1300.0
    assert [found[step]["values"]["route_link_up"] for step in ("no carrier", "carrier again", "switched off")] == [
        0,
        1,
        0,
    ]
    assert found["no route"]["values"] == {}


def test_many_at_once_leave_nothing(found: dict[str, Any]) -> None:
    """Fifty attempts at once, shared and fresh, find their own answers; afterwards no descriptor is left open."""
    assert found["many"] == {"ok": 50, "left": 0}
    assert found["closed"]["left"] < 0


def test_it_costs_little(found: dict[str, Any]) -> None:
    """An attempt takes some milliseconds, and the type some twenty megabytes (1 ms and 13 MB measured)."""
    assert found["cost"]["milliseconds"] < 20, found["cost"]
    assert found["memory"]["opened"] + found["memory"]["used"] < 24_000, found["memory"]
