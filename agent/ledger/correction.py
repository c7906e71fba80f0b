"""Corrections: what a proposal says, who must approve it, and what an incident is after it. Pure.

What must stay true: two people of different parties, one of them of the custodian (the client); a party
that the change relieves is never the only one; signatures are over the proposal file, byte for byte. A
correction stands next to the original, which is never changed.
"""

from collections.abc import Iterable, Sequence

import msgspec

from agent.incident.value import Incident, Kind
from agent.ledger.dossier import Approval, Change
from agent.model import Chain
from probes.kit.json_errors import JSON_ERRORS

FORMAT = "demarc-correction-1"
MOST_BYTES = 20_000
_NANO = 1_000_000_000


class Refused(ValueError):  # noqa: N818 - a refusal is an answer
    """What was asked for cannot be recorded; the text says why and what to do instead."""


class Proposal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The file that people sign. `log` and `entry` (leaf hash) say which entries it speaks of.

    `proposed` is the party that proposes, `reason` says why, without names of people.
    """

    format: str
    log: str
    incident: str
    entry: str
    chain: str
    change: Change
    reason: str
    proposed: str


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An approval as it is handed in: `person` of `party` signed with SSH; `armored` is the `.sig` file."""

    party: str
    person: str
    armored: str


class Paper(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A signed paper: who signed for which party in which role, and the SHA-256 (hex) of the scan."""

    party: str
    person: str
    role: str
    sha256: str


class Approved(msgspec.Struct, frozen=True, kw_only=True):
    """An approval that was checked: who (for the erasable detail), and what the entry says."""

    person: str
    proof: str
    approval: Approval


def write_proposal(proposal: Proposal) -> bytes:
    """Return the file to sign: JSON that people can read."""
    return msgspec.json.format(msgspec.json.encode(proposal), indent=2) + b"\n"


def read_proposal(data: bytes) -> Proposal:
    """Read a proposal file; Refused."""
    if len(data) > MOST_BYTES:
        raise Refused(f"the proposal is larger than {MOST_BYTES:,} bytes")
    try:
        proposal = msgspec.json.decode(data, type=Proposal)
    except JSON_ERRORS as error:
        raise Refused(f"not a proposal: {error}") from error
    if proposal.format != FORMAT:
        raise Refused(f"not a proposal of format {FORMAT}")
    if not proposal.reason.strip():
        raise Refused("a proposal needs a reason")
    return proposal


def check_signature(data: bytes, signature: Signature, chain: Chain) -> Approved:
    """Check a signature against the key that the chain file has of that person; Refused."""
    # Loaded when somebody signs: the curves and RSA are a megabyte that an agent otherwise never needs.
    from agent.ledger.sshsig import SignatureError, read_key, verify  # noqa: PLC0415

    party = chain.parties.get(signature.party)
    person = party.people.get(signature.person) if party else None
    if person is None or not person.key:
        place = f"parties.{signature.party}.people.{signature.person}.key"
        raise Refused(f"the chain file has no key of {signature.person} of {signature.party}: it stands under {place}")
    try:
        verify(signature.armored, data, read_key(person.key))
    except SignatureError as error:
        raise Refused(f"the approval of {signature.person} of {signature.party}: {error}") from error
    return Approved(
        person=person.name or person.id,
        proof=signature.armored,
        approval=Approval(party=signature.party, role=person.role, means="ssh"),
    )


def check_paper(paper: Paper, chain: Chain) -> Approved:
    """Take in that a paper was shown; Refused when it does not say whose."""
    if paper.party not in chain.parties:
        raise Refused(f"{paper.party} is no party of the chain file")
    if not paper.person.strip() or not paper.role.strip():
        raise Refused("a paper needs the name and the role of who signed it")
    if len(paper.sha256) != 64 or set(paper.sha256) - set("0123456789abcdef"):
        raise Refused("a paper needs the SHA-256 of its scan, 64 lower-case hexadecimal digits")
    return Approved(
        person=paper.person,
        proof=f"paper, scan with SHA-256 {paper.sha256}",
        approval=Approval(party=paper.party, role=paper.role, means="paper"),
    )


def standing(approved: Sequence[Approved], benefits: Iterable[str], chain: Chain) -> str:
    """Return `signed` or `paper`; Refused when these people may not approve it."""
    people = [(one.approval.party, one.person) for one in approved]
    if len(set(people)) < len(people):
        raise Refused("one person approved twice: it takes two people")
    problem = _lacking([one.approval.party for one in approved], set(benefits), chain)
    if problem:
        raise Refused(problem)
    signed = [one.approval.party for one in approved if one.approval.means == "ssh"]
    return "signed" if not _lacking(signed, set(benefits), chain) else "paper"


def _lacking(parties: Sequence[str], benefits: set[str], chain: Chain) -> str:
    """Return what the approval of these parties lacks, empty when nothing."""
    custodian = chain.custodian or chain.director
    if len(set(parties)) < 2:
        return "it takes two people of different parties"
    if custodian not in parties:
        return f"one of them must be of {custodian}: it keeps the agreement (the chain file's `custodian`)"
    if set(parties) <= benefits:
        return f"{', '.join(sorted(set(parties)))} would all be relieved by it: a party that is not must approve too"
    return ""


def check_change(change: Change, incident: Incident, chain: Chain) -> None:
    """Refuse a change that says nothing, or something that cannot be."""
    if change.kind and change.kind not in set(Kind):
        raise Refused(f"{change.kind!r} is no kind of incident: {', '.join(Kind)}")
    after = apply(incident, change)
    if after == incident and change.maintenance is msgspec.UNSET:
        raise Refused("the change changes nothing")
    if (after.kind is Kind.ATTRIBUTED) != (len(after.parties) == 1):
        raise Refused("an incident is attributed to exactly one party, else to none (kind and parties must agree)")
    named = {*after.parties, *after.candidates}
    window = change.maintenance
    if window is not msgspec.UNSET:
        named.add(window.party)
        if window.opened >= window.closed:
            raise Refused("the maintenance ends before it begins")
        if unknown := set(window.services) - set(chain.services):
            raise Refused(f"no services of the chain file: {', '.join(sorted(unknown))}")
    if unknown := named - set(chain.parties):
        raise Refused(f"no parties of the chain file: {', '.join(sorted(unknown))}")
    if unknown := set(after.segments) - set(chain.segments):
        raise Refused(f"no segments of the chain file: {', '.join(sorted(unknown))}")
    if after.closed is not None and after.closed < after.opened:
        raise Refused("the incident would end before it began")


def benefits(change: Change, incident: Incident) -> tuple[str, ...]:
    """Return the parties that a change relieves: fewer seconds or incidents count for them."""
    after = apply(incident, change)
    accused = set(incident.parties or incident.candidates)
    still = set(after.parties or after.candidates) if after.kind is not Kind.MONITOR else set()
    relieved = accused - still
    if incident.parties and not after.parties:
        relieved |= set(incident.parties)
    if (after.opened, after.closed) != (incident.opened, incident.closed):
        relieved |= accused if _shorter(after, incident) else set()
    if change.maintenance is not msgspec.UNSET:
        relieved.add(change.maintenance.party)
    return tuple(sorted(relieved))


def _shorter(after: Incident, before: Incident) -> bool:
    """Say whether some second of `before` is no longer in `after`."""
    ends = after.closed is not None and (before.closed is None or after.closed < before.closed)
    return after.opened > before.opened or ends


def apply(incident: Incident, change: Change) -> Incident:
    """Return the incident as a correction tells it. A party named by people rests on no measurement."""
    changes: dict[str, object] = {}
    for name in ("parties", "candidates", "segments"):
        value = getattr(change, name)
        if value is not msgspec.UNSET:
            changes[name] = value
    for name in ("opened", "closed"):
        value = getattr(change, name)
        if value is not msgspec.UNSET:
            changes[name] = value / _NANO
    if change.kind in set(Kind):
        changes["kind"] = Kind(change.kind)
    after = msgspec.structs.replace(incident, **changes)
    if (after.kind, after.parties) == (incident.kind, incident.parties):
        return after
    return msgspec.structs.replace(after, standing=None, rests_on=(), margin=None)
