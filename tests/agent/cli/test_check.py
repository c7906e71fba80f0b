"""`demarc check` as a user sees it: exit code, stdout, stderr."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli.check import command

DESIGN = (Path(__file__).parents[1] / "config" / "design.yml").read_bytes()


def check(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(command, arguments)


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """Return the contract's example as a file."""
    path = tmp_path / "chain.yml"
    path.write_bytes(DESIGN)
    return path


def test_good(chain: Path) -> None:
    """A good chain file gives a summary with its hash and the roles that nothing else proves, and exits 0."""
    result = check(str(chain))
    assert result.exit_code == 0
    assert result.stderr == ""
    assert f"{chain}: ok" in result.stdout
    assert "segments: 9" in result.stdout
    assert "chain hash " in result.stdout
    assert "undetermined):\n  carrier forwards IPv4" in result.stdout


def test_single_faults(chain: Path) -> None:
    """A summary says how many single faults name their owner, which segments do not, and what would decide more."""
    lines = check(str(chain)).stdout.splitlines()
    place = next(n for n, line in enumerate(lines) if line.startswith("a single fault names its owner: "))
    assert lines[place].endswith("roles")
    assert "  vpn: named as a segment, of msp and incumbent" in lines[place:]
    assert any(line.startswith("  +") and line.endswith("must agree") for line in lines[place:])
    document = json.loads(check(str(chain), "--format", "json").stdout)["single_faults"]
    assert {fault["proof"] for fault in document["roles"]} == {"provable", "located", "open"}
    assert document["additions"][0]["decides"] >= document["additions"][-1]["decides"] > 0


def test_slow_places(chain: Path) -> None:
    """Of services with a margin it is said where a delay names its owner, what lacks, and what no round trip tells."""
    watched = DESIGN.replace(b"norm: {availability: 99.5%}", b"norm: {availability: 99.5%, delay: 15ms}")
    chain.write_bytes(watched.replace(b"underlay:   {type", b"underlay:   {service: erp, type"))
    said = check(str(chain)).stdout
    assert "what is slow or loses a share names its owner: " in said
    (carrier,) = (
        line for line in said.splitlines() if line.startswith("  inside carrier: msp or carrier or incumbent")
    )
    assert carrier.endswith(
        "told apart with icmp from cloud to an address of carrier through cloud-gw and icmp from onprem to 203.0.113.2 "
        "of onprem-gw and icmp from onprem to an address of carrier through onprem-gw"
    )
    assert "either owner, since a round trip passes both ends of a line" in said
    document = json.loads(check(str(chain), "--format", "json").stdout)["slow_places"]
    assert {place["proof"] for place in document} == {"provable", "open"}


def test_the_bound_of_confirmation(chain: Path) -> None:
    """Below the firewall request stands what confirming adds at most, from each vantage, whatever fails."""
    said = check(str(chain), "--flows").stdout
    bound = (
        "  from onprem: 3 attempts (28 packets) every 1 s, for 5 rounds or until a suspicion is settled; none while the"
    )
    assert bound in said
    document = json.loads(check(str(chain), "--flows", "--format", "json").stdout)
    assert [one["attempts_per_round"] for one in document["confirmation"]] == [4, 3]
    assert "while failures are confirmed" not in check(str(chain)).stdout


ADDED = [
    ("a second vantage", ["[cloud-host, cloud-gw]", "[cloud-host, cloud-gw, carrier, onprem-gw]"], "new host beside"),
    ("a way out", ["[cloud-host, cloud-gw, carrier]"], "to a service elsewhere through cloud-gw, across nothing else"),
    ("a probe on the way", ["[cloud-host, cloud-gw, carrier, onprem-gw]"], "to an address of"),
]


@pytest.mark.parametrize(("what", "paths", "said"), ADDED, ids=[a[0] for a in ADDED])
def test_what_to_add(what: str, paths: list[str], said: str, tmp_path: Path) -> None:
    """What would decide more is said as a person would do it."""
    head, _, _ = DESIGN.decode().partition("probes:\n")
    head = head.replace("  onprem: {segment: onprem-host, operator: incumbent}\n", "")
    probes = [f"  p{n}: {{type: icmp, from: cloud, target: 10.0.0.{n}, path: {p}}}\n" for n, p in enumerate(paths)]
    file = tmp_path / "chain.yml"
    file.write_text(head + "probes:\n" + "".join(probes))
    assert said in check(str(file)).stdout, what


def test_bad(chain: Path) -> None:
    """Every problem is a line file:line: key: text on stderr; the exit code is 78."""
    chain.write_bytes(DESIGN.replace(b"director: msp", b"director: mps").replace(b"rounds: 5", b"rounds: 0"))
    result = check(str(chain))
    assert result.exit_code == 78
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"{chain}:4: director: there is no party `mps`; did you mean `msp`?",
        f"{chain}:25: confirm.rounds: 0 rounds; write 2 to 100",
        f"{chain}: 2 problems",
    ]


def test_absent(tmp_path: Path) -> None:
    """A file that is not there is a problem like any other."""
    result = check(str(tmp_path / "none.yml"))
    assert result.exit_code == 78
    assert "none.yml:1: cannot be read: No such file or directory" in result.stderr


def test_warning(chain: Path) -> None:
    """A warning is on stderr and does not change the exit code."""
    chain.write_bytes(DESIGN.replace(b"resolve: [dns],", b""))
    result = check(str(chain))
    assert result.exit_code == 0
    assert "probes.erp: `erp.corp.lab` is resolved by name" in result.stderr
    assert "(warning)" in result.stderr


def test_agent_file(chain: Path) -> None:
    """An agent file is recognised, and its chain file is checked with it."""
    agent = chain.with_name("agent.yml")
    agent.write_text('{vantage: cloud, chain: chain.yml, data: d, alertmanagers: ["http://127.0.0.1:9093"]}')
    result = check(str(agent), "--flows")
    assert result.exit_code == 0
    assert f"this host is vantage cloud of {chain}" in result.stdout
    assert "alerts to Alertmanager" in result.stdout


def test_flows(chain: Path) -> None:
    """`--flows` is a table with one line for each probe."""
    lines = check(str(chain), "--flows").stdout.splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("probe "))
    assert lines[start + 1].split() == [
        "gw",
        "cloud",
        "10.10.0.1",
        "icmp",
        "-",
        "7200",
        "14400",
        "icmp",
        "measurement",
        "of",
        "cloud-gw",
    ]
    assert lines.index("while failures are confirmed, all incidents together, at most:") - start - 1 == 8


def test_json(chain: Path) -> None:
    """`--format json` has everything that the text has, as data."""
    result = check(str(chain), "--flows", "--format", "json")
    document = json.loads(result.stdout)
    assert (document["ok"], document["problems"], document["counts"]["probes"]) == (True, [], 7)
    assert document["flows"][0]["protocol"] == "icmp"
    assert {"segment", "place", "role"} == set(document["unproven"][0])


def test_json_of_a_bad_file(chain: Path) -> None:
    """Problems are data too, and the exit code stays 78."""
    chain.write_bytes(b"version: 2")
    result = check(str(chain), "--format", "json")
    document = json.loads(result.stdout)
    assert result.exit_code == 78
    assert document["ok"] is False
    assert document["hash"] is None
    assert {"file": str(chain), "line": 1, "key": "version", "text": "`2` is not one of 1"} in document["problems"]


def test_schema() -> None:
    """`--schema` needs no file and prints the JSON Schema."""
    result = check("--schema")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_no_file() -> None:
    """Without a file the usage is shown."""
    result = check()
    assert result.exit_code == 2
    assert "Missing argument 'FILE'" in result.stderr


def test_every_role_proven(chain: Path) -> None:
    """A chain whose roles are all proven twice has no list of unproven ones."""
    chain.write_text(
        """
version: 1
effective: 2027-01-15T00:00
timezone: UTC
director: a
parties: {a: {}}
segments: {s: {owner: a, side: cloud}, t: {owner: a, side: cloud}}
vantages: {v: {segment: s, operator: a}}
probes:
  one: {type: icmp, from: v, target: 192.0.2.1, path: [s, t]}
  two: {type: icmp, from: v, target: 192.0.2.1, path: [s, t]}
"""
    )
    result = check(str(chain))
    assert result.exit_code == 0
    assert "proven by" not in result.stdout
