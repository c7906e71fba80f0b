"""The page's panel of the VPN: per tunnel configured, established and passing side by side, and its peer. Pure."""

from agent.web.page.markup import NOTHING, Markup, el, joined
from agent.web.page.view import LOOKS, View, clock, icon, section
from agent.web.tunnels import Basis, TunnelNow, tunnels
from agent.words.names import lasting, probe_names
from agent.words.terms import fault_words
from probes.kit.result import Outcome

_LOOK = {True: "ok", False: "failed", None: "unknown"}


def tunnel_panel(view: View) -> Markup:
    """Return a card per tunnel; nothing where the chain file has no probe of a VPN type."""
    known = tunnels(view.snapshot)
    if not known:
        return NOTHING
    return section("tunnels", view.labels.tunnels, el("ul", [_card(view, one) for one in known], class_="tunnels"))


def _card(view: View, one: TunnelNow) -> Markup:
    labels = view.labels
    kind = f"{view.term('type', one.type)} · {one.target} · {labels.from_vantage.format(vantage=one.vantage)}"
    claims = (
        (labels.tunnel_configured, _counted(view, one, one.configured, None)),
        (labels.tunnel_established, _counted(view, one, one.established, one.configured)),
        (labels.tunnel_passing, _passing(view, one)),
        (labels.tunnel_peer, _peer(view, one)),
    )
    return el(
        "li",
        el("h3", one.segment, el("span", f" {one.probe}", class_="quiet")),
        el("p", kind, class_="quiet target"),
        el("dl", [el("div", el("dt", name), el("dd", claim)) for name, claim in claims], class_="claims"),
        _why(view, one),
        class_="tunnel",
    )


def _claim(view: View, holds: bool | None, words: str = "", more: Markup | str = "") -> Markup:
    """Return a claim as picture and word, with what it rests on below."""
    labels = view.labels
    said = words or {True: labels.tunnel_yes, False: labels.tunnel_no, None: labels.tunnel_unknown}[holds]
    look = _LOOK[holds]
    return joined(
        el("span", icon(look), said, class_=f"state s-{look}"), el("span", more, class_="quiet") if more else NOTHING
    )


def _counted(view: View, one: TunnelNow, number: int | None, of: int | None) -> Markup:
    if number is None:
        return _claim(view, None)
    whole = one.configured if of is None else of
    several = max(number, whole or 0) > 1
    words = view.labels.tunnel_of.format(number=number, whole=whole) if several and of is not None else ""
    keys = _keys(view, one) if of is not None and number else ""
    return _claim(view, number > 0 and number >= (of or 0), words or (str(number) if several else ""), keys)


def _keys(view: View, one: TunnelNow) -> str:
    told = []
    if one.established_seconds is not None:
        told.append(view.labels.tunnel_age.format(time=lasting(one.established_seconds, view.language)))
    if one.rekey_seconds is not None:
        told.append(view.labels.tunnel_rekey.format(time=lasting(one.rekey_seconds, view.language)))
    return ", ".join(told)


def _passing(view: View, one: TunnelNow) -> Markup:
    """Return whether packets pass, and whose word that is."""
    labels = view.labels
    if one.basis is Basis.MEASURED:
        names = probe_names(one.passed or one.through, view.chain, view.language)
        said = labels.tunnel_proof if one.passed else labels.tunnel_no_proof
        at = joined(" · ", clock(view, one.proof_at)) if one.proof_at is not None else NOTHING
        return _claim(view, one.passing, more=joined(said.format(probes=names), at, _counters(view, one)))
    if one.basis is Basis.COUNTED:
        return _claim(view, one.passing, more=joined(labels.tunnel_by_counters, _counters(view, one)))
    return _claim(view, None, labels.tunnel_idle if one.received_age_seconds is not None else "")


def _counters(view: View, one: TunnelNow) -> Markup | str:
    if one.unanswered_seconds:
        time = lasting(one.unanswered_seconds, view.language)
        return joined(" · ", view.labels.tunnel_unanswered.format(time=time))
    return NOTHING


def _peer(view: View, one: TunnelNow) -> Markup:
    labels = view.labels
    if one.peer_by is None:
        if one.peer_age_seconds is None:
            return _claim(view, None, labels.tunnel_not_asked)
        return _claim(view, None, labels.tunnel_heard.format(time=lasting(one.peer_age_seconds, view.language)))
    at = joined(" · ", clock(view, one.peer_at)) if one.peer_at is not None else NOTHING
    words = labels.tunnel_alive if one.peer_alive else labels.tunnel_silent
    return _claim(view, one.peer_alive, words, joined(probe_names((one.peer_by,), view.chain, view.language), at))


def _why(view: View, one: TunnelNow) -> Markup:
    """Return in words why the gateway's word is not ok, or that it gives none."""
    if one.outcome is Outcome.OK or not one.fault:
        return NOTHING
    look = LOOKS[one.outcome] if one.outcome is not None else "unknown"
    why = el("p", icon(look), fault_words(f"connect/{one.fault}", view.language), class_=f"state s-{look}")
    if one.heard_at is None:
        return why
    return joined(why, el("p", view.labels.tunnel_one_way.format(there=one.heard_at, here=one.vantage)))
