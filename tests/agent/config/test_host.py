"""Agent files: paths, peers, and whether they fit the chain."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config.chain import examine_chain
from agent.config.host import chain_beside, examine_host
from agent.config.problem import ConfigError
from agent.model import Host, Peer, Retention
from tests.agent.config.fakes import TYPES

CHAIN = examine_chain((Path(__file__).parent / "design.yml").read_bytes(), "chain.yml", TYPES).loaded()
FILE = Path("/etc/demarc/agent.yml")
GOOD = b"""
vantage: cloud
chain: chain.yml
data: /var/lib/demarc
peers: [{vantage: onprem, url: "https://10.20.0.30:10199", ca_file: peer.pem}]
alertmanagers: ["http://127.0.0.1:9093"]
external_url: https://demarc.example/
"""


def test_good() -> None:
    """Paths are absolute, beside the file; addresses have no trailing slash."""
    assert examine_host(GOOD, FILE, CHAIN).loaded() == Host(
        vantage="cloud",
        chain_file="/etc/demarc/chain.yml",
        data="/var/lib/demarc",
        peers=(Peer(vantage="onprem", url="https://10.20.0.30:10199", ca_file="/etc/demarc/peer.pem"),),
        alertmanagers=("http://127.0.0.1:9093",),
        external_url="https://demarc.example",
        source_file="/etc/demarc/agent.yml",
    )


def test_least() -> None:
    """Three keys are enough, and the chain need not be at hand."""
    host = examine_host(b"{vantage: elsewhere, chain: ../c.yml, data: d}", FILE).loaded()
    assert (host.chain_file, host.data, host.peers) == ("/etc/c.yml", "/etc/demarc/d", ())


def test_retention() -> None:
    """Each class has its own time; what is left out has the default."""
    host = examine_host(GOOD + b"retention: {raw: 3d, raw_megabytes: 500, evidence: 90d}", FILE, CHAIN).loaded()
    assert host.retention == Retention(raw=3 * 86400.0, raw_bytes=500_000_000, evidence=90 * 86400.0)


@pytest.mark.parametrize(
    ("written", "key", "problem"),
    [
        (b"{raw: 2h}", "retention.raw", "is shorter than a day; write 1d or more"),
        (b"{raw_megabytes: 1}", "retention.raw_megabytes", "is less than 50; write 50 or more"),
        (b"{people: x}", "retention.people", "`x` is no duration; write one such as 250ms, 1s, 2m, 1h or 3d"),
        (b"7d", "retention", "expected a mapping with the keys raw"),
    ],
)
def test_bad_retention(written: bytes, key: str, problem: str) -> None:
    """What would leave hours unbound is refused."""
    with pytest.raises(ConfigError) as caught:
        examine_host(GOOD + b"retention: " + written, FILE, CHAIN).loaded()
    (found,) = caught.value.problems
    assert found.key == key
    assert problem in str(found)


PEER_KEYS = "vantage, url, ca_file, cert_file, key_file"
BAD: list[tuple[str, bytes, bytes, list[tuple[int, str, str]]]] = [
    (
        "vantage",
        b"vantage: cloud",
        b"vantage: clout",
        [(2, "vantage", "the chain has no vantage `clout`; did you mean `cloud`?")],
    ),
    (
        "another vantage",
        b"vantage: cloud",
        b"vantage: xyz",
        [(2, "vantage", "the chain has no vantage `xyz`; the vantages are cloud, onprem")],
    ),
    (
        "peer is this host",
        b"{vantage: onprem,",
        b"{vantage: cloud,",
        [(5, "peers[0].vantage", "`cloud` is this host itself; name the other agents only")],
    ),
    (
        "unknown peer",
        b"{vantage: onprem,",
        b"{vantage: onprm,",
        [(5, "peers[0].vantage", "the chain has no vantage `onprm`; did you mean `onprem`?")],
    ),
    (
        "peer twice",
        b"peers: [",
        b"peers: [{vantage: onprem, url: http://x}, ",
        [(5, "peers[1].vantage", "`onprem` stands in the list already; write it once")],
    ),
    (
        "half a certificate",
        b"peers: [",
        b"peers: [{vantage: third, url: http://x, cert_file: c.pem}, ",
        [
            (5, "peers[0].cert_file", "goes with `key_file`; write both or neither"),
            (5, "peers[0].vantage", "the chain has no vantage `third`; the vantages are cloud, onprem"),
        ],
    ),
    (
        "credentials",
        b"http://127.0.0.1:9093",
        b"http://me:secret@127.0.0.1:9093",
        [(6, "alertmanagers[0]", "holds credentials; keep them out of the file (by file or systemd credential)")],
    ),
    (
        "misspelt",
        b"alertmanagers:",
        b"alertmanager:",
        [(6, "alertmanager", "no such key; did you mean `alertmanagers`?")],
    ),
    (
        "no data",
        b"data: /var/lib/demarc\n",
        b"",
        [(1, "", "the key `data` is missing; write `data:` and text")],
    ),
    (
        "peers unread",
        b"peers: [",
        b"peers: 3 # [",
        [(5, "peers", "expected a list of mapping with its keys, not a value (`3`); write [3]")],
    ),
    (
        "a peer unread",
        b"peers: [",
        b"peers: [7, {url: http://x}, ",
        [
            (
                5,
                "peers[0]",
                f"expected a mapping with the keys {PEER_KEYS}, not a value (`7`)",
            ),
            (5, "peers[1]", "the key `vantage` is missing; write `vantage:` and name"),
        ],
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_mistakes(old: bytes, new: bytes, expected: list[tuple[int, str, str]]) -> None:
    """Every mistake is reported with its line, its key and what to write instead."""
    assert GOOD.count(old) == 1
    found = examine_host(GOOD.replace(old, new), FILE, CHAIN)
    assert [(p.line, p.key, p.text) for p in found.problems] == expected
    with pytest.raises(ConfigError):
        found.loaded()


def test_no_mapping() -> None:
    """A list is no agent file."""
    assert "expected a mapping with the keys vantage, chain, data" in examine_host(b"[]", FILE).problems[0].text
    assert examine_host(b"", FILE).problems[0].text == "the file is empty"


BESIDE = [
    (b"chain: c.yml", Path("/etc/demarc/c.yml")),
    (b"chain: /c.yml", Path("/c.yml")),
    (b'chain: "a\\0"', None),
    (b"chain: 5", None),
    (b"vantage: x", None),
    (b"", None),
    (b"[", None),
]


@pytest.mark.parametrize(("data", "path"), BESIDE)
def test_chain_beside(data: bytes, path: Path | None) -> None:
    """The chain file is found even when the rest of the agent file is wrong."""
    assert chain_beside(data, FILE) == path


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, len(GOOD)), st.integers(0, 30))
def test_any_bytes(inserted: bytes, start: int, cut: int) -> None:
    """Any bytes, also in the middle of a good file, give a host or problems, nothing else."""
    for data in (inserted, GOOD[:start] + inserted + GOOD[start + cut :]):
        found = examine_host(data, FILE, CHAIN)
        assert (found.host is None) == bool(found.problems)
        chain_beside(data, FILE)
