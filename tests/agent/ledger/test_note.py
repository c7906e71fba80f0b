"""Signed notes, checkpoints, keys and proofs: vectors of others, and one form only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import keys
from agent.ledger import note

# From the documentation of golang.org/x/mod/sumdb/note.
GO_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

SIGNER = keys.Signer(name="demarc.example/cloud", seed=bytes(32))
CHECKPOINT = note.Checkpoint("demarc.example/cloud", 7, bytes(range(32)))


def test_the_example_of_the_go_tools() -> None:
    """Key, id and signature are those that Go makes."""
    signer = keys.parse_signer(GO_SECRET + "\n")
    assert str(signer.verifier) == GO_KEY
    assert signer.sign(GO_TEXT) == GO_SIGNATURE
    assert keys.parse_verifier(GO_KEY).verify(GO_TEXT, GO_SIGNATURE)
    assert signer.secret_text() == GO_SECRET


# A tree head that the public Go checksum database signed in 2026; the key stands in every Go installation.
SUMDB_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUMDB_NOTE = """\
go.sum database tree
63096908
8lHrQPRYe4KT4WQ9/Qk8/taKnD6IRHbFgfN7vQE2Y54=

— sum.golang.org Az3gri/oVBN1jAhNZ/iS+W31psFAWRT20/GyrhpU6taFwulQGetBkH5S7wpGXdS935jiIGiUUAXBVHzT/P6fYhqAmAk=
"""


def test_a_real_checkpoint_of_the_go_checksum_database() -> None:
    """Key, note and tree head of a log that others run are read, and its signature is good."""
    key = keys.parse_verifier(SUMDB_KEY)
    text, signatures = note.split_note(SUMDB_NOTE)
    assert str(key) == SUMDB_KEY
    assert key.verify(text, signatures)
    assert note.parse_checkpoint(text).size == 63_096_908
    assert not key.verify(text.replace("63096908", "63096909"), signatures)


def test_a_signature_is_found_among_those_of_others() -> None:
    """Lines of other keys, and of the same name with another key, do not disturb."""
    mine, text = SIGNER.sign(CHECKPOINT.text()), CHECKPOINT.text()
    namesake = keys.Signer(name=SIGNER.name, seed=bytes([1]) * 32).sign(text)
    key = SIGNER.verifier
    assert key.verify(text, GO_SIGNATURE + namesake + mine)
    assert not key.verify(text, GO_SIGNATURE + namesake)
    assert not key.verify(text, f"— {SIGNER.name} {keys.encode64(key.id + bytes(64))}\n")
    assert not key.verify(text, f"— {SIGNER.name} AAA\n")
    assert not key.verify(text + "\n", mine)


def test_a_secret_is_never_shown() -> None:
    """The repr of a signer has its name only."""
    assert keys.encode64(SIGNER.seed)[:8] not in repr(SIGNER)
    assert SIGNER.name in repr(SIGNER)


def test_a_new_key_signs() -> None:
    """Two keys for one log differ, and their text form reads back."""
    one, other = keys.generate("a"), keys.generate("a")
    assert one.seed != other.seed
    assert keys.parse_signer(one.secret_text()) == one


@pytest.mark.parametrize("name", ["", "a b", "a+b", "é", "-a", "a\n", "x" * 256])
def test_names_that_no_log_may_have(name: str) -> None:
    """They would break a line of the note."""
    with pytest.raises(keys.NoteError):
        keys.generate(name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing",
        GO_KEY,
        GO_SECRET.replace("c74f20a3", "c74f20a4"),
        GO_SECRET.replace("+AY", "+AZ"),
        GO_SECRET.replace("+AYEK", "+BYEK"),
        "PRIVATE+KEY+a+00000000+AQ==",
        "PRIVATE+KEY+a+00000000+é",
    ],
)
def test_bad_key_files_are_refused_without_being_shown(text: str) -> None:
    """The message never repeats what may be a secret."""
    with pytest.raises(keys.NoteError) as caught:
        keys.parse_signer(text)
    assert "AYEK" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "a+b", GO_KEY.replace("c74f20a3", "c74f20a4"), GO_KEY[:-4], GO_KEY + "="])
def test_bad_verifier_keys_are_refused(text: str) -> None:
    """A key whose id is not its own is none."""
    with pytest.raises(keys.NoteError):
        keys.parse_verifier(text)


def test_a_checkpoint_reads_back() -> None:
    """Three lines, no more."""
    assert note.parse_checkpoint(CHECKPOINT.text()) == CHECKPOINT


@pytest.mark.parametrize(
    "text",
    [
        CHECKPOINT.text() + "extension\n",
        CHECKPOINT.text()[:-1],
        CHECKPOINT.text().replace("\n7\n", "\n07\n"),
        CHECKPOINT.text().replace("\n7\n", "\n-7\n"),
        CHECKPOINT.text().replace("AAEC", "AAE"),
        "\n7\n" + keys.encode64(bytes(32)) + "\n",
        "a\n7\nAAAA\n",
    ],
)
def test_bad_checkpoints_are_refused(text: str) -> None:
    """There is one form."""
    with pytest.raises(keys.NoteError):
        note.parse_checkpoint(text)


def test_a_note_is_split_at_its_last_empty_line() -> None:
    """Text may hold empty lines; signatures follow the last one."""
    assert note.split_note("a\n\nb\n\n" + GO_SIGNATURE) == ("a\n\nb\n", GO_SIGNATURE)


@pytest.mark.parametrize("text", ["", "a\n", "a\n\n", "a\n\nb\n", "a\n\n" + GO_SIGNATURE[:-1], GO_SIGNATURE])
def test_bad_notes_are_refused(text: str) -> None:
    """Without a signature it is not a note."""
    with pytest.raises(keys.NoteError):
        note.split_note(text)


@given(index=st.integers(0, 2**40), hashes=st.lists(st.binary(min_size=32, max_size=32), max_size=5))
def test_a_proof_reads_back(index: int, hashes: list[bytes]) -> None:
    """Text and value are one."""
    proof = note.Proof(index, tuple(hashes), CHECKPOINT.text() + "\n" + SIGNER.sign(CHECKPOINT.text()))
    assert note.parse_proof(proof.text()) == proof


@pytest.mark.parametrize(
    "text",
    [
        "",
        note.PROOF_HEADER + "\n\n",
        "c2sp.org/tlog-proof@v2\nindex 1\n\nx",
        note.PROOF_HEADER + "\nindex x\n\nx",
        note.PROOF_HEADER + "\nindex 1\n???\n\nx",
        note.PROOF_HEADER + "\nindex 1\n",
    ],
)
def test_bad_proofs_are_refused(text: str) -> None:
    """A NoteError, nothing else."""
    with pytest.raises(keys.NoteError):
        note.parse_proof(text)
