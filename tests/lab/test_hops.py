"""Paths and packet sizes in real networks: routers that are silent, lie, lead astray, and holes of every kind."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lab.hop_places import OTHER_FLOW

pytestmark = pytest.mark.lab

LIAR = ["10.66.0.1"]
NEAR = ["10.0.1.2", "10.0.2.2"]
NEAR6 = ["fd00:1::2", "fd00:2::2"]
Expected = tuple[str, str | None, str | None, str | None]  # outcome, stage, fault, by
OK: Expected = ("ok", None, None, None)


def silent(by: str = "10.0.2.2") -> Expected:
    """Return a target that does not answer behind a router that does."""
    return ("failed", "connect", "timeout", by)


# step of hop_places.py -> its outcome, and the addresses of the hops
PATHS: dict[str, tuple[Expected, list[str]]] = {
    "path": (OK, [*NEAR, "10.9.0.9"]),
    "path again": (OK, [*NEAR, "10.9.0.9"]),
    "path by udp": (OK, [*NEAR, "10.9.0.9"]),
    "path in IPv6": (OK, [*NEAR6, "fd00:9::9"]),
    "path in IPv6 by udp": (OK, [*NEAR6, "fd00:9::9"]),
    "path by tcp": (OK, [*NEAR, "10.9.0.9"]),
    "path by tcp in IPv6": (OK, [*NEAR6, "fd00:9::9"]),
    "path by tcp, refused": (("failed", "connect", "refused", None), [*NEAR, "10.9.0.9"]),
    "path by tcp, filtered": (silent(), NEAR),
    "path by tcp, no right": (("unknown", None, "no-permission", None), []),
    "silent target": (silent(), NEAR),
    "unreachable": (("failed", "connect", "host-unreachable", "10.0.2.2"), [*NEAR, "10.0.2.2"]),
    "loop": (("failed", "connect", "ttl-exceeded", "10.0.2.2"), NEAR * 3),
    "far": (("failed", "connect", "ttl-exceeded", "10.0.2.2"), NEAR),
    "lie: an error that quotes little": (("failed", "connect", "ttl-exceeded", "10.66.0.1"), NEAR + LIAR * 4),
    "lie: another identifier": (silent(), NEAR),
    "lie: another sequence": (silent(), NEAR),
    "lie: another token": (silent(), NEAR),
    "lie: an answer from elsewhere": (silent(), NEAR),
    "labels": (("failed", "connect", "ttl-exceeded", "10.66.0.1"), NEAR + LIAR * 4),
    "broken extension": (("failed", "connect", "ttl-exceeded", "10.66.0.1"), NEAR + LIAR * 4),
    "path changed, hop sparing": (
        ("degraded", None, "path-changed", None),
        ["10.0.1.2", "10.0.4.2", "10.9.0.9"],
    ),
    "path changed back": (OK, [*NEAR, "10.9.0.9"]),
    "path by udp, no right": (OK, [*NEAR, "10.9.0.9"]),
    "path by udp, datagram sockets": (OK, [*NEAR, "10.9.0.9"]),
    "path, datagram sockets": (OK, [*NEAR, "10.9.0.9"]),
    "path, no right": (("unknown", None, "no-permission", None), []),
}
HOLE: Expected = ("failed", "answer", "mtu-hole", None)
# step of hop_places.py -> its outcome, the working size and by how much it is short
SIZES: dict[str, tuple[Expected, int | None, int | None]] = {
    "size": (OK, 1500, None),
    "size, more than agreed": (OK, 1500, 0),
    "hole": (HOLE, 1300, 200),
    "hole, nothing agreed": (OK, 1300, None),
    "told": (("degraded", None, "mtu-low", "10.0.2.2"), 1400, 38),
    "own link": (("unknown", None, "too-big-here", None), 1500, 100),
    "prohibited": (("failed", "connect", "prohibited", "10.0.2.2"), None, None),
    "IPv6 hole": (HOLE, 1300, 200),
    "IPv6 told": (("degraded", None, "mtu-low", "fd00:2::2"), 1300, 200),
    "IPv6 below its least": (HOLE, 1279, 1),
    "pings filtered": (("failed", "connect", "timeout", None), None, None),
    "pings filtered, http": (OK, 1500, None),
    "hole, http": (HOLE, 1300, 200),
    "told, http": (("degraded", None, "mtu-low", None), 1400, 38),
    "IPv6 hole, http": (HOLE, 1300, 200),
    "no service": (("failed", "connect", "refused", None), None, None),
    "a silent service": (("failed", "answer", "timeout", None), None, None),
    "size, no right": (("unknown", None, "no-permission", None), None, None),
    "size, http, no right": (OK, 1500, None),
    "size, datagram sockets": (OK, 1500, None),
    "size, http, datagram sockets": (OK, 1500, None),
}


@pytest.fixture(scope="module")
def results(lab_possible: None) -> dict[str, Any]:
    """Return every step's result."""
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", sys.executable, "-m", "tests.lab.hop_places"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def told(result: dict[str, Any]) -> Expected:
    """Return outcome, stage, fault and by."""
    return result["outcome"], result["stage"], result["fault"], result["by"]


@pytest.mark.parametrize("step", PATHS)
def test_paths(results: dict[str, Any], step: str) -> None:
    """The target decides; the last router that answered is the witness; nobody's lies move anything."""
    result = results[step]
    expected, addresses = PATHS[step]
    assert told(result) == expected, result
    assert [row["address"] for row in result["rows"]] == addresses
    assert result["answered"] is False


def test_hops_of_a_path(results: dict[str, Any]) -> None:
    """Hops have their segments by the longest prefix, round trips by the kernel's clock, and no loss."""
    rows = results["path"]["rows"]
    assert [row["segment"] for row in rows] == ["client-side", "r2", "site"]
    assert all(0 < row["median_seconds"] < 0.2 and not row["lost"] for row in rows)
    assert results["path"]["values"] == {
        "path_hops": 3,
        "path_silent_hops": 0,
        "path_loss_ratio": 0,
        "path_changes": 0,
        "path_kernel_stamps": 1,
    }
    assert results["path again"]["values"]["path_changes"] == 0


def test_a_change_is_told_once(results: dict[str, Any]) -> None:
    """The attempt that sees it says what it was and what it is; a hop that limits its rate accuses nobody."""
    changed, back = results["path changed, hop sparing"], results["path changed back"]
    assert "the way changed: hop 2 was 10.0.2.2, is 10.0.4.2" in changed["detail"]
    assert [row["note"] for row in changed["rows"]] == [None, "answers sparingly", None]
    assert "hop 2 was 10.0.4.2, is 10.0.2.2" in back["detail"]
    assert (changed["values"]["path_changes"], back["values"]["path_changes"]) == (1, 2)
    assert changed["values"]["path_loss_ratio"] == 0


def test_one_flow_goes_one_way(results: dict[str, Any]) -> None:
    """Where routers spread flows over two ways, all packets of a probe take one of them, and the next time too."""
    first, again = (results[step]["rows"][1]["address"] for step in ("spread", "spread again"))
    assert first == again
    assert first in ("10.0.2.2", "10.0.4.2")
    assert "the way changed" not in results["spread again"]["detail"]
    # Confirmations have a flow of their own each: with sixteen, both ways are seen.
    others = {results[f"{OTHER_FLOW} {n}"]["rows"][1]["address"] for n in range(16)}
    assert others == {"10.0.2.2", "10.0.4.2"}


def test_extensions_are_read_or_left_out(results: dict[str, Any]) -> None:
    """A label stack is shown, a broken one ignored."""
    assert {row["mpls"] for row in results["labels"]["rows"][2:]} == {"16001 42"}
    assert {row["mpls"] for row in results["broken extension"]["rows"]} == {None}


def test_a_flood_is_bounded(results: dict[str, Any]) -> None:
    """Hundreds of forged errors for each packet neither hide the hops nor hold the attempt up."""
    result = results["a flood"]
    assert [row["address"] for row in result["rows"][:3]] == [*NEAR, *LIAR]
    assert result["late"] < 0.3


@pytest.mark.parametrize("step", SIZES)
def test_sizes(results: dict[str, Any], step: str) -> None:
    """Holes are told from limits that senders hear of, and both from what never answers."""
    result = results[step]
    expected, size, short = SIZES[step]
    assert told(result) == expected, result
    found = result["values"].get("pmtu_bytes")
    if size is None or "maybe more" not in result["detail"]:
        assert found == size, result
        assert result["values"].get("pmtu_shortfall_bytes") == short
    else:  # a busy machine: the verdict stands, the search was not over
        assert 576 <= found <= size
    assert bool(result["values"].get("pmtu_black_hole")) is ("hole" in step or "below" in step), result


def test_a_limit_says_what_crossed(results: dict[str, Any]) -> None:
    """What passed, and no more than that, is the largest packet known to have crossed both ways."""
    assert results["told"]["packet_bytes"] == results["told"]["values"]["pmtu_bytes"]
    assert results["pings filtered, http"]["packet_bytes"] == 1500


def test_what_needs_no_right(results: dict[str, Any]) -> None:
    """Where this host may not ping, the result says what it may do instead."""
    assert "`protocol: udp` needs no right" in results["path, no right"]["detail"]
    assert "`protocol: tls` or `http` needs no right" in results["size, no right"]["detail"]


def test_every_attempt_ends_in_time(results: dict[str, Any]) -> None:
    """Whatever the routers do."""
    assert not {step: result["late"] for step, result in results.items() if result["late"] > 0.3}
