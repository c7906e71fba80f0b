"""The real `demarc` command on loopback, for tests: chain file, process, its words and its web side."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

CHECKOUT = Path(__file__).parents[2]
# Time on a machine that is busy with other tests; every wait ends as soon as its condition holds.
PATIENCE_SECONDS = 60.0

CHAIN = """
version: 1
effective: 2026-01-01T00:00
timezone: Europe/Amsterdam
director: msp
parties: {{msp: {{name: MSP}}, carrier: {{name: Carrier}}, incumbent: {{name: Incumbent}}}}
segments:
  host: {{owner: msp, side: cloud}}
  gw: {{owner: msp, side: cloud}}
  app: {{owner: incumbent, side: onprem}}
  far: {{owner: incumbent, side: onprem}}
vantages: {{cloud: {{segment: host, operator: msp}}, onprem: {{segment: far, operator: incumbent}}}}
services: {{erp: {{name: ERP}}}}
confirm: {{rounds: 3, spacing: 200ms, skew: 1s}}
probes:
  gw: {{type: tcp, from: cloud, target: "127.0.0.1:{gateway}", interval: 200ms, timeout: 200ms, path: [host, gw]}}
  erp: {{type: tcp, from: cloud, target: "127.0.0.1:{application}", interval: 200ms, timeout: 200ms, service: erp,
    path: [host, gw, app]}}
  local: {{type: tcp, from: onprem, target: "127.0.0.1:{application}", interval: 200ms, timeout: 200ms,
    path: [far, app]}}
{more}
"""


class Listener:
    """A TCP server that can stop and come back on its port; it never accepts, its backlog is long enough."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port: int = self._socket.getsockname()[1]

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._socket.close()

    def drain(self) -> None:
        """Close the connections that wait, so that the backlog lasts for longer than some minutes."""
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.accept()[0].close()

    def again(self) -> None:
        """Accept them again."""
        self._socket = socket.create_server(("127.0.0.1", self.port), backlog=4096)


def eventually(condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait until `condition` gives something true and return it; AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError("it did not come to pass in time")
        time.sleep(0.02)
    return found


class RunningAgent:
    """One agent process. `folder` holds its agent file, data and output; it outlives the process."""

    def __init__(
        self,
        folder: Path,
        chain: Path,
        vantage: str = "cloud",
        peers: str = "[]",
        environment: dict[str, str] | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.file = folder / "agent.yml"
        self.file.write_text(f"vantage: {vantage}\nchain: {chain}\ndata: {folder / 'data'}\npeers: {peers}\n")
        self._environment = {**os.environ, **(environment or {})}
        self.process: subprocess.Popen[bytes]
        self.port = 0

    def start(self, listen: str = "127.0.0.1:0") -> Self:
        """Start and wait until it listens."""
        with (self.folder / "out").open("ab") as out, (self.folder / "err").open("wb") as err:
            self.process = subprocess.Popen(
                self.command(
                    "run", "--config.file", str(self.file), "--web.listen-address", listen, "--log.format", "json"
                ),
                cwd=CHECKOUT,
                stdout=out,
                stderr=err,
                env=self._environment,
            )
        eventually(lambda: self.logged("started") or self.process.poll() is not None)
        listening = self.logged("listening")
        assert listening, (self.folder / "err").read_text()
        self.port = listening[0]["port"]
        return self

    @staticmethod
    def command(*words: str) -> list[str]:
        """Return the command line of `demarc` from this checkout."""
        return [sys.executable, "-c", "from agent.cli.main import main; main()", *words]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the operational log's lines of an event."""
        return [line for line in self._lines("err") if line.get("msg") == event]

    def errors(self) -> list[dict[str, Any]]:
        """Return the operational log's lines of what went wrong here."""
        return [line for line in self._lines("err") if line.get("level") == "error"]

    def transitions(self, event: str = "") -> list[dict[str, Any]]:
        """Return the incident log's lines, over all starts."""
        return [line for line in self._lines("out") if not event or line["event"] == event]

    def get(self, path: str) -> str:
        """Return what the web side answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def metric(self, name: str, **labels: str) -> float:
        """Return the value of one series, 0 where it is absent."""
        for row in self.get("/metrics").splitlines():
            series, _, value = row.rpartition(" ")
            if series.partition("{")[0] == name and all(f'{k}="{v}"' in series for k, v in labels.items()):
                return float(value)
        return 0.0

    def status(self) -> dict[str, Any]:
        """Return the whole picture."""
        return dict(json.loads(self.get("/api/v1/status")))

    def reload(self) -> int:
        """Ask for a reload and return the HTTP status."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/-/reload", method="POST")
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal and wait for the end; return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if getattr(self, "process", None) is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _lines(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / name
        whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
