"""Screenshots of the real page of a real agent in the lab: healthy, and in each fault of the demo.

    python -m tools.lab_shots FOLDER [FAULT ...]

Needs root (the lab's namespaces) and Chromium. Prints what the page's cards say beside the pictures.
"""

import sys
import tempfile
import time
from pathlib import Path

from lab.agents import Agent, Agents
from lab.api import Lab
from lab.chainfile import SHOWN
from lab.demo import SCENES
from lab.relay import page_address
from tests.peers.browser import Browser
from tools.page_shots import shoot

CONFIRM_SECONDS = 30.0
HEAL_SECONDS = 60.0


def pictures(browser: Browser, url: str, folder: Path, name: str) -> None:
    """Take the page on a desktop in English and on a phone in Dutch."""
    shoot(browser, f"{url}?lang=en", folder / f"{name}-desktop.png")
    shoot(browser, f"{url}?lang=nl", folder / f"{name}-phone.png", mobile=True)


def main() -> int:
    """Walk through the faults."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    faults = sys.argv[2:] or [scene.fault for scene in SCENES]
    with Lab.up("shots", pace=SHOWN) as lab, Agents(lab) as agents, tempfile.TemporaryDirectory() as profile:
        browser = Browser(profile)
        cloud, urls = agents["cloud"], {v: page_address(agent.socket, 0) for v, agent in agents.by_vantage.items()}
        agents.wait_healthy()
        time.sleep(2)
        pictures(browser, urls["cloud"], folder, "healthy")
        for fault in faults:
            lab.break_(fault)
            cloud.wait(lambda agent: bool(agent.confirmed_now()), CONFIRM_SECONDS, f"a finding on {fault}")
            time.sleep(3)
            for vantage, url in urls.items():
                pictures(browser, url, folder, f"{fault}-{vantage}")
            for incident in cloud.confirmed_now():
                print(f"{fault}: {incident['summary']}", *incident["sentences"], sep="\n    ", flush=True)
            lab.heal(fault)
            for agent in agents.by_vantage.values():
                agent.wait(Agent.passing, HEAL_SECONDS, "a healed chain")
            cloud.wait(lambda agent: not agent.incidents(), HEAL_SECONDS, "a closed incident")
        pictures(browser, urls["cloud"], folder, "healed")
        browser.close()
    print("\n".join(browser.complaints) or f"pictures in {folder}, no complaints")
    return 1 if browser.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
