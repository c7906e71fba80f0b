"""Several faults one after the other: each party is named for its own time, and one fault is one incident."""

import pytest

from agent.diagnosis.finding import Finding, Kind
from agent.diagnosis.roles import Model
from agent.incident.cause import Onset, may_be, onset
from agent.incident.memory import Memory, Track
from agent.incident.value import Incident, State
from agent.replay import replay
from probes.kit.result import Outcome
from tests.agent.diagnosis.small import chain, probe
from tests.agent.diagnosis.world import CLOUD, ONPREM, START, lab_chain, observation, record

VPN = dict.fromkeys(("anchor", "erp", "hr", "tunnel"), "s")
CUT = dict.fromkeys(("carrier-edge", "underlay", "anchor", "erp", "hr", "tunnel", "o-underlay"), "s")
GATEWAY = {**CUT, **dict.fromkeys(("gw", "gw-outer", "saas"), "s")}
APP = {"erp": "r"}


def lives(*situations: tuple[int, dict[str, str]]) -> list[tuple[str, tuple[str, ...], int, int | None]]:
    """Return kind, segments, and the whole seconds of opening and closing of every incident."""
    chain_ = lab_chain()
    found = replay(chain_, record(chain_, [(6, {}), *situations, (20, {})]))
    return [(i.kind.value, i.segments, int(i.opened - START), seconds(i)) for i in found]


def seconds(incident: Incident) -> int | None:
    """Return the second of the end, from the start of the record."""
    return None if incident.closed is None else int(incident.closed - START)


CASES = [
    (
        "a cut during a tunnel fault is not blamed for the time before it",
        [(40, VPN), (20, CUT)],
        [("undetermined", ("vpn",), 6, 46), ("attributed", ("carrier",), 46, 66)],
    ),
    (
        "a cut ends although the tunnel is still down",
        [(20, VPN), (20, CUT), (20, VPN)],
        [("undetermined", ("vpn",), 6, 66), ("attributed", ("carrier",), 26, 46)],
    ),
    (
        "what a cut hid comes to light when it ends",
        [(20, CUT), (30, VPN)],
        [("attributed", ("carrier",), 6, 26), ("undetermined", ("vpn",), 26, 56)],
    ),
    (
        "an application that was down behind the cut is counted from when it is seen",
        [(20, CUT), (30, APP)],
        [("attributed", ("carrier",), 6, 26), ("attributed", ("onprem-fw", "erp-app"), 26, 56)],
    ),
    (
        "a cut during an application fault ends by itself and leaves no ghost",
        [(30, APP), (30, CUT), (30, APP)],
        [("attributed", ("onprem-fw", "erp-app"), 6, 96), ("attributed", ("carrier",), 36, 66)],
    ),
    (
        "an application whose only probe fails again behind a cut has recovered before it",
        [(8, APP), (3, {}), (12, CUT)],
        [("attributed", ("onprem-fw", "erp-app"), 6, 14), ("attributed", ("carrier",), 17, 29)],
    ),
    (
        "a gateway that dies during a cut is not blamed for the cut",
        [(20, CUT), (20, GATEWAY)],
        [("attributed", ("carrier",), 6, 26), ("attributed", ("cloud-gw",), 26, 46)],
    ),
]


CASES += [
    (
        "an application that was hidden by a cut and fails again later is two incidents",
        [(10, APP), (20, CUT), (4, {}), (10, APP)],
        [
            ("attributed", ("onprem-fw", "erp-app"), 6, 16),
            ("attributed", ("carrier",), 16, 36),
            ("attributed", ("onprem-fw", "erp-app"), 40, 50),
        ],
    ),
]
LAST_MILE = {k: v for k, v in CUT.items() if k != "carrier-edge"}
HOLE = {"erp": "t", "hr": "t"}
WIDE = ("undetermined", ("carrier", "onprem-gw", "vpn", "onprem-fw", "erp-app", "hr-app"))

# Back to back, seen from the cloud alone: no probe of the first fault passes before the second one.
ALONE = [
    (
        "an application that refuses at once after a hole for large packets is not named for the hole",
        [(20, HOLE), (20, {"erp": "r"})],
        [("undetermined", 6, 26, ()), ("attributed", 26, 46, ("incumbent",))],
    ),
    (
        "an application whose errors are seen when a cut ends is not named for the cut",
        [(20, LAST_MILE), (20, {"erp": "a"})],
        [("undetermined", 6, 26, ()), ("attributed", 26, 46, ("incumbent",))],
    ),
    (
        "a carrier whose near cable is mended is not named for what still fails",
        [(20, CUT), (20, LAST_MILE)],
        [("attributed", 6, 26, ("carrier",)), ("undetermined", 26, 46, ())],
    ),
    (
        "a last mile cut during a tunnel fault is told, for its own time",
        [(20, VPN), (20, LAST_MILE), (20, VPN)],
        [("undetermined", 6, 66, ()), ("undetermined", 26, 46, ())],
    ),
    (
        "a near cut after a far one is the carrier's from its own first second",
        [(20, LAST_MILE), (20, CUT)],
        [("undetermined", 6, 26, ()), ("attributed", 26, 46, ("carrier",))],
    ),
]


@pytest.mark.parametrize(("what", "situations", "expected"), ALONE, ids=[c[0] for c in ALONE])
def test_back_to_back(
    what: str,
    situations: list[tuple[int, dict[str, str]]],
    expected: list[tuple[str, int, int, tuple[str, ...]]],
) -> None:
    """Faults that follow each other without a pass between are told apart, each for its own time."""
    chain_ = lab_chain()
    found = replay(chain_, record(chain_, [(6, {}), *situations, (20, {})], ["cloud"]))
    assert [(i.kind.value, int(i.opened - START), seconds(i), i.parties) for i in found] == expected, what


@pytest.mark.parametrize(("what", "situations", "expected"), CASES, ids=[c[0] for c in CASES])
def test_each_for_its_own_time(
    what: str,
    situations: list[tuple[int, dict[str, str]]],
    expected: list[tuple[str, tuple[str, ...], int, int | None]],
) -> None:
    """An incident opens with the first observation of its own cause and closes with the first good one."""
    assert lives(*situations) == expected, what


def test_an_application_does_not_inherit_what_it_cannot_explain() -> None:
    """A probe that passes again and never crossed the proven segment shows that the old incident was another."""
    made = chain(
        {"h": "a", "c": "b", "k": "e", "x": "d", "w": "d"},
        [probe("near", ["h", "c", "k"]), probe("far", ["h", "c", "k", "x"]), probe("local", ["w", "x"], vantage="w")],
        vantages={"v": ("h", "a"), "w": ("w", "d")},
    )
    both, app = {"near": "s", "far": "s"}, {"far": "s", "local": "s"}
    found = replay(made, record(made, [(6, {}), (10, both), (20, app), (20, {})], ["v", "w"]))
    (named,) = [i for i in found if i.parties]
    assert (named.parties, int(named.opened - START)) == (("d",), 16)


def test_a_blind_round_begins_nothing() -> None:
    """What failed while the self-check failed is unknown: the disturbance opens after it, whichever came first."""
    made = chain({"h": "a", "g": "b"}, [probe("p", ["h", "g"])])
    for order in (("p", "self"), ("self", "p")):
        lines = [
            observation(name, "v", "." if n < 5 or n >= 25 or (name == "self" and n >= 15) else "s", START + n, n)
            for n in range(45)
            for name in order
        ]
        found = replay(made, lines)
        assert [(i.kind, i.opened - START, i.closed) for i in found] == [
            (Kind.MONITOR, 5.0, START + 15),
            (Kind.ATTRIBUTED, 15.0, START + 25),
        ]


@pytest.mark.parametrize("vantages", [["cloud"], ["cloud", "onprem"]])
def test_a_state_that_lags_is_no_second_cause(vantages: list[str]) -> None:
    """A tunnel that counts as established for some seconds more is explained by the cut that took it."""
    chain_ = lab_chain()
    first = {**CUT, "tunnel": "."}
    (found,) = replay(chain_, record(chain_, [(6, {}), (5, first), (12, CUT), (20, {})], vantages))
    assert (found.parties, int(found.opened - START)) == (("carrier",), 6)
    assert "cloud>tunnel" in found.faults


UNSEEN = dict.fromkeys((*CLOUD, *ONPREM), "u")
SYMPTOM = {**UNSEEN, "tunnel": "s"}
PROOF = {**UNSEEN, **dict.fromkeys(("gw", "gw-outer", "saas"), "."), "carrier-edge": "s"}
APART = {"the proof first": [(6, PROOF), (6, SYMPTOM)], "the proof last": [(6, SYMPTOM), (6, PROOF)]}


@pytest.mark.parametrize("order", APART)
def test_a_proof_in_other_rounds_than_what_it_explains(order: str) -> None:
    """A host that stalls sees one cause in pieces: it is one incident, whichever piece comes first."""
    chain_ = lab_chain()
    (found,) = replay(chain_, record(chain_, [(6, {}), *APART[order], (20, {})]))
    assert found.kind is Kind.ATTRIBUTED
    assert set(found.faults) == {"cloud>tunnel", "cloud>carrier-edge"}
    assert int(found.opened - START) == 6


@pytest.mark.parametrize("vantages", [["cloud"], ["cloud", "onprem"]])
def test_parts_of_what_is_known_already(vantages: list[str]) -> None:
    """A host that stalls during a disturbance sees parts of it by turns: what nobody could look at has not passed."""
    chain_ = lab_chain()
    blind = dict.fromkeys(VPN, "u")
    parts = [(10, {**blind, name: fault}) for name, fault in VPN.items()]
    (found,) = replay(chain_, record(chain_, [(6, {}), (10, VPN), *parts, (20, {})], vantages))
    assert set(found.faults) == {f"cloud>{name}" for name in VPN}
    assert (int(found.opened - START), seconds(found)) == (6, 56)


def test_what_passed_while_the_proven_cause_was_there() -> None:
    """A tunnel that passed during the carrier's disturbance and fails later by what nobody knows is told apart."""
    chain_ = lab_chain()
    passing = {**PROOF, **dict.fromkeys(("anchor", "erp", "hr", "tunnel"), ".")}
    later = {**UNSEEN, **dict.fromkeys(("erp", "hr"), "t")}
    found = replay(chain_, record(chain_, [(6, {}), (8, passing), (8, later), (20, {})]))
    assert [(i.kind.value, set(i.faults)) for i in found] == [
        ("attributed", {"cloud>carrier-edge"}),
        ("undetermined", {"cloud>erp", "cloud>hr"}),
    ]


def test_seconds_in_which_nobody_could_look_prolong_no_attribution() -> None:
    """A party is named until its segment was first seen to work, although the ten good seconds began anew."""
    chain_ = lab_chain()
    situations = [(6, {}), (10, CUT), (3, {}), (1, dict.fromkeys(CLOUD, "u")), (20, {})]
    (found,) = replay(chain_, record(chain_, situations, ["cloud"]))
    assert (found.parties, seconds(found)) == (("carrier",), 16)


def test_onset_without_tracks() -> None:
    """A finding none of whose probes fails now has no first observation; without a past pass it has no bound."""
    finding = Finding(kind=Kind.UNDETERMINED, failing=("v>p", "v>q"), proving=("v>p",))
    model = Model(chain({"h": "a", "g": "b"}, [probe("p", ["h", "g"])]))
    assert onset(finding, Memory(model, {}, {}), {}, frozenset()).opened is None
    memory = Memory(model, {"v>p": Track(time=9.0, outcome=Outcome.FAILED, bad_since=5.0)}, {})
    assert onset(finding, memory, {}, frozenset()) == Onset(5.0, float("-inf"))
    assert onset(finding, memory, {"v>p": 7.0}, frozenset({"v>p"})).opened == 7.0


def test_a_probe_that_the_finding_cannot_explain() -> None:
    """A probe of the incident that passes by now and never met the finding's segments: another cause."""
    model = Model(chain({"h": "a", "c": "b", "x": "d"}, [probe("near", ["h", "c"]), probe("far", ["h", "c", "x"])]))
    roles = model.accusable("v>far") - model.accusable("v>near")
    finding = Finding(
        kind=Kind.ATTRIBUTED, segments=("x",), failing=("v>far",), proving=("v>far",), roles=frozenset(roles)
    )
    incident = Incident(
        id="1",
        state=State.CONFIRMED,
        kind=Kind.UNDETERMINED,
        segments=("c", "x"),
        mover="a",
        opened=5.0,
        faults={"v>near": "connect/timeout", "v>far": "connect/timeout"},
    )
    memory = Memory(model, {}, {})
    assert not may_be(incident, None, finding, Onset(5.0, 4.0, frozenset({"v>far"})), memory)
    assert may_be(incident, None, finding, Onset(5.0, 4.0, frozenset({"v>far", "v>near"})), memory)
