"""The entries about who else vouches for a log: witnesses, conflicts and epochs.

FORMAT.md, section Kinds, is the specification. Pure. What must stay true: a conflict holds both notes whole,
so that anybody can check the signatures and nobody has to believe who recorded it.
"""

from typing import TypeAlias

from agent.ledger.entry import Entry


class WitnessChange(Entry, frozen=True, kw_only=True, tag="witness"):
    """A witness of this log fell silent or cosigned again (`event`: silent, cosigning).

    `since`: the oldest entry that it had not cosigned was written then. `entries`: it has cosigned so many.
    """

    vantage: str
    witness: str
    event: str
    since: int
    entries: int


class Conflict(Entry, frozen=True, kw_only=True, tag="conflict"):
    """The log `log` signed two trees of which it did not show that one continues the other.

    `held` is the note that was cosigned here before, `offered` the one that was refused.
    """

    vantage: str
    log: str
    reason: str
    held: str
    offered: str


class Epoch(Entry, frozen=True, kw_only=True, tag="epoch"):
    """The first entry of a log that takes the place of the log `previous`, which had `entries` entries.

    `checkpoint` is the newest good note that is known of it, of whatever holder; absent where none is left.
    """

    vantage: str
    epoch: int
    previous: str
    reason: str
    entries: int = 0
    checkpoint: str = ""


AnyTestimony: TypeAlias = WitnessChange | Conflict | Epoch

KINDS: dict[str, type[Entry]] = {"witness": WitnessChange, "conflict": Conflict, "epoch": Epoch}
