"""What greeting declares: flow, settings, fault table."""

from types import ModuleType
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from probes import greeting
from probes.kit.greetings import GREETINGS
from probes.kit.resolver import RESOLVE_FAULTS
from probes.kit.spec import Flow
from probes.kit.trouble import LOCAL_FAULTS

MODULES: tuple[ModuleType, ...] = (greeting,)

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
}
WRONG: dict[str, tuple[ModuleType, Any, str]] = {
    "greeting target": (greeting, greeting.Settings(target="a b", protocol="ssh"), "neither"),
    "greeting expect": (greeting, greeting.Settings(target="dc1", protocol="smb", expect="x"), "leave it out"),
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
