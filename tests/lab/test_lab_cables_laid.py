"""The cables in the running lab: what they are told is what packets experience."""

import json
import math
import socket

import pytest

from lab.api import Lab
from lab.wire import Command, order
from tests.lab.conftest import look

pytestmark = pytest.mark.lab

UNDERLAY = "203.0.113.2"
ECHOES = 400


def round_trips(lab: Lab, count: int, interval: float = 0.005) -> list[float]:
    """Return the round trips (seconds) from the cloud host across both cables to the on-premise gateway."""
    looks: dict[str, dict[str, object]] = {"trips": {"ping": UNDERLAY, "count": count, "interval": interval}}
    trips: list[float] = look(lab, "cloud-host", looks)["trips"]
    return trips


def wilson(lost: int, sent: int, z: float = 3.29) -> tuple[float, float]:
    """Return the Wilson score interval of a share; z = 3.29 is 99.9 per cent (Wilson 1927)."""
    share, square = lost / sent, z * z
    centre = (share + square / (2 * sent)) / (1 + square / sent)
    half = z / (1 + square / sent) * math.sqrt(share * (1 - share) / sent + square / (4 * sent * sent))
    return centre - half, centre + half


def test_a_delay_is_what_it_says(lab: Lab) -> None:
    """20 ms each way makes the best round trip 40 ms longer, within a millisecond: a busy machine only adds."""
    plain = min(round_trips(lab, 50))
    lab.break_("delay", ms=20)
    delayed = round_trips(lab, 50, 0.01)
    assert 0.0395 <= min(delayed) - plain <= 0.041
    assert len(delayed) == 50


def test_loss_is_what_it_says(lab: Lab) -> None:
    """10 per cent each way loses 19 per cent of the echoes: it lies in the Wilson interval of what was lost."""
    lab.break_("loss", percent=10)
    lost = ECHOES - len(round_trips(lab, ECHOES))
    low, high = wilson(lost, ECHOES)
    assert low <= 1 - 0.9**2 <= high


def test_jitter_spreads_and_rate_queues(lab: Lab) -> None:
    """Jitter of 10 ms around 20 ms spreads round trips; both faults on two cables add up."""
    lab.break_("jitter", ms=10, delay_ms=20, cable="near")
    lab.break_("delay", ms=10, cable="last-mile")
    trips = round_trips(lab, 60, 0.03)
    assert 0.0395 <= min(trips) < 0.07  # (20 +- 10 ms, and 10 ms) each way
    assert max(trips) - min(trips) > 0.008


def test_a_slow_line_with_a_finite_queue_loses_the_tail(lab: Lab) -> None:
    """At 0.1 Mbit/s with 2 kB of queue a burst of 84-byte packets waits, and most of it is dropped."""
    lab.break_("rate", mbit=0.1, queue_kb=2)
    trips = round_trips(lab, 100, 0.001)
    assert 0 < len(trips) < 80
    assert max(trips) > 0.05


def test_a_cable_can_be_unplugged(lab: Lab) -> None:
    """Without a carrier both ends see their link down, and up again when it is plugged in."""

    def shown() -> str:
        return lab.run("cloud-gw", ["ip", "-br", "link", "show", "wan0"]).stdout

    order(lab.run_dir / "near.cable", Command(carrier=False))
    assert "NO-CARRIER" in shown()
    order(lab.run_dir / "near.cable", Command(carrier=True))
    assert "NO-CARRIER" not in shown()


def test_a_cable_refuses_a_bad_order_and_goes_on(lab: Lab) -> None:
    """What is no command is answered with the reason; nothing changes."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(lab.run_dir / "near.cable"))
        connection.sendall(b'{"ab": {"loss": 2}}\n')
        report = json.loads(connection.makefile().readline())
    assert "loss" in report["error"]
    assert len(round_trips(lab, 5)) == 5


def test_healing_one_of_two_faults_keeps_the_other(lab: Lab) -> None:
    """What a cable does is the sum of the active faults, computed anew."""
    lab.break_("delay", ms=30)
    lab.break_("last-mile-cut")
    assert round_trips(lab, 3) == []
    lab.heal("last-mile-cut")
    assert min(round_trips(lab, 5)) > 0.06
