"""Expositions: what the sieve keeps, what is malformed, and which series is the wanted one."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families as parser

from probes.kit.exposition import (
    MAX_KEPT_BYTES,
    MAX_LINE_BYTES,
    Malformed,
    Missing,
    Reading,
    Several,
    Sieve,
    Sifted,
    Wanted,
    choose,
    fitting,
    read,
    selector,
)
from probes.kit.matcher import parse_matcher

UP = Wanted(name="up")
LABELLED = Wanted(name="up", labels={"job": "a", "instance": 'x"\\\ny'})
TEXT = rb"""# HELP up Whether it is up: up {job="a"} 1
# TYPE up gauge
up 1
up_to 2
  up{job="b"} 3 1795442400123
not_up 4
other{name="up 5"} 6
"""


def sift(data: bytes, *wanted: Wanted, cuts: tuple[int, ...] = ()) -> Sifted | Malformed:
    """Pour `data` through a sieve, cut at `cuts`."""
    sieve = Sieve(wanted or (UP,))
    ends = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in pairwise(ends):
        sieve.feed(data[start:end])
    return sieve.finish()


def readings(data: bytes, *wanted: Wanted) -> tuple[Reading, ...] | Malformed:
    """Sift and parse `data`."""
    sifted = sift(data, *wanted)
    return sifted if isinstance(sifted, Malformed) else read(sifted, parser)


def test_only_lines_that_may_be_wanted_are_kept() -> None:
    """Comments, longer names and names inside labels are left out; so is a line with another label's value."""
    sifted = sift(TEXT)
    assert sifted == Sifted(first=b"up 1", kept=(b"up 1", b'  up{job="b"} 3 1795442400123'))
    narrowed = sift(TEXT, Wanted(name="up", labels={"job": "b", "absent": ""}))
    assert isinstance(narrowed, Sifted)
    assert narrowed.kept == (b'  up{job="b"} 3 1795442400123',)


def test_readings_have_labels_and_times() -> None:
    """Names, labels, values and time stamps (milliseconds in the text) are those of the text."""
    assert readings(TEXT) == (
        Reading(name="up", labels={}, value=1.0),
        Reading(name="up", labels={"job": "b"}, value=3.0, timestamp=1795442400.123),
    )


ESCAPED = rb"""up{instance="x\"\\\ny",job="a",more="1"} 7
up { job = "a" , instance = "x\"\\\ny" , } 8
up{job="a",instance="x"} 9
up{other="job=\"a\"",job="b",instance="x\"\\\ny"} 10
"""


def test_label_values_are_compared_as_they_are_meant() -> None:
    """Escapes and spaces of the text make no difference, an equal text inside another label's value neither."""
    found = readings(ESCAPED, LABELLED)
    assert isinstance(found, tuple)
    assert [reading.value for reading in found] == [7.0, 8.0]
    assert choose(found, LABELLED) == Several(2, ("more",))


MALFORMED: dict[str, bytes] = {
    "HTML": b"<!DOCTYPE html>\n<p>up 1</p>\n",
    "JSON": b'{"error": "up"}\n',
    "a greeting": b"220 ready\n",
    "no line end": b"up 1",
    "cut in a number": b"up 1\nup 12",
    "no value": b"up\nup {\n",
    "labels without an end": b'up{job="a" 1\n',
    "not UTF-8": b'up{job="\xff"} 1\n',
    "an integer beyond every float": b"up " + b"9" * 400 + b"\n",
    "a label of nothing": b'up{ ="x"} 1\n',
    "a value in words": b"up yes\n",
    "a comma in the value": b"up 1,5\n",
    "a second line of the series broken": b"up 1\nup{ 2\n",
    "the series' line too long": b'up{job="' + b"x" * MAX_LINE_BYTES + b'"} 1\n',
    "the first line too long": b"x" * (MAX_LINE_BYTES + 1) + b" 1\nup 1\n",
    "an endless line": b"up 1\n" + b"x" * 3 * MAX_LINE_BYTES,
    "binary": bytes(range(256)) * 4,
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_exposition_is_malformed(name: str) -> None:
    """Another text, a broken line of the wanted series and a cut text are never read."""
    assert isinstance(readings(MALFORMED[name]), Malformed)


FINE: dict[str, tuple[bytes, list[float]]] = {
    "nothing": (b"", []),
    "comments only": (b"# HELP up x\n\n# EOF\n", []),
    "line ends of Windows": (b"# TYPE up gauge\r\nup 1\r\n", [1.0]),
    "a long comment": (b"# HELP y " + b"up " * MAX_LINE_BYTES + b"\nup 1\n", [1.0]),
    "a long line of another series": (b'a 1\nb{c="' + b"up{} " * MAX_LINE_BYTES + b'"} 1\nup 1\n', [1.0]),
    "a broken line of another series": (b"a 1\nb{ 1\nup 1\n", [1.0]),
    "an infinity": (b"up +Inf\n", [float("inf")]),
    "a counter": (b"# TYPE up counter\nup 3\n", [3.0]),
    "an exponent": (b"up 1.5e+03\n", [1500.0]),
}


@pytest.mark.parametrize("name", FINE)
def test_what_surrounds_the_series_does_not_matter(name: str) -> None:
    """Long or broken lines elsewhere, comments and line ends leave the wanted series readable."""
    data, values = FINE[name]
    found = readings(data)
    assert isinstance(found, tuple)
    assert [reading.value for reading in found] == values


LINES = st.sampled_from(
    [
        b"up 1\n",
        b'up{job="a"} 2\r\n',
        b"# up\n",
        b"\n",
        b"upper 1\n",
        b"x up 1\n",
        b"up",
        b" up\t3\n",
        b"x" * (MAX_LINE_BYTES - 1),
        b" " * (MAX_LINE_BYTES + 1),
        b"#",
        b"\n",
    ]
)
TEXTS = st.lists(LINES | st.binary(max_size=8), max_size=12).map(b"".join)


@given(TEXTS, st.lists(st.integers(0, 60_000), max_size=6).map(tuple), st.booleans())
def test_cuts_do_not_matter(data: bytes, cuts: tuple[int, ...], fine: bool) -> None:
    """However the bytes arrive, the same is kept or refused."""
    in_pieces = (*range(0, len(data), 1000 if fine else 1 << 20), *cuts)
    whole, pieces = sift(data), sift(data, cuts=in_pieces)
    assert type(whole) is type(pieces)
    if isinstance(whole, Sifted):
        assert whole == pieces


def test_a_line_that_never_ends_is_dropped_as_it_comes() -> None:
    """The sieve holds no more than one line's worth of it, and finds what follows."""
    sieve = Sieve((UP,))
    sieve.feed(b"a 1\n")
    for _ in range(50):
        sieve.feed(b"b" * 5000)
    assert len(sieve._carry) <= MAX_LINE_BYTES
    sieve.feed(b" 1\nup 1\n")
    sifted = sieve.finish()
    assert isinstance(sifted, Sifted)
    assert sifted.kept == (b"up 1",)


@given(TEXTS | st.binary(max_size=300) | st.text('up{}="\\, \n#1jobx', max_size=60).map(str.encode))
def test_any_bytes_give_readings_or_malformed(data: bytes) -> None:
    """A value, nothing raised; and what is kept holds the name."""
    found = readings(data, UP, LABELLED)
    assert isinstance(found, Malformed) or all(reading.name for reading in found)


LABEL_VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.dictionaries(st.sampled_from(["a", "b", "job"]), LABEL_VALUES.filter(bool), max_size=3), st.booleans())
def test_a_series_is_found_by_its_labels(labels: dict[str, str], more: bool) -> None:
    """Whatever the values hold, the series written with them is the one that is found with them."""
    escape = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
    written = ",".join(f'{name}="{value.translate(escape)}"' for name, value in labels.items())
    extra = 'up{other="1"} 2\n' if more and labels else ""
    wanted = Wanted(name="up", labels=labels)
    found = readings(f"up{{{written}}} 1\n{extra}".encode(), wanted)
    assert isinstance(found, tuple)
    assert choose(found, wanted) == Reading(name="up", labels=labels, value=1.0)


def test_a_selector_is_one_line() -> None:
    """Labels in order and escaped as in a query; without labels the name alone."""
    assert selector(UP) == "up"
    assert selector(LABELLED) == r'up{instance="x\"\\\ny",job="a"}'
    matched = Wanted(name="up", labels={"b": "1"}, matchers=(parse_matcher("a=x|y*"), parse_matcher("a!=z")))
    assert selector(matched) == 'up{b="1",a="x|y*",a!="z"}'


CHOSEN: dict[str, tuple[list[dict[str, str]], dict[str, str], int | Missing | Several]] = {
    "none there": ([], {}, Missing()),
    "the only one": ([{"a": "1"}], {}, 0),
    "by its label": ([{"a": "1"}, {"a": "2"}], {"a": "2"}, 1),
    "a label that it must not have": ([{"a": "1"}, {}], {"a": ""}, 1),
    "another value": ([{"a": "1"}], {"a": "2"}, Missing()),
    "no such label": ([{"a": "1"}], {"b": "1"}, Missing()),
    "several": ([{"a": "1", "c": "x"}, {"a": "2", "c": "x"}, {"c": "x"}], {"c": "x"}, Several(3, ("a",))),
    "twice the same": ([{"a": "1"}, {"a": "1"}], {}, Several(2, ())),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_the_series_is_chosen_by_its_labels(name: str) -> None:
    """Exactly one reading, or none, or how those that fit differ."""
    given_labels, wanted, expected = CHOSEN[name]
    candidates = [Reading(name="up", labels=labels, value=n) for n, labels in enumerate(given_labels)]
    candidates.append(Reading(name="down", labels=wanted, value=99.0))
    chosen = choose(candidates, Wanted(name="up", labels=wanted))
    assert chosen == (candidates[expected] if isinstance(expected, int) else expected)


def test_a_flood_takes_no_room_from_others() -> None:
    """Each wanted series has its own; what several want is kept once and read by each apart."""
    other, narrow = Wanted(name="down"), Wanted(name="up", labels={"a": "1"})
    flood = b"".join(b'up{a="%08d"} 1\n' % n for n in range(40_000))
    sifted = sift(flood + b'up{a="1"} 2\ndown 3\nup_broken{ 4\n', UP, narrow, other)
    assert isinstance(sifted, Sifted)
    assert sifted.flooded == (UP,)
    assert sifted.kept[-2:] == (b'up{a="1"} 2', b"down 3")
    assert sifted.of((other,)).kept == (b"down 3",)
    both = sift(b'up{a="1"} 2\n', UP, narrow)
    assert isinstance(both, Sifted)
    assert both.kept == (b'up{a="1"} 2',)


def test_matchers_choose_among_series() -> None:
    """After the labels, by values that are written and that are not."""
    text = "".join(f'up{{volume="{volume}"}} {n}\n' for n, volume in enumerate(("C:", "D:", "HarddiskVolume1")))
    found = readings(text.encode())
    assert isinstance(found, tuple)
    for matcher, values in (
        ("volume=C:|D:", [0, 1]),
        ("volume!=Harddisk*", [0, 1]),
        ("volume=*1", [2]),
        ("x=", [0, 1, 2]),
    ):
        wanted = Wanted(name="up", matchers=(parse_matcher(matcher),))
        assert [one.value for one in fitting(found, wanted)] == values


OPENMETRICS = b"""# TYPE up counter
up_total{a="# {"} 3 1795442400.5 # {trace="x\\" # {"} 0.5 1795442399
up_total{a="2"} 4 # {} 1
# EOF
"""


def test_openmetrics_differs_in_times_and_exemplars() -> None:
    """Seconds for milliseconds, and what stands behind a sample is not its time."""
    wanted = Wanted(name="up_total")
    sifted = sift(OPENMETRICS, wanted)
    assert isinstance(sifted, Sifted)
    assert read(sifted, parser, openmetrics=True) == (
        Reading(name="up_total", labels={"a": "# {"}, value=3.0, timestamp=1795442400.5),
        Reading(name="up_total", labels={"a": "2"}, value=4.0),
    )


@given(st.binary(max_size=80) | st.text('up{}="\\ #1', max_size=40).map(str.encode))
def test_any_bytes_of_openmetrics_give_readings_or_malformed(data: bytes) -> None:
    """Exemplars are cut off or left, nothing is raised."""
    sifted = sift(b"up 1\nup{" + data + b"\n")
    assert isinstance(sifted, Sifted | Malformed)
    if isinstance(sifted, Sifted):
        assert isinstance(read(sifted, parser, openmetrics=True), tuple | Malformed)


def test_a_flood_of_the_wanted_name_is_bounded() -> None:
    """More lines than may be parsed are left out, and the sieve says so."""
    line = b'up{a="%08d"} 1\n'
    sifted = sift(b"".join(line % n for n in range(40_000)))
    assert isinstance(sifted, Sifted)
    assert sifted.flooded == (UP,)
    assert MAX_KEPT_BYTES - 100 < sum(map(len, sifted.kept)) <= MAX_KEPT_BYTES


@pytest.mark.parametrize(
    "line",
    [b'x{a="up"} 1\n', b"up" * 8000 + b"\n", b"up_to 1\n", b"# HELP up up up\n", b" " * 100 + b"\n"],
    ids=["in a label", "one long word", "a longer name", "comments", "blanks"],
)
def test_hostile_lines_cost_a_look_each(line: bytes) -> None:
    """A megabyte that holds the name everywhere but in the right place passes in well under two seconds."""
    piece = b"a 1\n" + line * (65536 // len(line))
    sieve = Sieve((UP, Wanted(name="x", labels={"a": "b"})))
    began = time.process_time()
    for _ in range(16):
        sieve.feed(piece)
    assert time.process_time() - began < 2.0
    assert isinstance(sieve.finish(), Sifted)
