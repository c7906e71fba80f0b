"""Whose the down seconds are: each second once, under the names of all to whom it is attributed. Pure."""

from collections import Counter
from collections.abc import Sequence

from agent.availability.seconds import Seconds, difference, intersection, total
from agent.incident.value import Incident
from agent.report.value import PartyRow, Shares

UNDETERMINED = "undetermined"


def shares(down: Seconds, incidents: Sequence[Incident], until: int) -> Shares:
    """Return the shares of the down seconds; incidents without a proven party count as undetermined.

    A second under an attributed and an undetermined incident is joint: `carrier+undetermined`.
    """
    counts: Counter[frozenset[str]] = Counter()
    for names, seconds in _cells(down, incidents, until):
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


def _cells(down: Seconds, incidents: Sequence[Incident], until: int) -> list[tuple[frozenset[str], Seconds]]:
    """Split the down seconds by the set of names that stand over them."""
    cells: list[tuple[frozenset[str], Seconds]] = [(frozenset(), down)]
    for incident in incidents:
        own: Seconds = ((int(incident.opened), until if incident.closed is None else int(incident.closed)),)
        name = incident.party or UNDETERMINED
        split = [(names | {name}, intersection(seconds, own)) for names, seconds in cells]
        split += [(names, difference(seconds, own)) for names, seconds in cells]
        cells = [(names, seconds) for names, seconds in split if seconds]
    return cells
