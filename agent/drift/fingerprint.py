"""Facts within bounds, whatever a network or a neighbour process has put into them.

What must stay true: equal facts give equal results, and what differs anywhere differs in the result, since what is
cut off leaves its digest.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

# A gateway with eight connections of one child tells about 200 facts.
MOST_FACTS: Final = 256
NAME_LENGTH: Final = 100
VALUE_LENGTH: Final = 200
OTHERS: Final = "other facts"


def bounded(facts: Mapping[str, str]) -> dict[str, str]:
    """Return facts with printable ASCII names and printable values, sorted; what is too much as one digest."""
    found = {_name(name): _value(facts[name]) for name in sorted(facts) if facts[name]}
    if len(found) <= MOST_FACTS:
        return found
    names = sorted(found)
    rest = "\0".join(f"{name}\0{found[name]}" for name in names[MOST_FACTS - 1 :])
    kept = {name: found[name] for name in names[: MOST_FACTS - 1]}
    return kept | {OTHERS: f"{len(names) - len(kept)} more, sha256:{_digest(rest)}"}


def _name(name: str) -> str:
    plain = "".join(c if " " <= c <= "~" else "?" for c in name) or "?"
    if plain == name and len(name) <= NAME_LENGTH:
        return name
    return f"{plain[: NAME_LENGTH - 17]}#{_digest(name)[:16]}"


def _value(value: str) -> str:
    plain = "".join(c if c.isprintable() else "?" for c in value)
    if plain == value and len(value) <= VALUE_LENGTH:
        return value
    return f"{plain[: VALUE_LENGTH - 42]}... sha256:{_digest(value)[:31]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
