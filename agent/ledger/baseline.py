"""The baseline: what was usual once the chain had settled, fixed for good. FORMAT.md, section Baseline. Pure.

What must stay true: it compares and never triggers: no finding, page or norm looks at it (what is usual now is
`agent.excess`, what must be is the norm); what was fixed is never changed, another one stands beside it with its
reason.
"""

from agent.ledger.entry import Entry, Hash, Part


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


KINDS: dict[str, type[Entry]] = {"baseline": Baseline}


def newest(entries: tuple[Entry, ...]) -> Baseline | None:
    """Return the baseline that holds: the last one that was fixed."""
    return next((one for one in reversed(entries) if isinstance(one, Baseline)), None)
