"""The dashboards: what their builder writes, sound in structure, and every expression gives data in a real Prometheus.

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
from agent.metrics.probe_families import SELF_METRICS
from agent.metrics.view import Running
from agent.observation import SELF, Observation
from agent.snapshot import PeerNow, Snapshot, WitnessNow
from probes.kit.result import Outcome
from tests.agent.drift_samples import drifted
from tests.agent.samples import CHAIN, INCIDENTS, SNAPSHOTS
from tests.peers.monitoring import ROOT, agent, fetch, prometheus, query, until

pytestmark = pytest.mark.peer

FOLDER = ROOT / "grafana"
BOARDS: dict[str, dict[str, Any]] = {
    file.stem: json.loads(file.read_text()) for file in sorted((FOLDER / "dashboards").glob("*.json"))
}
VARIABLES = {
    "chain": {"datasource", "vantage", "party", "side"},
    "measurement": {"datasource", "vantage", "party", "side", "probe"},
}
EACH = pytest.mark.parametrize("name", BOARDS)
CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs: [{{job_name: demarc, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}]
"""
# What Grafana puts in for variables when all is chosen, and for the shortest range of a 1 s scrape.
FILLED = {"$vantage": ".*", "$party": ".*", "$side": ".*", "$probe": ".*", "$__rate_interval": "4s", "$__range": "4s"}


def panels(name: str) -> list[dict[str, Any]]:
    """Return the panels of a dashboard, without its rows."""
    return [panel for panel in BOARDS[name]["panels"] if panel["type"] != "row"]


def expressions(name: str) -> list[tuple[str, str]]:
    """Return (where, expression) for every panel of a dashboard, and the annotation."""
    found = [(panel["title"], target["expr"]) for panel in panels(name) for target in panel["targets"]]
    return found + [(a["name"] + " (annotation)", a["expr"]) for a in BOARDS[name]["annotations"]["list"]]


def filled(expression: str) -> str:
    """Return an expression with Grafana's variables filled in."""
    for name, value in FILLED.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def test_the_committed_dashboards_are_what_their_builder_writes(tmp_path: Path) -> None:
    """Nobody edits the JSON by hand."""
    subprocess.run([sys.executable, FOLDER / "build.py", tmp_path], check=True, capture_output=True)
    assert {file.stem: json.loads(file.read_text()) for file in tmp_path.glob("*.json")} == BOARDS


@EACH
def test_provisioning(name: str) -> None:
    """A stable uid, a data source variable, nothing that only an import by hand fills in."""
    board = BOARDS[name]
    text = json.dumps(board)
    assert board["uid"] == f"demarc-{name}"
    assert "id" not in board
    assert not re.search(r"__inputs|\$\{DS_|inControlsMenu", text)
    assert {v["name"] for v in board["templating"]["list"]} == VARIABLES[name]
    sources = re.findall(r'"datasource": \{[^}]*"uid": "([^"]*)"', text)
    assert set(sources) == {"${datasource}"}


def test_provisioning_files() -> None:
    """The examples are of the version that Grafana reads."""
    for file in (FOLDER / "provisioning").glob("*/*.yml"):
        assert yaml.safe_load(file.read_text())["apiVersion"] == 1


@EACH
def test_panels_are_placed_and_described(name: str) -> None:
    """Ids are unique and not 0, panels do not overlap, each says what it shows, in which unit."""
    board = BOARDS[name]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert 0 not in ids
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not taken & cells, panel["title"]
        taken |= cells
    titles = [panel["title"] for panel in board["panels"]]
    assert len(set(titles)) == len(titles)
    for panel in panels(name):
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]


@EACH
def test_gaps_stay_gaps(name: str) -> None:
    """No panel draws a line over what was not measured, and no rate has a range of its own."""
    for panel in panels(name):
        if panel["type"] in ("timeseries", "state-timeline"):
            assert panel["fieldConfig"]["defaults"]["custom"]["spanNulls"] is False
        ranges = {r for target in panel["targets"] for r in re.findall(r"\[([^\]]*)\]", target["expr"])}
        assert ranges <= {"$__rate_interval"} | ({"$__range"} if panel["type"] == "stat" else set()), panel["title"]


@EACH
def test_a_dashboard_uses_metrics_that_exist(name: str) -> None:
    """Every name is a family of the exposition, of a probe type or of the self-check."""
    known = {extra_name(metric) for spec in specs(InstalledTypes()) for metric in spec.metrics}
    known |= {extra_name(metric) for metric in SELF_METRICS} | {"demarc_exposition_cpu_seconds_total"}
    for family in FAMILIES:
        known |= {family.name + "_bucket"} if family.kind is FamilyKind.HISTOGRAM else {family.name}
    for where, expression in expressions(name):
        assert set(re.findall(r"\bdemarc_\w+", expression)) <= known, where


# Of the types' own metrics, by probe; the loss and the handshake stand for probes that have them.
VALUES = {
    "gw": {
        "icmp_loss_ratio": 0.1,
        "icmp_loss_ratio_low": 0.02,
        "icmp_loss_ratio_high": 0.4,
        "icmp_jitter_seconds": 0.0002,
    },
    "saas": {"tcp_handshake_seconds": 0.01, "tcp_syn_retransmits": 0.0},
    SELF: {"self_cpu_steal_ratio": 0.01, "self_clock_synchronised": 1.0, "self_clock_error_seconds": 0.02},
    "tunnel": {
        "vpn_tunnels_established": 2.0,
        "vpn_tunnels_configured": 2.0,
        "vpn_received_bytes_total": 5e6,
        "vpn_unanswered_seconds": 0.0,
        "vpn_established_seconds": 80.0,
        "vpn_rekey_seconds": 900.0,
    },
    "sync": {
        "entra_last_sync_timestamp_seconds": time.time() - 600,
        "entra_last_password_sync_timestamp_seconds": time.time() - 60,
        "entra_object_errors": 2.0,
        "entra_credential_expiry_timestamp_seconds": time.time() + 9e6,
        "entra_service_issues_microsoft": 1.0,
        "entra_cloud_sync_last_run_timestamp_seconds": time.time() - 120,
        "entra_cloud_sync_quarantined": 0.0,
        "entra_endpoints_asked": 3.0,
        "entra_endpoints_reached": 3.0,
        "ad_controllers": 2.0,
        "ad_controllers_answering": 1.0,
        "ad_clock_offset_seconds": 0.3,
        "adsync_run_age_seconds": 700.0,
        "adsync_password_age_seconds": 90.0,
        "adsync_collector_age_seconds": 200.0,
        "adsync_findings": 0.0,
    },
}


PEER = PeerNow(vantage="onprem", reachable=True, last=time.time(), clock_offset=0.01, clock_error=0.001)

WITNESS = WitnessNow(vantage="onprem", entries=7, time=time.time() - 60, waiting=time.time() - 9)


def measure(metrics: Metrics, snapshot: Snapshot) -> None:
    """Give every probe of the cloud vantage a result, and a few a fault."""
    for probe in (*(probe.id for probe in CHAIN.probes_of("cloud")), SELF):
        for outcome, fault in ((Outcome.FAILED, "timeout"), (Outcome.OK, None)):
            observation = Observation(
                time=time.time(),
                round=1,
                vantage="cloud",
                probe=probe,
                outcome=outcome,
                fault=fault,
                seconds=0.02,
                phases={"connect": 0.005, "answer": 0.015},
            )
            metrics.result(probe, observation, VALUES.get(probe, {}))
        metrics.lag(0.001)
    metrics.notified(up=True)
    metrics.runs(Running(sink_errors={"journal": 0}))
    late = (INCIDENTS["slow"], msgspec.structs.replace(INCIDENTS["lossy, attributed"], id="1055"))
    metrics.update(
        msgspec.structs.replace(
            snapshot,
            incidents=(*snapshot.incidents, *late),
            peers=(PEER,),
            witnesses=(WITNESS,),
            drift=drifted(time.time()),
        )
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Metrics]]:
    """Run Prometheus over an agent's exposition with an incident in it, long enough for rates."""
    slow = {k: msgspec.structs.replace(p, interval=600.0) for k, p in CHAIN.probes.items()}
    chain = msgspec.structs.replace(CHAIN, probes=slow)
    types = {spec.type: spec.metrics for spec in specs(InstalledTypes())}
    folder = tmp_path_factory.mktemp("prometheus")
    files = {name: str(folder / name) for name in ("ledger", "store")}
    for file in files.values():
        Path(file).write_bytes(bytes(4096))
    metrics = Metrics(chain, "cloud", "msp", "0", type_metrics=types, files=files)
    with agent(metrics) as port, prometheus(folder, CONFIG.format(port=port)) as url:
        measure(metrics, SNAPSHOTS["carrier"])
        rate = 'sum(rate(demarc_probe_results_total{outcome="ok"}[4s])) > 0'

        def counted() -> list[dict[str, Any]]:
            measure(metrics, SNAPSHOTS["carrier"])
            return query(url, rate)

        until(counted)
        yield url, metrics


EXPRESSIONS = [(f"{name}: {where}", expression) for name in BOARDS for where, expression in expressions(name)]


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
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
    found = query(url, filled(dict(expressions("chain"))["Segments"]))
    read = {(r["metric"]["segment"], r["metric"]["party"]): r["value"][1] for r in found}
    assert read["carrier", "carrier"] == "5"
    assert read["vpn", "msp+incumbent"] == "3"
    assert read["cloud-gw", "msp"] == "1"


def test_variables_have_values(running: tuple[str, Metrics]) -> None:
    """What each variable asks for exists."""
    url, _ = running
    for variable in (v for board in BOARDS.values() for v in board["templating"]["list"]):
        if variable["type"] == "query":
            label = variable["name"]
            assert fetch(f"{url}/api/v1/label/{label}/values")["data"], label
