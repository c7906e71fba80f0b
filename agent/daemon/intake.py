"""What a peer's answer is worth: pure, from an answer to observations and to what is shown of the peer.

What must stay true: a peer speaks for its own vantage only; observations made under another chain are
flagged and never merged; nothing is taken twice; whatever a peer sends, the result is a value.
"""

import math
from collections.abc import Mapping

import msgspec

from agent.model import Chain
from agent.observation import Observation, decode
from agent.snapshot import PeerNow

# A peer whose clock is this far ahead would make its word stand in a moment that has not come yet.
AHEAD_SECONDS = 30.0
# Observations of the last minutes that are remembered against taking them twice: as many as a peer keeps.
REMEMBERED = 120_000


class Intake:
    """Takes the answers of one peer."""

    def __init__(self, vantage: str, chain: Chain) -> None:
        self._vantage = vantage
        self._seen: dict[tuple[str, int, float], None] = {}
        self._newest = -1
        self._reachable = False
        self._last: float | None = None
        self._same_chain: bool | None = None
        self.configure(chain)

    def configure(self, chain: Chain) -> None:
        """Take up a chain; what a peer of another chain said before was not taken and is asked for again."""
        self._chain = chain
        slowest = max((probe.timeout for probe in chain.probes_of(self._vantage)), default=0.0)
        # An attempt of a round comes in up to its timeout later; one more round for the peer's own delay.
        self._behind = math.ceil(slowest / chain.confirm.spacing) + 2
        self._forget()

    @property
    def since_round(self) -> int:
        """Return the round after which to ask: far enough back for attempts that ended late."""
        return max(-1, self._newest - self._behind)

    def answer(
        self, status: int, headers: Mapping[str, str], body: bytes, now: float
    ) -> tuple[PeerNow, tuple[Observation, ...]]:
        """Return what is shown of the peer and the observations to take, after an answer at `now` (UTC)."""
        trouble = self._trouble(status, headers)
        if trouble:
            self._reachable = False
            return self._now(trouble), ()
        self._reachable, self._last = True, now
        self._same_chain = headers.get("demarc-chain") == self._chain.hash
        if not self._same_chain:
            self._forget()
            return self._now("it runs another chain file; its observations are not merged"), ()
        fresh, strange = self._read(body, now)
        return self._now(f"{strange} of its observations could not be taken" if strange else ""), fresh

    def silence(self, why: str) -> PeerNow:
        """Return what is shown of the peer when it did not answer."""
        self._reachable = False
        return self._now(why)

    def _trouble(self, status: int, headers: Mapping[str, str]) -> str:
        if status != 200:
            return f"it answers with HTTP status {status}"
        vantage = headers.get("demarc-vantage", "")
        if vantage != self._vantage:
            return f"the agent there is {vantage[:60]!r}, not {self._vantage!r}" if vantage else "no demarc agent"
        return ""

    def _read(self, body: bytes, now: float) -> tuple[tuple[Observation, ...], int]:
        fresh: list[Observation] = []
        strange = 0
        for line in body.splitlines():
            try:
                observation = decode(line)
            except msgspec.DecodeError:
                strange += 1
                continue
            if observation.vantage != self._vantage or observation.time > now + AHEAD_SECONDS:
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
        )
