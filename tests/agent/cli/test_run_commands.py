"""`run`, `probe` and `doctor`: their words, without a process of their own."""

from collections.abc import Iterable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from agent.cli import doctor, probe, run
from agent.daemon.examination import clock_state, data_directory, descriptors, files, packages, stolen_time
from agent.daemon.finding import FAIL, OK, WARN, Finding
from agent.daemon.process import needs_restart
from agent.model import Host, Probe
from probes.kit.result import Outcome, Result, Stage, failed, ok, unknown
from probes.kit.spec import Flow
from tests.agent.daemon.world import make_chain, make_probe

WORDS = ("--config.file", "--web.listen-address", "--web.config.file", "--log.level", "--log.format")
HOST = Host(vantage="cloud", chain_file="/c.yml", data="/d")


def test_run_has_the_options_of_the_contract() -> None:
    """Each option of the contract is in the help."""
    helped = CliRunner().invoke(run.command, ["--help"]).output
    assert [word for word in WORDS if word not in helped] == []


@pytest.mark.parametrize("command", [run.command, probe.command, doctor.command])
def test_missing_file_is_a_wrong_configuration(command: click.Command, tmp_path: Path) -> None:
    """Every command that reads the agent file says where it looked and exits with 78."""
    words = ["--config.file", str(tmp_path / "none.yml"), *(["gw"] if command is probe.command else [])]
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 78
    assert "none.yml:1: cannot be read" in done.output


@pytest.mark.parametrize(
    ("result", "shown", "code"),
    [
        pytest.param(ok(0.0123, {"connect": 0.01}), ["outcome    ok", "connect", "12.300 ms"], 0, id="passed"),
        pytest.param(
            failed(Stage.CONNECT, "refused", by="192.0.2.1", packet_bytes=60, detail="ECONNREFUSED"),
            ["failed at connect: refused", "told by    192.0.2.1", "packets    60", "meaning", "remedy"],
            1,
            id="failed",
        ),
        pytest.param(failed(Stage.ANSWER, "odd", answered=True), ["own bytes came back"], 1, id="answered"),
        pytest.param(unknown("eperm", values={"depth": 2.0}), ["outcome    unknown: eperm", "depth  2"], 2, id="blind"),
    ],
)
def test_probe_shows_everything(result: Result, shown: list[str], code: int) -> None:
    """Outcome, phases, evidence and remedy; the exit code tells failed from blind."""
    made = make_probe("erp", type="tcp")
    text = "\n".join(probe.lines(made, result))
    assert [words for words in shown if words not in text] == []
    assert probe.EXIT_CODES[result.outcome] == code
    plain = probe.plain(made, result)
    assert (plain["probe"], plain["outcome"], "remedy" in plain) == ("erp", result.outcome, result.fault == "refused")


@pytest.mark.parametrize(
    ("name", "told"),
    [("none", "No probe 'none' from cloud; there are: gw."), ("far", "(it runs from onprem)")],
)
def test_probe_names_those_that_there_are(name: str, told: str) -> None:
    """A name that is wrong, or another vantage's, is answered with the right ones."""
    chain = make_chain(make_probe("gw"), make_probe("far", "far", vantage="onprem"))
    assert probe.chosen(chain, "cloud", "gw").id == "gw"
    with pytest.raises(click.UsageError) as error:
        probe.chosen(chain, "cloud", name)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("after", "told"),
    [
        pytest.param(HOST, 0, id="the same"),
        pytest.param(Host(vantage="cloud", chain_file="/other.yml", data="/d"), 0, id="another chain file"),
        pytest.param(Host(vantage="onprem", chain_file="/c.yml", data="/e"), 2, id="another place"),
    ],
)
def test_reload_cannot_move_the_agent(after: Host, told: int) -> None:
    """Vantage and data directory need a restart, and the answer says so."""
    problems = needs_restart(HOST, after)
    assert len(problems) == told
    assert all("restart" in problem for problem in problems)


def states(findings: Iterable[Finding]) -> list[str]:
    """Return the states of findings; what is wrong has a remedy."""
    found = list(findings)
    assert all(finding.remedy for finding in found if finding.state != OK)
    return [finding.state for finding in found]


def test_doctor_on_this_host(tmp_path: Path) -> None:
    """What is there is fine, what is not has a remedy."""
    assert states(packages()) == [OK, OK]
    assert states(descriptors()) in ([OK], [WARN])
    assert states(data_directory(tmp_path / "data" / "deeper"))[0] in (OK, WARN)


class Settings:
    """Settings that name a file, as a type's struct does."""

    __struct_fields__ = ("secret_file", "name")

    def __init__(self, secret_file: str) -> None:
        self.secret_file = secret_file
        self.name = "entra"


def with_settings(settings: object, flow: Flow) -> Probe:
    """Return a probe."""
    return Probe(
        id="p",
        type="t",
        vantage="cloud",
        path=("host",),
        interval=1,
        timeout=1,
        settings=settings,
        flow=flow,
        target="",
    )


def test_doctor_reads_the_files_of_probes(tmp_path: Path) -> None:
    """A secret that is not there is missing."""
    there = tmp_path / "secret"
    there.write_text("x")
    flow = Flow(host="h", protocol="tcp", function="f")
    assert states(files((with_settings(Settings(str(there)), flow),))) == []
    assert states(files((with_settings(Settings(str(tmp_path / "none")), flow),))) == [FAIL]


def test_every_outcome_has_an_exit_code() -> None:
    """No outcome is forgotten."""
    assert set(probe.EXIT_CODES) == set(Outcome)


def test_clock_and_processor() -> None:
    """Both are told of this host, and what is not well has a remedy."""
    found = [*clock_state(), *stolen_time()]
    assert [finding.subject for finding in found] == ["clock", "processor"]
    for finding in found:
        assert finding.state in (OK, WARN)
        assert bool(finding.remedy) is (finding.state == WARN)
