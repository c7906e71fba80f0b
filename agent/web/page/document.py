"""The whole page, and its parts by name for live updates. Pure; under 20 ms for 40 segments."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from agent.snapshot import Snapshot
from agent.web.page.changes import changes
from agent.web.page.findings import banners, closed_incidents, headline, open_incidents, verdict
from agent.web.page.markup import Markup, el, joined
from agent.web.page.measurements import measurements, peers
from agent.web.page.picture import chain_picture, services
from agent.web.page.proofs import proofs
from agent.web.page.tunnels import tunnel_panel
from agent.web.page.view import View, clock, owners
from agent.web.page.witnesses import witnesses

# part -> what renders it, in the page's order. Live updates send the parts that changed.
PARTS: Final[Mapping[str, Callable[[View], Markup]]] = {
    "headline": headline,
    "banners": banners,
    "incidents": open_incidents,
    "chain": chain_picture,
    "services": services,
    "tunnels": tunnel_panel,
    "probes": measurements,
    "peers": peers,
    "witnesses": witnesses,
    "changes": changes,
    "closed": closed_incidents,
    "proofs": proofs,
}
_LABELLED: Final = frozenset(
    ("chain", "services", "tunnels", "probes", "peers", "witnesses", "changes", "closed", "proofs")
)
# Seconds between reloads of a reader without JavaScript.
RELOAD_SECONDS: Final = 10

# Pictures for states: each has its own shape, since colour alone must never tell. 16 by 16 units.
_SHAPES: Final[Mapping[str, str]] = {
    "ok": '<path d="M3 8.5l3.2 3.2L13 4.8" fill="none" stroke="currentColor" stroke-width="2.4"/>',
    "degraded": '<path d="M2 6c2-3 4-3 6 0s4 3 6 0M2 11c2-3 4-3 6 0s4 3 6 0" fill="none" stroke="currentColor" '
    'stroke-width="2"/>',
    "failed": '<path d="M3.5 3.5l9 9M12.5 3.5l-9 9" fill="none" stroke="currentColor" stroke-width="2.6"/>',
    "suspected": '<path d="M5 6a3 3 0 1 1 4.2 2.7C8.3 9.2 8 9.7 8 10.600M8 12.600v1.800" fill="none" '
    'stroke="currentColor" stroke-width="2.2"/>',
    "masked": '<circle cx="8" cy="8" r="5.5" fill="none" stroke="currentColor" stroke-width="1.8" '
    'stroke-dasharray="2.6 2.2"/>',
    "unknown": '<path d="M3 8h10" stroke="currentColor" stroke-width="2.4"/>',
    "warning": '<path d="M8 1.500L15 14H1z" fill="none" stroke="currentColor" stroke-width="1.8"/>'
    '<path d="M8 6v4M8 11.200v1.600" stroke="currentColor" stroke-width="1.8"/>',
    "eye": '<path d="M1.500 8C4 3.5 12 3.5 14.5 8 12 12.5 4 12.5 1.5 8z" fill="none" stroke="currentColor" '
    'stroke-width="1.5"/><circle cx="8" cy="8" r="2.2" fill="currentColor"/>',
}


class Assets(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses of the page's files, each with the hash of its content."""

    style: str
    script: str
    favicon: str


def parts(snapshot: Snapshot, now: float, language: str) -> dict[str, str]:
    """Return every part of the page as HTML, by name. `now` in UTC epoch seconds."""
    view = View(snapshot=snapshot, now=now, language=language)
    return {name: str(render(view)) for name, render in PARTS.items()}


def document(snapshot: Snapshot, now: float, language: str, assets: Assets, version: str) -> str:
    """Return the whole page; `version` is that of its files."""
    view = View(snapshot=snapshot, now=now, language=language)
    rendered = parts(snapshot, now, language)
    body = el(
        "body",
        _symbols(),
        el("a", view.labels.skip, href="#incidents", class_="skip"),
        _top(view),
        el("main", [_part(name, html) for name, html in rendered.items()]),
        _bottom(view),
        data_live="/events?lang=" + language,
        data_lost=view.labels.lost,
        data_alive=view.labels.live,
        data_page=version,
        data_name=f"{snapshot.vantage} · demarc",
    )
    return "<!doctype html>\n" + el("html", _head(view, assets), body, lang=language)


def _head(view: View, assets: Assets) -> Markup:
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", f"{verdict(view)[1]} · {view.snapshot.vantage} · demarc"),
        el("link", rel="icon", type="image/svg+xml", href=assets.favicon),
        el("link", rel="stylesheet", href=assets.style),
        el("script", src=assets.script, defer=True),
        el("noscript", el("meta", http_equiv="refresh", content=str(RELOAD_SECONDS))),
    )


def _symbols() -> Markup:
    shapes = [el("symbol", Markup(shape), id=f"i-{name}", viewBox="0 0 16 16") for name, shape in _SHAPES.items()]
    return el("svg", shapes, class_="symbols", aria_hidden="true")


def _top(view: View) -> Markup:
    """Return the bar: the product, the moment of the picture, the other language."""
    other = "en" if view.language == "nl" else "nl"
    return el(
        "header",
        el("span", "demarc", class_="brand"),
        el("span", view.labels.title, class_="what"),
        el("span", el("span", view.labels.connecting, id="live-words"), " ", _as_of(view), id="live", class_="live"),
        el("a", view.labels.other_language, href=f"?lang={other}", hreflang=other, lang=other, class_="language"),
        class_="top",
    )


def _as_of(view: View) -> Markup:
    return el("span", clock(view, view.snapshot.at), id="live-at")


def _part(name: str, html: str) -> Markup:
    """Return the landmark that a live update fills anew; findings are announced to those who listen."""
    return el(
        "section",
        Markup(html),
        id=name,
        class_="part",
        aria_labelledby=f"{name}-title" if name in _LABELLED and html else None,
        aria_live="polite" if name in ("headline", "incidents") else None,
        role="alert" if name == "banners" else None,
    )


def _bottom(view: View) -> Markup:
    """Return who owns what colour, and what this picture stands on."""
    labels, snapshot = view.labels, view.snapshot
    file = labels.chain_file.format(hash=snapshot.chain.hash[:12], effective=snapshot.chain.effective)
    running = joined(labels.running_since.format(since=""), clock(view, snapshot.started)) if snapshot.started else ""
    return el(
        "footer",
        el("p", owners(view, snapshot.chain.parties)),
        el("p", running, " · " if running else "", file, " · ", el("a", "API", href="/api/v1/status")),
        el("p", labels.limits),
    )
