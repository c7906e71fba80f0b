"""Delay and loss from notice to end: whom the engine names, when, and what it never does."""

from collections.abc import Iterable, Iterator
from random import Random

import msgspec
import pytest

from agent.alerts.plan import pages
from agent.incident.engine import Engine
from agent.incident.excess import Excesses
from agent.incident.value import Event, Excess, Incident, Kind, State, Support, Transition
from agent.model import Chain, Page, Service
from agent.observation import SELF, Observation
from agent.replay import document, replay
from probes.kit.result import Outcome
from tests.agent.diagnosis.world import START
from tests.agent.excess.line import CHAIN, QUIET, seen
from tools.campaign.lateness import Air, Slow, Way, record

LINE, EDGE = "cloud>underlay", "203.0.113.2"
CORE = Slow(segment="carrier", delay=0.045, spans=((200, 300),))
LEARNED = 200


def run(engine: Engine | Excesses, observations: Iterable[Observation]) -> list[Transition]:
    """Feed observations, evaluating at each new round; return the transitions of delay and loss."""
    made: list[Transition] = []
    last: Observation | None = None
    for one in observations:
        if last is not None and one.round != last.round:
            made += engine.evaluate(last.time)
        engine.observe(one)
        last = one
    return [t for t in made if t.incident.excess is not None]


def life(*things: Slow, seconds: int = 360, air: Air = QUIET, seed: int = 1) -> list[Transition]:
    """Return the transitions that things make in an engine's first seconds."""
    return run(Excesses(CHAIN, ()), seen(*things, seconds=seconds, air=air, seed=seed))


def events(made: Iterable[Transition]) -> list[str]:
    """Return event names."""
    return [t.event.value for t in made]


def named(made: Iterable[Transition]) -> set[str]:
    """Return the parties that were ever named."""
    return {party for t in made for party in t.incident.parties}


def test_a_life() -> None:
    """Noticed within half a minute, laid with the carrier by at least 37 of 45 ms, and over when the margin is kept."""
    made = life(CORE)
    assert events(made) == ["confirmed", "recovering", "closed"]
    told, ended = made[0].incident, made[-1].incident
    assert (told.kind, told.parties, told.segments, told.services) == (
        Kind.ATTRIBUTED,
        ("carrier",),
        ("carrier",),
        ("line",),
    )
    assert (told.mover, told.side, told.faults["cloud>underlay"]) == ("carrier", "transit", "excess/round-trip")
    assert told.excess is not None
    assert 0.037 <= told.excess.part <= told.excess.low <= 0.045
    assert START + 198 <= told.opened <= START + 201
    assert made[0].at < START + 230
    assert ended.closed is not None
    assert START + 299 <= ended.closed <= START + 302


def test_the_silent_peer_s_probes_are_what_would_decide() -> None:
    """While the other side is not heard, its echoes from within are named; once heard, they decide."""
    heard = (o for o in seen(CORE, seconds=290) if o.vantage == "cloud" or not START + 180 <= o.time < START + 250)
    (first, *others) = run(Excesses(CHAIN, ()), heard)
    wanted = ("onprem>o-carrier-edge", "onprem>o-underlay")
    assert (first.incident.kind, first.incident.decide_with) == (Kind.UNDETERMINED, wanted)
    assert (others[0].incident.parties, others[0].incident.decide_with) == (("carrier",), ())


@pytest.mark.parametrize(
    ("thing", "candidates"),
    [
        (Slow(segment="cloud-gw", towards="carrier", delay=0.045, spans=((200, 300),)), ("msp", "carrier")),
        (Slow(segment="carrier", towards="onprem-gw", delay=0.045, spans=((200, 300),)), ("carrier", "incumbent")),
        (Slow(segment="onprem-gw", towards="carrier", delay=0.045, spans=((200, 300),)), ("carrier", "incumbent")),
    ],
    ids=["our own uplink", "the last mile", "the other side's uplink"],
)
def test_a_queue_between_two_parties_names_neither(thing: Slow, candidates: tuple[str, ...]) -> None:
    """What waits at a demarcation line may wait on either side of it."""
    made = life(thing)
    assert named(made) == set()
    assert events(made)[0] == "confirmed"
    assert events(made)[-1] == "closed"
    assert made[-1].incident.candidates == candidates
    assert made[-1].incident.mover == "msp"


@pytest.mark.parametrize(
    "thing",
    [
        Slow(segment="carrier", delay=0.010, spans=((200, 360),)),
        Slow(segment="carrier", answers="198.51.100.1", delay=0.2, loss=0.5, spans=((200, 360),)),
        Slow(segment="carrier", delay=0.3, spans=tuple((200 + n, 201 + n) for n in range(0, 150, 9))),
    ],
    ids=["within the margin", "only its own answers", "spikes"],
)
def test_what_opens_nothing(thing: Slow) -> None:
    """Less than the margin, a router that answers slowly for itself, and spikes are no disturbance."""
    assert life(thing) == []


def test_a_rate_limited_hop_is_never_accused() -> None:
    """A hop that begins to drop echoes to itself is no loss of the line, and no evidence against anybody."""
    limits = Air(load=0, spike=0, loss=0, limited={"198.51.100.1": 0.6, "203.0.113.1": 0.6})
    before = run(engine := Excesses(CHAIN, ()), seen(seconds=LEARNED))
    after = run(engine, seen(seconds=200, begin=LEARNED, air=limits))
    assert before + after == []


def test_an_outage_is_not_also_a_delay() -> None:
    """What is silent is an outage; neither its seconds nor those before it was confirmed count as loss."""
    dead = Slow(segment="carrier", loss=1.0, spans=((200, 240),))
    engine = Engine(CHAIN)
    assert run(engine, seen(dead, seconds=500)) == []


def test_a_delay_that_becomes_an_outage_waits() -> None:
    """While all of it is silent the delay neither ends nor grows; it goes on, or ends, with what comes after."""
    dead = Slow(segment="carrier", loss=1.0, spans=((240, 280),))
    made = run(engine := Engine(CHAIN), seen(CORE, dead, seconds=270))
    assert events(made) == ["confirmed"]
    made += run(engine, seen(CORE, dead, seconds=60, begin=270))
    assert events(made) == ["confirmed", "recovering", "closed"]
    assert made[-1].incident.closed == pytest.approx(START + 300, abs=2)


def test_loss_is_bounded_by_wilson_and_ends() -> None:
    """A third lost in the carrier's core is laid with it once enough was sent, and ends with certainty."""
    lossy = Slow(segment="carrier", loss=0.33, spans=((200, 700),))
    made = life(lossy, seconds=900)
    assert named(made) == {"carrier"}
    told = [t.incident.excess for t in made if t.incident.parties]
    assert all(e is not None and e.what == "loss" and 0.02 <= e.part <= e.low <= 0.33 for e in told)
    ended = made[-1].incident
    assert (made[-1].event, ended.state) == (Event.CLOSED, State.CLOSED)
    assert ended.closed is not None
    assert START + 690 <= ended.closed <= START + 710
    assert START + 195 <= ended.opened <= START + 210


def test_loss_on_the_last_mile_names_neither() -> None:
    """Both ends of it stay possible."""
    made = life(Slow(segment="carrier", towards="onprem-gw", loss=0.3, spans=((200, 700),)), seconds=800)
    assert made
    assert named(made) == set()


def test_parties_slow_in_turns_do_not_clear_each_other() -> None:
    """Medians of one could hide the other's turn; nobody is named while both take turns."""
    turns = tuple((200.0 + 20 * n, 207.0 + 20 * n) for n in range(20))
    others = tuple((stop, start + 20.0) for start, stop in turns)
    ours = Slow(segment="cloud-gw", towards="carrier", delay=0.045, spans=turns)
    theirs = Slow(segment="onprem-gw", towards="carrier", delay=0.045, spans=others)
    assert named(life(ours, theirs, seconds=620)) == set()


def test_a_fault_that_moves_changes_its_party() -> None:
    """When the carrier's part is certainly gone its incident ends there, and the other party's begins after it."""
    slow_answer = Slow(segment="onprem-gw", answers=EDGE, delay=0.045, spans=((320, 460),))
    core = msgspec.structs.replace(CORE, spans=((200, 320),))
    made = life(core, slow_answer, seconds=540)
    closed = {t.incident.parties: t.incident for t in made if t.event is Event.CLOSED}
    assert closed.keys() == {("carrier",), ("incumbent",)}
    carrier, incumbent = closed["carrier",], closed["incumbent",]
    assert carrier.closed is not None
    assert START + 280 <= carrier.closed <= START + 325
    assert START + 280 <= incumbent.opened <= START + 325


def test_two_services_are_one_incident() -> None:
    """One cause is one incident, however many services it makes late; what remains open beside it is not told."""
    anchor = msgspec.structs.replace(CHAIN.probes["anchor"], service="vpn")
    services = {**CHAIN.services, "vpn": Service(id="vpn", name="VPN", delay_margin=0.020)}
    chain = msgspec.structs.replace(CHAIN, services=services, probes={**CHAIN.probes, "anchor": anchor})
    way = Way(things=(CORE,), air=QUIET, pick=Random(1))
    made = run(Excesses(chain, ()), record(chain, way, 360))
    assert len({t.incident.id for t in made}) == 1
    assert made[-1].incident.services == ("line", "vpn")


def test_many_late_probes_take_turns() -> None:
    """A few are weighed at a time, and in the end one incident holds them all."""
    names = ("underlay", "anchor", "o-underlay")
    probes = {n: msgspec.structs.replace(p, service="line") if n in names else p for n, p in CHAIN.probes.items()}
    chain = msgspec.structs.replace(CHAIN, probes=probes)
    made = run(Excesses(chain, ()), record(chain, Way(things=(CORE,), air=QUIET, pick=Random(1)), 360))
    assert named(made) == {"carrier"}
    assert len({t.incident.id for t in made}) == 1
    assert set(made[-1].incident.faults) == {"cloud>underlay", "cloud>anchor", "onprem>o-underlay"}


def test_undetermined_becomes_proven() -> None:
    """While a peer is silent nobody is named; with its evidence the same incident names the carrier."""
    slow = msgspec.structs.replace(CORE, spans=((200, 600),))

    def partly() -> Iterator[Observation]:
        for one in seen(slow, seconds=700):
            if not (START + 190 <= one.time < START + 300 and one.vantage == "onprem"):
                yield one

    made = run(Excesses(CHAIN, ()), partly())
    assert events(made) == ["confirmed", "changed", "recovering", "closed"]
    assert [t.incident.kind for t in made[:2]] == [Kind.UNDETERMINED, Kind.ATTRIBUTED]
    assert len({t.incident.id for t in made}) == 1


def test_what_was_proven_is_never_weakened() -> None:
    """When the peer falls silent later, the carrier stays named."""
    slow = msgspec.structs.replace(CORE, spans=((200, 600),))
    kept = (o for o in seen(slow, seconds=590) if o.time < START + 300 or o.vantage == "cloud")
    made = run(excesses := Excesses(CHAIN, ()), kept)
    assert events(made) == ["confirmed"]
    (open_,) = excesses.open.values()
    assert open_.parties == ("carrier",)


def test_a_restart_in_the_middle() -> None:
    """The incident goes on after a restart and after a reload, and ends once; references are kept apart."""
    slow = msgspec.structs.replace(CORE, spans=((200, 360),))
    lines = list(seen(slow, seconds=420))
    first = Engine(CHAIN)
    made = run(first, (o for o in lines if o.time < START + 260))
    usual = first.usual()
    assert usual is not None
    second = Engine(CHAIN, first.save())
    second.recall(usual)
    made += run(second, (o for o in lines if START + 260 <= o.time < START + 320))
    third = second.renewed(msgspec.structs.replace(CHAIN, hash="b" * 64))
    made += run(third, (o for o in lines if o.time >= START + 320))
    assert events(made) == ["confirmed", "recovering", "closed"]
    assert len({t.incident.id for t in made}) == 1
    with pytest.raises(ValueError, match="no kept references"):
        second.recall(b"[]")


def test_without_margins_nothing_is_kept() -> None:
    """A chain whose services name none is not watched; an incident of before ends when its margin goes."""
    bare = msgspec.structs.replace(
        CHAIN, services={n: msgspec.structs.replace(s, delay_margin=None) for n, s in CHAIN.services.items()}
    )
    no_loss = msgspec.structs.replace(
        bare, services={n: msgspec.structs.replace(s, loss_margin=None) for n, s in bare.services.items()}
    )
    for chain in (bare, no_loss):
        engine = Engine(CHAIN)
        run(engine, seen(msgspec.structs.replace(CORE, spans=((200, 300),)), seconds=280))
        after = engine.renewed(chain)
        (ended,) = run(after, seen(seconds=5, begin=280))
        assert ended.event is Event.CLOSED
        assert after.incidents() == ()
    assert Engine(no_loss).usual() is None


def test_blind_rounds_count_for_nothing() -> None:
    """A vantage whose self-check failed in a round has not measured in it."""

    def blinded() -> Iterator[Observation]:
        for one in seen(CORE, seconds=330):
            bad = one.vantage == "cloud" and START + 200 <= one.time < START + 300
            yield msgspec.structs.replace(one, outcome=Outcome.FAILED) if bad and one.probe == SELF else one

    assert run(Excesses(CHAIN, ()), blinded()) == []


def test_a_relapse_is_the_same_incident() -> None:
    """What is late again before it was over for ten seconds goes on; later it is another one."""
    made = life(msgspec.structs.replace(CORE, spans=((200, 260), (269, 330), (400, 460))), seconds=540)
    once = ["recovering", "closed"]
    assert events(made) == ["confirmed", "recovering", "relapsed", *once, "confirmed", *once]
    assert len({t.incident.id for t in made}) == 2


def test_states_while_it_lasts() -> None:
    """The service is degraded and so is the segment that is proven slow; both are well again after it."""
    engine = Engine(CHAIN)
    run(engine, seen(CORE, seconds=260))
    now = START + 259.9
    assert [(i.parties, i.excess is not None) for i in engine.incidents()] == [(("carrier",), True)]
    assert engine.service_states(now)["line"] == "degraded"
    assert engine.segment_states(now)["carrier"] == "degraded"
    assert engine.segment_states(now)["cloud-gw"] == "ok"
    run(engine, seen(CORE, seconds=80, begin=260))
    assert engine.service_states(START + 339.9)["line"] == "up"
    assert engine.segment_states(START + 339.9)["carrier"] == "ok"


def test_it_warns_and_pages_only_where_that_was_agreed() -> None:
    """Delay and loss page where the chain file says `degraded`, else they warn."""
    (made, *_) = life(CORE)

    def chain(*, degraded: bool) -> Chain:
        line = msgspec.structs.replace(CHAIN.services["line"], page=Page(degraded=degraded))
        return msgspec.structs.replace(CHAIN, services={**CHAIN.services, "line": line})

    assert not pages(made.incident, chain(degraded=False), made.at)
    assert pages(made.incident, chain(degraded=True), made.at)


def test_a_slow_server_is_its_owners() -> None:
    """What a server takes after the handshake lies where it answers, whatever the way there does."""
    erp = {n: msgspec.structs.replace(s, delay_margin=0.05) if n == "erp" else s for n, s in CHAIN.services.items()}
    chain = msgspec.structs.replace(CHAIN, services=erp)
    slow = Slow(segment="erp-app", serves=True, delay=0.3, spans=((1000, 1300),))
    made = run(Excesses(chain, ()), record(chain, Way(things=(slow,), air=QUIET, pick=Random(1)), 1400))
    assert {t.incident.parties for t in made} == {("incumbent",)}
    assert {t.incident.segments for t in made} == {("erp-app",)}
    assert made[0].incident.faults == {"cloud>erp": "excess/response"}


def test_replay_tells_it_too() -> None:
    """A record holds what is needed; the key stands only where it applies."""
    found = replay(CHAIN, list(seen(CORE, seconds=360)))
    assert [i.parties for i in found if i.excess] == [("carrier",)]
    assert b'"excess":{"what":"delay"' in document(found)
    assert b"excess" not in document([msgspec.structs.replace(i, excess=None) for i in found])


def test_a_new_kind_of_hour() -> None:
    """Where nothing is usual yet nothing opens, and what is open ends by what was usual before."""
    evening = 4 * 3600
    slow = msgspec.structs.replace(CORE, spans=((evening - 60, evening + 60), (evening + 120, evening + 160)))
    made = run(Excesses(CHAIN, ()), seen(slow, seconds=440, begin=evening - 260))
    assert events(made) == ["confirmed", "recovering", "closed"]
    assert made[-1].incident.closed == pytest.approx(START + evening + 60, abs=2)


def test_it_ends_with_its_proof() -> None:
    """A party is named for as long as what proves it lasts; what is late beside it is told for itself then."""
    erp = {n: msgspec.structs.replace(s, delay_margin=0.015) if n == "erp" else s for n, s in CHAIN.services.items()}
    chain = msgspec.structs.replace(CHAIN, services=erp)
    core = Slow(segment="carrier", delay=0.045, spans=((1000, 1200),))
    firewall = Slow(segment="onprem-fw", delay=0.06, spans=((1000, 1500),))
    made = run(Excesses(chain, ()), record(chain, Way(things=(core, firewall), air=QUIET, pick=Random(1)), 1480))
    carrier = [t.incident for t in made if t.event is Event.CLOSED and t.incident.parties == ("carrier",)]
    assert [i.closed for i in carrier] == [pytest.approx(START + 1200, abs=12)]
    assert set(carrier[0].faults) >= {"cloud>underlay", "cloud>erp"}
    assert "cloud>erp" not in carrier[0].support.failing
    (left,) = {t.incident.id: t.incident for t in made if t.incident.state is not State.CLOSED}.keys() - {carrier[0].id}
    assert {t.incident.parties for t in made if t.incident.id == left} == {()}


def test_what_turns_out_to_be_part_of_another_is_merged() -> None:
    """When an open excess is proven to be a party's that is named already, it ends in that one."""
    engine = Excesses(CHAIN, ())
    run(engine, seen(CORE, seconds=215))
    slow = Incident(
        id="k",
        state=State.CONFIRMED,
        kind=Kind.ATTRIBUTED,
        parties=("carrier",),
        mover="carrier",
        faults={"cloud>erp": "excess/round-trip"},
        support=Support(failing=("cloud>erp",)),
        opened=START + 200,
        excess=Excess(what="delay", low=0.04, part=0.03, margin=0.015),
    )
    open_ = msgspec.structs.replace(
        slow, id="u", kind=Kind.UNDETERMINED, parties=(), faults={LINE: "excess/round-trip"}
    )
    services = {n: msgspec.structs.replace(v, delay_margin=0.015) for n, v in CHAIN.services.items()}
    engine.chain = msgspec.structs.replace(CHAIN, services=services)
    engine.open |= {"k": slow, "u": open_}
    made = run(engine, seen(CORE, seconds=30, begin=215))
    assert events(made) == ["changed", "merged"]
    assert [t.incident.id for t in made] == ["k", "u"]


def test_ids_are_never_shared() -> None:
    """Two incidents of one moment have two names."""
    excesses = Excesses(CHAIN, ())
    first = excesses._identify(START, "delay", ("carrier",))
    excesses.open[first] = Incident(id=first, state=State.CONFIRMED, kind=Kind.UNDETERMINED, mover="", opened=START)
    assert excesses._identify(START, "delay", ("carrier",)) != first
    assert excesses._identify(START, "loss", ("carrier",)) != first
