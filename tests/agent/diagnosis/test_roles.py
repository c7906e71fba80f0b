"""What each outcome accuses and clears, by design.md's table."""

import msgspec
import pytest

from agent.diagnosis.roles import NOTHING, Model, unproven_roles, verdict
from agent.model import Probe
from agent.observation import Observation
from probes.kit.result import Outcome, Stage
from probes.kit.spec import Evidence
from tests.agent.diagnosis.small import chain, flow, probe

WEB = flow("10.0.0.20", protocol="tcp", port=443, size=1500, function="GET /")
OWNERS = {"h": "a", "g": "a", "c": "b", "fw": "d", "x": "d", "dns": "a"}


def model() -> Model:
    """Return a chain with a filter, a web probe by name and two plain ones."""
    named = flow("app.example", protocol="tcp", port=443, size=1500, function="GET /")
    return Model(
        chain(
            OWNERS,
            [
                probe("web", ["h", "g", "c", "fw", "x"], to=WEB),
                probe("named", ["h", "g", "c", "fw", "x"], to=named, resolve=["g", "dns"]),
                probe("tcp", ["h", "g", "c", "fw", "x"], to=flow("10.0.0.20", protocol="tcp", port=443, function="")),
                probe("ping", ["h", "g", "c"], to=flow("10.0.0.3")),
                probe("gw", ["h", "g"], to=flow("10.0.0.1")),
                probe("state", ["h", "g", "c"], evidence=Evidence.STATE),
                probe("around", ["h", "g", "x"], back=["c"], to=flow("10.0.0.21")),
            ],
            filters=["fw"],
        )
    )


def seen(name: str, outcome: Outcome = Outcome.FAILED, **more: object) -> Observation:
    """Return an observation of probe `name`."""
    return Observation(time=0, round=1, vantage="v", probe=name, outcome=outcome, **more)  # type: ignore[arg-type]


def words(found: Model, numbers: tuple[int, ...]) -> set[str]:
    """Return roles in words."""
    return {str(found.roles[n]) for n in numbers}


SMALL = {f"{s} forwards IPv4 packets of 576 bytes" for s in ("h", "g", "c", "fw")}
LARGE = {f"{s} forwards IPv4 packets of 1500 bytes" for s in ("h", "g", "c", "fw")}
GATE = "fw lets tcp/443 from c through to 10.0.0.20"
PORT = "x answers tcp/443 at 10.0.0.20"
PAGE = "x answers tcp/443 at 10.0.0.20 (GET /)"

ACCUSED = [
    ("silence accuses the whole path", seen("web", stage=Stage.CONNECT), SMALL | {GATE, PORT}),
    (
        "a refusal accuses the responder and the filters",
        seen("web", stage=Stage.CONNECT, fault="refused"),
        {GATE, PORT},
    ),
    ("the responder's own bytes accuse it alone", seen("web", stage=Stage.ANSWER, answered=True), {PAGE}),
    ("silence after connecting accuses the path for large packets", seen("web", stage=Stage.SECURE), LARGE | {PAGE}),
    ("a name accuses nobody without resolve", seen("web", stage=Stage.RESOLVE), set()),
    (
        "a name accuses the way to the resolver and the resolver",
        seen("named", stage=Stage.RESOLVE),
        {"g forwards IPv4 packets of 576 bytes", "dns resolves app.example"},
    ),
    ("what we could not see accuses nobody", seen("web", Outcome.UNKNOWN), set()),
    (
        "a router's error leaves what lies before it alone",
        seen("web", stage=Stage.CONNECT, fault="host-unreachable", by="10.0.0.3"),
        (SMALL - {f"{s} forwards IPv4 packets of 576 bytes" for s in "hg"}) | {GATE, PORT},
    ),
    (
        "an error from a stranger is silence",
        seen("web", stage=Stage.CONNECT, fault="host-unreachable", by="192.0.2.99"),
        SMALL | {GATE, PORT},
    ),
    (
        "an error from the very address that was asked says no like a refusal",
        seen("web", stage=Stage.CONNECT, fault="host-unreachable", by="10.0.0.20"),
        {GATE, PORT},
    ),
    (
        "an error from another address of the last segment accuses its answer only",
        seen("web", stage=Stage.CONNECT, fault="host-unreachable", by="10.0.0.21"),
        {PORT},
    ),
    (
        "a router's error after connecting leaves what lies before it alone",
        seen("web", stage=Stage.SECURE, fault="too-big", by="10.0.0.3"),
        (LARGE - {f"{s} forwards IPv4 packets of 1500 bytes" for s in "hg"}) | {PAGE},
    ),
    (
        "an error from the very address after connecting is no more than silence",
        seen("web", stage=Stage.SECURE, fault="host-unreachable", by="10.0.0.20"),
        LARGE | {PAGE},
    ),
    (
        "the way back is crossed too",
        seen("around", stage=Stage.CONNECT),
        {f"{s} forwards IPv4 packets of 576 bytes" for s in "hgc"} | {"x answers icmp at 10.0.0.21"},
    ),
]


@pytest.mark.parametrize(("what", "observation", "expected"), ACCUSED, ids=[c[0] for c in ACCUSED])
def test_accuses(what: str, observation: Observation, expected: set[str]) -> None:
    """Each kind of fail accuses exactly the roles of the table."""
    found = model()
    assert words(found, found.effect(observation).accused) == expected, what


CLEARED = [
    ("a pass clears the path, every smaller packet, the filter for its flow, and the answer",
     seen("web", Outcome.OK), SMALL | LARGE | {GATE, PORT, PAGE}),
    ("degraded is a pass for reachability", seen("web", Outcome.DEGRADED), SMALL | LARGE | {GATE, PORT, PAGE}),
    ("a small pass says nothing of large packets, nor of forwarding by the one that answers",
     seen("ping", Outcome.OK), {f"{s} forwards IPv4 packets of 576 bytes" for s in "hg"}
     | {"c answers icmp at 10.0.0.3", "c answers icmp at 10.0.0.3 (echo)"}),
    ("a bare connect clears filter and port, not the page",
     seen("tcp", Outcome.OK), SMALL | {GATE, PORT}),
    ("what really crossed decides the size", seen("web", Outcome.OK, packet_bytes=400), SMALL | {GATE, PORT, PAGE}),
    ("the responder's bytes prove path and port", seen("web", stage=Stage.ANSWER, answered=True),
     SMALL | LARGE | {GATE, PORT}),
    ("late silence proves that small packets crossed", seen("web", stage=Stage.ANSWER), SMALL | {GATE, PORT}),
    ("a refusal proves the way to the first filter", seen("web", stage=Stage.CONNECT, fault="refused"),
     {f"{s} forwards IPv4 packets of 576 bytes" for s in "hgc"}),
    ("silence proves nothing", seen("web", stage=Stage.CONNECT), set()),
    ("a state proves the answer and nothing on the way", seen("state", Outcome.OK),
     {"c answers icmp at host-of-state", "c answers icmp at host-of-state (echo)"}),
    ("a state that fails proves nothing", seen("state", stage=Stage.CONNECT), set()),
    ("an error after connecting proves what the connection proved",
     seen("web", stage=Stage.SECURE, fault="too-big", by="10.0.0.3"), SMALL | {GATE, PORT}),
    ("an error proves the path to the router that sent it",
     seen("web", stage=Stage.CONNECT, fault="host-unreachable", by="10.0.0.3"),
     {f"{s} forwards IPv4 packets of 576 bytes" for s in "hg"}),
    ("an error from the asked address proves the way to the first filter",
     seen("web", stage=Stage.CONNECT, fault="host-unreachable", by="10.0.0.20"),
     {f"{s} forwards IPv4 packets of 576 bytes" for s in "hgc"}),
    ("an error from another address of the last segment proves the way to it",
     seen("web", stage=Stage.CONNECT, fault="host-unreachable", by="10.0.0.21"), SMALL),
]  # fmt: skip


@pytest.mark.parametrize(("what", "observation", "expected"), CLEARED, ids=[c[0] for c in CLEARED])
def test_clears(what: str, observation: Observation, expected: set[str]) -> None:
    """Each outcome clears exactly the roles that it proves."""
    found = model()
    numbered = {str(r) for r in found.roles}
    assert words(found, found.effect(observation).cleared) == expected & numbered, what


FILTERED_BACK = {
    "h lets tcp/443 from itself through to 10.0.0.20",
    "fw lets tcp/443 from x through to 10.0.0.20",
    "x answers tcp/443 at 10.0.0.20",
}


def test_filters_at_home_and_on_the_way_back() -> None:
    """A filter on a way back of its own, and the vantage's own, are cleared by their flow only and may refuse."""
    found = Model(
        chain(
            {"h": "a", "g": "b", "fw": "c", "x": "d"},
            [
                probe("web", ["h", "g", "x"], to=WEB, back=["x", "fw", "g", "h"]),
                probe("ping", ["h", "g", "x"], to=flow("10.0.0.20"), back=["x", "fw", "g", "h"]),
            ],
            filters=["h", "fw"],
        )
    )
    assert words(found, found.effect(seen("web", stage=Stage.CONNECT, fault="refused")).accused) == FILTERED_BACK
    assert words(found, found.passing("v>ping").cleared).isdisjoint(FILTERED_BACK)
    assert words(found, found.passing("v>web").cleared) >= FILTERED_BACK


def test_a_router_that_refuses() -> None:
    """A refusal that a router sends in its own name accuses it and what lies behind it, not the responder alone."""
    found = model()
    effect = found.effect(seen("web", stage=Stage.CONNECT, fault="refused", by="10.0.0.3"))
    before = {f"{s} forwards IPv4 packets of 576 bytes" for s in "hg"}
    assert words(found, effect.accused) == (SMALL - before) | {GATE, PORT}
    assert words(found, effect.cleared) == before


def test_ipv6_addresses_have_one_form() -> None:
    """The router that speaks is found however its address is written."""
    found = Model(
        chain(
            {"h": "a", "g": "b", "x": "c"},
            [
                probe("gw", ["h", "g"], to=flow("2001:db8:0:0::1")),
                probe("far", ["h", "g", "x"], to=flow("2001:db8::20")),
            ],
        )
    )
    for by in ("2001:db8::1", "2001:DB8::0:1", "2001:db8::1%eth0"):
        effect = found.effect(seen("far", stage=Stage.CONNECT, fault="host-unreachable", by=by))
        assert words(found, effect.cleared) == {"h forwards IPv4 packets of 576 bytes"}


def test_strangers() -> None:
    """An observation of no known probe accuses and clears nothing."""
    assert model().effect(seen("nobody")) == NOTHING


def test_every_verdict_is_told() -> None:
    """An outcome and stage have exactly one verdict."""
    kinds = {verdict(seen("p", o, stage=s)) for o in Outcome for s in (None, *Stage)}
    assert len(kinds) == 5
    assert verdict(seen("p", stage=Stage.CONNECT, fault="refused")).value == "refused"
    assert verdict(seen("p", stage=Stage.ANSWER, answered=True)).value == "answered"


def test_remains_are_bounded() -> None:
    """What is remembered of accusations is dropped when it grows beyond its bound."""
    found = model()
    found._remains = {("v", frozenset({n})): found.remains("v", frozenset()) for n in range(50_001)}
    found.remains("v", frozenset({0, 1}))
    assert len(found._remains) == 1


def test_unproven_roles() -> None:
    """A role counts as proven only when another probe's pass clears it; the vantage's own segment is left out."""
    told = {str(r) for r in unproven_roles(model().chain)}
    assert "c answers icmp at 10.0.0.3" in told
    assert "dns resolves app.example" in told
    assert not any(text.startswith("h ") for text in told)
    assert "g forwards IPv4 packets of 576 bytes" not in told


def left(failing: str, passing: str, *probes: Probe) -> set[str]:
    """Return in words what silence at one probe accuses and a pass of another does not clear."""
    found = Model(chain({"h": "a", "c": "b", "x": "d"}, probes))
    silent, good = found.effect(seen(failing, stage=Stage.CONNECT)), found.effect(seen(passing, Outcome.OK))
    return words(found, silent.accused) - words(found, good.cleared)


def test_a_good_state_clears_no_other_state() -> None:
    """Of two states read at one address, the one that passes says nothing of the one that fails."""
    path = ["h", "c", "x"]
    fresh, stale = (flow("10.0.0.9", protocol="tcp", port=9182, function=f) for f in ("fresh", "stale"))
    states = probe("p", path, to=fresh, evidence=Evidence.STATE), probe("l", path, to=stale, evidence=Evidence.STATE)
    assert "x answers tcp/9182 at 10.0.0.9 (stale)" in left("l", "p", *states)


def test_a_host_that_answers_small_echoes_need_not_answer_large_ones() -> None:
    """Silence at large echoes is not laid with the way alone because small ones are answered."""
    path = ["h", "c", "x"]
    large = msgspec.structs.replace(flow("10.0.0.9", function="echo of 1500 bytes"), connect_bytes=1500)
    accused = left("large", "small", probe("small", path, to=flow("10.0.0.9")), probe("large", path, to=large))
    assert accused == {
        "h forwards IPv4 packets of 1500 bytes",
        "c forwards IPv4 packets of 1500 bytes",
        "x answers icmp at 10.0.0.9 (echo of 1500 bytes)",
    }
