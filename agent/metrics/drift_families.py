"""The families of drift: what departs from what was approved, and when something last changed.

A time stamp is what an annotation in Grafana needs: the change's text stands on the page and in the API.
"""

from collections.abc import Iterator

from agent.drift.value import Fingerprint, Standing
from agent.metrics.family import AnyFamily, Family, FamilyKind, Row
from agent.metrics.view import View

# What wants somebody's look; the rest is as approved, or has not been seen.
COUNTED = (Standing.DRIFTED, Standing.UNAPPROVED, Standing.FLAPPING)


def _fingerprints(view: View) -> tuple[Fingerprint, ...]:
    return view.snapshot.drift.fingerprints if view.snapshot else ()


def _facts(view: View) -> Iterator[Row]:
    for one in _fingerprints(view):
        for standing in COUNTED:
            yield (one.probe, standing.value), float(sum(fact.standing is standing for fact in one.facts))


def _last(view: View) -> Iterator[Row]:
    for one in _fingerprints(view):
        if one.last_change is not None:
            yield (one.probe,), one.last_change


DRIFT_FAMILIES: tuple[AnyFamily, ...] = (
    Family(
        name="demarc_drift_facts",
        labels=("probe", "standing"),
        help="Facts of a probe's configuration by how they stand: other than approved, approved by nobody, flapping.",
        read=_facts,
        same=_fingerprints,
    ),
    Family(
        name="demarc_drift_changes_total",
        kind=FamilyKind.COUNTER,
        labels=("probe",),
        help="How often facts of a probe's configuration were seen to change; several at once count once.",
        read=lambda view: (((one.probe,), one.changed) for one in _fingerprints(view)),
        same=_fingerprints,
    ),
    Family(
        name="demarc_drift_last_change_timestamp_seconds",
        labels=("probe",),
        help="When a fact of a probe's configuration was last seen to change (UTC epoch seconds); absent until then.",
        read=_last,
        same=_fingerprints,
    ),
)
