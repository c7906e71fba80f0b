"""What greeting, ntp and udp declare: flow, settings, fault table."""

from types import ModuleType
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from probes import greeting, ntp, udp
from probes.kit.greetings import GREETINGS
from probes.kit.resolver import RESOLVE_FAULTS
from probes.kit.spec import Duration, Flow
from probes.kit.trouble import LOCAL_FAULTS

MODULES: tuple[ModuleType, ...] = (greeting, ntp, udp)

FLOWS: dict[str, tuple[ModuleType, Any, Flow]] = {
    "greeting at the protocol's own port": (
        greeting,
        greeting.Settings(target="dc1.corp.lab", protocol="ldap"),
        Flow(host="dc1.corp.lab", protocol="tcp", port=389, function="ldap greeting", carry_bytes=576, named=True),
    ),
    "greeting elsewhere": (
        greeting,
        greeting.Settings(target="[2001:db8::1]:2222", protocol="ssh", expect="OpenSSH"),
        Flow(host="2001:db8::1", protocol="tcp", port=2222, family=6, function="ssh greeting", carry_bytes=576),
    ),
    "ntp": (
        ntp,
        ntp.Settings(target="time.corp.lab", max_offset=Duration(0.5)),
        Flow(
            host="time.corp.lab",
            protocol="udp",
            port=123,
            function="NTP time",
            connect_bytes=76,
            carry_bytes=76,
            named=True,
        ),
    ),
    "udp": (
        udp,
        udp.Settings(target="[2001:db8::1]:5060", send="hex:00 01 02 03"),
        Flow(
            host="2001:db8::1",
            protocol="udp",
            port=5060,
            family=6,
            function="udp/5060",
            connect_bytes=52,
            carry_bytes=52,
        ),
    ),
}
WRONG: dict[str, tuple[ModuleType, Any, str]] = {
    "greeting target": (greeting, greeting.Settings(target="a b", protocol="ssh"), "neither"),
    "greeting expect": (greeting, greeting.Settings(target="dc1", protocol="smb", expect="x"), "leave it out"),
    "ntp offset": (ntp, ntp.Settings(target="10.0.0.1", max_offset=Duration(-1)), "positive"),
    "udp without port": (udp, udp.Settings(target="10.0.0.1", send="x"), "no port"),
    "udp with nothing to send": (udp, udp.Settings(target="10.0.0.1:9", send=""), "send"),
    "udp with half a byte to send": (udp, udp.Settings(target="10.0.0.1:9", send="hex:0"), "send: after"),
    "udp with half a byte to expect": (
        udp,
        udp.Settings(target="10.0.0.1:9", send="x", expect="hex:x"),
        "expect: after",
    ),
    "udp in fragments": (udp, udp.Settings(target="10.0.0.1:9", send="x" * 1253), "no more than"),
}


@pytest.mark.parametrize("case", FLOWS)
def test_flows(case: str) -> None:
    """A flow says what firewalls and the diagnosis must know."""
    module, settings, expected = FLOWS[case]

    assert expected == module.flow(settings)


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_say_why(case: str) -> None:
    """What cannot work is refused when the file is read."""
    module, settings, words = WRONG[case]

    with pytest.raises(ValueError, match=words):
        module.flow(settings)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.SPEC.type))
def test_the_reference_is_whole(module: ModuleType) -> None:
    """Every key has its help, every row its texts, and no row stands twice."""
    spec = module.SPEC

    assert set(spec.key_help) == {field.name for field in msgspec.structs.fields(spec.settings)}
    rows = [(row.name, row.stage) for row in spec.faults]
    assert len(rows) == len(set(rows))
    assert {*RESOLVE_FAULTS, *LOCAL_FAULTS} <= set(spec.faults)
    assert all(row.meaning.endswith(".") and row.remedy for row in spec.faults)
    assert all(metric.name.startswith(spec.type + "_") and metric.help for metric in spec.metrics)


def test_every_protocol_can_be_written() -> None:
    """The keyword of the settings and the table of protocols agree, and each row names its specification."""
    assert get_args(get_type_hints(greeting.Settings)["protocol"]) == tuple(GREETINGS)
    assert all(name in greeting.SPEC.key_help["protocol"] and row.source for name, row in GREETINGS.items())


@pytest.mark.parametrize(
    ("answer", "expected", "how", "met"),
    [
        (b"", b"", "equal", True),
        (b"pong!", b"", "equal", True),
        (b"say pong", b"pong", "contains", True),
        (b"say pong", b"pong", "prefix", False),
        (b"pong!", b"pong", "prefix", True),
        (b"pong!", b"pong", "equal", False),
        (b"pong", b"pong", "equal", True),
    ],
)
def test_answers_are_compared_as_asked(answer: bytes, expected: bytes, how: str, met: bool) -> None:
    """Nothing expected is met by anything, an empty datagram included."""
    assert udp.matches(answer, expected, how) is met
