"""What the documents name exists: files, commands, options, make targets, metrics."""

import re
from importlib import import_module
from pathlib import Path

import click
import pytest

from agent.cli.main import COMMANDS
from agent.config import InstalledTypes
from agent.metrics.families import FAMILIES
from agent.metrics.probe_families import SELF_METRICS

ROOT = Path(__file__).parents[2]
PLACES = ("*.md", "docs/**/*.md", "deploy/**/*.md", "grafana/*.md")
DOCUMENTS = sorted(path for place in PLACES for path in ROOT.glob(place))
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"\bdemarc ([a-z]+)((?: [^\n`|]*)?)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z.-]+")
# Words that follow the product's name in prose, and are no commands.
PROSE = {
    "agent",
    "is",
    "runs",
    "says",
    "finds",
    "names",
    "does",
    "needs",
    "has",
    "and",
    "in",
    "on",
    "to",
    "with",
    "user",
}


def options_of(name: str) -> set[str]:
    """Return every long option of a command and of the commands below it."""
    command: click.Command = import_module(f"agent.cli.{COMMANDS[name][0]}").command
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return {o for one in (command, *below) for p in one.params for o in p.opts if o.startswith("--")} | {"--help"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_links_lead_somewhere(path: Path) -> None:
    """Every relative link of a document is a file or folder of the project."""
    links = [link for link in LINK.findall(path.read_text()) if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_commands_exist(path: Path) -> None:
    """Every `demarc COMMAND` in code exists, and has the options that it is shown with."""
    text = path.read_text()
    code = "\n".join([*re.findall(r"`([^`\n]+)`", text), *re.findall(r"^(?: {4}|\$ )(.*)$", text, re.MULTILINE)])
    code += "\n".join(re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL))
    for name, rest in COMMAND.findall(code):
        if name in PROSE:
            continue
        assert name in COMMANDS, f"demarc {name}"
        wrong = set(OPTION.findall(rest)) - options_of(name)
        assert not wrong, f"demarc {name}: {wrong}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_make_targets_exist(path: Path) -> None:
    """Every `make TARGET` in code is a target."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)`|^make ([a-z]+) +#", path.read_text(), re.MULTILINE))
    named = {word for pair in named for word in pair if word}
    assert named <= targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_metrics_exist(path: Path) -> None:
    """Every metric that a document names is exposed."""
    types = InstalledTypes()
    known = {family.name for family in FAMILIES}
    modules = [module for name in types.names() if (module := types.load(name)) is not None]
    known |= {f"demarc_{metric.name}" for module in modules for metric in module.SPEC.metrics}
    known |= {f"demarc_{metric.name}" for metric in SELF_METRICS}
    named = {name.rstrip("_") for name in re.findall(r"\bdemarc_[a-z_]+", path.read_text())}
    suffixes = ("", "_total", "_bucket", "_count", "_sum")
    missing = {n for n in named if not any(n.removesuffix(s) in known or n in known for s in suffixes)}
    assert not {n for n in missing if not any(k.startswith(n) for k in known)}
