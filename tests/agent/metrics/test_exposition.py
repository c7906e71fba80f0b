"""The exposition keeps the contract: names, labels, what is absent, what is pre-created."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from agent.incident.value import Event, Incident, State, Transition
from agent.metrics import Exposition, Metrics
from agent.metrics.negotiation import OPENMETRICS, PLAIN
from agent.metrics.record import SINKS
from agent.metrics.view import Running
from agent.observation import SELF, Observation
from agent.snapshot import PeerNow, Recording
from probes.kit.result import Outcome
from probes.kit.spec import Metric
from tests.agent.samples import CARRIER, CHAIN, HEALTHY, LOSSY, NOW, RECOVERING, SLOW, SNAPSHOTS

AGE = Metric("sync_age_seconds", "Age of the last synchronisation.")
SENT = Metric("sent_bytes_total", "Bytes sent.", counter=True)
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class HandClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def boot(self) -> float:
        """Return the boot time."""
        return self.now

    def wall(self) -> float:
        """Return the wall time."""
        return NOW + self.now


def seen(probe: str = "erp", outcome: Outcome = Outcome.OK, **more: object) -> Observation:
    """Return an observation of the cloud vantage."""
    values: dict[str, object] = {"seconds": 0.02, "phases": {"connect": 0.005, "answer": 0.015}, **more}
    return Observation(time=NOW, round=1, vantage="cloud", probe=probe, outcome=outcome, **values)  # type: ignore[arg-type]


def build(clock: HandClock | None = None) -> Metrics:
    """Return the metrics of the cloud vantage of the sample chain."""
    return Metrics(CHAIN, "cloud", "msp", "1.2.3", type_metrics={"entra_sync": (AGE,)}, clock=clock or HandClock())


def scrape(metrics: Metrics) -> Samples:
    """Return every sample by name and labels, as Prometheus' own parser reads them."""
    body = Exposition().render(metrics.view(), process=False)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def one(samples: Samples, name: str, **labels: str) -> float | None:
    """Return the value of exactly this series, or None."""
    return samples.get((name, frozenset(labels.items())))


def named(samples: Samples, name: str) -> list[Mapping[str, str]]:
    """Return the labels of every series of a name."""
    return [dict(labels) for (sample, labels) in samples if sample == name]


def test_before_the_first_result() -> None:
    """Every outcome of every own probe exists at zero; success, phases and times are absent."""
    samples = scrape(build())
    own = {p.id for p in CHAIN.probes_of("cloud")} | {SELF}
    assert {labels["probe"] for labels in named(samples, "demarc_probe_results_total")} == own
    for probe in own:
        for outcome in Outcome:
            assert one(samples, "demarc_probe_results_total", probe=probe, outcome=outcome.value) == 0
    assert not named(samples, "demarc_probe_success")
    assert not named(samples, "demarc_probe_phase_seconds")
    assert not named(samples, "demarc_probe_last_result_timestamp_seconds")
    assert one(samples, "demarc_segment_state", segment="vpn", state="unknown") == 1
    assert one(samples, "demarc_service_state", svc="erp", state="unobserved") == 1
    assert not named(samples, "demarc_ledger_recording")


@pytest.mark.parametrize(
    ("outcome", "success"),
    [(Outcome.OK, 1.0), (Outcome.DEGRADED, 1.0), (Outcome.FAILED, 0.0), (Outcome.UNKNOWN, None)],
)
def test_success(outcome: Outcome, success: float | None) -> None:
    """Success is 1 for ok and degraded, 0 for failed and absent for unknown."""
    metrics = build()
    metrics.result("erp", seen(outcome=outcome))
    samples = scrape(metrics)
    assert one(samples, "demarc_probe_success", probe="erp") == success
    assert one(samples, "demarc_probe_results_total", probe="erp", outcome=outcome.value) == 1


def test_an_unknown_result_measures_nothing() -> None:
    """An attempt that could not look enters no duration, even when it says how long it took."""
    metrics = build()
    metrics.result("erp", seen(outcome=Outcome.UNKNOWN, seconds=0.5, phases={}))
    metrics.result("erp", seen(seconds=None, phases={}))
    assert one(scrape(metrics), "demarc_probe_duration_seconds_count", probe="erp") == 0


def test_phases_are_those_reached() -> None:
    """A phase that the last attempt did not reach has no series, not a zero."""
    metrics = build()
    metrics.result("erp", seen())
    metrics.result("erp", seen(outcome=Outcome.FAILED, phases={"connect": 1.0}))
    samples = scrape(metrics)
    assert named(samples, "demarc_probe_phase_seconds") == [{"probe": "erp", "phase": "connect"}]
    assert one(samples, "demarc_probe_phase_seconds", probe="erp", phase="connect") == 1.0


def test_an_overdue_result_is_no_success() -> None:
    """A result holds for interval + timeout; after that success is absent and the counter stays."""
    clock = HandClock()
    metrics = build(clock)
    metrics.result("erp", seen())
    metrics.result(SELF, seen(SELF, phases={}))
    clock.now += 6.0
    assert one(scrape(metrics), "demarc_probe_success", probe="erp") == 1
    clock.now += 5.0
    samples = scrape(metrics)
    assert one(samples, "demarc_probe_success", probe="erp") is None
    assert one(samples, "demarc_probe_success", probe=SELF) is None
    assert one(samples, "demarc_probe_results_total", probe="erp", outcome="ok") == 1


def test_duration_buckets() -> None:
    """The histogram has at most twelve buckets, and a value on a bound belongs to its bucket."""
    metrics = build()
    for seconds in (0.001, 0.0011, 7.0):
        metrics.result("erp", seen(seconds=seconds))
    samples = scrape(metrics)
    bounds = [b for b in named(samples, "demarc_probe_duration_seconds_bucket") if b["probe"] == "erp"]
    assert len(bounds) == 12
    read = [one(samples, "demarc_probe_duration_seconds_bucket", probe="erp", le=le) for le in ("0.001", "2.5", "+Inf")]
    assert read == [1, 2, 3]
    assert one(samples, "demarc_probe_duration_seconds_sum", probe="erp") == pytest.approx(7.0021)


def test_only_own_probes() -> None:
    """Another vantage's result makes no series."""
    metrics = build()
    metrics.result("o-gw", seen("o-gw"))
    assert all(labels["probe"] != "o-gw" for labels in named(scrape(metrics), "demarc_probe_results_total"))


def test_info_labels() -> None:
    """The info metrics carry type, target and svc; a joint segment names no owner alone."""
    samples = scrape(build())
    assert one(samples, "demarc_probe_info", probe="erp", type="http", target="https://erp.corp.lab/health", svc="erp")
    assert one(samples, "demarc_probe_info", probe="gw", type="icmp", target="10.10.0.1", svc="")
    assert one(samples, "demarc_segment_info", segment="vpn", party="msp+incumbent", side="line") == 1
    assert one(samples, "demarc_agent_info", vantage="cloud", operator="msp") == 1
    assert one(samples, "demarc_probe_segment_info", probe="gw", segment="cloud-gw", role="answers") == 1
    assert one(samples, "demarc_probe_segment_info", probe="gw", segment="cloud-host", role="crossed") == 1


def test_a_removed_probe_disappears() -> None:
    """After a reload a removed probe has no series left, a kept one keeps its counters."""
    metrics = build()
    metrics.result("erp", seen())
    metrics.result("gw", seen("gw"))
    probes = {k: v for k, v in CHAIN.probes.items() if k != "erp"}
    chain = msgspec.structs.replace(CHAIN, probes=probes, hash="other")
    metrics.update(msgspec.structs.replace(HEALTHY, chain=chain))
    samples = scrape(metrics)
    assert not [labels for (_, labels) in samples if ("probe", "erp") in labels]
    assert one(samples, "demarc_probe_results_total", probe="gw", outcome="ok") == 1
    assert one(samples, "demarc_probe_success", probe="gw") == 1


def test_changed_settings_forget_the_last_result() -> None:
    """A probe that now measures something else keeps its counters and has no success yet."""
    metrics = build()
    metrics.result("gw", seen("gw"))
    probes = {**CHAIN.probes, "gw": msgspec.structs.replace(CHAIN.probes["gw"], settings_hash="new")}
    metrics.configure(msgspec.structs.replace(CHAIN, probes=probes))
    samples = scrape(metrics)
    assert one(samples, "demarc_probe_results_total", probe="gw", outcome="ok") == 1
    assert one(samples, "demarc_probe_success", probe="gw") is None


@pytest.mark.parametrize(("incident", "shown"), [(CARRIER, True), (RECOVERING, True)])
def test_open_incidents(incident: Incident, shown: bool) -> None:
    """Confirmed and recovering incidents are open, with their segments and services to join."""
    metrics = build()
    metrics.update(msgspec.structs.replace(HEALTHY, incidents=(incident,)))
    samples = scrape(metrics)
    labels = {"incident": incident.id, "kind": "attributed", "party": "carrier", "side": "transit"}
    assert (one(samples, "demarc_incident_open", **labels) == 1) is shown
    assert one(samples, "demarc_incident_segment_info", incident=incident.id, segment="carrier") == 1
    assert one(samples, "demarc_incident_service_info", incident=incident.id, svc="hr") == 1


@pytest.mark.parametrize(
    ("incident", "family", "path", "party"),
    [(SLOW, "demarc_incident_delay_seconds", 0.0459, 0.0382), (LOSSY, "demarc_incident_loss_ratio", 0.0347, 0.0)],
)
def test_delay_and_loss(incident: Incident, family: str, path: float, party: float) -> None:
    """What an open incident of delay or loss shows at least, of the whole path and of the party; others show none."""
    metrics = build()
    metrics.update(msgspec.structs.replace(HEALTHY, incidents=(incident, CARRIER)))
    samples = scrape(metrics)
    assert one(samples, family, incident=incident.id, of="path") == path
    assert one(samples, family, incident=incident.id, of="party") == party
    assert one(samples, family, incident=CARRIER.id, of="path") is None


def test_a_suspicion_is_counted_and_never_open() -> None:
    """A suspected incident has no open series, so no rule can page for it."""
    metrics = build()
    metrics.update(SNAPSHOTS["suspected"])
    samples = scrape(metrics)
    assert not named(samples, "demarc_incident_open")
    assert one(samples, "demarc_incidents_suspected") == 1


def test_states_are_one_of_a_set() -> None:
    """Exactly one state of each segment and service is 1."""
    metrics = build()
    metrics.update(SNAPSHOTS["carrier"])
    samples = scrape(metrics)
    assert one(samples, "demarc_segment_state", segment="carrier", state="failed") == 1
    assert one(samples, "demarc_segment_state", segment="carrier", state="ok") == 0
    for name, label in (("demarc_segment_state", "segment"), ("demarc_service_state", "svc")):
        for thing in {labels[label] for labels in named(samples, name)}:
            assert sum(v for (n, ls), v in samples.items() if n == name and (label, thing) in ls) == 1


@pytest.mark.parametrize("event", list(Event))
def test_incidents_are_counted_when_confirmed(event: Event) -> None:
    """Only the confirmation counts, so a flapping recovery does not count an incident twice."""
    metrics = build()
    assert one(scrape(metrics), "demarc_incidents_total", kind="attributed", party="carrier") == 0
    metrics.transition(Transition(event=event, at=NOW, incident=CARRIER))
    expected = 1.0 if event is Event.CONFIRMED else 0.0
    assert one(scrape(metrics), "demarc_incidents_total", kind="attributed", party="carrier") == expected


def test_an_incident_without_a_party_is_counted_without_one() -> None:
    """An undetermined incident is counted under an empty party."""
    metrics = build()
    incident = msgspec.structs.replace(SNAPSHOTS["vpn"].incidents[0], state=State.CONFIRMED)
    metrics.transition(Transition(event=Event.CONFIRMED, at=NOW, incident=incident))
    assert one(scrape(metrics), "demarc_incidents_total", kind="undetermined", party="") == 1


def test_type_metrics() -> None:
    """A type's declared metric is shown while its result holds; an undeclared value is not."""
    clock = HandClock()
    metrics = build(clock)
    metrics.result("sync", seen("sync"), {"sync_age_seconds": 840.0, "undeclared": 1.0})
    metrics.result("gw", seen("gw"))
    samples = scrape(metrics)
    assert one(samples, "demarc_sync_age_seconds", probe="sync") == 840.0
    assert not named(samples, "demarc_undeclared")
    clock.now += 100.0
    assert one(scrape(metrics), "demarc_sync_age_seconds", probe="sync") is None


def test_the_agents_own_state() -> None:
    """Reload, notification, ledger, scheduler and drops are what was last said of them."""
    metrics = build()
    before = scrape(metrics)
    assert one(before, "demarc_notify_up") is None
    assert one(before, "demarc_ledger_entries") is None
    assert [one(before, "demarc_observations_dropped_total", sink=sink) for sink in SINKS] == [0, 0]
    metrics.reloaded(successful=True)
    metrics.reloaded(successful=False)
    metrics.notified(up=True)
    metrics.notified(up=False)
    metrics.ledger(entries=42)
    metrics.lag(0.0007)
    metrics.lag(-0.1)
    metrics.dropped("store", 3)
    metrics.bug("erp")
    metrics.bug("removed")
    metrics.stalled()
    metrics.runs(Running(missed=3, refused=2, confirmations=4, sink_errors={"journal": 5}, stored=9, queued=1))
    metrics.firing([("3f9a", "carrier", "critical")])
    metrics.update(msgspec.structs.replace(HEALTHY, recording=Recording(ledger=False)))
    samples = scrape(metrics)
    expected = {
        "demarc_config_last_reload_successful": 0.0,
        "demarc_config_last_reload_success_timestamp_seconds": NOW + 1000.0,
        "demarc_notify_up": 0.0,
        "demarc_notify_last_success_timestamp_seconds": NOW + 1000.0,
        "demarc_ledger_entries": 42.0,
        "demarc_ledger_recording": 0.0,
        "demarc_store_recording": 1.0,
        "demarc_scheduler_lag_seconds_count": 2.0,
        "demarc_loop_stalls_total": 1.0,
        "demarc_scheduler_missed_total": 3.0,
        "demarc_attempts_refused_total": 2.0,
        "demarc_confirmations_total": 4.0,
        "demarc_store_observations_total": 9.0,
        "demarc_store_queued": 1.0,
    }
    assert {name: one(samples, name) for name in expected} == expected
    assert one(samples, "demarc_observations_dropped_total", sink="store") == 3
    assert one(samples, "demarc_probe_bugs_total", probe="erp") == 1
    assert one(samples, "demarc_sink_errors_total", sink="journal") == 5
    assert one(samples, "demarc_incident_addressed", incident="3f9a", to="carrier", severity="critical") == 1


def test_faults_are_counted_by_name() -> None:
    """What was not ok is counted under its fault, and an attempt that could not look under why."""
    metrics = build()
    for fault in ("timeout", "timeout", "refused"):
        metrics.result("erp", seen(outcome=Outcome.FAILED, fault=fault))
    metrics.result(SELF, seen(SELF, outcome=Outcome.FAILED, fault="no-link"))
    samples = scrape(metrics)
    assert one(samples, "demarc_probe_faults_total", probe="erp", fault="timeout") == 2
    assert one(samples, "demarc_probe_faults_total", probe="erp", fault="refused") == 1
    assert one(samples, "demarc_probe_faults_total", probe=SELF, fault="no-link") == 1


def test_sizes_on_disk(tmp_path: Path) -> None:
    """A database's size holds its write-ahead log; a file that is not there has no size."""
    (tmp_path / "ledger.db").write_bytes(b"x" * 100)
    (tmp_path / "ledger.db-wal").write_bytes(b"x" * 20)
    files = {"ledger": str(tmp_path / "ledger.db"), "store": str(tmp_path / "none.db")}
    samples = scrape(Metrics(CHAIN, "cloud", "msp", "0", files=files))
    assert one(samples, "demarc_ledger_bytes") == 120
    assert one(samples, "demarc_store_bytes") is None
    assert one(scrape(build()), "demarc_store_bytes") is None


def test_peers() -> None:
    """A peer is up or not; what is known only from an answer is absent until it has given one."""
    metrics = build()
    metrics.update(SNAPSHOTS["unverified"])
    samples = scrape(metrics)
    assert one(samples, "demarc_peer_up", peer="onprem") == 0
    assert one(samples, "demarc_peer_same_chain", peer="onprem") is None
    assert one(samples, "demarc_peer_clock_offset_seconds", peer="onprem") is None
    metrics.update(SNAPSHOTS["stopped"])
    assert one(scrape(metrics), "demarc_peer_same_chain", peer="onprem") == 0
    well = PeerNow(vantage="onprem", reachable=True, last=NOW, signed=True, clock_offset=-0.02, clock_error=0.001)
    metrics.update(msgspec.structs.replace(HEALTHY, peers=(well,)))
    samples = scrape(metrics)
    found = {
        name: one(samples, f"demarc_peer_{name}", peer="onprem")
        for name in ("up", "signed", "last_answer_timestamp_seconds", "clock_offset_seconds", "clock_error_seconds")
    }
    assert list(found.values()) == [1, 1, NOW, -0.02, 0.001]


def test_openmetrics_is_offered() -> None:
    """Both formats are read by their own parsers and hold no `_created` series."""
    metrics = build()
    metrics.result("erp", seen())
    metrics.update(SNAPSHOTS["carrier"])
    exposition = Exposition()
    body = exposition.render(metrics.view(), OPENMETRICS)
    read = list(openmetrics(body.decode()))  # type: ignore[no-untyped-call]  # the library's parser
    names = {sample.name for family in read for sample in family.samples}
    assert not {name for name in names if name.endswith("_created")}
    assert names >= {"process_resident_memory_bytes", "demarc_agent_info", "demarc_probe_results_total"}
    text = exposition.render(metrics.view(), PLAIN)
    assert b"process_cpu_seconds_total" in text
    plain = {s.name for family in text_string_to_metric_families(text.decode()) for s in family.samples}
    assert plain == names


def test_help_says_that_probes_have_their_own_timer() -> None:
    """Whoever reads success in a scrape is told that it was not measured by the scrape."""
    body = Exposition().render(build().view())
    line = next(text for text in body.decode().splitlines() if text.startswith("# HELP demarc_probe_success "))
    assert "own timer" in line


def test_a_types_metric_is_a_gauge_or_a_counter() -> None:
    """A total that only rises is typed as a counter, so that a query may ask for its rate."""
    metrics = Metrics(CHAIN, "cloud", "msp", "1", type_metrics={"vpn": (AGE, SENT)}, clock=HandClock())
    body = Exposition().render(metrics.view(), process=False).decode()
    assert "# TYPE demarc_sync_age_seconds gauge\n" in body
    assert "# TYPE demarc_sent_bytes_total counter\n" in body
