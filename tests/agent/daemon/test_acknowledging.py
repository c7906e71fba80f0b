"""Taking note of an alert, asked of a server that answers as an Alertmanager."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from agent.alerts.silences import ALERTS
from agent.daemon.acknowledging import Acknowledging
from agent.daemon.recording import Recorder
from agent.ledger import DATABASE
from agent.ledger.cases import read_recorded
from agent.ledger.dossier import Acknowledgement
from tests.agent.alerts.test_silences import ALERT, SILENCE
from tests.agent.daemon.world import FakeLog, VirtualClock
from tests.agent.samples import CHAIN


class FakeAlertmanager:
    """Answers both questions; can be told to answer something else."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 200

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        target = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
        self.asked.append(target)
        body = msgspec.json.encode([ALERT if target.startswith("/api/v2/alerts") else SILENCE])
        writer.write(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%b" % (self.status, len(body), body))
        await writer.drain()
        writer.close()


def test_a_silence_is_recorded_once(tmp_path: Path) -> None:
    """Over two looks and a restart; who it was is a detail; an Alertmanager that fails is told once."""
    log, firing = FakeLog(), {("i1", "carrier")}

    async def scene() -> list[str]:
        fake = FakeAlertmanager()
        server = await asyncio.start_server(fake.answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for fails in (False, True):
            recorder = Recorder(tmp_path, CHAIN, "cloud", stopped=pytest.fail, refused=pytest.fail)
            looking = Acknowledging(
                ledger=tmp_path / DATABASE,
                enter=recorder.enter,
                vantage="cloud",
                clock=VirtualClock(),
                log=log,
                urls=lambda: (url,),
                firing=lambda: frozenset(firing),
            )
            await looking.look()
            fake.status = 503 if fails else 200
            await looking.look()
            await looking.look()
            assert recorder.stop(9.0, "test", within_seconds=10.0)
        server.close()
        return fake.asked

    assert asyncio.run(scene())[0] == ALERTS
    entries = [one.entry for one in read_recorded(tmp_path / DATABASE, ("acknowledgement",))]
    (entry,) = entries
    assert isinstance(entry, Acknowledgement)
    assert (entry.incident, entry.party, entry.via, list(entry.details)) == ("i1", "carrier", "silence", ["person"])
    assert [event for _, event, _ in log.lines] == ["silences-unknown"]


def test_what_no_longer_fires_is_not_recorded(tmp_path: Path) -> None:
    """It was handed over, or another agent pages it."""

    async def scene() -> None:
        fake = FakeAlertmanager()
        server = await asyncio.start_server(fake.answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        recorder = Recorder(tmp_path, CHAIN, "cloud", stopped=pytest.fail, refused=pytest.fail)
        await Acknowledging(
            ledger=tmp_path / DATABASE,
            enter=recorder.enter,
            vantage="cloud",
            clock=VirtualClock(),
            log=FakeLog(),
            urls=lambda: (url,),
            firing=lambda: frozenset([("i1", "msp")]),
        ).look()
        assert recorder.stop(9.0, "test", within_seconds=10.0)
        server.close()

    asyncio.run(scene())
    assert read_recorded(tmp_path / DATABASE, ("acknowledgement",)) == ()
