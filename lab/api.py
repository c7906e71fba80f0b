"""The lab from outside: bring it up, break it, run programs in it, take it down. Importable and behind the CLI.

    with Lab.up("mine") as lab:
        agent = lab.popen("cloud-host", ["demarc", "run", "--config.file", str(lab.run_dir / "cloud/agent.yml")])
        lab.break_("app-stopped")
        lab.heal()

A lab that was brought up with `tied=True` (the default here) goes when this process goes, by whatever signal.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from lab import rundir
from lab.chainfile import Pace, write_configuration
from lab.effects import suspended_nodes
from lab.faults import FAULTS
from lab.preflight import PATH, USER, isolation
from lab.rundir import LabError
from lab.services import CHECKOUT
from lab.supervisor import Reply, Request
from lab.topology import ADDRESSES

UP_SECONDS = 20.0
ORDER_SECONDS = 30.0


def _await_ready(connection: socket.socket, run_dir: Path) -> None:
    """Wait until the supervisor says that the lab is ready; LabError with what it says instead."""
    connection.settimeout(UP_SECONDS)
    words = b""
    while not words.endswith(b"ready\n") and (more := connection.recv(65536)):
        words += more
    if words != b"ready\n":
        log = (run_dir / "supervisor.log").read_text(errors="replace")[-2000:]
        raise LabError(words.decode().strip() or f"The lab's supervisor ended without a word:\n{log}")


class Lab:
    """A lab that is up."""

    addresses = ADDRESSES

    def __init__(
        self, name: str, tie: socket.socket | None = None, supervisor: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.name = name
        self.run_dir = rundir.path_of(name)
        self._tie = tie
        self._supervisor = supervisor

    @classmethod
    def up(cls, name: str = rundir.DEFAULT_NAME, *, tied: bool = True, pace: Pace | None = None) -> Self:
        """Bring a lab up, clearing what an interrupted one of that name left; LabError says what is missing.

        `pace` sets the intervals and the timing of confirmation in the chain file that the lab writes.
        """
        run_dir = rundir.path_of(name)
        state = rundir.read_state(run_dir)
        if state is not None and state.pid in rundir.processes(run_dir):
            raise LabError(f"The lab {name!r} is up already; `python -m lab down --name {name}` ends it.")
        options = isolation()
        rundir.clear(run_dir)
        rundir.create(run_dir)
        ours, theirs = socket.socketpair()
        with theirs:
            lab = cls(name, ours, cls._start_supervisor(run_dir, theirs, options))
        try:
            _await_ready(ours, run_dir)
            write_configuration(run_dir, pace or Pace())
            if not tied:
                ours.sendall(b"detach\n")
        except BaseException:
            lab.down()
            raise
        return lab

    @staticmethod
    def _start_supervisor(run_dir: Path, handshake: socket.socket, options: Sequence[str]) -> subprocess.Popen[bytes]:
        number = str(handshake.fileno())
        flags = ["--user-namespace"] if USER[0] in options else []
        with (run_dir / "supervisor.log").open("wb") as log:
            return subprocess.Popen(
                ["unshare", *options, "--", sys.executable, "-m", "lab.supervisor", str(run_dir), number, *flags],
                cwd=CHECKOUT,
                env={**os.environ, "PATH": PATH, rundir.MARK: str(run_dir)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(handshake.fileno(),),
                start_new_session=True,
            )

    @classmethod
    def attach(cls, name: str = rundir.DEFAULT_NAME) -> Self:
        """Return a lab that is up already; LabError when there is none."""
        if rundir.read_state(rundir.path_of(name)) is None:
            raise LabError(f"No lab {name!r} is up; `python -m lab up --name {name}` brings one up.")
        return cls(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def down(self) -> bool:
        """End the lab and everything that was started in it; return whether there was anything."""
        found = rundir.clear(self.run_dir)
        if self._tie is not None:
            self._tie.close()
        if self._supervisor is not None:
            self._supervisor.wait()
        return found

    def status(self) -> Reply:
        """Return servers, tunnel and active faults."""
        return self._order(Request(order="status"))

    def break_(self, fault: str, **parameters: float | str) -> Reply:
        """Make a fault of `lab.faults.FAULTS`; a parameter `queue-kb` is written `queue_kb` here."""
        given = {name.replace("_", "-"): value for name, value in parameters.items()}
        reply = self._order(Request(order="break", fault=fault, parameters=given))
        self._signal(fault, signal.SIGSTOP)
        return reply

    def heal(self, fault: str = "") -> Reply:
        """Undo one fault, or all of them; the tunnel is up again afterwards."""
        for name in [fault] if fault else self.status().faults:
            self._signal(name, signal.SIGCONT)
        return self._order(Request(order="heal", fault=fault))

    def write_configuration(self, pace: Pace) -> None:
        """Write the chain file and both agent files anew, at another pace."""
        write_configuration(self.run_dir, pace)

    def command(self, node: str, command: Sequence[str], *, die_with_parent: bool = True) -> list[str]:
        """Return the command line that runs `command` in `node`; it must be started in the checkout's folder."""
        tie = ["--die-with-parent"] if die_with_parent else []
        return [sys.executable, "-m", "lab.enter", str(self.run_dir), node, str(Path.cwd()), *tie, "--", *command]

    def popen(self, node: str, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program in a node; options as of subprocess.Popen. Its `pid` is the program's own.

        It ends with the thread that started it, and with the lab.
        """
        return subprocess.Popen(self.command(node, command), cwd=CHECKOUT, **options)

    def run(self, node: str, command: Sequence[str], *, seconds: float = 10.0) -> subprocess.CompletedProcess[str]:
        """Run a program in a node to its end; its words are in the result. TimeoutExpired after `seconds`."""
        return subprocess.run(
            self.command(node, command), cwd=CHECKOUT, capture_output=True, text=True, timeout=seconds, check=False
        )

    def _signal(self, fault: str, number: signal.Signals) -> None:
        if fault not in FAULTS:
            return
        for node in suspended_nodes(FAULTS[fault]):
            for pid in rundir.processes(self.run_dir, guests_of=node):
                os.kill(pid, number)

    def _order(self, request: Request) -> Reply:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(ORDER_SECONDS)
                connection.connect(str(self.run_dir / "control.sock"))
                connection.sendall(msgspec.json.encode(request) + b"\n")
                answer = connection.makefile("rb").read()
        except OSError as error:
            raise LabError(
                f"The lab {self.name!r} does not answer ({error}); `python -m lab down` clears it."
            ) from error
        reply = msgspec.json.decode(answer, type=Reply)
        if reply.error:
            raise LabError(reply.error)
        return reply
