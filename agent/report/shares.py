"""Whose the down seconds are: each second once, under the names of all to whom it is attributed. Pure."""

from collections import Counter
from collections.abc import Sequence

from agent.availability.seconds import Seconds, difference, intersection, total, union
from agent.incident.value import Incident
from agent.report.value import PartyRow, Shares

UNDETERMINED = "undetermined"


def shares(down: Seconds, incidents: Sequence[Incident], until: int, edge_seconds: int = 0) -> Shares:
    """Return the shares of the down seconds; incidents without a proven party count as undetermined.

    A second under an attributed and an undetermined incident is joint: `carrier+undetermined`. Seconds
    that no incident covers belong to one that begins or ended at most `edge_seconds` away: so far the
    slower probe of the service may lie behind the probes that the incident was found with.
    """
    counts: Counter[frozenset[str]] = Counter()
    for names, seconds in _cells(down, incidents, until, edge_seconds):
        counts[names] += total(seconds)
    parties = sorted({name for names in counts for name in names} - {UNDETERMINED})
    return Shares(
        parties=tuple(
            PartyRow(
                party=party,
                gross=sum(count for names, count in counts.items() if party in names),
                sole=counts[frozenset({party})],
            )
            for party in parties
        ),
        joint={"+".join(sorted(names)): counts[names] for names in sorted(counts, key=sorted) if len(names) > 1},
        undetermined=counts[frozenset({UNDETERMINED})],
        unexplained=counts[frozenset()],
    )


def covered(incident: Incident, until: int, edge_seconds: int = 0) -> Seconds:
    """Return the whole seconds of an incident, from its first bad observation to its first good one."""
    stop = until if incident.closed is None else int(incident.closed)
    return union(((int(incident.opened) - edge_seconds, stop + edge_seconds),))


def _cells(
    down: Seconds, incidents: Sequence[Incident], until: int, edge_seconds: int
) -> list[tuple[frozenset[str], Seconds]]:
    """Split the down seconds by the set of names that stand over them; the edges only where nothing else does."""
    exact = _split(down, incidents, until, 0)
    bare = union(*(seconds for names, seconds in exact if not names))
    return [cell for cell in exact if cell[0]] + _split(bare, incidents, until, edge_seconds)


def _split(
    down: Seconds, incidents: Sequence[Incident], until: int, edge_seconds: int
) -> list[tuple[frozenset[str], Seconds]]:
    cells: list[tuple[frozenset[str], Seconds]] = [(frozenset(), down)]
    for incident in incidents:
        own = covered(incident, until, edge_seconds)
        name = incident.party or UNDETERMINED
        split = [(names | {name}, intersection(seconds, own)) for names, seconds in cells]
        split += [(names, difference(seconds, own)) for names, seconds in cells]
        cells = [(names, seconds) for names, seconds in split if seconds]
    return cells
