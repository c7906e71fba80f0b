"""The dashboard: what its builder writes, sound in structure, and every expression gives data in a real Prometheus.

No Grafana server is involved: nothing here says that Grafana renders it.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from agent.config import InstalledTypes
from agent.config.schema import specs
from agent.metrics import Metrics
from agent.metrics.exposition import extra_name
from agent.metrics.families import FAMILIES, FamilyKind
from agent.observation import Observation
from agent.snapshot import Snapshot
from probes.kit.result import Outcome
from tests.agent.samples import CHAIN, SNAPSHOTS
from tests.peers.monitoring import ROOT, agent, fetch, prometheus, query, until

pytestmark = pytest.mark.peer

FOLDER = ROOT / "grafana"
BOARD: dict[str, Any] = json.loads((FOLDER / "dashboards" / "chain.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs: [{{job_name: demarc, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}]
"""
# What Grafana puts in for variables when all is chosen, and for the shortest range of a 1 s scrape.
FILLED = {"$vantage": ".*", "$party": ".*", "$side": ".*", "$__rate_interval": "4s"}


def expressions() -> list[tuple[str, str]]:
    """Return (where, expression) for every panel, and the annotation."""
    found = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
    return found + [(a["name"] + " (annotation)", a["expr"]) for a in BOARD["annotations"]["list"]]


def filled(expression: str) -> str:
    """Return an expression with Grafana's variables filled in."""
    for name, value in FILLED.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def test_the_committed_dashboard_is_what_its_builder_writes(tmp_path: Path) -> None:
    """Nobody edits the JSON by hand."""
    out = tmp_path / "chain.json"
    subprocess.run([sys.executable, FOLDER / "build.py", out], check=True, capture_output=True)
    assert out.read_text() == (FOLDER / "dashboards" / "chain.json").read_text()


def test_provisioning() -> None:
    """A stable uid, a data source variable, nothing that only an import by hand fills in."""
    text = json.dumps(BOARD)
    assert BOARD["uid"] == "demarc-chain"
    assert "id" not in BOARD
    assert not re.search(r"__inputs|\$\{DS_|inControlsMenu", text)
    assert {v["name"] for v in BOARD["templating"]["list"]} == {"datasource", "vantage", "party", "side"}
    sources = re.findall(r'"datasource": \{[^}]*"uid": "([^"]*)"', text)
    assert set(sources) == {"${datasource}"}
    for file in (FOLDER / "provisioning").glob("*/*.yml"):
        assert yaml.safe_load(file.read_text())["apiVersion"] == 1


def test_panels_are_placed_and_described() -> None:
    """Ids are unique and not 0, panels do not overlap, each says what it shows, in which unit."""
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert 0 not in ids
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not taken & cells, panel["title"]
        taken |= cells
    for panel in PANELS:
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]


def test_gaps_stay_gaps() -> None:
    """No panel draws a line over what was not measured, and no rate has a range of its own."""
    for panel in PANELS:
        if panel["type"] in ("timeseries", "state-timeline"):
            assert panel["fieldConfig"]["defaults"]["custom"]["spanNulls"] is False
    for where, expression in expressions():
        assert set(re.findall(r"\[([^\]]*)\]", expression)) <= {"$__rate_interval"}, where


def test_the_dashboard_uses_metrics_that_exist() -> None:
    """Every name is a family of the exposition or of a probe type."""
    known = {extra_name(metric) for spec in specs(InstalledTypes()) for metric in spec.metrics}
    for family in FAMILIES:
        known |= {family.name + "_bucket"} if family.kind is FamilyKind.HISTOGRAM else {family.name}
    for where, expression in expressions():
        assert set(re.findall(r"\bdemarc_\w+", expression)) <= known, where


VALUES = {
    "tunnel": {"vpn_children_established": 2.0, "vpn_children_configured": 2.0, "vpn_rekey_seconds": 900.0},
    "sync": {"entra_last_sync_timestamp_seconds": time.time() - 600},
}


def measure(metrics: Metrics, snapshot: Snapshot) -> None:
    """Give every probe of the cloud vantage a result."""
    for probe in CHAIN.probes_of("cloud"):
        observation = Observation(
            time=time.time(),
            round=1,
            vantage="cloud",
            probe=probe.id,
            outcome=Outcome.OK,
            seconds=0.02,
            phases={"connect": 0.005, "answer": 0.015},
        )
        metrics.result(probe.id, observation, VALUES.get(probe.id, {}))
        metrics.lag(0.001)
    metrics.notified(up=True)
    metrics.update(snapshot)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Metrics]]:
    """Run Prometheus over an agent's exposition with an incident in it, long enough for rates."""
    slow = {k: msgspec.structs.replace(p, interval=600.0) for k, p in CHAIN.probes.items()}
    chain = msgspec.structs.replace(CHAIN, probes=slow)
    types = {spec.type: spec.metrics for spec in specs(InstalledTypes())}
    metrics = Metrics(chain, "cloud", "msp", "0", type_metrics=types)
    with agent(metrics) as port, prometheus(tmp_path_factory.mktemp("prometheus"), CONFIG.format(port=port)) as url:
        measure(metrics, SNAPSHOTS["carrier"])
        rate = 'sum(rate(demarc_probe_results_total{outcome="ok"}[4s])) > 0'

        def counted() -> list[dict[str, Any]]:
            measure(metrics, SNAPSHOTS["carrier"])
            return query(url, rate)

        until(counted)
        yield url, metrics


@pytest.mark.parametrize(("where", "expression"), expressions(), ids=[where for where, _ in expressions()])
def test_every_expression_gives_data(running: tuple[str, Metrics], where: str, expression: str) -> None:
    """Each expression parses, runs and has numbers while an incident is open."""
    url, metrics = running

    def numbers() -> list[str]:
        measure(metrics, SNAPSHOTS["carrier"])
        return [r["value"][1] for r in query(url, filled(expression)) if r["value"][1] != "NaN"]

    assert until(numbers), where


def test_the_states_are_the_worst_ones(running: tuple[str, Metrics]) -> None:
    """A failed segment reads 5, a masked one 3, an owner set keeps its plus sign."""
    url, _ = running
    found = query(url, filled(dict(expressions())["Segments"]))
    read = {(r["metric"]["segment"], r["metric"]["party"]): r["value"][1] for r in found}
    assert read["carrier", "carrier"] == "5"
    assert read["vpn", "msp+incumbent"] == "3"
    assert read["cloud-gw", "msp"] == "1"


def test_variables_have_values(running: tuple[str, Metrics]) -> None:
    """What each variable asks for exists."""
    url, _ = running
    for variable in BOARD["templating"]["list"]:
        if variable["type"] == "query":
            label = variable["name"]
            assert fetch(f"{url}/api/v1/label/{label}/values")["data"], label
