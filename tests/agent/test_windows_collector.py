"""The collector for Entra Connect, as far as its text tells: nothing here runs PowerShell.

tree-sitter's grammar of PowerShell reads it. No package that we can have brings PowerShell itself.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import pytest
import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

from probes.adsync import SPEC
from probes.kit.adsync_state import NAMES

FOLDER = Path(__file__).parents[2] / "deploy" / "windows"
SCRIPTS = ("demarc-adsync.ps1", "install-demarc-adsync.ps1")
COLLECTOR = (FOLDER / SCRIPTS[0]).read_text()
WRITTEN = set(re.findall(r"Add-Sample '([a-z_]+)'", COLLECTOR))


# What Windows PowerShell 5.1, the module ADSync and Windows' own modules bring (Microsoft's reference of each).
AUTOMATIC = frozenset({"_", "true", "false", "null", "pscmdlet", "psscriptroot", "erroractionpreference"})
CMDLETS = MappingProxyType(
    {
        "demarc-adsync.ps1": """
            ForEach-Object Get-ADSyncConnector Get-ADSyncPartitionPasswordSyncState Get-ADSyncRunProfileResult
            Get-ADSyncScheduler Get-Date Get-Item Get-ItemProperty Get-Process Get-Service Get-WinEvent Group-Object
            Import-Module New-Object Select-Object Set-StrictMode Sort-Object Test-Path Where-Object Write-Warning
        """,
        "install-demarc-adsync.ps1": """
            Add-LocalGroupMember Copy-Item Get-Acl Get-AuthenticodeSignature Get-Date Get-ScheduledTask Get-Service
            Join-Path New-Item New-Object New-ScheduledTaskAction New-ScheduledTaskPrincipal
            New-ScheduledTaskSettingsSet
            New-ScheduledTaskTrigger New-TimeSpan Out-Null Register-ScheduledTask Remove-Item Remove-LocalGroupMember
            Set-Acl Set-StrictMode Start-ScheduledTask Test-Path Unregister-ScheduledTask Write-Output Write-Verbose
        """,
    }
)


def nodes(name: str) -> Iterator[Node]:
    """Yield every node of a script's syntax."""
    waiting = [Parser(Language(tree_sitter_powershell.language())).parse((FOLDER / name).read_bytes()).root_node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.children


def text(node: Node) -> str:
    """Return a node's text."""
    return (node.text or b"").decode()


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_powershell(name: str) -> None:
    """Nothing of it is outside the grammar, and nothing is missing."""
    assert [text(node) for node in nodes(name) if node.type == "ERROR" or node.is_missing] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_calls_what_is_there(name: str) -> None:
    """Every command is a cmdlet of the server's or a function of the script: a misspelt one would end a section."""
    found = list(nodes(name))
    known = set(CMDLETS[name].split()) | {text(node) for node in found if node.type == "function_name"}
    assert {text(node) for node in found if node.type == "command_name"} <= known


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_reads_what_it_has_set(name: str) -> None:
    """In strict mode a variable that was never set ends a script; names know no case."""
    assigned: set[str] = set(AUTOMATIC)
    read: set[str] = set()
    for node in nodes(name):
        if node.type != "variable":
            continue
        called = text(node).lstrip("$@").lower()
        before, after = node.prev_sibling, node.next_sibling
        parents, up = [], node.parent
        while up is not None and up.type not in {"statement_list", "program"}:
            parents.append(up.type)
            up = up.parent
        whole = "element_access" not in parents and "member_access" not in parents
        sets = ("left_assignment_expression" in parents and whole) or "script_parameter" in parents
        looped = before is not None and after is not None and (text(before), text(after)) == ("(", "in")
        (assigned if sets or looped else read).add(called)
    assert {one for one in read if not one.startswith("env:")} <= assigned


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_reads_the_same_in_every_locale(name: str) -> None:
    """ASCII (PowerShell 5.1 takes a file without a mark for the local code page), strict, and no tabs."""
    data = (FOLDER / name).read_bytes()
    written = data.decode("ascii")
    assert data.endswith(b"\n")
    assert "\t" not in written
    assert "Set-StrictMode -Version Latest" in written
    assert "$ErrorActionPreference = 'Stop'" in written


def test_the_probe_reads_what_the_collector_writes() -> None:
    """Every series that the probe looks for is written, but the exporter's own; each has a name of ours."""
    assert {name for name in NAMES if name.startswith("adsync_")} <= WRITTEN
    assert all(name.startswith("adsync_") for name in WRITTEN)
    # A metric of the probe is another thing than a series of the collector.
    assert not WRITTEN & {metric.name for metric in SPEC.metrics}


def test_times_do_not_pass_through_text() -> None:
    """No date is formatted or parsed by the locale's rules; numbers are written by the invariant culture."""
    assert "ToString('R', $invariant)" in COLLECTOR
    assert not re.search(r"Get-Date -Format|-UFormat|\[datetime\]::Parse|ToShortDate|\.ToString\(\)", COLLECTOR)


def test_the_file_appears_in_one_piece_with_lf() -> None:
    """It is written beside, with a final line feed, and moved over; the exporter reads *.prom only."""
    assert '(($lines -join "`n") + "`n")' in COLLECTOR
    assert "[System.IO.File]::Replace($part, $OutputFile" in COLLECTOR
    assert '$part = "$OutputFile.part"' in COLLECTOR
    assert not re.search(r"Set-Content|Out-File|Add-Content", COLLECTOR)


def test_nothing_is_changed_and_nobody_is_named() -> None:
    """Only commands that read, and none that reads objects of the directory."""
    commands = set(re.findall(r"\b([A-Z][a-z]+)-ADSync(\w+)", COLLECTOR))
    assert {verb for verb, _ in commands} == {"Get"}
    assert {noun for _, noun in commands} <= {
        "Scheduler",
        "Connector",
        "RunProfileResult",
        "PartitionPasswordSyncState",
    }


def test_the_task_has_few_rights() -> None:
    """A managed account without elevation, no password in a file, files that only administrators change."""
    installer = (FOLDER / SCRIPTS[1]).read_text()
    assert "-RunLevel Limited" in installer
    assert "SetAccessRuleProtection($true, $false)" in installer
    assert "ADSyncAdmins" not in installer
    assert "'S-1-5-32-544', 'FullControl'" in installer
    assert "SupportsShouldProcess" in installer
