"""What people hand in, from the request to the ledger: who may, what is recorded, what is refused."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from starlette.applications import Starlette

from agent.cli.ledger_correct import correct, open_
from agent.daemon.entering import Entering
from agent.daemon.recording import Recorder
from agent.incident.value import Event, Transition
from agent.ledger import DATABASE, KEY, Ledger, body, correction, submission
from agent.ledger.cases import read_cases, read_recorded
from agent.ledger.check import check
from agent.ledger.dossier import Correction, Erased
from agent.ledger.epoch import renew
from agent.web.entering import MOST_BYTES, routes
from tests.agent.daemon.world import VirtualClock
from tests.agent.ledger.people import PEOPLED, SIGNATORIES
from tests.agent.ledger.test_announced import WINDOW
from tests.agent.ledger.test_correction import INCIDENT, PROPOSAL


class Desk:
    """An agent's ledger with one closed incident, and the way in."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / DATABASE
        self.refused: list[str] = []
        self.recorder = Recorder(folder, PEOPLED, "cloud", stopped=pytest.fail, refused=self.refused.append)
        self.recorder.transition(Transition(event=Event.CLOSED, at=2010.0, incident=INCIDENT), b"state")
        self.recorder.ledger.run(lambda storage: storage.size).result(10.0)
        self.entering = Entering(
            ledger=self.file, enter=self.recorder.enter, chain=lambda: PEOPLED, vantage="cloud", clock=VirtualClock()
        )
        self.app = Starlette(routes=routes(self.entering.submit))

    def post(self, data: bytes, uid: int | None = 0) -> tuple[int, dict[str, Any]]:
        """Hand something in as a user of this host (None: over the network); return status and answer."""
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": data, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/api/v1/ledger/entries",
            "query_string": b"",
            "headers": [],
            "state": {} if uid is None else {"peer_uid": uid},
        }
        asyncio.run(self.app(scope, receive, send))
        return sent[0]["status"], json.loads(b"".join(one.get("body", b"") for one in sent))

    def hand_in(self, handed: submission.AnySubmission) -> tuple[int, dict[str, Any]]:
        """Hand in as root."""
        return self.post(msgspec.json.encode(handed))

    def close(self) -> None:
        """Stop the ledger; it must be whole."""
        assert self.recorder.stop(9.0, "test", within_seconds=10.0)
        assert check(self.file).problems == ()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return a desk."""
    return Desk(tmp_path)


def test_a_dispute_from_hold_to_erasure(desk: Desk) -> None:
    """What is held is not erased; after the release it goes, its entry stays, and the ledger is whole."""
    hold = submission.Hold(party="client", person="J. Jansen", incident="i1", state="held", reason="disputed")
    status, receipt = desk.hand_in(hold)
    assert (status, receipt["index"]) == (201, 1)
    assert read_cases(desk.file).held == {"i1"}
    erase = submission.Erase(party="client", details=(Erased(entry=1, name="person"),), reason="asked to")
    status, problem = desk.hand_in(erase)
    assert (status, problem["title"]) == (422, "Not recorded")
    assert "which is held: release it first" in problem["detail"]
    assert desk.hand_in(msgspec.structs.replace(hold, person="", state="released"))[0] == 201
    assert desk.hand_in(erase)[0] == 201
    assert read_cases(desk.file).details == {}
    desk.close()


def test_requests_and_objections_stay_open_until_they_end(desk: Desk) -> None:
    """Both are known by their names until then."""
    desk.hand_in(submission.Ask(party="client", to="carrier", what="explain", within=60.0, incident="i1"))
    desk.hand_in(submission.Object(party="carrier", incident="i1", text="not ours", within=60.0))
    cases = read_cases(desk.file, ("i1", "i9"))
    assert list(cases.incidents) == ["i1"]
    (request,), (objection,) = cases.requests, cases.objections
    assert desk.hand_in(submission.Answer(party="carrier", request=request, outcome="done"))[0] == 201
    assert desk.hand_in(submission.Decide(party="client", objection=objection, outcome="upheld"))[0] == 201
    cases = read_cases(desk.file)
    assert (cases.requests, cases.objections) == ({}, {})
    desk.close()


def test_a_signed_correction_is_an_entry_next_to_the_original(desk: Desk) -> None:
    """It names the entry that it corrects; a second one must be proposed of what stands."""
    desk.recorder.ledger.append("agent-stop", {"time": 1, "vantage": "cloud", "reason": "r"}).result(10.0)
    entry = read_cases(desk.file, ("i1",)).incidents["i1"].hash
    file = correction.write_proposal(msgspec.structs.replace(PROPOSAL, entry=entry))
    signatures = tuple(
        correction.Signature(party=party, person="boss", armored=SIGNATORIES[party].sign(file))
        for party in ("client", "carrier")
    )
    handed = submission.Correct(party="client", proposal=file.decode(), signatures=signatures)
    assert desk.hand_in(handed)[0] == 201
    (one,) = [one.entry for one in read_recorded(desk.file, ("correction",))]
    assert isinstance(one, Correction)
    assert (one.entry, one.standing, one.benefits) == (entry, "signed", ("carrier",))
    desk.close()


@pytest.mark.parametrize(
    ("uid", "data", "status", "said"),
    [
        (None, b"{}", 403, "over the agent's unix socket only"),
        (os.getuid() + 4711, b"{}", 403, "Only root and the agent's own user"),
        (0, b"{}", 422, "not a submission"),
        (os.getuid(), b"x" * (MOST_BYTES + 1), 413, "at most 100,000 bytes"),
    ],
)
def test_who_may_hand_in_what(desk: Desk, uid: int | None, data: bytes, status: int, said: str) -> None:
    """Nobody on the network, and on this host only root and the agent itself."""
    found, problem = desk.post(data, uid)
    assert found == status
    assert said in problem["detail"]
    desk.close()


def test_a_ledger_that_has_stopped_says_so(desk: Desk) -> None:
    """Nothing is acknowledged that is not on disk."""
    desk.close()
    status, problem = desk.hand_in(submission.Acknowledge(party="carrier", incident="i1"))
    assert (status, problem["title"]) == (503, "The ledger does not record")


def test_a_dispute_goes_on_in_the_next_epoch(desk: Desk) -> None:
    """What is held, asked and known of an incident does not end because the ledger is begun anew."""
    desk.hand_in(submission.Hold(party="client", incident="i1", state="held", reason="disputed"))
    desk.hand_in(submission.Object(party="carrier", incident="i1", text="no loss here", within=60.0))
    desk.recorder.enter(WINDOW).result(10)
    before = read_cases(desk.file, ("i1",))
    desk.close()
    renew(desk.file, desk.file.with_name(KEY), "demarc/cloud", vantage="cloud", reason="restored", now=9.0)
    after = read_cases(desk.file, ("i1",))
    assert (after.held, after.incidents) == (frozenset({"i1"}), before.incidents)
    assert list(after.objections) == list(before.objections)
    assert len(after.objections) == 1
    assert list(after.windows) == ["m1"]
    ledger = Ledger.open(desk.file, desk.file.with_name(KEY), "demarc/cloud", alarm=pytest.fail)
    ledger.append(*body.write(msgspec.structs.replace(WINDOW, time=30, state="withdrawn"))).result(10)
    assert ledger.close()
    assert read_cases(desk.file).windows == {}
    (desk.file.with_name("ledger-1.db")).write_bytes(b"gone")
    assert read_cases(desk.file, ("i1",)).held == frozenset()


def test_what_waits_is_listed_by_its_name(desk: Desk) -> None:
    """The answer gives the name that a reply must give, and the list gives it again."""
    desk.hand_in(submission.Hold(party="client", incident="i1", state="held", reason="disputed"))
    asked = submission.Ask(party="client", to="carrier", what="explain", within=60.0, incident="i1", text="why")
    status, receipt = desk.hand_in(asked)
    assert (status, receipt["id"][:2]) == (201, "r-")
    _, objected = desk.hand_in(submission.Object(party="carrier", incident="i1", text="no loss here", within=60.0))
    listed = CliRunner().invoke(open_, [str(desk.file)])
    assert listed.exit_code == 0
    assert [line.split("\t")[0] for line in listed.output.splitlines()] == ["i1", receipt["id"], objected["id"]]
    assert "client asks carrier: explain" in listed.output
    desk.hand_in(submission.Answer(party="carrier", request=receipt["id"], outcome="done"))
    assert receipt["id"] not in CliRunner().invoke(open_, [str(desk.file)]).output
    desk.close()


def test_a_file_that_is_no_proposal(tmp_path: Path) -> None:
    """It is said in one line, before anybody is asked."""
    (tmp_path / "p.json").write_bytes(b"\xff\xfe")
    told = CliRunner().invoke(correct, [str(tmp_path / "p.json"), "--party", "client"])
    assert (told.exit_code, "is not UTF-8 text" in told.output) == (1, True)
