"""Questions to the agent that runs on this host, over its unix socket.

The socket lies in the agent's data directory, open to its owner and group only. Every way in which
that fails ends in one line that says what is wrong and one that says what to do.
"""

import http.client
import json
import socket
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import click

DATA: Final = "/var/lib/demarc"
SOCKET: Final = "demarc.sock"
# The agent answers from memory; a loop that needs longer is in trouble.
ANSWER_SECONDS: Final = 5.0
EX_DATAERR, EX_UNAVAILABLE, EX_NOPERM, EX_CONFIG = 65, 69, 77, 78  # sysexits.h


class Refusal(click.ClickException):
    """What is wrong and what to do about it; ends the command with `exit_code`."""

    def __init__(self, message: str, remedy: str, exit_code: int = EX_UNAVAILABLE) -> None:
        super().__init__(f"{message}\n  {remedy}")
        self._exit_code = exit_code

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # click reads it from the instance
        """Return the command's exit code (sysexits.h)."""
        return self._exit_code


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of to a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def find_socket(path: Path | None, config_file: Path | None) -> Path:
    """Return where the agent listens: as said, or in the data directory of the agent file, or the usual one."""
    if path is not None:
        return path
    if config_file is None:
        return Path(DATA) / SOCKET
    from agent.config import ConfigError, load_host  # noqa: PLC0415 - only where an agent file is given

    try:
        return Path(load_host(config_file).data) / SOCKET
    except ConfigError as error:
        raise Refusal(str(error), f"check it with `demarc check {config_file}`", EX_CONFIG) from error


def ask(path: Path, resource: str, **query: str) -> bytes:
    """Return the agent's answer to GET `/api/v1/{resource}`; raises Refusal for everything else."""
    return _exchange(path, "GET", f"{resource}?{urlencode(query)}" if query else resource)


def hand_in(path: Path, data: bytes, resource: str = "ledger/entries") -> bytes:
    """Hand something in for the ledger of the running agent; returns the receipt, raises Refusal."""
    return _exchange(path, "POST", resource, data)


def _exchange(path: Path, method: str, resource: str, data: bytes | None = None) -> bytes:
    connection = _UnixConnection(path)
    try:
        connection.request(method, f"/api/v1/{resource}", data, headers={"Accept": "application/json"})
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise trouble(path, error) from error
    finally:
        connection.close()
    if response.status not in (http.client.OK, http.client.CREATED):
        raise _refused(response.status, body)
    return body


def trouble(path: Path, error: Exception) -> Refusal:
    """Return what an exception of the connection means here."""
    match error:
        case FileNotFoundError():
            return Refusal(
                f"no agent runs here: there is no socket {path}",
                "start it (`systemctl start demarc`), or say where it is with --socket or --config.file",
            )
        case PermissionError():
            return Refusal(
                f"you may not open {path}", "ask as root or as a member of the group that owns it", EX_NOPERM
            )
        case ConnectionRefusedError() if not path.is_socket():
            return Refusal(f"{path} is no socket", "name the agent's: `demarc.sock` in its data directory")
        case ConnectionRefusedError():
            return Refusal(f"nobody listens on {path}: the agent has stopped", "look at `journalctl -u demarc`")
        case TimeoutError():
            return Refusal(
                f"the agent on {path} did not answer within {ANSWER_SECONDS:g} s",
                "it is blocked or overloaded: look at `journalctl -u demarc`",
            )
        case _:
            return Refusal(
                f"{path} does not answer as an agent does: {error}",
                "is it the socket of a demarc agent (DATA/demarc.sock)?",
            )


def _refused(status: int, body: bytes) -> Refusal:
    """Return the agent's own problem."""
    try:
        problem = json.loads(body)
        return Refusal(str(problem["title"]), str(problem["detail"]), EX_DATAERR)
    except (ValueError, KeyError, TypeError):
        return Refusal(f"the agent answered with status {status}", "is it of the same version as this command?")
