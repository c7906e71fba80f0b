"""Results that another agent measured during an incident and could only show after it. Pure.

An agent that an outage cuts off goes on measuring, and binds what it measured in its own ledger. When it is back,
what it held then counts here, but only on its log's word: in a proof file, each entry under a checkpoint that this
agent cosigned. What must stay true: an agent speaks for its own vantage only; what was cosigned more than
`TERM_SECONDS` after the incident's end changes no finding by itself, since by then its holder may have known
what it should say.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import msgspec

from agent.incident.value import Incident
from agent.keys import NoteError, VerifierKey, decode64, origin
from agent.ledger import body, canonical, note
from agent.ledger.cosignature import WitnessKey
from agent.ledger.dossier import Evidence, Objection
from agent.ledger.evidence import EDGE_SECONDS, MOST_BYTES, unpacked
from agent.ledger.merkle import leaf_hash
from agent.ledger.storage import is_epoch_of
from agent.model import Chain
from agent.observation import Observation, decode

TERM_SECONDS = 72 * 3600.0
"""After so long late results are an objection, which people decide; counted from the end of the incident."""

ANSWER_SECONDS = 14 * 86400.0
"""The term of such an objection, as `demarc ledger object --within 14d`."""


class LateEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of another log about the time of an incident: what its vantage measured, (probe key, line) each.

    `leaf` is its hash (hex), `cosigned` when we cosigned a checkpoint over it (ns UTC).
    """

    log: str
    leaf: str
    cosigned: int
    windows: tuple[tuple[int, int], ...]
    lines: tuple[tuple[str, bytes], ...]


def span(incident: Incident) -> tuple[int, int]:
    """Return the time (ns UTC) of which results about an ended incident tell."""
    closed = incident.closed if incident.closed is not None else incident.opened
    return body.nanoseconds(incident.opened - EDGE_SECONDS), body.nanoseconds(closed + EDGE_SECONDS)


def late_evidence(
    data: bytes, *, log: VerifierKey, witness: WitnessKey, vantage: str, chain: str, incident: Incident
) -> tuple[LateEntry, ...]:
    """Return what a proof file of the agent at `vantage` says of an incident under the chain with this hash.

    `log` is the key of its log's first epoch, `witness` our own. Raises NoteError for a file that is not what it
    should be; an entry that is about something else is passed over.
    """
    # Half a megabyte, and no outage may ever cut a peer off.
    from agent.ledger.verifier import check_proof  # noqa: PLC0415
    from agent.ledger.verifier.trust import LOG, Key, Policy  # noqa: PLC0415

    verdict = check_proof(data, Policy(logs=(Key(name=log.name, algorithm=LOG, public=log.public),)))
    if not verdict.ok:
        raise NoteError(f"its proof is not good: {verdict.problems[0]}")
    found = (_late_entry(one, witness, vantage, chain, incident) for one in msgspec.json.decode(data)["entries"])
    return tuple(one for one in found if one is not None)


def _late_entry(entry: Any, witness: WitnessKey, vantage: str, chain: str, incident: Incident) -> LateEntry | None:
    form = str(entry["body"]).encode()
    text, signatures = note.split_note(note.parse_proof(str(entry["proof"])).note)
    cosigned = witness.cosigned(text, signatures)
    if cosigned is None:
        raise NoteError("an entry of its proof stands under a checkpoint that was not cosigned here")
    try:
        told = body.read(canonical.decode(form))
    except ValueError as error:
        raise NoteError(f"an entry of its proof cannot be read: {error}") from error
    if not isinstance(told, Evidence) or told.vantage != vantage or told.chain != chain or told.log:
        return None
    held = entry.get("details", {}).get("observations")  # without it, its holder has erased it
    return LateEntry(
        log=note.parse_checkpoint(text).origin,
        leaf=leaf_hash(form).hex(),
        cosigned=cosigned * 1_000_000_000,
        windows=told.windows,
        lines=tuple(_own(decode64(held["data"]), told, incident)) if held else (),
    )


def _own(packed: bytes, told: Evidence, incident: Incident) -> Iterator[tuple[str, bytes]]:
    """Yield the results of the vantage itself that lie in its entry's windows and speak of the incident's time."""
    since, until = span(incident)
    try:
        for line in unpacked(packed, MOST_BYTES):
            one = decode(line)
            at = body.nanoseconds(one.time)
            inside = any(start <= at < stop for start, stop in told.windows) and at <= told.time
            if one.vantage == told.vantage and inside and since <= at < until:
                yield one.key, line
    except (ValueError, OverflowError) as error:
        raise NoteError(f"an entry of its proof holds something else than results: {error}") from error


def told_otherwise(told: LateEntry, held: Iterable[bytes]) -> bool:
    """Say whether results differ from what the same vantage told of the same attempts at the time: `held` lines."""
    known = {(one.key, one.time): _verdict(one) for one in map(decode, held)}
    late = (decode(line) for _, line in told.lines)
    return any(known.get((one.key, one.time), _verdict(one)) != _verdict(one) for one in late)


def _verdict(one: Observation) -> tuple[str, str | None, str | None]:
    return one.outcome, one.stage, one.fault


def in_time(evidence: Evidence, incident: Incident) -> bool:
    """Say whether evidence may change a finding by itself: our own, or cosigned within the term."""
    closed = incident.closed if incident.closed is not None else incident.opened
    return not evidence.log or evidence.cosigned <= body.nanoseconds(closed + TERM_SECONDS)


def objections(
    second: Incident, belated: Collection[Evidence], chain: Chain, *, vantage: str, now: int
) -> tuple[Objection, ...]:
    """Return what is entered (`now`: ns UTC) where results that came after the term say otherwise than what stands.

    One objection for each vantage whose results they are, in the name of its operator: people decide.
    """
    made = []
    for other in chain.vantages.values():
        told = [one for one in belated if is_epoch_of(one.log, origin(other.id))]
        if not told:
            continue
        leaves = " ".join(sorted(one.leaf for one in told))
        says = f"{second.kind.value}: {', '.join(second.parties or second.candidates) or 'nobody'}"
        name = hashlib.sha256(f"{second.id} {leaves}".encode()).hexdigest()[:10]
        made.append(
            Objection(
                time=now,
                id=f"o-{name}",
                incident=second.id,
                vantage=vantage,
                party=other.operator,
                text=(
                    f"results of {other.id} that were cosigned more than {TERM_SECONDS / 3600:g} hours after the end "
                    f"say {says} (entries {', '.join(one.leaf[:12] for one in told)} of its ledger)"
                ),
                due=now + body.nanoseconds(ANSWER_SECONDS),
            )
        )
    return tuple(made)
