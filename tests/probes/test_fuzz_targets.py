"""The targets of `make fuzz`: each holds on its seeds, and on damaged ones, without any guide."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.fuzz_targets import TARGETS

MADE = {name: make() for name, make in TARGETS.items()}
CUTS = 100
"""Places at which a seed is cut, spread over it."""


@pytest.mark.parametrize("name", MADE)
def test_a_target_takes_its_seeds(name: str) -> None:
    """What a fuzz run begins with is read without a find, whole and cut in many places."""
    run, seeds = MADE[name]
    assert seeds
    for seed in (b"", *seeds):
        for end in {*range(0, len(seed), len(seed) // CUTS + 1), len(seed)}:
            run(seed[:end])


@given(st.sampled_from(sorted(MADE)), st.data())
def test_a_target_takes_damaged_seeds(name: str, data: st.DataObject) -> None:
    """Some bytes of a seed replaced, or something put behind it, is no find."""
    run, seeds = MADE[name]
    damaged = bytearray(data.draw(st.sampled_from(seeds)))
    for _ in range(data.draw(st.integers(0, 4))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    run(bytes(damaged) + data.draw(st.binary(max_size=20)))
