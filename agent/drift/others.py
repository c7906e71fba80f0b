"""What the agent at another vantage tells of its changes: how far it is taken.

What must stay true: it speaks for its own vantage and for no time to come; what is longer than an honest agent tells
is not taken; whatever comes, the result is changes that can be shown.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from agent.drift.book import CHANGES_KEPT
from agent.drift.fingerprint import MOST_FACTS, NAME_LENGTH, VALUE_LENGTH
from agent.drift.value import Change
from probes.kit.json_errors import JSON_ERRORS

# As for observations (`agent.daemon.intake`): a clock that is a little ahead.
_AHEAD_SECONDS: Final = 30.0
# A flapping fact names two values.
_MOVE_LENGTH: Final = 2 * VALUE_LENGTH + 3
_DECODER: Final = msgspec.json.Decoder(list[Change])


def read_changes(body: bytes, vantage: str, now: float) -> tuple[Change, ...]:
    """Return the changes that an answer of `vantage` holds, as far as they are taken; none when it is no such answer.

    `now`: UTC epoch seconds.
    """
    try:
        told = _DECODER.decode(body)
    except JSON_ERRORS:
        return ()
    return tuple(_taken(told, vantage, now))[:CHANGES_KEPT]


def _taken(told: Iterable[Change], vantage: str, now: float) -> Iterable[Change]:
    for change in told:
        texts = (change.probe, *change.segments, *change.moves)
        values = (text for move in change.moves.values() for text in (move.before, move.after))
        if (
            change.vantage == vantage
            and change.at <= now + _AHEAD_SECONDS
            and len(change.moves) + len(change.segments) <= MOST_FACTS
            and all(len(text) <= NAME_LENGTH and text.isprintable() for text in texts)
            and all(len(text) <= _MOVE_LENGTH and text.isprintable() for text in values)
        ):
            yield change
