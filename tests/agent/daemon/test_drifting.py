"""Facts from attempts to ledger, log, picture and the file that outlives a restart."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.daemon.drifting import FILE_NAME, REST_SECONDS, SOON_SECONDS, Drifting
from agent.daemon.picture import Picture
from agent.drift.book import chain_change
from agent.drift.value import Approve, Change, Event, SignedApproval, Standing
from agent.model import Chain
from probes.kit.result import Stage, failed, ok, unknown
from tests.agent.daemon.world import FakeLog, VirtualClock, World, make_chain, make_probe
from tests.agent.ledger.people import PEOPLED, SIGNATORIES

ERP = make_probe("erp", "host gw app")
CHAIN = make_chain(ERP)
PEOPLE = msgspec.structs.replace(CHAIN, parties=CHAIN.parties | {"carrier": PEOPLED.parties["carrier"]})
OLD, NEW = {"certificate sha256": "aa"}, {"certificate sha256": "bb"}


class FakeRecord:
    """Collects what would be in the ledger."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.approvals: list[dict[str, Any]] = []

    def drift(self, change: Change, now: float) -> None:
        """Record a change."""
        self.changes.append(change)

    def drift_approved(self, wanted: Approve, now: float, **fields: Any) -> None:
        """Record an approval."""
        self.approvals.append({"wanted": wanted, **fields})


class Desk:
    """One start of the shell in a data directory."""

    def __init__(self, folder: Path, chain: Chain = CHAIN) -> None:
        self.clock = VirtualClock()
        self.log, self.record = FakeLog(), FakeRecord()
        self.picture = Picture(chain, "cloud", 0.0)
        self.drifting = Drifting(
            folder,
            clock=self.clock,
            log=self.log,
            spawn=lambda one: asyncio.get_running_loop().create_task(one),
            record=self.record,
            picture=self.picture,
        )
        self.drifting.configure(chain, "cloud")

    def looks(self, *looks: Mapping[str, str], begin: float = 0.0) -> None:
        """Take looks a minute apart, and a round after them."""
        for number, facts in enumerate(looks):
            self.drifting.look(ERP, facts, begin + 60.0 * number)
        self.drifting._show()

    @property
    def standings(self) -> list[tuple[str, Standing]]:
        """Return what the picture shows."""
        return [(f.value, f.standing) for one in self.picture.drift.fingerprints for f in one.facts]


def test_a_change_reaches_ledger_log_and_picture(tmp_path: Path) -> None:
    """With before and after, once each."""
    desk = Desk(tmp_path)
    desk.looks(OLD, OLD, NEW, NEW, NEW)
    assert [one.event for one in desk.record.changes] == [Event.SEEN, Event.CHANGED]
    assert desk.standings == [("bb", Standing.UNAPPROVED)]
    assert desk.log.events() == ["drift-seen", "drift-changed"]
    level, _, fields = desk.log.lines[1]
    assert level == "warning"
    assert fields["facts"] == {"certificate sha256": {"before": "aa", "after": "bb"}}


def test_an_approval_is_entered_and_shown_at_once(tmp_path: Path) -> None:
    """The person is a detail of the entry; the log has the party only."""
    desk = Desk(tmp_path)
    desk.looks(OLD, OLD)
    desk.drifting.approve(Approve(probe="erp", facts=OLD, party="msp", reason="CHG-7"), "j.jansen")
    assert desk.standings == [("aa", Standing.APPROVED)]
    assert desk.record.approvals[0]["details"] == {"person": b"j.jansen"}
    assert desk.record.approvals[0]["role"] == ""
    assert "jansen" not in repr(desk.log.lines)


REFUSED: dict[str, tuple[Approve, str]] = {
    "no such party": (Approve(probe="erp", facts=OLD, party="nobody"), "no party of the chain; write one of msp"),
    "another value": (Approve(probe="erp", facts=NEW, party="msp"), "look again"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_approval_is_no_entry(case: str, tmp_path: Path) -> None:
    """It says why, and nothing else happens."""
    wanted, why = REFUSED[case]
    desk = Desk(tmp_path)
    desk.looks(OLD, OLD)
    with pytest.raises(ValueError, match=why):
        desk.drifting.approve(wanted, "x")
    assert not desk.record.approvals


SIGNED = Approve(probe="erp", facts=OLD, party="carrier", vantage="cloud")


def signed(wanted: Approve = SIGNED, by: str = "carrier", text: str = "") -> SignedApproval:
    """Return an approval that the boss of a party signed; `text` is what is handed in instead."""
    file = msgspec.json.encode(wanted)
    return SignedApproval(proposal=text or file.decode(), person="boss", signature=SIGNATORIES[by].sign(file))


def test_a_signed_approval_says_the_role(tmp_path: Path) -> None:
    """Checked against the key in the chain file; file and signature are kept as details, and it outlives a restart."""
    desk = Desk(tmp_path, PEOPLE)
    desk.looks(OLD, OLD)
    handed = signed()
    desk.drifting.approve_signed(handed)
    (entered,) = desk.record.approvals
    assert (entered["wanted"], entered["role"]) == (SIGNED, "contract manager")
    assert entered["details"] == {
        "person": b"J. carrier",
        "proposal": handed.proposal.encode(),
        "approval-1": handed.signature.encode(),
    }
    desk.drifting.save()
    again = Desk(tmp_path, PEOPLE)
    again.drifting._show()
    (fact,) = again.picture.drift.fingerprints[0].facts
    assert (fact.standing, fact.approved_by, fact.signed) == (Standing.APPROVED, "carrier", True)


NOT_SIGNED: dict[str, tuple[SignedApproval, str]] = {
    "another's key": (signed(by="msp"), "boss of carrier"),
    "another text": (signed(text=msgspec.json.encode(SIGNED).decode() + " "), "boss of carrier"),
    "of another vantage": (signed(msgspec.structs.replace(SIGNED, vantage="onprem")), "for the vantage 'onprem'"),
    "of no vantage": (signed(msgspec.structs.replace(SIGNED, vantage="")), "for the vantage ''"),
    "no approval": (signed(text="{}"), "is no approval"),
    "a party without people": (signed(msgspec.structs.replace(SIGNED, party="msp")), "no key of boss"),
    "another value": (signed(msgspec.structs.replace(SIGNED, facts=NEW)), "look again"),
}


@pytest.mark.parametrize("case", NOT_SIGNED)
def test_what_is_not_rightly_signed_is_no_approval(case: str, tmp_path: Path) -> None:
    """It says why, and nothing is entered."""
    handed, why = NOT_SIGNED[case]
    desk = Desk(tmp_path, PEOPLE)
    desk.looks(OLD, OLD)
    with pytest.raises(ValueError, match=why):
        desk.drifting.approve_signed(handed)
    assert not desk.record.approvals


def test_a_restart_goes_on(tmp_path: Path) -> None:
    """Approvals and values stay; what changed in between is a change, not a first sight."""
    first = Desk(tmp_path)
    first.looks(OLD, OLD)
    first.drifting.approve(Approve(probe="erp", facts=OLD, party="msp"), "")
    first.drifting.save()
    second = Desk(tmp_path)
    second.looks(NEW, NEW, begin=5000.0)
    (change,) = second.record.changes
    assert (change.event, change.not_before, change.at) == (Event.CHANGED, 60.0, 5000.0)
    assert second.standings == [("bb", Standing.DRIFTED)]


DAMAGED = {"not JSON": b"\x00", "other types": b'{"probes": 5}', "cut": b'{"probes": {"erp"'}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_approves_nothing(case: str, tmp_path: Path) -> None:
    """It is said, and what is seen is not approved."""
    (tmp_path / FILE_NAME).write_bytes(DAMAGED[case])
    desk = Desk(tmp_path)
    desk.looks(OLD, OLD)
    assert desk.log.events()[0] == "drift-state-unreadable"
    assert desk.standings == [("aa", Standing.UNAPPROVED)]


def test_another_chain_file_is_a_change(tmp_path: Path) -> None:
    """By a reload or over a restart; the same one is none."""
    desk = Desk(tmp_path)
    desk.drifting.configure(CHAIN, "cloud")
    assert not desk.record.changes
    desk.drifting.configure(make_chain(ERP, chain_hash="2"), "cloud")
    desk.drifting.save()
    again = Desk(tmp_path, make_chain(ERP, chain_hash="3"))
    assert [one.moves["chain file"].after for one in (*desk.record.changes, *again.record.changes)] == ["2", "3"]


def test_it_is_saved_soon_after_a_change_and_now_and_then(tmp_path: Path) -> None:
    """Off the loop, not more often than needed."""
    desk = Desk(tmp_path)
    saved: list[bool] = []

    async def a_round(seconds: float) -> None:
        (tmp_path / FILE_NAME).unlink(missing_ok=True)
        desk.clock.now += seconds
        desk.drifting.each_round()
        if desk.drifting._writing is not None:
            await desk.drifting._writing
        saved.append((tmp_path / FILE_NAME).exists())

    async def scene() -> None:
        desk.looks(OLD, OLD)
        await a_round(SOON_SECONDS - 0.1)
        await a_round(0.2)
        await a_round(SOON_SECONDS + 1)
        await a_round(REST_SECONDS)

    asyncio.run(scene())
    assert saved == [False, True, False, True]


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    """A state that cannot be written costs nothing else."""
    desk = Desk(tmp_path)
    (tmp_path / "drift.new").mkdir()
    desk.drifting.save()
    assert desk.log.events() == ["drift-state-not-saved"]


def test_what_is_older_is_not_written_over_what_is_newer(tmp_path: Path) -> None:
    """A thread that comes late, after the stop has saved, writes nothing."""
    desk = Desk(tmp_path)
    desk.drifting.save()
    before = (tmp_path / FILE_NAME).read_bytes()
    desk.looks(OLD, OLD)
    desk.drifting._write(desk.drifting._book.save(), 1)
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_a_bug_is_logged_once_and_hurts_no_round(tmp_path: Path) -> None:
    """Whatever goes wrong in here, the round goes on."""
    desk = Desk(tmp_path)
    desk.looks(OLD, OLD)
    desk.drifting._book._watched["erp"].known["gone"] = "x"
    desk.clock.now += REST_SECONDS
    for _ in range(2):
        desk.drifting.each_round()
    assert desk.log.events().count("drift-failed") == 1


def test_a_peer_speaks_for_its_own_vantage_only(tmp_path: Path) -> None:
    """Its changes stand among ours as long as its vantage is in the chain."""
    desk = Desk(tmp_path)
    theirs = [chain_change("1", "2", vantage=name, at=5.0) for name in ("onprem", "cloud")]
    desk.drifting.others("onprem", theirs)
    desk.drifting._show()
    assert [one.vantage for one in desk.picture.drift.changes] == ["onprem"]
    alone = msgspec.structs.replace(CHAIN, vantages={"cloud": CHAIN.vantages["cloud"]})
    desk.drifting.configure(alone, "cloud")
    desk.drifting._show()
    assert not desk.picture.drift.changes


def test_what_could_not_look_tells_no_fact() -> None:
    """Facts of an attempt that failed count, those of one that could not look do not."""
    told: list[tuple[str, dict[str, str]]] = []
    world = World(make_probe("erp"), make_probe("hr"), make_probe("gw"))
    world.facts = lambda probe, facts, at: told.append((probe.id, dict(facts)))
    world.runner.answers["erp"] = failed(Stage.SECURE, "certificate-untrusted", facts=OLD)
    world.runner.answers["hr"] = unknown("netlink-error", facts=NEW)
    world.runner.answers["gw"] = ok(0.1, facts={})
    world.wait(1.5)
    assert told
    assert {name for name, _ in told} == {"erp"}
    assert told[0][1] == OLD


def test_a_host_in_trouble_tells_no_fact() -> None:
    """While the agent itself cannot measure, what comes in is not believed."""
    told: list[str] = []
    world = World(make_probe("erp"))
    world.facts = lambda probe, facts, at: told.append(probe.id)
    world.runner.answers["erp"] = ok(0.1, facts=OLD)
    world.reader.trouble = {"links": ()}
    world.wait(2.5)
    assert not told
