"""The period beside the baseline: shares that passed, and what quantiles lie between."""

import msgspec

from agent.report.level import Fixed, Measured, comparison
from agent.report.month import Given, month_report
from agent.report.text import render
from agent.report.value import Level
from tests.agent.report.test_month import BASIS, PERIOD, report_of, up_but
from tests.agent.samples import CHAIN

BOUNDS = (0.01, 0.1)
FIXED = Fixed(
    opened=1_795_000_000,
    closed=1_796_000_000,
    fixed=1_796_000_100,
    party="msp",
    then={"cloud>a": Measured(passed=99, failed=1, buckets=(90, 9, 0)), "cloud>old": Measured(passed=1, failed=0)},
    now={"cloud>a": Measured(passed=1, failed=2, buckets=(0, 0, 1))},
    bounds=BOUNDS,
)
SERVICES = {"cloud>a": "erp", "cloud>new": "erp", "cloud>old": "erp"}


def test_what_was_and_what_is() -> None:
    """Only probes of the baseline, in the order of the services; what was not measured has no share."""
    found = comparison(FIXED, SERVICES)
    assert [(row.probe, row.service) for row in found.probes] == [("cloud>a", "erp"), ("cloud>old", "erp")]
    first, old = found.probes
    assert first.then == Level(results=100, passed="99.000", median=(0.0, 0.01), p95=(0.01, 0.1))
    assert first.now == Level(results=3, passed="33.333", median=(0.1, None), p95=(0.1, None))
    assert old.then == Level(results=1, passed="100.000", median=None, p95=None)
    assert old.now == Level(results=0, passed=None, median=None, p95=None)


def test_it_stands_in_the_report_and_changes_no_figure() -> None:
    """Beside the others, with what it is for."""
    told = comparison(FIXED, SERVICES)
    given = Given(chain=CHAIN, period=PERIOD, spans={"cloud>erp": up_but()}, incidents=(), basis=BASIS, baseline=told)
    report = month_report(given)
    assert report.baseline == told
    assert msgspec.structs.replace(report, baseline=None) == report_of()
    text = render(report, CHAIN)
    assert "BESIDE THE BASELINE" in text
    assert "no norm is judged and nothing is counted by it" in " ".join(text.split())
    assert "over 100 ms" in text
    assert "nothing measured" in text
    assert "BASELINE" not in render(report_of(), CHAIN)
