"""adsync over HTTP: an exporter's page as it comes, and exporters that are dead, slow, foreign or flooding."""

import asyncio
from collections.abc import Callable
from email.utils import formatdate

import pytest

from probes import adsync
from probes.kit.result import Outcome, Result
from tests.peers.probing import Handler, ask, serve
from tests.probes.adsync_pages import NOW, exposition

pytestmark = pytest.mark.peer


def page(text: str, *, date: float = NOW) -> Handler:
    """Return an exporter whose clock says `date`."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nDate: {formatdate(date, usegmt=True)}\r\nContent-Type: text/plain\r\n"
        writer.write(f"{head}Content-Length: {len(text)}\r\n\r\n{text}".encode())
        await writer.drain()

    return handle


def scraped(handler: Handler, *, within: float = 3.0) -> Result:
    """Return the result of one attempt at an exporter."""

    async def scenario() -> Result:
        async with serve(handler) as port:
            return await ask(adsync, adsync.Settings(target=f"http://127.0.0.1:{port}/metrics"), within=within)

    return asyncio.run(scenario())


def test_a_server_in_order() -> None:
    """Ages are counted by the server's own clock, so that ours cannot make it stale."""
    result = scraped(page("# HELP up x\n" + exposition({})))

    assert result.outcome is Outcome.OK, result
    assert result.values["adsync_run_age_seconds"] == 300.0
    assert set(result.phases) == {"connect", "first_byte", "transfer"}
    assert result.facts is not None
    assert result.facts["version"] == "2.5.190.0"


def test_a_large_page_is_parsed_beside_the_loop() -> None:
    """Many runs, as of a server with many connectors."""
    more = {
        f'adsync_last_run_end_timestamp_seconds{{connector="c{n}",profile="Import",result="success"}}': NOW
        for n in range(400)
    }
    assert scraped(page(exposition(more))).outcome is Outcome.OK


async def _silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


def _flood() -> str:
    line = 'adsync_last_run_end_timestamp_seconds{connector="%06d",profile="x",result="success"} 1\n'
    return exposition({}) + "".join(line % n for n in range(4000))


BLIND: dict[str, tuple[Callable[[], Handler], str]] = {
    "silent": (lambda: _silent, "exporter-unreachable"),
    "no exposition": (lambda: page("<html>sign in</html>"), "malformed"),
    "not our collector": (lambda: page("up 1\n"), "collector-missing"),
    "a flood": (lambda: page(_flood()), "malformed"),
    "long dead": (lambda: page(exposition({}), date=NOW + 86400), "collector-stale"),
}


@pytest.mark.parametrize("name", BLIND)
def test_whoever_cannot_look_says_so(name: str) -> None:
    """Nothing of it says that the server is ill."""
    make, fault = BLIND[name]

    result = scraped(make(), within=0.5 if name == "silent" else 5.0)

    assert (result.outcome, result.fault) == (Outcome.UNKNOWN, fault), result
