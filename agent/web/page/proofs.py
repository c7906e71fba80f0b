"""The part of the page that says beforehand whose failures the measurements could not tell apart. Pure."""

from agent.diagnosis.identifiability import Proof, SingleFault
from agent.web.page.markup import NOTHING, Markup, el
from agent.web.page.view import View, section
from agent.words.names import listed, party_names, segment_names

# A longer list says that the chain file needs work, not what: `demarc check` tells all.
MOST_SHOWN = 8


def proofs(view: View) -> Markup:
    """Return the segments whose single failure would name nobody; nothing where that has not been worked out."""
    labels, known = view.labels, view.snapshot.single_faults
    if not known:
        return NOTHING
    unclear = [fault for fault in known if fault.proof is not Proof.PROVABLE]
    if not unclear:
        return section("proofs", labels.proofs, el("p", labels.proofs_all, class_="quiet"))
    lines = [el("li", _line(view, fault)) for fault in unclear[:MOST_SHOWN]]
    more = len(unclear) - MOST_SHOWN
    rest = el("p", labels.proofs_more.format(count=more), class_="quiet") if more > 0 else NOTHING
    return section("proofs", labels.proofs, el("p", labels.proofs_but, class_="quiet"), el("ul", lines), rest)


def _line(view: View, fault: SingleFault) -> str:
    if fault.apart_from:
        others = segment_names(fault.apart_from, view.chain, view.language)
        return view.labels.proofs_open.format(segment=fault.segment, others=others)
    owners = party_names(fault.owners, view.chain, view.language)
    return view.labels.proofs_located.format(segment=listed([fault.segment], view.language), owners=owners)
