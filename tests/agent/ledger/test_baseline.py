"""When a baseline may be fixed, and what becomes of it."""

from typing import Any

import msgspec
import pytest

from agent.ledger import body
from agent.ledger.baseline import Baseline, Figures, newest
from agent.ledger.correction import Refused
from agent.ledger.dossier import Hold
from agent.ledger.drafting import draft
from agent.ledger.settled import check_window
from agent.ledger.submission import Fix, read_submission
from tests.agent.ledger.test_submission import GROUND

DAY = 86_400 * 10**9
BEGAN = 1_000 * DAY
NOW = BEGAN + 100 * DAY
KEY = next(iter(GROUND.chain.probes.values())).key
CASES = msgspec.structs.replace(GROUND.cases, began=BEGAN)
SETTLED = msgspec.structs.replace(GROUND, cases=CASES, now=NOW)
ASKED = Fix(
    party="client",
    opened=(BEGAN + 40 * DAY) / 1e9,
    closed=(BEGAN + 60 * DAY) / 1e9,
    probes={KEY: Figures(ok=5, timed=5, sum=50_000, min=9_000, max=11_000, buckets=(0, 0, 0, 4, 1) + (0,) * 7)},
    rollups="ab" * 32,
)

# begin and end in days after the first entry -> part of the refusal, empty when it may be fixed
WINDOWS = {
    "a month": (30, 60, ""),
    "a week": (30, 37, ""),
    "up to now": (70, 100, ""),
    "a quarter": (8 + 30, 130, "ends in the future"),
    "of the beginning": (29, 60, "would be one of the takeover; recording began on 1972-09-27 00:00 UTC"),
    "too short": (40, 46, "7 to 92 days"),
    "the wrong way round": (60, 40, "7 to 92 days"),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_a_window(name: str) -> None:
    """Not of the first month, not of the future, a week to a quarter long."""
    begin, end, refusal = WINDOWS[name]
    window = (BEGAN + begin * DAY, BEGAN + end * DAY)
    if not refusal:
        check_window(*window, began=BEGAN, now=NOW)
        return
    with pytest.raises(Refused, match=refusal):
        check_window(*window, began=BEGAN, now=NOW)


def test_what_is_fixed_becomes_an_entry() -> None:
    """With the sums as they were handed in; the body reads back as the same."""
    made = draft(read_submission(msgspec.json.encode(ASKED)), SETTLED).entry
    assert isinstance(made, Baseline)
    assert (made.party, made.opened, made.closed, made.time) == ("client", BEGAN + 40 * DAY, BEGAN + 60 * DAY, NOW)
    assert made.probes == ASKED.probes
    kind, fields = body.write(made)
    assert kind == "baseline"
    assert body.read(fields) == made


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown probe": ({"probes": {"x>y": Figures(ok=1)}}, "'x>y' is no probe"),
    "of nothing": ({"probes": {}}, "1 to 200 probes"),
    "too early": ({"opened": BEGAN / 1e9}, "the takeover"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_fixed(name: str) -> None:
    """Each refusal says why."""
    changes, words = BAD[name]
    with pytest.raises(Refused, match=words):
        draft(msgspec.structs.replace(ASKED, **changes), SETTLED)


def test_another_one_says_why() -> None:
    """What was fixed stays; a second one stands beside it with its reason, and is the one that counts."""
    first = draft(ASKED, SETTLED).entry
    assert isinstance(first, Baseline)
    again = msgspec.structs.replace(SETTLED, cases=msgspec.structs.replace(CASES, baseline=first))
    with pytest.raises(Refused, match="there is a baseline, fixed on 1973-01-05 00:00 UTC"):
        draft(ASKED, again)
    second = draft(msgspec.structs.replace(ASKED, reason="the line was replaced"), again).entry
    assert isinstance(second, Baseline)
    assert second.reason == "the line was replaced"
    hold = Hold(time=1, incident="i", vantage="cloud", state="held", reason="r", party="client")
    assert newest((first, second, hold)) == second
    assert newest((hold,)) is None
