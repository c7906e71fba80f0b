"""The process that holds a lab: builds it, keeps its networks open, breaks and heals it on request.

usage: python -m lab.supervisor RUN_DIR HANDSHAKE_FD [--user-namespace]   (started by `lab.api`, under `unshare`)

It is the first process of its own pid namespace: when it dies, by any signal at any moment, the kernel kills
every server and every namespace with it. The handshake socket ties it to whoever started it: until that one
says `detach`, its end of file means that the starter is gone, and the lab goes too. What must stay true: one
request at a time; a request that fails changes nothing that `heal` does not undo.
"""

import select
import shutil
import signal
import socket
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from lab.build import Site, host_process_id
from lab.effects import Breakage
from lab.rundir import LabError, State
from lab.tunnel import GATEWAYS

CLIENT_SECONDS = 1.0


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`status`, `break` or `heal`; `fault` empty in `heal`: all. `parameters` are the fault's own."""

    order: Literal["status", "break", "heal"]
    fault: str = ""
    parameters: dict[str, float | str] = {}


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What stands after the request; `error` says why it was refused or what does not come back."""

    error: str = ""
    tunnel: bool = False
    associations: dict[str, int] = {}
    servers: dict[str, bool] = {}
    faults: dict[str, dict[str, float | str]] = {}


class Supervisor:
    """Serves requests until its starter goes or somebody kills it."""

    def __init__(self, site: Site, control: socket.socket, handshake: socket.socket) -> None:
        self._site = site
        self._control = control
        self._handshake: socket.socket | None = handshake
        self._breakage = Breakage(site)

    def run(self) -> None:
        """Serve; return when the starter is gone."""
        while True:
            sources = [self._control, *([self._handshake] if self._handshake else [])]
            ready, _, _ = select.select(sources, [], [])
            if self._handshake in ready and not self._still_tied():
                return
            if self._control in ready:
                self._serve()

    def _still_tied(self) -> bool:
        if self._handshake is None:
            return True
        try:
            word = self._handshake.recv(64)
        except ConnectionError:
            return False
        if word == b"detach\n":
            self._handshake.close()
            self._handshake = None
        return bool(word)

    def _serve(self) -> None:
        client, _ = self._control.accept()
        with client, suppress(OSError):
            client.settimeout(CLIENT_SECONDS)
            try:
                reply = self._obey(msgspec.json.decode(client.makefile("rb").readline(), type=Request))
            except msgspec.DecodeError as error:
                reply = Reply(error=str(error))
            client.sendall(msgspec.json.encode(reply) + b"\n")

    def _obey(self, request: Request) -> Reply:
        try:
            match request.order:
                case "break":
                    self._breakage.break_(request.fault, request.parameters)
                case "heal":
                    self._breakage.heal(request.fault or None)
                case "status":
                    pass
        except LabError as error:
            return self._status(str(error))
        except Exception as error:
            # Our bug must not take the whole lab along: the tests that use it would only see it vanish.
            traceback.print_exc()
            return self._status(f"{error!r}, see {self._site.run_dir}/supervisor.log")
        return self._status()

    def _status(self, error: str = "") -> Reply:
        services = self._site.services
        return Reply(
            error=error,
            tunnel=self._site.swanctl.agrees(),
            associations={node: len(self._site.swanctl.associations(node)) for node in GATEWAYS},
            servers={name: services.alive(name) for name in services.names()},
            faults=self._breakage.active,
        )


def main(run_dir: Path, handshake: socket.socket, *, user_namespace: bool) -> None:
    """Build the lab, tell the starter, serve."""
    try:
        site = Site(run_dir)
        site.build()
        control = socket.socket(socket.AF_UNIX)
        control.bind(str(run_dir / "control.sock"))
        control.listen(8)
    except LabError as error:
        handshake.sendall(f"{error}\n".encode())
        sys.exit(1)
    state = State(pid=host_process_id(), user_namespace=user_namespace, networks=site.networks)
    (run_dir / "lab.json").write_bytes(msgspec.json.encode(state))
    # Without a handler the first process of a pid namespace never sees SIGTERM.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with suppress(ConnectionError):
            handshake.sendall(b"ready\n")
            Supervisor(site, control, handshake).run()
    finally:
        shutil.rmtree(run_dir)


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        socket.socket(fileno=int(sys.argv[2])),
        user_namespace="--user-namespace" in sys.argv[3:],
    )
