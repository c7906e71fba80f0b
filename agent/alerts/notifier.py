"""Keeps every Alertmanager told of what fires: sends at once, repeats, retries, survives a restart.

What must stay true: `transition` returns at once; each Alertmanager is served by a task of its
own, so one that hangs delays no other; an ended alert is repeated until every Alertmanager took
it; what fires is saved with its labels, so that a restart changes none; a story that cannot be told
costs the story, never the page.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import structlog

from agent.alerts import message
from agent.alerts.plan import CONFIRMED, End, Ended, Key, Plan, Work, plan
from agent.alerts.push import PushError, push
from agent.alerts.turn import Turn
from agent.clock import Clock, SystemClock
from agent.drift.beside import beside
from agent.drift.value import Change
from agent.incident.value import Event, Incident, Transition
from agent.model import Chain
from agent.seal import Pages

# An end that an Alertmanager has not taken by then is forgotten: its alert has ended by HOLDS.
END_KEPT = 2 * message.HOLDS
STATE_VERSION = 1

_ENDS = {Event.CLOSED: End.RECOVERED, Event.MERGED: End.MERGED, Event.DISMISSED: End.UNTRACKED}

Send = Callable[[str, bytes], Awaitable[None]]


class Handed(msgspec.Struct, frozen=True, kw_only=True):
    """An Alertmanager at `url` took the start of an alert, or its end and why it ended."""

    url: str
    key: Key
    ended: End | None = None


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds between words to an Alertmanager, and between looks at pages that become due by time.

    `resend` is far below Alertmanager's default resolve_timeout of 5 min and below message.HOLDS.
    """

    resend: float = 60.0
    first_retry: float = 1.0
    last_retry: float = 30.0
    step: float = 1.0


class Fires(msgspec.Struct, frozen=True, kw_only=True):
    """A saved alert."""

    key: Key
    starts: float


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """The state file: what fires, what ended lately, the incidents as last known, and announced work."""

    version: int
    firing: tuple[Fires, ...] = ()
    ended: tuple[Ended, ...] = ()
    incidents: tuple[Incident, ...] = ()
    told: dict[str, tuple[Key, ...]] = {}
    works: tuple[Work, ...] = ()


class _Endpoint:
    """One Alertmanager: whether it takes alerts, what it knows to fire, and which ends it has yet to take."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.up = False
        self.complained = False
        self.wake = asyncio.Event()
        self.owed: dict[Key, Ended] = {}
        self.told: frozenset[Key] = frozenset()

    def took(self, firing: frozenset[Key], owed: dict[Key, Ended]) -> list[Handed]:
        """Settle a push that it took; return what it learned by it."""
        begun = [Handed(url=self.url, key=key) for key in firing - self.told]
        ends = [Handed(url=self.url, key=key, ended=end.reason) for key, end in owed.items()]
        self.told = firing
        self.owed = {key: end for key, end in self.owed.items() if owed.get(key) is not end}
        return begun + ends


class Notifier:
    """The sink for incidents that leave the agent. `run` must be running for anything to be sent.

    `urls` are Alertmanagers' base URLs; without any the plan is kept all the same, so that
    `firing` can be exposed. `page_url` is this agent's own address for people. `handed` hears, once
    for each Alertmanager, of every alert that it took and of its end. `send` raises PushError. `vantage` is
    our own: another agent may come before it (`turn`). `changes` gives the latest changes of configurations.
    """

    def __init__(
        self,
        chain: Chain,
        urls: Iterable[str],
        *,
        page_url: str = "",
        state_file: Path | None = None,
        clock: Clock | None = None,
        send: Send = push,
        pace: Pace | None = None,
        handed: Callable[[Handed], None] = lambda _: None,
        vantage: str = "",
        changes: Callable[[], Iterable[Change]] = tuple,
    ) -> None:
        self._chain = chain
        urls = tuple(dict.fromkeys(urls))
        self._turn = Turn(chain, vantage, urls)
        self._page_url = page_url
        self._state_file = state_file
        self._clock = clock or SystemClock()
        self._send = send
        self._pace = pace or Pace()
        self._handed = handed
        self._changes = changes
        self._works: tuple[Work, ...] = ()
        self._endpoints = [_Endpoint(url) for url in urls]
        self._incidents: dict[str, Incident] = {}
        self._gone: dict[str, tuple[End, Incident]] = {}
        self._firing: dict[Key, float] = {}
        self._changed = asyncio.Event()
        self._saving = asyncio.Event()
        self._load()

    @property
    def up(self) -> bool | None:
        """Tell whether an Alertmanager takes our alerts; None: none is configured."""
        return any(endpoint.up for endpoint in self._endpoints) if self._endpoints else None

    def firing(self) -> tuple[tuple[str, str, str], ...]:
        """Return (incident id, addressed party, severity) of every alert that fires."""
        return tuple((key.incident, key.to, key.severity.value) for key in self._firing)

    def configure(self, chain: Chain) -> None:
        """Take a reloaded chain: another director is a handing over."""
        self._chain = chain
        self._turn.configure(chain)
        self._step()

    def pages(self) -> Pages:
        """Return what this agent pages, and by which Alertmanagers, for its peers."""
        if not self.up:
            return Pages()
        alerts = tuple((key.to, self._incidents[key.incident].segments) for key in self._firing)
        return Pages(via=tuple(sorted(self._turn.places)), alerts=alerts)

    def peer(self, vantage: str, pages: Pages) -> None:
        """Take what the agent at another vantage pages: what it has told we need not tell."""
        self._turn.heard(vantage, pages, self._clock.wall())

    def announced(self, works: Iterable[Work]) -> None:
        """Take all maintenance that is announced."""
        self._works = tuple(works)
        self._saving.set()
        self._step()

    def restore(self, incidents: Iterable[Incident]) -> None:
        """After a start, take the incidents that the engine restored; others that fired are untracked."""
        known = {i.id: i for i in incidents if i.state in CONFIRMED}
        self._gone = {k: (End.UNTRACKED, i) for k, i in self._incidents.items() if k not in known}
        self._incidents = known
        self._step()

    def transition(self, transition: Transition) -> None:
        """Take one transition; only confirmed incidents leave the agent."""
        incident = transition.incident
        if transition.event not in _ENDS and incident.state in CONFIRMED:
            self._incidents[incident.id] = incident
        elif self._incidents.pop(incident.id, None) is not None:
            self._gone[incident.id] = (_ENDS.get(transition.event, End.UNTRACKED), incident)
        self._step()

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._save())
            for endpoint in self._endpoints:
                tasks.create_task(self._tell(endpoint))

    def _step(self) -> None:
        """Bring what fires in line with what is known; no I/O."""
        after = self._plan()
        now = self._clock.wall()
        self._gone = {}
        self._turn.keep(self._incidents)
        if after.firing != self._firing or after.ended:
            self._saving.set()
        self._firing = after.firing
        for endpoint in self._endpoints:
            kept = {k: e for k, e in endpoint.owed.items() if k not in after.firing and now - e.ends < END_KEPT}
            endpoint.owed = kept | {end.key: end for end in after.ended}
            endpoint.wake.set()
        self._changed.set()

    def _plan(self) -> Plan:
        now = self._clock.wall()

        def waits(incident: Incident, to: str) -> bool:
            return self._turn.waits(incident, to, now)

        return plan(self._chain, self._incidents, self._firing, self._gone, now, waits=waits, works=self._works)

    async def _watch(self) -> None:
        """Look every second for a page that has become due, while there is an incident."""
        while True:
            await self._changed.wait()
            if not self._incidents:
                self._changed.clear()
                continue
            await asyncio.sleep(self._pace.step)
            if self._plan().firing != self._firing:
                self._step()

    async def _tell(self, endpoint: _Endpoint) -> None:
        retry = self._pace.first_retry
        while True:
            endpoint.wake.clear()
            if await self._push(endpoint):
                retry = self._pace.first_retry
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pace.resend):
                        await endpoint.wake.wait()
            else:
                await asyncio.sleep(retry)
                retry = min(2 * retry, self._pace.last_retry)

    async def _push(self, endpoint: _Endpoint) -> bool:
        """Send everything that this Alertmanager should know; an empty list shows that it listens."""
        owed, firing = dict(endpoint.owed), frozenset(self._firing)
        try:
            await self._send(endpoint.url, self._body(owed))
        except PushError as error:
            if not endpoint.complained:
                structlog.get_logger().warning("Alertmanager does not take alerts", url=endpoint.url, error=str(error))
            endpoint.up, endpoint.complained = False, True
            return False
        if endpoint.complained:
            structlog.get_logger().info("Alertmanager takes alerts again", url=endpoint.url)
        endpoint.up, endpoint.complained = True, False
        for handed in endpoint.took(firing, owed):
            self._handed(handed)
        self._saving.set()
        return True

    def _body(self, owed: dict[Key, Ended]) -> bytes:
        alerts = [self._firing_alert(key, starts) for key, starts in self._firing.items()]
        return msgspec.json.encode(alerts + [self._ended_alert(end) for end in owed.values()])

    def _firing_alert(self, key: Key, starts: float) -> dict[str, Any]:
        now = self._clock.wall()
        try:
            incident = self._incidents[key.incident]
            found = beside(incident, self._changes())
            return message.firing(key, starts, incident, self._chain, url=self._page_url, now=now, changes=found)
        except Exception:
            structlog.get_logger().exception("an alert cannot be worded", incident=key.incident)
            return message.bare(key, starts, now + message.HOLDS)

    def _ended_alert(self, end: Ended) -> dict[str, Any]:
        try:
            return message.ended(end, self._chain, url=self._page_url)
        except Exception:
            structlog.get_logger().exception("an alert cannot be worded", incident=end.key.incident)
            return message.bare(end.key, end.starts, end.ends, end.reason)

    def _state(self) -> Saved:
        owed = {end.key: end for endpoint in self._endpoints for end in endpoint.owed.values()}
        return Saved(
            version=STATE_VERSION,
            firing=tuple(Fires(key=key, starts=starts) for key, starts in self._firing.items()),
            ended=tuple(owed.values()),
            incidents=tuple(self._incidents.values()),
            told={endpoint.url: tuple(sorted(endpoint.told, key=repr)) for endpoint in self._endpoints},
            works=self._works,
        )

    async def _save(self) -> None:
        last = b""
        while True:
            await self._saving.wait()
            self._saving.clear()
            data = msgspec.json.encode(self._state())
            if self._state_file is None or data == last:
                continue
            try:
                await asyncio.to_thread(_replace, self._state_file, data)
                last = data
            except OSError as error:
                structlog.get_logger().error("alert state is not saved", error=str(error))

    def _load(self) -> None:
        """Take up the state file; one that cannot be read costs at most a second notification."""
        if self._state_file is None or not self._state_file.exists():
            return
        try:
            saved = msgspec.json.decode(self._state_file.read_bytes(), type=Saved)
        except (OSError, msgspec.MsgspecError) as error:
            structlog.get_logger().warning("alert state cannot be read", error=str(error))
            return
        self._incidents = {incident.id: incident for incident in saved.incidents}
        self._firing = {f.key: f.starts for f in saved.firing if f.key.incident in self._incidents}
        self._works = saved.works
        for endpoint in self._endpoints:
            endpoint.owed = {end.key: end for end in saved.ended}
            endpoint.told = frozenset(saved.told.get(endpoint.url, ()))


def _replace(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves either the old or the new one."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
