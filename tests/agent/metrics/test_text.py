"""The writer against the parsers of others: any label, any number, both formats; what it keeps is bounded."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from agent.metrics import Metrics
from agent.metrics.families import Family, FamilyKind, Row
from agent.metrics.tally import Histogram
from agent.metrics.text import CHUNK, OPENMETRICS, PLAIN, Writer, chosen, number
from agent.metrics.view import View
from tests.agent.samples import CHAIN

VIEW = Metrics(CHAIN, "cloud", "msp", "0").view()
LABEL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=12)
VALUE = st.floats() | st.integers(min_value=0, max_value=2**53)


def family(rows: list[Row], kind: FamilyKind = FamilyKind.GAUGE, **more: object) -> Family:
    """Return a family that reads these rows."""
    fields: dict[str, object] = {"name": "demarc_x", "labels": ("a", "b"), "help": "Some help.", **more}
    return Family(kind=kind, read=lambda _: rows, **fields)  # type: ignore[arg-type]  # a table of fields


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1.0"), (0.0025, "0.0025"), (1e-05, "1e-05"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN")],
)
def test_number(value: float, text: str) -> None:
    """Numbers as Prometheus reads them."""
    assert number(value) == text


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", PLAIN),
        ("*/*", PLAIN),
        ("text/html,*/*;q=0.8", PLAIN),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5", OPENMETRICS),
        ("text/plain;version=0.0.4,application/openmetrics-text;q=0.1", PLAIN),
        ("application/openmetrics-text; q=0, text/plain", PLAIN),
        ("APPLICATION/OPENMETRICS-TEXT", OPENMETRICS),
    ],
)
def test_chosen(accept: str, kind: str) -> None:
    """The first format that we have and the client does not refuse."""
    assert chosen(accept) == kind


@pytest.mark.parametrize("kind", [PLAIN, OPENMETRICS])
@given(rows=st.dictionaries(st.tuples(LABEL, LABEL), VALUE, min_size=1, max_size=8), text=LABEL.filter(str.strip))
def test_whatever_is_written_is_read(kind: str, rows: dict[tuple[str, str], float], text: str) -> None:
    """Any label values and numbers come back from the format's own parser."""
    written = Writer(kind).write(VIEW, [family(list(rows.items()), help=f"h{text}h")]).decode()
    parse = plain if kind == PLAIN else openmetrics
    (found,) = parse(written)
    assert found.documentation == f"h{text}h"
    read = {(s.labels["a"], s.labels["b"]): s.value for s in found.samples}
    assert read == pytest.approx(rows, nan_ok=True, rel=0, abs=0)


@pytest.mark.parametrize("kind", [PLAIN, OPENMETRICS])
def test_a_histogram(kind: str) -> None:
    """Buckets are cumulative, the last one is the count."""
    row: Row = ((), Histogram(counts=(2, 0, 1), total=3.5))
    written = Writer(kind).write(VIEW, [family([row], FamilyKind.HISTOGRAM, labels=(), bounds=(0.1, 1.0))]).decode()
    lines = [line for line in written.splitlines() if not line.startswith("#")]
    assert lines == [
        'demarc_x_bucket{le="0.1"} 2.0',
        'demarc_x_bucket{le="1.0"} 2.0',
        'demarc_x_bucket{le="+Inf"} 3.0',
        "demarc_x_count 3.0",
        "demarc_x_sum 3.5",
    ]


def test_a_counter_is_named_as_each_format_wants() -> None:
    """OpenMetrics names the family without `_total`; the sample has it in both."""
    counter = family([((), 1)], FamilyKind.COUNTER, name="demarc_x_total", labels=())
    assert b"# TYPE demarc_x_total counter\ndemarc_x_total 1.0\n" in Writer(PLAIN).write(VIEW, [counter])
    assert b"# TYPE demarc_x counter\ndemarc_x_total 1.0\n# EOF\n" in Writer(OPENMETRICS).write(VIEW, [counter])


def test_it_pauses_and_forgets() -> None:
    """It pauses after each chunk, and forgets the series of a reload that are gone."""
    pauses: list[int] = []
    rows: list[Row] = [((str(i), ""), i) for i in range(3 * CHUNK)]
    writer = Writer(PLAIN, lambda: pauses.append(1))
    first = writer.write(VIEW, [family(rows)])
    assert len(pauses) == 3
    assert writer.write(VIEW, [family(rows)]) == first
    assert first.count(b"\n") == 3 * CHUNK + 2
    writer.write(VIEW, [family(rows[:10])])
    assert not writer._kept["demarc_x"]
    assert writer.write(VIEW, [family(rows[:10])]).count(b"\n") == 12


def test_the_same_picture_is_the_same_bytes() -> None:
    """A kept part changes nothing in what is written."""
    view: View = VIEW
    writer = Writer(PLAIN)
    many = [family([((str(i), "x"), i)], name=f"demarc_{i}") for i in range(5)]
    assert writer.write(view, many) == writer.write(view, many) == Writer(PLAIN).write(view, many)
