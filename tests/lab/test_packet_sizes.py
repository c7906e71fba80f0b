"""What an HTTP attempt proves about packet sizes: behind an MSS clamp, and through a hole for large packets."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lab.packet_sizes import CASES

pytestmark = pytest.mark.lab

# case of packet_sizes.py -> (outcome, stage, fault)
EXPECTED: dict[str, tuple[str, str | None, str | None]] = {
    "open, small": ("ok", None, None),
    "open, large": ("ok", None, None),
    "open, handshake": ("ok", None, None),
    "clamped, large": ("ok", None, None),
    "clamped, handshake": ("ok", None, None),
    "hole, small": ("ok", None, None),
    "hole, large": ("failed", "answer", "timeout"),
    "hole, handshake": ("failed", "secure", "timeout"),
}


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    """Return every case's result."""
    if shutil.which("nft") is None:
        pytest.skip("nft is not installed")
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", sys.executable, "-m", "tests.lab.packet_sizes"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_hole_is_silence_after_the_connect(results: dict[str, Any], case: str) -> None:
    """Small answers pass through a hole for large packets; large ones end in silence, not in the server's word."""
    result = results[case]

    assert EXPECTED[case] == (result["outcome"], result["stage"], result["fault"]), result
    assert result["answered"] is False


@pytest.mark.parametrize("case", CASES)
def test_only_full_segments_prove_full_packets(results: dict[str, Any], case: str) -> None:
    """A large answer proves full packets, also behind a clamp; a small one proves its own size only."""
    result = results[case]

    if result["outcome"] == "ok" and "small" not in case:
        assert result["packet_bytes"] == 1500
    else:
        assert 60 <= result["packet_bytes"] < 200
