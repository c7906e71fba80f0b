"""Secrets: read from files and credentials, shown nowhere."""

import copy
import pickle
import traceback
from pathlib import Path

import pytest

from probes.kit.secret import MAX_BYTES, Secret, read_secret

CANARY = "canary~8Q"


def test_no_rendering_shows_it() -> None:
    """Every way to make text of it gives three stars."""
    secret = Secret(CANARY)
    assert [repr(secret), str(secret), f"{secret}", f"{secret:>9}", f"{[secret]}"] == [
        "***",
        "***",
        "***",
        "***",
        "[***]",
    ]
    assert secret.reveal() == CANARY


def test_it_is_not_serialised() -> None:
    """Neither pickle nor copy takes it along."""
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not serialised"):
            attempt(Secret(CANARY))


def test_equal_values_are_equal() -> None:
    """Secrets compare by value with secrets only."""
    assert Secret(CANARY) == Secret(CANARY)
    assert hash(Secret(CANARY)) == hash(Secret(CANARY))
    assert Secret(CANARY) != Secret("other")
    assert Secret(CANARY) != CANARY
    assert Secret("é") != Secret("e")


CONTENT = {
    "plain": (b"canary~8Q", CANARY),
    "one line end": (b"canary~8Q\n", CANARY),
    "a line end of another world": (b"canary~8Q\r\n", CANARY),
    "blanks are kept": (b" canary~8Q \n", " canary~8Q "),
    "a second line end is kept": (b"canary~8Q\n\n", "canary~8Q\n"),
}


@pytest.mark.parametrize("name", CONTENT)
def test_a_file_gives_its_secret(tmp_path: Path, name: str) -> None:
    """One line end is dropped and nothing else."""
    content, expected = CONTENT[name]
    (tmp_path / "secret").write_bytes(content)
    assert read_secret(str(tmp_path / "secret")).reveal() == expected


REFUSED = {
    "empty": b"",
    "a line end only": b"\n",
    "not UTF-8": b"canary~8Q\xff",
    "a NUL": b"canary~8Q\0",
    "too long": b"canary~8Q" * MAX_BYTES,
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_file_is_named_and_not_shown(tmp_path: Path, name: str) -> None:
    """The error holds the path and none of the content, in its traceback neither."""
    (tmp_path / "secret").write_bytes(REFUSED[name])
    with pytest.raises(ValueError, match="secret: ") as caught:
        read_secret(str(tmp_path / "secret"))
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    """The path is in the error."""
    with pytest.raises(FileNotFoundError, match="none"):
        read_secret(str(tmp_path / "none"))


def test_a_systemd_credential_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`credential:NAME` is the file of that name in systemd's directory (systemd.exec(5))."""
    (tmp_path / "entra").write_text(CANARY)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_secret("credential:entra").reveal() == CANARY


@pytest.mark.parametrize("name", ["", ".", "..", "../secret", "a/b"])
def test_a_credential_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A path cannot leave systemd's directory."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no credential"):
        read_secret(f"credential:{name}")


def test_without_systemd_there_is_no_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says that systemd passed none."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(FileNotFoundError, match="systemd passed no credential 'entra'"):
        read_secret("credential:entra")
