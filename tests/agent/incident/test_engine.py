"""The engine's life of an incident: suspicion, confirmation, recovery, restart, several faults."""

from collections.abc import Iterable

import msgspec
import pytest

from agent.incident.engine import Engine
from agent.incident.value import Event, Incident, Kind, State, Transition
from agent.model import Chain
from agent.observation import Observation
from agent.replay import replay
from probes.kit.result import Outcome
from probes.kit.spec import Pace
from tests.agent.diagnosis import small
from tests.agent.diagnosis.world import START, lab_chain, observation, record

CUT = dict.fromkeys(("carrier-edge", "underlay", "anchor", "erp", "hr", "tunnel", "o-underlay"), "s")


def run(engine: Engine, observations: Iterable[Observation]) -> list[Transition]:
    """Feed observations, evaluating after each, as a live agent does."""
    made: list[Transition] = []
    for one in observations:
        engine.observe(one)
        made += engine.evaluate(one.time)
    return made


def events(made: Iterable[Transition]) -> list[str]:
    """Return event names."""
    return [t.event.value for t in made]


def test_a_life() -> None:
    """Suspected at the first fail, confirmed after five rounds, recovering, closed with the first good second."""
    chain = lab_chain()
    made = run(Engine(chain), record(chain, [(6, {}), (8, CUT), (14, {})]))
    assert events(made) == ["suspected", "confirmed", "recovering", "closed"]
    confirmed, closed = made[1].incident, made[3].incident
    assert confirmed.parties == ("carrier",)
    assert confirmed.opened < START + 7
    assert closed.closed is not None
    assert START + 14 <= closed.closed < START + 15
    assert closed.id == confirmed.id == made[0].incident.id


def test_told_once() -> None:
    """While evidence is still growing unanimous nobody is told a weaker finding first."""
    chain = lab_chain()
    slow = {"saas": "-", "erp": "-", "hr": "-", "dns": "-", "erp-local": "-"}
    first = {k: v for k, v in CUT.items() if k not in slow}
    made = run(Engine(chain), record(chain, [(6, slow), (1, {**slow, **first}), (8, CUT)]))
    told = [t.incident for t in made if t.incident.state is not State.SUSPECTED]
    assert {(i.id, i.parties) for i in told} == {(made[0].incident.id, ("carrier",))}


def test_told_once_behind_another_fault() -> None:
    """A cut during a tunnel fault is told as the carrier's at once: what proves it may lie in rounds still filling."""
    chain = lab_chain()
    tunnel = dict.fromkeys(("anchor", "erp", "hr", "tunnel"), "s")
    made = run(Engine(chain), record(chain, [(6, {}), (20, tunnel), (8, CUT)]))
    told = [t.incident.kind for t in made if t.incident.confirmed and t.at > START + 20]
    assert told == [Kind.ATTRIBUTED]


def test_a_blip_is_dismissed() -> None:
    """Four bad rounds are shown as a suspicion and dismissed; nothing is confirmed."""
    chain = lab_chain()
    made = run(Engine(chain), record(chain, [(6, {}), (4, CUT), (6, {})], ["cloud"]))
    assert set(events(made)) == {"suspected", "dismissed"}


def test_restart_in_the_middle() -> None:
    """A saved engine goes on with the same incident and closes it."""
    chain = lab_chain()
    observations = record(chain, [(6, {}), (8, CUT), (14, {})])
    half = [o for o in observations if o.time < START + 13]
    rest = [o for o in observations if o.time >= START + 13]
    engine = Engine(chain)
    first = run(engine, half)
    later = run(Engine(chain, engine.save()), rest)
    assert events(later) == ["recovering", "closed"]
    assert later[-1].incident.id == first[-1].incident.id


def test_restart_behind_a_second_fault() -> None:
    """What hides an incident, and since when, survives a restart: it ends where it was hidden."""
    chain = lab_chain()
    tunnel = dict.fromkeys(("anchor", "erp", "hr", "tunnel"), "s")
    observations = record(chain, [(6, {}), (20, tunnel), (20, CUT), (20, {})])
    engine = Engine(chain)
    run(engine, (o for o in observations if o.time < START + 36))
    later = run(Engine(chain, engine.save()), (o for o in observations if o.time >= START + 36))
    closed = {t.incident.segments: t.incident.closed for t in later if t.event is Event.CLOSED}
    assert {s: int(at - START) for s, at in closed.items() if at is not None} == {("vpn",): 26, ("carrier",): 46}


def test_bad_saved_state() -> None:
    """A saved state that is none is refused with a ValueError."""
    with pytest.raises(ValueError, match="not a saved engine state"):
        Engine(lab_chain(), b"{]")


def test_a_relapse_stays_one_incident() -> None:
    """A fault that comes back before ten good seconds is the same incident."""
    chain = lab_chain()
    made = run(Engine(chain), record(chain, [(6, {}), (8, CUT), (3, {}), (8, CUT), (14, {})]))
    kept = [t.event for t in made if t.incident.state is not State.SUSPECTED and t.event is not Event.DISMISSED]
    assert kept == [Event.CONFIRMED, Event.RECOVERING, Event.RELAPSED, Event.RECOVERING, Event.CLOSED]
    assert len({t.incident.id for t in made if t.incident.confirmed}) == 1


def test_another_fault_during_recovery() -> None:
    """A recovered incident ends where it recovered when its probes fail again by another cause."""
    chain = lab_chain()
    app = {"erp": "r", "erp-local": "r"}
    engine = Engine(chain)
    made = run(engine, record(chain, [(6, {}), (8, app), (3, {}), (8, CUT)]))
    confirmed = [t.incident for t in made if t.event is Event.CONFIRMED]
    assert [i.parties for i in confirmed] == [("incumbent",), ("carrier",)]
    (closed,) = [t.incident for t in made if t.event is Event.CLOSED]
    assert closed.id == confirmed[0].id
    assert closed.closed is not None
    assert START + 14 <= closed.closed < START + 15
    assert the(engine).parties == ("carrier",)


def test_a_gateway_that_dies_while_the_tunnel_recovers() -> None:
    """A recovered tunnel incident ends where it recovered when a wider fault takes its probes."""
    chain = lab_chain()
    tunnel = dict.fromkeys(("anchor", "erp", "hr", "tunnel"), "s")
    dead = {**tunnel, "underlay": "s", "o-gw": "s", "o-gw-outer": "s", "o-underlay": "s"}
    for vantages in (["cloud", "onprem"], ["cloud"]):
        engine = Engine(chain)
        made = run(engine, record(chain, [(6, {}), (8, tunnel), (4, {}), (10, dead)], vantages))
        assert not [t for t in made if t.event is Event.RELAPSED]
        (closed,) = [t.incident for t in made if t.event is Event.CLOSED]
        assert "vpn" in closed.segments
        assert closed.closed is not None
        assert START + 14 <= closed.closed < START + 15
        assert "onprem-gw" in the(engine).segments


def test_two_proven_faults_are_two_incidents() -> None:
    """A cut near cable and a stopped application that the other vantage sees are told apart."""
    chain = lab_chain()
    engine = Engine(chain)
    run(engine, record(chain, [(6, {}), (9, {**CUT, "erp-local": "r"})]))
    found = {(i.kind, i.parties, i.segments) for i in engine.incidents()}
    assert found == {
        (Kind.ATTRIBUTED, ("carrier",), ("carrier",)),
        (Kind.ATTRIBUTED, ("incumbent",), ("erp-app",)),
    }


def test_services_of_an_incident() -> None:
    """The incident names every service that its probes measure; Y.1563 says when they are down."""
    chain = lab_chain()
    engine = Engine(chain)
    run(engine, record(chain, [(6, {}), (12, CUT)]))
    (incident,) = engine.incidents()
    assert incident.services == ("erp", "hr")
    assert engine.service_states(START + 18) == {"erp": "down", "hr": "down"}


def test_segment_states() -> None:
    """The proven segment is failed, what works is ok, what lies behind is masked."""
    chain = lab_chain()
    engine = Engine(chain)
    run(engine, record(chain, [(6, {}), (12, CUT)], ["cloud"]))
    states = engine.segment_states(START + 18)
    assert states["carrier"] == "failed"
    assert states["cloud-gw"] == states["m365"] == states["dns"] == "ok"
    assert states["vpn"] == states["erp-app"] == "masked"
    assert states["onprem-host"] == "unknown"


def test_a_candidate_is_suspected() -> None:
    """Where small packets pass and large ones do not, a candidate is shown as such and not as working."""
    chain = lab_chain()
    engine = Engine(chain)
    run(engine, record(chain, [(6, {}), (8, {"erp": "t", "hr": "t"})]))
    assert engine.segment_states(START + 14)["vpn"] == "suspected"


def test_a_blind_vantage_is_unknown() -> None:
    """A vantage that cannot look is not shown as working."""
    chain = lab_chain()
    engine = Engine(chain)
    run(engine, record(chain, [(6, {}), (3, {"cloud>self": "s"})]))
    assert engine.segment_states(START + 9)["cloud-host"] == "unknown"


def the(engine: Engine) -> Incident:
    """Return the only open incident."""
    (incident,) = engine.incidents()
    return incident


def test_a_silent_vantage_goes_stale() -> None:
    """A peer that falls silent neither accuses nor clears; the finding of before stays."""
    chain = lab_chain()
    engine = Engine(chain)
    last_mile = {k: v for k, v in CUT.items() if k != "carrier-edge"}
    both = record(chain, [(6, {}), (8, last_mile)])
    alone = record(chain, [(20, last_mile)], ["cloud"], start=START + 14, first_round=7326)
    run(engine, both + alone)
    assert the(engine).parties == ("carrier",)


def test_a_peer_that_comes_late() -> None:
    """Evidence of the second vantage turns an undetermined finding into an attributed one."""
    chain = lab_chain()
    engine = Engine(chain)
    last_mile = {k: v for k, v in CUT.items() if k != "carrier-edge"}
    run(engine, record(chain, [(6, {}), (8, last_mile)], ["cloud"]))
    assert the(engine).kind is Kind.UNDETERMINED
    assert "onprem>o-gw-outer" in the(engine).decide_with
    made = run(engine, record(chain, [(8, last_mile)], start=START + 14, first_round=7326))
    assert [t.event for t in made if t.incident.confirmed] == [Event.CHANGED]
    assert the(engine).parties == ("carrier",)


def test_unverified_probes_accuse_nobody() -> None:
    """A probe that never passed opens nothing, not even a suspicion."""
    chain = lab_chain()
    observations = [
        type(o)(**{**{f: getattr(o, f) for f in o.__struct_fields__}, "verified": False})
        for o in record(chain, [(12, CUT)], ["cloud"])
        if o.probe in CUT
    ]
    assert run(Engine(chain), observations) == []


def test_a_suspended_vantage_is_a_monitor_incident() -> None:
    """One failing self-check is enough to say that this vantage could not look."""
    chain = lab_chain()
    engine = Engine(chain)
    made = run(engine, record(chain, [(6, {}), (1, {"cloud>self": "s"}), (14, {})], ["cloud"]))
    assert events(made) == ["confirmed", "recovering", "closed"]
    assert made[0].incident.kind is Kind.MONITOR
    assert made[0].incident.vantage == "cloud"


def test_a_vantage_that_is_blind_again_while_it_recovers() -> None:
    """A self-check that fails again before ten good seconds is told as a relapse of the same incident."""
    chain = lab_chain()
    blind = {"cloud>self": "s"}
    made = run(Engine(chain), record(chain, [(6, {}), (1, blind), (4, {}), (2, blind), (14, {})], ["cloud"]))
    assert events(made) == ["confirmed", "recovering", "relapsed", "recovering", "closed"]
    assert len({t.incident.id for t in made}) == 1
    assert made[-1].incident.closed == pytest.approx(START + 13, abs=1)


def test_a_blind_moment_within_a_batch() -> None:
    """A self-check that failed and passed again between two evaluations still opens its incident."""
    chain = lab_chain()
    engine = Engine(chain)
    observations = record(chain, [(6, {}), (1, {"onprem>self": "s"}), (2, {})])
    for one in observations:
        engine.observe(one)
    made = engine.evaluate(observations[-1].time)
    assert events(made) == ["confirmed", "recovering"]
    assert made[0].incident.vantage == "onprem"


def test_strangers_are_ignored() -> None:
    """Observations of unknown probes and vantages change nothing."""
    chain = lab_chain()
    engine = Engine(chain)
    strange = [observation("nobody", "cloud", "s", START, 1), observation("self", "mars", "s", START, 1)]
    assert run(engine, strange) == []


def plain(*paths: str, owners: dict[str, str] | None = None) -> Chain:
    """Return a chain with a probe for each path (`p: h x y`)."""
    probes = [small.probe(text.partition(":")[0], text.partition(":")[2].split()) for text in paths]
    return small.chain(owners or {"h": "a", "x": "b", "y": "c", "u": "d", "w": "e"}, probes)


def test_two_faults_within_one_suspicion() -> None:
    """What was one suspicion can turn out to be two faults of one party: two incidents."""
    chain = plain("p: h x", "q: h y", "r: h x y", owners={"h": "a", "x": "b", "y": "b"})
    engine = Engine(chain, settle=False)
    run(engine, record(chain, [(6, {}), (2, {"r": "s"}), (8, {"p": "s", "q": "s", "r": "s"})], ["v"]))
    assert [(i.parties, i.segments) for i in engine.incidents()] == [(("b",), ("x",)), (("b",), ("y",))]


def test_two_that_turn_out_to_be_one() -> None:
    """Open findings that a later measurement joins become one incident, in the replay as well."""
    chain = plain("p: h x u", "q: h y w", "r: h u w")
    apart, joined = {"p": "s", "q": "s", "r": "-"}, {"p": "s", "q": "s", "r": "s"}
    observations = record(chain, [(6, {}), (8, apart), (8, joined)], ["v"])
    engine = Engine(chain)
    made = run(engine, observations)
    assert [t.event for t in made if t.event is Event.MERGED] == [Event.MERGED]
    assert the(engine).faults.keys() == {"v>p", "v>q", "v>r"}
    assert len(replay(chain, observations)) == 1


def test_same_moment_same_segments_two_ids() -> None:
    """Contradictions that open in the same instant on the same segments have different ids."""
    probes = [small.probe(n, ["h", "x"], to=small.flow(f"10.0.0.{ord(n) // 2}")) for n in "pqrstu"]
    chain = small.chain({"h": "a", "x": "b"}, probes)
    engine = Engine(chain)
    for number in range(12):
        for name in "pqrstu":
            letter = "s" if number > 5 and name in "prt" else "."
            engine.observe(observation(name, "v", letter, START + number, number))
        engine.evaluate(START + number)
    found = engine.incidents()
    assert [i.kind for i in found] == [Kind.CONTRADICTION] * 3
    assert len({i.id for i in found}) == 3


def test_patience_ends() -> None:
    """A probe that keeps changing its mind delays a finding by two rounds and no more."""
    chain = plain("p: h x y", "q: h x")
    engine = Engine(chain)
    made: list[Transition] = []
    for number in range(16):
        letters = {"p": "s" if number > 5 else ".", "q": "s" if 9 <= number <= 12 else "."}
        made += run(engine, record(chain, [(1, letters)], ["v"], start=START + number, first_round=number))
    (confirmed,) = [t for t in made if t.event is Event.CONFIRMED]
    assert START + 12 <= confirmed.at < START + 13


def test_a_probe_that_left_the_chain() -> None:
    """An incident whose probes are all gone from the chain file ends."""
    chain = lab_chain()
    engine = Engine(chain)
    run(engine, record(chain, [(6, {}), (8, CUT)]))
    other = Engine(plain("p: h x"), engine.save())
    assert [(t.event, t.incident.closed) for t in other.evaluate(START + 20)] == [(Event.CLOSED, START + 20)]


def test_what_comes_too_late() -> None:
    """An observation older than what is known of its probe, or than every kept round, changes nothing."""
    chain = lab_chain()
    engine = Engine(chain)
    run(engine, record(chain, [(60, {})], ["cloud"]))
    run(engine, [observation("gw", "cloud", "s", START, 7312), observation("gw", "cloud", "s", START + 50, 7362)])
    assert engine.incidents() == ()


def test_rounds_out_of_order() -> None:
    """A round that arrives after its successor counts all the same."""
    chain = lab_chain()
    engine = Engine(chain)
    observations = record(chain, [(6, {}), (8, CUT)])
    shuffled = sorted(observations, key=lambda o: (o.round // 2, -o.round, o.time))
    run(engine, shuffled)
    assert any(i.state is not State.SUSPECTED for i in engine.incidents())


def test_slow_sources_confirm_at_their_own_pace() -> None:
    """A source with its own pace is confirmed by five of its own results, a pass in between starts anew."""
    slow = small.probe("slow", ["h", "x"], pace=Pace.OWN, interval=60.0)
    chain = small.chain({"h": "a", "x": "b"}, [slow, small.probe("p", ["h"])])
    engine = Engine(chain)
    made: list[Transition] = []
    for number, letter in enumerate(".ss.sssss"):
        at = START + number * 60
        lines = record(chain, [(16, {"slow": "-"})], ["v"], start=at, first_round=number * 60)
        lines.append(observation("slow", "v", letter, at + 6, number * 60 + 6))
        made += run(engine, sorted(lines, key=lambda o: o.time))
        if number < 8:
            assert not [t for t in made if t.event is Event.CONFIRMED]
    assert the(engine).parties == ("b",)


def test_a_suspicion_leaves_what_works_alone() -> None:
    """While it is only suspected, a segment that is proven to work is shown as working."""
    chain = lab_chain()
    engine = Engine(chain)
    run(engine, record(chain, [(6, {}), (2, CUT)], ["cloud"]))
    states = engine.segment_states(START + 8)
    assert (states["cloud-gw"], states["vpn"]) == ("ok", "ok")
    assert [i.state for i in engine.incidents()] == [State.SUSPECTED]


def test_evidence_of_what_is_over() -> None:
    """Late evidence of a suspicion that has passed confirms nothing."""
    chain = lab_chain()
    engine = Engine(chain, settle=False)
    blip = {"anchor": "s"}
    observations = record(chain, [(6, {}), (5, blip)], ["cloud"])
    for one in observations:
        engine.observe(one)
    again = record(chain, [(1, {"underlay": "s"})], ["cloud"], start=START + 11, first_round=7323)
    for one in again:
        engine.observe(one)
    assert all(t.event is not Event.CONFIRMED for t in engine.evaluate(START + 12))


def reloaded(chain: Chain, **changes: object) -> Chain:
    """Return the lab's chain with another hash, and probe `anchor` changed."""
    anchor = msgspec.structs.replace(chain.probes["anchor"], **changes)
    return msgspec.structs.replace(chain, hash="f" * 64, probes={**chain.probes, "anchor": anchor})


def test_a_reload_keeps_the_rounds() -> None:
    """Rounds before a reload count: a fault that was being confirmed is confirmed in time, of the same probes."""
    chain = lab_chain()
    observations = record(chain, [(6, {}), (8, CUT)])
    engine = Engine(chain)
    run(engine, (o for o in observations if o.time < START + 9))
    again = engine.renewed(reloaded(chain, interval=2.0))
    made = run(again, (o for o in observations if o.time >= START + 9))
    (confirmed,) = [t for t in made if t.event is Event.CONFIRMED]
    assert (confirmed.incident.parties, int(confirmed.at - START)) == (("carrier",), 10)
    assert "cloud>anchor" in confirmed.incident.faults


def test_a_changed_probe_has_no_past() -> None:
    """A probe that measures something else after a reload accuses nobody for what it measured before."""
    chain = lab_chain()
    engine = Engine(chain)
    run(engine, record(chain, [(6, {}), (8, {"anchor": "s"})]))
    assert the(engine).faults.keys() == {"cloud>anchor"}
    other = engine.renewed(reloaded(chain, path=("cloud-host", "cloud-gw", "carrier", "vpn")))
    assert [t.event for t in other.evaluate(START + 15)] == [Event.CLOSED]
    gone = engine.renewed(plain("p: h x"))
    assert [t.event for t in gone.evaluate(START + 15)] == [Event.CLOSED]


def test_a_reload_with_other_places() -> None:
    """A vantage that moved has no past, nor has a probe that is new; the others go on."""
    chain = lab_chain()
    observations = record(chain, [(6, {}), (8, CUT)])
    engine = Engine(chain)
    run(engine, (o for o in observations if o.time < START + 9))
    moved = msgspec.structs.replace(chain.vantages["onprem"], segment="onprem-fw")
    edge = msgspec.structs.replace(chain.probes["carrier-edge"], id="edge-2")
    other = msgspec.structs.replace(
        chain, vantages={**chain.vantages, "onprem": moved}, probes={**chain.probes, "edge-2": edge}
    )
    again = engine.renewed(other)
    run(again, (o for o in observations if o.time >= START + 9))
    (incident,) = again.incidents()
    assert (incident.parties, incident.opened) == (("carrier",), the_opening(observations))


def the_opening(observations: Iterable[Observation]) -> float:
    """Return when the first probe failed."""
    return min(o.time for o in observations if o.outcome is Outcome.FAILED)


def test_single_faults() -> None:
    """The engine says of every probed segment whether its failure would be provable."""
    told = {fault.segment: fault.proof.value for fault in Engine(lab_chain()).single_faults}
    assert (told["carrier"], told["vpn"]) == ("provable", "located")


def test_a_contradiction_takes_nothing_back() -> None:
    """A later pass that contradicts an open finding changes neither its candidates nor what they rest on."""
    same = small.flow("10.0.0.9")
    probes = [small.probe("p", ["h", "x", "y"], to=same), small.probe("q", ["h", "x", "y"], to=same)]
    chain = small.chain({"h": "a", "x": "b", "y": "c"}, probes)
    engine = Engine(chain)
    run(engine, record(chain, [(6, {"q": "-"}), (8, {"p": "s", "q": "-"}), (12, {"p": "s"})], ["v"]))
    assert the(engine).kind is Kind.UNDETERMINED
    assert the(engine).candidates == ("b", "c")


def test_a_state_of_before_there_were_grounds() -> None:
    """Incidents saved by an earlier version go on: what they explain by their segments is not told again."""
    chain = lab_chain()
    observations = record(chain, [(6, {}), (8, CUT), (8, {**CUT, "carrier-edge": "-", "gw": "-"}), (14, {})], ["cloud"])
    engine = Engine(chain)
    run(engine, (o for o in observations if o.time < START + 13))
    saved = msgspec.json.decode(engine.save())
    del saved["grounds"]
    made = run(Engine(chain, msgspec.json.encode(saved)), (o for o in observations if o.time >= START + 13))
    assert events(made) == ["recovering", "closed"]


def test_answers_are_forgotten() -> None:
    """What is remembered of rounds is bounded: a diagnosis that forgot is the same."""
    chain = lab_chain()
    observations = record(chain, [(6, {}), (8, CUT), (14, {})])
    plenty, scarce = Engine(chain), Engine(chain)
    scarce.history._most = 2
    assert run(plenty, observations) == run(scarce, observations)


def test_a_reload_keeps_slow_sources() -> None:
    """The fails and passes of slow sources go on over a reload."""
    slow = [small.probe(name, ["h", "x"], pace=Pace.OWN, interval=60.0) for name in ("bad", "good")]
    chain = small.chain({"h": "a", "x": "b"}, [*slow, small.probe("p", ["h"])])
    engine = Engine(chain)
    for number in range(8):
        at = START + number * 60
        lines = record(chain, [(16, {"bad": "-", "good": "-"})], ["v"], start=at, first_round=number * 60)
        lines += [observation("bad", "v", "s", at + 6, number * 60 + 6) for _ in range(number in range(2, 7))]
        lines += [observation("good", "v", ".", at + 6.1, number * 60 + 6)]
        run(engine, sorted(lines, key=lambda o: o.time))
        engine = engine.renewed(msgspec.structs.replace(chain, hash=f"{number}" * 64))
    (incident,) = engine.incidents()
    assert (incident.parties, list(incident.faults)) == (("b",), ["v>bad"])
