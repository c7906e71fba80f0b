"""Planning of confirmation: at once, spaced, shared, bounded, rested, paused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.daemon.confirmation import LIMIT, PATIENCE, REST_SECONDS, Confirmations


def drive(
    confirmations: Confirmations, now: float, until: float, suspected: frozenset[str] = frozenset()
) -> list[tuple[float, tuple[str, ...]]]:
    """Run every shared round that is due, with one round number a second."""
    rounds = []
    while (following := confirmations.next()) is not None and following <= until:
        now = max(now, following)
        rounds.append((now, confirmations.due(now, int(now), suspected=suspected)))
    return [entry for entry in rounds if entry[1]]


def test_failure_runs_all_rounds_spaced_from_now() -> None:
    """Five rounds, the first at once, each a second apart, the same probes in each."""
    confirmations = Confirmations(5, 1.0)
    assert confirmations.wants("erp", 10.3)
    confirmations.begin(("erp",), ("erp", "gw", "anchor"), 10.3)
    rounds = drive(confirmations, 10.3, 60.0)
    assert [at for at, _ in rounds] == pytest.approx([10.3, 11.3, 12.3, 13.3, 14.3])
    assert {names for _, names in rounds} == {("erp", "gw", "anchor")}
    assert confirmations.next() is None


def test_wakes_between_rounds_run_nothing() -> None:
    """The timer also wakes for other things, and rounds change their number in between."""
    confirmations = Confirmations(5, 1.0)
    confirmations.begin(("erp",), ("erp", "gw"), 10.9)
    assert confirmations.due(10.9, 10, suspected=()) == ("erp", "gw")
    assert confirmations.due(10.95, 10, suspected=()) == ()
    assert confirmations.due(11.1, 11, suspected=()) == ()
    assert confirmations.due(11.9, 11, suspected=()) == ("erp", "gw")


def test_trigger_takes_part_even_when_the_set_forgot_it() -> None:
    """The failing probe itself is always confirmed."""
    confirmations = Confirmations(2, 1.0)
    confirmations.begin(("erp",), ("gw",), 0.0)
    assert confirmations.due(0.0, 0, suspected=()) == ("erp", "gw")


def test_covered_failure_starts_nothing() -> None:
    """A second probe that fails in a confirmation that runs already takes part in it."""
    confirmations = Confirmations(5, 1.0)
    confirmations.begin(("erp",), ("erp", "anchor"), 10.0)
    assert not confirmations.wants("anchor", 10.5)
    assert confirmations.wants("hr", 10.5)


def test_second_failure_runs_at_once_and_then_shares_rounds() -> None:
    """What the first one has run in this round does not run again; later rounds are one burst."""
    confirmations = Confirmations(3, 1.0)
    confirmations.begin(("erp",), ("erp", "gw"), 10.2)
    assert confirmations.due(10.2, 10, suspected=()) == ("erp", "gw")
    confirmations.begin(("hr",), ("hr", "gw"), 10.7)
    assert confirmations.due(10.7, 10, suspected=()) == ("hr",)
    assert confirmations.next() == pytest.approx(11.2)
    assert confirmations.due(11.2, 11, suspected=()) == ("erp", "gw", "hr")


def test_failing_probe_rests_after_its_confirmation() -> None:
    """A probe that stays failing is confirmed again after its rest, not before."""
    confirmations = Confirmations(5, 1.0)
    confirmations.begin(("erp",), ("erp",), 0.0)
    drive(confirmations, 0.0, 10.0)
    assert not confirmations.wants("erp", 6.0)
    assert not confirmations.wants("erp", 5.0 + REST_SECONDS - 0.1)
    assert confirmations.wants("erp", 5.0 + REST_SECONDS)


@pytest.mark.parametrize("change", ["passed", "wake"])
def test_change_ends_the_rest(change: str) -> None:
    """A pass of the probe, or a peer that came back, allows a new confirmation at once."""
    confirmations = Confirmations(5, 1.0)
    confirmations.begin(("erp",), ("erp",), 0.0)
    drive(confirmations, 0.0, 10.0)
    if change == "passed":
        confirmations.passed("erp")
    else:
        confirmations.wake()
    assert confirmations.wants("erp", 6.0)


def test_suspicion_goes_on_within_its_patience() -> None:
    """Rounds that were not unanimous are followed by more, but not for ever."""
    confirmations = Confirmations(5, 1.0)
    confirmations.begin(("erp",), ("erp",), 0.0)
    assert len(drive(confirmations, 0.0, 100.0, suspected=frozenset({"erp"}))) == 5 * PATIENCE


def test_pause_uses_up_no_round() -> None:
    """While the self-check fails nothing runs, and all rounds are run afterwards."""
    confirmations = Confirmations(3, 1.0)
    confirmations.begin(("erp",), ("erp",), 0.0)
    assert confirmations.due(0.0, 0, suspected=(), paused=True) == ()
    assert confirmations.due(1.0, 1, suspected=(), paused=True) == ()
    assert len(drive(confirmations, 2.0, 60.0)) == 3


def test_late_timer_does_not_bunch_rounds() -> None:
    """After a standstill the next rounds are a spacing apart again."""
    confirmations = Confirmations(3, 1.0)
    confirmations.begin(("erp",), ("erp",), 0.0)
    confirmations.due(0.0, 0, suspected=())
    assert confirmations.due(7.5, 7, suspected=()) == ("erp",)
    assert confirmations.next() == pytest.approx(8.5)


def test_reload_drops_what_is_gone() -> None:
    """A probe that was removed takes no part; a confirmation whose trigger was removed ends."""
    confirmations = Confirmations(3, 1.0)
    confirmations.begin(("erp",), ("erp", "gw"), 0.0)
    confirmations.begin(("hr",), ("hr", "gw"), 0.0)
    confirmations.keep({"erp"})
    assert confirmations.due(0.0, 0, suspected=()) == ("erp",)
    confirmations.keep(set())
    assert confirmations.next() is None


def test_full_set_takes_no_more() -> None:
    """When the bound of attempts a round is reached, further failures wait."""
    confirmations = Confirmations(5, 1.0)
    confirmations.begin(("p0",), tuple(f"p{n}" for n in range(LIMIT)), 0.0)
    assert not confirmations.wants("other", 0.1)


def test_nothing_is_due_while_nothing_runs() -> None:
    """Without a confirmation there is no round."""
    assert Confirmations(5, 1.0).due(3.0, 3, suspected=()) == ()


@given(st.lists(st.tuples(st.floats(0, 8), st.sets(st.integers(0, 80), max_size=60)), max_size=12))
def test_no_probe_twice_and_no_round_over_its_bound(failures: list[tuple[float, set[int]]]) -> None:
    """However failures fall, a round holds each probe once and at most fifty of them."""
    confirmations = Confirmations(5, 1.0)
    ran: dict[int, list[str]] = {}
    for now, members in sorted(failures, key=lambda failure: failure[0]):
        while (following := confirmations.next()) is not None and following <= now:
            ran.setdefault(int(following), []).extend(confirmations.due(following, int(following), suspected=()))
        trigger = f"p{min(members, default=0)}"
        if confirmations.wants(trigger, now):
            confirmations.begin((trigger,), tuple(f"p{m}" for m in members), now)
            ran.setdefault(int(now), []).extend(confirmations.due(now, int(now), suspected=()))
    for names in ran.values():
        assert len(names) == len(set(names)) <= LIMIT
