"""What an incident rests on beyond what it tells: the roles that it may be, and who proved it when.

Kept beside the incidents, since roles are numbered anew with every chain: saved as words.
"""

from collections.abc import Mapping

import msgspec

from agent.diagnosis.finding import Finding, Kind
from agent.diagnosis.roles import Model


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """`kind` of finding, `roles` that are possible or proven, the `proving` probes, and when they last did.

    `masked` is since when another incident has hidden all that still fails of it (UTC epoch seconds).
    """

    kind: Kind
    roles: frozenset[int] = frozenset()
    proving: tuple[str, ...] = ()
    proven: float = 0.0
    masked: float | None = None


class SavedGround(msgspec.Struct, frozen=True, kw_only=True):
    """A ground with its roles in words."""

    kind: Kind
    roles: tuple[str, ...] = ()
    proving: tuple[str, ...] = ()
    proven: float = 0.0
    masked: float | None = None


def ground_of(finding: Finding, now: float) -> Ground:
    """Return the ground of an incident that `finding` has just told."""
    return Ground(kind=finding.kind, roles=finding.roles, proving=finding.proving, proven=now)


def saved(grounds: Mapping[str, Ground], model: Model) -> dict[str, SavedGround]:
    """Return grounds as they survive a restart and a new chain."""
    return {
        name: SavedGround(
            kind=ground.kind,
            roles=tuple(sorted(str(model.roles[n]) for n in ground.roles)),
            proving=ground.proving,
            proven=ground.proven,
            masked=ground.masked,
        )
        for name, ground in grounds.items()
    }


def restored(grounds: Mapping[str, SavedGround], model: Model) -> dict[str, Ground]:
    """Return saved grounds in the numbers of `model`; roles that it does not know are left out."""
    numbers = {str(role): number for number, role in enumerate(model.roles)} if grounds else {}
    return {
        name: Ground(
            kind=ground.kind,
            roles=frozenset(numbers[text] for text in ground.roles if text in numbers),
            proving=ground.proving,
            proven=ground.proven,
            masked=ground.masked,
        )
        for name, ground in grounds.items()
    }


__all__ = ["Ground", "SavedGround", "ground_of", "restored", "saved"]
