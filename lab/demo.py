"""`make demo`: break a real VPN in front of your eyes, and hear whose segment it was and how that is known.

Two agents, one at each end of the lab's chain; five faults whose findings differ; after each what a page would
say, and at last the record of it. Ends with the agents running until Ctrl-C (with `--once`: ends).
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil

from lab.agents import Agent, Agents, console_command
from lab.api import Lab
from lab.chainfile import SHOWN
from lab.faults import FAULTS
from lab.relay import page_address
from lab.rewritten import rewritten, verified
from lab.rundir import LabError

WIDTH = 100
CONFIRM_SECONDS = 20.0
HEAL_SECONDS = 30.0
# Long enough for the peer's evidence to arrive after the own finding.
SETTLE_SECONDS = 2.0


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of the walk, and what to watch for."""

    fault: str
    watch: str
    alone_too: bool = False


SCENES = (
    Scene(fault="app-stopped", watch="One application fails, the other works: the network is out of it."),
    Scene(fault="near-cut", watch="Everything beyond the gateway is gone; Microsoft, on another way out, is not."),
    Scene(fault="cloud-gw-dead", watch="Nearly all measurements fail. It is still one incident."),
    Scene(fault="wrong-psk", watch="Both ends configure a pre-shared key. Honest answer: it cannot be told which."),
    Scene(
        fault="onprem-gw-dead",
        watch="From the cloud alone the last mile and the gateway look the same. The second vantage settles it.",
        alone_too=True,
    ),
)


def refuse() -> str | None:
    """Return why this host must not run the demo, or None."""
    if Path("/etc/demarc").exists():
        return "/etc/demarc exists: demarc is installed here for real. Run the demo on another machine."
    # The lab's own daemons live in namespaces of their own and are no obstacle, nor are they one to us.
    own = Path("/proc/self/ns/net").readlink()
    for process in psutil.process_iter(["name"]):
        if process.info["name"] in ("charon", "charon-systemd", "starter"):
            try:
                if Path(f"/proc/{process.pid}/ns/net").readlink() == own:
                    return f"strongSwan runs on this host (pid {process.pid}). Run the demo on another machine."
            except OSError:
                continue
    return None


class Screen:
    """Lines for a person: headings, and a progress line that is rewritten on a terminal."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        self.started = time.monotonic()

    def say(self, text: str = "", indent: int = 0) -> None:
        """Print wrapped text."""
        pad = " " * indent
        for line in text.splitlines() or [""]:
            print(textwrap.fill(line, WIDTH, initial_indent=pad, subsequent_indent=pad), flush=True)

    def title(self, text: str) -> None:
        """Print a heading with the time since the start."""
        print(
            f"\n--- {text} {'-' * max(WIDTH - len(text) - 14, 3)} {time.monotonic() - self.started:4.0f} s", flush=True
        )

    def progress(self, text: str, *, done: bool = False) -> None:
        """Show how far it is; on a file only the end is written."""
        if self.live:
            print(f"\r\033[K    {text}", end="\n" if done else "", flush=True)
        elif done:
            print(f"    {text}", flush=True)


def state_of(agent: Agent) -> str:
    """Return `healthy`, `suspected` or `confirmed`, leaving out what already recovers."""
    states = {i["state"] for i in agent.incidents()} - {"recovering"}
    return next((s for s in ("confirmed", "suspected") if s in states), "healthy")


def watch(screen: Screen, agent: Agent) -> None:
    """Show the seconds until the fault is suspected and confirmed."""
    start, said = time.monotonic(), ""
    while (passed := time.monotonic() - start) < CONFIRM_SECONDS:
        state = state_of(agent)
        if state not in {said, "healthy"}:
            screen.progress(f"{state} after {passed:.1f} s", done=True)
            said = state
        if state == "confirmed":
            break
        screen.progress(f"{passed:4.1f} s  measuring …")
        time.sleep(0.05)
    else:
        raise LabError(f"nothing was confirmed within {CONFIRM_SECONDS:g} s\n{agent.last_words()}")
    time.sleep(SETTLE_SECONDS)


def show_page(screen: Screen, incidents: list[dict[str, Any]], names: dict[str, str]) -> None:
    """Print what the page to the addressed party would say."""
    for incident in incidents:
        finding = incident["kind"]
        if incident["parties"]:
            finding += f": {names[incident['parties'][0]]}"
        elif incident["candidates"]:
            finding += f" between {', '.join(names[c] for c in incident['candidates'])}"
        screen.say(f"PAGE to {incident['mover_name']}   [{finding}]", indent=4)
        screen.say(incident["summary"], indent=8)
        for sentence in incident["sentences"]:
            screen.say(f"- {sentence}", indent=8)


def alone(lab: Lab, agent: Agent) -> list[dict[str, Any]]:
    """Return what this agent's own observations prove without the other vantage."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "observations.jsonl"
        record.write_text("".join(json.dumps(o) + "\n" for o in agent.observations()))
        order = [console_command(), "replay", "--chain", str(lab.run_dir / "chain.yml"), "--format", "json"]
        result = subprocess.run([*order, str(record)], capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(result.stdout)["incidents"]
    return [incident for incident in found if incident["closed"] is None]


def play(screen: Screen, lab: Lab, agents: Agents, scene: Scene) -> None:
    """Break, show, heal."""
    cloud, fault = agents["cloud"], FAULTS[scene.fault]
    names = {p["id"]: p["name"] for p in cloud.ask("/api/v1/status")["parties"]}
    screen.title(scene.fault)
    screen.say(fault.does, indent=4)
    screen.say(scene.watch, indent=4)
    lab.break_(scene.fault)
    watch(screen, cloud)
    if scene.alone_too:
        for incident in alone(lab, cloud)[-1:]:
            who = ", ".join(names[c] for c in incident["candidates"])
            screen.say(
                f"The cloud's vantage alone: {incident['kind']} between {who}. With the second vantage:", indent=4
            )
    show_page(screen, cloud.confirmed_now(), names)
    lab.heal(scene.fault)
    took = max(agent.wait(Agent.passing, HEAL_SECONDS, "a healed chain") for agent in agents.by_vantage.values())
    screen.progress(f"healed; every measurement passes again after {took:.1f} s", done=True)


def walk(screen: Screen, lab: Lab, agents: Agents) -> None:
    """Show the healthy chain, then every scene."""
    screen.say(f"Status page (follow along): {page_address(agents['cloud'].socket)}")
    agents.wait_healthy()
    screen.title("the healthy chain, as `demarc status` shows it")
    status = [console_command(), "status", "--socket", str(agents["cloud"].socket)]
    subprocess.run(status, check=True)
    for scene in SCENES:
        play(screen, lab, agents, scene)


def show_record(screen: Screen, lab: Lab) -> None:
    """Check the record of what was just shown, and a copy of it that somebody has rewritten."""
    screen.title("the record, and one that somebody has rewritten")
    screen.say(verified(lab, "cloud", lab.run_dir / "cloud" / "data" / "ledger.db"), indent=4)
    screen.say('A copy in which every incident says "incumbent" where it said "carrier":', indent=4)
    told = verified(lab, "cloud", rewritten(lab, "cloud", "carrier", "incumbent")).splitlines()
    screen.say("\n".join(told[:3]), indent=4)


def main() -> int:
    """Run the demo; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab.demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the last fault instead of waiting for Ctrl-C")
    given = parser.parse_args()
    screen = Screen()
    if reason := refuse():
        screen.say(f"The demo does not run here: {reason}")
        return 1
    if shutil.which("nft") is None:
        screen.say("The demo needs Debian packages that are missing; run `make system` as root.")
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        screen.say(
            "Bringing up the lab: eleven hosts in network namespaces, a real strongSwan tunnel, cables that can break."
        )
        with Lab.up("demo", pace=SHOWN) as lab, Agents(lab) as agents:
            walk(screen, lab, agents)
            show_record(screen, lab)
            screen.title("done")
            screen.say(f"Break it yourself: {sys.executable} -m lab break --name demo FAULT (names: -m lab faults)")
            if not given.once:
                screen.say("The agents go on and the page stays up until Ctrl-C.")
                signal.pause()
    except KeyboardInterrupt:
        screen.say("\nThe lab is gone.")
    except LabError as error:
        screen.say(f"The demo could not go on: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
