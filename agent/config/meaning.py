"""What the chain file says as a whole: every reference exists, every value makes sense.

Works on forms that may be partly unread (UNSET): a fault is reported once, where it was made, and
a section that could not be read raises no further complaints about references into it.
"""

import contextlib
import zoneinfo
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from agent.config.forms import ChainForm, SegmentForm, WitnessForm, known
from agent.config.probe import ReadProbe, references
from agent.config.problem import Report, Where, did_you_mean, shown
from agent.keys import NoteError, origin, parse_verifier, parse_witness_key
from agent.model import UNASSIGNED
from probes.kit.spec import Evidence

SHORTEST_CONFIRMATION = 2  # rounds; one round cannot be unanimous with another
MOST_ROUNDS = 100


def check(form: ChainForm, probes: Mapping[str, ReadProbe], report: Report) -> None:
    """Report everything that is wrong with the meaning of the chain."""
    _timezone(form, report)
    _refer(report, ("director",), form.director, form.parties, "party")
    _confirm(form, report)
    if known(form.parties) and UNASSIGNED in form.parties:
        report.problem(("parties", UNASSIGNED), "the name `unassigned` says that nobody owns a segment; choose another")
    reported = {problem.key for problem in report.problems}  # a section is not empty when its names are unreadable
    for section in ("parties", "segments", "vantages", "probes"):
        if getattr(form, section) == {} and section not in reported:
            report.problem((section,), f"is empty; describe at least one of the {section}")
    for name, segment in _entries(form.segments):
        _segment(form, ("segments", name), segment, report)
    for name, vantage in _entries(form.vantages):
        where: Where = ("vantages", name)
        _refer(report, (*where, "segment"), vantage.segment, form.segments, "segment")
        _refer(report, (*where, "operator"), vantage.operator, form.parties, "party")
        if known(vantage.key) and vantage.key:
            _check_key(report, (*where, "key"), name, vantage.key)
    for name, witness in _entries(form.witnesses):
        _witness(form, ("witnesses", name), witness, report)
    for name, service in _entries(form.services):
        if known(service.norm) and service.norm.delay == 0:
            report.problem(("services", name, "norm", "delay"), "everything is beyond it; write such as 15ms")
    for name, probe in probes.items():
        _probe(form, ("probes", name), probe, report)


def _entries(section: Any) -> list[tuple[str, Any]]:
    """Return the entries that were read."""
    return [(name, entry) for name, entry in section.items() if known(entry)] if known(section) else []


def _refer(report: Report, where: Where, name: Any, section: Any, what: str) -> None:
    """Report a name that its section does not hold."""
    if known(name) and known(section) and name not in section:
        report.problem(where, _missing(name, section, what))


def _check_key(report: Report, where: Where, vantage: str, text: str) -> None:
    """Report a verifier key that is not one, or another vantage's."""
    try:
        key = parse_verifier(text)
    except NoteError as error:
        report.problem(where, f"{error}; write what `demarc ledger key` prints on that host")
        return
    if key.name != origin(vantage):
        report.problem(where, f"is the key of {shown(key.name)}, and this vantage's log is {shown(origin(vantage))}")


def _witness(form: ChainForm, where: Where, witness: WitnessForm, report: Report) -> None:
    """Report a witness of nobody, without a usable key or term, or with the name of a vantage."""
    _refer(report, (*where, "party"), witness.party, form.parties, "party")
    if known(form.vantages) and where[-1] in form.vantages:
        report.problem(where, "is the name of a vantage; an agent is a witness by the `key` of its vantage")
    if known(witness.within) and witness.within <= 0:
        report.problem((*where, "within"), "must be longer than nothing; write such as 1h")
    if not known(witness.key):
        return
    try:
        key = parse_witness_key(witness.key)[1]
    except NoteError as error:
        report.problem((*where, "key"), f"{error}; write what `demarc ledger cosign` printed on that host")
        return
    for other, holder in _key_holders(form):
        if other != where and holder == key:
            report.problem((*where, "key"), f"{other[0]}.{other[1]} has the same key; each witness has one of its own")


def _key_holders(form: ChainForm) -> Iterator[tuple[Where, bytes]]:
    """Yield where a key stands, and its public half, for each that can be read."""
    for name, vantage in _entries(form.vantages):
        with contextlib.suppress(NoteError):
            if known(vantage.key) and vantage.key:
                yield ("vantages", name), parse_verifier(vantage.key).public
    for name, witness in _entries(form.witnesses):
        with contextlib.suppress(NoteError):
            if known(witness.key):
                yield ("witnesses", name), parse_witness_key(witness.key)[1]


def _missing(name: str, section: Collection[str], what: str) -> str:
    plural = {"party": "parties"}.get(what, what + "s")
    return f"there is no {what} {shown(name)}{did_you_mean(name, section) or f'; describe it under `{plural}`'}"


def _timezone(form: ChainForm, report: Report) -> None:
    if not known(form.timezone):
        return
    try:
        zone = zoneinfo.ZoneInfo(form.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = did_you_mean(form.timezone, zoneinfo.available_timezones())
        remedy = near or "; write an IANA name such as Europe/Amsterdam"
        report.problem(("timezone",), f"there is no timezone {shown(form.timezone)}{remedy}")
        return
    if not known(form.effective):
        return
    local = datetime.fromisoformat(form.effective).replace(tzinfo=zone)
    try:
        exists = local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None)
    except OverflowError:
        exists = False
    if not exists:
        report.problem(
            ("effective",), f"{shown(form.effective)} does not exist in {form.timezone}; choose another time"
        )


def _confirm(form: ChainForm, report: Report) -> None:
    confirm = form.confirm
    if not known(confirm):
        return
    if known(confirm.rounds) and not SHORTEST_CONFIRMATION <= confirm.rounds <= MOST_ROUNDS:
        report.problem(
            ("confirm", "rounds"), f"{confirm.rounds} rounds; write {SHORTEST_CONFIRMATION} to {MOST_ROUNDS}"
        )
    if known(confirm.spacing) and confirm.spacing <= 0:
        report.problem(("confirm", "spacing"), "rounds cannot start at the same moment; write such as 1s")


def _segment(form: ChainForm, where: Where, segment: SegmentForm, report: Report) -> None:
    owners = segment.owner
    if not known(owners):
        return
    if not owners:
        report.problem((*where, "owner"), "has no owner; write a party, several, or `unassigned`")
    named = [owner for owner in owners if known(owner)]
    for at, owner in enumerate(owners):
        here: Where = (*where, "owner", at) if len(owners) > 1 else (*where, "owner")
        if not known(owner):
            continue
        if owner == UNASSIGNED:
            if len(owners) > 1:
                report.problem(here, "`unassigned` cannot own together with a party; write one or the other")
        elif owner in owners[:at]:
            report.problem(here, f"{shown(owner)} stands in the list already; write it once")
        else:
            _refer(report, here, owner, form.parties, "party")
    if segment.lead is not None and known(segment.lead) and segment.lead not in named:
        report.problem(
            (*where, "lead"), f"{shown(segment.lead)} is not an owner of this segment; write one of {', '.join(named)}"
        )


def _probe(form: ChainForm, where: Where, probe: ReadProbe, report: Report) -> None:
    asked = probe.form
    _refer(report, (*where, "from"), asked.from_, form.vantages, "vantage")
    if asked.service is not None:
        _refer(report, (*where, "service"), asked.service, form.services, "service")
    if asked.told_by:
        _told(form, (*where, "told_by"), probe, report)
    for key, names in references(asked):
        for at, name in enumerate(names):
            if not known(name):
                continue
            if name in names[:at]:
                report.problem((*where, key, at), f"{shown(name)} stands in this list already; write it once")
            else:
                _refer(report, (*where, key, at), name, form.segments, "segment")
    for key, name in probe.named_segments():
        _refer(report, (*where, key, name), name, form.segments, "segment")
    if known(asked.path):
        _start(form, where, probe, report)
    for key in ("interval", "timeout"):
        value = getattr(asked, key)
        if value is not None and known(value) and value <= 0:
            report.problem((*where, key), "must be longer than nothing; write such as 1s")


def _told(form: ChainForm, where: Where, probe: ReadProbe, report: Report) -> None:
    """Report a teller that is no party, or of what the vantage measures itself."""
    _refer(report, where, probe.form.told_by, form.parties, "party")
    if probe.spec is not None and probe.spec.evidence is not Evidence.STATE:
        report.problem(where, f"{probe.spec.type} measures by itself, nobody tells it anything; remove `told_by`")


def _start(form: ChainForm, where: Where, probe: ReadProbe, report: Report) -> None:
    """Report a path that does not start at the vantage."""
    path = probe.form.path
    if not path:
        report.problem((*where, "path"), "is empty; write every segment that is crossed, the vantage's own first")
        return
    vantage = form.vantages.get(probe.form.from_) if known(form.vantages) and known(probe.form.from_) else None
    if vantage is None or not known(vantage) or not known(vantage.segment) or not known(path[0]):
        return
    if path[0] != vantage.segment:
        report.problem(
            (*where, "path", 0),
            f"a path starts with the vantage's own segment; write {shown(vantage.segment)} before {shown(path[0])}",
        )
