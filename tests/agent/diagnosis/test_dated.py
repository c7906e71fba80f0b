"""A state that bears a date places a fault that was there at that moment, and says nothing of any other moment."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config import load_chain_text
from agent.diagnosis.cells import SILENT_CELL, Cell, Says
from agent.diagnosis.conflict import conflicts
from agent.diagnosis.dated import AFTER_SECONDS, BEFORE_SECONDS, Dated
from agent.diagnosis.evidence import Window
from agent.diagnosis.roles import Model
from agent.incident.engine import Engine
from agent.incident.value import Incident, Kind
from agent.model import Chain
from agent.observation import SELF, Observation, encode
from agent.replay import read, replay
from probes.kit.result import Outcome, Stage

ENTRA = "type: entra_sync, from: cloud, tenant: a.example, client_id: 66666666-7777-8888-9999-000000000000"
CHAIN_TEXT: Final = f"""
version: 1
effective: 2026-01-01T00:00
timezone: Europe/Amsterdam
director: client
parties: {{client: {{name: C}}, msp: {{name: M}}, carrier: {{name: L}}, incumbent: {{name: I}}, microsoft: {{name: S}}}}
segments:
  host: {{owner: client, side: cloud}}
  gw: {{owner: msp, side: cloud}}
  net: {{owner: carrier, side: transit}}
  circuit: {{owner: carrier, side: transit}}
  vpn: {{owner: [msp, incumbent], lead: msp, side: line}}
  device: {{owner: incumbent, side: onprem}}
  exit: {{owner: incumbent, side: onprem}}
  connect: {{owner: incumbent, side: onprem}}
  microsoft: {{owner: microsoft, side: saas}}
vantages: {{cloud: {{segment: host, operator: client}}}}
confirm: {{rounds: 3, spacing: 10s, skew: 1s}}
probes:
  gw: {{type: icmp, from: cloud, target: 10.10.0.1, interval: 10s, path: [host, gw]}}
  far: {{type: icmp, from: cloud, target: 192.0.2.9, interval: 10s, path: [host, gw, net, microsoft]}}
  underlay: {{type: icmp, from: cloud, target: 203.0.113.2, interval: 10s, path: [host, gw, net, circuit, device]}}
  anchor: {{type: icmp, from: cloud, target: 10.20.0.1, interval: 10s, path: [host, gw, net, circuit, vpn, device]}}
  sync: {{{ENTRA}, secret_file: /none, told_by: microsoft, path: [host, gw, microsoft, circuit, exit, connect]}}
"""
START, STEP, POLL = 1_795_442_400.0, 10.0, 300.0
Times = Callable[[float], float | None]  # seconds since START -> the last synchronisation as it is told then


def chain(text: str = CHAIN_TEXT) -> Chain:
    """Load the chain."""
    return load_chain_text(text.encode(), "chain.yml")


CHAIN: Final = chain()
PATHS: Final = {p.id: frozenset(p.path) for p in CHAIN.probes.values() if p.id != "sync"}
FAIL: Final[dict[str, object]] = {"outcome": Outcome.FAILED, "stage": Stage.CONNECT, "fault": "timeout"}


def seen(broken: Callable[[float], str], told: Times, seconds: float) -> Iterator[Observation]:
    """Yield what the vantage sees while `broken` says which segment does not work at a time (blind: `host`)."""
    for step in range(int(seconds / STEP)):
        now = step * STEP
        at = {"round": step + 1, "vantage": "cloud"}
        segment = broken(now)
        for name, path in PATHS.items():
            outcome = FAIL if segment in path else {"outcome": Outcome.OK}
            yield Observation(time=START + now, probe=name, **at, **outcome)  # type: ignore[arg-type]
        if now % POLL == 0:
            date = told(now)
            as_of = None if date is None else START + date
            yield Observation(time=START + now + 1, probe="sync", outcome=Outcome.OK, as_of=as_of, **at)  # type: ignore[arg-type]
        own = Outcome.FAILED if segment == "host" else Outcome.OK
        yield Observation(time=START + now + 2, probe=SELF, outcome=own, **at)  # type: ignore[arg-type]


def since(begin: float, segment: str) -> Callable[[float], str]:
    """Return a fault of `segment` that begins at `begin` and stays."""
    return lambda now: segment if now >= begin else ""


def then(*faults: tuple[float, str]) -> Callable[[float], str]:
    """Return one fault after the other, each from its time on."""
    return lambda now: next((segment for begin, segment in reversed(faults) if now >= begin), "")


def every(cycle: float) -> Times:
    """Return synchronisations at each `cycle`."""
    return lambda now: now - now % cycle


def last(*dates: float) -> Times:
    """Return synchronisations at these moments."""
    return lambda now: max((date for date in dates if date <= now), default=None)


OPEN: Final = ("undetermined", {"carrier", "msp", "incumbent"}, {"circuit", "vpn", "device"})
DEVICE: Final = ("attributed", {"incumbent"}, {"device"})
# what is broken, what is told -> kind, candidates and segments of the incidents
FOUND: Final[Mapping[str, tuple[Callable[[float], str], Times, list[tuple[str, set[str], set[str]]]]]] = (
    MappingProxyType(
        {
            "the device, and synchronisation goes on": (since(100, "device"), every(600), [DEVICE]),
            "the circuit, and synchronisation stops with it": (since(100, "circuit"), last(0), [OPEN]),
            "the device, and nothing has been told since": (since(100, "device"), last(0), [OPEN]),
            "the device, and nobody tells": (since(100, "device"), lambda _now: None, [OPEN]),
            "a date just behind the beginning may be of before it": (since(1000, "device"), last(1000 + 290), [OPEN]),
            "a date that far behind it is not": (since(1000, "device"), last(1000 + 310), [DEVICE]),
            "the newest date is of now: what comes after it is still to be seen": (
                since(100, "device"),
                lambda now: now if now < 1500 else None,
                [DEVICE],
            ),
            "one fault turns into another: what works now says nothing of the date": (
                then((100, "gw"), (1500, "circuit")),
                last(0, 900),
                [("attributed", {"msp"}, {"gw"}), OPEN],
            ),
            "our own host was blind at the date": (
                then((100, "device"), (900, "host"), (950, "device")),
                last(0, 920),
                [OPEN],
            ),
        }
    )
)


def told(incidents: tuple[Incident, ...]) -> list[tuple[str, set[str], set[str]]]:
    """Return what incidents say, our own blindness apart."""
    shown = (one for one in incidents if one.kind is not Kind.MONITOR)
    return [(str(one.kind), set(one.candidates), set(one.segments)) for one in shown]


@pytest.mark.parametrize("name", FOUND)
def test_a_date_speaks_of_its_own_moment(name: str) -> None:
    """A synchronisation in the midst of a fault clears the circuit; one before it, after it or never told does not."""
    broken, dates, expected = FOUND[name]
    found = told(replay(CHAIN, list(seen(broken, dates, 2400))))
    if name.startswith("our own host"):  # an outage on both sides of the blind moment is told as one or as two
        assert found in ([OPEN], [OPEN, OPEN])
        return
    assert found == expected


def test_what_rests_on_a_date_rests_on_the_teller_too() -> None:
    """The word is Microsoft's, the reading the client's: without either nothing is proven; the witness is named."""
    record = [encode(one) for one in seen(since(100, "device"), every(600), 2400)]  # as it is kept and exchanged
    (incident,) = replay(CHAIN, read(record))
    assert (incident.standing, incident.rests_on) == ("single-sided", ("client", "microsoft"))
    assert incident.support.exonerating["circuit"] == ("cloud>sync",)


def test_what_a_party_tells_is_left_out_with_its_operator_and_with_itself() -> None:
    """A fail that Microsoft tells is no evidence without the vantage's operator, nor without Microsoft."""
    model = Model(CHAIN)
    accused = frozenset(model.failing("cloud>sync").accused)
    window = Window("cloud", {"cloud>sync": accused}, {})
    counted = {name: len(conflicts(model, [window], name)) for name in (None, "carrier", "microsoft", "client")}
    assert counted == {None: 1, "carrier": 1, "microsoft": 0, "client": 0}


def test_a_date_that_came_another_way_counts_for_nothing() -> None:
    """The circuit is dead, its end is silent, and the site synchronises by a second line: the carrier is named."""
    text = CHAIN_TEXT + (
        "  edge: {type: icmp, from: cloud, target: 203.0.113.1, interval: 10s, path: [host, gw, net, circuit]}\n"
    )
    end = [
        Observation(time=one.time, round=one.round, vantage="cloud", probe="edge", **_like(one))
        for one in seen(since(100, "circuit"), every(600), 2400)
        if one.probe == "underlay"
    ]
    lines = sorted([*seen(since(100, "circuit"), every(600), 2400), *end], key=lambda one: one.time)
    assert told(replay(chain(text), lines)) == [("attributed", {"carrier"}, {"circuit"})]


def _like(one: Observation) -> dict[str, Any]:
    return {"outcome": one.outcome, "stage": one.stage, "fault": one.fault}


SEGMENTS: Final = ("", "gw", "net", "circuit", "vpn", "device", "exit")
SECONDS = 2700.0
# A course takes a tenth of a second, so that a third of a profile's examples must do.
FEWER = max(settings().max_examples // 3, 1)
COURSES = st.lists(st.tuples(st.integers(0, 22), st.sampled_from(SEGMENTS)), min_size=1, max_size=4)


@given(course=COURSES, phase=st.integers(0, 17), lag=st.integers(0, 9))
@settings(max_examples=FEWER, deadline=None)
def test_nobody_is_named_for_what_never_broke(course: list[tuple[int, str]], phase: int, lag: int) -> None:
    """Whatever breaks one after the other: a named party owned something that was broken while the incident lasted."""
    faults = tuple(sorted(((step * 100.0, segment) for step, segment in course), key=lambda one: one[0]))
    broken = then((-1.0, ""), *faults)
    dates = [t for t in range(phase * 100, int(SECONDS), 600) if broken(t) not in {"circuit", "exit"}]
    # Books are written some time after the event.
    incidents = replay(CHAIN, list(seen(broken, lambda now: last(*dates)(now - lag * 10.0), SECONDS)))
    for one in incidents:
        until = START + SECONDS if one.closed is None else one.closed
        during = {
            broken(n * STEP) for n in range(int(SECONDS / STEP)) if one.opened - STEP <= START + n * STEP <= until
        }
        owners = {owner for name in during if name for owner in CHAIN.segments[name].owners}
        assert set(one.parties) <= owners, (faults, dates, one)


def test_a_chain_in_which_nobody_tells_keeps_nothing() -> None:
    """Without `told_by` no run is kept, and no date counts."""
    plain = chain(CHAIN_TEXT.replace("told_by: microsoft, ", ""))
    assert told(replay(plain, list(seen(since(100, "device"), every(600), 2400)))) == [OPEN]
    dated = Dated(Model(plain))
    dated.add(
        Observation(time=START, round=1, vantage="cloud", probe="gw", **FAIL),  # type: ignore[arg-type]
        Cell(Says.FAIL, frozenset({0}), frozenset()),
    )
    assert dated.windows() == ()


RELOADS = {
    "another description": ("effective: 2026", "description: ours\neffective: 2026", [DEVICE]),
    "roles are numbered anew": (
        "probes:\n",
        "probes:\n  new: {type: icmp, from: cloud, target: 192.0.2.8, path: [host, exit]}\n",
        [DEVICE],
    ),
    "the teller is gone": ("told_by: microsoft, ", "", [OPEN]),
    "the way is another one": ("microsoft, circuit, exit, connect]", "microsoft, exit, connect]", [OPEN]),
}


@pytest.mark.parametrize("name", RELOADS)
def test_a_reload_goes_on_with_what_means_the_same(name: str) -> None:
    """A new chain file in the midst of the fault takes runs and dates along, of probes that need what they needed."""
    old, new, expected = RELOADS[name]
    engine = Engine(CHAIN)
    for one in seen(since(100, "device"), last(0, 600), 1300):
        if one.time == START + 620:  # the date is told, and what comes after it not yet seen
            engine = engine.renewed(chain(CHAIN_TEXT.replace(old, new)))
        engine.observe(one)
        if one.probe == SELF:
            engine.evaluate(one.time)
    assert told(engine.incidents()) == expected


def test_fails_with_gaps_between_them_place_nothing() -> None:
    """A probe that looks every minute may have missed that all was well at the date."""
    seldom = chain(CHAIN_TEXT.replace("203.0.113.2, interval: 10s", "203.0.113.2, interval: 60s"))
    lines = list(seen(since(100, "device"), every(600), 2400))
    kept = [one for one in lines if one.probe != "anchor" and (one.probe != "underlay" or (one.round - 1) % 6 == 0)]
    assert not any(one.parties for one in replay(seldom, kept))


def test_a_result_out_of_order_belongs_to_its_run() -> None:
    """Peers' results come in late: a run goes as far as its latest, and begins no earlier for a late one."""
    model = Model(CHAIN)
    dated = Dated(model)
    accused = frozenset(
        n for n in model.failing("cloud>underlay").accused if model.segment_of[n] in {"circuit", "device"}
    )
    middle = BEFORE_SECONDS + 10
    for time in (0.0, middle + AFTER_SECONDS, middle, -600.0):
        dated.add(
            Observation(time=START + time, round=1, vantage="cloud", probe="underlay", **FAIL),  # type: ignore[arg-type]
            Cell(Says.FAIL, accused, frozenset()),
        )
    dated.add(
        Observation(
            time=START + middle, round=1, vantage="cloud", probe="sync", outcome=Outcome.OK, as_of=START + middle
        ),
        SILENT_CELL,
    )
    (window,) = dated.windows()
    assert (set(window.failing), set(window.clearing)) == ({"cloud>underlay"}, {"cloud>sync"})
    dated.add(Observation(time=START + 900, round=9, vantage="cloud", probe=SELF, outcome=Outcome.UNKNOWN), SILENT_CELL)
    assert dated.windows() == (window,)
    dated.add(Observation(time=START + 901, round=9, vantage="cloud", probe=SELF, outcome=Outcome.FAILED), SILENT_CELL)
    assert dated.windows() == ()
