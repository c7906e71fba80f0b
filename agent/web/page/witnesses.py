"""The part of the page that says who else vouches for this agent's ledger. Pure."""

from agent.snapshot import WitnessNow
from agent.web.page.markup import NOTHING, Markup, el, joined
from agent.web.page.view import View, clock, icon, owners, section

_BAD = "state s-failed"


def witnesses(view: View) -> Markup:
    """Return the witnesses, each with what it has cosigned and when."""
    labels, known = view.labels, view.snapshot.witnesses
    if not known:
        return section("witnesses", labels.witnesses, el("p", labels.witnesses_none, class_="quiet"))
    return section("witnesses", labels.witnesses, el("ul", [_witness(view, one) for one in known], class_="tiles"))


def _witness(view: View, one: WitnessNow) -> Markup:
    labels = view.labels
    told: list[Markup | str] = [
        joined(labels.witness_stands.format(entries=one.entries), " ", clock(view, one.time))
        if one.time is not None
        else labels.witness_never
    ]
    if one.silent and one.waiting is not None:
        told.append(joined(labels.witness_behind, " ", clock(view, one.waiting)))
    if one.cosigned:
        told.append(labels.witness_ours.format(entries=one.cosigned))
    told.append(one.detail)
    return el(
        "li",
        el("strong", one.vantage),
        owners(view, _parties(view, one.vantage)),
        _state(view, one),
        el("span", told[0], *(joined(" · ", more) for more in told[1:] if more), class_="quiet"),
        class_="tile",
    )


def _state(view: View, one: WitnessNow) -> Markup:
    """Return in a word whether it keeps up; of one that never cosigned that is not known yet."""
    labels = view.labels
    if one.conflict or one.silent:
        return el("span", icon("failed"), labels.witness_two if one.conflict else labels.witness_quiet, class_=_BAD)
    return el("span", icon("ok"), labels.witness_good, class_="state s-ok") if one.entries else NOTHING


def _parties(view: View, name: str) -> tuple[str, ...]:
    """Return the party for which a witness signs."""
    vantage, third = view.chain.vantages.get(name), view.chain.witnesses.get(name)
    party = vantage.operator if vantage else third.party if third else ""
    return (party,) if party else ()
