"""What every entry of the ledger has in common. FORMAT.md, section Kinds. Pure."""

from typing import Annotated, TypeAlias

import msgspec

Hash: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Details: TypeAlias = dict[str, Hash]


class Entry(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="kind"
):
    """Every entry has the time when it was written, and may bind erasable details by name."""

    time: int
    details: Details = {}


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An object within an entry: absent means empty here too."""
