"""What the dashboard *Chain* shows, as data: rows of panels, each with its expressions, unit and words.

Every expression must give data from a healthy agent that has the probe types in question, or say by
`none` what it means that there is none. One-second results are counted, never sampled.
"""

from typing import NamedTuple

# Joins: a series of one agent gets its vantage, a segment its party and side.
VANTAGE = '* on (instance) group_left (vantage) demarc_agent_info{vantage=~"$vantage"}'
OWNED = '* on (instance, segment) group_left (party, side) demarc_segment_info{party=~"$party", side=~"$side"}'
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


def worst(metric: str, states: Mapping, by: str, join: str = "") -> str:
    """Return the expression that gives each thing the number of its worst state, over all agents.

    `join` is applied to each agent's own series, since two agents may have different chains for a while.
    """
    parts = [f'{metric}{{state="{name}"}} * {number}' for number, name, _ in states]
    return f"max by ({by}) (({' or '.join(parts)}) {join})"


def share(outcome: str, of: str) -> str:
    """Return the share of results with an outcome, by vantage and probe."""
    counted = "demarc_probe_results_total{{{0}}}[$__rate_interval]"
    return (
        f"sum by (vantage, probe) (rate({counted.format(outcome)}) {VANTAGE}) / "
        f"sum by (vantage, probe) (rate({counted.format(of)}) {VANTAGE})"
    )


NOW = (
    Panel(
        "Open incidents",
        "stat",
        "Confirmed incidents that are open. Suspicions are not counted.",
        (Query(f"count(group by (incident) (demarc_incident_open{{{PARTY}}})) or vector(0)"),),
        width=4,
        height=4,
        mapping=NONE_IS_GOOD,
    ),
    Panel(
        "Suspicions",
        "stat",
        "Failures whose confirmation is under way; nobody is paged for them.",
        (Query("max(demarc_incidents_suspected)"),),
        width=4,
        height=4,
        mapping=NONE_IS_GOOD,
    ),
    Panel(
        "Services not up",
        "stat",
        "Services that are down or degraded.",
        (Query('count(max by (svc) (demarc_service_state{state=~"down|degraded"}) == 1) or vector(0)'),),
        width=4,
        height=4,
        mapping=NONE_IS_GOOD,
    ),
    Panel(
        "Vantages that measure",
        "stat",
        "Agents with at least one result that is not unknown. Compare with the number that should.",
        (
            Query(
                "count(sum by (instance) (rate(demarc_probe_results_total"
                '{outcome!="unknown", probe!="self"}[$__rate_interval])) > 0) or vector(0)'
            ),
        ),
        width=4,
        height=4,
    ),
    Panel(
        "Recording",
        "stat",
        "Whether every agent's ledger and store take entries.",
        (Query("min(demarc_ledger_recording) * min(demarc_store_recording)"),),
        width=4,
        height=4,
        mapping=YES_NO,
    ),
    Panel(
        "Alertmanager hears us",
        "stat",
        "Whether every agent that has an Alertmanager reaches one. Prometheus speaks for those that do not.",
        (Query("min(demarc_notify_up)"),),
        width=4,
        height=4,
        mapping=YES_NO,
        none="not configured",
    ),
    Panel(
        "Incidents",
        "table",
        "One line for each segment of each open incident. Without a party none is proven.",
        (
            Query(
                "max by (incident, kind, party, side, segment) (demarc_incident_segment_info "
                f"* on (instance, incident) group_left (kind, party, side) demarc_incident_open{{{PARTY}}})"
            ),
        ),
        width=24,
        height=6,
        none="no incident is open",
    ),
)
CHAIN = (
    Panel(
        "Segments",
        "states",
        "Each segment's worst state over all agents. A gap means that no agent was scraped.",
        (Query(worst("demarc_segment_state", SEGMENTS, "segment, party, side", OWNED), "{{segment}} ({{party}})"),),
        width=24,
        height=11,
        mapping=SEGMENTS,
    ),
    Panel(
        "Services",
        "states",
        "Each service's worst state over all agents, by the time rules of the contract.",
        (Query(worst("demarc_service_state", SERVICES, "svc"), "{{svc}}"),),
        width=24,
        height=6,
        mapping=SERVICES,
    ),
)
SPEED = (
    Panel(
        "Phases of the last attempt",
        "lines",
        "Only phases that were reached. Not a mean: the last result before each scrape.",
        (Query(f"demarc_probe_phase_seconds {VANTAGE}", "{{vantage}} {{probe}} {{phase}}"),),
        unit="s",
        height=9,
    ),
    Panel(
        "Duration, 95th percentile",
        "lines",
        "Of all attempts, failed ones included; above 2.5 s it reads 2.5 s.",
        (
            Query(
                "histogram_quantile(0.95, sum by (le, vantage, probe) "
                f"(rate(demarc_probe_duration_seconds_bucket[$__rate_interval]) {VANTAGE}))",
                "{{vantage}} {{probe}}",
            ),
        ),
        unit="s",
        height=9,
    ),
    Panel(
        "Failed, of those that looked",
        "lines",
        "Share of failed results among all but the unknown ones.",
        (Query(share('outcome="failed"', 'outcome!="unknown"'), "{{vantage}} {{probe}}"),),
        unit="percentunit",
        top=1.0,
    ),
    Panel(
        "Could not look",
        "lines",
        "Share of unknown results: neither good nor bad.",
        (Query(share('outcome="unknown"', ""), "{{vantage}} {{probe}}"),),
        unit="percentunit",
        top=1.0,
    ),
)
LINE = (
    Panel(
        "VPN: children established of those configured",
        "lines",
        "By the VPN daemon's word; whether packets pass is what probes through the tunnel show.",
        (
            Query(
                f"(demarc_vpn_children_established / demarc_vpn_children_configured) {VANTAGE}", "{{vantage}} {{probe}}"
            ),
        ),
        unit="percentunit",
        width=8,
        none="no VPN probe",
        top=1.0,
    ),
    Panel(
        "VPN: next rekeying",
        "lines",
        "Time until the next child SA is due.",
        (Query(f"demarc_vpn_rekey_seconds {VANTAGE}", "{{vantage}} {{probe}}"),),
        unit="s",
        width=8,
        none="no VPN probe",
    ),
    Panel(
        "Entra: age of the last synchronisation",
        "lines",
        "Now, less the moment that Microsoft gives as the last synchronisation.",
        (Query(f"time() - demarc_entra_last_sync_timestamp_seconds {VANTAGE}", "{{vantage}} {{probe}}"),),
        unit="s",
        width=8,
        none="no Entra probe",
    ),
)
AGENTS = (
    Panel(
        "Scheduler lag, 99th percentile",
        "lines",
        "How late probes start. Above 250 ms the host is too busy to be believed.",
        (
            Query(
                "histogram_quantile(0.99, sum by (le, vantage) "
                f"(rate(demarc_scheduler_lag_seconds_bucket[$__rate_interval]) {VANTAGE}))",
                "{{vantage}}",
            ),
        ),
        unit="s",
        width=8,
    ),
    Panel(
        "Processor",
        "lines",
        "Of one core.",
        (Query(f"rate(process_cpu_seconds_total[$__rate_interval]) {VANTAGE}", "{{vantage}}"),),
        unit="percentunit",
        width=8,
    ),
    Panel(
        "Memory",
        "lines",
        "Resident memory of the agent's process.",
        (Query(f"process_resident_memory_bytes {VANTAGE}", "{{vantage}}"),),
        unit="bytes",
        width=8,
    ),
)
ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    ("Now", NOW),
    ("The chain", CHAIN),
    ("Where it is slow", SPEED),
    ("VPN and identity", LINE),
    ("The agents themselves", AGENTS),
)
