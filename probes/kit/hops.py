"""The hops between us and a target, from answers to packets that died on the way. Pure.

What must stay true: a hop that did not answer is unknown, never bad: routers answer from their control
plane, at a rate of their own, or not at all. So nobody is accused by his own silence; only loss that
goes on to the target is loss.
"""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

import msgspec

SILENT: Final = "silent"
SPARING: Final = "answers sparingly"
LOSING: Final = "loss goes on to the end"
UNKNOWN: Final = "?"

Network = IPv4Network | IPv6Network
Row = dict[str, str | int | float | None]


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: to the packet of which `ttl`, by whom, after how many seconds; `end`: it is no router's on the way.

    `seconds` is None where the round trip is not known.
    """

    ttl: int
    address: str
    seconds: float | None = None
    end: bool = False
    labels: tuple[int, ...] = ()


class Hop(msgspec.Struct, frozen=True, kw_only=True):
    """What answered at one distance. `addresses`: several when packets of one flow are spread over routers."""

    ttl: int
    sent: int
    addresses: tuple[str, ...] = ()
    trips: tuple[float, ...] = ()
    answered: int = 0
    end: bool = False
    labels: tuple[int, ...] = ()

    @property
    def lost(self) -> float:
        """Return the share of packets without an answer, 0 to 1; without any packet there is no answer."""
        return 1 - self.answered / self.sent if self.sent else 1.0

    @property
    def median(self) -> float | None:
        """Return the (lower) median round trip in seconds, None without one."""
        return sorted(self.trips)[(len(self.trips) - 1) // 2] if self.trips else None


def hops(sent: Mapping[int, int], seen: Iterable[Seen]) -> tuple[Hop, ...]:
    """Return the hops by distance, up to where the path ends, or to the last that answered.

    `sent` maps each TTL to the number of packets that were sent with it. An answer counts once for a packet:
    who answers one twice has sent us a duplicate, which the caller leaves out.
    """
    answers: dict[int, list[Seen]] = {}
    for one in seen:
        answers.setdefault(one.ttl, []).append(one)
    ends = [ttl for ttl, found in answers.items() if any(one.end for one in found)]
    last = min(ends) if ends else max(answers, default=0)
    return tuple(_hop(ttl, sent[ttl], answers.get(ttl, [])) for ttl in sorted(sent) if ttl <= last)


def _hop(ttl: int, sent: int, found: Sequence[Seen]) -> Hop:
    return Hop(
        ttl=ttl,
        sent=sent,
        addresses=tuple(dict.fromkeys(one.address for one in found)),
        trips=tuple(one.seconds for one in found if one.seconds is not None),
        answered=len(found),
        end=any(one.end for one in found),
        labels=next((one.labels for one in found if one.labels), ()),
    )


def notes(table: Sequence[Hop]) -> tuple[str, ...]:
    """Return for each hop what its missing answers mean; "" where none is missing, or where it cannot be told."""
    reached = bool(table) and table[-1].end
    found: list[str] = []
    least = 1.0  # the smallest loss of the hops behind
    for hop in reversed(table):
        if not hop.answered:
            found.append(SILENT)
        elif hop.lost > least:
            found.append(SPARING)
        else:
            found.append(LOSING if hop.lost and reached else "")
        least = min(least, hop.lost)
    return tuple(reversed(found))


def change(before: Sequence[Hop], now: Sequence[Hop]) -> str:
    """Return the first difference between two views of a path in words, "" without one.

    Silence is no difference: a hop differs where both times somebody answered, and nobody both times.
    """
    for old, new in zip(before, now, strict=False):
        if old.addresses and new.addresses and not set(old.addresses) & set(new.addresses):
            return f"hop {new.ttl} was {_listed(old)}, is {_listed(new)}"
    if before and now and before[-1].end and now[-1].end and len(before) != len(now):
        return f"the end was at hop {len(before)}, is at hop {len(now)}"
    return ""


def remembered(before: Sequence[Hop], now: Sequence[Hop], *, changed: bool) -> tuple[Hop, ...]:
    """Return the path to compare the next view with: hops that are silent now are known from before.

    A view that does not reach the end keeps what is known behind it, unless the path has `changed`.
    """
    if changed:
        return tuple(now)
    merged = [new if new.addresses else old for old, new in zip(before, now, strict=False)]
    if len(now) > len(before):
        return (*merged, *now[len(before) :])
    return (*merged, *(() if now and now[-1].end else before[len(now) :]))


def networks(prefixes: Mapping[str, Sequence[str]]) -> tuple[tuple[Network, str], ...]:
    """Return (prefix, name) with the longest prefixes first; ValueError names a prefix that is none."""
    found: list[tuple[Network, str]] = []
    for name, texts in prefixes.items():
        for text in texts:
            try:
                found.append((ip_network(text), name))
            except ValueError as error:
                raise ValueError(f"{error}; write such as 10.20.0.0/16 or 2001:db8::/32") from None
    seen: dict[Network, str] = {}
    for network, name in found:
        if seen.setdefault(network, name) != name:
            raise ValueError(f"{network} stands at {seen[network]} and at {name}")
    return tuple(sorted(found, key=lambda row: -row[0].prefixlen))


def name_of(address: str, known: Sequence[tuple[Network, str]]) -> str:
    """Return the name of the longest prefix that holds `address`, "" when none does."""
    where = ip_address(address.split("%", 1)[0])
    return next((name for network, name in known if where in network), "")


def rows(table: Sequence[Hop], known: Sequence[tuple[Network, str]]) -> tuple[Row, ...]:
    """Return the table for people and programs, a row for each hop."""
    return tuple(
        {
            "hop": hop.ttl,
            "address": ", ".join(hop.addresses) or None,
            "segment": ", ".join(names(hop, known)) or None,
            "median_seconds": hop.median,
            "sent": hop.sent,
            "lost": hop.sent - hop.answered,
            "mpls": " ".join(map(str, hop.labels)) or None,
            "note": note or None,
        }
        for hop, note in zip(table, notes(table), strict=True)
    )


def names(hop: Hop, known: Sequence[tuple[Network, str]]) -> tuple[str, ...]:
    """Return the names of a hop's addresses, each once, UNKNOWN for those without; none where no prefix is known."""
    return tuple(dict.fromkeys(name_of(address, known) or UNKNOWN for address in hop.addresses)) if known else ()


def described(table: Sequence[Hop], known: Sequence[tuple[Network, str]]) -> str:
    """Return the path on one line: addresses with their segments, `*` for silent hops."""
    parts = []
    for hop in table:
        name = "/".join(names(hop, known))
        parts.append(_listed(hop) + (f" ({name})" if name else ""))
    return " > ".join(parts) or "no hop answered"


def _listed(hop: Hop) -> str:
    return "|".join(hop.addresses) or "*"
