"""What a peer's answer is worth: its own vantage only, the same chain only, nothing twice."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.daemon.intake import AHEAD_SECONDS, Intake
from agent.observation import Observation, encode
from probes.kit.result import Outcome
from tests.agent.daemon.world import make_chain, make_probe

CHAIN = make_chain(make_probe("o-gw", "far app", vantage="onprem", timeout=2.0))
HEADERS = {"demarc-vantage": "onprem", "demarc-chain": CHAIN.hash}
NOW = 1_795_442_400.0


def observation(round_number: int = 7, **changes: object) -> Observation:
    """Return an observation of the peer."""
    plain = Observation(time=NOW - 1, round=round_number, vantage="onprem", probe="o-gw", outcome=Outcome.OK)
    return msgspec.structs.replace(plain, **changes)


def lines(*observations: Observation) -> bytes:
    """Return them as the API sends them."""
    return b"".join(encode(o) + b"\n" for o in observations)


def test_answer_is_taken_once() -> None:
    """The same lines again give nothing new, and asking starts far enough back for late attempts."""
    intake = Intake("onprem", CHAIN)
    assert intake.since_round == -1
    body = lines(observation(40), observation(41))
    seen, fresh = intake.answer(200, HEADERS, body, NOW)
    assert (seen.reachable, seen.same_chain, seen.last, seen.detail) == (True, True, NOW, "")
    assert [o.round for o in fresh] == [40, 41]
    assert intake.since_round == 37
    assert intake.answer(200, HEADERS, body, NOW)[1] == ()
    assert [o.round for o in intake.answer(200, HEADERS, body + lines(observation(39)), NOW)[1]] == [39]
    assert intake.since_round in (35, 37)


@pytest.mark.parametrize(
    ("strange", "taken"),
    [
        pytest.param(observation(vantage="cloud"), 0, id="speaks for us"),
        pytest.param(observation(vantage="third"), 0, id="speaks for a third vantage"),
        pytest.param(observation(time=NOW + AHEAD_SECONDS + 1), 0, id="from a time to come"),
        pytest.param(observation(time=NOW + AHEAD_SECONDS - 1), 1, id="its clock is a little ahead"),
    ],
)
def test_peer_speaks_for_itself_only(strange: Observation, taken: int) -> None:
    """Nothing is believed about another vantage or about the future, and that is told."""
    seen, fresh = Intake("onprem", CHAIN).answer(200, HEADERS, lines(observation(), strange), NOW)
    assert len(fresh) == 1 + taken
    assert seen.detail == ("" if taken else "1 of its observations could not be taken")


def test_other_chain_is_flagged_and_not_merged() -> None:
    """An agent of another chain file is reachable, and nothing of it is taken."""
    headers = {**HEADERS, "demarc-chain": "another"}
    seen, fresh = Intake("onprem", CHAIN).answer(200, headers, lines(observation()), NOW)
    assert (seen.reachable, seen.same_chain, fresh) == (True, False, ())
    assert "another chain" in seen.detail


def test_after_a_reload_everything_is_asked_again() -> None:
    """What the peer said under the former chain was about other probes."""
    intake = Intake("onprem", CHAIN)
    intake.answer(200, HEADERS, lines(observation(40)), NOW)
    intake.configure(CHAIN)
    assert intake.since_round == -1
    assert len(intake.answer(200, HEADERS, lines(observation(40)), NOW)[1]) == 1


@pytest.mark.parametrize(
    ("status", "headers", "detail"),
    [
        pytest.param(401, HEADERS, "it answers with HTTP status 401", id="no password"),
        pytest.param(200, {}, "no demarc agent", id="another server"),
        pytest.param(200, {"demarc-vantage": "third"}, "the agent there is 'third', not 'onprem'", id="wrong host"),
    ],
)
def test_wrong_answer_is_no_peer(status: int, headers: dict[str, str], detail: str) -> None:
    """What is not our peer is not reachable, and why is told."""
    seen, fresh = Intake("onprem", CHAIN).answer(status, headers, lines(observation()), NOW)
    assert (seen.reachable, seen.last, seen.detail, fresh) == (False, None, detail, ())


def test_silence_keeps_when_it_was_last_heard() -> None:
    """A peer that falls silent is shown with the time of its last answer."""
    intake = Intake("onprem", CHAIN)
    intake.answer(200, HEADERS, b"", NOW)
    seen = intake.silence("no answer within 1 s")
    assert (seen.reachable, seen.last, seen.same_chain, seen.detail) == (False, NOW, True, "no answer within 1 s")


@given(st.integers(100, 599), st.dictionaries(st.sampled_from(list(HEADERS)), st.text()), st.binary())
def test_any_answer_is_a_value(status: int, headers: dict[str, str], body: bytes) -> None:
    """Whatever a server sends, nothing is raised and nothing strange is taken."""
    seen, fresh = Intake("onprem", CHAIN).answer(status, {**HEADERS, **headers}, body, NOW)
    assert seen.vantage == "onprem"
    assert all(o.vantage == "onprem" for o in fresh)
