"""What `demarc doctor` finds of the kernel's and WireGuard's tunnels: may we ask, and is this the gateway at all.

A VPN's state is seen on the host where the tunnel ends and nowhere else: a host that is not the gateway sees only its
own traffic, and would call every tunnel missing. One attempt a probe, as the agent would make it; nothing is changed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from agent.clock import SystemClock
from agent.daemon.finding import FAIL, OK, WARN, Finding
from agent.daemon.runners import SharedKit, load_module
from agent.model import Probe
from probes.kit.resolver import SystemResolver
from probes.kit.result import Outcome, Result

TYPES: Final = ("wireguard", "xfrm")
ANSWER_SECONDS: Final = 1.0
_OWN: Final = "sees only its own traffic: the tunnels that end on this host"
_ELSEWHERE: Final = "run the probe on the gateway where the tunnel ends, or correct `target`"


async def attempt(probe: Probe) -> Result:
    """Make one attempt, as `demarc probe` does."""
    clock = SystemClock()
    async with load_module(probe.type).open(SharedKit(clock, SystemResolver(clock))) as runner:
        return await runner.attempt(probe.settings, clock.boot() + ANSWER_SECONDS, fresh=True)


async def tunnels(
    probes: tuple[Probe, ...], ask: Callable[[Probe], Awaitable[Result]] = attempt
) -> AsyncIterator[Finding]:
    """Make one attempt of every probe that reads this host's own tunnels."""
    for probe in probes:
        if probe.type in TYPES:
            yield _finding(probe, await ask(probe))


def _finding(probe: Probe, result: Result) -> Finding:
    subject = f"probe {probe.id}"
    text = f"{probe.type} {probe.target}: {result.detail or result.outcome.value}; {_OWN}"
    if result.fault == "not-configured":
        return Finding(subject=subject, state=WARN, text=text, remedy=_ELSEWHERE)
    if result.outcome is Outcome.UNKNOWN:
        fault = next(row for row in load_module(probe.type).SPEC.faults if row.name == result.fault)
        # Nothing was sent lately: we may ask, and are answered.
        state = WARN if fault.name == "idle" else FAIL
        return Finding(subject=subject, state=state, text=f"{text}. {fault.meaning}", remedy=fault.remedy)
    return Finding(subject=subject, state=OK, text=text)
