"""xfrm: the kernel's IPsec bytes, and what policies and associations say of tunnels."""

import struct
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.result import Outcome, Result
from probes.kit.xfrm_message import (
    Association,
    Policy,
    XfrmError,
    read_associations,
    read_policies,
    read_statistics,
)
from probes.kit.xfrm_tunnels import Asked, Kernel, Watched, watch
from probes.xfrm import SPEC, Settings, flow
from tests.probes.xfrm_wire import KEY, PolicyInfo, SaInfo, Template, association, attribute, policy

HERE, THERE = "198.51.100.2", "203.0.113.2"
SITE = ("10.10.0.0/16", "10.20.0.0/16")
ASKED = Asked(target=THERE)
FAULTS = {fault.name: fault.stage for fault in SPEC.faults}
OUT = association(HERE, THERE, 0xC0FFEE01, counted=(3400, 40), added=1000, limits=(3000, 3600), refused=(1, 2, 3))
IN = association(THERE, HERE, 0xC0FFEE02, counted=(1200, 12), added=1000, limits=(3000, 3600))
POLICY = policy(*SITE, HERE, THERE)


def test_the_structures_have_the_kernels_sizes() -> None:
    """The header's layout, as compilers lay it out on 64-bit machines."""
    assert [len(bytes(one())) for one in (SaInfo, PolicyInfo, Template)] == [224, 168, 64]


def test_an_association_is_read() -> None:
    """Gateways, limits, counters and names of algorithms; an unlimited lifetime is None."""
    spi = struct.pack("=I", 0xC0FFEE01).hex()
    assert read_associations([OUT]) == (
        Association(
            source=HERE,
            destination=THERE,
            spi=spi,
            reqid=7,
            algorithms=("rfc4106(gcm(aes))",),
            bytes=3400,
            packets=40,
            added_at=1000,
            soft_seconds=3000,
            hard_seconds=3600,
            replays=3,
            integrity_failures=3,
        ),
    )


def test_a_policy_is_read_in_both_families() -> None:
    """Networks and gateways, IPv6 in IPv4 too; a policy without a tunnel has none."""
    mixed = policy("2001:db8:1::/48", "2001:db8:2::/48", HERE, THERE, direction=0)
    strange = policy(*SITE, HERE, THERE, direction=9)
    found = read_policies([POLICY, mixed, policy(*SITE, HERE, THERE, tunnel=False), strange, (18, b"")])
    assert found == (
        Policy(
            direction="out", source=SITE[0], destination=SITE[1], local=HERE, remote=THERE, reqid=7, priority=375423
        ),
        Policy(
            direction="in",
            source="2001:db8:1::/48",
            destination="2001:db8:2::/48",
            local=HERE,
            remote=THERE,
            reqid=7,
            priority=375423,
        ),
    )


BROKEN: dict[str, Callable[[], object]] = {
    "a short association": lambda: read_associations([(16, bytes(223))]),
    "a short policy": lambda: read_policies([(19, bytes(167))]),
    "no family": lambda: read_associations([(16, bytes(224))]),
    "an attribute that is cut off": lambda: read_associations([(16, OUT[1][:-1] + b"\xff\xff\xff\xff")]),
    "an algorithm without a name": lambda: read_associations([(16, OUT[1][:224] + attribute(1, b"\x1b[2J"))]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_bytes_are_an_error(case: str) -> None:
    """What is no IPsec state is said to be none."""
    with pytest.raises(XfrmError):
        BROKEN[case]()


@given(st.binary(max_size=400), st.integers(0, 300))
def test_any_bytes_give_values_or_an_error(data: bytes, at: int) -> None:
    """A value or an XfrmError, nothing else."""
    for kind, seed in (OUT, POLICY):
        for read in (read_associations, read_policies):
            for tried in (data, seed[:at] + data, seed + data):
                try:
                    read([(kind, tried)])
                except XfrmError:
                    continue


def test_statistics_are_read_line_by_line() -> None:
    """As /proc/net/xfrm_stat writes them; what is no counter is passed over."""
    text = "XfrmInError             \t0\nXfrmInNoStates          \t17\nsomething else\nXfrmOutNoStates 3 4\n"
    assert read_statistics(text) == {"XfrmInError": 0, "XfrmInNoStates": 17}


def kernel(
    associations: tuple[tuple[int, bytes], ...] = (OUT, IN),
    policies: tuple[tuple[int, bytes], ...] = (POLICY,),
    wall: float = 1100.0,
    errors: dict[str, int] | None = None,
) -> Kernel:
    """Return what a kernel says."""
    return Kernel(
        policies=read_policies(policies), associations=read_associations(associations), errors=errors or {}, wall=wall
    )


def seen(asked: Asked, *readings: tuple[float, Kernel]) -> Any:
    """Return the result after readings, each at its moment."""
    before = Watched()
    for now, reading in readings:
        before, result = watch(before, asked, reading, now)
    return result


LARVAL = association(HERE, THERE, 5, larval=True)
OTHER = association(HERE, THERE, 6, reqid=8)
SENT = association(HERE, THERE, 0xC0FFEE01, counted=(9999, 99), added=1000, limits=(3000, 3600), refused=(1, 2, 3))
REFUSED = association(THERE, HERE, 0xC0FFEE02, counted=(1200, 12), added=1000, limits=(3000, 3600), refused=(0, 1, 0))
ALONE = {
    "both ways": (kernel(), None),
    "a policy and nothing else": (kernel(()), "sa-missing"),
    "only being negotiated": (kernel((LARVAL,)), "sa-missing"),
    "of another policy": (kernel((OTHER,)), "sa-missing"),
    "outward only": (kernel((OUT,)), "sa-one-way"),
    "inward only": (kernel((IN,)), "sa-one-way"),
    "past the hard limit": (kernel(wall=5000.0), "sa-expired"),
    "no policy": (kernel(policies=()), "not-configured"),
    "another gateway's policy": (kernel(policies=(policy(*SITE, HERE, "192.0.2.9"),)), "not-configured"),
    "an inward policy only": (kernel(policies=(policy(*SITE, HERE, THERE, direction=0),)), "not-configured"),
    "without limits": (kernel((association(HERE, THERE, 1), association(THERE, HERE, 2))), None),
}


@pytest.mark.parametrize("case", ALONE)
def test_one_reading(case: str) -> None:
    """A policy needs an association in either direction, with keys and within its limits."""
    reading, fault = ALONE[case]
    result: Result = seen(ASKED, (0.0, reading))
    assert (result.outcome, result.fault) == (Outcome.FAILED if fault else Outcome.OK, fault)
    if fault:
        assert FAULTS[fault] is result.stage


def test_a_network_picks_its_tunnel() -> None:
    """Of several tunnels to one gateway only the one to the named network counts."""
    both = kernel(policies=(POLICY, policy("10.10.0.0/16", "10.30.0.0/16", HERE, THERE, reqid=9)))
    assert seen(Asked(target=THERE, network="10.20.0.0/16"), (0.0, both)).outcome is Outcome.OK
    missing = seen(Asked(target=THERE, network="10.30.0.0/16"), (0.0, both))
    assert (missing.fault, missing.detail) == ("sa-missing", "10.10.0.0/16 to 10.30.0.0/16: 0 out, 0 in")
    none = seen(Asked(target=THERE, network="10.40.0.0/16"), (0.0, both))
    assert none.detail == "no policy to 203.0.113.2 for 10.40.0.0/16"
    assert seen(ASKED, (0.0, both)).values["vpn_tunnels_established"] == 1


def test_refused_packets_degrade_while_they_rise() -> None:
    """Packets that a check refused since the reading before are told, old ones are not."""
    rising = seen(ASKED, (0.0, kernel()), (5.0, kernel((OUT, REFUSED))))
    assert (rising.outcome, rising.fault) == (Outcome.DEGRADED, "sa-errors")
    assert rising.values["xfrm_replay_errors_total"] == 4
    steady = seen(ASKED, (0.0, kernel((OUT, REFUSED))), (5.0, kernel((OUT, REFUSED))))
    assert steady.outcome is Outcome.OK


def test_nothing_back_is_told_and_is_no_fail() -> None:
    """IPsec owes no answer: what goes in for long while nothing comes out is degraded."""
    more = association(HERE, THERE, 0xC0FFEE01, counted=(10**6, 10**3), added=1000, limits=(3000, 3600))
    first = (0.0, kernel()), (5.0, kernel((SENT, IN)))
    result = seen(ASKED, *first, (25.0, kernel((more, IN))))
    assert (result.outcome, result.fault, result.values["vpn_passing"]) == (Outcome.DEGRADED, "unanswered", 0)
    assert seen(ASKED, *first, (25.0, kernel((SENT, IN)))).outcome is Outcome.OK


def test_values_are_those_of_the_family() -> None:
    """Totals, ages and limits, and the kernel's error counters."""
    errors = {"XfrmInNoStates": 4, "XfrmInStateInvalid": 1, "XfrmOutNoStates": 2, "XfrmFwdHdrError": 9}
    values = seen(ASKED, (0.0, kernel(errors=errors))).values
    assert values == {
        "vpn_tunnels_configured": 1,
        "vpn_tunnels_established": 1,
        "vpn_received_bytes_total": 1200,
        "vpn_sent_bytes_total": 3400,
        "vpn_received_packets_total": 12,
        "vpn_sent_packets_total": 40,
        "vpn_unanswered_seconds": 0,
        "vpn_established_seconds": 100,
        "vpn_rekey_seconds": 2900,
        "vpn_duplicates": 0,
        "xfrm_expiry_seconds": 3500,
        "xfrm_replay_errors_total": 3,
        "xfrm_integrity_errors_total": 3,
        "xfrm_in_errors_total": 5,
        "xfrm_in_no_states_total": 4,
        "xfrm_out_errors_total": 2,
        "xfrm_out_no_states_total": 2,
    }
    assert set(values) <= {metric.name for metric in SPEC.metrics}


def test_no_key_and_no_spi_leaves_the_reader() -> None:
    """Neither stands in a result, in any spelling."""
    result = seen(ASKED, (0.0, kernel()))
    assert KEY in OUT[1]
    told = msgspec.json.encode(result).decode() + repr(result)
    for secret in (KEY.decode(), KEY.hex(), "c0ffee01", "01eeffc0", str(0xC0FFEE01)):
        assert secret not in told
    assert KEY.decode() not in repr(read_associations([OUT, IN]))


def test_facts_are_what_was_agreed() -> None:
    """Gateways, algorithms and lifetimes of the newest association, to be compared with what was approved."""
    newer = association(HERE, THERE, 9, added=1050, limits=(20000, 27000))
    assert seen(ASKED, (0.0, kernel((OUT, newer, IN)))).facts == {
        "10.10.0.0/16 to 10.20.0.0/16 gateways": "198.51.100.2 to 203.0.113.2",
        "10.10.0.0/16 to 10.20.0.0/16 algorithms": "rfc4106(gcm(aes))",
        "10.10.0.0/16 to 10.20.0.0/16 hard_seconds": "27000",
        "10.10.0.0/16 to 10.20.0.0/16 hard_bytes": "none",
    }


def test_many_tunnels_stay_one_line() -> None:
    """Some are named, the rest counted."""
    many = kernel(policies=tuple(policy(SITE[0], f"10.{n}.0.0/16", HERE, THERE) for n in range(20, 29)))
    assert seen(ASKED, (0.0, many)).detail.endswith("; 4 more")


WRONG = {
    "a name": (Settings(target="gateway.example"), "no plain address"),
    "a network that is none": (Settings(target=THERE, network="site"), "network:"),
    "an address with bits beyond its prefix": (Settings(target=THERE, network="10.20.0.1/16"), "network:"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_is_said(case: str) -> None:
    """The file's author reads which key is wrong."""
    settings, text = WRONG[case]
    with pytest.raises(ValueError, match=text):
        flow(settings)


def test_nothing_leaves_the_host() -> None:
    """The flow is a question to the kernel."""
    assert flow(Settings(target=THERE, network="10.20.0.0/16")).local
