"""What a probe type says beyond its keys: how often it may run, which keys name segments, how much it sends."""

import pytest

from agent.config import ConfigError, load_chain_text
from agent.config.flows import flows

CHAIN = """
version: 1
effective: 2027-01-15T00:00
timezone: Europe/Amsterdam
director: msp
parties: {msp: {name: M}, incumbent: {name: I}}
segments: {host: {owner: msp, side: cloud}, gw: {owner: msp, side: cloud}, far: {owner: incumbent, side: onprem}}
vantages: {cloud: {segment: host, operator: msp}}
probes:
"""
_LONG = "sending takes 0.6 s, over half of the timeout of 1 s;"
# probe, key -> what is said of it
REFUSED: dict[str, tuple[str, str, str]] = {
    "ike too often": (
        "{type: ike, from: cloud, target: 192.0.2.1, interval: 5s, path: [host, far]}",
        "probes.p.interval",
        "5s is too often for ike, whose attempts burden others; write 30s or more",
    ),
    "path too often": (
        "{type: path, from: cloud, target: 192.0.2.1, interval: 1s, path: [host, far]}",
        "probes.p.interval",
        "1s is too often for path, whose attempts burden others; write 5s or more",
    ),
    "a burst longer than half of its timeout": (
        "{type: icmp, from: cloud, target: 192.0.2.1, count: 11, gap: 60ms, path: [host, far]}",
        "probes.p",
        f"{_LONG} send fewer packets or closer together, or write `timeout: 1.2s`",
    ),
    "hops of a segment that is none": (
        "{type: path, from: cloud, target: 192.0.2.1, hops: {gv: 10.0.0.0/8}, path: [host, gw, far]}",
        "probes.p.hops.gv",
        "there is no segment `gv`; describe it under `segments`",
    ),
    "hops that are no prefix": (
        "{type: path, from: cloud, target: 192.0.2.1, hops: {gw: 10.0.0.1/8}, path: [host, gw, far]}",
        "probes.p.hops",
        "10.0.0.1/8 has host bits set; write such as 10.20.0.0/16 or 2001:db8::/32",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_at_load_time(case: str) -> None:
    """The file's line, the key and what to write instead."""
    probe, key, text = REFUSED[case]
    with pytest.raises(ConfigError) as refused:
        load_chain_text(f"{CHAIN}  p: {probe}\n".encode(), "chain.yml")
    (problem,) = refused.value.problems
    assert (problem.line, problem.key, problem.text) == (10, key, text)


def test_allowed() -> None:
    """At its least interval, at its default, and with hops of segments that there are."""
    lines = """
  i: {type: ike, from: cloud, target: 192.0.2.1, interval: 30s, path: [host, far]}
  d: {type: ike, from: cloud, target: 192.0.2.2, path: [host, far]}
  b: {type: icmp, from: cloud, target: 192.0.2.1, count: 4, gap: 100ms, timeout: 600ms, path: [host, far]}
  p: {type: path, from: cloud, target: 192.0.2.1, rounds: 2, max_hops: 10, hops: {gw: [10.0.0.0/8], far: 192.0.2.0/24},
    path: [host, gw, far]}
"""
    chain = load_chain_text(f"{CHAIN}{lines}".encode(), "chain.yml")
    assert [probe.interval for probe in chain.probes.values()] == [30, 60, 1, 60]
    rows = {row.probe: row.packets_per_hour for row in flows(chain)}
    assert rows["p"] == 60 * 2 * 2 * 10


def test_an_interval_that_cannot_be_read_is_told_once() -> None:
    """Nothing is said about how often nonsense is."""
    line = "  p: {type: ike, from: cloud, target: 192.0.2.1, interval: often, path: [host, far]}\n"
    with pytest.raises(ConfigError) as refused:
        load_chain_text(f"{CHAIN}{line}".encode(), "chain.yml")
    assert [problem.key for problem in refused.value.problems] == ["probes.p.interval"]
