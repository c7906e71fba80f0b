"""The dashboard *Chain*: is the chain up, where is it slow, what changed."""

from parts import (
    COMMON,
    NONE_IS_GOOD,
    OWNED,
    PARTY,
    SEGMENTS,
    SERVICES,
    VANTAGE,
    YES_NO,
    Board,
    Panel,
    Query,
    quantile,
    share,
    worst,
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
                quantile(0.95, "demarc_probe_duration_seconds_bucket", "vantage, probe", VANTAGE),
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
        "VPN: tunnels established of those configured",
        "lines",
        "By the gateway's word, of every kind of VPN; whether packets pass is what probes through the tunnel show.",
        (
            Query(
                f"(demarc_vpn_tunnels_established / clamp_min(demarc_vpn_tunnels_configured, 1)) {VANTAGE}",
                "{{vantage}} {{probe}}",
            ),
        ),
        unit="percentunit",
        width=8,
        none="no VPN probe",
        top=1.0,
    ),
    Panel(
        "VPN: received",
        "lines",
        "Through the tunnels, by their gateways' counters, across rekeys.",
        (Query(f"rate(demarc_vpn_received_bytes_total[$__rate_interval]) {VANTAGE}", "{{vantage}} {{probe}}"),),
        unit="Bps",
        width=8,
        none="no VPN probe that counts bytes",
    ),
    Panel(
        "VPN: sent, and nothing came back",
        "lines",
        "For how long a tunnel has been sending without hearing anything. Idle tunnels stay at 0.",
        (Query(f"demarc_vpn_unanswered_seconds {VANTAGE}", "{{vantage}} {{probe}}"),),
        unit="s",
        width=8,
        none="no VPN probe",
    ),
    Panel(
        "VPN: age of the keys",
        "lines",
        "Since the youngest tunnel's present keys were agreed: a tunnel that flaps never gets old.",
        (Query(f"demarc_vpn_established_seconds {VANTAGE}", "{{vantage}} {{probe}}"),),
        unit="s",
        width=8,
        none="no VPN probe",
    ),
    Panel(
        "VPN: next rekeying",
        "lines",
        "Time until the next tunnel is due for new keys.",
        (Query(f"demarc_vpn_rekey_seconds {VANTAGE}", "{{vantage}} {{probe}}"),),
        unit="s",
        width=8,
        none="no VPN probe",
    ),
)
IDENTITY = (
    Panel(
        "Entra: age of the last synchronisation",
        "lines",
        "Now, less the moments that Microsoft gives as the last synchronisation, of the directory and of passwords.",
        (
            Query(f"time() - demarc_entra_last_sync_timestamp_seconds {VANTAGE}", "{{vantage}} {{probe}}"),
            Query(f"time() - demarc_entra_last_password_sync_timestamp_seconds {VANTAGE}", "{{vantage}} {{probe}}"),
        ),
        unit="s",
        width=8,
        none="no Entra probe",
    ),
    Panel(
        "Entra: objects in error",
        "lines",
        "Objects that the directory could not take over as they are: duplicate names and mail addresses.",
        (Query(f"demarc_entra_object_errors {VANTAGE}", "{{vantage}} {{probe}}"),),
        width=8,
        none="nobody counts them",
    ),
    Panel(
        "Entra: until our credential ends",
        "lines",
        "After that the Entra probes are blind.",
        (Query(f"demarc_entra_credential_expiry_timestamp_seconds {VANTAGE} - time()", "{{vantage}} {{probe}}"),),
        unit="s",
        width=8,
        none="not known",
    ),
    Panel(
        "Connect server: ages",
        "lines",
        "By its own word: since the last run that did not fail, since passwords were last synchronised, and since its "
        "collector wrote; beyond 15 minutes of the last one the others are not known.",
        (
            Query(f"demarc_adsync_run_age_seconds {VANTAGE}", "{{vantage}} {{probe}} run"),
            Query(f"demarc_adsync_password_age_seconds {VANTAGE}", "{{vantage}} {{probe}} passwords"),
            Query(f"demarc_adsync_collector_age_seconds {VANTAGE}", "{{vantage}} {{probe}} collector"),
        ),
        unit="s",
        width=8,
        none="no adsync probe",
    ),
    Panel(
        "Connect server: what is not in order",
        "lines",
        "Of service, scheduler, staging, runs, passwords, certificate and version; the status page names it.",
        (Query(f"demarc_adsync_findings {VANTAGE}", "{{vantage}} {{probe}}"),),
        width=8,
        none="no adsync probe",
    ),
    Panel(
        "Domain controllers that answer",
        "lines",
        "Of those that the domain announces. One of two costs users time; none is a disturbance.",
        (
            Query(
                f"(demarc_ad_controllers_answering / clamp_min(demarc_ad_controllers, 1)) {VANTAGE}",
                "{{vantage}} {{probe}}",
            ),
        ),
        unit="percentunit",
        width=8,
        none="no ad probe of a whole domain",
        top=1.0,
    ),
    Panel(
        "Controllers' clocks",
        "lines",
        "Ahead of this vantage's. Kerberos refuses beyond 5 minutes.",
        (Query(f"demarc_ad_clock_offset_seconds {VANTAGE}", "{{vantage}} {{probe}}"),),
        unit="s",
        width=8,
        none="no ad probe that tells the time",
    ),
    Panel(
        "The site's exit: Microsoft's addresses reached",
        "lines",
        "Of those asked for through the site's proxy.",
        (
            Query(
                f"(demarc_entra_endpoints_reached / clamp_min(demarc_entra_endpoints_asked, 1)) {VANTAGE}",
                "{{vantage}} {{probe}}",
            ),
        ),
        unit="percentunit",
        width=8,
        none="no entra_endpoints probe",
        top=1.0,
    ),
    Panel(
        "Microsoft's own word of its sign-in service",
        "lines",
        "Its open issues, of its own origin. A witness, no oracle: they need not touch this tenant.",
        (Query(f"demarc_entra_service_issues_microsoft {VANTAGE}", "{{vantage}} {{probe}}"),),
        width=8,
        none="none reported, or nobody asks",
    ),
    Panel(
        "Cloud Sync: age of the last run",
        "lines",
        "Of the job that ran longest ago.",
        (
            Query(
                f"time() - demarc_entra_cloud_sync_last_run_timestamp_seconds {VANTAGE}",
                "{{vantage}} {{probe}}",
            ),
        ),
        unit="s",
        width=8,
        none="no entra_cloud_sync probe",
    ),
    Panel(
        "Cloud Sync: jobs in quarantine",
        "lines",
        "The probe's detail names the reason, and so whose move it is.",
        (Query(f"demarc_entra_cloud_sync_quarantined {VANTAGE}", "{{vantage}} {{probe}}"),),
        width=8,
        none="no entra_cloud_sync probe",
    ),
)
AGENTS = (
    Panel(
        "Scheduler lag, 99th percentile",
        "lines",
        "How late probes start. Above 250 ms the host is too busy to be believed.",
        (Query(quantile(0.99, "demarc_scheduler_lag_seconds_bucket", "vantage", VANTAGE), "{{vantage}}"),),
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
    Panel(
        "Ledger: age of what a witness has not cosigned",
        "lines",
        "Until then only the operator of the agent vouches for it. An hour, or the witness's term, is too long.",
        (Query(f"(time() - demarc_ledger_uncosigned_timestamp_seconds) {VANTAGE}", "{{vantage}} by {{peer}}"),),
        unit="s",
        width=8,
        none="all is cosigned",
    ),
    Panel(
        "Ledger: last cosigned, ago",
        "lines",
        "Since a witness of another party last signed for an agent's ledger.",
        (Query(f"(time() - demarc_ledger_cosigned_timestamp_seconds) {VANTAGE}", "{{vantage}} by {{peer}}"),),
        unit="s",
        width=8,
        none="no witness yet",
    ),
    Panel(
        "Ledger: witnesses that are silent, or show two histories",
        "stat",
        "Witnesses that have not cosigned in time, and ledgers that contradict themselves.",
        (
            Query(
                f"count(demarc_ledger_cosigning {VANTAGE} == 0 or demarc_ledger_conflict {VANTAGE} == 1) or vector(0)"
            ),
        ),
        width=8,
        mapping=NONE_IS_GOOD,
    ),
)
ROWS = (
    ("Now", NOW),
    ("The chain", CHAIN),
    ("Where it is slow", SPEED),
    ("VPN", LINE),
    ("Identity", IDENTITY),
    ("The agents themselves", AGENTS),
)
BOARD = Board("demarc-chain", "demarc / Chain", "Is the chain up, where is it slow, what changed.", ROWS, COMMON)
