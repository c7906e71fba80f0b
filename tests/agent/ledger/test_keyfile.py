"""The private key on disk: who can read it, under a passphrase, and from systemd."""

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import keys
from agent.cli.ledger import command
from agent.ledger import KEY
from agent.ledger.keyfile import CREDENTIAL, PASSPHRASE, exposed, key_path, read_signer, write_signer

SIGNER = keys.Signer(name="demarc/cloud", seed=bytes(range(32)))
SEALED = keys.sealed_text(SIGNER, b"horse staple")


def test_a_protected_key_opens_with_its_passphrase_only() -> None:
    """Neither the seed nor the passphrase can be told from the file; a line feed at its end does not count."""
    assert keys.parse_signer(SEALED + "\n", b"horse staple\n") == SIGNER
    assert keys.encode64(SIGNER.seed)[:20] not in SEALED
    with pytest.raises(keys.NoteError, match="does not open"):
        keys.parse_signer(SEALED, b"battery")
    with pytest.raises(keys.NoteError, match="no passphrase is given"):
        keys.parse_signer(SEALED)


@pytest.mark.parametrize(
    "text",
    [
        SEALED.replace("demarc/cloud", "demarc/other"),
        SEALED[:-8] + "AAAAAAA=",
    ],
)
def test_an_altered_file_does_not_open(text: str) -> None:
    """The name is protected with the key."""
    with pytest.raises(keys.NoteError):
        keys.parse_signer(text, b"horse staple")


@given(rest=st.text(max_size=40))
@settings(max_examples=20, deadline=None)
def test_what_is_no_protected_key_is_refused(rest: str) -> None:
    """NoteError, nothing else."""
    with pytest.raises(keys.NoteError):
        keys.parse_signer("SEALED+PRIVATE+KEY+" + rest, b"x")


def test_systemds_credential_goes_first(tmp_path: Path) -> None:
    """The key from the credentials directory, and the passphrase from it."""
    write_signer(tmp_path / CREDENTIAL, SEALED)
    assert key_path(tmp_path, KEY, {}) == tmp_path / KEY
    given = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert key_path(tmp_path / "data", KEY, given) == tmp_path / CREDENTIAL
    with pytest.raises(keys.NoteError, match="no passphrase"):
        read_signer(tmp_path / CREDENTIAL, given)
    (tmp_path / PASSPHRASE).write_text("horse staple\n")
    assert read_signer(tmp_path / CREDENTIAL, given) == SIGNER


def test_a_key_that_others_can_read_is_told(tmp_path: Path) -> None:
    """By its mode, whatever the umask was; systemd's own directory is not ours to judge."""
    path = tmp_path / KEY
    before = os.umask(0)
    try:
        write_signer(path, SIGNER.secret_text())
    finally:
        os.umask(before)
    assert exposed(path) == ""
    path.chmod(0o640)
    assert exposed(path) == f"ledger.key can be read by others (mode 0640): chmod 600 {path}"
    credential = path.rename(tmp_path / CREDENTIAL)
    assert exposed(credential) == ""


def test_make_and_protect_at_install(tmp_path: Path) -> None:
    """The key is for its owner alone; the public half is printed; nothing is replaced."""
    run = CliRunner()
    made = run.invoke(command, ["make-key", "cloud", str(tmp_path)])
    path = tmp_path / KEY
    assert keys.parse_verifier(made.output) == read_signer(path).verifier
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "is there already" in run.invoke(command, ["make-key", "cloud", str(tmp_path)]).output
    secret = tmp_path / "secret"
    secret.write_text("\n")
    assert "is empty" in run.invoke(command, ["protect-key", str(secret), str(tmp_path)]).output
    secret.write_text("horse staple\n")
    assert "is protected" in run.invoke(command, ["protect-key", str(secret), str(tmp_path)]).output
    assert path.read_text().startswith("SEALED+")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "no passphrase" in run.invoke(command, ["protect-key", str(secret), str(tmp_path)]).output
    assert "cannot name a log" in run.invoke(command, ["make-key", "a b", str(tmp_path)]).output
