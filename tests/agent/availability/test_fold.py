"""The state of every second, by a table of cases and against an oracle that is written the slow way."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.availability.fold import (
    Availability,
    Cadence,
    Span,
    State,
    advance,
    covering,
    finish,
    fold,
    merged,
    spans_of,
    state_at,
)
from agent.observation import Observation
from probes.kit.result import Outcome

ONE = Cadence(interval=1.0, timeout=1.0)
FIVE = Cadence(interval=5.0, timeout=1.0)
MINUTE = Cadence(interval=60.0, timeout=10.0)

LETTERS = {"o": Outcome.OK, "d": Outcome.DEGRADED, "f": Outcome.FAILED, "u": Outcome.UNKNOWN}
SHOW = {State.UP: "U", State.DEGRADED: "G", State.ERRORED: "E", State.DOWN: "D", State.UNMEASURED: "."}


def seen(time: float, letter: str) -> Observation:
    """Return an observation at `time`; `x` is an unverified failure."""
    if letter == "x":
        return Observation(time=time, round=0, vantage="v", probe="p", outcome=Outcome.FAILED, verified=False)
    return Observation(time=time, round=0, vantage="v", probe="p", outcome=LETTERS[letter])


def every(cadence: Cadence, text: str, offset: float = 0.25) -> list[Observation]:
    """Return one observation an interval from a string of letters; a blank is a missing one."""
    return [seen(offset + i * cadence.interval, c) for i, c in enumerate(text) if c != " "]


def drawn(spans: tuple[Span, ...]) -> str:
    """Return one letter a second."""
    return "".join(SHOW[span.state] * (span.stop - span.start) for span in spans)


CASES = {
    "all good": (ONE, "oooooooooooo", "UUUUUUUUUUUU"),
    "nine bad seconds are not down": (ONE, "oo" + "f" * 9 + "oo", "UU" + "E" * 9 + "UU"),
    "ten bad seconds are down from the first": (ONE, "oo" + "f" * 10 + "oo", "UU" + "D" * 12),
    "ten good seconds are up from the first": (ONE, "f" * 10 + "o" * 10, "D" * 10 + "U" * 10),
    "nine good seconds within down stay down": (ONE, "f" * 10 + "o" * 9 + "ff", "D" * 21),
    "degraded ends down and keeps its own row": (ONE, "f" * 10 + "ooooddoooo", "D" * 10 + "UUUUGGUUUU"),
    "degraded is up": (ONE, "oddo", "UGGU"),
    "unknown is unmeasured": (ONE, "ouuo", "U..U"),
    "unknown ends a bad run": (ONE, "f" * 9 + "u" + "f" * 9 + "o", "E" * 9 + "." + "E" * 9 + "U"),
    "unknown ends a good run": (ONE, "f" * 10 + "o" * 9 + "u" + "o" * 9 + "f", "D" * 19 + "." + "D" * 10),
    "an unverified failure says nothing": (ONE, "xxox", "..U."),
    "a result holds for interval and timeout": (ONE, "o       o", "UUU.....U"),
    "a failure holds too": (ONE, "f" * 8 + "   " + "oo", "D" * 10 + ".DD"),
    "two bad samples above 1 s": (FIVE, "offoo", "UUUUU" + "D" * 10 + "U" * 10),
    "one bad sample above 1 s": (FIVE, "ofo", "UUUUUEEEEEUUUUU"),
    "one good sample of 60 s is ten good seconds": (MINUTE, "ffo", "D" * 120 + "U" * 60),
}


@pytest.mark.parametrize(("cadence", "text", "expected"), CASES.values(), ids=CASES.keys())
def test_each_second_has_the_state_that_the_rule_gives(cadence: Cadence, text: str, expected: str) -> None:
    """A string of results gives a string of seconds."""
    assert drawn(spans_of(every(cadence, text), cadence, 0, len(expected))) == expected


def test_the_open_good_run_at_the_end_is_still_down() -> None:
    """At the end of the data five good seconds have not ended the outage."""
    assert drawn(spans_of(every(ONE, "f" * 10 + "ooooo"), ONE, 0, 15)) == "D" * 15


def test_confirmation_rounds_within_the_interval_count_as_samples() -> None:
    """Two bad samples one second apart are two consecutive ones, whatever the steady interval."""
    spans = spans_of([seen(0.1, "o"), seen(5.1, "f"), seen(6.1, "f"), seen(7.1, "o")], FIVE, 0, 10)
    assert drawn(spans) == "UUUUUDDDDD"


def test_the_worst_sample_of_a_second_counts_and_the_last_one_holds() -> None:
    """A second with a failure is bad even when it ends well; what follows is held from the end."""
    spans = spans_of([seen(0.1, "f"), seen(0.9, "o"), seen(3.0, "o")], ONE, 0, 4)
    assert drawn(spans) == "EUUU"


def test_a_result_that_comes_in_out_of_order_within_its_second_does_not_hold() -> None:
    """The held result is the one that started last, not the one that came in last."""
    spans = spans_of([seen(0.9, "o"), seen(0.1, "f")], ONE, 0, 3)
    assert drawn(spans) == "EUU"


def test_an_observation_of_a_closed_second_is_left_out() -> None:
    """A second is settled once."""
    value, _ = fold(Availability(), seen(10.0, "o"), ONE)
    assert fold(value, seen(9.9, "f"), ONE) == (value, ())


@pytest.mark.parametrize(
    ("text", "now", "state"),
    [
        ("", 5.0, State.UNMEASURED),
        ("oo", 1.3, State.UP),
        ("od", 1.3, State.DEGRADED),
        ("of", 1.3, State.ERRORED),
        ("ou", 1.3, State.UNMEASURED),
        ("oo", 3.3, State.UNMEASURED),
        ("f" * 11, 10.3, State.DOWN),
        ("f" * 11 + "oo", 12.3, State.DOWN),
        ("f" * 11 + "o" * 11, 21.3, State.UP),
    ],
)
def test_the_state_now(text: str, now: float, state: State) -> None:
    """The live state follows the same rule, as far as it can be known."""
    value = Availability()
    for observation in every(ONE, text):
        value, _ = fold(value, observation, ONE)
    value, _ = advance(value, int(now), ONE)
    assert state_at(value, now, ONE) is state


def test_seconds_can_be_closed_without_results() -> None:
    """A live caller closes them as time goes by: held first, then unmeasured."""
    value, _ = fold(Availability(), seen(0.5, "o"), ONE)
    value, first = advance(value, 2, ONE)
    value, then = advance(value, 6, ONE)
    assert (first, then) == ((Span(0, 2, State.UP),), (Span(2, 3, State.UP), Span(3, 6, State.UNMEASURED)))
    assert advance(value, 6, ONE) == (value, ())


def test_covering_fills_and_clips() -> None:
    """Seconds that no span speaks of are unmeasured, and a second is taken once."""
    spans = (Span(0, 4, State.UP), Span(3, 6, State.DOWN), Span(8, 20, State.UP))
    assert covering(spans, 2, 10) == (
        Span(2, 4, State.UP),
        Span(4, 6, State.DOWN),
        Span(6, 8, State.UNMEASURED),
        Span(8, 10, State.UP),
    )


RESULTS = st.lists(
    st.tuples(st.integers(0, 90_000), st.sampled_from("ooofffffdux")), max_size=120, unique_by=lambda pair: pair[0]
)
CADENCES = st.sampled_from([ONE, FIVE, Cadence(interval=0.5, timeout=0.3), Cadence(interval=20.0, timeout=2.0)])


def levels(results: list[tuple[int, str]], cadence: Cadence, stop: int) -> list[tuple[str, int]]:
    """Return, the slow way, the level of each second and the bad samples in it."""
    out = []
    for second in range(stop):
        own = [letter for ms, letter in results if ms // 1000 == second]
        before = [(ms, letter) for ms, letter in results if ms // 1000 < second]
        if own:
            level = next(x for x in "fdoux" if x in own)
        elif before and second * 1000 < before[-1][0] + (cadence.interval + cadence.timeout) * 1000:
            level = before[-1][1]
        else:
            level = "u"
        out.append(("u" if level == "x" else level, own.count("f")))
    return out


def oracle(results: list[tuple[int, str]], cadence: Cadence, stop: int) -> str:
    """Return, the slow way, one letter a second: look ahead from each second for the run that decides."""
    measured = levels(results, cadence, stop)
    out, down, at = "", False, 0
    show = {"o": "U", "d": "G", "f": "E", "u": "."}
    while at < stop:
        wanted = "od" if down else "f"
        end = at
        while end < stop and measured[end][0] in wanted:
            end += 1
        enough = end - at >= 10 if down or cadence.interval <= 1 else sum(bad for _, bad in measured[at:end]) >= 2
        if end > at and enough:
            down = not down
        end = max(end, at + 1)
        for level, _ in measured[at:end]:
            out += "." if level == "u" else "D" if down else show[level]
        at = end
    return out


@given(results=RESULTS, cadence=CADENCES)
def test_the_fold_agrees_with_the_oracle(results: list[tuple[int, str]], cadence: Cadence) -> None:
    """One by one with bounded memory gives what looking at everything gives."""
    ordered = sorted(results)
    observations = [seen(ms / 1000, letter) for ms, letter in ordered]
    assert drawn(spans_of(observations, cadence, 0, 100)) == oracle(ordered, cadence, 100)


@given(results=RESULTS, cadence=CADENCES, every_so_often=st.integers(1, 7))
def test_saving_and_advancing_at_any_moment_changes_nothing(
    results: list[tuple[int, str]], cadence: Cadence, every_so_often: int
) -> None:
    """A restart, or a live caller that closes seconds as time goes by, gets the same spans."""
    observations = [seen(ms / 1000, letter) for ms, letter in sorted(results)]
    value, settled = Availability(), list[Span]()
    for number, observation in enumerate(observations):
        if number % every_so_often == 0:
            value, more = advance(value, math.floor(observation.time), cadence)
            settled.extend(more)
            value = msgspec.json.decode(msgspec.json.encode(value), type=Availability)
        value, more = fold(value, observation, cadence)
        settled.extend(more)
        assert len(value.run) <= 10
    whole = covering((*settled, *finish(value, 100, cadence)), 0, 100)
    assert whole == spans_of(observations, cadence, 0, 100)
    assert merged(whole) == whole
