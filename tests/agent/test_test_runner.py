"""Which failed tests `make test` runs once more."""

import pytest

from tools.run_tests import FEW, FINDINGS, repeatable

FOUND = f"{FINDINGS[0]}::test_finding[app-stopped]"


@pytest.mark.parametrize(
    ("output", "again"),
    [
        ("2 passed in 1 s", []),
        ("FAILED tests/lab/test_hops.py::test_a - assert 1 == 2", ["tests/lab/test_hops.py::test_a"]),
        ("ERROR tests/lab/test_hops.py::test_a - LabError: no", ["tests/lab/test_hops.py::test_a"]),
        (f"FAILED {FOUND} - named wrongly", []),
        (f"FAILED tests/lab/test_hops.py::test_a - no\nFAILED {FOUND}", []),
        ("\n".join(f"FAILED tests/lab/test_hops.py::test_{number}" for number in range(FEW + 1)), []),
    ],
    ids=["none", "one", "one that could not begin", "a finding", "a finding among others", "many"],
)
def test_a_few_failures_are_run_once_more_and_findings_never(output: str, again: list[str]) -> None:
    """A few failed tests of real servers may be repeated; one that says who is named may not, nor many at once."""
    assert repeatable(output) == again
