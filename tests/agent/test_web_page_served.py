"""The status page on its way: text from files and wires escaped, headers, languages, files."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.snapshot import PeerNow, Recording
from agent.web.page import routes
from agent.web.page.document import PARTS
from agent.web.page.markup import Markup, el, joined, text
from agent.web.page.site import preferred
from probes.kit.result import Stage
from tests.agent import samples
from tests.agent.asgi import Reply, get
from tests.agent.samples import NOW, SNAPSHOTS
from tests.agent.test_web_page import outline, page

EVIL = "<script>alert(1)</script>\"'&"


def test_everything_from_files_and_wires_is_escaped() -> None:
    """Names, targets, details, ids: nothing reaches the page as HTML."""
    party = msgspec.structs.replace(samples.CHAIN.parties["carrier"], name=EVIL, contact={"phone": EVIL})
    segment = msgspec.structs.replace(samples.CHAIN.segments["carrier"], description=EVIL)
    service = msgspec.structs.replace(samples.CHAIN.services["erp"], name=EVIL, hours=EVIL)
    item = msgspec.structs.replace(samples.CHAIN.probes["underlay"], target=EVIL)
    chain = msgspec.structs.replace(
        samples.CHAIN,
        parties={**samples.CHAIN.parties, "carrier": party},
        segments={**samples.CHAIN.segments, "carrier": segment},
        services={**samples.CHAIN.services, "erp": service},
        probes={**samples.CHAIN.probes, "underlay": item},
        hash=EVIL,
        effective=EVIL,
    )
    snapshot = msgspec.structs.replace(
        SNAPSHOTS["carrier"],
        chain=chain,
        probes={"cloud>underlay": samples.failing(Stage.CONNECT, EVIL, EVIL)},
        peers=(PeerNow(vantage=EVIL, reachable=False, same_chain=False, detail=EVIL),),
        recording=Recording(ledger=False, detail=EVIL),
        incidents=(msgspec.structs.replace(samples.CARRIER, id=EVIL),),
    )
    html = page(snapshot)
    assert "<script>alert" not in html
    assert "alert(1)" in html
    assert outline(html).open == []


@given(st.text(), st.text())
def test_markup_escapes_any_text(content: str, value: str) -> None:
    """Any text is content again when the element is read."""
    html = el("p", content, title=value)
    parser = outline(html.replace("\r", "").replace("\x00", ""))
    clean = content.replace("\r", "").replace("\x00", "")
    assert "".join(parser.text) == clean
    assert parser.open == []


def test_markup() -> None:
    """Markup is not escaped twice; attributes follow their rules."""
    assert text(Markup("<b>")) == "<b>"
    assert joined("<", ["&", Markup("<i>")]) == "&lt;&amp;<i>"
    assert el("a", "x", class_="", hidden=True, title=None, data_at="1") == '<a hidden data-at="1">x</a>'
    assert el("meta", charset="utf-8") == '<meta charset="utf-8">'


def served(path: str, **headers: str) -> Reply:
    """GET from the page's routes."""
    return get(routes(lambda: SNAPSHOTS["carrier"], lambda: NOW), path, **headers)


def test_the_page_is_served_with_its_headers() -> None:
    """No inline code may run, nothing is cached, the language is said."""
    reply = served("/")
    assert reply.status == 200
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["content-language"] == "en"
    assert all(f'id="{name}"' in reply.text for name in PARTS)
    assert "<title>1 open incident: ERP and HR self-service down · cloud · demarc</title>" in reply.text
    assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in reply.text
    assert "<script src=" in reply.text


LANGUAGE = {
    ("/", "nl-NL,nl;q=0.9,en;q=0.8"): "nl",
    ("/", "de,en;q=0.5,nl;q=0.4"): "en",
    ("/", ""): "en",
    ("/?lang=nl", "en"): "nl",
    ("/?lang=en", "nl"): "en",
}


@pytest.mark.parametrize("case", LANGUAGE)
def test_language_of_the_page(case: tuple[str, str]) -> None:
    """The query decides, then the browser's wish."""
    path, header = case
    assert f'<html lang="{LANGUAGE[case]}">' in served(path, accept_language=header).text


ACCEPTED = {"nl;q=0.3, en;q=0.2": "nl", "nl;q=0, en": "en", "nl;q=x": "en", "NL": "nl", "*": "en", "nl;q=0": "en"}


@pytest.mark.parametrize("header", ACCEPTED)
def test_accept_language(header: str) -> None:
    """Weights are obeyed; what is not understood counts for nothing."""
    assert preferred(header) == ACCEPTED[header]


def test_files_are_kept_for_ever_by_their_hash() -> None:
    """The page's files are addressed by content; another hash is served but not kept."""
    found = re.findall(r'"(/static/[0-9a-f]{16}/([\w.]+))"', served("/").text)
    kinds = {"page.css": "text/css", "page.js": "text/javascript", "favicon.svg": "image/svg+xml"}
    assert {name for _, name in found} == set(kinds)
    for path, name in found:
        reply = served(path)
        assert reply.status == 200
        assert reply.headers["content-type"].startswith(kinds[name])
        assert "immutable" in reply.headers["cache-control"]
    assert served("/static/0/page.css").headers["cache-control"] == "no-cache"
    assert served("/static/0/../page.py").status == 404
    assert served("/static/0/none").status == 404
