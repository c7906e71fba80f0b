"""Which alerts fire and end: named cases, and what must hold after any history."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.alerts.plan import End, Ended, Key, Severity, Work, addressed, open_hours, pages, plan
from agent.incident.value import Incident, State
from agent.model import Page, Service
from tests.agent.samples import CARRIER, CHAIN, LAST_MILE, NOW, VPN

# 2026-11-23 14:03:05 UTC is a Monday, 15:03 in Amsterdam.
NIGHT = NOW + 9 * 3600
AT = NOW - 86


def case(incident: Incident = CARRIER, **more: object) -> dict[str, Incident]:
    """Return one open incident, by id."""
    return {incident.id: msgspec.structs.replace(incident, **more)}


def key(to: str, severity: str = "critical", incident: Incident = CARRIER) -> Key:
    """Return the labels of an alert."""
    return Key(incident=incident.id, to=to, severity=Severity(severity))


def service(**more: object) -> Service:
    """Return the service erp with other paging."""
    hours = str(more.pop("hours", "Mo-Fr 07:00-19:00"))
    return Service(id="erp", name="ERP", hours=hours, page=Page(**more))  # type: ignore[arg-type]  # a table of fields


@pytest.mark.parametrize(
    ("incident", "to"),
    [
        (CARRIER, ("msp", "carrier")),
        (VPN, ("msp",)),
        (msgspec.structs.replace(CARRIER, mover="nobody-we-know"), ("msp",)),
    ],
    ids=["owner and director", "the director has the move", "an unknown mover goes to the director"],
)
def test_addressed(incident: Incident, to: tuple[str, ...]) -> None:
    """The director always, the mover where that is another, nobody twice and never nobody."""
    assert addressed(incident, CHAIN) == to


@pytest.mark.parametrize(
    ("paging", "at", "due"),
    [
        (service(), NOW, True),
        (service(when="hours"), NOW, True),
        (service(when="hours"), NIGHT, False),
        (service(when="hours", hours=""), NIGHT, True),
        (service(after=120.0), CARRIER.opened + 119, False),
        (service(after=120.0), CARRIER.opened + 120, True),
        (service(when="hours", after=120.0), NIGHT, False),
    ],
)
def test_pages(paging: Service, at: float, due: bool) -> None:
    """A service pages after its delay, and inside its hours where it says so."""
    chain = msgspec.structs.replace(CHAIN, services={"erp": paging})
    assert pages(CARRIER, chain, at) is due


def test_without_a_service_nothing_pages() -> None:
    """A fault that no service feels is a warning."""
    assert not pages(msgspec.structs.replace(CARRIER, services=()), CHAIN, NOW)


@pytest.mark.parametrize(
    ("at", "open_"),
    [
        (1795413599.0, False),
        (1795413600.0, True),  # Monday 2026-11-23 07:00 in Amsterdam, 06:00 UTC
        (1795456799.0, True),
        (1795456800.0, False),
        (1795413600.0 + 5 * 86400, False),
    ],
)
def test_open_hours_are_local(at: float, open_: bool) -> None:
    """Hours are read in the chain's time zone, the end exclusive, and not on other days."""
    assert open_hours(service(), "Europe/Amsterdam", at) is open_


def test_confirmation_fires_for_director_and_mover() -> None:
    """An attributed incident gives two alerts, an undetermined one that the director moves one."""
    assert plan(CHAIN, case(), {}, {}, AT).firing == {key("msp"): AT, key("carrier"): AT}
    assert plan(CHAIN, case(VPN), {}, {}, AT).firing == {key("msp", incident=VPN): AT}


def test_a_reassignment_is_no_recovery() -> None:
    """The former mover's alert ends as reassigned, the director's goes on, the new mover's begins."""
    before = {key("msp"): AT, key("carrier"): AT}
    after = plan(CHAIN, case(mover="incumbent", parties=("incumbent",)), before, {}, NOW)
    assert after.firing == {key("msp"): AT, key("incumbent"): NOW}
    assert [(e.key, e.starts, e.ends, e.reason) for e in after.ended] == [(key("carrier"), AT, NOW, End.REASSIGNED)]


def test_only_gone_incidents_recover() -> None:
    """A closed incident ends every alert of its own, with the reason given, and no other's."""
    before = {key("msp"): AT, key("carrier"): AT, key("msp", incident=VPN): AT}
    after = plan(CHAIN, case(VPN), before, {CARRIER.id: (End.RECOVERED, CARRIER)}, NOW)
    assert after.firing == {key("msp", incident=VPN): AT}
    assert {(e.key, e.reason) for e in after.ended} == {(key("msp"), End.RECOVERED), (key("carrier"), End.RECOVERED)}


def test_labels_stay_when_the_incident_changes() -> None:
    """Kind, segments, services and hours change; what fires keeps its labels and its beginning."""
    before = plan(CHAIN, case(services=()), {}, {}, AT).firing
    assert set(before) == {key("msp", "warning"), key("carrier", "warning")}
    after = plan(CHAIN, case(services=(), segments=("vpn",), state=State.RECOVERING), before, {}, NIGHT)
    assert (after.firing, after.ended) == (before, ())


def test_what_is_left_to_another_agent_begins_nothing_and_ends_nothing() -> None:
    """While another agent pages a party, its alert does not begin here; one that fires already goes on."""

    def waits(_: Incident, to: str) -> bool:
        return to == "carrier"

    assert plan(CHAIN, case(), {}, {}, AT, waits=waits).firing == {key("msp"): AT}
    before = {key("msp"): AT, key("carrier"): AT}
    assert plan(CHAIN, case(), before, {}, NOW, waits=waits).firing == before


def test_a_later_page_comes_beside_the_warning() -> None:
    """When a page becomes due its critical alert begins, and the warning goes on unchanged."""
    chain = msgspec.structs.replace(CHAIN, services={"erp": service(after=120.0)})
    first = plan(chain, case(), {}, {}, AT)
    assert set(first.firing) == {key("msp", "warning"), key("carrier", "warning")}
    later = plan(chain, case(), first.firing, {}, CARRIER.opened + 120)
    assert later.ended == ()
    assert set(later.firing) == set(first.firing) | {key("msp"), key("carrier")}


def test_a_page_outlives_the_hours_and_reaches_a_new_mover() -> None:
    """What began to page pages on after hours, also for the party that it is handed to."""
    chain = msgspec.structs.replace(CHAIN, services={"erp": service(when="hours")})
    first = plan(chain, case(), {}, {}, NOW)
    later = plan(chain, case(mover="incumbent"), first.firing, {}, NIGHT)
    assert set(later.firing) == {key("msp"), key("incumbent")}


WORK = Work(party="carrier", opened=CARRIER.opened, closed=NOW + 3600)
OF_HR = msgspec.structs.replace(WORK, services=("hr",))
WORKS: dict[str, tuple[Work, bool]] = {
    "began in the work": (WORK, True),
    "began before it": (msgspec.structs.replace(WORK, opened=CARRIER.opened + 0.001), False),
    "the work should be over": (msgspec.structs.replace(WORK, closed=AT), False),
    "work of another": (msgspec.structs.replace(WORK, party="incumbent"), False),
    "work on all services that it hits": (msgspec.structs.replace(WORK, services=("erp", "hr", "mail")), True),
    "work on one of the services that it hits": (OF_HR, False),
}


@pytest.mark.parametrize("name", WORKS)
def test_who_announced_the_work_is_warned_and_not_paged(name: str) -> None:
    """Only whose announced work explains the incident is not paged; the director is."""
    work, explains = WORKS[name]
    carrier = key("carrier", "warning" if explains else "critical")
    assert plan(CHAIN, case(), {}, {}, AT, works=(work,)).firing == {key("msp"): AT, carrier: AT}


def test_work_of_the_director_pages_it_no_more_than_others() -> None:
    """A director that works on its own segment is warned too."""
    own = msgspec.structs.replace(WORK, party="msp")
    after = plan(CHAIN, case(mover="msp", parties=("msp",)), {}, {}, AT, works=(own,))
    assert after.firing == {key("msp", "warning"): AT}


def test_what_no_party_is_proven_to_have_caused_pages_as_ever() -> None:
    """Work explains nothing that is undetermined."""
    own = msgspec.structs.replace(WORK, party="msp", opened=0.0)
    assert plan(CHAIN, case(VPN), {}, {}, AT, works=(own,)).firing == {key("msp", incident=VPN): AT}


def test_when_the_work_should_be_over_the_page_comes() -> None:
    """The critical alert begins beside the warning as soon as the work's time is up; what pages pages on."""
    first = plan(CHAIN, case(), {}, {}, AT, works=(WORK,)).firing
    assert plan(CHAIN, case(), first, {}, WORK.closed - 1, works=(WORK,)).firing == first
    later = plan(CHAIN, case(), first, {}, WORK.closed, works=(WORK,)).firing
    assert later == first | {key("carrier"): WORK.closed}
    assert plan(CHAIN, case(), later, {}, WORK.closed, works=(WORK,)).firing == later


POOL = (CARRIER, VPN, LAST_MILE)
MOVERS = ("msp", "carrier", "incumbent", "client", "elsewhere")
STEPS = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(range(len(POOL))), st.sampled_from(MOVERS)),
        st.booleans(),
        st.floats(min_value=0, max_value=4 * 3600),
    ),
    max_size=25,
)


@given(STEPS)
def test_any_history(steps: list[tuple[dict[int, str], bool, float]]) -> None:
    """The director's alert fires throughout, every alert ends exactly once, recovery only at the close."""
    now, firing, known = NOW, dict[Key, float](), dict[str, Incident]()
    begun: list[tuple[Key, float]] = []
    ends: list[Ended] = []
    for movers, services, wait in [*steps, ({}, True, 1.0)]:
        now += wait + 0.001
        replaced = {
            POOL[i].id: msgspec.structs.replace(POOL[i], mover=mover, services=("erp",) if services else ())
            for i, mover in movers.items()
        }
        gone = {k: (End.RECOVERED, v) for k, v in known.items() if k not in replaced}
        after = plan(CHAIN, replaced, firing, gone, now)
        begun += [(k, starts) for k, starts in after.firing.items() if k not in firing]
        ends += after.ended
        for incident in replaced:
            assert any(k.incident == incident and k.to == CHAIN.director for k in after.firing)
        assert {k: v for k, v in firing.items() if k in after.firing} == {
            k: v for k, v in after.firing.items() if k in firing
        }
        assert all((e.reason is End.RECOVERED) is (e.key.incident not in replaced) for e in after.ended)
        assert not (set(after.firing) & {e.key for e in after.ended})
        firing, known = after.firing, replaced
    assert not firing
    assert sorted((repr(k), s) for k, s in begun) == sorted((repr(e.key), e.starts) for e in ends)
    assert len(set(begun)) == len(begun)
