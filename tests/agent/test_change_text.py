"""Changes in words: page, API and command line say the same, and none of them says that a change caused anything."""

import msgspec
import pytest

from agent.drift.value import Change, Event, Move
from agent.web.answers import change_answers, incident_answers
from agent.web.page.document import parts
from agent.words.change_text import caveat, change_text, last_change_text, short
from tests.agent.samples import CHAIN, NOW, SNAPSHOTS

SAMPLE = SNAPSHOTS["drift"]
TUNNEL, ERP, FILE, SEEN = SAMPLE.drift.changes
AB, CD = "abababababab…", "cdcdcdcdcdcd…"
TEXTS: dict[str, tuple[Change, str, str]] = {
    "one look after the other": (
        TUNNEL,
        "14:48:05 CET, “tunnel” from cloud: site/net rekey seconds from 14400 to 3600",
        "14:48:05 CET, “tunnel” vanaf cloud: site/net rekey seconds van 14400 naar 3600",
    ),
    "nobody looked for half an hour": (
        ERP,
        f"between 12:33:05 CET and 13:03:05 CET, “erp” from cloud: certificate sha256 from {AB} to {CD}",
        f"tussen 12:33:05 CET en 13:03:05 CET, “erp” vanaf cloud: certificate sha256 van {AB} naar {CD}",
    ),
    "the chain file": (
        FILE,
        "12:49:45 CET, at onprem: the chain file from 111111111111… to 222222222222…",
        "12:49:45 CET, op onprem: het ketenbestand van 111111111111… naar 222222222222…",
    ),
    "first seen": (
        SEEN,
        "12:33:05 CET, “erp” from cloud: certificate sha256 is abababababab…",
        "12:33:05 CET, “erp” vanaf cloud: certificate sha256 is abababababab…",
    ),
    "flapping": (
        msgspec.structs.replace(TUNNEL, event=Event.FLAPPING, moves={"mode": Move(before="a", after="a | b")}),
        "14:48:05 CET, “tunnel” from cloud: mode keeps changing (a | b)",
        "14:48:05 CET, “tunnel” vanaf cloud: mode wisselt steeds (a | b)",
    ),
    "settled": (
        msgspec.structs.replace(TUNNEL, event=Event.SETTLED, moves={"mode": Move(before="a", after="b")}),
        "14:48:05 CET, “tunnel” from cloud: mode holds again: b",
        "14:48:05 CET, “tunnel” vanaf cloud: mode staat weer vast: b",
    ),
}


@pytest.mark.parametrize("case", TEXTS)
def test_a_change_in_words(case: str) -> None:
    """When, seen by which measurement, what from what to what."""
    change, english, dutch = TEXTS[case]
    assert change_text(change, CHAIN, "en", now=NOW) == english
    assert change_text(change, CHAIN, "nl", now=NOW) == dutch


def test_how_far_from_the_incident() -> None:
    """Before it opened, or only seen after it."""
    before, after = TUNNEL.at + 90.0, TUNNEL.at - 3.0
    assert last_change_text(TUNNEL, before, CHAIN, "en").endswith("to 3600 (1 minute and 30 seconds before).")
    assert last_change_text(TUNNEL, after, CHAIN, "nl").endswith("naar 3600 (gezien 3 seconden erna).")


def test_only_digests_are_shortened() -> None:
    """What people can read stays whole."""
    assert short("CN=erp.corp.lab, " + "ab" * 32) == "CN=erp.corp.lab, abababababab…"
    assert short("AES_GCM_16-128/PRF_HMAC_SHA2_256/CURVE_25519") == "AES_GCM_16-128/PRF_HMAC_SHA2_256/CURVE_25519"


@pytest.mark.parametrize("language", ["en", "nl"])
def test_the_last_change_stands_beside_the_incident(language: str) -> None:
    """On the page and in the API, with the words that it proves no cause; the finding is the same without it."""
    (told,) = incident_answers(SAMPLE.incidents, SAMPLE, language)
    (bare,) = incident_answers(SAMPLE.incidents, SNAPSHOTS["vpn"], language)
    assert [one.probe for one in told.last_changes] == ["tunnel", ""]
    assert msgspec.structs.replace(told, last_changes=()) == bare
    html = parts(SAMPLE, NOW, language)["incidents"]
    assert told.last_changes[0].text in html
    assert caveat(language) in html


def test_the_page_names_what_is_not_as_approved() -> None:
    """Both values and who approved; what nobody approved is counted, what was only seen is no change."""
    html = parts(SAMPLE, NOW, "en")["changes"]
    assert "erp: certificate sha256 is cdcdcdcdcdcd…; approved is abababababab… (Zittende ICT)" in html
    assert "tunnel: site/net rekey seconds is 3600; approved is 14400 (chain file)" in html
    assert "Seen, and approved by nobody yet: 1 (" in html
    assert TEXTS["first seen"][1] not in html
    assert all(one.text in html for one in change_answers(SAMPLE, "en")[:3])


def test_old_changes_leave_the_page() -> None:
    """After a week they are for reports; what has drifted stays as long as it has."""
    html = parts(SAMPLE, NOW + 8 * 86_400.0, "nl")["changes"]
    assert "In de laatste zeven dagen is niets gewijzigd." in html
    assert "goedgekeurd is 14400 (ketenbestand)" in html


def test_nothing_to_tell_is_no_part_of_the_page() -> None:
    """A chain without such probes has no empty heading."""
    assert parts(SNAPSHOTS["healthy"], NOW, "en")["changes"] == ""
