"""Reading drift from the API and approving over the unix socket; the same by command."""

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from starlette.applications import Starlette
from starlette.types import Message

from agent.cli import drift, incidents
from agent.drift.value import Approve, Fingerprint, SignedApproval
from agent.keys import Signer
from agent.seal import Voice, answer_of, signed_by
from agent.snapshot import Snapshot
from agent.web import approving
from agent.web.answers import ChangeAnswer, IncidentAnswer, incident_answers
from agent.web.api import routes
from agent.web.server import serve
from tests.agent.asgi import get, request_scope
from tests.agent.samples import SNAPSHOTS

SIGNER = Signer(name="demarc/cloud", seed=bytes(32))
SAMPLE = SNAPSHOTS["drift"]
WANTED = Approve(probe="erp", facts={"certificate sha256": "cd" * 32}, party="incumbent", reason="CHG-7")


def reading(snapshot: Snapshot = SAMPLE) -> Any:
    """Return the API's routes over a sample."""
    return routes(lambda: snapshot, lambda _: (), lambda: Voice(vantage="cloud", chain="", time=0.0, signer=SIGNER))


class Desk:
    """Takes approvals, or refuses them with `why_not`."""

    def __init__(self, why_not: str = "") -> None:
        self.why_not = why_not
        self.entered: list[tuple[Approve, str]] = []
        self.signed: list[SignedApproval] = []

    def approve(self, wanted: Approve, person: str) -> None:
        """Take one."""
        if self.why_not:
            raise ValueError(self.why_not)
        self.entered.append((wanted, person))

    def approve_signed(self, handed: SignedApproval) -> None:
        """Take a signed one."""
        self.signed.append(handed)


def test_fingerprints_and_changes_are_read() -> None:
    """Both decode into the types that the command line uses."""
    body = get(reading(), "/api/v1/drift").body
    assert tuple(msgspec.json.decode(body, type=list[Fingerprint])) == SAMPLE.drift.fingerprints
    told = msgspec.json.decode(get(reading(), "/api/v1/changes?lang=nl").body, type=list[ChangeAnswer])
    assert [one.at for one in told] == [one.at for one in SAMPLE.drift.changes]
    assert "van 14400 naar 3600" in told[0].text


def test_a_peer_gets_this_agents_own_changes_signed() -> None:
    """For its nonce; the changes of others are not passed on."""
    nonce = "ab" * 16
    reply = get(reading(), f"/api/v1/changes?nonce={nonce}")
    told = msgspec.json.decode(reply.body, type=list[ChangeAnswer])
    assert {one.vantage for one in told} == {"cloud"}
    answer = answer_of(reply.headers, reply.body, nonce=nonce, since_round=-1)
    assert answer is not None
    assert signed_by(SIGNER.verifier, answer, reply.headers["demarc-signature"])
    assert get(reading(), "/api/v1/changes?nonce=short").status == 400


def posted(desk: Desk, body: bytes, **state: int) -> tuple[int, dict[str, Any]]:
    """POST an approval as a user of this host, or from the network without one."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {**request_scope("/api/v1/drift/approvals", {}), "method": "POST", "state": state}
    asyncio.run(Starlette(routes=approving.routes(desk))(scope, receive, send))
    return sent[0]["status"], msgspec.json.decode(b"".join(m.get("body", b"") for m in sent[1:]))


BODY = msgspec.json.encode(WANTED)
# body, user -> status, what the problem says
REFUSED: dict[str, tuple[bytes, dict[str, int], int, str]] = {
    "from the network": (BODY, {}, 403, "unix socket only"),
    "another user": (BODY, {"peer_uid": 4242}, 403, "Only root"),
    "not JSON": (b"\x00", {"peer_uid": os.getuid()}, 400, "its keys are probe, facts, party"),
    "something missing": (b'{"probe": "erp"}', {"peer_uid": os.getuid()}, 400, "facts"),
    "something more": (BODY[:-1] + b',"by":"x"}', {"peer_uid": os.getuid()}, 400, "unknown field `by`"),
    "too long": (b" " * 200_000, {"peer_uid": os.getuid()}, 413, "at most"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_who_may_not_approve_and_what(case: str) -> None:
    """Nobody on the network approves anything; what cannot be read says what to write."""
    body, user, status, why = REFUSED[case]
    desk = Desk()
    found, problem = posted(desk, body, **user)
    assert (found, desk.entered) == (status, [])
    assert why in problem["detail"]


def test_an_approval_that_the_book_refuses() -> None:
    """The reason reaches the person."""
    status, problem = posted(Desk("'x' is 'b' now; look again"), BODY, peer_uid=os.getuid())
    assert (status, problem["detail"]) == (422, "'x' is 'b' now; look again.")


def test_the_person_is_the_user_of_the_socket() -> None:
    """By name, or by number where the host knows no name."""
    desk = Desk()
    status, answer = posted(desk, BODY, peer_uid=os.getuid())
    assert (status, answer["probe"]) == (201, "erp")
    assert desk.entered == [(WANTED, approving.person(os.getuid()))]
    assert approving.person(3_999_999_999) == "3999999999"


def ran(
    folder: Path, *arguments: str, desk: Desk | None = None, snapshot: Snapshot = SAMPLE, typed: str = ""
) -> Result:
    """Run a command against an agent's socket."""
    app = Starlette(routes=[*approving.routes(desk or Desk()), *reading(snapshot)])
    place = folder / "demarc.sock"

    async def scene() -> Result:
        async with serve(app, "127.0.0.1:0", None, place):
            command = [*arguments, "--socket", str(place)]
            return await asyncio.to_thread(CliRunner().invoke, drift.command, command, typed)

    return asyncio.run(scene())


def test_show(tmp_path: Path) -> None:
    """Every fact with its standing, and what was approved where that is something else."""
    result = ran(tmp_path, "show")
    assert result.exit_code == 0, result.output
    assert "  site/net rekey seconds: 3600  [OTHER THAN APPROVED]\n      approved: 14400 (chain file)" in result.output
    assert "  site/net pfs group: -  [not seen yet]" in result.output


def test_show_what_is_open(tmp_path: Path) -> None:
    """Of one probe, without what is as approved."""
    result = ran(tmp_path, "show", "tunnel", "--open")
    assert "rekey seconds" in result.output
    assert "ike version" not in result.output
    assert "certificate" not in result.output


def test_show_for_programs(tmp_path: Path) -> None:
    """JSON that reads back."""
    found = msgspec.json.decode(ran(tmp_path, "show", "--format", "json").output, type=list[Fingerprint])
    assert tuple(found) == SAMPLE.drift.fingerprints
    assert "has told of a configuration yet" in ran(tmp_path, "show", snapshot=SNAPSHOTS["healthy"]).output


def test_changes(tmp_path: Path) -> None:
    """One line or two each, newest first; JSON for programs."""
    lines = ran(tmp_path, "changes").output
    assert lines.startswith("changed   2026-11-23T13:48:05Z")
    assert "the chain file from 111111111111…" in " ".join(lines.split())
    assert len(msgspec.json.decode(ran(tmp_path, "changes", "--format", "json").output)) == 4


def test_approve_asks_first(tmp_path: Path) -> None:
    """What is shown is what is approved; no is no."""
    desk = Desk()
    refused = ran(tmp_path, "approve", "erp", "--party", "incumbent", desk=desk, typed="n\n")
    assert refused.exit_code == 1
    assert not desk.entered
    done = ran(tmp_path, "approve", "erp", "--party", "incumbent", "--reason", "CHG-7", desk=desk, typed="y\n")
    assert done.output.endswith("approved: 2 facts of erp\n")
    assert desk.entered[0][0].facts == {
        "certificate expires": "2027-02-01T12:00:00Z",
        "certificate sha256": "cd" * 32,
    }


def test_approve_one_fact(tmp_path: Path) -> None:
    """Only what is named."""
    desk = Desk()
    words = ["approve", "erp", "--party", "incumbent", "--yes", "--reason", "CHG-7", "--fact", "certificate sha256"]
    ran(tmp_path, *words, desk=desk)
    assert [one for one, _ in desk.entered] == [WANTED]


def test_a_proposal_is_signed_elsewhere_and_entered(tmp_path: Path) -> None:
    """What is printed is what is signed: it names the vantage; file and signature go to the agent as they are."""
    desk = Desk()
    printed = ran(tmp_path, "propose", "erp", "--party", "incumbent", "--fact", "certificate sha256").output
    assert msgspec.json.decode(printed, type=Approve) == msgspec.structs.replace(WANTED, reason="", vantage="cloud")
    file = tmp_path / "approval.json"
    file.write_text(printed)
    lost = ran(tmp_path, "enter", str(file), "--person", "boss", desk=desk)
    assert (lost.exit_code, desk.signed) == (65, [])
    (tmp_path / "approval.json.sig").write_text("SIGNATURE")
    done = ran(tmp_path, "enter", str(file), "--person", "boss", desk=desk)
    assert done.output == "approved: approval.json, signed by boss\n"
    assert desk.signed == [SignedApproval(proposal=printed, person="boss", signature="SIGNATURE")]


# command -> exit code, what it says
WRONG: dict[str, tuple[list[str], int, str]] = {
    "no such probe": (["approve", "nope", "--party", "msp"], 65, "there are facts of: erp, tunnel"),
    "no such fact": (["approve", "erp", "--party", "msp", "--fact", "x"], 65, "there are: certificate expires"),
    "nothing left": (["approve", "tunnel", "--party", "msp"], 65, "nothing of tunnel is left to approve"),
    "refused": (["approve", "erp", "--party", "msp", "--yes"], 65, "look again"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_goes_wrong_is_said(case: str, tmp_path: Path) -> None:
    """With what to write instead."""
    arguments, code, text = WRONG[case]
    result = ran(tmp_path, *arguments, desk=Desk("look again"))
    assert result.exit_code == code, result.output
    assert text in result.output


def test_an_incident_in_the_terminal_has_its_last_change() -> None:
    """Below the sentences, with the words that it proves no cause; without changes there is no such line."""
    told = [
        incidents.told(msgspec.json.decode(msgspec.json.encode(one), type=IncidentAnswer), "en")
        for sample in (SAMPLE, SNAPSHOTS["vpn"])
        for one in incident_answers(sample.incidents, sample, "en")
    ]
    assert "last change: 14:48:05 CET, “tunnel” from cloud" in told[0]
    assert "A change is no proof of a cause." in told[0]
    assert "change" not in told[1]
