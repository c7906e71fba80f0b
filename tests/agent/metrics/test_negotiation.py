"""Which form of the exposition a client gets: headers that clients really send, and any others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.metrics.negotiation import OPENMETRICS, PLAIN, chosen, takes_gzip

# As Prometheus 2.42 and 3.0 send it, and a browser.
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", PLAIN),
        ("*/*", PLAIN),
        (BROWSER, PLAIN),
        (PROMETHEUS_2, OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS),
        ("application/openmetrics-text;q=0.1,text/plain;version=0.0.4", PLAIN),
        ("text/plain;version=0.0.4;q=0.1,application/openmetrics-text;q=0.2", OPENMETRICS),
        ("application/openmetrics-text; q=0, text/plain;q=0.1", PLAIN),
        ("APPLICATION/OpenMetrics-Text", OPENMETRICS),
        ("application/openmetrics-text, text/plain", OPENMETRICS),
        ('application/openmetrics-text; version="1.0.0"', OPENMETRICS),
        ("application/openmetrics-text;version=2.0.0", PLAIN),
        ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", PLAIN),
        ("application/*", OPENMETRICS),
        ("text/*;q=0.2, application/*;q=0.3", OPENMETRICS),
        ("text/plain;q=0, */*;q=0.5", OPENMETRICS),
        ("application/openmetrics-text;q=1.5, text/plain;q=0.1", PLAIN),
        ("image/png", PLAIN),
        ("application/openmetrics-text;q=0, text/plain;q=0", PLAIN),
    ],
)
def test_chosen(accept: str, form: str) -> None:
    """The form with the higher weight; plain text where there is no preference or nothing that we have."""
    assert chosen(accept) == form


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("", False),
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=nonsense", False),
        ("br", False),
        ("x-gzip", True),
        ("*", True),
        ("gzip;q=0, *", False),
    ],
)
def test_takes_gzip(header: str, takes: bool) -> None:
    """The weight of zero refuses; a star means all that are not named."""
    assert takes_gzip(header) is takes


@given(st.text() | st.lists(st.sampled_from([*"*/;=,q 01.", "text/plain", "application/*", "gzip"])).map("".join))
def test_any_header_is_answered(header: str) -> None:
    """Whatever comes, one of our forms comes out."""
    assert chosen(header) in (PLAIN, OPENMETRICS)
    assert takes_gzip(header) in (True, False)


def test_a_long_header_is_cut() -> None:
    """What stands after fifty parts does not count."""
    assert chosen(",".join(["image/png"] * 60) + ",application/openmetrics-text") == PLAIN
