"""The page's picture of the chain and its services. Pure.

Every segment shows its owner's colour and name, its state as picture and word; every place where the
owner changes shows the demarcation line.
"""

from agent.model import Chain
from agent.web.arrangement import Arrangement, Branch, Column, arrange
from agent.web.page.markup import NOTHING, Markup, el
from agent.web.page.view import View, band, icon, owners, section, state
from agent.words.names import listed


def chain_picture(view: View) -> Markup:
    """Return the chain from left to right, its branches, and the list of demarcation lines."""
    picture = arrange(view.chain)
    sides = _first_of_side(picture)
    return section(
        "chain",
        view.labels.chain,
        el("ol", [_column(view, c, sides[n]) for n, c in enumerate(picture.columns)], class_="chain"),
        el("ul", [_branch(view, b) for b in picture.branches], class_="branches") if picture.branches else NOTHING,
        _legend(view, picture),
    )


def _first_of_side(picture: Arrangement) -> list[tuple[str, ...]]:
    """Return for each column the sides that are named above it: those that the column before lacks."""
    before: tuple[str, ...] = ()
    named = []
    for column in picture.columns:
        named.append(tuple(s for s in column.sides if s not in before))
        before = column.sides
    return named


def _column(view: View, column: Column, named: tuple[str, ...]) -> Markup:
    side = listed([view.term("side", s) for s in named], view.language)
    return el(
        "li",
        el("span", side, class_="side"),
        _line(view, column.lines),
        el("div", [_segment(view, s) for s in column.segments], class_="stack"),
        class_=f"col{' cut' if column.lines else ''}{' first' if named else ''} z-{column.sides[0]}",
    )


def _line(view: View, lines: tuple[tuple[str, str], ...]) -> Markup:
    """Return the demarcation line with the owners on both sides in words."""
    if not lines:
        return NOTHING
    texts = dict.fromkeys(f"{_owners(view, a)} | {_owners(view, b)}" for a, b in lines)
    words = f"{view.labels.line}: {'; '.join(texts)}"
    return el("span", el("span", words, class_="words"), class_="line", title=words)


def _segment(view: View, segment: str) -> Markup:
    """Return one segment's card."""
    known = view.chain.segments[segment]
    key = view.segment_state(segment)
    # What works for one kind of traffic can still be the cause for another (large packets, another port).
    doubtful = key == "ok" and segment in view.suspects
    eye = (
        el("span", icon("eye"), title=view.labels.measuring_point, class_="eye")
        if _measures(view.chain, segment)
        else NOTHING
    )
    return el(
        "div",
        band(view, known.owners),
        el("strong", segment, eye, class_="name"),
        state(view, "segment", "partly" if doubtful else key),
        state(view, "segment", "suspected") if doubtful else NOTHING,
        owners(view, known.owners),
        class_=f"seg is-{'suspected' if doubtful else key}",
        title=known.description or None,
    )


def _measures(chain: Chain, segment: str) -> bool:
    return any(v.segment == segment for v in chain.vantages.values())


def _owners(view: View, segment: str) -> str:
    return " + ".join(view.party(p) for p in view.chain.segments[segment].owners)


def _branch(view: View, branch: Branch) -> Markup:
    """Return an online service: where it hangs on the chain, the line, its card."""
    after = listed(branch.after, view.language)
    reached = view.labels.branch.format(segments=after) if branch.after else ""
    side = view.term("side", view.chain.segments[branch.segment].side)
    return el(
        "li",
        el("span", el("strong", side), el("span", reached), class_="reached"),
        _line(view, branch.lines),
        _segment(view, branch.segment),
        class_=f"branch{' cut' if branch.lines else ''}",
    )


def _legend(view: View, picture: Arrangement) -> Markup:
    """Return what the line means and, unfolded, where every one of them stands."""
    labels = view.labels
    items = [
        labels.lines_from.format(left=a, left_owner=_owners(view, a), right=b, right_owner=_owners(view, b))
        for a, b in picture.lines
    ]
    masked = any(view.segment_state(segment) == "masked" for segment in view.chain.segments)
    return el(
        "div",
        el("p", el("span", class_="sample"), labels.line_legend, class_="key"),
        el("p", icon("masked"), " ", labels.masked_legend, class_="key") if masked else NOTHING,
        el(
            "details",
            el("summary", labels.lines.format(count=len(items))),
            el("ul", [el("li", i) for i in items]),
            id="lines",
        ),
        class_="legend",
    )


def services(view: View) -> Markup:
    """Return each service with its state, hours and norm."""
    tiles = [_service(view, s) for s in view.chain.services]
    shown = el("ul", tiles, class_="tiles") if tiles else el("p", view.labels.no_services, class_="quiet")
    return section("services", view.labels.services, shown)


def _service(view: View, service: str) -> Markup:
    labels, known = view.labels, view.chain.services[service]
    norm = "" if known.availability_norm is None else f"{known.availability_norm * 100:.10g}"
    quiet = [f"{labels.hours} {known.hours or labels.always}", labels.norm.format(percent=norm) if norm else ""]
    return el(
        "li",
        el("strong", known.name),
        state(view, "service", view.snapshot.services.get(service, "unobserved")),
        el("span", " · ".join(q for q in quiet if q), class_="quiet"),
        class_="tile",
    )
