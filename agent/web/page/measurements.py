"""The page's tables: measurements and peers. Pure."""

from agent.model import Probe
from agent.snapshot import PeerNow, ProbeNow
from agent.web.page.markup import NOTHING, Markup, el, joined
from agent.web.page.values import values
from agent.web.page.view import LOOKS, View, clock, icon, section
from agent.words.names import duration
from agent.words.terms import fault_words
from probes.kit.result import Outcome

# At some 900 bytes a row this keeps the page below 100 kB; the API has them all.
ROWS = 60
_ORDER = (Outcome.FAILED, Outcome.DEGRADED, Outcome.UNKNOWN, None, Outcome.OK)


def measurements(view: View) -> Markup:
    """Return one table per vantage; where not all rows fit, what needs attention stays."""
    known = view.snapshot.probes
    probes = list(view.chain.probes.values())
    if len(probes) > ROWS:
        probes = sorted(probes, key=lambda p: _ORDER.index(known.get(p.key, ProbeNow()).outcome))[:ROWS]
    tables = [
        _table(view, vantage, [p for p in probes if p.vantage == vantage])
        for vantage in sorted(view.chain.vantages, key=lambda v: v != view.snapshot.vantage)
    ]
    left = len(view.chain.probes) - len(probes)
    more = el("p", view.labels.more_probes.format(count=left), class_="quiet") if left else NOTHING
    return section("probes", view.labels.probes, *tables, more, count=len(view.chain.probes))


def _table(view: View, vantage: str, probes: list[Probe]) -> Markup:
    if not probes:
        return NOTHING
    labels = view.labels
    heads = (labels.probe, labels.result, labels.duration, labels.last, labels.since)
    return el(
        "table",
        el("caption", labels.from_vantage.format(vantage=vantage)),
        el("thead", el("tr", [el("th", head, scope="col") for head in heads])),
        el("tbody", [_row(view, p, view.snapshot.probes.get(p.key, ProbeNow())) for p in probes]),
    )


def _row(view: View, probe: Probe, now: ProbeNow) -> Markup:
    """Return one measurement: what it is, how it went, how long it took and its parts, when, since when."""
    labels = view.labels
    kind = view.term("type", probe.type)
    return el(
        "tr",
        el(
            "th",
            el("strong", probe.id),
            el("span", f"{kind} · {probe.target}", class_="quiet target"),
            values(view, probe, now),
            scope="row",
        ),
        el("td", _result(view, now), data_label=labels.result),
        el("td", _took(view, now), data_label=labels.duration, class_="number"),
        el("td", _last(view, probe, now), data_label=labels.last, class_="number"),
        el("td", clock(view, now.since) if now.since is not None else "", data_label=labels.since, class_="number"),
    )


def _result(view: View, now: ProbeNow) -> Markup:
    """Return the outcome, in words why it is not ok, and whether the probe counts yet."""
    labels = view.labels
    if now.outcome is None:
        return el("span", icon("unknown"), labels.no_result, class_="state s-unknown")
    look = LOOKS[now.outcome]
    # An unverified probe accuses nobody, so its failure is not shown in the colour of failures.
    shade = look if now.verified or now.outcome is Outcome.OK else "unknown"
    parts = [el("span", icon(look), view.term("outcome", now.outcome), class_=f"state s-{shade}")]
    if now.fault:
        words = fault_words(f"{now.stage or ''}/{now.fault}", view.language)
        parts.append(el("span", words, class_="why", title=now.detail or None))
    if not now.verified:
        parts.append(el("span", labels.unverified, class_="badge", title=labels.unverified_help))
    return joined(parts)


def _took(view: View, now: ProbeNow) -> Markup:
    """Return the duration, and its phases where there are several; a phase not reached is absent."""
    if now.seconds is None:
        return NOTHING
    phases = (
        " + ".join(f"{view.term('phase', name)} {duration(s, view.language)}" for name, s in now.phases.items())
        if len(now.phases) > 1
        else ""
    )
    return joined(
        duration(now.seconds, view.language), el("span", phases, class_="quiet phases") if phases else NOTHING
    )


def _last(view: View, probe: Probe, now: ProbeNow) -> Markup:
    """Return when the last attempt began, marked when the next one is overdue."""
    if now.time is None:
        return NOTHING
    late = view.now - now.time > 2 * probe.interval + probe.timeout
    return joined(clock(view, now.time), el("span", view.labels.late, class_="badge b-late") if late else NOTHING)


def peers(view: View) -> Markup:
    """Return the other agents as this one sees them."""
    labels, known = view.labels, view.snapshot.peers
    if not known:
        return section("peers", labels.peers, el("p", labels.no_peers, class_="quiet"))
    return section("peers", labels.peers, el("ul", [_peer(view, p) for p in known], class_="tiles"))


def _peer(view: View, peer: PeerNow) -> Markup:
    labels = view.labels
    look, word = ("ok", labels.reachable) if peer.reachable else ("failed", labels.unreachable)
    same = {True: labels.same_chain, False: labels.another_chain, None: labels.chain_unknown}[peer.same_chain]
    heard = joined(" · ", labels.last_heard, " ", clock(view, peer.last)) if peer.last is not None else NOTHING
    detail = f" · {peer.detail}" if peer.detail else ""
    return el(
        "li",
        el("strong", peer.vantage),
        el("span", icon(look), word, class_=f"state s-{look}"),
        el("span", same, heard, detail, class_="quiet"),
        class_="tile",
    )
