"""Entries to bodies and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.drift.value import Event as DriftEvent
from agent.drift.value import Move
from agent.incident.value import Event, Excess, Incident, Kind, Standing, State, Support, Transition
from agent.ledger import body, canonical, changes, dossier
from agent.ledger.entry import Entry

NAMES = st.text("abc-1>", min_size=1, max_size=4)
LISTS = st.lists(NAMES, max_size=3).map(tuple)
TIMES = st.integers(0, 4 * 10**15).map(lambda micro: micro / 1_000_000)
SHARES = st.integers(0, 10**6).map(lambda parts: parts / 1_000_000)
EXCESSES = st.sampled_from([("delay", TIMES), ("loss", SHARES)]).flatmap(
    lambda one: st.builds(Excess, what=st.just(one[0]), low=one[1], part=one[1], margin=one[1])
)
INCIDENTS = st.builds(
    Incident,
    id=NAMES,
    state=st.sampled_from(State),
    kind=st.sampled_from(Kind),
    parties=LISTS,
    candidates=LISTS,
    segments=LISTS,
    services=LISTS,
    side=st.sampled_from(["", "line"]),
    mover=NAMES,
    standing=st.none() | st.sampled_from(Standing),
    rests_on=LISTS,
    margin=st.none() | st.integers(0, 9),
    decide_with=LISTS,
    simplest=LISTS,
    support=st.builds(Support, failing=LISTS, exonerating=st.dictionaries(NAMES, LISTS, max_size=2)),
    faults=st.dictionaries(NAMES, NAMES, max_size=2),
    vantage=st.none() | NAMES,
    opened=TIMES,
    confirmed=st.none() | TIMES,
    closed=st.none() | TIMES,
    excess=st.none() | EXCESSES,
)
CHAIN = "0f" * 32


@given(incident=INCIDENTS, event=st.sampled_from(Event), at=TIMES)
def test_a_transition_survives_the_ledger(incident: Incident, event: Event, at: float) -> None:
    """Every incident can be recorded, and what is read back is the same to the microsecond."""
    transition = Transition(event=event, at=at, incident=incident)
    kind, fields = body.write(body.from_transition(transition, chain=CHAIN, vantage="v"))
    entry = body.read(canonical.decode(canonical.encode(fields)))
    assert kind == "incident"
    assert isinstance(entry, body.IncidentEntry)
    assert body.to_transition(entry) == transition


ENTRIES = [
    body.AgentStart(time=1, agent="0.1", vantage="v", key="k"),
    body.AgentStop(time=1, vantage="v", reason="SIGTERM"),
    body.ChainEntry(time=1, hash=CHAIN, effective="2027-01-15T00:00", vantage="v", details={"source": CHAIN}),
    body.Configuration(time=1, hash=CHAIN, vantage="v", result="loaded"),
    body.Gap(time=1, what="store", vantage="v", opened=1, closed=2, reason="disk full", dropped=3),
    body.Escalation(
        time=1, incident="i", vantage="v", to="msp", via="alertmanager", alertname="a", severity="page", state="firing"
    ),
    body.Reattribution(
        time=1,
        chain=CHAIN,
        vantage="v",
        evidence=(3, 9),
        incident=body.Finding(id="i", state=State.CLOSED, kind=Kind.UNDETERMINED, mover="msp", opened=1, closed=2),
    ),
    dossier.Evidence(
        time=1,
        incident="i",
        chain=CHAIN,
        vantage="v",
        part="onset",
        windows=((1, 2),),
        observations=7,
        details={"observations": CHAIN},
    ),
    dossier.Hour(
        time=1,
        vantage="v",
        opened=0,
        closed=3600,
        observations=2,
        raw=CHAIN,
        rollups=CHAIN,
        states=CHAIN,
        outcomes={"ok": 2},
        seconds={"up": 3600},
    ),
    dossier.Erasure(
        time=1, vantage="v", erased=(dossier.Erased(entry=4, name="people"),), basis="request", reason="r", party="msp"
    ),
    dossier.Hold(time=1, incident="i", vantage="v", state="held", reason="r", party="client"),
    dossier.Correction(
        time=1,
        incident="i",
        entry=CHAIN,
        chain=CHAIN,
        vantage="v",
        change=dossier.Change(
            kind="attributed",
            parties=("carrier",),
            maintenance=dossier.Window(party="msp", opened=1, closed=2, services=("erp",)),
        ),
        reason="r",
        approved=(dossier.Approval(party="client", role="contract manager", means="ssh"),),
        standing="signed",
        benefits=("msp",),
    ),
    dossier.Request(
        time=1, id="r1", vantage="v", party="client", to="incumbent", what="explain", due=9, incident="i", text="t"
    ),
    dossier.Reply(time=1, request="r1", vantage="v", outcome="none", incident="i"),
    dossier.Objection(time=1, id="o1", incident="i", vantage="v", party="carrier", text="t", due=9),
    dossier.Decision(time=1, objection="o1", incident="i", vantage="v", outcome="upheld", party="client", text="t"),
    dossier.Acknowledgement(time=1, incident="i", vantage="v", party="carrier", via="silence"),
    changes.DriftEntry(
        time=1,
        event=DriftEvent.CHANGED,
        vantage="v",
        probe="erp",
        segments=("erp-app",),
        opened=9,
        since=8,
        facts={"certificate sha256": Move(before="aa", after="bb"), "tls version": Move(after="TLSv1.3")},
    ),
    changes.ClockEntry(time=1, vantage="v", peer="w", offset=-5, error=3),
    changes.DriftApproval(time=1, vantage="v", probe="erp", party="msp", facts={"path mtu": "1400"}, means="command"),
    changes.MaintenanceEntry(
        time=1, id="m1", vantage="v", party="msp", opened=2, closed=3, agreed="client, 20 Nov", services=("erp",)
    ),
    dossier.KeyChange(time=1, vantage="v", old="a", new="b", by_old="c", by_new="d"),
]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: type(entry).__name__)
def test_every_kind_reads_back(entry: Entry) -> None:
    """What is written as a body is read as the same entry."""
    kind, fields = body.write(entry)
    assert type(entry) is body.KINDS[kind]
    assert body.read(canonical.decode(canonical.encode(fields))) == entry


def test_every_kind_has_an_example() -> None:
    """A kind that is added is tested."""
    assert set(dossier.KINDS) <= {body.write(entry)[0] for entry in ENTRIES}


def test_an_unknown_kind_is_not_an_error() -> None:
    """A later version may have written it."""
    assert body.read({"kind": "of a later version", "time": 1}) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "agent-stop", "time": 1, "vantage": "v"},
        {"kind": "agent-stop", "time": "1", "vantage": "v", "reason": "r"},
        {"kind": "chain", "time": 1, "vantage": "v", "effective": "e", "hash": "XYZ"},
        {"kind": "agent-stop", "time": 1, "vantage": "v", "reason": "r", "more": 1},
    ],
)
def test_a_misshapen_body_of_a_known_kind_is_told(fields: dict[str, object]) -> None:
    """Missing keys, other types and other keys are named."""
    with pytest.raises(ValueError, match="a body of kind"):
        body.read(fields)
