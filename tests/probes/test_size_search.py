"""The search for the largest size that passes, against simulated paths."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.size_search import BREADTH, TRIES, SizeSearch, TooBig

LEAST = 48
sizes = st.integers(LEAST, 9000)
# what a path makes of a size: True: it came back, False: silence, an MTU: a router's word
Path = Callable[[int], bool | int]


def hole(mtu: int) -> Path:
    """Return a path on which larger packets vanish."""
    return lambda size: size <= mtu


def told(mtu: int, says: int | None = None) -> Path:
    """Return a path on which a router refuses larger packets and says its MTU, or another one."""
    return lambda size: size <= mtu or (mtu if says is None else says)


def searched(path: Path, largest: int = 1500, expect: int = 0, steps: int = 40) -> tuple[SizeSearch, int]:
    """Return the search after at most so many steps, and the number of packets that it took."""
    search, packets = SizeSearch(LEAST, largest, expect), 0
    for _ in range(steps):
        step = search.next()
        packets += len(step)
        assert len(step) <= BREADTH + 1
        for size in step:
            match path(size):
                case True:
                    search.answered(size)
                case False:
                    pass
                case int(mtu):
                    search.too_big(size, "192.0.2.1", mtu)
        if not step:
            break
    return search, packets


# path, expected size -> working, packets at most, who tells, a hole
FOUND: dict[str, tuple[Path, int, int, int, TooBig | None, bool]] = {
    "everything passes": (hole(1500), 0, 1500, 2, None, False),
    "the agreed size passes, too": (hole(1500), 1400, 1500, 3, None, False),
    "a tunnel that tells": (told(1438), 0, 1438, 4, TooBig(by="192.0.2.1", mtu=1438), False),
    "a tunnel that tells, less than agreed": (told(1400), 1438, 1400, 5, TooBig(by="192.0.2.1", mtu=1400), False),
    "an old router that says no MTU": (told(1438, 0), 0, 1438, 35, TooBig(by="192.0.2.1", mtu=0), False),
    "a router that says too much": (told(1400, 1480), 0, 1400, 35, None, True),
    "a router that says too little": (told(1400, 700), 0, 1400, 35, TooBig(by="192.0.2.1", mtu=700), False),
    "a hole": (hole(1200), 0, 1200, 35, None, True),
    "a hole above the agreed size": (hole(1450), 1400, 1450, 35, None, True),
    "a hole just below the agreed size": (hole(1399), 1400, 1399, 35, None, True),
    "nothing but the smallest": (hole(LEAST), 0, LEAST, 35, None, True),
    "nobody answers": (hole(0), 1400, 0, 8, None, True),
}


@pytest.mark.parametrize("case", FOUND)
def test_what_is_found(case: str) -> None:
    """The exact size is found with few packets, and a hole is told from a limit that senders hear of."""
    path, expect, working, most, router, is_hole = FOUND[case]
    search, packets = searched(path, expect=expect)
    assert (search.working, search.router, search.hole) == (working, router, is_hole)
    assert packets <= most
    assert working == 0 or search.exact


def test_the_agreed_size_comes_first() -> None:
    """After three steps its verdict stands, however long the rest of the search takes."""
    search, _ = searched(hole(700), largest=9000, expect=8000, steps=3)
    assert search.certain(8000)
    assert search.working < 8000
    assert search.hole


def test_a_cap_is_no_hole() -> None:
    """What cannot be sent at all ends the search, and says nothing of the path."""
    search = SizeSearch(LEAST, 1500, 1438)
    assert search.next() == (LEAST, 1438, 1500)
    search.answered(1400)
    search.cap(1400)
    assert search.next() == ()
    assert (search.exact, search.hole, search.router, search.capped) == (True, False, None, True)
    assert search.certain(1438)


def test_one_lost_packet_is_no_hole() -> None:
    """A size counts as too large after three silences, not after one."""
    search = SizeSearch(LEAST, 1500)
    search.next()
    search.answered(LEAST)
    assert not search.hole
    assert not search.certain(1500)
    for size in search.next():
        search.answered(size)
    while (step := search.next()) and search.beyond < 1500:
        for size in step:
            search.answered(size)
    for size in step:
        search.answered(size)
    assert search.working == 1500


@given(sizes, st.integers(576, 9000), st.integers(0, 9000))
def test_without_loss_the_size_is_exact(mtu: int, largest: int, expect: int) -> None:
    """Whatever the path's MTU, the search ends there, within a bounded number of packets."""
    search, packets = searched(hole(mtu), largest, min(expect, largest))
    assert search.working == min(mtu, largest)
    assert search.exact
    assert packets <= 7 * BREADTH + TRIES


@given(sizes, st.integers(576, 9000), st.randoms(use_true_random=False), st.floats(0, 0.5), st.integers(0, 70000))
def test_nothing_is_claimed_that_did_not_pass(mtu: int, largest: int, chance: object, loss: float, lie: int) -> None:
    """With loss and lying routers the search still ends, and never names a size that did not come back."""
    random = chance.random  # type: ignore[attr-defined] # a random.Random
    came: set[int] = set()

    def path(size: int) -> bool | int:
        if random() < loss:
            return False
        if size > mtu:
            return lie if random() < 0.5 else False
        came.add(size)
        return True

    search, packets = searched(path, largest, steps=400)
    assert search.working == max(came, default=0)
    assert search.next() == ()
    assert packets < 3000
