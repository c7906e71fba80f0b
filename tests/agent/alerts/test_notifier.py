"""The notifier over a fake Alertmanager: at once, repeated, retried, restarted, several at a time."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.alerts import Handed, Notifier, Work
from agent.alerts.notifier import Pace
from agent.alerts.push import PushError
from agent.drift.value import Change, Move
from agent.drift.value import Event as Drifted
from agent.incident.value import Event, Incident, State, Transition
from agent.model import Page
from tests.agent.samples import CARRIER, CHAIN, CLOSED, NOW, VPN

Alerts = list[dict[str, Any]]


class HandClock:
    """A clock that the test moves."""

    now = NOW

    def wall(self) -> float:
        """Return the wall time."""
        return self.now

    def boot(self) -> float:
        """Return the boot time."""
        return self.now


class Fake:
    """Alertmanagers by URL: what each was sent; one that `refuses` takes nothing."""

    def __init__(self) -> None:
        self.sent: dict[str, asyncio.Queue[Alerts]] = {}
        self.refuses: set[str] = set()
        self.hangs: set[str] = set()

    async def send(self, url: str, body: bytes) -> None:
        """Take a push."""
        if url in self.hangs:
            await asyncio.Event().wait()
        if url in self.refuses:
            raise PushError("HTTP 503")
        self.sent.setdefault(url, asyncio.Queue()).put_nowait(json.loads(body))

    async def next(self, wanted: Callable[[Alerts], bool], url: str = "a") -> Alerts:
        """Return the next push to `url` that is `wanted`."""
        async with asyncio.timeout(5):
            while True:
                queue = self.sent.setdefault(url, asyncio.Queue())
                if wanted(alerts := await queue.get()):
                    return alerts


def change(incident: Incident = CARRIER, event: Event = Event.CONFIRMED) -> Transition:
    """Return a transition."""
    return Transition(event=event, at=NOW, incident=incident)


def to(alerts: Alerts) -> set[str]:
    """Return the parties addressed."""
    return {alert["labels"]["to"] for alert in alerts}


def ending(alerts: Alerts) -> dict[str, str]:
    """Return why alerts ended, by party."""
    return {a["labels"]["to"]: a["annotations"]["ended"] for a in alerts if "ended" in a["annotations"]}


def play(
    scenario: Callable[[Notifier, Fake], Awaitable[None]],
    *,
    urls: tuple[str, ...] = ("a",),
    fake: Fake | None = None,
    clock: HandClock | None = None,
    state_file: Path | None = None,
    pace: Pace | None = None,
    handed: Callable[[Handed], None] = lambda _: None,
    changes: tuple[Change, ...] = (),
) -> None:
    """Run `scenario` beside a running notifier."""

    async def main() -> None:
        alertmanagers = fake or Fake()
        notifier = Notifier(
            CHAIN,
            urls,
            clock=clock or HandClock(),
            send=alertmanagers.send,
            state_file=state_file,
            page_url="http://x/",
            pace=pace,
            handed=handed,
            changes=lambda: changes,
        )
        running = asyncio.create_task(notifier.run())
        try:
            await scenario(notifier, alertmanagers)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


def test_confirm_reassign_recover() -> None:
    """The whole life of an incident, as one Alertmanager hears it."""

    async def scenario(notifier: Notifier, fake: Fake) -> None:
        notifier.transition(
            change(event=Event.SUSPECTED, incident=msgspec.structs.replace(CARRIER, state=State.SUSPECTED))
        )
        assert await fake.next(lambda _: True) == []
        notifier.transition(change())
        assert to(await fake.next(bool)) == {"msp", "carrier"}
        notifier.transition(change(msgspec.structs.replace(CARRIER, mover="incumbent"), Event.CHANGED))
        alerts = await fake.next(lambda a: len(a) == 3)
        assert (to(alerts), ending(alerts)) == ({"msp", "carrier", "incumbent"}, {"carrier": "reassigned"})
        notifier.transition(change(msgspec.structs.replace(CLOSED, id=CARRIER.id), Event.CLOSED))
        alerts = await fake.next(lambda a: len(ending(a)) == 2)
        assert ending(alerts) == {"msp": "recovered", "incumbent": "recovered"}
        assert notifier.firing() == ()

    play(scenario)


@pytest.mark.parametrize(
    ("event", "state", "reason"),
    [
        (Event.CLOSED, State.CLOSED, "recovered"),
        (Event.MERGED, State.CONFIRMED, "merged"),
        (Event.DISMISSED, State.CONFIRMED, "untracked"),
        (Event.CHANGED, State.SUSPECTED, "untracked"),
    ],
)
def test_only_a_closure_is_a_recovery(event: Event, state: State, reason: str) -> None:
    """An incident that is merged into another one has not recovered, whatever its own state says."""

    async def scenario(notifier: Notifier, fake: Fake) -> None:
        notifier.transition(change())
        await fake.next(bool)
        notifier.transition(change(msgspec.structs.replace(CARRIER, state=state), event))
        assert ending(await fake.next(lambda a: bool(ending(a)))) == {"msp": reason, "carrier": reason}
        assert notifier.firing() == ()

    play(scenario)


def test_up_is_told() -> None:
    """Up is unknown without an Alertmanager, true when one of several takes alerts."""

    async def alone(notifier: Notifier, _: Fake) -> None:
        notifier.transition(change())
        assert notifier.up is None
        assert {party for _, party, _ in notifier.firing()} == {"msp", "carrier"}

    async def two(notifier: Notifier, fake: Fake) -> None:
        assert notifier.up is False
        await fake.next(lambda _: True, "b")
        await asyncio.sleep(0)
        assert notifier.up is True

    fake = Fake()
    fake.refuses.add("a")
    play(alone, urls=())
    play(two, urls=("a", "b", "b"), fake=fake)


def test_one_that_hangs_delays_no_other() -> None:
    """A silent Alertmanager does not keep the page from another one."""

    async def scenario(notifier: Notifier, fake: Fake) -> None:
        notifier.transition(change())
        assert to(await fake.next(bool, "b")) == {"msp", "carrier"}

    fake = Fake()
    fake.hangs.add("a")
    play(scenario, urls=("a", "b"), fake=fake)


def test_what_was_not_taken_is_sent_again() -> None:
    """An Alertmanager that comes back hears what fires and what ended meanwhile, once each."""

    async def scenario(notifier: Notifier, fake: Fake) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        notifier.transition(change())
        notifier.transition(change(VPN))
        notifier.transition(change(msgspec.structs.replace(CLOSED, id=CARRIER.id), Event.CLOSED))
        fake.refuses.clear()
        alerts = await fake.next(bool)
        assert ending(alerts) == {"msp": "recovered", "carrier": "recovered"}
        assert len(alerts) == 3
        notifier.transition(change(VPN, Event.CHANGED))
        assert len(await fake.next(bool)) == 1

    fake = Fake()
    fake.refuses.add("a")
    play(scenario, fake=fake, pace=Pace(first_retry=0.01))


def test_it_repeats_what_fires() -> None:
    """Without any change the same alerts are sent again, with a later end."""
    clock = HandClock()

    async def scenario(notifier: Notifier, fake: Fake) -> None:
        notifier.transition(change())
        first = await fake.next(bool)
        clock.now += 60
        second = await fake.next(lambda a: a[0]["endsAt"] != first[0]["endsAt"])
        assert [a["labels"] for a in second] == [a["labels"] for a in first]
        assert [a["startsAt"] for a in second] == [a["startsAt"] for a in first]

    play(scenario, clock=clock, pace=Pace(resend=0.01))


def test_a_page_that_becomes_due() -> None:
    """When the delay of a service has passed, the page goes out without any transition."""
    clock = HandClock()
    slow = {k: msgspec.structs.replace(s, page=Page(after=120.0)) for k, s in CHAIN.services.items()}

    async def scenario(notifier: Notifier, fake: Fake) -> None:
        notifier.configure(msgspec.structs.replace(CHAIN, services=slow))
        notifier.transition(change())
        assert {a["labels"]["severity"] for a in await fake.next(bool)} == {"warning"}
        clock.now = CARRIER.opened + 121
        alerts = await fake.next(lambda a: len(a) == 4)
        assert [a["labels"]["severity"] for a in alerts].count("critical") == 2
        notifier.transition(change(msgspec.structs.replace(CLOSED, id=CARRIER.id), Event.CLOSED))
        await fake.next(lambda a: len(ending(a)) == 2)

    play(scenario, clock=clock, pace=Pace(step=0.01))


def test_a_story_that_cannot_be_told_costs_no_page() -> None:
    """When wording an incident raises, the alert goes out without its story, and so does its end."""
    broken = msgspec.structs.replace(CHAIN, timezone="Nowhere/At-All")

    async def scenario(notifier: Notifier, fake: Fake) -> None:
        notifier.configure(broken)
        notifier.transition(change())
        alerts = await fake.next(bool)
        assert to(alerts) == {"msp", "carrier"}
        assert {a["annotations"]["summary"] for a in alerts} == {f"Incident {CARRIER.id} (open); see the agent's page"}
        notifier.transition(change(msgspec.structs.replace(CLOSED, id=CARRIER.id), Event.CLOSED))
        assert ending(await fake.next(lambda a: bool(ending(a)))) == {"msp": "recovered", "carrier": "recovered"}

    play(scenario)


def test_what_was_handed_over_is_reported_once(tmp_path: Path) -> None:
    """Each Alertmanager's taking of an alert and of its end is reported once, also over repeats and a restart."""
    heard: list[tuple[str, str, str | None]] = []
    clock = HandClock()
    pace = Pace(resend=0.01, first_retry=0.01, last_retry=0.01, step=0.01)
    common: dict[str, Any] = {
        "clock": clock,
        "state_file": tmp_path / "alerts.json",
        "urls": ("a", "deaf"),
        "pace": pace,
        "handed": lambda h: heard.append((h.url, h.key.to, h.ended)),
    }

    def half_deaf() -> Fake:
        fake = Fake()
        fake.refuses.add("deaf")
        return fake

    async def before(notifier: Notifier, fake: Fake) -> None:
        notifier.transition(change())
        await fake.next(bool)
        await fake.next(bool)
        await saved(tmp_path / "alerts.json", '"told":{"a":[{')

    async def after(notifier: Notifier, fake: Fake) -> None:
        notifier.restore([CARRIER])
        await fake.next(bool)
        assert len(heard) == 2
        notifier.transition(change(msgspec.structs.replace(CLOSED, id=CARRIER.id), Event.CLOSED))
        await fake.next(lambda a: bool(ending(a)))
        await fake.next(lambda a: a == [])

    play(before, fake=half_deaf(), **common)
    play(after, fake=half_deaf(), **common)
    begun = {("a", "msp", None), ("a", "carrier", None)}
    assert len(heard) == 4
    assert set(heard) == begun | {("a", "msp", "recovered"), ("a", "carrier", "recovered")}


async def saved(path: Path, wanted: str) -> None:
    """Wait until the state file holds `wanted`."""
    async with asyncio.timeout(5):
        while wanted not in await asyncio.to_thread(text_of, path):  # noqa: ASYNC110 - another thread writes it
            await asyncio.sleep(0.005)


def text_of(path: Path) -> str:
    """Return the text of a file, nothing where there is none yet."""
    return path.read_text() if path.exists() else ""


def test_a_restart_goes_on(tmp_path: Path) -> None:
    """After a restart what is open fires on under the same labels since the same moment; the rest is untracked."""
    path = tmp_path / "alerts.json"
    clock = HandClock()

    async def before(notifier: Notifier, _: Fake) -> None:
        notifier.transition(change())
        notifier.transition(change(VPN))
        await saved(path, VPN.id)

    async def after(notifier: Notifier, fake: Fake) -> None:
        clock.now += 90
        notifier.restore([msgspec.structs.replace(CARRIER, state=State.RECOVERING)])
        alerts = await fake.next(bool)
        assert ending(alerts) == {"msp": "untracked"}
        starts = {a["startsAt"] for a in alerts if a["labels"]["incident"] == CARRIER.id}
        assert starts == {"2026-11-23T14:03:05.000Z"}

    play(before, clock=clock, state_file=path)
    play(after, clock=clock, state_file=path)


def test_an_end_survives_a_restart(tmp_path: Path) -> None:
    """An end that no Alertmanager has taken is told after the restart."""
    path = tmp_path / "alerts.json"
    deaf = Fake()
    deaf.refuses.add("a")

    async def before(notifier: Notifier, _: Fake) -> None:
        notifier.transition(change())
        notifier.transition(change(msgspec.structs.replace(CLOSED, id=CARRIER.id), Event.CLOSED))
        await saved(path, "recovered")

    async def after(_: Notifier, fake: Fake) -> None:
        assert ending(await fake.next(bool)) == {"msp": "recovered", "carrier": "recovered"}

    play(before, state_file=path, fake=deaf)
    play(after, state_file=path)


WORK = Work(party="carrier", opened=CARRIER.opened, closed=NOW + 3600)


def severities(alerts: Alerts) -> dict[str, str]:
    """Return how severe the alerts are, by party."""
    return {alert["labels"]["to"]: alert["labels"]["severity"] for alert in alerts}


def test_announced_work_survives_a_restart(tmp_path: Path) -> None:
    """Who announced the work is warned; a restart in the middle of it, before the ledger is read, pages nobody new."""
    path = tmp_path / "alerts.json"

    async def before(notifier: Notifier, fake: Fake) -> None:
        notifier.announced([WORK])
        notifier.transition(change())
        assert severities(await fake.next(bool)) == {"msp": "critical", "carrier": "warning"}
        await saved(path, "warning")

    async def after(notifier: Notifier, fake: Fake) -> None:
        notifier.restore([CARRIER])
        assert severities(await fake.next(bool)) == {"msp": "critical", "carrier": "warning"}
        notifier.announced([])
        assert len(await fake.next(lambda alerts: len(alerts) == 3)) == 3

    play(before, state_file=path)
    play(after, state_file=path)


def test_the_last_change_goes_with_the_page() -> None:
    """What changed on the incident's segments stands in an annotation; what changed elsewhere does not."""
    near = Change(
        event=Drifted.CHANGED,
        at=CARRIER.opened - 60,
        vantage="cloud",
        probe="underlay",
        segments=("carrier",),
        moves={"gateway": Move(before="203.0.113.1", after="203.0.113.9")},
    )
    far = msgspec.structs.replace(near, segments=("erp-app",))

    async def scenario(notifier: Notifier, fake: Fake) -> None:
        notifier.transition(change())
        told = {one["labels"]["to"]: one["annotations"]["last_change"] for one in await fake.next(bool)}
        assert set(told) == {"msp", "carrier"}
        assert told["carrier"].startswith("Last change: ")
        assert "gateway from 203.0.113.1 to 203.0.113.9 (1 minute before)." in told["carrier"]
        assert told["carrier"].count("Last change") == 1
        assert told["carrier"].endswith("\nA change is no proof of a cause.")

    play(scenario, changes=(near, far))


@pytest.mark.parametrize("content", [b"", b"{", b'{"version":1,"firing":[{}]}'])
def test_a_broken_state_file_is_no_reason_to_be_silent(tmp_path: Path, content: bytes) -> None:
    """The notifier starts without its memory and pages."""
    path = tmp_path / "alerts.json"
    path.write_bytes(content)

    async def scenario(notifier: Notifier, fake: Fake) -> None:
        notifier.restore([CARRIER])
        assert to(await fake.next(bool)) == {"msp", "carrier"}

    play(scenario, state_file=path)


def test_a_state_file_that_cannot_be_written(tmp_path: Path) -> None:
    """Pages go out although their state cannot be saved."""

    async def scenario(notifier: Notifier, fake: Fake) -> None:
        notifier.transition(change())
        await fake.next(bool)
        await asyncio.sleep(0.05)
        notifier.transition(change(VPN))
        assert len(await fake.next(lambda a: len(a) == 3)) == 3

    play(scenario, state_file=tmp_path / "absent" / "alerts.json")
