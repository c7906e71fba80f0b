"""Where a lab keeps its files and how its processes are known: by the run directory in their environment.

What must stay true: everything a lab leaves on the machine is either below its run directory or a process
that carries `DEMARC_LAB_DIR=<run directory>` in its environment; clearing both clears the lab, whatever
state it was interrupted in.
"""

import os
import re
import shutil
import signal
import time
from pathlib import Path

import msgspec

MARK = "DEMARC_LAB_DIR"
NODE_MARK = "DEMARC_LAB_NODE"
GUEST_MARK = "DEMARC_LAB_GUEST"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")  # short: a unix socket's path has at most 107 bytes
DEFAULT_NAME = "default"


class LabError(Exception):
    """What the operator of the lab can act on; the text is one or more whole sentences."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """`lab.json`: the supervisor's process id as the host sees it and its descriptors of the nodes' networks."""

    pid: int
    user_namespace: bool
    networks: dict[str, int]

    def network_path(self, node: str) -> str:
        """Return the path at which others find the node's network namespace."""
        return f"/proc/{self.pid}/fd/{self.networks[node]}"


def path_of(name: str) -> Path:
    """Return the run directory of the lab `name`; LabError when the name is no plain word."""
    if not NAME.match(name):
        raise LabError(f"A lab's name is lower case letters, digits and hyphens, at most 32; not {name!r}.")
    chosen = os.environ.get("XDG_RUNTIME_DIR", "")
    home = chosen if chosen and os.access(chosen, os.W_OK | os.X_OK) else "/tmp"
    return Path(home) / f"demarc-lab-{name}"


def read_state(run_dir: Path) -> State | None:
    """Return the state of a lab that came up, or None."""
    try:
        return msgspec.json.decode((run_dir / "lab.json").read_bytes(), type=State)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _environment(pid: int) -> dict[bytes, bytes]:
    """Return the environment the process was started with; empty when it is gone or somebody else's."""
    try:
        text = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    return dict(entry.split(b"=", 1) for entry in text.split(b"\0") if b"=" in entry)


def processes(run_dir: Path, *, guests_of: str | None = None) -> list[int]:
    """Return the ids of the lab's living processes, this one excepted.

    `guests_of`: only those that were started in that node with `exec` or `popen`.
    """
    wanted = {MARK.encode(): os.fsencode(run_dir)}
    if guests_of is not None:
        wanted |= {NODE_MARK.encode(): guests_of.encode(), GUEST_MARK.encode(): b"1"}
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [pid for pid in pids if pid != os.getpid() and wanted.items() <= _environment(pid).items()]


def clear(run_dir: Path, *, seconds: float = 5.0) -> bool:
    """Kill every process of the lab and remove its files; return whether there was anything.

    Raises LabError when a process outlives SIGKILL for `seconds`.
    """
    deadline = time.monotonic() + seconds
    found = run_dir.is_symlink() or run_dir.exists()
    while pids := processes(run_dir):
        found = True
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            raise LabError(f"Processes {pids} of {run_dir} outlive SIGKILL.")
        time.sleep(0.01)
    if run_dir.is_symlink():
        raise LabError(f"{run_dir} is a symbolic link and no lab's directory; remove it.")
    try:
        shutil.rmtree(run_dir)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise LabError(f"{run_dir} cannot be removed: {error}; is it another user's lab?") from error
    return found


def create(run_dir: Path) -> None:
    """Make the run directory, readable by its owner only; LabError when it is there already."""
    try:
        run_dir.mkdir(mode=0o700)
    except FileExistsError:
        raise LabError(f"{run_dir} exists; `python -m lab down` clears it.") from None
