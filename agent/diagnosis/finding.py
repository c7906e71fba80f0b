"""What a diagnosis says, as values."""

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What a diagnosis says."""

    ATTRIBUTED = "attributed"
    UNDETERMINED = "undetermined"
    CONTRADICTION = "contradiction"
    MONITOR = "monitor"


class Standing(StrEnum):
    """On whose word an attribution rests."""

    CORROBORATED = "corroborated"
    SINGLE_SIDED = "single-sided"
    SELF_MEASURED = "self-measured"


class Support(msgspec.Struct, frozen=True, kw_only=True):
    """The evidence: failing probes (`vantage>probe`), and per cleared segment the passing ones."""

    failing: tuple[str, ...] = ()
    exonerating: dict[str, tuple[str, ...]] = {}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One root cause that the evidence of one moment proves or leaves open.

    `failing` are all probes that it explains, `proving` those among them that it rests on, `proof` the
    roles of which each of these proves one broken. `roles` are all that its segments may have broken.
    """

    kind: Kind
    parties: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    proving: tuple[str, ...] = ()
    proof: dict[str, frozenset[int]] = {}
    roles: frozenset[int] = frozenset()
    standing: Standing | None = None
    rests_on: tuple[str, ...] = ()
    margin: int | None = None
    decide_with: tuple[str, ...] = ()
    simplest: tuple[str, ...] = ()
    support: Support = Support()
