"""Files on disk: the functions that the rest of the product calls."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config import (
    ConfigError,
    InstalledTypes,
    examine,
    is_host_file,
    load_chain,
    load_chain_text,
    load_host,
    load_host_and_chain,
)
from agent.config.chain import examine_chain
from agent.model import Chain
from tests.agent.config.fakes import TYPES

DESIGN = (Path(__file__).parent / "design.yml").read_bytes()
AGENT = b"{vantage: cloud, chain: chain.yml, data: data}"


def written(directory: Path, chain: bytes = DESIGN, agent: bytes = AGENT) -> Path:
    """Write both files and return the agent file."""
    (directory / "chain.yml").write_bytes(chain)
    (directory / "agent.yml").write_bytes(agent)
    return directory / "agent.yml"


def test_both_files(tmp_path: Path) -> None:
    """The agent file leads to its chain file."""
    host, chain = load_host_and_chain(written(tmp_path), TYPES)
    assert host.chain_file == str(tmp_path / "chain.yml")
    assert chain.vantages[host.vantage].operator == "msp"
    assert load_host(tmp_path / "agent.yml") == host
    assert load_chain(tmp_path / "chain.yml", TYPES) == chain


def test_problems_of_both_files(tmp_path: Path) -> None:
    """The problems of both files come at once."""
    path = written(
        tmp_path, DESIGN.replace(b"director: msp", b"director: mps"), AGENT.replace(b"data: data", b"dta: x")
    )
    with pytest.raises(ConfigError) as caught:
        load_host_and_chain(path, TYPES)
    assert [(Path(p.file).name, p.key) for p in caught.value.problems] == [
        ("agent.yml", ""),
        ("agent.yml", "dta"),
        ("chain.yml", "director"),
    ]


def test_agent_file_without_chain_key(tmp_path: Path) -> None:
    """Without `chain` there is one problem, in the agent file."""
    with pytest.raises(ConfigError) as caught:
        load_host_and_chain(written(tmp_path, agent=b"{vantage: cloud, data: d}"), TYPES)
    assert [p.text for p in caught.value.problems] == ["the key `chain` is missing; write `chain:` and text"]


def test_chain_file_that_is_absent(tmp_path: Path) -> None:
    """A chain file that cannot be read is a problem of that file."""
    path = written(tmp_path)
    (tmp_path / "chain.yml").unlink()
    found = examine(path, TYPES)
    assert [(p.file, p.text) for p in found.problems] == [
        (str(tmp_path / "chain.yml"), "cannot be read: No such file or directory")
    ]


@pytest.mark.parametrize("path", [Path("/nonexistent/chain.yml"), Path("/"), Path("a\0b")])
def test_unreadable(path: Path) -> None:
    """A missing file, a directory and an impossible name are problems, not tracebacks."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load_chain(path, TYPES)
    assert examine(path, TYPES).problems


def test_a_directory_has_its_remedy(tmp_path: Path) -> None:
    """Who names the folder hears to name the file."""
    assert examine(tmp_path, TYPES).problems[0].text == "cannot be read: Is a directory; name the file in it"


def test_examine_a_chain_file(tmp_path: Path) -> None:
    """A chain file is examined without an agent file."""
    written(tmp_path)
    found = examine(tmp_path / "chain.yml", TYPES)
    assert found.chain is not None
    assert found.host is None


KINDS = [
    (AGENT, True),
    (DESIGN, False),
    (b"chain: 1", True),
    (b"{chain: 1, segments: 2}", False),
    (b"", False),
    (b"[chain]", False),
]


@pytest.mark.parametrize(("data", "host"), KINDS)
def test_which_file(data: bytes, host: bool) -> None:
    """A file with `chain` and without `segments` is an agent file."""
    assert is_host_file(data) is host


def test_installed_types() -> None:
    """Only modules of the probes package are types: neither the kit nor anything else is imported."""
    types = InstalledTypes()
    assert "icmp" in types.names()
    assert "kit" not in types.names()
    assert types.load("icmp") is not None
    for name in ("kit", "kit.spec", "../agent", "os", ""):
        assert types.load(name) is None


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Any bytes give a chain or a ConfigError, nothing else."""
    with pytest.raises(ConfigError) as caught:
        load_chain_text(data, "any", TYPES)
    assert caught.value.problems


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Return the example with a few cuts, repetitions and insertions."""
    data = DESIGN
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(start + 40, len(data))))
        inserted = draw(
            st.one_of(
                st.binary(max_size=4),
                st.sampled_from([b"[", b"{", b"*x", b"&x ", b": ", b"\n", b"null", b"1", b"self", b"~", b"[]", b"{}"]),
                st.just(data[start:end]),
            )
        )
        data = data[:start] + inserted + data[draw(st.sampled_from([start, end])) :]
    return data


@settings(deadline=None)
@given(mutated())
def test_any_mutation(data: bytes) -> None:
    """A damaged chain file gives a chain or problems with lines inside it, nothing else."""
    found = examine_chain(data, "damaged", TYPES)
    if found.chain is None:
        assert found.problems
        assert all(1 <= p.line <= len(data.splitlines()) + 1 and "\n" not in str(p) for p in found.problems)
    else:
        assert isinstance(found.chain, Chain)
        assert load_chain_text(data, "damaged", TYPES).hash == found.chain.hash
