"""What real routers and the real kernel say of a path, as the probes report it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.lab

ROUTER, ROUTER_6 = "10.0.1.1", "fd00:1::1"

# case of path_errors.py -> (outcome, fault, by)
EXPECTED: dict[str, tuple[str, str | None, str | None]] = {
    "icmp ok": ("ok", None, None),
    "icmp ok full": ("ok", None, None),
    "icmp too big here": ("unknown", "too-big-here", None),
    "icmp6 ok": ("ok", None, None),
    "icmp6 unreachable": ("failed", "network-unreachable", ROUTER_6),
    "icmp6 too big": ("failed", "too-big", ROUTER_6),
    "icmp6 neighbour": ("failed", "neighbour-silent", None),
    "tcp6 neighbour": ("failed", "neighbour-silent", None),
    "tcp6 refused": ("failed", "refused", None),
    "dns6 refused": ("failed", "refused", ROUTER_6),
    "icmp6 no route": ("unknown", "no-route", None),
    "icmp unreachable": ("failed", "host-unreachable", ROUTER),
    "icmp net unreachable": ("failed", "network-unreachable", ROUTER),
    "icmp prohibited": ("failed", "prohibited", ROUTER),
    "icmp too big": ("failed", "too-big", ROUTER),
    "icmp black hole": ("failed", "timeout", None),
    "icmp loop": ("failed", "ttl-exceeded", ROUTER),
    "icmp no route": ("unknown", "no-route", None),
    "icmp unreachable here": ("unknown", "no-route", None),
    "icmp filtered here": ("unknown", "no-permission", None),
    "icmp neighbour": ("failed", "neighbour-silent", None),
    "liar honest": ("ok", None, None),
    "liar token": ("failed", "timeout", None),
    "liar payload": ("failed", "payload-changed", None),
    "liar identifier": ("failed", "timeout", None),
    "liar sequence": ("failed", "timeout", None),
    "liar source": ("failed", "timeout", None),
    "liar thrice": ("ok", None, None),
    "liar cut": ("failed", "payload-changed", None),
    "liar error": ("failed", "host-unreachable", ROUTER),
    "liar error, other identifier": ("failed", "timeout", None),
    "liar error, other sequence": ("failed", "timeout", None),
    "liar stubs": ("ok", None, None),
    "liar every other": ("degraded", "packet-loss", None),
    "liar swaps": ("ok", None, None),
    "liar late": ("failed", "timeout", None),
    "liar thrice, burst": ("ok", None, None),
    "icmp marked": ("ok", None, None),
    "icmp unmarked": ("failed", "timeout", None),
    "icmp6 marked": ("ok", None, None),
    "icmp in pieces": ("ok", None, None),
    "icmp6 in pieces": ("ok", None, None),
    "icmp slow": ("degraded", "slow-answer", None),
    "icmp unsteady": ("degraded", "unsteady", None),
    "tcp unreachable": ("failed", "host-unreachable", ROUTER),
    "tcp prohibited": ("failed", "prohibited", ROUTER),
    "tcp refused": ("failed", "refused", None),
    "tcp refused by filter": ("failed", "refused", ROUTER),
    "tcp black hole": ("failed", "timeout", None),
    "tcp loop": ("failed", "ttl-exceeded", ROUTER),
    "tcp no route": ("unknown", "no-route", None),
    "tcp6 unreachable": ("failed", "network-unreachable", ROUTER_6),
    "tcp filtered here": ("failed", "timeout", None),
    "tcp neighbour": ("failed", "neighbour-silent", None),
    "tcp lossy": ("ok", None, None),
    "http unreachable": ("failed", "host-unreachable", ROUTER),
    "dns unreachable": ("failed", "host-unreachable", ROUTER),
    "dns refused": ("failed", "refused", ROUTER),
    "dns black hole": ("failed", "timeout", None),
    "dns no route": ("unknown", "no-route", None),
    "dns neighbour": ("failed", "neighbour-silent", None),
    "udp refused": ("failed", "refused", ROUTER),
    "udp prohibited": ("failed", "prohibited", ROUTER),
    "udp black hole": ("failed", "timeout", None),
    "udp no route": ("unknown", "no-route", None),
    "udp filtered here": ("unknown", "no-permission", None),
    "udp6 unreachable": ("failed", "network-unreachable", ROUTER_6),
    "ntp refused": ("failed", "refused", ROUTER),
    "ntp unreachable": ("failed", "host-unreachable", ROUTER),
    "greeting refused": ("failed", "refused", None),
    "greeting prohibited": ("failed", "prohibited", ROUTER),
    "greeting neighbour": ("failed", "neighbour-silent", None),
    "greeting no route": ("unknown", "no-route", None),
}
BATCHED = ("tcp", "icmp", "liar", "udp", "ntp")
# A batch says the same as an attempt of its own.
EXPECTED |= {f"batch {case}": expected for case, expected in EXPECTED.items() if case.startswith(BATCHED)}


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, Any]]:
    """Return every case's result, by kind of ICMP socket."""
    if shutil.which("nft") is None:
        pytest.skip("nft is not installed")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", sys.executable, "-m", "tests.lab.path_errors"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("kind", ["raw", "datagram"])
@pytest.mark.parametrize("case", EXPECTED)
def test_names_the_fault_and_who_reported_it(results: dict[str, dict[str, Any]], kind: str, case: str) -> None:
    """Each trouble has its fault name and its reporter, with a raw and with an unprivileged ICMP socket."""
    result = results[kind][case]

    assert EXPECTED[case] == (result["outcome"], result["fault"], result["by"]), result


def test_every_case_is_expected(results: dict[str, dict[str, Any]]) -> None:
    """The two tables hold the same cases."""
    assert set(results["raw"]) == set(EXPECTED)


@pytest.mark.parametrize("case", ["tcp lossy", "batch tcp lossy"])
def test_a_lost_syn_is_told_and_no_round_trip_made_of_it(results: dict[str, dict[str, Any]], case: str) -> None:
    """The connect lasts from the first SYN (sent again after a second, RFC 6298), and no handshake time is given."""
    result = results["raw"][case]

    assert result["values"] == {"tcp_syn_retransmits": 1}
    assert 1 < result["phases"]["connect"] == result["seconds"] < 1.5


@pytest.mark.parametrize("kind", ["raw", "datagram"])
def test_reports_the_size_that_crossed(results: dict[str, dict[str, Any]], kind: str) -> None:
    """An echo proves its own packet size."""
    assert results[kind]["icmp ok full"]["packet_bytes"] == 1500


@pytest.mark.parametrize("kind", ["raw", "datagram"])
@pytest.mark.parametrize("way", ["", "batch "])
def test_counts_what_a_burst_met(results: dict[str, dict[str, Any]], kind: str, way: str) -> None:
    """Loss with its interval, replies in another order, too late or more than once; all stamped by the kernel."""
    found = {case: results[kind][f"{way}liar {case}"]["values"] for case in ("every other", "swaps", "late")}

    assert found["every other"]["icmp_loss_ratio"] == 0.5
    assert 0.2 < found["every other"]["icmp_loss_ratio_low"] < 0.25
    assert 0.75 < found["every other"]["icmp_loss_ratio_high"] < 0.8
    assert found["swaps"]["icmp_loss_ratio"] == 0
    assert found["swaps"]["icmp_reordered_total"] >= 3
    assert found["swaps"]["icmp_kernel_stamps"] == 1
    assert found["late"]["icmp_late_total"] >= 1
    assert results[kind][f"{way}liar thrice, burst"]["values"]["icmp_duplicates_total"] >= 4


_BLIND = """
import asyncio
from probes import icmp
from tests.lab.path_errors import Kit

async def scenario():
    async with icmp.open(Kit()) as runner:
        for fresh in (False, True):
            result = await runner.attempt(icmp.Settings(target="127.0.0.1"), Kit.clock.boot() + 1, fresh=fresh)
            print(result.outcome, result.fault)

asyncio.run(scenario())
"""


def test_without_permission_it_cannot_look() -> None:
    """Without CAP_NET_RAW and outside ping_group_range an icmp probe is unknown, never failed."""
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    without = ("setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw")
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", *without, sys.executable, "-c", _BLIND],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout.splitlines() == ["unknown no-permission"] * 2, done.stderr
