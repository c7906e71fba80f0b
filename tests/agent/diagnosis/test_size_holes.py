"""What holes for large packets prove: the path is accused, not an owner; what carries as much elsewhere is cleared."""

import pytest

from agent.config import load_chain_text
from agent.observation import Observation
from agent.replay import replay
from probes.kit.result import Outcome, Stage

CHAIN = """
version: 1
effective: 2027-01-15T00:00
timezone: Europe/Amsterdam
director: client
parties: {client: {name: C}, msp: {name: M}, carrier: {name: L}, incumbent: {name: I}}
segments:
  host: {owner: client, side: cloud}
  gw: {owner: msp, side: cloud}
  carrier: {owner: carrier, side: transit}
  vpn: {owner: [msp, incumbent], lead: msp, side: line}
  far-gw: {owner: incumbent, side: onprem}
  app: {owner: incumbent, side: onprem}
vantages: {cloud: {segment: host, operator: client}}
confirm: {rounds: 3}
probes:
  gw: {type: icmp, from: cloud, target: 10.10.0.1, path: [host, gw]}
  anchor: {type: icmp, from: cloud, target: 10.20.0.1, path: [host, gw, carrier, vpn, far-gw]}
  inside: {type: pmtu, from: cloud, target: 10.20.0.1, expect: 1438, path: [host, gw, carrier, vpn, far-gw]}
  underlay: {type: icmp, from: cloud, target: 203.0.113.2, path: [host, gw, carrier, far-gw]}
  outside: {type: pmtu, from: cloud, target: 203.0.113.2, expect: 1500, path: [host, gw, carrier, far-gw]}
  erp: {type: http, from: cloud, target: "https://10.20.0.20/", path: [host, gw, carrier, vpn, far-gw, app]}
  way: {type: path, from: cloud, target: 10.20.0.20, path: [host, gw, carrier, vpn, far-gw, app]}
"""
SLOW = 5  # seconds between two looks of the path probe, its least interval
START = 1_795_442_400.0
HOLE: dict[str, object] = {"outcome": Outcome.FAILED, "stage": Stage.ANSWER, "fault": "mtu-hole", "packet_bytes": 1200}
LATE: dict[str, object] = {"outcome": Outcome.FAILED, "stage": Stage.SECURE, "fault": "timeout"}
LOW: dict[str, object] = {"outcome": Outcome.DEGRADED, "fault": "mtu-low", "packet_bytes": 1400, "by": "10.10.0.1"}
SILENT: dict[str, object] = {"outcome": Outcome.FAILED, "stage": Stage.CONNECT, "fault": "timeout"}


def passed(size: int) -> dict[str, object]:
    """Return a pass whose packets were so large."""
    return {"outcome": Outcome.OK, "packet_bytes": size}


SMALL = {"gw": passed(84), "anchor": passed(84)}
# what is seen in every round -> kind, candidates, segments of the only incident; None: no incident
FOUND: dict[str, tuple[dict[str, dict[str, object]], tuple[str, set[str], set[str]] | None]] = {
    "a hole in the tunnel, the carrier carries full packets": (
        {**SMALL, "inside": HOLE, "outside": passed(1500), "erp": LATE},
        ("undetermined", {"msp", "incumbent"}, {"vpn", "far-gw", "app"}),
    ),
    "a hole on the line, which the far gateway's own end could be": (
        {**SMALL, "outside": HOLE, "underlay": passed(84)},
        ("undetermined", {"msp", "carrier", "incumbent"}, {"gw", "carrier", "far-gw"}),
    ),
    "a hole, and nothing said of the carrier": (
        {**SMALL, "inside": HOLE, "erp": LATE},
        ("undetermined", {"msp", "carrier", "incumbent"}, {"gw", "carrier", "vpn", "far-gw", "app"}),
    ),
    "the carrier's hole is below what passes outside": (
        {**SMALL, "inside": HOLE, "outside": passed(1200), "erp": LATE},
        ("undetermined", {"msp", "carrier", "incumbent"}, {"gw", "carrier", "vpn", "far-gw", "app"}),
    ),
    "a limit that senders hear of": ({**SMALL, "inside": LOW, "outside": passed(1500), "erp": passed(1400)}, None),
    "the application is silent after connecting": (
        {**SMALL, "inside": passed(1500), "outside": passed(1500), "erp": LATE},
        ("attributed", {"incumbent"}, {"app", "far-gw"}),
    ),
    "and only smaller packets were shown to pass the tunnel": (
        {**SMALL, "inside": passed(1438), "outside": passed(1500), "erp": LATE},
        ("undetermined", {"msp", "incumbent"}, {"vpn", "app", "far-gw"}),
    ),
    "a silent path probe beside passing ones": (
        {**SMALL, "inside": passed(1500), "outside": passed(1500), "erp": passed(1500), "way": SILENT},
        ("attributed", {"incumbent"}, {"app"}),
    ),
}


@pytest.mark.parametrize("case", FOUND)
def test_what_sizes_prove(case: str) -> None:
    """A hole accuses whatever is not shown to carry packets of that size; nobody's application for the path's hole."""
    said, expected = FOUND[case]
    chain = load_chain_text(CHAIN.encode(), "sizes")
    observations = [
        Observation(time=START + second, round=second + 1, vantage="cloud", probe=name, **seen)  # type: ignore[arg-type]
        for second in range(40)
        for name, seen in {**said, "self": {"outcome": Outcome.OK}}.items()
        if name != "way" or second % SLOW == 0
    ]
    incidents = replay(chain, observations)
    found = [(one.kind, set(one.candidates), set(one.segments)) for one in incidents]
    assert found == ([] if expected is None else [expected])
