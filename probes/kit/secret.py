"""Credentials in memory: read from a file or a systemd credential, never shown.

What must stay true: no `repr`, `str`, format, pickle or traceback of a `Secret` holds its value, and
a file that cannot be read gives an error that names the file only.
"""

import hmac
import os
from pathlib import Path
from typing import NoReturn

CREDENTIAL = "credential:"
# A client secret has 40 characters, a private key some KiB; more is the wrong file.
MAX_BYTES = 64 * 1024


class Secret:
    """A value whose every rendering is `***`; only `reveal` returns it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value, to be handed on at once and kept nowhere."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not serialised")


def read_secret(path: str) -> Secret:
    """Return the secret in the file `path`, or in the systemd credential `credential:NAME`.

    One trailing line end is dropped. Raises OSError (cannot be read, FileNotFoundError too where
    systemd passed no such credential) or ValueError (empty, too long, not UTF-8, a NUL in it).
    """
    path = secret_path(path)
    with Path(path).open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"{path}: longer than {MAX_BYTES} bytes, this is no secret file")
    data = data.removesuffix(b"\n").removesuffix(b"\r")
    if not data or b"\0" in data or _text(data) is None:
        raise ValueError(f"{path}: empty or not text")
    return Secret(data.decode())


def secret_path(path: str) -> str:
    """Return the file that `path` or `credential:NAME` names; FileNotFoundError where systemd passed no such one."""
    if not path.startswith(CREDENTIAL):
        return path
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    name = path.removeprefix(CREDENTIAL)
    if not directory or "/" in name or name in ("", ".", ".."):
        raise FileNotFoundError(f"systemd passed no credential {name!r}")
    return str(Path(directory, name))


def _text(data: bytes) -> str | None:
    """Return `data` as text, or None; a decode error would carry the secret in its message."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
