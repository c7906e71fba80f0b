"""IPsec state in a network namespace of its own, and the xfrm probe that looks at it while it changes.

Run by test_xfrm.py only, in a fresh namespace: prints one JSON object, step name -> the probe's result. This kernel
has no ESP, so no association ever holds keys here; policies, an association under negotiation and events are real.
"""

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import msgspec

from probes import xfrm
from probes.kit.result import Result
from tests.peers.probing import CLOCK, Kit, open_descriptors

SETTINGS = xfrm.Settings(target="192.0.2.2", network="10.2.0.0/24")
POLICY = "src 10.1.0.0/24 dst 10.2.0.0/24 dir out"
TEMPLATE = "tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 7 mode tunnel"
# After this user takes over, the kernel shows no IPsec state any more.
NOBODY = 65534


def sh(command: str) -> None:
    """Run a shell command that must succeed."""
    subprocess.run(command, shell=True, check=True, capture_output=True)


async def ask(runner: xfrm.XfrmRunner) -> Result:
    """Make one attempt."""
    return await runner.attempt(SETTINGS, CLOCK.boot() + 20.0)


async def steps() -> dict[str, Any]:
    """Return every step's result."""
    found: dict[str, Any] = {}
    async with xfrm.open(Kit()) as runner:
        heard: asyncio.Queue[str] = asyncio.Queue()
        runner.hear(heard.put_nowait)
        found["nothing"] = await ask(runner)
        sh(f"ip xfrm policy add {POLICY} {TEMPLATE}")
        found["event"] = await asyncio.wait_for(heard.get(), 20)
        found["policy"] = await ask(runner)
        sh("ip xfrm state allocspi src 192.0.2.1 dst 192.0.2.2 proto esp reqid 7 mode tunnel min 0x1000 max 0x2000")
        found["under negotiation"] = await ask(runner)
        sh("ip xfrm state flush && ip xfrm policy flush")
        found["flushed"] = await ask(runner)
        held = open_descriptors()
        await ask(runner)
        found["descriptors"] = open_descriptors() - held
        await asyncio.to_thread(os.seteuid, NOBODY)
        found["no permission"] = await ask(runner)
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(msgspec.to_builtins(asyncio.run(steps()))))
