"""What the dashboards are made of: panels as data, joins, colours and expressions that several panels share.

Every expression must give data from a healthy agent that has the probe types in question, or its panel say by
`none` what it means that there is none. One-second results are counted, never sampled.
"""

from typing import NamedTuple

# Joins: a series of one agent gets its vantage, a segment its party and side.
VANTAGE = '* on (instance) group_left (vantage) demarc_agent_info{vantage=~"$vantage"}'
OWNED = '* on (instance, segment) group_left (party, side) demarc_segment_info{party=~"$party", side=~"$side"}'
# A probe's series only when a segment of the chosen parties and sides is on its path.
WATCHED = (
    "* on (instance, probe) group_left () group by (instance, probe) (demarc_probe_segment_info "
    '* on (instance, segment) group_left () demarc_segment_info{party=~"$party", side=~"$side"})'
)
# An undetermined incident has no party; it is everybody's business until it has one.
PARTY = 'party=~"$party|"'

Mapping = tuple[tuple[int, str, str], ...]

GREY, GREEN, BLUE, YELLOW, ORANGE, RED = "#8e8e8e", "#3a9d5d", "#5794f2", "#f2cc0c", "#ff9830", "#e02f44"
SEGMENTS: Mapping = (
    (0, "unknown", GREY),
    (1, "ok", GREEN),
    (2, "degraded", YELLOW),
    (3, "masked", BLUE),
    (4, "suspected", ORANGE),
    (5, "failed", RED),
)
SERVICES: Mapping = (
    (0, "unobserved", GREY),
    (1, "up", GREEN),
    (2, "excused", BLUE),
    (3, "degraded", YELLOW),
    (4, "down", RED),
)
NONE_IS_GOOD: Mapping = ((0, "none", GREEN),)
YES_NO: Mapping = ((0, "no", RED), (1, "yes", GREEN))


class Query(NamedTuple):
    """One expression and how its series are called."""

    expression: str
    legend: str = ""


def by_probe(expression: str, more: str = "") -> Query:
    """Return a query of probes' series, each called by its vantage, its probe and `more`."""
    return Query(f"{expression} {VANTAGE}", f"{{{{vantage}}}} {{{{probe}}}} {more}".rstrip())


class Panel(NamedTuple):
    """One panel. `kind`: stat, states, lines, table; `width` of 24 columns; `none` is shown without data."""

    title: str
    kind: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 12
    height: int = 8
    mapping: Mapping = ()
    none: str = ""
    top: float | None = None


class Board(NamedTuple):
    """One dashboard. `variables` follow the data source: name, label, query."""

    uid: str
    title: str
    description: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    variables: tuple[tuple[str, str, str], ...]


COMMON = (
    ("vantage", "Vantage", "label_values(demarc_agent_info, vantage)"),
    ("party", "Party", "label_values(demarc_segment_info, party)"),
    ("side", "Side", "label_values(demarc_segment_info, side)"),
)


def worst(metric: str, states: Mapping, by: str, join: str = "") -> str:
    """Return the expression that gives each thing the number of its worst state, over all agents.

    `join` is applied to each agent's own series, since two agents may have different chains for a while.
    """
    parts = [f'{metric}{{state="{name}"}} * {number}' for number, name, _ in states]
    return f"max by ({by}) (({' or '.join(parts)}) {join})"


def share(outcome: str, of: str, join: str = VANTAGE) -> str:
    """Return the share of results with an outcome, by vantage and probe."""
    counted = "demarc_probe_results_total{{{0}}}[$__rate_interval]"
    return (
        f"sum by (vantage, probe) (rate({counted.format(outcome)}) {join}) / "
        f"sum by (vantage, probe) (rate({counted.format(of)}) {join})"
    )


def quantile(rank: float, buckets: str, by: str, join: str) -> str:
    """Return a quantile of a histogram's recent values, by labels of the join."""
    return f"histogram_quantile({rank}, sum by (le, {by}) (rate({buckets}[$__rate_interval]) {join}))"


def excess(metric: str) -> Query:
    """Return what open incidents show beyond the usual, by incident: of the path, and of the party that is named."""
    named = f"group_left (party) demarc_incident_open{{{PARTY}}}"
    return Query(
        f"max by (incident, of, party) ({metric} * on (instance, incident) {named})", "{{of}} {{party}} {{incident}}"
    )
