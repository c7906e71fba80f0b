"""What the ledger holds beside an incident, in words, in the API and on the page."""

from pathlib import Path

import msgspec
import pytest

from agent.cli.incidents import told
from agent.daemon.records import KINDS, Records, noted
from agent.incident.value import Incident, Kind, State
from agent.ledger import body
from agent.ledger.cases import Recorded
from agent.ledger.entry import Entry
from agent.snapshot import Noted, Snapshot
from agent.web.answers import incident_answers
from agent.web.page.document import parts
from agent.words.record_text import TEXTS, record_text
from tests.agent.ledger.test_body import ENTRIES
from tests.agent.samples import CHAIN, HEALTHY, NOW

ABOUT = [one for one in ENTRIES if body.write(one)[0] in KINDS]
LINES = {
    "evidence": ("7 measurements kept as evidence (its begin)", "7 metingen bewaard als bewijs (het begin)"),
    "reattribution": ("say: not to be traced to one party", "zeggen: niet te herleiden tot één partij"),
    "hold": ("Gemeente Voorbeeld: disputed, nothing of it is erased", "betwist, er wordt niets van gewist"),
    "correction": ("approved by Gemeente Voorbeeld (signed)", "goedgekeurd door Gemeente Voorbeeld (ondertekend)"),
    "request": (
        "Gemeente Voorbeeld asks Zittende ICT for an explanation, until",
        "vraagt Zittende ICT om een verklaring",
    ),
    "reply": (
        "the request r1: the term passed without a reply",
        "het verzoek r1: de termijn verstreek zonder antwoord",
    ),
    "objection": ("GlasNet objects, to be decided by", "GlasNet maakt bezwaar, te beslissen vóór"),
    "decision": ("the objection o1: upheld", "het bezwaar o1: gegrond"),
    "acknowledgement": ("GlasNet has taken note (silenced the alert)", "GlasNet heeft kennisgenomen"),
}


def shown(number: int, entry: Entry) -> Noted:
    """Return an entry as the page gets it."""
    found = noted(Recorded(index=number, hash="ab" * 32, entry=entry))
    assert found is not None
    return found[1]


@pytest.mark.parametrize("entry", ABOUT, ids=lambda entry: body.write(entry)[0])
def test_every_kind_has_its_line(entry: Entry) -> None:
    """In both languages, with the number by which it is found."""
    english, dutch = (record_text(shown(3, entry), CHAIN, language) for language in ("en", "nl"))
    expected = LINES[body.write(entry)[0]]
    assert expected[0] in english
    assert expected[1] in dutch
    assert english.endswith(" · entry 3")
    assert dutch.endswith(" · inschrijving 3")


def test_both_languages_have_the_same_words() -> None:
    """A missing one would show a key."""
    assert TEXTS["en"].patterns.keys() == TEXTS["nl"].patterns.keys() == set(KINDS)
    assert TEXTS["en"].words.keys() == TEXTS["nl"].words.keys()


def test_a_kind_of_a_later_version_shows_its_name() -> None:
    """Rather than nothing, or an error."""
    later = Noted(index=1, hash="", kind="verdict", body={"incident": "i"})
    assert record_text(later, CHAIN, "en") == "verdict · entry 1"


def picture() -> tuple[Snapshot, Incident]:
    """Return a snapshot with an incident and a line beside it."""
    incident = Incident(
        id="i",
        state=State.CONFIRMED,
        kind=Kind.UNDETERMINED,
        mover="msp",
        opened=NOW - 60,
        confirmed=NOW - 50,
        segments=("carrier",),
    )
    record = tuple(shown(number, entry) for number, entry in enumerate(ABOUT))
    return msgspec.structs.replace(HEALTHY, incidents=(incident,), records={"i": record}), incident


def test_api_and_page_show_it() -> None:
    """The API with the body, the page with the leaf's hash."""
    snapshot, incident = picture()
    (answer,) = incident_answers([incident], snapshot, "en")
    assert [one.index for one in answer.record] == list(range(len(ABOUT)))
    assert answer.record[0].body["kind"] == answer.record[0].kind
    assert "  7 measurements kept as evidence (its begin) · entry 1" in told(answer, "en").splitlines()
    html = "".join(parts(snapshot, NOW, "nl").values())
    assert f"In het logboek ({len(ABOUT)})" in html
    assert f'<li title="{"ab" * 32}">' in html
    closed = msgspec.structs.replace(incident, state=State.CLOSED, closed=NOW - 5)
    html = "".join(parts(msgspec.structs.replace(snapshot, incidents=(), closed=(closed,)), NOW, "en").values())
    assert f"In the ledger ({len(ABOUT)})" in html


def test_only_what_is_about_an_incident_is_noted() -> None:
    """Starts and hours stand beside none."""
    others = [one for one in ENTRIES if one not in ABOUT]
    assert all(noted(Recorded(index=1, hash="", entry=one)) is None for one in others)
    request = next(one for one in ABOUT if body.write(one)[0] == "request")
    about_none = msgspec.structs.replace(request, incident="")
    assert noted(Recorded(index=1, hash="", entry=about_none)) is None


def test_a_new_entry_is_told_at_once() -> None:
    """From the writer's thread to whoever shows it."""
    told: list[tuple[str, Noted]] = []
    records = Records(Path(__file__), told.append)
    assert records.due(NOW)
    records.entered(Recorded(index=4, hash="ff", entry=ABOUT[0]))
    assert [(incident, one.index) for incident, one in told] == [("i", 4)]
