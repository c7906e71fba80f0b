"""Cosignatures and requests for them: the forms of C2SP, and when a witness refuses."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import keys
from agent.ledger import merkle, note
from agent.ledger.cosignature import (
    LATEST,
    Held,
    Refusal,
    Request,
    cosign,
    judge,
    parse_request,
    parse_witness,
    witness_of,
)

LOG = keys.Signer(name="demarc/cloud", seed=bytes(32))
WITNESS = keys.Signer(name="demarc/onprem", seed=bytes([1]) * 32)
KEY = witness_of(WITNESS.verifier)
TIME = 1_795_442_400


class Log:
    """A log in memory whose leaves are given; `note` and `request` are signed by LOG."""

    def __init__(self, *leaves: bytes) -> None:
        self.leaves = [merkle.leaf_hash(leaf) for leaf in leaves]

    def read(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree."""
        if level == 0:
            return self.leaves[index]
        return merkle.node_hash(self.read(level - 1, 2 * index), self.read(level - 1, 2 * index + 1))

    def text(self, size: int) -> str:
        """Return the checkpoint over the first `size` leaves."""
        return note.Checkpoint(LOG.name, size, merkle.root(size, self.read)).text()

    def note(self, size: int, signer: keys.Signer = LOG) -> str:
        """Return it signed."""
        return f"{self.text(size)}\n{signer.sign(self.text(size))}"

    def request(self, old: int, size: int) -> Request:
        """Return what asks a witness of `old` leaves to cosign `size`."""
        proof = merkle.consistency_proof(old, size, self.read) if old else ()
        return Request(old=old, proof=proof, note=self.note(size))

    def held(self, size: int) -> Held:
        """Return what a witness holds that cosigned `size` leaves."""
        return Held(size=size, text=self.text(size), signatures=LOG.sign(self.text(size)))


HONEST = Log(*(b"%d" % number for number in range(9)))
FORKED = Log(*(b"%d" % (number + (number == 2)) for number in range(9)))


def test_a_cosignature_is_what_the_specification_says() -> None:
    """Key id, time and message, byte by byte (tlog-cosignature, "Ed25519 signed message")."""
    line = cosign(WITNESS, HONEST.text(3), TIME)
    match = keys.SIGNATURE.fullmatch(line.removesuffix("\n"))
    assert match is not None
    raw = keys.decode64(match[2])
    assert (match[1], raw[:4], raw[4:12]) == (WITNESS.name, KEY.id, TIME.to_bytes(8, "big"))
    message = f"cosignature/v1\ntime {TIME}\n{HONEST.text(3)}".encode()
    assert raw[12:] == WITNESS.sign_bytes(message)
    assert KEY.cosigned(HONEST.text(3), line) == TIME


def test_the_newest_of_several_cosignatures_counts() -> None:
    """Lines of others, of the log itself and damaged ones do not disturb."""
    text = HONEST.text(3)
    good = [cosign(WITNESS, text, time) for time in (TIME, TIME + 9, TIME + 4)]
    lines = [LOG.sign(text), WITNESS.sign(text), f"— {WITNESS.name} AAA\n", f"— {WITNESS.name} {'A' * 104}\n"]
    assert KEY.cosigned(text, "".join((*lines, *good))) == TIME + 9
    assert KEY.cosigned(text, "".join(lines)) is None
    assert KEY.cosigned(HONEST.text(4), good[0]) is None
    of_another_time = good[0].replace(good[0][-20:-10], good[1][-20:-10])
    assert KEY.cosigned(text, of_another_time) is None


def test_a_time_beyond_the_calendar_is_none() -> None:
    """A lying witness could sign any; what shows times must not fail over it."""
    text = HONEST.text(3)
    assert KEY.cosigned(text, cosign(WITNESS, text, LATEST)) == LATEST
    for time in (LATEST + 1, 2**63, 2**64 - 1):
        assert KEY.cosigned(text, cosign(WITNESS, text, time)) is None


def test_a_witness_key_has_one_form() -> None:
    """It is read back as written; a log's key, another id and other text are refused."""
    assert parse_witness(f"{KEY}\n") == KEY
    wrong_id = f"{KEY.name}+00000000+{str(KEY).rsplit('+', 1)[1]}"
    for text in (str(WITNESS.verifier), wrong_id, "", "a b+00000000+AAAA", f"{KEY.name}+{KEY.id.hex()}"):
        with pytest.raises(keys.NoteError):
            parse_witness(text)


def test_a_request_is_read_as_it_was_written() -> None:
    """With and without a proof."""
    for request in (HONEST.request(0, 5), HONEST.request(3, 9), HONEST.request(5, 5)):
        assert parse_request(request.text()) == request


WRONG_REQUESTS = {
    "nothing": "",
    "no empty line": "old 3\n",
    "a leading zero": "old 03\n\nx",
    "a sign": "old +3\n\nx",
    "no number": "old\n\nx",
    "another word": "new 3\n\nx",
    "a hash of 31 bytes": f"old 3\n{keys.encode64(bytes(31))}\n\nx",
    "no base64": "old 3\n%%%\n\nx",
    "too many hashes": "old 3\n" + f"{keys.encode64(bytes(32))}\n" * 64 + "\nx",
}


@pytest.mark.parametrize("text", WRONG_REQUESTS.values(), ids=WRONG_REQUESTS.keys())
def test_what_asks_nothing_is_refused(text: str) -> None:
    """There is one form."""
    with pytest.raises(keys.NoteError):
        parse_request(text)


@given(st.text())
def test_any_text_is_a_request_or_an_error(text: str) -> None:
    """Nothing else comes out, and a request is what it was read from."""
    try:
        request = parse_request(text)
    except keys.NoteError:
        return
    assert request.text() == text


@given(st.text(), st.text())
def test_any_signature_lines_are_no_cosignature(text: str, lines: str) -> None:
    """Whatever others write."""
    assert KEY.cosigned(text, lines) is None


REFUSED = {
    "no note": (Request(old=0, note="x"), None, 400, False),
    "no checkpoint": (Request(old=0, note=f"x\n\n{LOG.sign('x')}"), None, 400, False),
    "another log": (Request(old=0, note=Log(b"1").note(1).replace(LOG.name, "demarc/x")), None, 404, False),
    "no good signature": (Request(old=0, note=HONEST.note(3, WITNESS)), None, 403, False),
    "a tree that shrinks": (Request(old=5, note=HONEST.note(3)), HONEST.held(5), 400, False),
    "more than is held": (HONEST.request(3, 5), None, 409, False),
    "less than is held": (HONEST.request(3, 9), HONEST.held(5), 409, False),
    "a proof from nothing": (Request(old=0, proof=(bytes(32),), note=HONEST.note(3)), None, 422, False),
    "another history": (FORKED.request(5, 9), HONEST.held(5), 422, True),
    "another history of one size": (FORKED.request(5, 5), HONEST.held(5), 409, True),
    "a proof of something else": (
        Request(old=3, proof=HONEST.request(5, 9).proof, note=HONEST.note(9)),
        HONEST.held(3),
        422,
        True,
    ),
}


@pytest.mark.parametrize(("request_", "held", "status", "conflict"), REFUSED.values(), ids=REFUSED.keys())
def test_a_witness_refuses(request_: Request, held: Held | None, status: int, *, conflict: bool) -> None:
    """With the status of tlog-witness; only two signed histories are a conflict."""
    told = judge(request_, LOG.verifier, held)
    assert isinstance(told, Refusal)
    assert (told.status, told.conflict) == (status, conflict)
    assert told.reason
    assert (told.size is not None) == (status == 409 or conflict)


def test_a_witness_cosigns_what_continues() -> None:
    """From nothing, from every size to every larger one, and the same again."""
    for old, size in itertools.combinations_with_replacement(range(10), 2):
        if size:
            held = HONEST.held(old) if old else None
            assert judge(HONEST.request(old, size), LOG.verifier, held) == note.parse_checkpoint(HONEST.text(size))
