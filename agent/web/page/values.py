"""What a measurement's last result holds beside its outcome: the evidence in words, and the type's own values. Pure.

The values bear the names that they have in the metrics, so that one can be looked up or plotted.
"""

import math

from agent.model import Probe
from agent.snapshot import ProbeNow
from agent.web.page.markup import NOTHING, Markup, el
from agent.web.page.view import View, clock
from agent.words.names import duration, lasting

# A type has at most some ten values; a row must not fill the page.
MOST = 12
_MINUTE, _MEGABYTE = 60.0, 1e6


def values(view: View, probe: Probe, now: ProbeNow) -> Markup:
    """Return what can be unfolded below a measurement; nothing where its last result says no more than its row."""
    shown = list(now.values.items())[:MOST]
    if not shown and not now.detail:
        return NOTHING
    rows = [el("li", el("code", name), " ", reading(view, name, value)) for name, value in shown]
    return el(
        "details",
        el("summary", view.labels.more_of_it),
        el("p", now.detail) if now.detail else NOTHING,
        el("ul", rows) if rows else NOTHING,
        id=f"m:{probe.vantage}:{probe.id}",
        class_="quiet values",
    )


def reading(view: View, name: str, value: float) -> Markup | str:
    """Return a value as people read it, by the unit in its name."""
    if not math.isfinite(value):
        return str(value)
    if name.endswith("_timestamp_seconds"):
        return clock(view, value)
    if name.endswith("_seconds"):
        return duration(value, view.language) if abs(value) < _MINUTE else lasting(value, view.language)
    if name.endswith("_ratio") or "_ratio_" in name:
        return f"{value:.1%}"
    if name.removesuffix("_total").endswith("_bytes"):
        return f"{value:.0f} B" if value < _MEGABYTE else f"{value / _MEGABYTE:.1f} MB"
    return f"{value:.0f}" if value == round(value) else f"{value:g}"
