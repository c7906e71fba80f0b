"""A real Prometheus that scrapes a real exposition: rules load, evaluate, and the fallback speaks when it must."""

import re
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from agent.config import InstalledTypes
from agent.config.schema import specs
from agent.metrics import Exposition, Metrics
from agent.metrics.exposition import extra_name
from agent.metrics.families import FAMILIES, FamilyKind
from agent.metrics.negotiation import OPENMETRICS
from agent.metrics.probe_families import SELF_METRICS
from agent.observation import Observation
from probes.kit.result import Outcome
from tests.agent.samples import CARRIER, CHAIN, SNAPSHOTS
from tests.peers.monitoring import PROMETHEUS, Webhook, agent, alertmanager, fetch, prometheus, query, until
from tests.peers.test_alertmanager import CONFIG as ALERTMANAGER_CONFIG
from tests.peers.test_alertmanager import QUIET_SECONDS

pytestmark = pytest.mark.peer

CONFIG = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}"]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["{alertmanager}"]}}]}}]}}
scrape_configs: [{{job_name: demarc, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}]
"""
SCRAPE = """
global: {{scrape_interval: 1s}}
scrape_configs: [{{job_name: demarc, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}]
"""
RULES = PROMETHEUS / "demarc.rules.yml"


def rules() -> list[dict[str, Any]]:
    """Return the rules of the product."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def measured() -> Metrics:
    """Return metrics with an incident on the carrier and a result of every probe."""
    metrics = Metrics(CHAIN, "cloud", "msp", "0")
    for probe in CHAIN.probes_of("cloud"):
        outcome = Outcome.FAILED if probe.id in ("underlay", "anchor", "erp", "hr") else Outcome.OK
        phases = {"connect": 1.0} if outcome is Outcome.FAILED else {"connect": 0.01, "answer": 0.02}
        metrics.result(
            probe.id,
            Observation(
                time=time.time(), round=1, vantage="cloud", probe=probe.id, outcome=outcome, seconds=0.03, phases=phases
            ),
        )
    metrics.update(SNAPSHOTS["carrier"])
    metrics.firing([(CARRIER.id, "msp", "critical"), (CARRIER.id, "carrier", "critical")])
    metrics.reloaded(successful=True)
    metrics.ledger(entries=7)
    return metrics


def test_the_rules_pass_their_unit_tests() -> None:
    """The tool accepts the example, the rules and their tests; every alert has a test."""
    subprocess.run(["promtool", "check", "config", PROMETHEUS / "prometheus.yml"], capture_output=True, check=True)
    told = subprocess.run(
        ["promtool", "test", "rules", PROMETHEUS / "demarc.test.yml"], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr
    tested = set(re.findall(r"alertname: (\w+)", (PROMETHEUS / "demarc.test.yml").read_text()))
    assert tested == {rule["alert"] for rule in rules()}


def test_the_exposition_passes_the_lint() -> None:
    """Prometheus' own lint of metric names, types and HELP has nothing to say."""
    text = Exposition().render(measured().view())
    told = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (told.returncode, told.stdout, told.stderr) == (0, b"", b"")


# A target of the chain file can hold anything that YAML can.
HOSTILE = 'https://a"b\\c\nd.example/\u2028é\t{x="y"} 1 # EOF'


def test_openmetrics_is_taken_whole(tmp_path: Path) -> None:
    """A real Prometheus asks for OpenMetrics, takes every sample, hostile labels too, and learns types."""
    probes = {**CHAIN.probes, "gw": msgspec.structs.replace(CHAIN.probes["gw"], target=HOSTILE)}
    metrics = Metrics(msgspec.structs.replace(CHAIN, probes=probes), "cloud", "msp", "0")
    with agent(metrics) as port, prometheus(tmp_path, SCRAPE.format(port=port)) as url:
        (found,) = until(lambda: query(url, 'demarc_probe_info{probe="gw"}'))
        assert found["metric"]["target"] == HOSTILE
        assert query(url, "up")[0]["value"][1] == "1"
        body = Exposition().render(metrics.view(), OPENMETRICS)
        samples = sum(not line.startswith(b"#") for line in body.splitlines())
        # What the process says of itself depends on the machine; all else is the same.
        assert abs(int(query(url, "scrape_samples_scraped")[0]["value"][1]) - samples) <= 8
        learned = fetch(f"{url}/api/v1/metadata")["data"]
        assert learned["demarc_agent"][0]["type"] == "info"
        assert learned["demarc_probe_results"][0]["type"] == "counter"
        assert learned["demarc_probe_phase_seconds"][0]["unit"] == "seconds"


def test_the_rules_use_metrics_that_exist() -> None:
    """Every name in an expression is a family of the exposition."""
    known = {f.name + ("_bucket" if f.kind is FamilyKind.HISTOGRAM else "") for f in FAMILIES}
    known |= {extra_name(metric) for metric in SELF_METRICS}
    known |= {extra_name(metric) for spec in specs(InstalledTypes()) for metric in spec.metrics}
    for rule in rules():
        assert set(re.findall(r"\bdemarc_\w+", rule["expr"] + rule["annotations"]["description"])) <= known, rule


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_rule_says_what_and_where(rule: dict[str, Any]) -> None:
    """CamelCase name with one prefix, a static summary, a description and a runbook of its own."""
    assert re.fullmatch(r"Demarc([A-Z][a-z]+)+", rule["alert"])
    assert "{{" not in rule["annotations"]["summary"]
    assert rule["annotations"]["description"]
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{rule['alert']}.md"
    assert rule["labels"].get("severity", "") in ("", "critical", "warning", "info")


def test_the_fallback_speaks_only_for_an_agent_that_cannot(tmp_path: Path) -> None:
    """While the agent reaches Alertmanager Prometheus says nothing; then it notifies once for each party."""
    metrics = measured()
    metrics.notified(up=True)
    with (
        Webhook() as hook,
        alertmanager(tmp_path / "am", ALERTMANAGER_CONFIG.format(url=hook.url)) as am,
        agent(metrics) as port,
        prometheus(
            tmp_path / "prom", CONFIG.format(rules=RULES, alertmanager=am.removeprefix("http://"), port=port)
        ) as url,
    ):
        until(lambda: query(url, "demarc_incident_addressed"))
        until(lambda: query(url, 'ALERTS{alertname="DemarcWatchdog"}'))
        time.sleep(QUIET_SECONDS)
        assert not query(url, 'ALERTS{alertname="DemarcIncident"}')
        groups = fetch(f"{url}/api/v1/rules")["data"]["groups"]
        loaded = [(rule["name"], rule["health"], rule.get("lastError", "")) for g in groups for rule in g["rules"]]
        assert sorted(loaded) == sorted((rule["alert"], "ok", "") for rule in rules())

        metrics.notified(up=False)
        until(lambda: hook.of("msp") and hook.of("carrier"))
        time.sleep(QUIET_SECONDS)
        assert (len(hook.of("msp")), len(hook.of("carrier"))) == (1, 1)
        alert = hook.of("carrier")[0]["alerts"][0]
        assert alert["labels"] == {
            "alertname": "DemarcIncident",
            "incident": CARRIER.id,
            "to": "carrier",
            "severity": "critical",
            "via": "prometheus",
        }
        assert "Segments: carrier." in alert["annotations"]["description"]
        assert "Services: erp hr." in alert["annotations"]["description"]


def test_symptoms_stay_quiet_while_an_incident_explains_them(tmp_path: Path) -> None:
    """Services are down and probes fail, all explained: no symptom is even pending."""
    metrics = measured()
    with (
        agent(metrics) as port,
        prometheus(tmp_path, CONFIG.format(rules=RULES, alertmanager="127.0.0.1:9", port=port)) as url,
    ):
        until(lambda: query(url, 'ALERTS{alertname="DemarcIncident", alertstate="firing"}'))
        symptoms = 'ALERTS{alertname=~"DemarcServiceDown|DemarcUnexplainedFailure"}'
        assert not query(url, symptoms)
        metrics.update(msgspec.structs.replace(SNAPSHOTS["carrier"], incidents=()))
        until(lambda: {a["metric"].get("svc") for a in query(url, symptoms)} >= {"erp", "hr"})
