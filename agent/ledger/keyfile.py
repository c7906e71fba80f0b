"""Where the private key of a ledger lies on this host, and who can read it.

What must stay true: a key is made with mode 0600 and synced to disk before anything is signed with it; a key
that systemd hands over as a credential goes before one in the data directory; no key is ever in a message.
"""

import os
import stat
from pathlib import Path

from agent import keys

CREDENTIAL = "ledger-key"
PASSPHRASE = "ledger-passphrase"  # noqa: S105 - the name of a credential
"""Names of systemd credentials (systemd.exec(5), LoadCredentialEncrypted=)."""


def key_path(folder: Path, name: str, environment: os._Environ[str] | dict[str, str] = os.environ) -> Path:
    """Return the key file of a data directory: the credential where systemd gives one, else `name` in it."""
    given = _credential(CREDENTIAL, environment)
    return given if given is not None else folder / name


def read_signer(path: Path, environment: os._Environ[str] | dict[str, str] = os.environ) -> keys.Signer:
    """Read a key file, with the passphrase that systemd gives where it is protected; NoteError or OSError."""
    passphrase = _credential(PASSPHRASE, environment)
    return keys.parse_signer(path.read_text(), passphrase.read_bytes() if passphrase else b"")


def write_signer(path: Path, text: str) -> None:
    """Write a new key file: mode 0600, on disk when this returns; FileExistsError rather than replace one.

    It is whole or not there, whatever fails on the way.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.link(fresh, path)
    fresh.unlink()
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def exposed(path: Path) -> str:
    """Return what is wrong with the permissions of a key file, empty when nothing; OSError."""
    state = path.stat()
    if path.name == CREDENTIAL:  # systemd's own directory, readable by the service alone
        return ""
    if state.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return f"{path.name} can be read by others (mode {stat.S_IMODE(state.st_mode):04o}): chmod 600 {path}"
    return ""


def _credential(name: str, environment: os._Environ[str] | dict[str, str]) -> Path | None:
    folder = environment.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / name if folder else None
    return path if path is not None and path.is_file() else None
