"""The duty to ask the peers what they measured during an incident while they could not be heard.

An agent that an outage cuts off is heard again for its last two minutes only (`recent.py`); what it bound in its own
ledger is asked for here. What must stay true: an answer counts only as a proof under checkpoints that we
cosigned (`agent.ledger.late`); what is taken stands in our ledger before anything is made of it; a peer that is
silent, slow or lies costs a bounded time and changes nothing.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from agent.daemon.attempts import Log
from agent.daemon.evidence import RECEIPT_SECONDS, Enter
from agent.daemon.http_client import FetchError
from agent.daemon.witness_calls import CallError, call, said
from agent.incident.value import Event, Incident
from agent.keys import NoteError, VerifierKey, parse_verifier
from agent.ledger import body
from agent.ledger.cases import read_details, read_recorded
from agent.ledger.changes import ClockEntry
from agent.ledger.cosignature import witness_of
from agent.ledger.dossier import Evidence
from agent.ledger.evidence import EDGE_SECONDS, packed, telling, unpacked
from agent.ledger.late import LateEntry, late_evidence, span, told_otherwise
from agent.ledger.second_look import worth_it
from agent.model import Chain, Peer

EVERY_SECONDS = 300.0
# After the end: when evidence is complete and cosigned, soon again, and rarely for a peer that stays away for long.
# The one before the last but four is the last that may still come within the term (`late.TERM_SECONDS`).
ASKED_SECONDS = (
    EDGE_SECONDS + 120.0,
    *(3600.0 * hours for hours in (0.5, 1, 2, 4, 8, 16, 24, 36, 48, 60, 71)),
    *(86400.0 * days for days in (4, 7, 14, 30)),
)
LOOK_BACK_SECONDS = 31 * 86400.0
# One turn asks for so much at most: a night of many incidents is worked off turn by turn.
ASKED_AT_MOST = 20
# `proof.MOST_EVIDENCE` entries of 4 MB before compression, some 300 kB each after it, in base64.
MOST_BYTES = 20_000_000


class LateDuty:
    """Late results of every peer; `do` runs in a thread."""

    def __init__(
        self,
        *,
        ledger: Path,
        enter: Enter,
        chain: Callable[[], Chain],
        peers: Callable[[], tuple[Peer, ...]],
        vantage: str,
        key: VerifierKey | None,
        look: Callable[[Incident, float], None],
        log: Log,
    ) -> None:
        """`key` is this agent's own, with which it cosigns; `look` is called when an incident got late results."""
        self._ledger, self._enter, self._look, self._log = ledger, enter, look, log
        self._chain, self._peers, self._vantage = chain, peers, vantage
        self._witness = witness_of(key) if key else None
        self._asked: dict[tuple[str, str], int] = {}
        self._owed: set[str] | None = None
        self._told: dict[str, str] = {}
        self._next = 0.0

    def due(self, now: float) -> bool:
        """Say whether it is time to ask."""
        return now >= self._next

    def do(self, now: float) -> None:
        """Ask every peer about each incident that it may have something to say of."""
        self._next = now + EVERY_SECONDS
        chain = self._chain()
        ended = self._ended(chain, now)
        if self._owed is None:  # what an earlier start took and may not have looked at
            self._owed = {one.incident for one in self._evidence(now) if one.log}
        self._ask_all(ended, chain, now)
        for incident in ended:
            if incident.id in self._owed:
                self._look(incident, now)
                self._owed.discard(incident.id)

    def _ended(self, chain: Chain, now: float) -> list[Incident]:
        """Return the incidents of which late results could say more: they ended, under this chain."""
        if self._witness is None or not chain.source:
            return []
        since = body.nanoseconds(now - LOOK_BACK_SECONDS)
        entries = (one.entry for one in read_recorded(self._ledger, ("incident",), since))
        closed = (
            body.to_transition(one).incident
            for one in entries
            if isinstance(one, body.IncidentEntry) and one.event is Event.CLOSED and one.chain == chain.hash
        )
        return [one for one in closed if one.confirmed is not None and worth_it(one, len(chain.vantages))]

    def _evidence(self, now: float) -> Iterator[Evidence]:
        for one in read_recorded(self._ledger, ("evidence",), body.nanoseconds(now - LOOK_BACK_SECONDS)):
            if isinstance(one.entry, Evidence):
                yield one.entry

    def _ask_all(self, ended: list[Incident], chain: Chain, now: float) -> None:
        """Ask each peer whose turn it is; one that does not answer well is left alone until the next time."""
        asked = 0
        for peer in (one for one in self._peers() if self._usable(one, chain, now)):
            for incident in ended:
                turn = bisect_right(ASKED_SECONDS, now - (incident.closed or now))
                if turn <= self._asked.get((incident.id, peer.vantage), 0) or asked == ASKED_AT_MOST:
                    continue
                asked += 1
                try:
                    told = self._ask(incident, peer, chain)
                    self._asked[incident.id, peer.vantage] = turn
                    self._take(incident, told, chain, now)
                except (FetchError, CallError) as error:
                    self._complain(peer, incident, str(error))
                    break
                except NoteError as error:
                    self._asked[incident.id, peer.vantage] = turn  # what it holds of other incidents may be good
                    self._complain(peer, incident, str(error))

    def _complain(self, peer: Peer, incident: Incident, problem: str) -> None:
        """Log why nothing was taken, once while it is the same."""
        if self._told.get(peer.vantage) != problem:
            self._told[peer.vantage] = problem
            self._log.info("late-evidence", vantage=peer.vantage, incident=incident.id, problem=problem)

    def _usable(self, peer: Peer, chain: Chain, now: float) -> bool:
        """Say whether a peer's word can be checked: it has a key, and its clock is within the chain's guard band."""
        known = chain.vantages.get(peer.vantage)
        clocks = [
            one.entry
            for one in read_recorded(self._ledger, ("clock",), body.nanoseconds(now - LOOK_BACK_SECONDS))
            if isinstance(one.entry, ClockEntry) and one.entry.peer == peer.vantage
        ]
        off = max(0, abs(clocks[-1].offset) - clocks[-1].error) if clocks else 0
        return bool(known and known.key) and off <= body.nanoseconds(chain.confirm.skew)

    def _ask(self, incident: Incident, peer: Peer, chain: Chain) -> tuple[LateEntry, ...]:
        assert self._witness is not None  # noqa: S101 - else there are no questions
        since, until = span(incident)
        path = f"/evidence?since={since}&until={until}&witness={quote(self._witness.name, safe='')}"
        answer = asyncio.run(call(peer, path, most_bytes=MOST_BYTES))
        if answer.status != 200:
            raise CallError(said(answer))
        key = parse_verifier(chain.vantages[peer.vantage].key)
        return late_evidence(
            answer.body, log=key, witness=self._witness, vantage=peer.vantage, chain=chain.hash, incident=incident
        )

    def _take(self, incident: Incident, told: tuple[LateEntry, ...], chain: Chain, now: float) -> None:
        """Enter what is new of what was told as evidence of ours; NoteError where it differs from what it told then."""
        held = {line for d in read_details(self._ledger, incident.id, "observations").values() for line in unpacked(d)}
        taken = {one.leaf for one in self._evidence(now) if one.incident == incident.id}
        for one in told:
            if told_otherwise(one, held):
                raise NoteError("its ledger tells otherwise of the same attempts than it told us at the time")
            lines = [(key, line) for key, line in one.lines if line not in held]
            if not lines or one.leaf in taken:
                continue
            held.update(line for _, line in lines)
            kept = packed(lines, telling(incident, chain))
            entry = Evidence(
                time=body.nanoseconds(now),
                incident=incident.id,
                chain=chain.hash,
                vantage=self._vantage,
                part="late",
                windows=one.windows,
                observations=kept.observations,
                omitted=kept.omitted,
                log=one.log,
                leaf=one.leaf,
                cosigned=one.cosigned,
            )
            self._enter(entry, {"observations": kept.data}).result(RECEIPT_SECONDS)
            self._owed = (self._owed or set()) | {incident.id}
