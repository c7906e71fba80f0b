"""route, pure: what the kernel's answers, as pyroute2 reads them, say of the agreed way; and its runner with a fake."""

import asyncio
import errno
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import route as route_probe
from probes.kit import spec
from probes.kit.result import Outcome, Result, Stage
from probes.kit.rtnetlink import Netlink, load_netlink, read_link, read_route, turns
from probes.kit.spec import Evidence, Flow, Pace
from probes.route import SPEC, Replies, RouteRunner, Settings, flow, judge

DECLARED = {fault.name: fault.stage for fault in SPEC.faults}
METRICS = {metric.name for metric in SPEC.metrics}


def route(device: int = 6, gateway: str | None = "10.0.0.2", table: int = 220, mtu: int | None = None) -> Any:
    """Return RTM_NEWROUTE as Linux 6.18 and pyroute2 0.9.7 gave it (shortened)."""
    attrs: list[tuple[str, Any]] = [("RTA_TABLE", table), ("RTA_DST", "10.20.0.5"), ("RTA_OIF", device)]
    if gateway is not None:
        attrs.append(("RTA_GATEWAY", gateway))
    if mtu is not None:
        attrs.append(("RTA_METRICS", {"attrs": [("RTAX_MTU", mtu)]}))
    attrs.append(("UNKNOWN", {"header": {"length": 8, "type": 25}}))
    return {"attrs": attrs, "family": 2, "table": min(table, 255), "type": 1, "event": "RTM_NEWROUTE"}


def link(name: str = "tun0", index: int = 6, flags: int = 69841, state: str = "UP") -> Any:
    """Return RTM_NEWLINK likewise."""
    errors = {"rx_errors": 3, "tx_errors": 4, "rx_packets": 9}
    attrs = [("IFLA_IFNAME", name), ("IFLA_OPERSTATE", state), ("IFLA_MTU", 1400), ("IFLA_STATS64", errors)]
    return {"attrs": attrs, "index": index, "flags": flags, "event": "RTM_NEWLINK"}


AGREED = Settings(target="10.20.0.5", device="tun0", via="10.0.0.2", table=220)
ANY = Settings(target="10.20.0.5")
ETH = link("eth0", 2)
UP: dict[str, float] = {
    "route_mtu_bytes": 1400.0,
    "route_link_up": 1.0,
    "route_link_receive_errors": 3.0,
    "route_link_transmit_errors": 4.0,
}
DOWN = UP | {"route_link_up": 0.0}

# case -> (settings, answers, fault, detail, values)
CASES: dict[str, tuple[Settings, Replies, str | None, str, dict[str, float]]] = {
    "as agreed": (
        AGREED,
        Replies(route=route(), named=link()),
        None,
        "10.20.0.5 goes via 10.0.0.2 by tun0, table 220",
        UP,
    ),
    "nothing agreed": (ANY, Replies(route=route(), out=link()), None, "via 10.0.0.2 by tun0", UP),
    "on the link, in the main table": (
        ANY,
        Replies(route=route(gateway=None, table=254), out=link()),
        None,
        "10.20.0.5 goes by tun0, table main",
        UP,
    ),
    "a route with its own MTU": (
        AGREED,
        Replies(route=route(mtu=1300), named=link()),
        None,
        "",
        UP | {"route_mtu_bytes": 1300.0},
    ),
    "a driver that tells no state": (AGREED, Replies(route=route(), named=link(state="UNKNOWN")), None, "", UP),
    "an interface that vanished between two questions": (
        ANY,
        Replies(route=route(), out=errno.ENODEV),
        None,
        "by interface 6",
        {},
    ),
    "a gateway of the other family": (
        msgspec.structs.replace(AGREED, via="FE80:0::1"),
        Replies(
            route={"type": 1, "attrs": [("RTA_OIF", 6), ("RTA_TABLE", 220), ("RTA_VIA", {"addr": "fe80::1"})]},
            named=link(),
        ),
        None,
        "via fe80::1",
        UP,
    ),
    "the unreachable fallback": (
        AGREED,
        Replies(route=errno.EHOSTUNREACH, named=link()),
        "unreachable",
        "10.20.0.5 goes nowhere: an unreachable route",
        {k: v for k, v in UP.items() if k != "route_mtu_bytes"},
    ),
    "a blackhole": (ANY, Replies(route=errno.EINVAL), "unreachable", "a blackhole route", {}),
    "a prohibit route": (ANY, Replies(route=errno.EACCES), "unreachable", "a prohibit route", {}),
    "no route": (ANY, Replies(route=errno.ENETUNREACH), "unreachable", "nowhere: no route", {}),
    "an unreachable route as a message": (
        ANY,
        Replies(route={"type": 7, "attrs": [("RTA_OIF", 1)]}, out=link("lo", 1)),
        "unreachable",
        "an unreachable route",
        {},
    ),
    "another interface": (
        AGREED,
        Replies(route=route(2, "192.0.2.1", 254), named=link(), out=ETH),
        "wrong-device",
        "tun0 is agreed; 10.20.0.5 goes via 192.0.2.1 by eth0, table main",
        UP,
    ),
    "another gateway": (
        AGREED,
        Replies(route=route(gateway="10.0.0.3"), named=link()),
        "wrong-gateway",
        "10.0.0.2 is agreed; 10.20.0.5 goes via 10.0.0.3",
        UP,
    ),
    "no gateway": (
        AGREED,
        Replies(route=route(gateway=None), named=link()),
        "wrong-gateway",
        "10.0.0.2 is agreed",
        UP,
    ),
    "another table": (
        AGREED,
        Replies(route=route(table=254), named=link()),
        "wrong-table",
        "table 220 is agreed; 10.20.0.5 goes via 10.0.0.2 by tun0, table main",
        UP,
    ),
    "no carrier": (AGREED, Replies(route=route(), named=link(state="DOWN")), "device-down", "tun0 is down", DOWN),
    "lower layer": (ANY, Replies(route=route(), out=link(state="LOWERLAYERDOWN")), "device-down", "lowerlayer", DOWN),
    "switched off, and the fallback takes over": (
        AGREED,
        Replies(route=errno.EHOSTUNREACH, named=link(flags=0, state="DOWN")),
        "device-down",
        "tun0 is switched off; 10.20.0.5 goes nowhere: an unreachable route",
        {k: v for k, v in DOWN.items() if k != "route_mtu_bytes"},
    ),
    "no such interface": (
        AGREED,
        Replies(route=route(2, None, 254), named=errno.ENODEV, out=ETH),
        "device-down",
        "there is no tun0; 10.20.0.5 goes by eth0",
        {"route_mtu_bytes": 1400.0},
    ),
    "forbidden to ask": (ANY, Replies(route=errno.EPERM), "no-permission", "EPERM", {}),
    "out of memory": (ANY, Replies(route=errno.ENOBUFS), "netlink-error", "ENOBUFS", {}),
    "an errno that has no name": (ANY, Replies(route=4711), "netlink-error", "4711", {}),
    "forbidden to ask for the interface": (AGREED, Replies(route=route(), named=errno.EPERM), "no-permission", "", {}),
    "an empty answer": (ANY, Replies(route={}), "netlink-error", "about the route cannot be read", {}),
    "an answer that is none": (ANY, Replies(route=None), "netlink-error", "no answer about the route", {}),
    "an unreadable interface": (AGREED, Replies(route=route(), named={}), "netlink-error", "about the interface", {}),
    "an interface that is no message": (AGREED, Replies(route=route(), named="tun0"), "netlink-error", "interface", {}),
    "statistics of another shape": (
        AGREED,
        Replies(
            route=route(),
            named={"index": 6, "flags": 1, "attrs": [("IFLA_IFNAME", "tun0"), ("IFLA_STATS64", b""), 7, (), (1, 2)]},
        ),
        None,
        "",
        {"route_link_up": 1.0},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_judged(case: str) -> None:
    """The kernel's answers give the fault, what was found, and what was counted."""
    settings, replies, fault, detail, values = CASES[case]
    result = judge(settings, replies)
    assert (result.fault, result.values) == (fault, values)
    assert detail in result.detail
    check(result)


def check(result: Result) -> None:
    """Outcome, stage and fault agree with the table; metrics are declared."""
    if result.outcome is Outcome.OK:
        assert (result.fault, result.stage) == (None, None)
    else:
        assert result.fault is not None
        assert result.stage == DECLARED[result.fault]
        assert (result.outcome is Outcome.UNKNOWN) == (result.stage is None)
    assert set(result.values) <= METRICS


def test_each_declared_fault_occurs() -> None:
    """The table of cases reaches every fault of the reference but the one that takes two readings."""
    assert {fault for _, _, fault, _, _ in CASES.values()} == {None, *DECLARED} - {"link-errors"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=5) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        *("RTA_OIF", "RTA_GATEWAY", "RTA_VIA", "RTA_TABLE", "RTA_METRICS", "RTAX_MTU"),
        *("IFLA_IFNAME", "IFLA_OPERSTATE", "IFLA_MTU", "IFLA_STATS64"),
    ]
)
SLOTS = st.lists(st.tuples(NAMES, VALUES | st.just({"attrs": [("RTAX_MTU", 1)]})) | VALUES, max_size=6)
NUMBERS = st.integers(0, 300) | VALUES
MESSAGES = st.fixed_dictionaries(
    {}, optional={"attrs": SLOTS | VALUES, "type": NUMBERS, "index": NUMBERS, "flags": NUMBERS, "table": NUMBERS}
)
ANSWERS = MESSAGES | st.sampled_from([route(), link(), ETH]) | st.integers() | VALUES
SETTINGS = st.sampled_from([ANY, AGREED, Settings(target="::1", device="lo"), Settings(target="::1", via="fe80::1")])


@given(settings=SETTINGS, asked=ANSWERS, named=ANSWERS, out=ANSWERS)
def test_any_answer_gives_a_declared_result(settings: Settings, asked: object, named: object, out: object) -> None:
    """Whatever the kernel or pyroute2 answer, the result is one that the reference knows."""
    check(judge(settings, Replies(route=asked, named=named, out=out)))


@given(st.integers(-(2**40), 2**40).filter(bool))
def test_an_errno_is_never_a_route(code: int) -> None:
    """A refused lookup is no route, and a refused interface is none: neither passes."""
    assert judge(ANY, Replies(route=code)).outcome is not Outcome.OK
    assert judge(AGREED, Replies(route=route(), named=code)).outcome is not Outcome.OK


def destination(address: str | None, length: object, **more: object) -> dict[str, Any]:
    """Return a route of a dump."""
    return {"dst_len": length, "attrs": [("RTA_DST", address)] if address else [], "type": 1, **more}


TURNS: dict[str, tuple[str, list[object], tuple[str, ...]]] = {
    "no route within": ("10.20.0.0/16", [destination("10.20.0.0", 16), destination(None, 0)], ("10.20.0.0",)),
    "one within, and what follows it": (
        "10.20.0.0/16",
        [destination("10.20.4.0", 24)],
        ("10.20.0.0", "10.20.4.0", "10.20.5.0"),
    ),
    "one at its end, twice, and one within another": (
        "10.20.0.0/16",
        [destination("10.20.255.0", 24), destination("10.20.255.0", 24), destination("10.20.255.64", 26)],
        ("10.20.0.0", "10.20.255.0", "10.20.255.64", "10.20.255.128"),
    ),
    "others": ("10.20.0.0/16", [destination("10.0.0.0", 8), destination("10.30.0.0", 24)], ("10.20.0.0",)),
    "another family": ("fd00:20::/64", [destination("10.20.0.0", 24)], ("fd00:20::",)),
    "its own": ("fd00:20::/64", [destination("fd00:20::8", 127)], ("fd00:20::", "fd00:20::8", "fd00:20::a")),
    "what cannot be read": ("10.20.0.0/16", [7, destination("10.20.1.0", "x"), destination("?", 24)], ("10.20.0.0",)),
}


@pytest.mark.parametrize("case", TURNS)
def test_the_way_may_change_where_routes_begin_and_end(case: str) -> None:
    """These addresses, and no others, can go another way than the one before them."""
    network, messages, expected = TURNS[case]
    assert turns(network, messages) == expected


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(16, 32)), max_size=5), st.integers(0, 65535))
def test_between_two_turns_the_same_routes_match(parts: list[tuple[int, int]], offset: int) -> None:
    """Every address of the network matches the same routes as the turn before it: to look there is to look at it."""
    nets = [ip_network(f"10.20.{third}.0/{length}", strict=False) for third, length in parts]
    starts = [ip_address(one) for one in turns("10.20.0.0/16", [destination(str(n[0]), n.prefixlen) for n in nets])]
    address = ip_address("10.20.0.0") + offset
    before = max((one for one in starts if int(one) <= int(address)), key=int)
    assert [address in net for net in nets] == [before in net for net in nets]


PARTS: dict[str, tuple[dict[str, object], str | None, str]] = {
    "all the same way": ({"10.20.0.0": route(), "10.20.4.0": route()}, None, ""),
    "by another interface": ({"10.20.4.0": route(device=2, table=254)}, "wrong-device", "10.20.4.0 goes via"),
    "to another gateway": ({"10.20.4.0": route(gateway="10.0.0.3")}, "wrong-gateway", "10.0.0.2 is agreed"),
    "nowhere": ({"10.20.4.0": errno.EHOSTUNREACH}, "unreachable", "10.20.4.0 goes nowhere"),
    "it could not be asked": ({"10.20.4.0": errno.EPERM}, "no-permission", ""),
}


@pytest.mark.parametrize("case", PARTS)
def test_a_network_goes_one_way_as_a_whole(case: str) -> None:
    """A part that goes another way fails like the target itself, and is named."""
    parts, fault, detail = PARTS[case]
    result = judge(AGREED, Replies(route=route(), named=link(), parts=parts))
    assert (result.fault, detail in result.detail) == (fault, True)
    check(result)
    freely = judge(ANY, Replies(route=route(), out=link(), parts=parts))
    assert freely.fault == (None if fault == "wrong-gateway" else fault)
    many = judge(AGREED, Replies(route=route(), named=link(), unread=3))
    assert "3 more addresses" in many.detail


def test_lazy_slots_are_read_by_index() -> None:
    """pyroute2's slots decode when indexed; they are neither tuples nor lists."""

    class Slot:
        def __init__(self, *cell: object) -> None:
            self.cell = cell

        def __getitem__(self, key: int) -> object:
            return self.cell[key]

    found = read_route({"type": 1, "table": 254, "attrs": [Slot("RTA_OIF", 3), Slot("RTA_GATEWAY", "10.0.0.1")]})
    assert not isinstance(found, str)
    assert (found.device, found.gateway, found.table) == (3, "10.0.0.1", 254)
    assert read_link(None) is None


FLOWS: dict[str, Flow] = {
    "10.20.0.5": Flow(host="10.20.0.5", protocol="netlink", family=4, function="route", connect_bytes=0, carry_bytes=0),
    "fd00::5": Flow(host="fd00::5", protocol="netlink", family=6, function="route", connect_bytes=0, carry_bytes=0),
}


@pytest.mark.parametrize("target", FLOWS)
def test_the_flow_stays_on_the_host(target: str) -> None:
    """The flow names address and family, and no firewall has to know it."""
    to = flow(Settings(target=target, device="tun0", via="10.0.0.2", table=220))
    assert to == FLOWS[target]
    assert to.local


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a name": ({"target": "erp.corp.lab"}, "is no plain address"),
    "a network elsewhere": ({"network": "10.30.0.0/16"}, "no network with 10.20.0.5 in it"),
    "a network with a host's address": ({"network": "10.20.0.5/16"}, "network: "),
    "a prefix": ({"target": "10.20.0.0/16"}, "neither an IP address nor a host name"),
    "a scope": ({"target": "fe80::1%eth0"}, "is no plain address"),
    "a group": ({"target": "224.0.0.1"}, "not the address of one host"),
    "an empty interface": ({"device": ""}, "device: '' is no interface name"),
    "a long interface": ({"device": "x" * 16}, "device: "),
    "an interface with a space": ({"device": "tun 0"}, "device: "),
    "an interface with a slash": ({"device": "tun/0"}, "device: "),
    "a gateway by name": ({"via": "gw"}, "via: 'gw' is no address"),
    "table zero": ({"table": 0}, "table: 0 is no routing table"),
    "a table of 33 bits": ({"table": 2**32}, "table: "),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_are_named(case: str) -> None:
    """The error says which key is wrong and what to write."""
    changes, pattern = WRONG[case]
    with pytest.raises(ValueError, match=pattern):
        flow(msgspec.structs.replace(ANY, **changes))


def test_the_reference_is_whole() -> None:
    """Each key is explained; the type proves a state, confirms in the rounds, and says what it cannot see."""
    assert set(SPEC.key_help) == set(Settings.__struct_fields__)
    assert (SPEC.evidence, SPEC.pace, SPEC.default_interval) == (Evidence.STATE, Pace.ROUND, 5.0)
    assert "only this host's own routes" in SPEC.summary


class Clock:
    """Stands still, so that a deadline is as far away as the test says."""

    def boot(self) -> float:
        """Return 100 s since boot."""
        return 100.0

    def wall(self) -> float:
        """Return a moment."""
        return 1_800_000_000.0


class Kit:
    """A clock, and nothing else is needed."""

    clock: spec.Clock = Clock()

    @property
    def resolver(self) -> spec.Resolver:
        """There is none."""
        raise AssertionError("a route needs no name")


class RefusedError(Exception):
    """The kernel's refusal, as pyroute2 raises it."""

    def __init__(self, code: int) -> None:
        self.code = code


class FakeSocket:
    """Answers from a table by question; an exception in it is raised, an Event waited for."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers
        self.asked: list[str] = []
        self.closed = False

    async def route(self, command: str, *, dst: str, flags: int) -> list[Any]:
        """Answer a lookup."""
        assert flags == 0x1000
        return await self._answer(f"{command} {dst}")

    async def link(self, command: str, *, ifname: str = "", index: int = 0) -> list[Any]:
        """Answer about an interface."""
        return await self._answer(f"{command} {ifname or index}")

    async def _answer(self, question: str) -> list[Any]:
        self.asked.append(question)
        await asyncio.sleep(0)
        answer = self._answers[question]
        if isinstance(answer, asyncio.Event):
            await answer.wait()
        if isinstance(answer, Exception):
            raise answer
        return [] if answer is None else [answer]

    def close(self) -> None:
        """Remember it."""
        self.closed = True


class FakeKernel:
    """Hands out sockets that share one table of answers, and keeps them; an OSError instead is raised."""

    def __init__(self, answers: dict[str, Any] | OSError) -> None:
        self._answers = answers
        self.sockets: list[FakeSocket] = []

    def connect(self) -> FakeSocket:
        """Open a socket."""
        if isinstance(self._answers, OSError):
            raise self._answers
        self.sockets.append(FakeSocket(self._answers))
        return self.sockets[-1]

    def attempts(self, *settings: Settings, within: float = 5.0, fresh: bool = False) -> list[Result]:
        """Make these attempts at once, by one runner."""

        async def scenario() -> list[Result]:
            runner = RouteRunner(Clock(), Netlink(self.connect, RefusedError))
            results = await asyncio.gather(*(runner.attempt(s, 100.0 + within, fresh=fresh) for s in settings))
            runner.close()
            return results

        return asyncio.run(scenario())


def test_questions() -> None:
    """The agreed interface is asked by name, and the one in use only where it is another."""
    kernel = FakeKernel({"get 10.20.0.5": route(), "get tun0": link(), "get eth0": ETH, "get 6": link()})
    result, away, loose = kernel.attempts(AGREED, msgspec.structs.replace(AGREED, device="eth0"), ANY)
    assert (result.outcome, result.seconds, result.phases) == (Outcome.OK, 0.0, {"query": 0.0})
    assert (away.fault, loose.outcome) == ("wrong-device", Outcome.OK)
    assert [each.asked for each in kernel.sockets] == [
        ["get 10.20.0.5", "get tun0", "get 10.20.0.5", "get eth0", "get 6", "get 10.20.0.5", "get 6"]
    ]
    assert kernel.sockets[0].closed


def test_refusals_keep_the_socket() -> None:
    """What the kernel refuses is an answer; an answer without a message is none."""
    kernel = FakeKernel({"get 10.20.0.5": RefusedError(errno.EHOSTUNREACH), "get tun0": RefusedError(errno.ENODEV)})
    assert [r.fault for r in kernel.attempts(ANY, AGREED)] == ["unreachable", "device-down"]
    assert len(kernel.sockets) == 1
    (silent,) = FakeKernel({"get 10.20.0.5": None}).attempts(ANY)
    assert (silent.outcome, silent.fault, silent.seconds) == (Outcome.UNKNOWN, "netlink-error", None)


def test_a_confirmation_gets_a_fresh_socket() -> None:
    """`fresh` never asks on a socket that another attempt used."""
    kernel = FakeKernel({"get 10.20.0.5": route(), "get 6": link()})
    kernel.attempts(ANY, ANY, fresh=True)
    assert [each.closed for each in kernel.sockets] == [True, True]


BROKEN: dict[str, tuple[dict[str, Any] | OSError, float, str, str]] = {
    "not allowed": (PermissionError(errno.EPERM, "Operation not permitted"), 5.0, "no-permission", "not permitted"),
    "no descriptor": (OSError(errno.EMFILE, "Too many open files"), 5.0, "netlink-error", "Too many open files"),
    "without words": (OSError(), 5.0, "netlink-error", "OSError"),
    "too late": ({"get 10.20.0.5": route(), "get 6": link()}, -1.0, "netlink-error", "by the deadline"),
    "silence": ({"get 10.20.0.5": asyncio.Event()}, 0.01, "netlink-error", "by the deadline"),
    "a broken socket": ({"get 10.20.0.5": ConnectionResetError(errno.ECONNRESET, "reset")}, 5.0, "netlink-error", "r"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_kernel_that_cannot_be_asked(case: str) -> None:
    """Whatever keeps us from the answer is unknown, and a socket with a question on it is not used again."""
    answers, within, fault, detail = BROKEN[case]
    kernel = FakeKernel(answers)
    (result,) = kernel.attempts(ANY, within=within)
    assert (result.outcome, result.stage, result.fault) == (Outcome.UNKNOWN, None, fault)
    assert detail in result.detail
    assert all(each.closed for each in kernel.sockets)


def test_the_next_attempt_opens_another_socket() -> None:
    """After a broken exchange the next one is asked on a new socket."""
    kernel = FakeKernel({"get 10.20.0.5": asyncio.Event(), "get ::1": route(), "get 6": link()})

    async def scenario() -> tuple[Result, Result]:
        runner = RouteRunner(Clock(), Netlink(kernel.connect, RefusedError))
        first = await runner.attempt(ANY, 100.01)
        second = await runner.attempt(Settings(target="::1"), 105.0)
        return first, second

    first, second = asyncio.run(scenario())
    assert (first.fault, second.outcome, len(kernel.sockets)) == ("netlink-error", Outcome.OK, 2)


def test_a_bug_is_raised_and_leaves_no_socket() -> None:
    """What is neither the kernel's nor the host's fault goes up to where bugs are counted."""
    kernel = FakeKernel({"get 10.20.0.5": ZeroDivisionError()})
    with pytest.raises(ZeroDivisionError):
        kernel.attempts(ANY)
    assert kernel.sockets[0].closed


def test_opening_asks_nothing() -> None:
    """Opening the type imports pyroute2, and neither opens a socket nor asks the kernel."""
    before = set(Path("/proc/self/fd").iterdir())

    async def scenario() -> object:
        async with route_probe.open(Kit()) as runner:
            assert isinstance(runner, RouteRunner)
        return load_netlink().connect()

    assert type(asyncio.run(scenario())).__name__ == "AsyncIPRoute"
    assert set(Path("/proc/self/fd").iterdir()) <= before


def test_a_failure_has_its_stage() -> None:
    """A departure accuses the path: stage connect, without the responder's own bytes."""
    result = judge(AGREED, Replies(route=errno.EHOSTUNREACH, named=link()))
    assert (result.outcome, result.stage, result.answered) == (Outcome.FAILED, Stage.CONNECT, False)


RISING = {
    "the first reading": ({}, Outcome.OK, ""),
    "as before": (UP, Outcome.OK, ""),
    "received with errors": (
        UP | {"route_link_receive_errors": 1.0},
        Outcome.DEGRADED,
        "2 receive and 0 transmit errors more; the way",
    ),
    "sent with errors": (
        UP | {"route_link_transmit_errors": 0.0},
        Outcome.DEGRADED,
        "0 receive and 4 transmit errors more; the way",
    ),
    "a new interface, counted from zero": (UP | {"route_link_receive_errors": 9.0}, Outcome.OK, ""),
}


@pytest.mark.parametrize("case", RISING)
def test_errors_that_rise_degrade(case: str) -> None:
    """Only what the interface has counted since the reading before is told."""
    before, outcome, detail = RISING[case]
    result = route_probe.link_errors(before, Result(outcome=Outcome.OK, detail="the way", values=UP))
    assert (result.outcome, result.detail) == (outcome, detail or "the way")


def test_errors_are_told_of_the_agreed_way_only() -> None:
    """A way that is wrong already stays what it is."""
    wrong = Result(outcome=Outcome.FAILED, stage=Stage.CONNECT, fault="wrong-device", values=UP)
    assert route_probe.link_errors({"route_link_receive_errors": 0.0}, wrong) is wrong
