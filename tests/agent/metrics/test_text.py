"""The writer against the parsers of others: any label, any number, both formats; what it keeps is bounded."""

import math
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from agent.metrics import Metrics
from agent.metrics.family import Family, FamilyKind, ProbeFamily, Row, Sample
from agent.metrics.tally import Histogram, Tally, count_bug, empty_tally
from agent.metrics.text import LINES, PROBES, Writer, number
from agent.metrics.view import View
from tests.agent.samples import CHAIN

VIEW = Metrics(CHAIN, "cloud", "msp", "0").view()
# Both parsers strip white space at the ends of a line of help, and take a carriage return there for a line's end.
LABEL = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
HELP = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=12).filter(str.strip)
VALUE = st.floats() | st.integers(min_value=0, max_value=2**53)
FORMS = pytest.mark.parametrize("form", ["plain", "openmetrics"])


def family(rows: list[Row], kind: FamilyKind = FamilyKind.GAUGE, **more: object) -> Family:
    """Return a family that reads these rows."""
    fields: dict[str, object] = {"name": "demarc_x", "labels": ("a", "b"), "help": "Some help.", **more}
    return Family(kind=kind, read=lambda _: rows, **fields)  # type: ignore[arg-type]  # a table of fields


def of_probes(
    samples: Mapping[str, Sample | dict[str, float] | None], kind: FamilyKind = FamilyKind.GAUGE, **more: object
) -> tuple[View, ProbeFamily]:
    """Return a view of these probes, and a family that gives each its sample."""
    tallies = {probe: empty_tally() for probe in samples}
    by_tally = {id(tally): samples[probe] for probe, tally in tallies.items()}
    fields: dict[str, object] = {"name": "demarc_y", "help": "Some help.", **more}
    made = ProbeFamily(kind=kind, each=lambda tally: by_tally[id(tally)], **fields)  # type: ignore[arg-type]  # as above
    return msgspec.structs.replace(VIEW, tallies=tallies), made


def read(written: bytes, form: str) -> dict[tuple[str, ...], float]:
    """Return every sample, by its name and label values, as the format's own parser reads it."""
    parse = openmetrics if form == "openmetrics" else plain
    return {
        (sample.name, *sample.labels.values()): sample.value for f in parse(written.decode()) for sample in f.samples
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1"), (0.0025, "0.0025"), (1e-05, "1e-05"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN")],
)
def test_number(value: float, text: str) -> None:
    """Numbers as Prometheus reads them."""
    assert number(value) == text


@FORMS
@given(rows=st.dictionaries(st.tuples(LABEL, LABEL), VALUE, min_size=1, max_size=8), text=HELP)
def test_whatever_is_written_is_read(form: str, rows: dict[tuple[str, str], float], text: str) -> None:
    """Any label values and numbers come back from the format's own parser."""
    body = Writer().write(VIEW, [family(list(rows.items()), help=f"h{text}h")], openmetrics=form == "openmetrics")
    (found,) = (openmetrics if form == "openmetrics" else plain)(body.decode())
    assert found.documentation == f"h{text}h"
    back = {(a, b): value for (_, a, b), value in read(body, form).items()}
    assert back == pytest.approx(rows, nan_ok=True, rel=0, abs=0)


@FORMS
@given(
    samples=st.dictionaries(
        LABEL, st.none() | VALUE | st.dictionaries(LABEL, VALUE, min_size=1, max_size=4), min_size=1, max_size=4
    )
)
def test_whatever_a_probe_gives_is_read(form: str, samples: dict[str, float | dict[str, float] | None]) -> None:
    """Any probe name, second label and number comes back, whichever family the probe has it in."""
    single = {probe: sample for probe, sample in samples.items() if not isinstance(sample, dict)}
    several = {probe: sample for probe, sample in samples.items() if isinstance(sample, dict)}
    expected = {("demarc_y", probe): value for probe, value in single.items() if value is not None}
    first, writer = of_probes(single), Writer()
    back = read(writer.write(first[0], [first[1]], openmetrics=form == "openmetrics"), form)
    assert back == pytest.approx(expected, nan_ok=True, rel=0, abs=0)
    view, made = of_probes(several, labels=("probe", "k"))
    nested = {("demarc_y", probe, key): value for probe, values in several.items() for key, value in values.items()}
    body = Writer().write(view, [made], openmetrics=form == "openmetrics")
    assert read(body, form) == pytest.approx(nested, nan_ok=True, rel=0, abs=0)


@FORMS
def test_a_lone_surrogate_does_not_cost_the_scrape(form: str) -> None:
    """What has no UTF-8 is replaced; every other series is there."""
    body = Writer().write(VIEW, [family([(("\udcff", "b"), 1), (("a", "b"), 2)])], openmetrics=form == "openmetrics")
    assert read(body, form) == {("demarc_x", "?", "b"): 1, ("demarc_x", "a", "b"): 2}


@FORMS
def test_a_histogram(form: str) -> None:
    """Buckets are cumulative, the last one is the count; percent signs in labels stay what they are."""
    sample = Histogram(counts=(2, 0, 1), total=3.5)
    row = family([((), sample)], FamilyKind.HISTOGRAM, labels=(), bounds=(0.1, 1.0))
    view, each = of_probes({"50%d": sample}, FamilyKind.HISTOGRAM, bounds=(0.1, 1.0))
    written = Writer().write(view, [row, each], openmetrics=form == "openmetrics").decode()
    assert [line for line in written.splitlines() if not line.startswith("#")] == [
        'demarc_x_bucket{le="0.1"} 2',
        'demarc_x_bucket{le="1.0"} 2',
        'demarc_x_bucket{le="+Inf"} 3',
        "demarc_x_count 3",
        "demarc_x_sum 3.5",
        'demarc_y_bucket{probe="50%d",le="0.1"} 2',
        'demarc_y_bucket{probe="50%d",le="1.0"} 2',
        'demarc_y_bucket{probe="50%d",le="+Inf"} 3',
        'demarc_y_count{probe="50%d"} 3',
        'demarc_y_sum{probe="50%d"} 3.5',
    ]


@pytest.mark.parametrize(
    ("kind", "name", "text", "open_text"),
    [
        (FamilyKind.COUNTER, "demarc_x_total", "# TYPE demarc_x_total counter\n", "# TYPE demarc_x counter\n"),
        (FamilyKind.INFO, "demarc_x_info", "# TYPE demarc_x_info gauge\n", "# TYPE demarc_x info\n"),
        (
            FamilyKind.COUNTER,
            "demarc_x_seconds_total",
            "# TYPE demarc_x_seconds_total counter\n",
            "# TYPE demarc_x_seconds counter\n# UNIT demarc_x_seconds seconds\n",
        ),
    ],
)
def test_a_family_is_named_as_each_format_wants(kind: FamilyKind, name: str, text: str, open_text: str) -> None:
    """OpenMetrics names the family without the suffix of its samples, and knows info and units."""
    one = family([((), 1)], kind, name=name, labels=())
    assert Writer().write(VIEW, [one], openmetrics=False).decode().endswith(f"{text}{name} 1\n")
    assert Writer().write(VIEW, [one], openmetrics=True).decode().endswith(f"{open_text}{name} 1\n# EOF\n")


def test_only_what_changed_is_rendered() -> None:
    """A tally that is the same value is not asked again, nor are rows that depend on what is equal."""
    asked: list[str] = []

    def value(tally: Tally) -> float:
        asked.append("probe")
        return float(tally.bugs)

    def rows(_: View) -> list[Row]:
        asked.append("rows")
        return [((), 1)]

    families = (
        ProbeFamily(name="demarc_y", help="h", each=value),
        ProbeFamily(name="demarc_z", help="h", each=lambda _: 1),
        Family(name="demarc_x", help="h", read=rows, same=lambda view: view.version),
    )
    view, writer = msgspec.structs.replace(VIEW, tallies={"a": empty_tally(), "b": empty_tally()}), Writer()
    first = writer.write(view, families, openmetrics=False)
    assert asked == ["probe", "probe", "rows"]
    assert writer.write(view, families, openmetrics=False) == first
    assert len(asked) == 3
    changed = msgspec.structs.replace(view, tallies={**view.tallies, "b": count_bug(empty_tally())}, version="2")
    assert b'demarc_y{probe="b"} 1.0\n' in writer.write(changed, families, openmetrics=False)
    assert asked[3:] == ["probe", "rows"]


def test_what_is_gone_is_not_kept() -> None:
    """After a reload neither a removed probe's lines nor another type's families are held on to."""
    view, made = of_probes({"a": 1.0, "b": 2.0})
    writer = Writer()
    writer.write(view, [made], openmetrics=False)
    fewer = msgspec.structs.replace(view, tallies={"a": view.tallies["a"]})
    assert b'"b"' not in writer.write(fewer, [made], openmetrics=False)
    assert list(writer._probes) == ["a"]
    other = msgspec.structs.replace(made, name="demarc_z")
    assert writer.write(fewer, [other], openmetrics=False).endswith(b'demarc_z{probe="a"} 1.0\n')


def test_it_pauses() -> None:
    """It gives way again and again: while rows are made, while probes are rendered, and after long families."""
    pauses: list[int] = []
    rows: list[Row] = [((str(i), ""), i) for i in range(3 * LINES)]
    view, made = of_probes({str(i): 1.0 for i in range(LINES)})
    written = Writer(lambda: pauses.append(1)).write(view, [family(rows), made], openmetrics=False)
    assert len(pauses) == 3 + LINES // PROBES + 1
    assert written.count(b"\n") == 4 * LINES + 4
