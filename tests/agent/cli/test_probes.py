"""`demarc probes` as a user sees it."""

import json

from click.testing import CliRunner, Result

from agent.cli.probes import command


def probes(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(command, arguments)


def test_all() -> None:
    """Without a name every installed type is described."""
    result = probes()
    assert result.exit_code == 0
    for name in ("icmp", "tcp", "http", "dns", "strongswan", "entra_sync"):
        assert f"{name}: " in result.stdout


def test_one() -> None:
    """With a name only that type is, with its keys and faults."""
    result = probes("icmp")
    assert result.stdout.startswith("icmp: ")
    assert "target" in result.stdout
    assert "timeout" in result.stdout
    assert "\nhttp: " not in result.stdout


def test_json() -> None:
    """`--format json` is a list of types as data."""
    (icmp,) = json.loads(probes("icmp", "--format", "json").stdout)
    assert icmp["type"] == "icmp"
    assert icmp["evidence"] == "path"
    assert {"name", "stage", "meaning", "remedy"} == set(icmp["faults"][0])


def test_unknown() -> None:
    """An unknown name is refused with the nearest one, or with the list."""
    result = probes("icpm")
    assert result.exit_code == 2
    assert "did you mean `icmp`?" in result.stderr
    assert "; there are " in probes("zzzz").stderr
