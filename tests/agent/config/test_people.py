"""Who may speak for a party: read where it has the form, passed over where it has another."""

from typing import Any

import pytest

from agent.config.people import read_custodian, read_people
from agent.model import Person

KEY = "ssh-ed25519 AAAA"
CASES: dict[str, tuple[Any, dict[str, Person]]] = {
    "all of it": (
        {"manager": {"role": "contract manager", "key": KEY, "name": "J. Jansen"}},
        {"manager": Person(id="manager", role="contract manager", key=KEY, name="J. Jansen")},
    ),
    "no key, no role": ({"manager": {}}, {"manager": Person(id="manager", role="manager")}),
    "other types": (
        {"manager": {"role": 7, "key": [KEY]}, "x": "y"},
        {"manager": Person(id="manager", role="manager")},
    ),
    "a list, as it was allowed before": (["x"], {}),
}


@pytest.mark.parametrize(("value", "expected"), CASES.values(), ids=CASES)
def test_people(value: Any, expected: dict[str, Person]) -> None:
    """A file from before these keys meant something stays valid."""
    assert read_people(value) == expected


@pytest.mark.parametrize(("value", "expected"), [("client", "client"), ("nobody", ""), (["client"], ""), (None, "")])
def test_the_custodian_is_a_party(value: Any, expected: str) -> None:
    """Anything else names none."""
    assert read_custodian(value, {"client": 1}) == expected
