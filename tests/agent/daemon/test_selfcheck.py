"""The self-check: what lies inside the vantage's own segment, and standstills of the process."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.daemon.selfcheck import FAULTS, STEAL_TELLS, Heartbeat, Readings, count_routes, evaluate
from probes.kit.result import Outcome

HEALTHY = {"links": ("eth0",), "routes": 2, "gateways": 1}


def readings(boot: float, wall: float, **changes: object) -> Readings:
    """Return a healthy host's readings with some changes."""
    return Readings(boot=boot, wall=wall, **{**HEALTHY, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "absent", "off_host", "off_link", "fault"),
    [
        pytest.param(readings(11, 1001), 0.0, True, True, None, id="healthy"),
        pytest.param(readings(11, 1001), 0.6, True, True, None, id="short stall: only its attempts are unknown"),
        pytest.param(readings(11, 1001), 1.1, True, True, "suspended", id="absent for over a second"),
        pytest.param(readings(11, 1001.6), 0.0, True, True, "clock-stepped", id="clock stepped forward"),
        pytest.param(readings(11, 1000.4), 0.0, True, True, "clock-stepped", id="clock stepped back"),
        pytest.param(readings(11, 1001.4), 0.0, True, True, None, id="clock slewed"),
        pytest.param(readings(11, 1001, links=()), 0.0, True, True, "no-link", id="cable out"),
        pytest.param(readings(11, 1001, links=()), 0.0, False, False, None, id="all targets on this host"),
        pytest.param(
            readings(11, 1001, links=("mgmt0",), used=("eth0",), dark=frozenset({"10.0.0.1"})),
            0.0,
            True,
            True,
            "no-link",
            id="the only port in use is out",
        ),
        pytest.param(
            readings(11, 1001, links=("eth0",), used=("eth0", "eth1"), dark=frozenset({"10.0.0.1"})),
            0.0,
            True,
            True,
            None,
            id="one of two ports is out: only its probes are blind",
        ),
        pytest.param(readings(11, 1001, routes=0, gateways=0), 0.0, True, False, "no-route", id="no route at all"),
        pytest.param(readings(11, 1001, gateways=0), 0.0, True, True, "no-route", id="the gateway is gone"),
        pytest.param(readings(11, 1001, gateways=0), 0.0, True, False, None, id="never had a gateway"),
        pytest.param(readings(11, 1001, descriptors=False), 0.0, True, True, "no-descriptors", id="EMFILE"),
        pytest.param(readings(11, 1001, links=(), routes=0), 0.0, True, True, "no-link", id="the nearest cause first"),
    ],
)
def test_evaluate(now: Readings, absent: float, off_host: bool, off_link: bool, fault: str | None) -> None:
    """Each fault of the vantage's own segment is named; nothing else is a fault."""
    result = evaluate(now, readings(10, 1000), absent=absent, off_host=off_host, off_link=off_link)
    assert result.fault == fault
    assert result.outcome is (Outcome.OK if fault is None else Outcome.FAILED)
    assert result.detail == ("" if fault is None else FAULTS[fault])


def test_first_check_knows_no_step() -> None:
    """Without readings before there is nothing to compare the clock with."""
    assert evaluate(readings(5, 99999), None, absent=0.0, off_host=True, off_link=True).outcome is Outcome.OK


@pytest.mark.parametrize(("share", "told"), [(STEAL_TELLS, ""), (0.25, "the hypervisor took 25% of the processor")])
def test_stolen_time_is_told_and_no_fault(share: float, told: str) -> None:
    """A busy hypervisor alone makes no round unknown; beyond a tenth the self-check says so."""
    now = readings(11, 1001, values={"self_cpu_steal_ratio": share})
    result = evaluate(now, readings(10, 1000), absent=0.0, off_host=True, off_link=True)
    assert (result.outcome, result.detail) == (Outcome.OK, told)
    assert result.values == now.values


def test_heartbeat_sees_a_standstill() -> None:
    """A gap of more than a quarter of a second is a standstill, with its ends."""
    heartbeat = Heartbeat(100.0)
    assert heartbeat.beat(100.1) == 0.0
    assert heartbeat.beat(100.35) == 0.0
    assert heartbeat.beat(103.0) == pytest.approx(2.65)
    assert heartbeat.stood_still(100.0, 101.0)
    assert heartbeat.stood_still(102.9, 104.0)
    assert not heartbeat.stood_still(100.0, 100.35)
    assert not heartbeat.stood_still(103.0, 104.0)
    assert heartbeat.stalls == 1
    assert heartbeat.last == 103.0


def test_longest_standstill_is_taken_once() -> None:
    """The next self-check starts from nothing."""
    heartbeat = Heartbeat(0.0)
    heartbeat.beat(0.5)
    heartbeat.beat(2.5)
    heartbeat.beat(3.0)
    assert heartbeat.take_longest() == pytest.approx(2.0)
    assert heartbeat.take_longest() == 0.0


IPV4 = """Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
lo\t0000007F\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0
*\t00000A0A\t00000000\t0201\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
ZERO = "0" * 32
IPV6 = f"""{ZERO} 00 {ZERO} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
20010db8000000000000000000000000 40 {ZERO} 00 {ZERO} 00000100 00000001 00000000 00000001     eth0
fe800000000000000000000000000000 40 {ZERO} 00 {ZERO} 00000100 00000001 00000000 00000001     eth0
{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 00000001 00000000 00200200       lo
ff000000000000000000000000000000 08 {ZERO} 00 {ZERO} 00000100 00000001 00000000 00000001     eth0
"""


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "links", "expected"),
    [
        pytest.param("", "", ("eth0",), (0, 0), id="nothing"),
        pytest.param(IPV4, "", ("eth0",), (2, 1), id="IPv4: connected and default, no lo, no prohibit"),
        pytest.param("", IPV6, ("eth0",), (2, 1), id="IPv6: no link-local, no multicast, no lo"),
        pytest.param(IPV4, IPV6, ("eth0",), (4, 2), id="both"),
        pytest.param(IPV4, IPV6, ("oob0",), (0, 0), id="their interface has no carrier"),
        pytest.param("header\neth0 1 2 zz\n", "", ("eth0",), (0, 0), id="flags that make no sense"),
    ],
)
def test_count_routes(ipv4: str, ipv6: str, links: tuple[str, ...], expected: tuple[int, int]) -> None:
    """Usable routes are counted, and those that lead to a gateway."""
    assert count_routes(ipv4, ipv6, links) == expected


@given(st.text(), st.text())
def test_count_routes_reads_anything(ipv4: str, ipv6: str) -> None:
    """Whatever the kernel prints, the counts are sane."""
    routes, gateways = count_routes(ipv4, ipv6, ("eth0",))
    assert 0 <= gateways <= routes
