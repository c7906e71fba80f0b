"""Who silenced our alerts, from Alertmanager's answers."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.alerts.silences import Silenced, silenced

ALERT: dict[str, object] = {
    "labels": {"alertname": "DemarcIncident", "incident": "i1", "to": "carrier"},
    "annotations": {},
    "startsAt": "2026-11-23T14:00:00.000Z",
    "status": {"state": "suppressed", "silencedBy": ["s1"], "inhibitedBy": []},
    "fingerprint": "x",
}
SILENCE: dict[str, object] = {
    "id": "s1",
    "createdBy": "J. Jansen",
    "comment": "on it",
    "startsAt": "2026-11-23T14:01:00+00:00",
}
CASES: dict[str, tuple[dict[str, object], dict[str, object], tuple[Silenced, ...]]] = {
    "silenced since": (ALERT, SILENCE, (Silenced(incident="i1", to="carrier", by="J. Jansen"),)),
    "silenced before": (ALERT, SILENCE | {"startsAt": "2026-11-23T13:59:00Z"}, ()),
    "another silence": (ALERT, SILENCE | {"id": "s2"}, ()),
    "no silence": (ALERT | {"status": {"state": "active"}}, SILENCE, ()),
    "no party": (ALERT | {"labels": {"incident": "i1"}}, SILENCE, ()),
    "a time of nowhere": (ALERT, SILENCE | {"startsAt": "2026-11-23T14:01:00"}, ()),
}


@pytest.mark.parametrize(("alert", "silence", "expected"), CASES.values(), ids=CASES)
def test_a_silence_after_the_alert_began_is_taking_note(
    alert: dict[str, object], silence: dict[str, object], expected: tuple[Silenced, ...]
) -> None:
    """One that was there before is not."""
    assert silenced(msgspec.json.encode([alert]), msgspec.json.encode([silence])) == expected


@given(data=st.binary(max_size=60) | st.sampled_from([b"{}", b"[1]", b'[{"labels":{}}]']))
def test_other_answers_are_no_answers(data: bytes) -> None:
    """A ValueError, or nothing where the list is empty."""
    for one, other in ((data, b"[]"), (b"[]", data)):
        with suppress(ValueError):
            assert silenced(one, other) == ()


def test_it_is_said_what_was_no_answer() -> None:
    """For the log."""
    with pytest.raises(ValueError, match="not an answer of Alertmanager"):
        silenced(b"<html>", b"[]")
