"""What another agent's ledger says of an incident after it: taken as proof that we cosigned, and of its own word."""

import base64
import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent import keys
from agent.incident.value import Incident, Kind, State
from agent.ledger import body
from agent.ledger.cosignature import witness_of
from agent.ledger.dossier import Evidence, Hold
from agent.ledger.evidence import packed
from agent.ledger.late import TERM_SECONDS, LateEntry, in_time, late_evidence, objections, span, told_otherwise
from agent.ledger.proof import file_text, prove_incident
from agent.ledger.verifier.forms import one_form
from agent.observation import Observation, encode
from probes.kit.result import Outcome
from tests.agent.ledger.logs import WITNESS, PeerLog
from tests.agent.samples import CHAIN

OPENED = 1_795_442_400.0
INCIDENT = Incident(
    id="i1",
    state=State.CLOSED,
    kind=Kind.UNDETERMINED,
    candidates=("carrier", "msp"),
    mover="msp",
    opened=OPENED,
    confirmed=OPENED + 7,
    closed=OPENED + 100,
)
DUE = int(OPENED + 1000)


def seen(at: float, vantage: str = "onprem") -> tuple[str, bytes]:
    """Return a result as evidence holds it."""
    one = Observation(time=at, round=1, vantage=vantage, probe="o-underlay", outcome=Outcome.OK, seconds=0.01)
    return one.key, encode(one)


def evidence(**changes: Any) -> Evidence:
    """Return what the other agent recorded around the incident."""
    windows = ((body.nanoseconds(OPENED - 600), body.nanoseconds(OPENED + 700)),)
    fields: dict[str, Any] = {"windows": windows, "vantage": "onprem", "chain": CHAIN.hash} | changes
    return Evidence(time=body.nanoseconds(OPENED + 800), incident="theirs", part="end", observations=1, **fields)


def held(*lines: tuple[str, bytes]) -> dict[str, bytes]:
    """Return the detail with these results."""
    return {"observations": packed(lines, [key for key, _ in lines]).data}


def told(log: PeerLog, data: bytes | None = None) -> list[bytes]:
    """Return the lines that are taken."""
    found = late_evidence(
        log.proof() if data is None else data,
        log=log.key,
        witness=witness_of(WITNESS.verifier),
        vantage="onprem",
        chain=CHAIN.hash,
        incident=INCIDENT,
    )
    return [line for one in found for _, line in one.lines]


def test_what_it_measured_then_is_taken_with_the_time_of_our_cosignature(tmp_path: Path) -> None:
    """Its own results of the incident's time only: not ours in its file, none of another day or from outside."""
    log = PeerLog(tmp_path)
    mine = seen(OPENED + 10)
    before, ours, ahead = seen(OPENED - 601), seen(OPENED + 10, "cloud"), seen(OPENED + 750)
    log.enter([(evidence(), held(mine, before, ours, ahead))])
    log.cosign(DUE)
    log.cosign(DUE + 500)
    assert told(log) == [mine[1]]
    (one,) = late_evidence(
        log.proof(),
        log=log.key,
        witness=witness_of(WITNESS.verifier),
        vantage="onprem",
        chain=CHAIN.hash,
        incident=INCIDENT,
    )
    assert (one.log, one.cosigned, one.windows) == ("demarc/onprem", DUE * 10**9, evidence().windows)


def test_what_was_cosigned_first_counts(tmp_path: Path) -> None:
    """The log shows each entry under the first of our checkpoints that holds it, and nothing that we did not see."""
    log = PeerLog(tmp_path)
    log.enter([(evidence(), held(seen(OPENED + 1)))])
    log.cosign(DUE)
    log.enter([(evidence(), held(seen(OPENED + 2)))])
    log.cosign(DUE + 60)
    log.enter([(evidence(), held(seen(OPENED + 3)))])
    found = late_evidence(
        log.proof(),
        log=log.key,
        witness=witness_of(WITNESS.verifier),
        vantage="onprem",
        chain=CHAIN.hash,
        incident=INCIDENT,
    )
    assert [one.cosigned // 10**9 for one in found] == [DUE, DUE + 60]
    assert json.loads(log.proof(witness="demarc/somebody"))["entries"] == []
    assert json.loads(log.proof(until=body.nanoseconds(OPENED - 600)))["entries"] == []


OTHERS = {
    "of another vantage": evidence(vantage="cloud"),
    "under another chain": evidence(chain="0" * 64),
    "what it had from a third one": evidence(log="demarc/client", leaf="0" * 64, cosigned=1),
}


@pytest.mark.parametrize("entry", OTHERS.values(), ids=OTHERS)
def test_what_is_not_its_own_word_is_passed_over(tmp_path: Path, entry: Evidence) -> None:
    """It speaks for its own vantage, under the chain of the incident."""
    log = PeerLog(tmp_path)
    log.enter([(entry, held(seen(OPENED + 10)))])
    log.cosign(DUE)
    assert told(log) == []


def test_what_its_holder_erased_is_gone(tmp_path: Path) -> None:
    """The entry still proves that there was something."""
    log = PeerLog(tmp_path)
    log.enter([(evidence(), held(seen(OPENED + 10)))], erased=True)
    log.cosign(DUE)
    assert told(log) == []


def test_another_kind_of_entry_is_passed_over(tmp_path: Path) -> None:
    """A proof of anything else says nothing of results."""
    log = PeerLog(tmp_path)
    hold = Hold(time=1, incident="theirs", vantage="onprem", state="held", reason="", party="msp")
    log.enter([(hold, {}), (evidence(), held(seen(OPENED + 10)))])
    log.cosign(DUE)
    file = file_text(prove_incident(log.file, "theirs", disclose=True)).encode()
    assert len(json.loads(file)["entries"]) == 2
    assert told(log, file) == [seen(OPENED + 10)[1]]


def rewritten(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    """Return what alters the one entry of a proof file and makes its digest fit again."""

    def act(data: bytes) -> bytes:
        file = json.loads(data)
        change(file["entries"][0])
        file["digest"] = hashlib.sha256(one_form(file["entries"]).encode()).hexdigest()
        return f"{one_form(file, 1)}\n".encode()

    return act


def _other_results(entry: dict[str, Any]) -> None:
    entry["details"]["observations"]["data"] = base64.b64encode(gzip.compress(seen(OPENED)[1])).decode()


def _unsigned(entry: dict[str, Any]) -> None:
    head, _, note = entry["proof"].partition("\n\n")
    text, _, lines = note.partition("\n\n")
    own = next(line for line in lines.splitlines() if line.startswith("— demarc/onprem "))
    entry["proof"] = f"{head}\n\n{text}\n\n{own}\n"


LIES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "no proof": (lambda _: b"{}", "not good"),
    "other results": (rewritten(_other_results), "not good"),
    "another body": (rewritten(lambda entry: entry.update(body=entry["body"].replace("end", "eel"))), "not good"),
    "not cosigned": (rewritten(_unsigned), "not cosigned here"),
}


@pytest.mark.parametrize(("lie", "why"), LIES.values(), ids=LIES)
def test_a_lie_is_refused_as_a_whole(tmp_path: Path, lie: Callable[[bytes], bytes], why: str) -> None:
    """Whatever a file holds that is not what it should be, nothing of it counts."""
    log = PeerLog(tmp_path)
    log.enter([(evidence(), held(seen(OPENED + 10)))])
    log.cosign(DUE)
    with pytest.raises(keys.NoteError, match=why):
        told(log, lie(log.proof()))


STRANGE = {
    "no gzip": b"plain",
    "no results": gzip.compress(b"words\n", mtime=0),
    "a time without end": gzip.compress(seen(OPENED)[1].replace(b"1795442400.0", b"1e308") + b"\n", mtime=0),
}


@pytest.mark.parametrize("detail", STRANGE.values(), ids=STRANGE)
def test_what_holds_no_results_is_refused(tmp_path: Path, detail: bytes) -> None:
    """Signed nonsense is nonsense."""
    log = PeerLog(tmp_path)
    log.enter([(evidence(), {"observations": detail})])
    log.cosign(DUE)
    with pytest.raises(keys.NoteError, match="something else"):
        told(log)


def test_a_body_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """Its log may hold what it likes."""
    log = PeerLog(tmp_path)
    log.enter([(evidence(), {})])
    log.cosign(DUE)
    kind, fields = body.write(evidence())
    log.raw(kind, fields | {"observations": "many"})
    log.cosign(DUE + 1)
    with pytest.raises(keys.NoteError, match="cannot be read"):
        told(log)


def test_who_tells_otherwise_than_at_the_time_is_found_out() -> None:
    """The same attempt with another outcome; what was not heard at the time cannot differ."""
    at, more = seen(OPENED + 10), seen(OPENED + 11)
    told_late = LateEntry(log="demarc/onprem", leaf="ab" * 32, cosigned=1, windows=(), lines=(at, more))
    assert not told_otherwise(told_late, [at[1], seen(OPENED + 12)[1]])
    failed = Observation(time=OPENED + 10, round=1, vantage="onprem", probe="o-underlay", outcome=Outcome.FAILED)
    assert told_otherwise(told_late, [encode(failed)])


@pytest.mark.parametrize(("late", "expected"), [(TERM_SECONDS, True), (TERM_SECONDS + 1, False)])
def test_after_72_hours_it_is_an_objection(late: float, expected: bool) -> None:
    """Counted from the end to our cosignature; what is our own is never late."""
    came = evidence(log="demarc/onprem", leaf="ab" * 32, cosigned=body.nanoseconds(OPENED + 100 + late))
    assert in_time(came, INCIDENT) is expected
    assert in_time(evidence(), INCIDENT)
    assert in_time(came, msgspec.structs.replace(INCIDENT, closed=None)) is False
    assert span(msgspec.structs.replace(INCIDENT, closed=None))[1] == body.nanoseconds(OPENED + 600)


def test_an_objection_is_in_the_name_of_who_operates_the_vantage() -> None:
    """It says what all results together say, and is the same one however often it is looked at."""
    came = [evidence(log=f"demarc/onprem{more}", leaf="ab" * 32, cosigned=9) for more in ("", "/2")]
    second = msgspec.structs.replace(INCIDENT, kind=Kind.ATTRIBUTED, parties=("carrier",))
    (one,) = objections(second, came, CHAIN, vantage="cloud", now=5)
    assert (one.party, one.incident, one.due > 5) == (CHAIN.vantages["onprem"].operator, "i1", True)
    assert "attributed: carrier" in one.text
    assert "abababababab" in one.text
    assert objections(second, came, CHAIN, vantage="cloud", now=6)[0].id == one.id
    (open_still,) = objections(INCIDENT, came, CHAIN, vantage="cloud", now=5)
    assert "undetermined: carrier, msp" in open_still.text
    (nobody,) = objections(msgspec.structs.replace(INCIDENT, candidates=()), came, CHAIN, vantage="cloud", now=5)
    assert "undetermined: nobody" in nobody.text
