"""The minutes of a long time summed by probe."""

import hashlib
from pathlib import Path

import pytest

from agent.observation import Observation
from agent.store import DATABASE
from agent.store.minute import Minute, add
from agent.store.summed import read_summed
from agent.store.tables import Tables, connect
from probes.kit.result import Outcome
from tests.agent.store.opened import NOW, seen

START = int(NOW) // 60 * 60
RESULTS = [
    *(seen(number) for number in range(130)),
    seen(131, Outcome.FAILED),
    seen(132, Outcome.UNKNOWN),
    *(seen(number, Outcome.FAILED, probe="gw") for number in range(3)),
]


def written(folder: Path, results: list[Observation]) -> Path:
    """Write a store and return its file."""
    tables = Tables(connect(folder / DATABASE), {})
    tables.write(results)
    tables.write_spans()
    tables.close()
    return folder / DATABASE


def test_sums_are_those_of_the_results(tmp_path: Path) -> None:
    """Each probe's minutes together, whatever their number; a probe without a duration has none."""
    found = read_summed(written(tmp_path, RESULTS), START, START + 86_400)
    wanted = {key: Minute() for key in ("cloud>erp", "cloud>gw")}
    for one in RESULTS:
        wanted[one.key].take(one)
    assert found.probes == {key: add(Minute(), one) for key, one in wanted.items()}


def test_a_window_and_a_choice(tmp_path: Path) -> None:
    """Minutes that begin in the window, of the probes that are asked for; the hash is over just those."""
    file = written(tmp_path, RESULTS)
    first = read_summed(file, START, START + 60, frozenset({"cloud>erp", "cloud>none"}))
    assert list(first.probes) == ["cloud>erp"]
    minute = first.probes["cloud>erp"]
    line = f'["cloud>erp",{START // 60},{minute.ok},0,0,0,{minute.timed},{minute.sum},{minute.min},{minute.max},'
    shape = "[" + ",".join(map(str, minute.buckets)) + "]"
    assert first.digest == hashlib.sha256(f"{line}{shape}]\n".encode()).hexdigest()
    assert read_summed(file, START + 1, START + 60).probes == {}
    assert read_summed(file, START, START + 120).digest != first.digest


def test_no_store(tmp_path: Path) -> None:
    """It is said."""
    with pytest.raises(FileNotFoundError):
        read_summed(tmp_path / "none.db", 0, 1)
