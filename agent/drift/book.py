"""The book of one vantage: every probe's facts over time, and what was approved of them.

Pure: looks in, changes out. What must stay true: looks without facts change nothing; nothing is approved but by the
chain file or a person; a probe that became another measurement begins anew, as not approved; what is kept is bounded,
however many facts come. The chain file holds over a person's approval.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from agent.drift.fact import Fact, Moved, look
from agent.drift.fingerprint import MOST_FACTS, bounded
from agent.drift.value import Change, Drift, Event, FactNow, Fingerprint, Move, Standing
from agent.model import Chain, Probe

CHANGES_KEPT: Final = 200
"""Changes that page and API show; the ledger holds them all."""

CHAIN_FILE: Final = "chain file"


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A value that a party approved, at `at` (UTC epoch seconds)."""

    value: str
    party: str
    at: float
    signed: bool = False


class Watched(msgspec.Struct, kw_only=True):
    """What is known of one probe; `raw` is its latest look, at `raw_at`, and `known` the same within bounds.

    `fingerprint` shows it until something in it changes.
    """

    settings_hash: str
    facts: dict[str, Fact] = {}
    approvals: dict[str, Approval] = {}
    raw: Mapping[str, str] | None = None
    raw_at: float = 0.0
    known: dict[str, str] = {}
    quiet: bool = False
    changed: int = 0
    last_change: float | None = None
    fingerprint: Fingerprint | None = None

    def remember_seen(self) -> None:
        """Enter when the values of the latest look were last seen; quiet looks do not."""
        for name, value in self.known.items():
            fact = self.facts[name]
            if fact.value == value and fact.seen < self.raw_at:
                self.facts[name] = msgspec.structs.replace(fact, seen=self.raw_at)

    def forget_oldest(self) -> None:
        """Keep at most twice the facts of one look: names that come and go must not pile up."""
        gone = sorted(self.facts.keys() - self.known.keys(), key=lambda name: self.facts[name].seen)
        for name in gone[: max(0, len(self.facts) - 2 * MOST_FACTS)]:
            del self.facts[name]
            self.approvals.pop(name, None)


class SavedProbe(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One probe in the saved book."""

    settings_hash: str
    facts: dict[str, Fact] = {}
    approvals: dict[str, Approval] = {}
    last_change: float | None = None


class Saved(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The book as it outlives a restart."""

    chain: str = ""
    probes: dict[str, SavedProbe] = {}
    changes: tuple[Change, ...] = ()


class ApprovalError(ValueError):
    """An approval that cannot be entered; the text says why."""


class Book:
    """The facts of one vantage's probes. `saved` is what the former run left.

    `chain` is the hash of the chain file in force; `version` rises whenever the picture may have changed.
    """

    def __init__(self, saved: Saved | None = None) -> None:
        saved = saved or Saved()
        self._watched = {
            name: Watched(
                settings_hash=one.settings_hash,
                facts=dict(one.facts),
                approvals=dict(one.approvals),
                last_change=one.last_change,
            )
            for name, one in saved.probes.items()
        }
        self._changes: deque[Change] = deque(saved.changes, maxlen=CHANGES_KEPT)
        self._probes: dict[str, Probe] = {}
        self._vantage = ""
        self.chain = saved.chain
        self.version = 0

    def configure(self, chain: Chain, vantage: str) -> None:
        """Take up a chain: what is known of probes that are still the same measurement stays."""
        self._vantage, self.chain = vantage, chain.hash
        self._probes = {probe.id: probe for probe in chain.probes_of(vantage)}
        self._watched = {
            name: one
            for name, one in self._watched.items()
            if name in self._probes and self._probes[name].settings_hash == one.settings_hash
        }
        for watched in self._watched.values():
            watched.fingerprint = None
        self.version += 1

    def look(self, probe: Probe, facts: Mapping[str, str], at: float) -> tuple[Change, ...]:
        """Take what one attempt that started at `at` saw; return what changed.

        An attempt that began before a reload and is of another measurement than now tells nothing.
        """
        configured = self._probes.get(probe.id)
        if configured is None or configured.settings_hash != probe.settings_hash:
            return ()
        watched = self._watched.get(probe.id)
        if watched is None:
            watched = self._watched[probe.id] = Watched(settings_hash=probe.settings_hash)
        if watched.quiet and facts == watched.raw:
            watched.raw_at = at
            return ()
        return self._look_closely(probe, watched, facts, at)

    def _look_closely(self, probe: Probe, watched: Watched, facts: Mapping[str, str], at: float) -> tuple[Change, ...]:
        watched.remember_seen()
        watched.raw, watched.raw_at, watched.known = dict(facts), at, bounded(facts)
        moved: dict[str, Moved] = {}
        for name, value in watched.known.items():
            watched.facts[name], one = look(watched.facts.get(name, Fact()), value, at)
            if one is not None:
                moved[name] = one
        watched.forget_oldest()
        watched.quiet = all(watched.facts[name].quiet for name in watched.known)
        changes = tuple(self._grouped(probe, moved))
        for change in changes:
            if change.event is not Event.SEEN:
                watched.changed += 1
                watched.last_change = change.at
        watched.fingerprint = None
        self.version += 1
        self._changes.extend(changes)
        return changes

    def _grouped(self, probe: Probe, moved: Mapping[str, Moved]) -> Iterator[Change]:
        """Yield one change for each kind of event that one look brought."""
        for event in Event:
            group = {name: one for name, one in moved.items() if one.event is event}
            if group:
                before = [one.not_before for one in group.values() if one.not_before is not None]
                yield Change(
                    event=event,
                    at=min(one.at for one in group.values()),
                    not_before=min(before, default=None),
                    vantage=self._vantage,
                    probe=probe.id,
                    segments=probe.facts_of,
                    moves={name: one.move for name, one in group.items()},
                )

    def enter(self, change: Change) -> None:
        """Enter a change that no probe saw: the chain file's."""
        self._changes.append(change)
        self.version += 1

    def approve(self, probe: str, wanted: Mapping[str, str], *, party: str, at: float, signed: bool = False) -> None:
        """Enter that `party` approves these facts with these values; raises ApprovalError, then nothing is entered."""
        if probe not in self._probes:
            raise ApprovalError(f"there is no probe {probe!r} at {self._vantage}")
        watched = self._watched.get(probe) or Watched(settings_hash="")
        if not wanted:
            raise ApprovalError("no fact is named")
        for name, value in wanted.items():
            fact = watched.facts.get(name, Fact())
            if name in self._probes[probe].approved:
                raise ApprovalError(f"{name!r} stands in the chain file; change it there")
            if fact.value is None:
                raise ApprovalError(f"{name!r} has not been seen")
            if fact.value != value:
                raise ApprovalError(f"{name!r} is {fact.value!r} now; look again before you approve")
            if not fact.quiet:
                raise ApprovalError(f"{name!r} is changing; wait until it holds")
        approvals = (Approval(value=value, party=party, at=at, signed=signed) for value in wanted.values())
        watched.approvals.update(zip(wanted, approvals, strict=True))
        watched.fingerprint = None
        self.version += 1

    def drift(self, others: Iterable[Change] = ()) -> Drift:
        """Return the whole picture, with the changes that `others` saw."""
        changes = sorted((*self._changes, *others), key=lambda one: one.at, reverse=True)
        return Drift(fingerprints=tuple(self._fingerprints()), changes=tuple(changes[:CHANGES_KEPT]))

    def _fingerprints(self) -> Iterator[Fingerprint]:
        for probe in self._probes.values():
            watched = self._watched.get(probe.id)
            if watched is None and probe.approved:
                watched = Watched(settings_hash=probe.settings_hash)
            if watched is not None:
                watched.fingerprint = watched.fingerprint or _fingerprint(probe, watched)
                if watched.fingerprint.facts:
                    yield watched.fingerprint

    def save(self) -> Saved:
        """Return what must outlive a restart."""
        for watched in self._watched.values():
            watched.remember_seen()
        return Saved(
            chain=self.chain,
            probes={
                name: SavedProbe(
                    settings_hash=one.settings_hash,
                    facts=dict(one.facts),
                    approvals=dict(one.approvals),
                    last_change=one.last_change,
                )
                for name, one in self._watched.items()
            },
            changes=tuple(self._changes),
        )


def _fingerprint(probe: Probe, watched: Watched) -> Fingerprint:
    names = {name for name, fact in watched.facts.items() if fact.value is not None} | probe.approved.keys()
    return Fingerprint(
        probe=probe.id,
        type=probe.type,
        segments=probe.facts_of,
        facts=tuple(stand(name, probe.approved, watched) for name in sorted(names)),
        changed=watched.changed,
        last_change=watched.last_change,
    )


def stand(name: str, agreed: Mapping[str, str], watched: Watched) -> FactNow:
    """Return how a fact stands to what the chain file (`agreed`) or else a person approved."""
    fact, approval, signed = watched.facts.get(name, Fact()), watched.approvals.get(name), False
    approved, by = (agreed[name], CHAIN_FILE) if name in agreed else (None, "")
    if approved is None and approval is not None:
        approved, by, signed = approval.value, approval.party, approval.signed
    if fact.value is None:
        standing = Standing.UNSEEN
    elif fact.among:
        standing = Standing.FLAPPING
    elif approved is None:
        standing = Standing.UNAPPROVED
    else:
        standing = Standing.APPROVED if fact.value == approved else Standing.DRIFTED
    return FactNow(
        name=name,
        value=fact.value or "",
        since=fact.since if fact.value is not None else None,
        standing=standing,
        approved=approved,
        approved_by=by,
        signed=signed,
    )


def chain_change(before: str, after: str, *, vantage: str, at: float) -> Change:
    """Return the change of the chain file from one hash to another; it speaks of every segment."""
    return Change(
        event=Event.CHANGED,
        at=at,
        vantage=vantage,
        moves={CHAIN_FILE: Move(before=before, after=after)},
    )
