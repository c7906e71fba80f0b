"""What a peer's answer is worth: pure, from an answer to observations and to what is shown of the peer.

What must stay true: a peer speaks for its own vantage only, and where the chain file has its key, only with
its signature; observations made under another chain, or by a clock that is off by more than the chain's
guard band, are flagged and never merged; nothing is taken twice; whatever a peer sends, the result is a value.
"""

import math
import secrets
from collections.abc import Mapping

import msgspec

from agent.drift.others import read_changes
from agent.drift.value import Change
from agent.keys import parse_verifier
from agent.model import Chain
from agent.observation import SELF, Observation, decode
from agent.seal import Answer, Pages, answer_of, read_pages, signed_by
from agent.snapshot import PeerNow
from agent.store.store import LONGEST_SECONDS, storable

# A peer whose clock is this far ahead would make its word stand in a moment that has not come yet.
AHEAD_SECONDS = 30.0
# Observations of the last minutes that are remembered against taking them twice: as many as a peer keeps.
REMEMBERED = 120_000
# An honest line has some hundred bytes.
LINE_BYTES = 8192


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer is asked: its observations after this round; the nonce makes the answer a fresh one."""

    since_round: int
    nonce: str

    def query(self) -> str:
        """Return the query of the URL."""
        return f"since_round={self.since_round}&nonce={self.nonce}"


class Intake:
    """Takes the answers of one peer."""

    def __init__(self, vantage: str, chain: Chain) -> None:
        self._vantage = vantage
        self._seen: dict[tuple[str, int, float], None] = {}
        self._newest = -1
        self._reachable = False
        self._last: float | None = None
        self._same_chain: bool | None = None
        self._signed = False
        self._offset: float | None = None
        self._error: float | None = None
        self.pages = Pages()
        self.configure(chain)

    def configure(self, chain: Chain) -> None:
        """Take up a chain; what a peer of another chain said before was not taken and is asked for again."""
        self._chain = chain
        vantage = chain.vantages.get(self._vantage)
        self._key = parse_verifier(vantage.key) if vantage and vantage.key else None
        self._probes = frozenset((SELF, *(probe.id for probe in chain.probes_of(self._vantage))))
        slowest = max((probe.timeout for probe in chain.probes_of(self._vantage)), default=0.0)
        # An attempt of a round comes in up to its timeout later; one more round for the peer's own delay.
        self._behind = math.ceil(slowest / chain.confirm.spacing) + 2
        self._forget()

    def question(self) -> Question:
        """Return what to ask next: far enough back for attempts that ended late."""
        return Question(since_round=max(-1, self._newest - self._behind), nonce=secrets.token_hex(16))

    def answer(
        self, question: Question, status: int, headers: Mapping[str, str], body: bytes, *, now: float, took: float
    ) -> tuple[PeerNow, tuple[Observation, ...]]:
        """Return what is shown of the peer and the observations to take.

        `now`: UTC epoch seconds when the answer was there; `took`: seconds since it was asked for.
        """
        answer = answer_of(headers, body, nonce=question.nonce, since_round=question.since_round)
        trouble = self._trouble(status, answer, headers.get("demarc-signature", ""))
        if trouble or answer is None:
            return self.silence(trouble), ()
        self._reachable, self._last = True, now
        self._offset, self._error = answer.time / 1e9 - (now - took / 2), took / 2
        self.pages = read_pages(answer.pages)
        self._same_chain = answer.chain == self._chain.hash
        if not self._same_chain:
            self._forget()
            return self._now("it runs another chain file; its observations are not merged"), ()
        if abs(self._offset) - self._error > self._chain.confirm.skew:
            self._forget()
            off = f"its clock differs from ours by {self._offset:+.1f} s, more than `confirm.skew`"
            return self._now(f"{off}; its observations are not merged"), ()
        fresh, strange = self._read(body, now)
        return self._now(f"{strange} of its observations could not be taken" if strange else ""), fresh

    def changes(
        self, question: Question, status: int, headers: Mapping[str, str], body: bytes, *, now: float
    ) -> tuple[Change, ...]:
        """Return the changes of configurations that the peer tells of; none of what is not its own word."""
        answer = answer_of(headers, body, nonce=question.nonce, since_round=-1)
        if answer is None or self._trouble(status, answer, headers.get("demarc-signature", "")):
            return ()
        return read_changes(body, self._vantage, now)

    def silence(self, why: str) -> PeerNow:
        """Return what is shown of the peer when it did not answer."""
        self._reachable, self._signed = False, False
        return self._now(why)

    def _trouble(self, status: int, answer: Answer | None, signature: str) -> str:
        if status != 200:
            return f"it answers with HTTP status {status}"
        if answer is None:
            return "no demarc agent"
        if answer.vantage != self._vantage:
            return f"the agent there is {answer.vantage[:60]!r}, not {self._vantage!r}"
        self._signed = self._key is not None and signed_by(self._key, answer, signature)
        if self._key is not None and not self._signed:
            return "its answer is not signed with its key in the chain file"
        return ""

    def _read(self, body: bytes, now: float) -> tuple[tuple[Observation, ...], int]:
        fresh: list[Observation] = []
        strange = 0
        for line in body.splitlines():
            observation = self._usable(line, now)
            if observation is None:
                strange += 1
                continue
            key = (observation.probe, observation.round, observation.time)
            if key not in self._seen:
                self._seen[key] = None
                fresh.append(observation)
        self._newest = max((observation.round for observation in fresh), default=self._newest)
        while len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return tuple(fresh), strange

    def _usable(self, line: bytes, now: float) -> Observation | None:
        """Return the observation of a line; None where it is none, or not of this vantage, or impossible."""
        if len(line) > LINE_BYTES:
            return None
        try:
            one = decode(line)
        except msgspec.DecodeError:
            return None
        usable = (
            one.vantage == self._vantage
            and one.probe in self._probes
            and one.time <= now + AHEAD_SECONDS
            and storable(one)
            and all(0 <= each <= LONGEST_SECONDS for each in one.phases.values())
        )
        return one if usable else None

    def _forget(self) -> None:
        self._seen.clear()
        self._newest = -1

    def _now(self, detail: str) -> PeerNow:
        return PeerNow(
            vantage=self._vantage,
            reachable=self._reachable,
            last=self._last,
            same_chain=self._same_chain,
            detail=detail,
            signed=self._signed,
            clock_offset=self._offset,
            clock_error=self._error,
        )
