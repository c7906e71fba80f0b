"""Every alert has a runbook, and every metric and command that a runbook names exists."""

import re
from pathlib import Path

import pytest
import yaml

from agent.alerts.message import ALERTNAME, RUNBOOK
from agent.cli.main import COMMANDS
from agent.config.registry import InstalledTypes
from agent.metrics.exposition import extra_name
from agent.metrics.families import FAMILIES
from agent.metrics.probe_families import SELF_METRICS

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs" / "runbooks"
PAGES = sorted(FOLDER.glob("*.md"))
RULES = ROOT / "deploy" / "prometheus" / "demarc.rules.yml"
TYPES = [module for name in InstalledTypes().names() if (module := InstalledTypes().load(name)) is not None]
OF_PROBES = [*SELF_METRICS, *(metric for module in TYPES for metric in module.SPEC.metrics)]
METRICS = {family.name for family in FAMILIES} | {extra_name(metric) for metric in OF_PROBES}


def alerts() -> dict[str, str]:
    """Return the runbook address of every alert of the rules."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule["annotations"]["runbook_url"] for group in groups for rule in group["rules"]}


def test_every_alert_has_a_runbook() -> None:
    """Rules, the agent's own alert and the folder name the same alerts, as files of the repository."""
    assert {page.stem for page in PAGES} == set(alerts())
    assert alerts() == {name: f"docs/runbooks/{name}.md" for name in alerts()}
    assert alerts()[ALERTNAME] == RUNBOOK


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_runbook_names_what_exists(page: Path) -> None:
    """Metrics are families, commands are in the command table, other alerts have pages; no word of blame."""
    text = page.read_text()
    assert text.startswith(f"# {page.stem}\n")
    assert all(part in text for part in ("## What it means", "## Good to know", "## What to do"))
    assert set(re.findall(r"\bdemarc_\w+", text)) <= METRICS
    assert set(re.findall(r"`demarc ([a-z]+)", text)) <= set(COMMANDS)
    assert set(re.findall(r"\bDemarc[A-Z]\w+", text)) <= set(alerts())
    assert not re.search(r"blame|guilt|liable|schuld|toerekenbaar|aansprakelijk", text, re.IGNORECASE)
