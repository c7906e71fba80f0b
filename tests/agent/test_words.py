"""The sentences: their number, their words, and what they must never say."""

import pkgutil
import re
import string
from importlib import import_module
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import probes
from agent.daemon.attempts import ERROR, HUNG
from agent.daemon.selfcheck import FAULTS as SELF_CHECK_FAULTS
from agent.incident.value import Excess, Incident, Kind, Standing, State, Support
from agent.model import UNASSIGNED, Chain
from agent.observation import SELF
from agent.snapshot import ProbeNow
from agent.words import LANGUAGES, language_of, page_text, sentences, summary, term
from agent.words.dutch import DUTCH
from agent.words.english import ENGLISH
from agent.words.faults import FAULTS as FAULTS_IN_WORDS
from agent.words.names import duration, lasting, listed, moment, segment_names
from agent.words.phrases import Phrases
from agent.words.terms import TERMS, fault_words
from probes.kit.result import Outcome, Stage
from tests.agent import samples
from tests.agent.samples import CHAIN, INCIDENTS, NOW
from tests.agent.sentences_page import page

FORBIDDEN = re.compile(r"blame|guilt|liab|schuld|toerekenbaar|aansprakelijk|verwijt", re.IGNORECASE)
PLACEHOLDER = re.compile(r"\{|\}")

segment_ids = st.sampled_from([*CHAIN.segments, "gone"])
party_ids = st.sampled_from([*CHAIN.parties, UNASSIGNED, "gone"])
probe_keys = st.sampled_from([*(p.key for p in CHAIN.probes.values()), "cloud>self", "cloud>gone"])
faults = st.sampled_from(["connect/timeout", "answer/status", "/slow", "odd", "", "secure/odd"])


def tuples(of: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    """Return up to seven different values as a tuple."""
    return st.lists(of, max_size=7, unique=True).map(tuple)


incidents = st.builds(
    Incident,
    id=st.text(string.hexdigits, min_size=12, max_size=12),
    state=st.sampled_from(State),
    kind=st.sampled_from(Kind),
    parties=tuples(party_ids),
    candidates=tuples(party_ids),
    segments=tuples(segment_ids),
    services=tuples(st.sampled_from([*CHAIN.services, "gone"])),
    mover=party_ids,
    standing=st.none() | st.sampled_from(Standing),
    rests_on=tuples(party_ids),
    margin=st.none() | st.integers(1, 4),
    decide_with=tuples(probe_keys),
    simplest=tuples(segment_ids),
    support=st.builds(
        Support,
        failing=tuples(probe_keys),
        exonerating=st.dictionaries(segment_ids, tuples(probe_keys), max_size=4),
    ),
    faults=st.dictionaries(probe_keys, faults, max_size=4),
    vantage=st.none() | st.sampled_from(["cloud", "gone"]),
    opened=st.floats(NOW - 1e6, NOW),
    closed=st.none() | st.floats(NOW, NOW + 1e6),
    excess=st.none()
    | st.builds(Excess, what=st.sampled_from(["delay", "loss"]), low=st.floats(0, 9), margin=st.floats(0, 1)),
)


@given(incidents, st.sampled_from(LANGUAGES))
def test_any_incident_has_a_text(incident: Incident, language: str) -> None:
    """Any incident whatever gives whole sentences, one short headline, and no forbidden word."""
    told = sentences(incident, CHAIN, samples.PASSING, language)
    headline = summary(incident, CHAIN, language)
    page = page_text(incident, CHAIN, None, language)
    assert 2 <= len(told) <= 6
    assert all(text.endswith(".") and text[:1].strip() for text in told)
    assert 0 < len(headline) <= 100
    assert "\n" not in headline
    assert page.startswith(headline)
    assert page.endswith("\n")
    assert not FORBIDDEN.search(" ".join((*told, headline, page)))
    assert not PLACEHOLDER.search(" ".join((*told, headline, page)))


@pytest.mark.parametrize("name", INCIDENTS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_three_to_six_sentences(name: str, language: str) -> None:
    """A sample incident is told in three to six sentences."""
    assert 3 <= len(sentences(INCIDENTS[name], CHAIN, None, language)) <= 6


def reporting(outcome: Outcome, told_by: str = "microsoft") -> str:
    """Return what is said of Microsoft's fault while its own word is `outcome`."""
    health = samples.probe(
        "health", "cloud", "entra_service_health", "graph", "cloud-host cloud-gw entra", told_by=told_by
    )
    chain = msgspec.structs.replace(CHAIN, probes={"health": health, **CHAIN.probes})
    theirs = msgspec.structs.replace(INCIDENTS["carrier"], parties=("microsoft",), segments=("entra",))
    now = {"cloud>health": ProbeNow(outcome=outcome, fault="service-issue")}
    return " ".join(sentences(theirs, chain, now))


def test_what_a_party_tells_of_itself_stands_beside() -> None:
    """Microsoft's own issue is named as its own word; nothing is said while it reports none, or nobody tells."""
    assert "Microsoft itself tells by “health”: Microsoft reports an issue" in reporting(Outcome.DEGRADED)
    assert "itself" not in reporting(Outcome.OK)
    assert "itself" not in reporting(Outcome.DEGRADED, told_by="")
    assert "itself" not in reporting(Outcome.DEGRADED, told_by="incumbent")


SAYS = {
    "attributed names the party and the segment": ("carrier", "what remains is carrier, owned by GlasNet alone"),
    "services come first": ("carrier", "ERP and HR self-service are disturbed: since 15:01:35 CET on 23 November 2026"),
    "many failing probes are counted": ("carrier", "5 measurements from cloud and onprem fail"),
    "one failing probe is described": ("carrier, one side", "“underlay” (ping to 203.0.113.2) from cloud fails"),
    "corroborated": ("carrier", "independently confirmed"),
    "margin two stands one wrong measurement": ("carrier", "even if any one measurement is wrong"),
    "single-sided names on whose word": ("carrier, one side", "rests on the measurements of Nieuwe MSP"),
    "single-sided says what would confirm": ("carrier, one side", "confirm it independently: “o-underlay” from onprem"),
    "the self-check is called so": ("carrier, one side", "the self-check of cloud"),
    "owner to move": ("carrier", "the move of GlasNet, the owner of carrier"),
    "joint segment": ("vpn", "vpn, which Nieuwe MSP and Zittende ICT own together"),
    "joint segment's lead": ("vpn", "takes the lead for vpn; that says nothing about the cause"),
    "candidates with their segments": ("last mile", "GlasNet (carrier) and Zittende ICT (onprem-gw)"),
    "simplest explanation is not proof": ("last mile", "carrier (GlasNet); that is an explanation, not proof"),
    "what would decide": ("last mile", "What would decide it: “o-underlay” from onprem."),
    "director to move": ("last mile", "Nieuwe MSP, the director of the chain; that says nothing about the cause"),
    "what worked": ("last mile", "cloud-gw (Nieuwe MSP); this is shown by “gw” and “saas” from cloud"),
    "suspicion calls nobody": ("application, suspected", "5 confirmation rounds must agree"),
    "monitor": ("monitor", "the measuring point cloud cannot measure"),
    "monitor says nothing of the chain": ("monitor", "say nothing about the chain, good or bad"),
    "vantage's operator to move": ("monitor", "Nieuwe MSP, who operates this measuring point"),
    "contradiction": ("contradiction", "contradict each other"),
    "recovering": ("recovering", "it stays the move of GlasNet until they keep passing"),
    "closed tells how long it lasted": ("closed", "until 14:04:45 CET (1 hour and 3 minutes)"),
    "closed asks nobody": ("closed", "nobody needs to act"),
    "delay says how much at least": ("slow", "from cloud is at least 45 ms longer than usual; from 15 ms on"),
    "delay says how much lies with whom": ("slow", "At least 38 ms of 45 ms lies in carrier, owned by GlasNet alone"),
    "delay says what added little": ("slow", "added little or nothing: cloud-gw (Nieuwe MSP)"),
    "delay that is over": ("slow, recovering", "within the margin again; it stays the move of GlasNet"),
    "loss": ("lossy", "at least 3.4 % more than usual of “underlay” from cloud gets lost; from 2 % on"),
    "loss that cannot be traced": ("lossy", "still possible are GlasNet (carrier) and Zittende ICT (onprem-gw)"),
    "parts that do not add up": ("slow, contradiction", "all parts together add less than what"),
}


@pytest.mark.parametrize("case", SAYS)
def test_english_says(case: str) -> None:
    """The English text holds what the incident's fields say."""
    name, expected = SAYS[case]
    assert expected in " ".join(sentences(INCIDENTS[name], CHAIN))


ZEGT = {
    "attributed": ("carrier", "over blijft carrier, van GlasNet alleen"),
    "corroborated": ("carrier", "onafhankelijk bevestigd"),
    "single-sided": ("carrier, one side", "berust op meting van Nieuwe MSP"),
    "mover": ("carrier", "Aan zet is GlasNet"),
    "joint": ("vpn", "waarvan Nieuwe MSP en Zittende ICT samen eigenaar zijn"),
    "undetermined": ("last mile", "niet te herleiden tot één partij"),
    "director": ("last mile", "de regievoerder van de keten"),
    "monitor": ("monitor", "kan het meetpunt cloud niet meten"),
    "contradiction": ("contradiction", "spreken elkaar tegen"),
    "closed": ("closed", "(1 uur en 3 minuten) mislukten 5 metingen"),
}


@pytest.mark.parametrize("case", ZEGT)
def test_dutch_says(case: str) -> None:
    """The Dutch text uses the vocabulary's on-screen words."""
    name, expected = ZEGT[case]
    assert expected in " ".join(sentences(INCIDENTS[name], CHAIN, None, "nl"))


def changed(incident: Incident, **fields: object) -> str:
    """Return the English text of `incident` with other fields."""
    return " ".join(sentences(msgspec.structs.replace(incident, **fields), CHAIN))


def test_rare_fields_say() -> None:
    """Fields that the samples do not have: self-measured, higher margin, none cleared, no decider."""
    assert "own measurements of GlasNet only" in changed(samples.CARRIER, standing=Standing.SELF_MEASURED)
    assert "even if any 2 measurements are wrong" in changed(samples.CARRIER, margin=3)
    assert "no measurement showed that another part" in changed(samples.CARRIER, support=Support(failing=("cloud>gw",)))
    assert "No measurement in the chain file would decide it" in changed(samples.LAST_MILE, decide_with=())
    assert "the chain does not work as agreed" in changed(samples.CARRIER, support=Support())
    assert "the chain did not work as agreed" in changed(samples.CLOSED, support=Support())
    assert "its self-check failed" in changed(samples.MONITOR, faults={})
    assert "move of GlasNet; that says nothing about the cause" in changed(samples.LAST_MILE, mover="carrier")
    one = msgspec.structs.replace(samples.CLOSED.support, failing=("cloud>underlay",))
    assert "the measurement “underlay” (ping to 203.0.113.2) from cloud failed" in changed(samples.CLOSED, support=one)


def test_what_failing_measurements_show() -> None:
    """A failing measurement that got far enough to clear a part is told apart from those that passed."""
    refused: dict[str, tuple[str, ...]] = {"carrier": ("cloud>erp", "cloud>anchor")}
    text = changed(samples.CONTRADICTION, support=Support(failing=("cloud>erp",), exonerating=refused))
    assert "shown by “anchor” from cloud, and by failing measurements themselves, which got that far." in text
    alone = Support(failing=("cloud>erp",), exonerating={"carrier": ("cloud>erp",)})
    assert "this is shown by “erp” from cloud." in changed(samples.CONTRADICTION, support=alone)


def test_two_ways_of_failing_are_kept_apart() -> None:
    """Each may hold a comma or an `and` itself; more than two are counted."""
    assert "no answer came in time; the tunnel is up, but" in " ".join(sentences(samples.VPN, CHAIN))
    ways = ("connect/timeout", "connect/refused", "answer/status")
    support = Support(failing=("cloud>anchor", "cloud>erp", "cloud>hr"))
    text = changed(samples.VPN, support=support, faults=dict(zip(support.failing, ways, strict=True)))
    assert "no answer came in time; the connection was refused; 1 more." in text


def test_what_has_ended_is_told_as_past() -> None:
    """What would have decided it, and that its measurements counted for nothing."""
    ended = {"state": State.CLOSED, "closed": NOW}
    assert "What would have decided it: “o-underlay” from onprem." in changed(samples.LAST_MILE, **ended)
    one_sided = INCIDENTS["carrier, one side"]
    assert "What would have confirmed it independently: " in changed(one_sided, **ended)
    assert "would have decided it; for a next time" in changed(samples.LAST_MILE, decide_with=(), **ended)
    assert "Its measurements of that time count as unknown" in changed(samples.MONITOR, **ended)


def test_no_sentence_has_a_hole() -> None:
    """Without a failing probe or a candidate there is another sentence."""
    slow, lossy = INCIDENTS["slow, joint"], INCIDENTS["lossy, nobody's"]
    bare = Support()
    assert "the chain is at least 45 ms slower than usual" in changed(slow, support=bare)
    assert "the chain was at least 45 ms slower" in changed(slow, support=bare, state=State.CLOSED, closed=NOW)
    assert "at least 3.4 % more than usual gets lost" in changed(lossy, support=bare)
    assert "at least 3.4 % more than usual got lost" in changed(lossy, support=bare, state=State.CLOSED, closed=NOW)
    assert "carrier and onprem-gw remain, and nobody is named for them" in changed(lossy)


def test_dutch_numbers_have_a_comma() -> None:
    """As people write them."""
    assert "ten minste 3,4 % meer verloren" in " ".join(sentences(INCIDENTS["lossy"], CHAIN, None, "nl"))


def test_several_self_checks_are_named_together() -> None:
    """Two vantages' self-checks are told in one breath, after the probes."""
    cleared: dict[str, tuple[str, ...]] = {"cloud-host": ("cloud>self", "onprem>self", "cloud>gw")}
    text = changed(samples.LAST_MILE, support=Support(failing=("cloud>underlay",), exonerating=cleared))
    assert "shown by “gw” from cloud, and the self-checks of cloud and onprem." in text


def test_unassigned_segment_names_nobody() -> None:
    """A segment without an agreed owner is never put down to a party."""
    segment = msgspec.structs.replace(CHAIN.segments["carrier"], owners=(UNASSIGNED,), quote="")
    chain = msgspec.structs.replace(CHAIN, segments={**CHAIN.segments, "carrier": segment})
    incident = msgspec.structs.replace(
        samples.LAST_MILE, segments=("carrier",), candidates=(UNASSIGNED,), decide_with=()
    )
    text = page_text(incident, chain)
    assert "carrier, which has no agreed owner" in text
    assert "No measurement in the chain file would decide it" not in text
    assert "GlasNet" not in text
    assert "geen afgesproken eigenaar" in segment_names(["carrier"], chain, "nl")


def test_the_last_result_helps_where_the_incident_holds_no_fault() -> None:
    """A failing probe without a recorded fault is described by its last result."""
    incident = msgspec.structs.replace(samples.LAST_MILE, faults={})
    now = ProbeNow(outcome=Outcome.FAILED, stage=Stage.CONNECT, fault="refused")
    assert "the connection was refused" in sentences(incident, CHAIN, {"cloud>underlay": now})[0]
    assert "it does not work as agreed" in sentences(incident, CHAIN, {"cloud>underlay": ProbeNow()})[0]
    monitor = msgspec.structs.replace(samples.MONITOR, faults={})
    blind = ProbeNow(outcome=Outcome.UNKNOWN, fault="no-route")
    assert "knows no way out" in sentences(monitor, CHAIN, {"cloud>self": blind})[0]


HEADLINES = {
    "carrier": "carrier (GlasNet) fails; affects ERP and HR self-service",
    "vpn": "vpn fails, cannot be traced to one party; affects ERP and HR self-service",
    "last mile": "Cannot be traced to one party: GlasNet or Zittende ICT; affects ERP",
    "application, suspected": "Suspected disturbance (erp-app), being confirmed; affects ERP",
    "monitor": "Measuring point cloud cannot measure",
    "contradiction": "Measurements contradict each other (cloud-gw and carrier); affects ERP",
    "recovering": "Recovering: carrier (GlasNet) fails; affects ERP and HR self-service",
    "closed": "Ended: carrier (GlasNet) failed; affects ERP and HR self-service",
}


@pytest.mark.parametrize("name", HEADLINES)
def test_headline(name: str) -> None:
    """The headline says what is wrong, with whom and what it affects."""
    assert summary(INCIDENTS[name], CHAIN) == HEADLINES[name]


def long_named(letter: str) -> Chain:
    """Return the chain with a director of 120 letters, to fill any line."""
    party = msgspec.structs.replace(CHAIN.parties["carrier"], name=letter * 120)
    return msgspec.structs.replace(CHAIN, parties={**CHAIN.parties, "carrier": party})


def test_a_long_headline_is_cut() -> None:
    """First the services go, then the rest is cut with an ellipsis."""
    many = msgspec.structs.replace(samples.CARRIER, services=tuple(f"service-with-a-long-name-{i}" for i in range(4)))
    assert summary(many, CHAIN) == "carrier (GlasNet) fails"
    cut = summary(samples.CARRIER, long_named("x"))
    assert len(cut) == 100
    assert cut.endswith("…")


def test_page_text_names_whom_to_call_only_when_somebody_is_called() -> None:
    """A confirmed incident gives the mover's contact; a suspicion and an ended one give none."""
    page = page_text(samples.CARRIER, CHAIN)
    assert "To act: GlasNet, phone +31 30 000 00 00\n" in page
    assert "Quote: carrier: circuit NL-123456\n" in page
    assert "telefoon +31 30" in page_text(samples.CARRIER, CHAIN, None, "nl")
    assert "To act" not in page_text(samples.APPLICATION, CHAIN)
    assert "To act" not in page_text(samples.CLOSED, CHAIN)
    unknown = msgspec.structs.replace(samples.LAST_MILE, mover="gone")
    assert "To act: gone\n" in page_text(unknown, CHAIN)
    support_hours = msgspec.structs.replace(samples.LAST_MILE, mover="incumbent")
    assert "To act: Zittende ICT, Mo-Fr 08:00-17:00\n" in page_text(support_hours, CHAIN)


DURATIONS = {
    0.2: "0 seconds",
    1: "1 second",
    65: "1 minute and 5 seconds",
    3600: "1 hour",
    90_061: "1 day and 1 hour",
    7200.4: "2 hours",
}


@pytest.mark.parametrize("seconds", DURATIONS)
def test_duration(seconds: float) -> None:
    """A duration is told in its two largest units."""
    assert lasting(seconds, "en") == DURATIONS[seconds]


def test_a_moment_is_on_the_chains_clock() -> None:
    """Summer and winter time come from the chain's zone, not the host's."""
    assert moment(NOW, CHAIN, "nl") == "15:03:05 CET op 23 november 2026"
    assert moment(NOW - 86_400 * 120, CHAIN, "en") == "16:03:05 CEST on 26 July 2026"
    assert moment(NOW, CHAIN, "en", day_of=NOW - 86_400).endswith("2026")


def test_lists() -> None:
    """One to four names are listed, more are counted."""
    assert [listed(list("abcde")[:n], "en") for n in (0, 1, 2, 4, 5)] == [
        "",
        "a",
        "a and b",
        "a, b, c and d",
        "a, b, c, d and 1 more",
    ]


FAULTS = {
    "connect/timeout": "no answer came in time",
    "resolve/resolve-timeout": "the name service did not answer in time",
    "secure/weird": "the connection was not secured (weird)",
    "weird": "it does not work as agreed (weird)",
    "": "it does not work as agreed",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_in_words(fault: str) -> None:
    """A fault is told by the most exact words there are; an unknown one keeps its name."""
    assert fault_words(fault, "en") == FAULTS[fault]


def test_language() -> None:
    """Dutch tags give Dutch, all others English; an unknown key stays as it is."""
    assert [language_of(t) for t in ("nl", "NL-be", " nl ", "en-GB", "de", "", "nld")] == ["nl"] * 3 + ["en"] * 4
    assert term("segment", "masked", "nl") == "afgedekt"
    assert term("segment", "odd") == "odd"
    assert summary(samples.CARRIER, CHAIN, "de") == HEADLINES["carrier"]


@pytest.mark.parametrize("field", Phrases.__struct_fields__)
def test_both_languages_fill_in_the_same(field: str) -> None:
    """A pattern has the same placeholders in both languages, and no forbidden word."""
    english, dutch = getattr(ENGLISH, field), getattr(DUTCH, field)
    assert placeholders(english) == placeholders(dutch)
    assert not FORBIDDEN.search(f"{english} {dutch}")


def placeholders(pattern: str | tuple[str, ...]) -> set[str | None]:
    """Return the names in braces."""
    texts = (pattern,) if isinstance(pattern, str) else pattern
    return {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name}


def test_the_catalogue_is_up_to_date() -> None:
    """People review the sentences on a page; it is what the code says (renew it as its first lines tell)."""
    assert (Path(__file__).parents[2] / "docs/sentences.md").read_text() == page()


def test_terms_hold_no_forbidden_word() -> None:
    """Neither do the fixed words."""
    assert not FORBIDDEN.search(" ".join(w for topic in TERMS.values() for pair in topic.values() for w in pair))


def declared_faults() -> list[str]:
    """Return `stage/fault` (`/fault` where we could not look) of every fault of the installed probe types."""
    names = [m.name for m in pkgutil.iter_modules(probes.__path__) if not m.ispkg]
    specs = [import_module(f"probes.{name}").SPEC for name in names]
    return sorted({f"{f.stage or ''}/{f.name}" for spec in specs for f in spec.faults})


@pytest.mark.parametrize("fault", declared_faults())
def test_every_fault_has_words(fault: str) -> None:
    """A new fault of a probe type needs a row in agent/words/faults.py."""
    assert not fault_words(fault, "nl").endswith(")")


def test_every_fault_of_the_self_check_has_words() -> None:
    """So does a new fault of the self-check."""
    assert all(name in FAULTS_IN_WORDS for name in SELF_CHECK_FAULTS)


@pytest.mark.parametrize("fault", [SELF, HUNG, ERROR])
def test_what_the_agent_itself_could_not_do_has_words(fault: str) -> None:
    """Nobody reads that something else does not work as agreed when it was us."""
    assert not fault_words(f"/{fault}", "en").endswith(")")


MEASURED = {0.00042: "0.42 ms", 0.0041: "4.1 ms", 0.0414: "41 ms", 1.254: "1.25 s"}


@pytest.mark.parametrize("seconds", MEASURED)
def test_measured_duration(seconds: float) -> None:
    """Durations have as many digits as are worth reading."""
    assert duration(seconds, "en") == MEASURED[seconds]
    assert duration(seconds, "nl") == MEASURED[seconds].replace(".", ",")
