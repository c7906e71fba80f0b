"""Every row of the issue's table: a real fault on a real chain, and what two agents say of it.

Both agents run live with each other as peers. What the cloud's vantage would have said alone is the replay of its
own observations without the other's. A finding stronger than the table's fails like a weaker one.
"""

import json
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lab.agents import Agent, Agents, console_command
from lab.api import Lab
from lab.chainfile import Pace
from lab.faults import ATTRIBUTED, FAULTS, MONITOR, Fault, Finding
from lab.rewritten import rewritten, verified
from lab.rundir import LabError
from tests.lab.conftest import unique_name
from tests.lab.stalls import Stalls

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab_possible")]

# Times compressed through the chain file; the default ones are used by the marked test below and by the demo.
QUICK = Pace(interval=0.3, slow_interval=0.6, entra_interval=2.0, spacing=0.3, timeout=0.4, skew=0.3)
SETTLE_SECONDS = 2.5
PATIENCE_SECONDS = 20.0
ROWS = {name: fault for name, fault in FAULTS.items() if fault.row}
# One fault of each family runs at the product's default timing.
DEFAULT_TIMING = ("app-stopped", "near-cut", "esp-dropped", "own-link-down")

Incidents = list[dict[str, Any]]
# Who told it (live, or a replay), and the findings as `told` gives them.
Wrong = list[tuple[str, list[tuple[Any, ...]]]]


def agrees(found: Incidents, expected: Finding) -> bool:
    """Return whether the findings are exactly what is expected: one cause, no more and no less."""
    if len(found) != 1 or found[0]["kind"] not in expected.kinds:
        return False
    (one,) = found
    if one["kind"] == MONITOR:
        return not one["parties"]
    candidates = set(one["candidates"])
    allowed = set(expected.candidates) | set(expected.perhaps)
    return bool(
        set(expected.candidates) <= candidates <= allowed
        and (expected.party is None or one["parties"] == [expected.party])
        and not (one["kind"] == ATTRIBUTED and one["parties"][0] in expected.never)
        and (expected.rests_on is None or set(one["rests_on"]) == set(expected.rests_on))
    )


def told(found: Incidents) -> list[tuple[Any, ...]]:
    """Return what is worth reading of findings when a test fails."""
    keys = ("kind", "parties", "candidates", "segments", "standing", "rests_on", "faults", "support")
    return [tuple(incident.get(key) for key in keys) for incident in found]


def replayed(lab: Lab, observations: list[dict[str, Any]], folder: Path) -> Incidents:
    """Return what the command says of recorded observations."""
    record = folder / "observations.jsonl"
    record.write_text("".join(json.dumps(one) + "\n" for one in observations))
    command = [console_command(), "replay", "--chain", str(lab.run_dir / "chain.yml"), "--format", "json", str(record)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    incidents: Incidents = json.loads(result.stdout)["incidents"]
    return incidents


def accused(incidents: Incidents) -> set[str]:
    """Return every party that any finding names."""
    return {party for incident in incidents for party in incident["parties"]}


def scenario(name: str, pace: Pace, folder: Path) -> None:
    """Break, listen to both agents, and replay what they recorded.

    While this host stands still for half a timeout nobody can look, and compressed times leave no rounds to spare:
    then it is done again, unless somebody was named who may not be. On a host that runs, the first time counts.
    """
    fault = FAULTS[name]
    assert fault.both is not None
    for more in (True, True, False):
        with Stalls() as stalls:
            wrong = broken(name, pace, folder)
        if not wrong or not more or stalls.longest < pace.timeout / 2 or named(wrong) - {fault.both.party}:
            break
    assert not wrong, json.dumps([*wrong, f"this host stood still for {stalls.longest:.2f} s"], indent=1)


def broken(name: str, pace: Pace, folder: Path) -> Wrong:
    """Break it once, and return what is told otherwise than expected."""
    fault = FAULTS[name]
    assert fault.both is not None
    with Lab.up(unique_name("s"), pace=pace) as lab, Agents(lab) as agents:
        agents.wait_healthy()
        time.sleep(pace.spacing * 6)  # a window of passes for every probe
        lab.break_(name)
        if name == "agent-suspended":
            time.sleep(3.0)
            lab.heal(name)
        expected = fault.both
        listener = agents["onprem" if name == "agent-suspended" else "cloud"]
        with suppress(LabError):  # told in full below
            listener.wait(lambda a: agrees(a.confirmed(), expected), 25.0, f"the finding {expected}")
        time.sleep(SETTLE_SECONDS)
        # On a host that stalls, rounds are unknown and a proof needs more of them; a wrong finding never goes away.
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (wrong := differences(lab, agents, fault, folder)) and time.monotonic() < deadline:
            time.sleep(1.0)
        return wrong


def named(wrong: Wrong) -> set[str]:
    """Return the parties whom wrong findings name."""
    return {party for _, findings in wrong for _, parties, *_ in findings for party in parties}


def differences(lab: Lab, agents: Agents, fault: Fault, folder: Path) -> Wrong:
    """Return what is told otherwise than expected: live, and in replays of each vantage's record and of both."""
    assert fault.cloud is not None
    assert fault.both is not None
    guilty = {fault.both.party} - {None}
    found = {vantage: agents[vantage].incidents("all") for vantage in ("cloud", "onprem")}
    records = {vantage: agents[vantage].observations() for vantage in ("cloud", "onprem")}
    live = {v: [i for i in some if i["confirmed"] is not None] for v, some in found.items()}
    alone = replayed(lab, records["cloud"], folder)
    both = replayed(lab, records["cloud"] + records["onprem"], folder)
    far = replayed(lab, records["onprem"], folder)
    looks = (
        ("live", live["cloud"], agrees(live["cloud"], fault.both)),
        ("live, the other side", live["onprem"], accused(live["onprem"]) <= guilty),
        ("the cloud alone", alone, agrees(alone, fault.cloud)),
        ("both", both, agrees(both, fault.both)),
        ("the other side alone", far, accused(far) <= guilty),
    )
    return [(what, told(incidents)) for what, incidents, right in looks if not right]


@pytest.mark.parametrize("name", ROWS)
def test_finding(name: str, tmp_path: Path) -> None:
    """Two agents find what the table says, one of them alone no more than it can know."""
    scenario(name, QUICK, tmp_path)


@pytest.mark.default_timing
@pytest.mark.parametrize("name", DEFAULT_TIMING)
def test_finding_at_default_timing(name: str, tmp_path: Path) -> None:
    """One fault of each family is found with the product's own intervals and timeouts."""
    scenario(name, Pace(), tmp_path)


def test_each_goes_on_alone_without_the_other(tmp_path: Path) -> None:
    """With the link between the agents down, each finds what it can know alone, and says that its peer is silent."""
    with Lab.up(unique_name("s"), pace=QUICK) as lab, Agents(lab) as agents:
        agents.wait_healthy()
        time.sleep(QUICK.spacing * 6)
        assert lab.run("cloud-host", ["ip", "link", "set", "oob0", "down"]).returncode == 0
        lab.break_("last-mile-cut")
        expected = FAULTS["last-mile-cut"].cloud
        assert expected is not None
        cloud, onprem = agents["cloud"], agents["onprem"]
        cloud.wait(lambda a: agrees(a.confirmed(), expected), 25.0, f"the finding {expected}")
        onprem.wait(lambda a: bool(a.confirmed()), 25.0, "a finding of its own")
        for agent in (cloud, onprem):
            agent.wait(lambda a: not a.ask("/api/v1/status")["peers"][0]["reachable"], 15.0, "a silent peer")
        assert accused(cloud.incidents("all") + onprem.incidents("all")) <= {"carrier"}


def test_a_restart_in_the_middle(tmp_path: Path) -> None:
    """An agent that is killed in the middle of an incident goes on with it; its ledger is whole, no other one is."""
    with Lab.up(unique_name("s"), pace=QUICK) as lab, Agents(lab) as agents:
        agents.wait_healthy()
        time.sleep(QUICK.spacing * 6)
        lab.break_("app-stopped")
        expected = FAULTS["app-stopped"].both
        assert expected is not None
        agents["cloud"].wait(lambda a: agrees(a.confirmed(), expected), 25.0, "the finding")
        (before,) = agents["cloud"].confirmed()
        agents["cloud"].stop(signal.SIGKILL)
        again = Agent(lab, "cloud")
        try:
            again.wait(lambda a: bool(a.confirmed()), 10.0, "its incident")
            assert [i["id"] for i in again.confirmed()] == [before["id"]]
            lab.heal()
            again.wait(lambda a: not a.incidents(), 40.0, "the end of the incident")
        finally:
            again.stop()
        ledger = lab.run_dir / "cloud" / "data" / "ledger.db"
        assert verified(lab, "cloud", ledger).startswith("The ledger is whole")
        changed = verified(lab, "cloud", rewritten(lab, "cloud", "incumbent", "msp"))
        assert "the body does not match its hash" in changed
