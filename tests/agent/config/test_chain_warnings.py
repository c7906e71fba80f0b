"""What is no mistake in a chain file and still deserves a word."""

import pytest

from agent.config.chain import examine_chain
from agent.config.registry import InstalledTypes
from tests.agent.config.design import DESIGN, edited
from tests.agent.config.fakes import TYPES

WARNINGS = [
    (
        "two vantages in one segment",
        "onprem: {segment: onprem-host, operator: incumbent}",
        "onprem: {segment: onprem-host, operator: incumbent}\n  third: {segment: onprem-host, operator: client}",
        [
            (23, "vantages.third", "no probe runs here; add probes with `from: third`"),
            (
                23,
                "vantages.third.segment",
                "is the segment of vantage `onprem` too; give every host a segment of its own",
            ),
        ],
    ),
    (
        "name without resolve",
        "resolve: [dns],",
        "",
        [
            (13, "segments.dns", "no probe crosses it; add it to the paths that do, or add a probe"),
            (
                30,
                "probes.erp",
                (
                    "`erp.corp.lab` is resolved by name, and a failure to resolve it accuses nobody; "
                    "write `resolve: [segments]` with what resolution needs"
                ),
            ),
        ],
    ),
    (
        "resolve without name",
        "target: 10.10.0.1,",
        "target: 10.10.0.1, resolve: [dns],",
        [(27, "probes.gw.resolve", "the target is an address, nothing is resolved; remove `resolve`")],
    ),
    (
        "overlap",
        "target: 10.10.0.1,    interval: 1s,",
        "target: 10.10.0.1,    interval: 500ms,",
        [
            (
                27,
                "probes.gw.interval",
                (
                    "attempts start every 0.5 s and may last 1 s, so they overlap; "
                    "write an interval of at least the timeout"
                ),
            )
        ],
    ),
    (
        "patience",
        "target: 10.10.0.1,    interval: 1s,",
        "target: 10.10.0.1,    interval: 3s, timeout: 3s,",
        [
            (
                27,
                "probes.gw.timeout",
                (
                    "3 s, while the probes that share segments with it use 1 s; write the same, "
                    "or their results speak of different moments"
                ),
            )
        ],
    ),
    (
        "service without probe",
        "service: erp,",
        "",
        [(24, "services.erp", "no probe observes it; write `service: erp` with the probe that does")],
    ),
    (
        "hours that are none",
        'hours: "Mo-Fr 07:00-19:00", ',
        "",
        [(24, "services.erp.page", "pages in its hours, and has none: always; write `hours`")],
    ),
    (
        "vantage without probe",
        "vantages:\n",
        "vantages:\n  third: {segment: dns, operator: msp}\n",
        [(21, "vantages.third", "no probe runs here; add probes with `from: third`")],
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "expected"), [case[1:] for case in WARNINGS], ids=[case[0] for case in WARNINGS]
)
def test_warnings(old: str, new: str, expected: list[tuple[int, str, str]]) -> None:
    """What is allowed and probably not meant is a warning; the chain loads."""
    found = examine_chain(edited(old, new), "chain.yml", TYPES)
    assert found.chain is not None
    assert [(p.line, p.key, p.text) for p in found.warnings] == expected


def test_a_network_with_several_exits() -> None:
    """A network crossed between three neighbours is warned of: a tunnel within another way is no neighbour."""
    data = (
        DESIGN
        + b"  other: {type: icmp, from: onprem, target: 192.0.2.9, path: [onprem-host, onprem-gw, carrier, dns]}\n"
    )
    (warning,) = examine_chain(data, "chain.yml", TYPES).warnings
    assert warning.key == "segments.carrier"
    assert "is crossed between cloud-gw, onprem-gw, dns, and a pass between two of them" in warning.text


@pytest.mark.parametrize(("networks", "warned"), [("", ["probes.tunnel"]), (" networks: [10.20.0.0/16],", [])])
def test_a_tunnel_without_its_networks(networks: str, warned: list[str]) -> None:
    """Which addresses a tunnel was agreed to carry is asked for where its gateway can be asked."""
    path = "path: [cloud-host, cloud-gw, carrier, onprem-gw, vpn]"
    tunnel = f"  tunnel: {{type: strongswan, from: cloud, target: /run/charon.vici,{networks} {path}}}\n"
    found = examine_chain(DESIGN + tunnel.encode(), "chain.yml", InstalledTypes()).warnings
    assert [w.key for w in found if w.key.startswith("probes")] == warned


def test_margins_that_nothing_can_show() -> None:
    """A margin needs a probe whose round trip can be told; the contract's own web probe is one."""
    data = DESIGN.replace(b"99.5%", b"99.5%, delay: 15ms")
    assert examine_chain(data, "chain.yml", TYPES).warnings == ()
    found = examine_chain(data.replace(b"service: erp,", b""), "chain.yml", TYPES).warnings
    assert [w.key for w in found] == ["services.erp", "services.erp.norm"]
    assert found[1].text == "none of its probes measures a round trip, so no margin is watched"


def test_no_warning_for_slow_types() -> None:
    """A slow type keeps its own timeout without a warning: it never joins the rounds."""
    data = DESIGN + b"  slow: {type: sync, from: cloud, target: 10.10.0.1, path: [cloud-host, cloud-gw]}\n"
    assert examine_chain(data, "chain.yml", TYPES).warnings == ()


def test_the_example_has_no_warnings() -> None:
    """The contract's own example is clean."""
    assert examine_chain(DESIGN, "chain.yml", TYPES).warnings == ()
