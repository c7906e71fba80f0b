"""The product in the lab, run as a user runs it: `demarc run` on each demarcation host.

The lab knows nothing of the product's inside: it starts the console command, asks over the control socket
`DATA/demarc.sock` and reads what it answers. What must stay true: an agent that was started here ends with
this process.
"""

import http.client
import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from lab.api import Lab
from lab.preflight import console_command as console_command  # noqa: PLC0414 - those who run the product ask here
from lab.rundir import LabError

HOSTS = {"cloud": "cloud-host", "onprem": "onprem-host"}
# The agent promises to stop within 5 s; a little more before it is killed.
STOP_SECONDS = 7.0
# What is asked more seldom says for so long what was, not what is.
SELDOM_SECONDS = 30.0


class _Connection(http.client.HTTPConnection):
    """HTTP over the agent's unix socket."""

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Agent:
    """One running agent."""

    def __init__(self, lab: Lab, vantage: str) -> None:
        self.vantage = vantage
        self.home = lab.run_dir / vantage
        self.socket = self.home / "data" / "demarc.sock"
        self.log = self.home / "agent.log"
        with self.log.open("ab") as log:
            self.process = lab.popen(
                HOSTS[vantage],
                [console_command(), "run", "--config.file", str(self.home / "agent.yml")],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def get(self, path: str, *, seconds: float = 2.0) -> bytes:
        """Return the body of `path`; OSError or HTTPException when the agent does not answer."""
        connection = _Connection(self.socket, seconds)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise LabError(f"{self.vantage}: {path} answers {answer.status}: {body[:200]!r}")
        return body

    def ask(self, path: str) -> Any:
        """Return the JSON of `path`."""
        return json.loads(self.get(path))

    def incidents(self, state: str = "open") -> list[dict[str, Any]]:
        """Return the agent's incidents as its API tells them."""
        answer: list[dict[str, Any]] = self.ask(f"/api/v1/incidents?state={state}")
        return answer

    def confirmed(self) -> list[dict[str, Any]]:
        """Return open incidents that are more than a suspicion."""
        return [i for i in self.incidents() if i["state"] != "suspected"]

    def confirmed_now(self) -> list[dict[str, Any]]:
        """Return what is confirmed and goes on: neither a suspicion nor recovering."""
        return [i for i in self.incidents() if i["state"] == "confirmed"]

    def observations(self) -> list[dict[str, Any]]:
        """Return the agent's own recent observations."""
        return [json.loads(line) for line in self.get("/api/v1/observations?since_round=-1").splitlines()]

    def wait(self, until: Callable[[Self], bool], seconds: float, what: str) -> float:
        """Wait until `until(self)`; return the seconds it took; LabError with the log's end when it never is."""
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            if self.process.poll() is not None:
                raise LabError(f"The {self.vantage} agent ended ({self.process.returncode}):\n{self.last_words()}")
            try:
                if until(self):
                    return time.monotonic() - start
            except (OSError, http.client.HTTPException):
                pass  # not listening yet
            time.sleep(0.05)
        raise LabError(f"The {self.vantage} agent: {what} not within {seconds:g} s.\n{self.last_words()}")

    def last_words(self) -> str:
        """Return the end of the agent's log."""
        return self.log.read_text(errors="replace")[-3000:]

    def passing(self) -> bool:
        """Return whether the last result of every probe is a pass, the peer's included, and nothing goes on."""
        probes = [p for p in self.ask("/api/v1/probes") if p["interval"] < SELDOM_SECONDS]
        mine = [p for p in probes if p["vantage"] == self.vantage]
        heard = probes if self.ask("/api/v1/status")["peers"] else mine
        return (
            all(p["verified"] for p in mine)
            and all(p["outcome"] == "ok" for p in heard)
            and all(i["state"] == "recovering" for i in self.incidents())
        )

    def healthy(self) -> bool:
        """Return whether every probe passes, and nothing is open."""
        return self.passing() and not self.incidents()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the agent; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return int(self.process.wait(STOP_SECONDS))
        except subprocess.TimeoutExpired:
            self.process.kill()
            return int(self.process.wait())


class Agents:
    """An agent on each of `vantages`, started and waited for until their chains are healthy."""

    def __init__(self, lab: Lab, vantages: tuple[str, ...] = ("cloud", "onprem")) -> None:
        self.lab = lab
        self.by_vantage = {vantage: Agent(lab, vantage) for vantage in vantages}

    def __getitem__(self, vantage: str) -> Agent:
        return self.by_vantage[vantage]

    def wait_healthy(self, seconds: float = 30.0) -> None:
        """Wait until every agent has seen every probe of its own pass."""
        for agent in self.by_vantage.values():
            agent.wait(Agent.healthy, seconds, "a healthy chain")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for agent in self.by_vantage.values():
            agent.stop()
