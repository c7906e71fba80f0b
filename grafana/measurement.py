"""The dashboard *Measurement*: what each probe measures, what that says of each segment, and what measuring costs.

It has the variables of *Chain* and one more for probes; a party or side chooses the probes whose path it is on.
"""

from parts import COMMON, NONE_IS_GOOD, OWNED, VANTAGE, WATCHED, Board, Panel, Query, quantile, share

PROBE = "{{vantage}} {{probe}}"
CHOSEN = f"{VANTAGE} {WATCHED}"
NAMED = 'probe=~"$probe"'
ANSWERS = 'demarc_probe_segment_info{role="answers"}'
# A probe's series, by the segment that answers it.
OF_SEGMENT = f"* on (instance, probe) group_left (segment) {ANSWERS} {OWNED}"


def lines(title: str, description: str, *queries: Query, unit: str = "s", none: str = "", width: int = 12) -> Panel:
    """Return a panel of lines."""
    top = 1.0 if unit == "percentunit" and "core" not in description else None
    return Panel(title, "lines", description, queries, unit, width, 8, none=none, top=top)


def kept(metric: str) -> Query:
    """Return a metric of the chosen probes as it is."""
    return Query(f"{metric}{{{NAMED}}} {CHOSEN}", PROBE)


def rate(metric: str, labels: str = "", legend: str = "{{vantage}}") -> Query:
    """Return how fast a counter of each agent rises."""
    return Query(f"rate({metric}{labels}[$__rate_interval]) {VANTAGE}", legend)


def counted(outcomes: str) -> str:
    """Return how fast each probe of each agent has such results."""
    series = f'demarc_probe_results_total{{{NAMED}, outcome=~"{outcomes}"}}'
    return f"sum by (instance, probe) (rate({series}[$__rate_interval]))"


DURATIONS = f"demarc_probe_duration_seconds_bucket{{{NAMED}}}"
EACH_PROBE = (
    lines(
        "Duration, median",
        "Of all attempts, failed ones included.",
        Query(quantile(0.5, DURATIONS, "vantage, probe", CHOSEN), PROBE),
    ),
    lines(
        "Duration, 99th percentile",
        "Of all attempts, failed ones included; above 2.5 s it reads 2.5 s.",
        Query(quantile(0.99, DURATIONS, "vantage, probe", CHOSEN), PROBE),
    ),
    lines(
        "Phases of the last attempt",
        "Only phases that were reached. Not a mean: the last result before each scrape.",
        Query(f"demarc_probe_phase_seconds{{{NAMED}}} {CHOSEN}", PROBE + " {{phase}}"),
    ),
    lines(
        "Failed, of those that looked",
        "Share of failed results among all but the unknown ones.",
        Query(share(f'{NAMED}, outcome="failed"', f'{NAMED}, outcome!="unknown"', CHOSEN), PROBE),
        unit="percentunit",
    ),
    lines(
        "Why not ok",
        "Results a second that were not ok, by fault; unknown ones say why we could not look.",
        Query(f"rate(demarc_probe_faults_total{{{NAMED}}}[$__rate_interval]) {CHOSEN}", PROBE + " {{fault}}"),
        unit="ops",
        none="every result was ok",
    ),
    lines(
        "Could not look",
        "Share of unknown results: neither good nor bad.",
        Query(share(f'{NAMED}, outcome="unknown"', NAMED, CHOSEN), PROBE),
        unit="percentunit",
    ),
)
PACKETS = (
    lines(
        "Loss in the last burst",
        "Share of echoes without a reply; the next panel says between which bounds it lies.",
        kept("demarc_icmp_loss_ratio"),
        unit="percentunit",
        none="no icmp probe with bursts",
        width=8,
    ),
    lines(
        "Loss, bounds",
        "The 95 % interval (Wilson) of that share: a burst of ten echoes proves little.",
        Query(f"demarc_icmp_loss_ratio_low{{{NAMED}}} {CHOSEN}", PROBE + " low"),
        Query(f"demarc_icmp_loss_ratio_high{{{NAMED}}} {CHOSEN}", PROBE + " high"),
        unit="percentunit",
        none="no icmp probe with bursts",
        width=8,
    ),
    lines(
        "Jitter",
        "Of the round trips, smoothed over attempts (RFC 3550).",
        kept("demarc_icmp_jitter_seconds"),
        none="no icmp probe",
        width=8,
    ),
    lines(
        "Handshake by the kernel's clock",
        "SYN to SYN-ACK; absent after a lost SYN.",
        kept("demarc_tcp_handshake_seconds"),
        none="no tcp probe",
    ),
    lines(
        "SYNs sent again",
        "In the last attempt: a lost packet that a connection hides by waiting a second.",
        kept("demarc_tcp_syn_retransmits"),
        unit="short",
        none="no tcp probe",
    ),
)
EACH_SEGMENT = (
    lines(
        "Duration by the segment that answers, 95th percentile",
        "Of all probes that the segment answers, by the slowest of them; what lies before it counts too.",
        Query(
            "max by (segment, party, side) (histogram_quantile(0.95, sum by (le, instance, probe) "
            f"(rate({DURATIONS}[$__rate_interval]))) {OF_SEGMENT})",
            "{{segment}} ({{party}})",
        ),
    ),
    lines(
        "Failed by the segment that answers",
        "Share of failed results among those that looked, by the worst of its probes. No word on whose fault it is.",
        Query(
            f"max by (segment, party, side) (({counted('failed')} / {counted('ok|degraded|failed')}) {OF_SEGMENT})",
            "{{segment}} ({{party}})",
        ),
        unit="percentunit",
    ),
)
ITSELF = (
    lines(
        "How late probes start",
        "Median and 99th percentile. Above 250 ms the host is too busy to be believed.",
        Query(quantile(0.5, "demarc_scheduler_lag_seconds_bucket", "vantage", VANTAGE), "{{vantage}} median"),
        Query(quantile(0.99, "demarc_scheduler_lag_seconds_bucket", "vantage", VANTAGE), "{{vantage}} p99"),
        width=8,
    ),
    lines(
        "Runs left out",
        "Runs a second that were missed after a standstill, or refused because too many attempts were under way.",
        rate("demarc_scheduler_missed_total", legend="{{vantage}} missed"),
        rate("demarc_attempts_refused_total", legend="{{vantage}} refused"),
        unit="ops",
        width=8,
    ),
    lines(
        "Self-check: what it found",
        "Self-checks a second that failed, by fault; that vantage's rounds are unknown meanwhile.",
        rate("demarc_probe_faults_total", '{probe="self"}', "{{vantage}} {{fault}}"),
        unit="ops",
        none="nothing",
        width=8,
    ),
    lines(
        "Processor taken by the hypervisor",
        "Share since the check before.",
        Query(f"demarc_self_cpu_steal_ratio {VANTAGE}", "{{vantage}}"),
        unit="percentunit",
        none="not told by this kernel",
        width=8,
    ),
    lines(
        "Clocks",
        "The most by which each host's clock may be wrong, and how far its peers' clocks are ahead of it.",
        Query(f"demarc_self_clock_error_seconds {VANTAGE}", "{{vantage}} error"),
        Query(f"demarc_peer_clock_offset_seconds {VANTAGE}", "{{vantage}}: {{peer}} ahead"),
        width=8,
    ),
    lines(
        "Host changes",
        "Links, addresses and routes that the kernel told of, a second.",
        rate("demarc_host_events_total"),
        unit="ops",
        width=8,
    ),
    Panel(
        "Defects of the agents",
        "stat",
        "Errors in probes and sinks and standstills of the loop in the shown time.",
        (
            Query(
                "sum(increase(demarc_probe_bugs_total[$__range])) + sum(increase(demarc_loop_stalls_total[$__range])) "
                "+ sum(increase(demarc_sink_errors_total[$__range]))"
            ),
        ),
        width=8,
        height=6,
        mapping=NONE_IS_GOOD,
    ),
    lines(
        "Confirmations",
        "Confirmations begun a second: failures that were looked at again at once.",
        rate("demarc_confirmations_total"),
        unit="ops",
        width=8,
    ),
    lines(
        "Waiting to be stored",
        "Observations in the queue of the store.",
        Query(f"demarc_store_queued {VANTAGE}", "{{vantage}}"),
        unit="short",
        width=8,
    ),
)
COST = (
    lines(
        "Processor",
        "Of one core: the whole agent, and its scrapes' part of it.",
        rate("process_cpu_seconds_total", legend="{{vantage}}"),
        rate("demarc_exposition_cpu_seconds_total", legend="{{vantage}} scrapes"),
        unit="percentunit",
        width=8,
    ),
    lines(
        "Scrapes, as Prometheus sees them",
        "From asking to the last byte.",
        Query(f"scrape_duration_seconds {VANTAGE}", "{{vantage}}"),
        width=8,
    ),
    lines(
        "Series",
        "Samples in a scrape.",
        Query(f"scrape_samples_scraped {VANTAGE}", "{{vantage}}"),
        unit="short",
        width=8,
    ),
    lines(
        "Memory",
        "Resident memory of the agent's process.",
        Query(f"process_resident_memory_bytes {VANTAGE}", "{{vantage}}"),
        unit="bytes",
        width=8,
    ),
    lines(
        "On disk",
        "The signed record, and the observations that reports are made from.",
        Query(f"demarc_ledger_bytes {VANTAGE}", "{{vantage}} ledger"),
        Query(f"demarc_store_bytes {VANTAGE}", "{{vantage}} store"),
        unit="bytes",
        width=8,
    ),
    lines(
        "File descriptors",
        "Open, of those that may be.",
        Query(f"process_open_fds / process_max_fds {VANTAGE}", "{{vantage}}"),
        unit="percentunit",
        width=8,
    ),
)
ROWS = (
    ("Each probe", EACH_PROBE),
    ("Packets", PACKETS),
    ("Each segment", EACH_SEGMENT),
    ("Measuring itself", ITSELF),
    ("What it costs", COST),
)
BOARD = Board(
    "demarc-measurement",
    "demarc / Measurement",
    "What each probe measures, how well the agents measure, and what that costs.",
    ROWS,
    (*COMMON, ("probe", "Probe", "label_values(demarc_probe_info, probe)")),
)
