"""A slow source that cannot be read is told once in the log, with the reason."""

import msgspec

from agent.daemon.blindness import Blindness
from agent.observation import Observation
from probes.kit.result import Outcome
from probes.kit.spec import Pace
from tests.agent.daemon.world import FakeLog
from tests.agent.samples import CHAIN, NOW

SLOW = msgspec.structs.replace(
    CHAIN, probes=CHAIN.probes | {"saas": msgspec.structs.replace(CHAIN.probes["saas"], pace=Pace.OWN)}
)


def seen(outcome: Outcome, fault: str | None = None, probe: str = "saas") -> Observation:
    """Return a result of a probe."""
    return Observation(time=NOW, round=1, vantage="cloud", probe=probe, outcome=outcome, fault=fault, detail="d")


def test_it_is_said_once_and_again_for_another_reason() -> None:
    """Blind, still blind, blind otherwise, seen: three lines; a quick probe has none."""
    log = FakeLog()
    blindness = Blindness(SLOW, "cloud", log)
    for fault in ("unavailable", "unavailable", "throttled", "throttled"):
        blindness.observation(seen(Outcome.UNKNOWN, fault), {})
    blindness.observation(seen(Outcome.FAILED, "sync-stale"), {})
    blindness.observation(seen(Outcome.OK), {})
    blindness.observation(seen(Outcome.UNKNOWN, "no-permission", probe="gw"), {})
    assert [(event, fields.get("fault")) for _, event, fields in log.lines] == [
        ("source-blind", "unavailable"),
        ("source-blind", "throttled"),
        ("source-seen-again", None),
    ]
    assert log.lines[0][2]["why"] == "it may not be read with our rights"
    assert log.lines[0][2]["detail"] == "d"


def test_a_reload_says_nothing_again() -> None:
    """What was said stays said; a probe that is slow no more is forgotten."""
    log = FakeLog()
    blindness = Blindness(SLOW, "cloud", log)
    blindness.observation(seen(Outcome.UNKNOWN, "throttled"), {})
    blindness.configure(SLOW)
    blindness.observation(seen(Outcome.UNKNOWN, "throttled"), {})
    blindness.configure(CHAIN)
    blindness.observation(seen(Outcome.OK), {})
    assert log.events() == ["source-blind"]
