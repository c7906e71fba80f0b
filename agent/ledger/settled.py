"""Of what time a baseline may be fixed: once the chain has settled. Pure."""

from datetime import UTC, datetime

from agent.ledger.correction import Refused

_DAY = 86_400 * 10**9
SETTLED_DAYS = 30
"""Before so many days of recording nothing is fixed: parties that take over a chain settle in months 1 to 3, and
a baseline of the first weeks would be one of their beginning."""
SHORTEST_DAYS, LONGEST_DAYS = 7, 92
"""A week has every sort of day in it; a quarter is as long as a review looks back."""
MOST_PROBES = 200
"""About 250 bytes each, in a body of 65,536."""


def check_window(opened: int, closed: int, *, began: int, now: int) -> None:
    """Raise Refused when nothing may be fixed of [opened, closed); times in ns UTC, `began` the first entry."""
    earliest = began + SETTLED_DAYS * _DAY
    if opened < earliest:
        raise Refused(
            f"a baseline of the first {SETTLED_DAYS} days would be one of the takeover; recording began on"
            f" {day(began)}, so it can begin on {day(earliest)}"
        )
    if closed > now:
        raise Refused("it ends in the future; fix what has been measured")
    if not opened + SHORTEST_DAYS * _DAY <= closed <= opened + LONGEST_DAYS * _DAY:
        raise Refused(f"a baseline is of {SHORTEST_DAYS} to {LONGEST_DAYS} days")


def day(nano: int) -> str:
    """Return the moment in words, to the minute, UTC."""
    return datetime.fromtimestamp(nano // 10**9, UTC).strftime("%Y-%m-%d %H:%M UTC")
