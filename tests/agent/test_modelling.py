"""The modelling guide: its chain loads without a warning, its table of findings is true."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli import check
from agent.config import examine, load_chain_text
from agent.model import Chain, Probe
from agent.observation import SELF, Observation
from agent.replay import replay
from probes.kit.result import Outcome, Stage

GUIDE = (Path(__file__).parents[2] / "docs" / "modelling.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", GUIDE, re.DOTALL)
CHAIN, *FRAGMENTS = [text for language, text in BLOCKS if language == "yaml"]
PROOFS, UNPROVEN = [text for language, text in BLOCKS if language == "text"]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in GUIDE.splitlines() if line.startswith("| ")]
START = 1795442400.0  # any UTC epoch time
ROUNDS, FIRST_BAD = 10, 2

Fails = Callable[[Probe], Stage | None]


def _silent(condition: Callable[[Probe], bool]) -> Fails:
    return lambda probe: Stage.CONNECT if condition(probe) else None


def _unresolved(probe: Probe) -> Stage | None:
    if probe.flow.named:
        return Stage.RESOLVE
    return Stage.CONNECT if probe.id == "dns" else None


def _last_mile(probe: Probe) -> bool:
    """The carrier's cable to the on-prem gateway: its edge is reached from the cloud only."""
    return "carrier" in (probe.path[:-1] if probe.vantage == "cloud" else probe.path)


FAULTS: dict[str, Fails] = {
    "application stopped": _silent(lambda p: p.path[-1] == "erp-app"),
    "on-prem gateway stops forwarding": _silent(lambda p: "onprem-gw" in p.path[:-1]),
    "cloud gateway dead": _silent(lambda p: "cloud-gw" in p.path),
    "carrier dead": _silent(lambda p: "carrier" in p.path),
    "carrier core dead": _silent(lambda p: "carrier" in p.path[:-1]),
    "last mile cut": _silent(_last_mile),
    "on-prem gateway dead": _silent(lambda p: "onprem-gw" in p.path),
    "tunnel down": _silent(lambda p: "vpn" in p.path),
    "name server stopped": _unresolved,
}
TABLE = {row[0]: row[1:] for row in ROWS if row[0] in FAULTS}
(HEAD,) = [row for row in ROWS if row[0] == "fault"]


def stages() -> list[list[str]]:
    """Return the probes of each column, from its heading."""
    every = list(load_chain_text(CHAIN.encode(), "guide").probes)
    columns: list[list[str]] = []
    for heading in HEAD[1:]:
        if "vantage" in heading:
            columns.append(every)
        else:
            columns.append((columns[-1] if columns else []) + heading.removeprefix("+").replace(" ", "").split(","))
    return columns


def with_probes(names: list[str]) -> Chain:
    """Return the guide's chain with these probes only."""
    head, _, tail = CHAIN.partition("probes:\n")
    entries = re.findall(r"^  \S.*?(?=^  \S|\Z)", tail, re.DOTALL | re.MULTILINE)
    kept = "".join(entry for entry in entries if entry.split(":")[0].strip() in names)
    return load_chain_text(f"{head}probes:\n{kept}".encode(), "guide")


def named(chain: Chain, fails: Fails) -> str:
    """Return whom the diagnosis names when the probes fail so."""
    observations = []
    for number in range(ROUNDS):
        time = START + number
        observations += [
            Observation(time=time, round=number, vantage=vantage, probe=SELF, outcome=Outcome.OK)
            for vantage in chain.vantages
        ]
        for probe in chain.probes.values():
            stage = fails(probe) if number >= FIRST_BAD else None
            observations.append(
                Observation(
                    time=time + 0.01,
                    round=number,
                    vantage=probe.vantage,
                    probe=probe.id,
                    outcome=Outcome.FAILED if stage else Outcome.OK,
                    stage=stage,
                    fault="timeout" if stage else None,
                )
            )
    (incident,) = replay(chain, observations)
    return " or ".join(sorted(incident.candidates, key=list(chain.parties).index))


@pytest.mark.parametrize("fault", FAULTS)
def test_the_table_of_findings(fault: str) -> None:
    """Each column's probes name exactly the parties of the table."""
    assert [named(with_probes(names), FAULTS[fault]) for names in stages()] == TABLE[fault]


def test_the_table_has_no_other_fault() -> None:
    """Every row of the table is replayed."""
    at = ROWS.index(HEAD)
    assert [row[0] for row in ROWS[at + 1 : at + 1 + len(FAULTS)]] == list(TABLE)
    assert set(TABLE) == set(FAULTS)


def test_the_chain_is_clean(tmp_path: Path) -> None:
    """The guide's chain has neither problems nor warnings, and `check` prints the roles as shown."""
    path = tmp_path / "chain.yml"
    path.write_text(CHAIN)
    found = examine(path)
    assert (found.problems, found.warnings) == ((), ())
    assert PROOFS + UNPROVEN in CliRunner().invoke(check.command, [str(path)]).stdout


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_fragments(fragment: str, tmp_path: Path) -> None:
    """Each fragment, added to the guide's chain, loads without a warning."""
    text = CHAIN
    for section, lines in re.findall(r"^(\w+):\n((?:  .*\n)+)", fragment, re.MULTILINE):
        text = text.replace(f"{section}:\n", f"{section}:\n{lines}")
    assert len(text) >= len(CHAIN) + len(fragment) - 20
    (tmp_path / "chain.yml").write_text(text)
    found = examine(tmp_path / "chain.yml")
    assert (found.problems, found.warnings) == ((), ())
