"""docs/delay.md: its example is a chain file's."""

import re
from pathlib import Path

import yaml

from agent.config import load_chain

ROOT = Path(__file__).parents[3]
CHAIN_FILE = ROOT / "tests" / "data" / "lab-chain.yml"


def test_the_example_loads(tmp_path: Path) -> None:
    """The service and the probe of the page stand in the lab's chain as they are written there."""
    (fragment,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "delay.md").read_text(), re.DOTALL)
    written = yaml.safe_load(CHAIN_FILE.read_text())
    for section, entries in yaml.safe_load(fragment).items():
        written.setdefault(section, {}).update(entries)
    (tmp_path / "chain.yml").write_text(yaml.safe_dump(written))
    chain = load_chain(tmp_path / "chain.yml")
    assert (chain.services["line"].delay_margin, chain.services["line"].loss_margin) == (0.015, 0.02)
    assert chain.probes["underlay"].service == "line"
