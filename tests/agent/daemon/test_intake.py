"""What a peer's answer is worth: its own vantage only, the same chain only, nothing twice."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.daemon.intake import AHEAD_SECONDS, LINE_BYTES, Intake, Question
from agent.drift.book import chain_change
from agent.keys import Signer
from agent.observation import Observation, encode
from agent.seal import Pages, Voice
from agent.snapshot import PeerNow
from probes.kit.result import Outcome
from tests.agent.daemon.world import make_chain, make_probe

CHAIN = make_chain(make_probe("o-gw", "far app", vantage="onprem", timeout=2.0))
NOW = 1_795_442_400.0
HEADERS = {"demarc-vantage": "onprem", "demarc-chain": CHAIN.hash, "demarc-time": str(int(NOW * 1e9))}
THIRD = {**HEADERS, "demarc-vantage": "third"}
KEY = Signer(name="demarc/onprem", seed=bytes(32))
KEYED = msgspec.structs.replace(
    CHAIN,
    vantages={
        name: msgspec.structs.replace(v, key=str(KEY.verifier) if name == "onprem" else "")
        for name, v in CHAIN.vantages.items()
    },
)
Taken = tuple[PeerNow, tuple[Observation, ...]]


def observation(round_number: int = 7, **changes: object) -> Observation:
    """Return an observation of the peer."""
    plain = Observation(time=NOW - 1, round=round_number, vantage="onprem", probe="o-gw", outcome=Outcome.OK)
    return msgspec.structs.replace(plain, **changes)


def lines(*observations: Observation) -> bytes:
    """Return them as the API sends them."""
    return b"".join(encode(o) + b"\n" for o in observations)


def asked(intake: Intake, body: bytes, headers: dict[str, str] = HEADERS, status: int = 200) -> Taken:
    """Return what an answer of `body` is worth."""
    return intake.answer(intake.question(), status, headers, body, now=NOW, took=0.2)


def test_answer_is_taken_once() -> None:
    """The same lines again give nothing new, and asking starts far enough back for late attempts."""
    intake = Intake("onprem", CHAIN)
    assert intake.question().since_round == -1
    body = lines(observation(40), observation(41))
    seen, fresh = asked(intake, body)
    assert (seen.reachable, seen.same_chain, seen.last, seen.detail) == (True, True, NOW, "")
    assert [o.round for o in fresh] == [40, 41]
    assert intake.question().since_round == 37
    assert asked(intake, body)[1] == ()
    assert [o.round for o in asked(intake, body + lines(observation(39)))[1]] == [39]
    assert intake.question().since_round in (35, 37)


@pytest.mark.parametrize(
    ("strange", "taken"),
    [
        pytest.param(observation(vantage="cloud"), 0, id="speaks for us"),
        pytest.param(observation(vantage="third"), 0, id="speaks for a third vantage"),
        pytest.param(observation(time=NOW + AHEAD_SECONDS + 1), 0, id="from a time to come"),
        pytest.param(observation(time=NOW + AHEAD_SECONDS - 1), 1, id="its clock is a little ahead"),
        pytest.param(observation(time=-1.0), 0, id="from before all time"),
        pytest.param(observation(probe="x"), 0, id="of a probe that the chain has not"),
        pytest.param(observation(probe="self"), 1, id="of itself"),
        pytest.param(observation(round_number=2**63), 0, id="a round that no table holds"),
        pytest.param(observation(seconds=1e300), 0, id="a duration that no table holds"),
        pytest.param(observation(phases={"connect": -1.0}), 0, id="a phase of less than no time"),
        pytest.param(observation(detail="x" * LINE_BYTES), 0, id="a line without end"),
    ],
)
def test_peer_speaks_for_itself_only(strange: Observation, taken: int) -> None:
    """Nothing is believed about another vantage or about the future, and that is told."""
    seen, fresh = asked(Intake("onprem", CHAIN), lines(observation(), strange))
    assert len(fresh) == 1 + taken
    assert seen.detail == ("" if taken else "1 of its observations could not be taken")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'{"vantage":"\xff"}\n', id="not UTF-8"),
        pytest.param(b'{"x":' + b"[" * 2000 + b"\n", id="nested without end"),
        pytest.param(b"{\n", id="not JSON"),
    ],
)
def test_a_line_that_is_none_costs_only_itself(line: bytes) -> None:
    """What stands beside it is taken."""
    seen, fresh = asked(Intake("onprem", CHAIN), lines(observation(1)) + line + lines(observation(2)))
    assert [one.round for one in fresh] == [1, 2]
    assert seen.detail == "1 of its observations could not be taken"


def test_other_chain_is_flagged_and_not_merged() -> None:
    """An agent of another chain file is reachable, and nothing of it is taken."""
    headers = {**HEADERS, "demarc-chain": "another"}
    seen, fresh = asked(Intake("onprem", CHAIN), lines(observation()), headers)
    assert (seen.reachable, seen.same_chain, fresh) == (True, False, ())
    assert "another chain" in seen.detail


def test_after_a_reload_everything_is_asked_again() -> None:
    """What the peer said under the former chain was about other probes."""
    intake = Intake("onprem", CHAIN)
    asked(intake, lines(observation(40)))
    intake.configure(CHAIN)
    assert intake.question().since_round == -1
    assert len(asked(intake, lines(observation(40)))[1]) == 1


@pytest.mark.parametrize(
    ("status", "headers", "detail"),
    [
        pytest.param(401, HEADERS, "it answers with HTTP status 401", id="no password"),
        pytest.param(200, {}, "no demarc agent", id="another server"),
        pytest.param(200, {**HEADERS, "demarc-time": "soon"}, "no demarc agent", id="no time"),
        pytest.param(200, THIRD, "the agent there is 'third', not 'onprem'", id="wrong host"),
    ],
)
def test_wrong_answer_is_no_peer(status: int, headers: dict[str, str], detail: str) -> None:
    """What is not our peer is not reachable, and why is told."""
    seen, fresh = asked(Intake("onprem", CHAIN), lines(observation()), headers, status)
    assert (seen.reachable, seen.last, seen.detail, fresh) == (False, None, detail, ())


def test_silence_keeps_when_it_was_last_heard() -> None:
    """A peer that falls silent is shown with the time of its last answer."""
    intake = Intake("onprem", CHAIN)
    asked(intake, b"")
    seen = intake.silence("no answer within 1 s")
    assert (seen.reachable, seen.last, seen.same_chain, seen.detail) == (False, NOW, True, "no answer within 1 s")


@pytest.mark.parametrize(
    ("ahead", "merged"),
    [(0.0, True), (1.09, True), (-1.09, True), (1.2, False), (-1.2, False)],
    ids=["in step", "within the guard band", "behind within it", "ahead", "behind"],
)
def test_a_clock_beyond_the_guard_band_is_not_merged(ahead: float, merged: bool) -> None:
    """Beyond `confirm.skew` and what the answer's way can explain, two moments may not be taken for one."""
    headers = {**HEADERS, "demarc-time": str(round((NOW - 0.1 + ahead) * 1e9))}
    seen, fresh = asked(Intake("onprem", CHAIN), lines(observation()), headers)
    assert seen.reachable
    assert seen.clock_offset == pytest.approx(ahead, abs=1e-3)
    assert seen.clock_error == 0.1
    assert (bool(fresh), seen.detail == "") == (merged, merged)


def spoken(question: Question, body: bytes, signer: Signer = KEY, chain: str = KEYED.hash) -> dict[str, str]:
    """Return the header fields of an agent that signs."""
    voice = Voice(vantage="onprem", chain=chain, time=NOW, pages=Pages(via=("x",), alerts=(("msp", ("a",)),)))
    voice = msgspec.structs.replace(voice, signer=signer)
    return voice.headers(body, nonce=question.nonce, since_round=question.since_round)


def test_a_signed_answer_is_taken() -> None:
    """With its key in the chain file, a peer's signed answer counts, and what it pages is known."""
    intake = Intake("onprem", KEYED)
    question, body = intake.question(), lines(observation())
    seen, fresh = intake.answer(question, 200, spoken(question, body), body, now=NOW, took=0.1)
    assert (seen.signed, seen.detail, len(fresh)) == (True, "", 1)
    assert intake.pages.alerts == (("msp", ("a",)),)
    assert not asked(Intake("onprem", CHAIN), body)[0].signed


def test_whatever_is_not_signed_as_it_came_is_refused() -> None:
    """A changed byte, field or key, an answer to another question, or none at all: nothing of it is taken."""
    intake = Intake("onprem", KEYED)
    question, body = intake.question(), lines(observation())
    good, other = spoken(question, body), Signer(name="demarc/onprem", seed=b"1" * 32)
    later = msgspec.structs.replace(question, since_round=5)
    cases = {
        "unsigned": ({k: v for k, v in good.items() if k != "demarc-signature"}, body),
        "no base64": ({**good, "demarc-signature": "~"}, body),
        "another key": (spoken(question, body, other), body),
        "another body": (good, body + body),
        "another time": ({**good, "demarc-time": good["demarc-time"][:-1] + "7"}, body),
        "other pages": ({**good, "demarc-pages": "{}"}, body),
        "another chain": ({**good, "demarc-chain": "0" * 64}, body),
        "replayed": (spoken(intake.question(), body), body),
        "other rounds": (spoken(later, body), body),
    }
    for name, (headers, sent) in cases.items():
        seen, fresh = intake.answer(question, 200, headers, sent, now=NOW, took=0.1)
        assert (name, fresh, seen.reachable, seen.signed) == (name, (), False, False)
        assert seen.detail == "its answer is not signed with its key in the chain file"


@given(st.integers(100, 599), st.dictionaries(st.sampled_from(list(HEADERS)), st.text()), st.binary())
def test_any_answer_is_a_value(status: int, headers: dict[str, str], body: bytes) -> None:
    """Whatever a server sends, nothing is raised and nothing strange is taken."""
    seen, fresh = asked(Intake("onprem", CHAIN), body, {**HEADERS, **headers}, status)
    assert seen.vantage == "onprem"
    assert all(o.vantage == "onprem" for o in fresh)


CHANGE = chain_change("1", "2", vantage="onprem", at=NOW - 5.0)


@pytest.mark.parametrize(
    ("key", "nonce", "taken"),
    [
        pytest.param(KEY, None, True, id="signed"),
        pytest.param(None, None, False, id="unsigned"),
        pytest.param(KEY, "0" * 32, False, id="an old answer"),
    ],
)
def test_changes_are_its_own_word(key: Signer | None, nonce: str | None, taken: bool) -> None:
    """Where the chain file has its key, only what it signed for this question is taken."""
    intake = Intake("onprem", KEYED)
    question = intake.question()
    body = msgspec.json.encode([CHANGE])
    voice = Voice(vantage="onprem", chain=KEYED.hash, time=NOW, signer=key)
    headers = voice.headers(body, nonce=nonce or question.nonce, since_round=-1)
    assert intake.changes(question, 200, headers, body, now=NOW) == ((CHANGE,) if taken else ())
    assert intake.changes(question, 404, headers, body, now=NOW) == ()
    assert intake.changes(question, 200, {}, body, now=NOW) == ()
