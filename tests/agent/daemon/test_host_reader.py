"""Reading the host: what is looked at anew and when, what its ports say of targets, and what may not be read."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.daemon.host_reader import LOOK_AGAIN_SECONDS, TABLE_BYTES, Reader, stolen_and_all
from agent.daemon.selfcheck import evaluate
from tests.agent.daemon.world import VirtualClock

NOWHERE = 2**31 - 1  # no interface has this number


class Files:
    """The files of /proc/self/net, and how often they were read."""

    def __init__(self, text: str = "header\n", error: OSError | None = None) -> None:
        self.text, self.error, self.reads = text, error, 0

    def __call__(self, path: Path) -> str:
        """Return the text, or raise."""
        self.reads += 1
        if self.error is not None:
            raise self.error
        return self.text


def test_this_host() -> None:
    """A look at a real host gives its clocks and opens no fault of its own."""
    reader = Reader(VirtualClock())
    try:
        found = reader.read()
    finally:
        reader.close()
        reader.close()
    assert found.descriptors
    assert set(found.values) <= {"self_cpu_steal_ratio", "self_clock_synchronised", "self_clock_error_seconds"}


@pytest.mark.parametrize(
    ("number", "descriptors"),
    [pytest.param(24, False, id="EMFILE"), pytest.param(23, False, id="ENFILE"), pytest.param(13, True, id="EACCES")],
)
def test_what_cannot_be_opened(number: int, descriptors: bool) -> None:
    """Only a lack of descriptors is a fault of the host; a /proc that may not be read is none."""
    reader = Reader(VirtualClock(), text_of=Files(error=OSError(number, "refused")))
    try:
        found = reader.read()
    finally:
        reader.close()
    assert found.descriptors is descriptors
    result = evaluate(found, None, absent=0.0, off_host=True, off_link=True)
    assert result.fault == (None if descriptors else "no-descriptors")


def test_without_ipv6() -> None:
    """A kernel without IPv6 has no ipv6_route; that is no fault."""
    reader = Reader(VirtualClock(), text_of=Files(error=FileNotFoundError()))
    try:
        found = reader.read()
    finally:
        reader.close()
    assert found.descriptors
    assert found.routes == 0


def test_a_long_table_may_hold_a_gateway() -> None:
    """What was not read to its end does not make the host fail."""
    reader = Reader(VirtualClock(), text_of=Files("x" * TABLE_BYTES))
    try:
        found = reader.read()
    finally:
        reader.close()
    assert (found.routes, found.gateways) == (1, 1)


def test_looks_when_there_is_a_reason() -> None:
    """While the kernel tells of changes it looks after one and once in a while, otherwise each time."""
    clock, files = VirtualClock(), Files()
    reader = Reader(clock, text_of=files)
    looks = []

    def look() -> None:
        before = files.reads
        reader.read()
        looks.append(files.reads > before)

    try:
        look()
        look()
        reader.told = True
        look()
        reader.changed()
        look()
        look()
        reader.reach(["10.0.0.1"])
        look()
        clock.now += LOOK_AGAIN_SECONDS + 1
        look()
    finally:
        reader.close()
    assert looks == [True, True, False, True, False, True, True]


def test_a_lost_link_counts_for_one_look() -> None:
    """A link that was without carrier between two looks is not up in the next one, and up again after it."""
    reader = Reader(VirtualClock(), text_of=Files())
    try:
        reader.told = True
        links = reader.read().links
        every = frozenset(range(1, 10_000))
        reader.changed(every)
        assert reader.read().links == ()
        assert reader.read().links == links
    finally:
        reader.close()


def test_ways() -> None:
    """Targets without a known way, and those on this host, are in nobody's way."""
    devices = {"10.0.0.1": None, "10.0.0.2": NOWHERE, "127.0.0.1": 1}
    reader = Reader(VirtualClock(), text_of=Files(), device_of=devices.get)
    reader.reach(list(devices))
    try:
        found = reader.read()
    finally:
        reader.close()
    assert (found.used, found.dark) == ((), frozenset())


@pytest.mark.parametrize(
    ("text", "ticks"),
    [
        (b"cpu  10 1 5 80 1 0 2 3 0 0\ncpu0 1\n", (3, 102)),
        (b"cpu  10 1 5 80 1 0 2", None),
        (b"", None),
        (b"cpu  10 1 5 80 1 0 2 x", None),
    ],
)
def test_stolen_and_all(text: bytes, ticks: tuple[int, int] | None) -> None:
    """Guests' time is in user time already, so eight numbers make the whole."""
    assert stolen_and_all(text) == ticks


@given(st.binary())
def test_stolen_and_all_reads_anything(text: bytes) -> None:
    """Whatever the kernel prints, two numbers or none."""
    found = stolen_and_all(text)
    assert found is None or 0 <= found[0] <= found[1]
