"""The reference pages: current, and complete for the installed probe types."""

from pathlib import Path

import pytest

from agent.config import InstalledTypes
from agent.config.kinds import fields_of
from agent.config.probe import COMMON
from agent.config.reference import key_rows, main, page, probe_reference, type_rows
from agent.config.schema import specs
from probes.kit.spec import Metric, Spec
from tests.agent.config.fakes import TYPES, PickySettings, WebSettings, spec

PAGE = Path(__file__).parents[3] / "docs" / "chain-file.md"
INSTALLED = specs(InstalledTypes())


def test_the_page_is_current(tmp_path: Path) -> None:
    """The committed page is what `python -m agent.config.reference docs/chain-file.md` writes."""
    main([str(tmp_path / "page.md")])
    assert (tmp_path / "page.md").read_text() == PAGE.read_text()


@pytest.mark.parametrize("installed", INSTALLED, ids=[s.type for s in INSTALLED])
def test_installed_types_are_described(installed: Spec) -> None:
    """Every key of a type has help and a kind, none hides a common key, every fault a meaning and a remedy."""
    fields = fields_of(installed.settings)
    assert set(fields) == set(installed.key_help)
    assert not set(fields) & set(COMMON)
    assert all(fault.meaning and fault.remedy for fault in installed.faults)


FULL = spec(
    "web",
    WebSettings,
    phases=("connect", "answer"),
    metrics=(Metric("web_seconds", "how long | how far"),),
    leaves_traces="a line in the log",
)


def test_text_for_a_terminal() -> None:
    """The reference of a type names its keys with defaults, its phases, faults and metrics."""
    text = probe_reference(FULL)
    for part in (
        "web: fake web",
        "target   text                   required",
        "slow     duration               500ms",
        "accept   list of whole number   [200]",
        "phases: connect, answer",
        "timeout  connect  no answer in time  look at the path",
        "demarc_web_seconds  how long | how far",
        "leaves traces: a line in the log",
    ):
        assert part in text


def test_a_type_without_metrics_and_faults() -> None:
    """What a type does not have is left out, and said where it would be missed."""
    bare = Spec(type="bare", summary="nothing", settings=WebSettings, key_help={}, faults=())
    assert "metrics" not in probe_reference(bare)
    assert "remedy)\n    none\n" in probe_reference(bare)


def test_default_that_is_a_word() -> None:
    """A default from an enumeration is written as in the file."""
    rows = key_rows(fields_of(PickySettings).values())
    assert [(row.key, row.default) for row in rows][-1] == ("stage", "connect")


def test_page_of_a_type() -> None:
    """The page escapes what would break a table."""
    assert "| `demarc_web_seconds` | how long \\| how far |" in page([FULL])
    assert "phases" not in page(specs(TYPES)).lower().partition("## probe types")[2]


def test_rows() -> None:
    """The JSON form has the same content as plain data."""
    rows = type_rows(FULL)
    assert rows["keys"][0] == {"key": "target", "type": "text", "default": "required", "help": ""}
    assert rows["faults"][0]["stage"] == "connect"
    assert rows["metrics"] == [{"name": "demarc_web_seconds", "help": "how long | how far"}]
