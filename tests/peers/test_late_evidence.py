"""A peer that the outage cut off is asked afterwards what it measured: within 72 hours that finds, later it objects."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.config import load_chain
from agent.daemon.late import LateDuty
from agent.daemon.recording import Recorder
from agent.daemon.second_look import SecondLook
from agent.incident.value import Event, Incident, State, Transition
from agent.ledger import DATABASE
from agent.ledger.body import Reattribution, nanoseconds
from agent.ledger.cases import read_recorded
from agent.ledger.check import check
from agent.ledger.dossier import Evidence, Objection
from agent.ledger.entry import Entry
from agent.ledger.evidence import packed
from agent.model import Chain, Peer
from agent.observation import Observation, encode
from agent.replay import read, replay
from probes.kit.result import Outcome
from tests.agent.ledger.logs import PeerLog

pytestmark = pytest.mark.peer
REPLAYS = Path(__file__).parents[1] / "data" / "replays"
HOUR = 3600.0


class Log:
    """An operational log that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def info(self, event: str, **fields: Any) -> None:
        """Keep one line."""
        self.told.append({"event": event, **fields})

    warning = error = info


class Answers(http.server.BaseHTTPRequestHandler):
    """The peer's web side: whatever is asked, what its server has to say."""

    def do_GET(self) -> None:
        """Answer."""
        status, text = self.server.answer  # type: ignore[attr-defined]  # set by `answering`
        self.server.asked.append(self.path)  # type: ignore[attr-defined]  # likewise
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Case:
    """The cloud's agent after a carrier's outage in which it heard nothing of the other side."""

    def __init__(self, folder: Path) -> None:
        self.peer = PeerLog(folder)
        known = load_chain(REPLAYS / "chain.yml")
        side = msgspec.structs.replace(known.vantages["onprem"], key=str(self.peer.key))
        self.chain: Chain = msgspec.structs.replace(known, vantages={**known.vantages, "onprem": side})
        self.results = read((REPLAYS / "carrier-core-dead.jsonl").read_bytes().split(b"\n"))
        (first,) = replay(known, [one for one in self.results if one.vantage == "cloud"])
        assert first.party is None
        self.end = self.results[-1].time
        self.incident: Incident = msgspec.structs.replace(first, state=State.CLOSED, closed=self.end)
        self.recorder = Recorder(folder, self.chain, "cloud", stopped=pytest.fail, refused=pytest.fail)
        self.ledger = folder / DATABASE
        self.recorder.transition(Transition(event=Event.CLOSED, at=self.end, incident=self.incident), b"state")
        self.log = Log()
        mine = [one for one in self.results if one.vantage == "cloud"]
        entry, details = self.evidence(mine, "cloud", self.incident.id)
        self.recorder.enter(entry, details).result(10.0)

    def evidence(self, results: list[Observation], vantage: str, incident: str) -> tuple[Entry, dict[str, bytes]]:
        """Return the entry that an agent makes of results."""
        lines = [(one.key, encode(one)) for one in results]
        window = (nanoseconds(self.incident.opened - 600), nanoseconds(self.end + 600))
        entry = Evidence(
            time=nanoseconds(self.end + 610),
            incident=incident,
            chain=self.chain.hash,
            vantage=vantage,
            part="end",
            windows=(window,),
            observations=len(lines),
        )
        return entry, {"observations": packed(lines, sorted({key for key, _ in lines})).data}

    def duty(self, url: str) -> LateDuty:
        """Return the duty of an agent that just started."""
        signer = self.recorder.signer
        assert signer is not None
        return LateDuty(
            ledger=self.ledger,
            enter=self.recorder.enter,
            chain=lambda: self.chain,
            peers=lambda: (Peer(vantage="onprem", url=url),),
            vantage="cloud",
            key=signer.verifier,
            look=SecondLook(ledger=self.ledger, enter=self.recorder.enter, chain=lambda: self.chain, vantage="cloud"),
            log=self.log,
        )

    def told(self, kind: str) -> list[Entry]:
        """Return the entries of a kind."""
        return [one.entry for one in read_recorded(self.ledger, (kind,))]


@contextmanager
def answering(status: int, text: bytes) -> Iterator[tuple[str, list[str]]]:
    """Answer every question on loopback with one text; yield the address and the questions."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.answer, server.asked = (status, text), []  # type: ignore[attr-defined]  # read by `Answers`
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.asked  # type: ignore[attr-defined]  # as above
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def case(folder: Path) -> Iterator[Case]:
    """Yield a case; in the end its ledger is whole."""
    one = Case(folder)
    yield one
    assert one.recorder.stop(one.end, "test", within_seconds=10.0)
    assert check(folder / DATABASE).ok


@pytest.mark.parametrize(("hours", "kind"), [(71, "reattribution"), (73, "objection")])
def test_within_72_hours_it_finds_and_later_it_objects(tmp_path: Path, hours: float, kind: str) -> None:
    """Under our own cosignature the results of the cut-off side prove the carrier; after the term people decide."""
    with case(tmp_path) as one:
        theirs = [result for result in one.results if result.vantage == "onprem"]
        one.peer.enter([one.evidence(theirs, "onprem", "their-name-for-it")])
        signer = one.recorder.signer
        assert signer is not None
        one.peer.cosign(int(one.end + hours * HOUR), signer)
        with answering(200, one.peer.proof()) as (url, asked):
            duty = one.duty(url)
            now = one.end + (hours + 0.5) * HOUR
            assert duty.due(now)
            duty.do(now)
            duty.do(now + 1)
            assert len(asked) == 1
            one.duty(url).do(now + 2)
        (late,) = [entry for entry in one.told("evidence") if isinstance(entry, Evidence) and entry.log]
        assert (late.part, late.log, late.observations) == ("late", "demarc/onprem", len(theirs))
        (entry,) = [*one.told("reattribution"), *one.told("objection")]
        if isinstance(entry, Reattribution):
            assert (kind, entry.incident.parties, len(entry.evidence)) == ("reattribution", ("carrier",), 2)
        else:
            assert isinstance(entry, Objection)
            assert (kind, entry.party) == ("objection", "incumbent")
            assert "attributed: carrier" in entry.text


REFUSED: dict[str, tuple[int, bytes, str]] = {
    "an older agent": (404, b"Not Found", "HTTP status 404"),
    "a liar": (200, b"{}", "its proof is not good"),
}


@pytest.mark.parametrize(("status", "text", "why"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_proof_changes_nothing_and_is_asked_again(
    tmp_path: Path, status: int, text: bytes, why: str
) -> None:
    """The log says why, once; the next turn asks again."""
    with case(tmp_path) as one, answering(status, text) as (url, asked):
        duty = one.duty(url)
        duty.do(one.end + HOUR)
        duty.do(one.end + 2 * HOUR)
        assert len(asked) == 2
        assert [why in line["problem"] for line in one.log.told] == [True]
        assert len(one.told("evidence")) == 1


def test_a_peer_that_changes_its_story_is_not_believed(tmp_path: Path) -> None:
    """What it told while it was heard and what its ledger says differ: nothing is taken, and the log says why, once."""
    with case(tmp_path) as one:
        theirs = [result for result in one.results if result.vantage == "onprem"]
        told = [msgspec.structs.replace(result, outcome=Outcome.UNKNOWN, stage=None) for result in theirs[-9:]]
        entry, details = one.evidence(told, "cloud", one.incident.id)
        one.recorder.enter(entry, details).result(10.0)
        one.peer.enter([one.evidence(theirs, "onprem", "theirs")])
        assert one.recorder.signer is not None
        one.peer.cosign(int(one.end + 650), one.recorder.signer)
        with answering(200, one.peer.proof()) as (url, asked):
            duty = one.duty(url)
            duty.do(one.end + HOUR)
            duty.do(one.end + 2 * HOUR)
            assert len(asked) == 2
        assert [line["problem"].partition(" of")[0] for line in one.log.told] == ["its ledger tells otherwise"]
        assert len(one.told("evidence")) == 2


def test_a_peer_that_cannot_be_checked_is_not_asked(tmp_path: Path) -> None:
    """Its clock is off by more than the guard band, it has no key, or it is not yet time."""
    with case(tmp_path) as one, answering(200, b"") as (url, asked):
        one.duty(url).do(one.end + 60)
        one.recorder.clock("onprem", 9.0, 0.1, one.end + 60)
        one.recorder.ledger.run(lambda storage: storage.size).result(10.0)
        one.duty(url).do(one.end + HOUR)
        side = msgspec.structs.replace(one.chain.vantages["onprem"], key="")
        one.chain = msgspec.structs.replace(one.chain, vantages={**one.chain.vantages, "onprem": side})
        one.duty(url).do(one.end + HOUR)
        assert asked == []
