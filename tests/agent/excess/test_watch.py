"""What all probes of a chain show: which are watched, what is one round trip, what survives a restart."""

import msgspec
import pytest

from agent.excess.bounds import Element
from agent.excess.watch import LOSS, RESPONSE, ROUND_TRIP, Watch, durations, served
from agent.observation import Observation
from probes.kit.result import Outcome, Stage
from tests.agent.diagnosis.world import START
from tests.agent.excess.line import CHAIN, line_chain, seen
from tools.campaign.lateness import Slow

UNDERLAY, ERP = "cloud>underlay", "cloud>erp"


def watched(*things: Slow, seconds: int) -> Watch:
    """Return a watch that has seen the chain for so many seconds."""
    watch = Watch(CHAIN)
    for observation in seen(*things, seconds=seconds):
        watch.observe(observation, learn=True)
    return watch


def test_only_what_has_a_margin_is_watched() -> None:
    """A chain without margins costs nothing; with one, every probe that a round trip can be read from helps."""
    none = Watch(line_chain(None, None))
    assert (none.watched, none.probes, none.owners) == ((), {}, {})
    watch = Watch(CHAIN)
    assert [p.key for p in watch.watched] == [UNDERLAY]
    assert ERP in watch.probes
    assert "cloud>erp-local" not in watch.probes


@pytest.mark.parametrize(
    ("name", "phases", "found"),
    [
        ("gw", {"resolve": 1.0, "answer": 0.1}, {ROUND_TRIP: 0.1}),
        ("erp", {"connect": 0.1, "secure": 0.3}, {ROUND_TRIP: 0.1}),
        ("erp", {"connect": 0.1, "secure": 0.3, "first_byte": 0.4}, {ROUND_TRIP: 0.1, RESPONSE: 0.4 - 0.1}),
        ("dns", {"answer": 0.1}, {ROUND_TRIP: 0.1}),
        ("gw", {}, {}),
    ],
)
def test_durations(name: str, phases: dict[str, float], found: dict[str, float]) -> None:
    """One round trip by protocol; what a server takes beyond one."""
    assert durations(CHAIN.probes[name], phases) == found


def test_what_shows_nothing() -> None:
    """A refusal, a server's error, what could not be looked at and what is unverified are neither late nor lost."""
    watch = Watch(CHAIN)
    base = Observation(time=START, round=1, vantage="cloud", probe="underlay", outcome=Outcome.FAILED)
    for changes in (
        {"stage": Stage.CONNECT, "fault": "refused"},
        {"stage": Stage.ANSWER, "fault": "timeout"},
        {"outcome": Outcome.UNKNOWN, "fault": "no-permission"},
        {"stage": Stage.CONNECT, "fault": "timeout", "verified": False},
        {"probe": "tunnel"},
    ):
        watch.observe(msgspec.structs.replace(base, **changes), learn=True)
    assert watch.series(UNDERLAY, LOSS) is None
    assert watch.trigger(UNDERLAY, LOSS) is None
    watch.observe(msgspec.structs.replace(base, stage=Stage.CONNECT, fault="timeout"), learn=True)
    assert watch.series(UNDERLAY, LOSS) is watch.series(UNDERLAY, ROUND_TRIP) is not None


def test_what_is_shown() -> None:
    """Those that pass the slow segment show it; a response time is the server's alone; who was silent shows nothing."""
    slow = Slow(segment="carrier", delay=0.040, spans=((1000, 1100),))
    watch, now = watched(slow, seconds=1060), START + 1060
    found = {s.probe: s for s in watch.shown(ROUND_TRIP, START + 1000, now, near=UNDERLAY)}
    assert found[UNDERLAY].low > 0.035
    assert found["cloud>carrier-edge"].high < 0.005
    assert found[ERP].protocol != found[UNDERLAY].protocol
    (erp, *_) = (s for s in watch.shown(RESPONSE, START + 200, now, near=ERP) if s.probe == ERP)
    assert erp.elements == {served(CHAIN.probes["erp"])} == {Element("erp-app", at=CHAIN.probes["erp"].flow.function)}
    assert {s.probe for s in watch.shown(LOSS, START + 1000, now, near=UNDERLAY)} >= {UNDERLAY, "onprem>o-gw-outer"}
    assert UNDERLAY not in {s.probe for s in watch.shown(ROUND_TRIP, START + 1000, now + 60, near=UNDERLAY)}
    assert watch.shown(ROUND_TRIP, now - 1, now, near=UNDERLAY) == ()
    assert watch.trigger(UNDERLAY, ROUND_TRIP) is not watch.trigger(UNDERLAY, LOSS)


def test_touching() -> None:
    """What shares an element with a probe, its own host apart, and the probe itself."""
    watch = Watch(CHAIN)
    assert watch.touching({"onprem>o-gw-outer"}) >= {"onprem>o-gw-outer", "onprem>o-carrier-edge"}
    assert ERP not in watch.touching({"onprem>o-gw-outer"})
    assert watch.touching({"elsewhere>gone"}) == {"elsewhere>gone"}
    assert watch.touching(()) == frozenset()


def test_a_restart_and_a_reload_go_on() -> None:
    """References survive a restart, also of what was not heard of since; the attempts survive a reload."""
    watch = watched(seconds=300)
    again = Watch(CHAIN)
    again.recall(watch.save())
    assert again.save() == watch.save()
    again.observe(next(o for o in seen(seconds=1, begin=300) if o.key == UNDERLAY), learn=True)
    series = again.series(UNDERLAY, ROUND_TRIP)
    assert series is not None
    assert series.level(START + 300) is not None
    reloaded = Watch(msgspec.structs.replace(CHAIN, hash="b" * 64))
    reloaded.carry(watch)
    assert reloaded.series(UNDERLAY, ROUND_TRIP) is watch.series(UNDERLAY, ROUND_TRIP)


def test_another_margin_begins_anew() -> None:
    """A change of the line that the parties accept by naming the margin anew is what is usual from then on."""
    other = Watch(line_chain(delay=0.020))
    other.recall(watched(seconds=300).save())
    assert other.save() == {}
