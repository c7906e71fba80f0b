"""The families of drift: what wants a look, how often and when something changed."""

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from agent.drift.value import Drift
from agent.metrics import Exposition, Metrics
from agent.metrics.negotiation import PLAIN
from agent.snapshot import Snapshot
from tests.agent.samples import CHAIN, NOW, SNAPSHOTS

Series = dict[tuple[str, ...], float]


def scraped(snapshot: Snapshot) -> dict[str, Series]:
    """Return the families of drift in a scrape."""
    metrics = Metrics(CHAIN, "cloud", "msp", "0")
    metrics.update(snapshot)
    families = text_string_to_metric_families(Exposition().render(metrics.view(), PLAIN).decode())
    return {
        sample.name: {tuple(one.labels.values()): one.value for one in family.samples}
        for family in families
        for sample in family.samples
        if sample.name.startswith("demarc_drift_")
    }


def test_what_is_not_as_approved_is_counted() -> None:
    """By probe and standing; zero where there is none, so that an alert ends by itself."""
    facts = scraped(SNAPSHOTS["drift"])["demarc_drift_facts"]
    assert facts == {
        ("erp", "drifted"): 1,
        ("erp", "unapproved"): 1,
        ("erp", "flapping"): 0,
        ("tunnel", "drifted"): 1,
        ("tunnel", "unapproved"): 0,
        ("tunnel", "flapping"): 1,
    }


def test_changes_have_a_number_and_a_time() -> None:
    """The time is that of the change and not that of the scrape: an annotation stands where it belongs."""
    found = scraped(SNAPSHOTS["drift"])
    assert found["demarc_drift_changes_total"] == {("erp",): 1, ("tunnel",): 1}
    assert found["demarc_drift_last_change_timestamp_seconds"] == {("erp",): NOW - 7200, ("tunnel",): NOW - 900}


def test_probes_without_facts_have_no_series() -> None:
    """Nothing is told of what no probe looks at, and no time of a change that was not."""
    assert scraped(SNAPSHOTS["healthy"]) == {}
    steady = msgspec.structs.replace(SNAPSHOTS["drift"].drift.fingerprints[0], changed=0, last_change=None)
    found = scraped(msgspec.structs.replace(SNAPSHOTS["drift"], drift=Drift(fingerprints=(steady,))))
    assert found["demarc_drift_changes_total"] == {("erp",): 0}
    assert "demarc_drift_last_change_timestamp_seconds" not in found
