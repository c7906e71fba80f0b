"""What unfolds below a measurement: its values as people read them, its evidence, and nothing that is hostile."""

import re

import msgspec
import pytest

from agent.snapshot import ProbeNow
from agent.web.page.markup import NOTHING
from agent.web.page.values import MOST, reading, values
from agent.web.page.view import View
from probes.kit.result import Outcome
from tests.agent.samples import CHAIN, HEALTHY, NOW

VIEW = View(snapshot=HEALTHY, now=NOW, language="en")
PROBE = CHAIN.probes["erp"]
PLAIN = ProbeNow(outcome=Outcome.OK, seconds=0.01, time=NOW, verified=True)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("icmp_jitter_seconds", 0.00021, "0.21 ms"),
        ("vpn_rekey_seconds", 2460.0, "41 minutes"),
        ("icmp_loss_ratio", 0.1, "10.0%"),
        ("icmp_loss_ratio_low", 0.0179, "1.8%"),
        ("pmtu_bytes", 1400.0, "1400 B"),
        ("vpn_received_bytes_total", 18_273_645.0, "18.3 MB"),
        ("http_status_code", 503.0, "503"),
        ("ntp_offset", -0.25, "-0.25"),
        ("path_changes", float("nan"), "nan"),
    ],
)
def test_reading(name: str, value: float, text: str) -> None:
    """A value is read by the unit in its name."""
    assert reading(VIEW, name, value) == text


def test_a_moment_is_a_time_of_day() -> None:
    """A timestamp shows on the chain's clock, with the exact moment for programs."""
    assert 'datetime="2026-11-23T13:49:05Z"' in reading(VIEW, "entra_last_sync_timestamp_seconds", NOW - 840)


def test_nothing_to_unfold() -> None:
    """A row that says everything has nothing below it."""
    assert values(VIEW, PROBE, PLAIN) == NOTHING


@pytest.mark.parametrize(("language", "word"), [("en", "values and details"), ("nl", "waarden en bijzonderheden")])
def test_values_and_evidence(language: str, word: str) -> None:
    """The summary is in the reader's language; what a responder said is text, whatever it holds."""
    now = msgspec.structs.replace(PLAIN, detail="<script>alert(1)</script>", values={"http_status_code": 200.0})
    html = str(values(msgspec.structs.replace(VIEW, language=language), PROBE, now))
    assert f"<summary>{word}</summary>" in html
    assert "<code>http_status_code</code> 200" in html
    assert "<script>" not in html
    assert 'id="m:cloud:erp"' in html


def test_either_alone() -> None:
    """Values without words, and words without values."""
    only_values = str(values(VIEW, PROBE, msgspec.structs.replace(PLAIN, values={"dns_answers": 2.0})))
    only_words = str(values(VIEW, PROBE, msgspec.structs.replace(PLAIN, detail="by 192.0.2.1")))
    assert ("<p>" in only_values, "<ul>" in only_values) == (False, True)
    assert ("<p>" in only_words, "<ul>" in only_words) == (True, False)


def test_a_row_does_not_fill_the_page() -> None:
    """Only so many values are shown; the API has them all."""
    many = msgspec.structs.replace(PLAIN, values={f"x{number}": 1.0 for number in range(3 * MOST)})
    assert len(re.findall("<li>", str(values(VIEW, PROBE, many)))) == MOST
