"""smokeping with 500 targets: its memory, and the CPU time of an echo with all that it does for one.

It asks through fping and keeps each round in a file a target (RRD); a round of five echoes takes it 25 seconds.
"""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

TARGETS = 500
PINGS = 5
STEP_SECONDS = 30
ROUNDS = 2
CONFIG = """*** General ***
owner = nobody
contact = nobody@example.org
mailhost = localhost
imgcache = {folder}
imgurl = img
datadir = {folder}
piddir = {folder}
cgiurl = http://localhost/
smokemail = /etc/smokeping/smokemail
tmail = /etc/smokeping/tmail
*** Alerts ***
to = nobody@example.org
from = nobody@example.org
*** Database ***
step = {step}
pings = {pings}
AVERAGE 0.5 1 1008
*** Presentation ***
template = /etc/smokeping/basepage.html
+ overview
width = 600
height = 50
range = 10h
+ detail
width = 600
height = 200
unison_tolerance = 2
"Last 3 Hours" 3h
*** Probes ***
+ FPing
binary = {fping}
offset = 0%
*** Targets ***
probe = FPing
menu = Top
title = Top
{targets}
"""


def installed() -> bool:
    """Say whether it is there, and what it asks through."""
    return shutil.which("smokeping") is not None and shutil.which("fping") is not None


def measure(network: str) -> tuple[float, float]:
    """Return its RSS in MB after some rounds, and CPU seconds an echo (its children's too) over these."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "config"
        targets = "\n".join(
            f"+ t{n}\nmenu = t{n}\ntitle = t{n}\nhost = {network}.{n // 250 + 1}.{n % 250 + 1}" for n in range(TARGETS)
        )
        file.write_text(
            CONFIG.format(folder=name, step=STEP_SECONDS, pings=PINGS, fping=shutil.which("fping"), targets=targets)
        )
        order = ["smokeping", f"--config={file}", "--nodaemon"]
        with subprocess.Popen(order, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
            process = psutil.Process(started.pid)
            time.sleep(STEP_SECONDS)  # the first round, which makes the files
            before = sum(process.cpu_times()[:4])
            time.sleep(ROUNDS * STEP_SECONDS)
            found = process.memory_info().rss / 1e6, (sum(process.cpu_times()[:4]) - before)
            started.terminate()
            started.wait(10)
    return found[0], found[1] / (ROUNDS * TARGETS * PINGS)
