"""The path probe, pure: what it declares, and what it makes of answers."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import path, pmtu
from probes.kit.hop_socket import Answer
from probes.kit.resolver import RESOLVE_FAULTS
from probes.kit.spec import Evidence, Flow, Pace
from probes.kit.trouble import LOCAL_FAULTS, Trouble
from probes.path import Settings, View, flow

FLOWS: dict[str, tuple[Settings, Flow]] = {
    "by default": (
        Settings(target="203.0.113.2"),
        Flow(
            host="203.0.113.2", protocol="icmp", function="echo", connect_bytes=48, carry_bytes=48, packets=2 * 3 * 30
        ),
    ),
    "by UDP, to a name": (
        Settings(target="gw.example", protocol="udp", port=40000, rounds=1, max_hops=5, family=6),
        Flow(
            host="gw.example",
            protocol="udp",
            port=40000,
            family=6,
            function="port unreachable",
            connect_bytes=68,
            carry_bytes=68,
            named=True,
            packets=10,
        ),
    ),
    "by TCP": (
        Settings(target="203.0.113.2", protocol="tcp"),
        Flow(
            host="203.0.113.2",
            protocol="tcp",
            port=443,
            function="tcp/443",
            connect_bytes=44,
            carry_bytes=44,
            packets=180,
        ),
    ),
}
WRONG: dict[str, tuple[Settings, str]] = {
    "no rounds": (Settings(target="10.0.0.1", rounds=0), "rounds: 0 .*write 1 to 10"),
    "too far": (Settings(target="10.0.0.1", max_hops=65), "max_hops: 65 .*write 1 to 64"),
    "port": (Settings(target="10.0.0.1", protocol="udp", port=65536), "port: 65536 .*write 0 to 65535"),
    "a port for pings": (Settings(target="10.0.0.1", port=80), "port: pings have none"),
    "prefix": (Settings(target="10.0.0.1", hops={"gw": ("10.0.0.300",)}), "hops: .*write such as"),
    "target": (Settings(target="10.0.0.1:80"), "neither"),
}


@pytest.mark.parametrize("case", FLOWS)
def test_flows(case: str) -> None:
    """A flow says what firewalls and the diagnosis must know; how many packets it may be, too."""
    settings, expected = FLOWS[case]
    assert flow(settings) == expected


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_say_why(case: str) -> None:
    """What cannot work is refused when the file is read, at its key."""
    settings, words = WRONG[case]
    with pytest.raises(ValueError, match=words):
        flow(settings)


@pytest.mark.parametrize("module", [path, pmtu], ids=["path", "pmtu"])
def test_the_reference_is_whole(module: Any) -> None:
    """Every key has its help, every fault its row once, and others are not burdened."""
    spec = module.SPEC
    assert set(spec.key_help) == {field.name for field in msgspec.structs.fields(spec.settings)}
    rows = [(row.name, row.stage) for row in spec.faults]
    assert len(rows) == len(set(rows))
    assert {*RESOLVE_FAULTS, *LOCAL_FAULTS} <= set(spec.faults)
    assert spec.evidence is Evidence.PATH
    assert spec.default_interval >= 2 * spec.minimum_interval > 0
    assert all(metric.name.startswith(spec.type + "_") and metric.help for metric in spec.metrics)


def test_a_slow_look_joins_no_rounds() -> None:
    """A path probe sends dozens of packets: it confirms at its own pace."""
    assert path.SPEC.pace is Pace.OWN


def died(ttl: int, address: str = "", *, round_: int = 0, fault: str = "ttl-exceeded") -> Answer:
    """Return a router's word about a packet."""
    address = address or f"10.0.0.{ttl}"
    trouble = Trouble(fault=fault, by=address, detail=f"{fault} from {address}")
    return Answer(number=round_ * 256 + ttl, address=address, seconds=0.001, stamped=True, trouble=trouble)


def arrived(ttl: int, *, round_: int = 0) -> Answer:
    """Return the target's answer."""
    return Answer(number=round_ * 256 + ttl, address="10.0.0.99", seconds=0.002, stamped=True)


def view(*answers: Answer, hops: int = 6, rounds: int = 1) -> View:
    """Return a view of so many hops with these answers."""
    seen = View()
    seen.sent = dict.fromkeys(range(1, hops + 1), rounds)
    seen.add(answers)
    return seen


FAILURES: dict[str, tuple[View, str, str | None, str]] = {
    "nobody": (view(), "timeout", None, "no answer"),
    "silence behind a hop": (view(died(1), died(2)), "timeout", "10.0.0.2", "silence behind 10.0.0.2, hop 2"),
    "an earlier round saw more": (
        view(died(1), died(2), died(3), died(1, round_=1)),
        "timeout",
        "10.0.0.1",
        "silence behind 10.0.0.1, hop 1",
    ),
    "a router that says no": (
        view(died(1), died(2), died(3, "10.0.0.2", fault="host-unreachable")),
        "host-unreachable",
        "10.0.0.2",
        "host-unreachable",
    ),
    "a loop": (
        view(*(died(ttl, f"10.0.0.{1 + ttl % 2}") for ttl in range(1, 7))),
        "ttl-exceeded",
        "10.0.0.1",
        "6 hops and no target",
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_why_the_target_is_silent(case: str) -> None:
    """The last router that answered in the newest round is the witness; its own silence accuses nobody."""
    seen, fault, by, words = FAILURES[case]
    failure = seen.failure(max_hops=6)
    assert (failure.fault, failure.by) == (fault, by)
    assert words in failure.detail
    assert not seen.reached


def test_the_target_decides_where_the_path_ends() -> None:
    """A router's passing refusal is no end once the target has answered; packets beyond the target need no answer."""
    seen = view(died(1), died(2, fault="host-unreachable"), arrived(3), arrived(4))
    assert seen.reached
    assert seen.end == 3
    assert [hop.end for hop in seen.table()] == [False, False, True]
    assert seen.complete()
    assert not view(died(1), arrived(3)).complete()
    assert not view(died(1)).complete()


def test_our_own_kernel_is_no_hop() -> None:
    """A neighbour that does not answer ARP is reported by ourselves."""
    silent = Answer(number=1, address="10.0.0.10", seconds=1, stamped=True, trouble=Trouble(fault="neighbour-silent"))
    seen = view(silent)
    assert seen.table() == ()
    assert seen.failure(6).fault == "neighbour-silent"


@given(
    st.lists(
        st.builds(died, st.integers(1, 6), st.sampled_from(["10.0.0.1", "10.0.0.2"]), round_=st.integers(0, 2))
        | st.builds(arrived, st.integers(1, 6), round_=st.integers(0, 2)),
        unique_by=lambda one: one.number,
    )
)
def test_any_answers_make_a_view(answers: list[Answer]) -> None:
    """Whatever comes in whatever order, there is a table, and an end or a reason why there is none."""
    seen = view(*answers, rounds=3)
    table = seen.table()
    assert all(hop.answered <= hop.sent for hop in table)
    if seen.reached:
        assert table[-1].end
    else:
        rows = {row.name for row in path.SPEC.faults}
        assert seen.failure(6).fault in rows
