"""What the probes of a site's identity cost: CPU time of an attempt, and as a share of a core at default intervals.

The controller is Samba, the exit squid, Microsoft and the Connect server's page are simulated, all in one network
namespace and in processes of their own. The share is that of a site with two controllers, each asked for everything,
its domain, its exit and one Connect server; the last row adds what asks Microsoft itself (the group `identity`).
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from probes import ad, adsync, entra_endpoints
from probes.kit.result import Outcome
from tests.directory import DC, LETS, PROXY, SERVER, Site, site
from tests.peers.probing import CLOCK, Kit
from tests.probes.adsync_pages import exposition
from tools.bench.identity import ATTEMPTS, GOAL, RUNS, entra_share, in_turns
from tools.bench.table import Row, spread

CONTROLLERS = 2


def measure() -> list[Row]:
    """Return the rows of this group."""
    with tempfile.TemporaryDirectory() as name, site(Path(name)) as made:
        made.start_controller()
        made.start_clock()
        made.start_edges()
        made.start_proxy()
        made.start_page()
        made.write_page(exposition({}))
        ours = {what: (times, attempts(made, module, settings)) for what, times, module, settings in questions(made)}
        turns = in_turns({what: run for what, (_times, run) in ours.items()})
    middles = {what: sorted(found)[RUNS // 2] for what, found in turns.items()}
    share = sum(times * middles[what] / interval(what) for what, (times, _run) in ours.items())
    rows = [Row(what=f"CPU of an attempt: {what}", measured=spread(found, "ms", 1e3)) for what, found in turns.items()]
    shown = f"two controllers, domain, exit and Connect server at {intervals()}, of a core"
    everything = "all identity probes together, those of the group identity included, of a core"
    return [
        *rows,
        Row(what=shown, measured=f"{share:.4%}", goal=GOAL),
        Row(what=everything, measured=f"{share + entra_share():.4%}", goal=GOAL),
    ]


def interval(what: str) -> float:
    """Return the default interval of what is measured."""
    module = {"adsync": adsync, "entra_endpoints": entra_endpoints}.get(what, ad)
    return float(module.SPEC.default_interval)


def intervals() -> str:
    """Return the default intervals in words."""
    return ", ".join(f"{m.SPEC.type} {m.SPEC.default_interval:g} s" for m in (ad, adsync, entra_endpoints))


def questions(made: Site) -> list[tuple[str, int, Any, Any]]:
    """Return what is asked: its name, how often a site has it, type and settings."""
    plain = ad.Settings(domain="corp.lab", target=DC, ca_file=str(made.authority.ca_file), server_name="dc1.corp.lab")
    checks = [(f"ad {check}", CONTROLLERS, ad, msgspec.structs.replace(plain, check=check)) for check in ad.KINDS]
    through = entra_endpoints.Settings(
        proxy=f"http://{PROXY}:{LETS}", ca_file=str(made.microsoft.ca_file), issuers=("Microsoft, simulated",)
    )
    return [
        *checks,
        ("ad of the domain", 1, ad, ad.Settings(domain="corp.lab", dns=DC)),
        ("adsync", 1, adsync, adsync.Settings(target=f"http://{SERVER}:9182/metrics")),
        ("entra_endpoints", 1, entra_endpoints, through),
    ]


def attempts(made: Site, module: Any, settings: Any) -> Callable[[], float]:
    """Return what makes some attempts, one after the other, and gives the CPU seconds of one."""

    async def go() -> float:
        async with module.open(Kit()) as runner:
            for number in range(ATTEMPTS + 1):
                if number == 1:  # the first one loads authorities and parsers
                    begin = time.process_time()
                result = await runner.attempt(settings, CLOCK.boot() + 5.0, fresh=True)
                if result.outcome is not Outcome.OK:
                    raise RuntimeError(result)
            return (time.process_time() - begin) / ATTEMPTS

    def run() -> float:
        with made.inside():
            return asyncio.run(go())

    return run
