"""The path and pmtu probes through the real tunnel and beside it, as an operator runs them."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lab.agents import console_command
from lab.api import Lab
from lab.topology import ADDRESSES

pytestmark = pytest.mark.lab

FAR = "cloud-host, cloud-gw, carrier, vpn, onprem-gw"
# The tunnel device's MTU is 1400 (docs/lab.md); the hole of the fault `mtu-hole` begins above 1200 outside the tunnel.
PROBES = f"""
  way: {{type: path, from: cloud, target: {ADDRESSES["erp"]}, path: [{FAR}, onprem-fw, erp-app],
    hops: {{cloud-gw: 10.10.0.0/16, onprem-gw: {ADDRESSES["onprem-gw"]}/32, onprem-fw: {ADDRESSES["onprem-fw"]}/32}}}}
  way-out: {{type: path, from: cloud, target: {ADDRESSES["onprem-gw-outer"]}, protocol: udp,
    path: [cloud-host, cloud-gw, carrier, onprem-gw], hops: {{carrier: [100.64.0.0/10, 198.51.100.1/32]}}}}
  size-in: {{type: pmtu, from: cloud, target: {ADDRESSES["onprem-gw"]}, expect: 1400, path: [{FAR}]}}
  size-wrong: {{type: pmtu, from: cloud, target: {ADDRESSES["onprem-gw"]}, expect: 1438, path: [{FAR}]}}
  size-out: {{type: pmtu, from: cloud, target: {ADDRESSES["onprem-gw-outer"]},
    path: [cloud-host, cloud-gw, carrier, onprem-gw]}}
  size-tls: {{type: pmtu, from: cloud, target: {ADDRESSES["erp"]}, protocol: tls, expect: 1400,
    path: [{FAR}, onprem-fw, erp-app]}}
"""
NAMES = ("way", "way-out", "size-in", "size-wrong")


def probed(lab: Lab, *names: str, style: str = "json") -> dict[str, Any]:
    """Return what `demarc probe` says of each name on the cloud's demarcation host."""
    folder = lab.run_dir / "path-and-sizes"
    folder.mkdir(exist_ok=True)
    (folder / "chain.yml").write_text((lab.run_dir / "chain.yml").read_text() + PROBES)
    (folder / "agent.yml").write_text(f"vantage: cloud\nchain: chain.yml\ndata: {folder}\n")

    def probe(name: str) -> Any:
        command = [console_command(), "probe", name, "--config.file", str(folder / "agent.yml"), "--format", style]
        done = lab.run("cloud-host", command, seconds=30)
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout) if style == "json" else done.stdout

    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(probe, names), strict=True))


def test_hops_and_sizes_of_a_sound_chain(lab: Lab) -> None:
    """Inside the tunnel the carrier is no hop; what the agreed size is short of is told in bytes, and by whom."""
    found = probed(lab, *NAMES)
    assert [(row["address"], row["segment"]) for row in found["way"]["rows"]] == [
        ("10.10.0.1", "cloud-gw"),
        ("10.20.0.1", "onprem-gw"),
        ("10.20.0.2", "onprem-fw"),
        ("10.20.0.20", "?"),
    ]
    assert [row["segment"] for row in found["way-out"]["rows"]] == ["?", "carrier", "carrier", "carrier", "?"]
    assert {found[name]["values"]["pmtu_bytes"] for name in NAMES[2:]} == {1400}
    wrong = found["size-wrong"]
    assert (wrong["outcome"], wrong["fault"], wrong["by"]) == ("degraded", "mtu-low", "10.10.0.1")
    assert wrong["values"]["pmtu_shortfall_bytes"] == 38
    assert {found[name]["outcome"] for name in NAMES[:3]} == {"ok"}


def test_a_hole_on_the_carrier_shows_inside_and_outside(lab: Lab) -> None:
    """Outside the working size is the hole's edge; inside it is that less the tunnel's bytes, by ping and by TCP."""
    lab.break_("mtu-hole")
    found = probed(lab, "size-in", "size-out", "size-tls")
    for name in ("size-in", "size-tls"):
        result = found[name]
        assert (result["outcome"], result["stage"], result["fault"]) == ("failed", "answer", "mtu-hole"), result
        assert 1100 < result["values"]["pmtu_bytes"] < 1200
        assert result["values"]["pmtu_shortfall_bytes"] == 1400 - result["values"]["pmtu_bytes"]
    outside = found["size-out"]
    assert (outside["outcome"], outside["values"]["pmtu_black_hole"]) == ("ok", 1)
    assert outside["values"]["pmtu_bytes"] == 1200


def test_a_dead_gateway_ends_the_path(lab: Lab) -> None:
    """The last router that answered is named, and the hops are shown as a table."""
    lab.break_("onprem-gw-dead")
    text = probed(lab, "way-out", style="text")["way-out"]
    assert "failed at connect: timeout" in text
    assert "told by    100.64.0.6" in text
    table = [line.split() for line in text.splitlines() if line.lstrip()[:1].isdigit() and " ms " in line]
    assert [(row[0], row[1]) for row in table] == [
        ("1", "10.10.0.1"),
        ("2", "198.51.100.1"),
        ("3", "100.64.0.2"),
        ("4", "100.64.0.6"),
    ]
    assert [row[2] for row in table[1:]] == ["carrier"] * 3
