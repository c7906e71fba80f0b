"""The baseline: what was usual once the chain had settled, fixed for good. FORMAT.md, section Baseline. Pure.

What must stay true: it compares and never triggers: no finding, page or norm looks at it (what is usual now is
`agent.excess`, what must be is the norm); it is not of the first weeks; what was fixed is never changed, another
one stands beside it with its reason.
"""

from datetime import UTC, datetime

from agent.ledger.correction import Refused
from agent.ledger.entry import Entry, Hash, Part

_DAY = 86_400 * 10**9
SETTLED_DAYS = 30
"""Before so many days of recording nothing is fixed: parties that take over a chain settle in months 1 to 3, and
a baseline of the first weeks would be one of their beginning."""
SHORTEST_DAYS, LONGEST_DAYS = 7, 92
"""A week has every sort of day in it; a quarter is as long as a review looks back."""
MOST_PROBES = 200
"""About 250 bytes each, in a body of 65,536."""


class Figures(Part, frozen=True, kw_only=True):
    """What a probe measured: results by outcome, and the durations in microseconds of the `timed` that passed.

    `buckets` counts them by the bounds of `agent.store.minute`.
    """

    ok: int = 0
    degraded: int = 0
    failed: int = 0
    unknown: int = 0
    timed: int = 0
    sum: int = 0
    min: int = 0
    max: int = 0
    buckets: tuple[int, ...] = ()


class Baseline(Entry, frozen=True, kw_only=True, tag="baseline"):
    """What was usual in [opened, closed) under a chain file, by probe key; `party` had it fixed.

    `rollups` is SHA-256 over the minutes that it is the sum of. `reason`: why it stands beside an earlier one.
    """

    vantage: str
    chain: Hash
    party: str
    opened: int
    closed: int
    probes: dict[str, Figures]
    rollups: Hash
    reason: str = ""


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


KINDS: dict[str, type[Entry]] = {"baseline": Baseline}


def newest(entries: tuple[Entry, ...]) -> Baseline | None:
    """Return the baseline that holds: the last one that was fixed."""
    return next((one for one in reversed(entries) if isinstance(one, Baseline)), None)
