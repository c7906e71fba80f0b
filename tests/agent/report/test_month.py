"""The monthly report's figures, by literal cases and by what must always hold."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.availability.calendar import month
from agent.availability.fold import Span, State
from agent.availability.seconds import union
from agent.incident.value import Excess, Incident, Kind, Standing, Support
from agent.incident.value import State as Life
from agent.model import Chain
from agent.report.month import LOOKBACK_SECONDS, Given, Maintenance, Period, month_report, percentage
from agent.report.shares import shares
from agent.report.text import render
from agent.report.value import Basis, MonthReport, ServiceReport
from tests.agent.samples import CHAIN

START, STOP = month("2026-11", "Europe/Amsterdam")
PERIOD = Period(month="2026-11", start=START, stop=STOP, until=STOP)
BASIS = Basis(
    chain=CHAIN.hash, observations="o", incidents="i", checkpoint="", key="", ledger_whole=None, tzdata="2026c"
)
HOURS = 21 * 12 * 3600  # November 2026 has 21 working days


def at(text: str) -> int:
    """Return the UTC second of a local moment in November 2026, `3 09:00`."""
    day, time = text.split()
    moment = datetime.fromisoformat(f"2026-11-{int(day):02}T{time}")
    return int(moment.replace(tzinfo=ZoneInfo("Europe/Amsterdam")).timestamp())


def up_but(*spans: Span) -> tuple[Span, ...]:
    """Return a probe that was up all the time but for these spans."""
    found, here = [], START - LOOKBACK_SECONDS
    for span in spans:
        found += [Span(here, span.start, State.UP), span]
        here = span.stop
    return (*found, Span(here, STOP, State.UP))


def down(start: str, stop: str) -> Span:
    """Return an outage."""
    return Span(at(start), at(stop), State.DOWN)


LATE = Excess(what="delay", low=0.045, part=0.038, margin=0.015)


def incident(name: str, start: str, stop: str | None, *parties: str, **more: object) -> Incident:
    """Return an incident of erp, attributed to one party or to none."""
    fields: dict[str, object] = {
        "id": name,
        "state": Life.CLOSED,
        "kind": Kind.ATTRIBUTED if parties else Kind.UNDETERMINED,
        "parties": parties,
        "candidates": parties or ("msp", "incumbent"),
        "segments": ("carrier",) if parties else ("vpn",),
        "services": ("erp",),
        "mover": "msp",
        "opened": at(start) + 0.25,
        "closed": None if stop is None else at(stop) + 0.75,
    }
    return Incident(**(fields | more))  # type: ignore[arg-type]


def report_of(
    *spans: Span,
    incidents: tuple[Incident, ...] = (),
    maintenance: tuple[Maintenance, ...] = (),
    chain: Chain = CHAIN,
    period: Period = PERIOD,
) -> MonthReport:
    """Return the report of a month in which erp's probe was up but for these spans."""
    return month_report(
        Given(
            chain=chain,
            period=period,
            spans={"cloud>erp": up_but(*spans)},
            incidents=incidents,
            maintenance=maintenance,
            basis=BASIS,
        )
    )


def erp(report: MonthReport) -> ServiceReport:
    """Return the report of erp."""
    return next(service for service in report.services if service.id == "erp")


def test_a_month_without_a_cloud() -> None:
    """All service seconds up: 100 percent thrice, nothing to repair, the norm met."""
    service = erp(report_of())
    assert service.classes.up == HOURS
    assert service.classes.outside == STOP - START - HOURS
    assert (service.availability.lower, service.availability.observed, service.availability.upper) == ("100.000",) * 3
    assert (service.outages, service.outage_count, service.mttr, service.mtbf) == ((), 0, None, None)
    assert service.norm is not None
    assert service.norm.result == "met"


def test_an_outage_in_hours() -> None:
    """Down seconds, their party, and the means with n."""
    told = incident("i1", "3 09:00", "3 10:00", "carrier", standing=Standing.CORROBORATED)
    service = erp(report_of(down("3 09:00", "3 10:00"), incidents=(told,)))
    assert service.classes.down == 3600
    assert service.availability.observed == percentage(HOURS - 3600, HOURS) == "99.603"
    assert (service.outage_count, service.mttr, service.mtbf) == (1, 3600, HOURS - 3600)
    outage = service.outages[0]
    assert (outage.start, outage.stop, outage.incidents, outage.uncertainty) == (
        at("3 09:00"),
        at("3 10:00"),
        ("i1",),
        5.0,
    )
    assert [(row.party, row.gross, row.sole) for row in service.shares.parties] == [("carrier", 3600, 3600)]


def test_only_seconds_in_hours_count() -> None:
    """An outage from before seven counts from seven, one at night not at all."""
    service = erp(report_of(down("3 06:00", "3 08:00"), down("4 01:00", "4 02:00")))
    assert service.classes.down == 3600
    assert [(one.seconds, one.carried) for one in service.outages] == [(3600, False)]


def test_an_outage_that_began_last_month_is_counted_there() -> None:
    """Its seconds count here, and it is not one of this month's outages."""
    always = msgspec.structs.replace(
        CHAIN, services=CHAIN.services | {"erp": msgspec.structs.replace(CHAIN.services["erp"], hours="")}
    )
    span = Span(START - 600, START + 600, State.DOWN)
    service = erp(report_of(span, chain=always))
    assert service.classes.down == 600
    assert (service.outage_count, service.mttr, service.mtbf) == (0, None, None)
    assert [(one.seconds, one.carried) for one in service.outages] == [(600, True)]


def test_unmeasured_seconds_do_not_split_an_outage() -> None:
    """Down, not measured, down: one outage; down, up, down: two."""
    gap = Span(at("3 09:10"), at("3 09:20"), State.UNMEASURED)
    service = erp(report_of(down("3 09:00", "3 09:10"), gap, down("3 09:20", "3 09:30"), down("3 09:40", "3 09:50")))
    assert [one.seconds for one in service.outages] == [1200, 600]
    assert service.classes.unmeasured == 600
    assert service.availability.lower == percentage(HOURS - 2400, HOURS)
    assert service.availability.upper == percentage(HOURS - 1800, HOURS)
    assert service.availability.coverage == percentage(HOURS - 600, HOURS)


def test_nothing_measured_is_no_percentage() -> None:
    """Neither 0 nor 100, and the norm is not assessable."""
    service = erp(report_of(Span(START - LOOKBACK_SECONDS, STOP, State.UNMEASURED)))
    figures = service.availability
    assert (figures.lower, figures.observed, figures.upper, figures.coverage) == (None, None, None, "0.000")
    assert service.norm is not None
    assert service.norm.result == "not assessable"
    assert "no percentage known" in render(report_of(Span(START, STOP, State.UNMEASURED)), CHAIN)


def test_a_service_without_a_probe_is_unmeasured() -> None:
    """Nobody looked, and the report says so."""
    chain = msgspec.structs.replace(CHAIN, probes={})
    report = report_of(chain=chain)
    assert erp(report).classes.unmeasured == HOURS
    assert "no probe: nothing is known of this service" in render(report, chain)


def test_the_norm_is_missed_by_one_second() -> None:
    """99.5 percent of the seconds is met; one second less is not, though it would round to it."""
    allowed = HOURS * 5 // 1000
    for seconds, result in ((allowed, "met"), (allowed + 1, "missed")):
        service = erp(report_of(Span(at("3 07:00"), at("3 07:00") + seconds, State.DOWN)))
        assert service.norm is not None
        assert (service.classes.down, service.norm.result) == (seconds, result)
    assert service.availability.observed == "99.499"


def test_too_little_measured_is_not_assessable() -> None:
    """Below nine tenths no norm is judged, either way."""
    service = erp(report_of(Span(at("3 00:00"), at("6 00:00"), State.UNMEASURED)))
    assert service.norm is not None
    assert service.norm.result == "not assessable"


def test_a_service_without_a_norm() -> None:
    """Is reported without one."""
    hr = next(one for one in report_of().services if one.id == "hr")
    assert hr.norm is None
    assert hr.hours == "24/7"


def test_monitor_seconds_are_unmeasured() -> None:
    """While the vantage could not look, what it seemed to see does not count."""
    blind = incident("m", "3 09:00", "3 10:00", kind=Kind.MONITOR, segments=(), services=(), vantage="cloud")
    service = erp(report_of(down("3 09:30", "3 09:40"), incidents=(blind,)))
    assert (service.classes.down, service.classes.unmeasured) == (0, 3600)
    other = msgspec.structs.replace(blind, vantage="onprem")
    assert erp(report_of(down("3 09:30", "3 09:40"), incidents=(other,))).classes.down == 600


WINDOW = Maintenance(party="carrier", start=at("3 09:00"), stop=at("3 11:00"), agreed="by Jansen on 2026-10-20")


def test_maintenance_excuses_the_maintaining_party() -> None:
    """All seconds of the window, also those that were up; before and after stand side by side."""
    told = incident("i1", "3 09:00", "3 10:00", "carrier")
    report = report_of(down("3 09:00", "3 10:00"), incidents=(told,), maintenance=(WINDOW,))
    service = erp(report)
    assert (service.classes.maintenance, service.classes.down, service.outages) == (7200, 0, ())
    assert service.before.observed == percentage(HOURS - 3600, HOURS)
    assert service.availability.observed == "100.000"
    assert [(one.seconds, one.down) for one in service.exclusions] == [(7200, 3600)]
    text = render(report, CHAIN)
    assert "the same without exclusions" in text
    assert "agreed: by Jansen on 2026-10-20" in text


@pytest.mark.parametrize(
    "told", [incident("i1", "3 09:00", "3 10:00"), incident("i1", "3 09:00", "3 10:00", "msp", segments=())]
)
def test_maintenance_does_not_excuse_what_lies_elsewhere(told: Incident) -> None:
    """Another party's proven fault, or one that is not traced, stays down."""
    service = erp(report_of(down("3 09:00", "3 10:00"), incidents=(told,), maintenance=(WINDOW,)))
    assert (service.classes.maintenance, service.classes.down) == (3600, 3600)


def test_maintenance_of_another_service_excuses_nothing() -> None:
    """A window may name services."""
    window = msgspec.structs.replace(WINDOW, services=("hr",))
    service = erp(report_of(down("3 09:00", "3 10:00"), maintenance=(window,)))
    assert (service.classes.down, service.exclusions) == (3600, ())


def test_overlaps_appear_once_under_their_joint_name() -> None:
    """Gross counts every second of a party, sole those of it alone."""
    told = (
        incident("a", "3 09:00", "3 10:00", "carrier"),
        incident("b", "3 09:30", "3 10:30", "incumbent", segments=("erp-app",)),
        incident("c", "3 10:15", "3 10:45"),
    )
    found = erp(report_of(down("3 09:00", "3 11:00"), incidents=told)).shares
    assert [(row.party, row.gross, row.sole) for row in found.parties] == [
        ("carrier", 3600, 1800),
        ("incumbent", 3600, 900),
    ]
    assert found.joint == {"carrier+incumbent": 1800, "incumbent+undetermined": 900}
    assert (found.undetermined, found.unexplained) == (906, 894)  # the last incident with its edge of 6 s


def test_what_was_only_late_explains_no_outage() -> None:
    """A delay beside an outage is listed as one, and none of the down seconds is laid with its party."""
    late = incident("late", "3 09:00", "3 11:00", "carrier", excess=LATE)
    report = report_of(down("3 10:00", "3 10:10"), incidents=(late,))
    assert erp(report).shares.unexplained == 600
    assert erp(report).shares.parties == ()
    assert report.incidents[0].excess == "delay"
    assert "slower than usual, nothing failed; located with" in render(report, CHAIN)


def test_the_edges_of_an_incident_belong_to_it() -> None:
    """A service measured every five seconds is up a little later than the one-second probes."""
    told = incident("a", "3 09:00", "3 10:00", "carrier")
    late = Span(at("3 09:00") - 5, at("3 10:00") + 9, State.DOWN)
    found = erp(report_of(late, incidents=(told,))).shares
    assert [(row.party, row.sole) for row in found.parties] == [("carrier", 3600 + 5 + 6)]
    assert found.unexplained == 3


def test_an_incident_on_the_way_explains_though_it_names_no_service() -> None:
    """What was proven with other probes is enough; what lies elsewhere is not."""
    on_the_way = incident("a", "3 09:00", "3 10:00", "carrier", services=())
    elsewhere = incident("b", "3 09:00", "3 10:00", "microsoft", services=(), segments=("entra",))
    found = erp(report_of(down("3 09:00", "3 10:00"), incidents=(on_the_way, elsewhere))).shares
    assert [row.party for row in found.parties] == ["carrier"]


def test_incidents_are_listed_and_clipped() -> None:
    """Those that touch the month, in order, without suspicions; an open one runs on."""
    told = (
        incident("open", "29 09:00", None, "carrier", support=Support(failing=("cloud>erp", "cloud>gone"))),
        incident("early", "3 09:00", "3 10:00"),
        incident("suspected", "4 09:00", None, state=Life.SUSPECTED),
        incident("older", "1 00:00", "1 00:00", opened=START - 7200.0, closed=START - 3600.0),
        incident("across", "1 00:00", "1 01:00", opened=START - 7200.0),
        incident("later", "1 00:00", None, opened=STOP + 1.0),
    )
    rows = report_of(incidents=told).incidents
    assert [(row.id, row.seconds, row.uncertainty) for row in rows] == [
        ("across", 3600, 0.0),
        ("early", 3600, 0.0),
        ("open", STOP - at("29 09:00"), 5.0),
    ]


def test_the_text_names_all_kinds_of_findings() -> None:
    """Standing, on whose word, candidates, overlaps, carried outages; and nothing at all."""
    told = (
        incident("a", "3 09:00", "3 10:00", "carrier", standing=Standing.SINGLE_SIDED, rests_on=("msp",)),
        incident("b", "3 09:30", "3 10:30", "incumbent"),
        incident("c", "3 10:15", "3 10:45", candidates=()),
        incident("d", "5 00:00", "5 01:00", kind=Kind.MONITOR, services=(), segments=(), candidates=()),
        incident("e", "29 09:00", None),
    )
    always = msgspec.structs.replace(CHAIN, services={"erp": msgspec.structs.replace(CHAIN.services["erp"], hours="")})
    spans = (Span(START - 600, START + 600, State.DOWN), down("3 09:00", "3 11:00"), down("6 09:00", "6 09:01"))
    text = render(report_of(*spans, incidents=told, chain=always), always)
    for words in (
        "located with GlasNet (carrier), rests on the measurement of one side (Nieuwe MSP (msp))",
        "at the same time: GlasNet (carrier) and Zittende ICT (incumbent): 1,800 s",
        "not traced to one party; possible: Nieuwe MSP (msp), Zittende ICT (incumbent)",
        "our own vantage could not look",
        "not over at the end of this report",
        "(began in an earlier period, counted there)",
        "no incident recorded",
        "2026-10-31 23:50:00 +01:00 to 2026-11-01 00:10:00 +01:00",
    ):
        assert words in text
    empty = msgspec.structs.replace(CHAIN, services={})
    assert "The chain file names no service." in render(report_of(chain=empty), empty)


def test_a_month_that_is_not_over_is_counted_so_far() -> None:
    """The seconds to come are in no class, and the report says that it is provisional."""
    period = msgspec.structs.replace(PERIOD, until=at("4 00:00"))
    report = report_of(period=period)
    classes = erp(report).classes
    assert classes.up == 2 * 12 * 3600
    assert classes.outside + classes.up == at("4 00:00") - START
    assert "PROVISIONAL" in render(report, CHAIN)


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 1, "0.000"), (1, 1, "100.000"), (2, 3, "66.666"), (99_999_999, 100_000_000, "99.999"), (1, 10**6, "0.000")],
)
def test_percentages_are_truncated(part: int, whole: int, text: str) -> None:
    """Never rounded towards a norm."""
    assert percentage(part, whole) == text


INCIDENTS = st.lists(
    st.tuples(
        st.integers(-10, 110), st.none() | st.integers(-10, 110), st.none() | st.sampled_from(["msp", "carrier", "x"])
    ),
    max_size=5,
)


@given(
    pairs=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=4),
    told=INCIDENTS,
    edge=st.integers(0, 5),
)
def test_shares_add_up_to_down(
    pairs: list[tuple[int, int]], told: list[tuple[int, int | None, str | None]], edge: int
) -> None:
    """Second by second against the slow way."""
    seconds = union(pairs)
    incidents = [
        incident("i", "1 00:00", None, *([party] if party else []), opened=float(start), closed=stop)
        for start, stop, party in told
    ]
    found = shares(seconds, incidents, 100, edge)

    def over(second: int, margin: int) -> set[str]:
        return {
            party or "undetermined"
            for start, stop, party in told
            if start - margin <= second < (100 if stop is None else stop) + margin
        }

    names = [over(second, 0) or over(second, edge) for first, last in seconds for second in range(first, last)]
    for row in found.parties:
        assert row.gross == sum(row.party in one for one in names)
        assert row.sole == sum(one == {row.party} for one in names)
    for joint, number in found.joint.items():
        assert number == sum(one == set(joint.split("+")) for one in names)
    assert found.undetermined == sum(one == {"undetermined"} for one in names)
    assert found.unexplained == sum(not one for one in names)
    parts = [row.sole for row in found.parties] + [*found.joint.values(), found.undetermined, found.unexplained]
    assert sum(parts) == len(names)


STATES = st.lists(st.tuples(st.sampled_from(State), st.integers(1, 200_000)), max_size=30)


@given(states=STATES, told=INCIDENTS)
def test_what_always_holds(states: list[tuple[State, int]], told: list[tuple[int, int | None, str | None]]) -> None:
    """Classes add up to the period, shares and outages to down, the three figures stand in order."""
    here, spans = START - LOOKBACK_SECONDS, []
    for state, length in states:
        spans.append(Span(here, here + length, state))
        here += length
    incidents = tuple(
        incident(
            f"i{number}",
            "1 00:00",
            None,
            *([party] if party else []),
            opened=START + start * 20_000.0,
            closed=None if stop is None else START + stop * 20_000.0,
        )
        for number, (start, stop, party) in enumerate(told)
    )
    given_ = Given(chain=CHAIN, period=PERIOD, spans={"cloud>erp": tuple(spans)}, incidents=incidents, basis=BASIS)
    report = month_report(given_)
    assert msgspec.json.encode(report) == msgspec.json.encode(month_report(given_))
    assert render(report, CHAIN) == render(month_report(given_), CHAIN)
    for service in report.services:
        classes = service.classes
        together = classes.outside + classes.maintenance + classes.down + classes.unmeasured + classes.up
        assert together == STOP - START
        assert sum(one.seconds for one in service.outages) == classes.down
        figures = service.availability
        if figures.observed is not None:
            assert float(figures.lower or 0) <= float(figures.observed) <= float(figures.upper or 0)
