"""Ask an IKE daemon from the namespace that this runs in; one JSON line with each attempt's fault and notification.

usage: python -m tests.peers.ike_asking TARGET COUNT [--accept] [--nat-traversal] [--within SECONDS]

The clock leaps over the spacing before every attempt but the first. `--accept` is the counter-test: the
proposal is one that the peer accepts.
"""

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable

from probes.ike import SPACING_SECONDS, IkeRunner, Settings, build_request
from probes.kit.packets import Template, Transform, open_workshop
from tests.peers.test_ike import LeapingKit

# aes128gcm16-prfsha256-x25519, as the tests' connection has it.
ACCEPTABLE = (Transform(type=1, id=20, key_bits=128), Transform(type=2, id=5), Transform(type=4, id=31))


async def build_acceptable() -> Template:
    """Return a request that the peer accepts."""
    async with open_workshop() as workshop:
        return await workshop.build_ike_sa_init(ACCEPTABLE)


async def ask(settings: Settings, count: int, within: float, build: Callable[[], Awaitable[Template]]) -> list[object]:
    """Return (fault, notification, detail, by) of so many attempts."""
    kit = LeapingKit()
    runner = IkeRunner(kit, build)
    found: list[object] = []
    try:
        await runner.prepared()
        for _ in range(count):
            result = await runner.attempt(settings, kit.clock.boot() + within)
            found.append([result.fault, result.values.get("ike_notify_type"), result.detail, result.by])
            kit.clock.ahead += SPACING_SECONDS
    finally:
        await runner.close()
    return found


def main() -> None:
    """Read the command line and print what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("count", type=int)
    parser.add_argument("--accept", action="store_true")
    parser.add_argument("--nat-traversal", action="store_true")
    parser.add_argument("--within", type=float, default=1.0)
    chosen = parser.parse_args()
    settings = Settings(target=chosen.target, nat_traversal=chosen.nat_traversal)
    build = build_acceptable if chosen.accept else build_request
    print(json.dumps(asyncio.run(ask(settings, chosen.count, chosen.within, build))))  # noqa: T201 - its output


if __name__ == "__main__":
    main()
