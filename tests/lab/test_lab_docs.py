"""docs/lab.md says what is there: its commands parse, its faults exist, its Python compiles."""

import ast
import re
import shlex
from pathlib import Path

import pytest

from lab.__main__ import arguments_parser
from lab.faults import FAULTS
from lab.preflight import PLUGINS, PROGRAMS
from lab.topology import ADDRESSES

TEXT = (Path(__file__).parents[2] / "docs" / "lab.md").read_text()
COMMANDS = [line.strip() for line in TEXT.splitlines() if line.startswith("    python -m lab ")]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_page_is_understood(line: str) -> None:
    """Every command line in the page parses."""
    words = shlex.split(line.partition("#")[0])
    assert arguments_parser().parse_args(words[3:]).order == words[3]


def test_the_page_lists_every_fault() -> None:
    """The table has all faults and no other."""
    table = [line.split("|")[1] for line in TEXT.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`([a-z-]+)`", "".join(table))) == set(FAULTS)


def test_the_page_names_packages_and_addresses_that_are_so() -> None:
    """Every package that is checked for, and every address in the drawing."""
    assert all(package in TEXT for package in (*PROGRAMS.values(), *PLUGINS.values()))
    assert set(re.findall(r"\b(?:10\.[12]0|192\.0|198\.51|203\.0)\.\d+\.\d+", TEXT)) <= set(ADDRESSES.values())


def test_the_example_in_python_compiles() -> None:
    """The example uses calls of `Lab` that exist; the lab's other tests run each of them."""
    example = TEXT.partition("## From Python")[2].partition("\n`popen`")[0]
    code = "\n".join(line[4:] for line in example.splitlines() if line.startswith("    "))
    calls = [
        node.func.attr
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    assert set(calls) == {"up", "popen", "break_", "status", "heal"}
