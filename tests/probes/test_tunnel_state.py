"""What a tunnel's readings say together, the same for every kind of VPN."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.tunnel_state import (
    METRICS,
    SILENT_SECONDS,
    Counters,
    Progress,
    Tunnel,
    advance,
    follow,
    tunnel_rows,
    tunnel_values,
)


def tunnel(name: str = "site", *, established: bool = True, **sas: tuple[int | None, int | None]) -> Tunnel:
    """Return a tunnel with (received, sent) bytes of each set of keys."""
    return Tunnel(name=name, established=established, sas=counters(sas))


def counters(sas: dict[str, tuple[int | None, int | None]]) -> dict[str, Counters]:
    """Return (received, sent) bytes as counters."""
    return {key: Counters(received_bytes=received, sent_bytes=sent) for key, (received, sent) in sas.items()}


def after(*readings: tuple[float, Tunnel]) -> Progress:
    """Return the progress after readings, each at its moment."""
    progress = None
    for now, reading in readings:
        progress = advance(progress, reading, now)
    assert progress is not None
    return progress


def test_totals_go_on_over_a_rekey() -> None:
    """Old keys keep what they had, new ones count as a whole, and both count while they overlap."""
    seen = after(
        (0.0, tunnel(a=(100, 10))),
        (1.0, tunnel(a=(150, 20), b=(7, 3))),
        (2.0, tunnel(b=(9, 4))),
    )
    assert (seen.total.received_bytes, seen.total.sent_bytes) == (159, 24)


def test_counters_that_fell_began_again() -> None:
    """A gateway that restarted under the same name counts from zero; the total does not fall."""
    assert after((0.0, tunnel(a=(100, 10))), (1.0, tunnel(a=(5, 1)))).total.received_bytes == 105


def test_what_is_not_counted_stays_unknown() -> None:
    """A gateway without byte counters gives no total, rather than zero."""
    assert after((0.0, tunnel(a=(None, 10))), (1.0, tunnel(a=(None, 20)))).total == Counters(sent_bytes=20)


def test_a_counter_that_appears_later_counts() -> None:
    """What was null at first and is told later is growth since then."""
    assert after((0.0, tunnel(a=(None, 0))), (1.0, tunnel(a=(5, 0)))).total.received_bytes == 5


PASSING = {
    "the first reading shows no movement": (((0.0, (100, 100)),), 0.0, None),
    "received just now": (((0.0, (0, 0)), (1.0, (5, 0))), 1.0, True),
    "received a while ago and idle since": (((0.0, (0, 0)), (1.0, (5, 5)), (40.0, (5, 5))), 40.0, None),
    "sends, and too early to tell": (((0.0, (0, 0)), (1.0, (0, 5)), (10.0, (0, 9))), 10.0, None),
    "sends and hears nothing": (((0.0, (0, 0)), (1.0, (0, 5)), (16.0, (0, 9))), 16.0, False),
    "one packet without an answer is no silence": (((0.0, (0, 0)), (1.0, (0, 5)), (99.0, (0, 5))), 99.0, None),
    "hears again": (((0.0, (0, 0)), (1.0, (0, 5)), (16.0, (0, 9)), (17.0, (1, 9))), 17.0, True),
}


def test_idle_is_not_down() -> None:
    """Only sending without hearing anything for so long says that nothing passes."""
    for case, (readings, now, expected) in PASSING.items():
        assert after(*((at, tunnel(a=bytes_)) for at, bytes_ in readings)).passing(now) is expected, case


def test_packets_move_a_tunnel_too() -> None:
    """A gateway that counts packets only is followed by them."""
    quiet = Tunnel(name="site", sas={"a": Counters(received_packets=1, sent_packets=1)})
    moved = Tunnel(name="site", sas={"a": Counters(received_packets=2, sent_packets=1)})
    assert after((0.0, quiet), (1.0, moved)).passing(1.0)


def test_several_tunnels_give_the_worst_and_the_sum() -> None:
    """Counts and bytes add up; ages are the longest, times until new keys the shortest; one dead tunnel stops all."""
    first = Tunnel(
        name="a",
        established=True,
        sas={"1": Counters(received_bytes=10, sent_bytes=1)},
        rekey_seconds=60,
        peer_age_seconds=3,
        established_seconds=9,
    )
    second = Tunnel(name="b", sas={}, rekey_seconds=30, peer_age_seconds=8, duplicates=1)
    missing = Tunnel(name="c", configured=False)
    seen = follow({}, (first, second, missing), 5.0)
    assert tunnel_values((first, second, missing), seen, 5.0) == {
        "vpn_tunnels_configured": 2,
        "vpn_tunnels_established": 1,
        "vpn_received_bytes_total": 10,
        "vpn_sent_bytes_total": 1,
        "vpn_unanswered_seconds": 0,
        "vpn_established_seconds": 9,
        "vpn_rekey_seconds": 30,
        "vpn_peer_age_seconds": 8,
        "vpn_duplicates": 1,
    }


def test_passing_needs_every_tunnel() -> None:
    """All receive: 1; one is silent: 0, whatever the others do; one is idle: absent."""
    now = 100.0
    heard, silent = Progress(at=now, received_at=now), Progress(at=now, sent_at=now, unanswered_at=now - SILENT_SECONDS)
    a, b = Tunnel(name="a"), Tunnel(name="b")
    cases = (((heard, heard), 1.0), ((heard, silent), 0.0), ((silent, Progress(at=now)), 0.0))
    for (one, other), expected in cases:
        assert tunnel_values((a, b), {"a": one, "b": other}, now)["vpn_passing"] == expected
    assert "vpn_passing" not in tunnel_values((a, b), {"a": heard, "b": Progress(at=now)}, now)


def test_a_missing_tunnel_is_a_series_at_zero() -> None:
    """What is asked for and not configured is zero configured and zero established, not an absent series."""
    gone = Tunnel(name="site", configured=False)
    told = tunnel_values((gone,), follow({}, (gone,), 0.0), 0.0)
    assert (told["vpn_tunnels_configured"], told["vpn_tunnels_established"]) == (0, 0)


def test_what_the_gateway_does_not_know_is_no_count() -> None:
    """While nobody knows of one tunnel whether it stands, their number is not known either."""
    idle = Tunnel(name="site", established=None)
    told = tunnel_values((idle, tunnel("b")), follow({}, (idle, tunnel("b")), 0.0), 0.0)
    assert "vpn_tunnels_established" not in told


def test_a_tunnel_that_is_asked_for_no_more_is_forgotten() -> None:
    """Progress is kept of the present tunnels only, so it is bounded."""
    assert set(follow(follow({}, (tunnel("a"),), 0.0), (tunnel("b"),), 1.0)) == {"b"}


def test_rows_tell_each_tunnel() -> None:
    """`demarc probe` shows the three claims beside each other."""
    one = tunnel("a", x=(5, 6))
    assert tunnel_rows((one,), follow({}, (one,), 0.0), 0.0) == (
        {
            "tunnel": "a",
            "configured": "yes",
            "established": "yes",
            "passing": "not known",
            "state": "",
            "received bytes": 5,
            "sent bytes": 6,
        },
    )


COUNTS = st.none() | st.integers(0, 2**64)
READINGS = st.lists(st.dictionaries(st.sampled_from("abc"), st.tuples(COUNTS, COUNTS)), min_size=1, max_size=8)


@given(READINGS)
def test_totals_never_fall(readings: list[dict[str, tuple[int | None, int | None]]]) -> None:
    """Whatever a gateway counts, a total only rises, and every value that is told is declared."""
    before: dict[str, Progress] = {}
    last = 0.0
    for number, sas in enumerate(readings):
        reading = msgspec.structs.replace(tunnel(), sas=counters(sas))
        before = follow(before, (reading,), float(number))
        told = tunnel_values((reading,), before, float(number))
        assert set(told) <= {metric.name for metric in METRICS}
        total = told.get("vpn_received_bytes_total", last)
        assert total >= last
        last = total
