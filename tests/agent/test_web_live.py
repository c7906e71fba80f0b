"""Live updates: what changed is sent, once a tick, to a bounded number of readers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.types import Message

from agent.snapshot import Snapshot
from agent.web.page import live, routes
from agent.web.page.document import PARTS
from agent.web.page.live import Live
from tests.agent import samples
from tests.agent.asgi import get, request_scope
from tests.agent.samples import NOW, SNAPSHOTS

TICK = 0.001


class Source:
    """A snapshot and a clock that the test changes; counts how often it is asked."""

    def __init__(self) -> None:
        self.snapshot = samples.HEALTHY
        self.now = NOW
        self.asked = 0

    def get(self) -> Snapshot:
        """Return the present snapshot."""
        self.asked += 1
        return self.snapshot

    def wall(self) -> float:
        """Return the present time."""
        return self.now


async def read(stream: AsyncIterator[bytes]) -> dict[str, Any]:
    """Return the next message."""
    data = await anext(stream)
    assert data.startswith(b"data: ")
    assert data.endswith(b"\n\n")
    assert data.count(b"\n") == 2
    return dict(msgspec.json.decode(data[6:]))


def test_first_everything_then_what_changed() -> None:
    """The first message holds the whole page, later ones only what differs."""

    async def scenario() -> None:
        source = Source()
        stream = Live(source.get, source.wall, page="v1", tick_seconds=TICK).messages("en")
        first = await read(stream)
        assert set(first["parts"]) == set(PARTS)
        assert first["page"] == "v1"
        assert "15:03:05" in first["at"]
        source.now += 0.1
        assert (await read(stream))["parts"] == {}
        source.snapshot = SNAPSHOTS["carrier"]
        source.now += 0.1
        changed = (await read(stream))["parts"]
        assert {"headline", "incidents", "chain", "services"} <= set(changed)
        assert "banners" not in changed
        await stream.aclose()

    asyncio.run(scenario())


def test_the_table_of_measurements_is_sent_every_third_tick() -> None:
    """Its times change all the time; three seconds are soon enough for eyes."""

    async def scenario() -> list[int]:
        source = Source()
        stream = Live(source.get, source.wall, page="v1", tick_seconds=TICK).messages("en")
        ticks = []
        for tick in range(7):
            probes = {k: msgspec.structs.replace(v, time=NOW + tick) for k, v in samples.PASSING.items()}
            source.snapshot = msgspec.structs.replace(samples.HEALTHY, probes=probes)
            source.now += 1
            if "probes" in (await read(stream))["parts"]:
                ticks.append(tick)
        await stream.aclose()
        return ticks

    assert asyncio.run(scenario()) == [0, 3, 6]


def test_all_readers_share_one_rendering() -> None:
    """Ten readers in the same moment cost one snapshot and one rendering; a clock set back freezes nothing."""

    async def scenario() -> None:
        source = Source()
        shared = Live(source.get, source.wall, page="v1", tick_seconds=1.0)
        streams = [shared.messages("en") for _ in range(10)]
        await asyncio.gather(*(read(s) for s in streams))
        assert source.asked == 1
        assert shared.readers == 10
        source.now -= 3600
        streams.append(shared.messages("en"))
        await read(streams[-1])
        assert source.asked == 2
        for stream in streams:
            await stream.aclose()
        assert shared.readers == 0

    asyncio.run(scenario())


def test_a_dear_picture_is_rendered_less_often() -> None:
    """Rendering that takes 0.2 s is done every two seconds, not at every tick."""

    class Slow(Source):
        def get(self) -> Snapshot:
            self.now += 0.2
            return super().get()

    async def scenario() -> None:
        source = Slow()
        stream = Live(source.get, source.wall, page="v1", tick_seconds=TICK).messages("en")
        await read(stream)
        source.now += 1.5
        await read(stream)
        assert source.asked == 1
        source.now += 0.6
        await read(stream)
        assert source.asked == 2
        await stream.aclose()

    asyncio.run(scenario())


def test_too_many_readers() -> None:
    """Beyond the bound a reader is sent away and its page reloads instead."""

    async def scenario() -> None:
        source = Source()
        full = Live(source.get, source.wall, page="v1", tick_seconds=1.0)
        streams = [full.messages("en") for _ in range(live.READERS)]
        for stream in streams:
            assert not full.full
            await read(stream)
        assert full.full
        for stream in streams:
            await stream.aclose()

    asyncio.run(scenario())


def test_there_is_no_event_stream_without_a_page() -> None:
    """The page names the stream in its own language."""
    page = get(routes(lambda: samples.HEALTHY, lambda: NOW), "/?lang=nl")
    assert 'data-live="/events?lang=nl"' in page.text


async def stream_of(app: Starlette, messages: int) -> list[Message]:
    """GET /events and hang up after so many messages; return what was sent."""
    sent: list[Message] = []
    enough = asyncio.Event()
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await enough.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) > messages or message.get("more_body") is False:
            enough.set()

    async with asyncio.timeout(10):
        await app(request_scope("/events?lang=nl", {}), receive, send)
    return sent


def test_the_event_stream_ends_with_its_reader() -> None:
    """The stream is server-sent events, unbuffered, in the language asked for; a hang-up ends it."""
    source = Source()
    app = Starlette(routes=list(routes(source.get, source.wall, tick_seconds=TICK)))
    sent = asyncio.run(stream_of(app, 2))
    headers = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["cache-control"] == "no-store"
    assert headers["x-accel-buffering"] == "no"
    assert "De hele keten werkt" in sent[1]["body"].decode()


def test_one_reader_too_many_is_told_to_come_back() -> None:
    """The 65th reader gets 503 with a time to come back."""

    async def scenario() -> list[Message]:
        source = Source()
        app = Starlette(routes=list(routes(source.get, source.wall, tick_seconds=5.0)))
        readers = [asyncio.create_task(stream_of(app, 10**9)) for _ in range(live.READERS)]
        await asyncio.sleep(0.5)
        refused = await stream_of(app, 1)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        return refused

    refused = asyncio.run(scenario())
    assert refused[0]["status"] == 503
    assert (b"retry-after", b"10") in refused[0]["headers"]
