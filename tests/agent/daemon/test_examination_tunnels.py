"""`demarc doctor` on tunnels: the right to ask, and whether this host is the gateway."""

import asyncio

import msgspec
import pytest

from agent.daemon.examination_tunnels import attempt, tunnels
from agent.daemon.finding import FAIL, OK, WARN, Finding
from agent.model import Probe
from probes.kit.result import Outcome, Result, Stage, failed, unknown
from probes.wireguard import Settings
from tests.agent.samples import probe

WIREGUARD = probe("site", "cloud", "wireguard", "wg0", "cloud-host vpn")
KERNEL = probe("kernel", "cloud", "xfrm", "203.0.113.2", "cloud-host vpn")
OWN = "sees only its own traffic: the tunnels that end on this host"

CASES: dict[str, tuple[Probe, Result, str, str]] = {
    "it stands": (WIREGUARD, Result(outcome=Outcome.OK, detail="site: last handshake 5 s ago"), OK, ""),
    "it is down: that is the probe's word, not the doctor's": (
        KERNEL,
        failed(Stage.CONNECT, "sa-missing", detail="0 out, 0 in"),
        OK,
        "",
    ),
    "not the gateway": (KERNEL, failed(Stage.CONNECT, "not-configured", detail="no policy"), WARN, "on the gateway"),
    "may not ask": (KERNEL, unknown("no-permission", "Operation not permitted"), FAIL, "docs/vpn.md"),
    "no module": (WIREGUARD, unknown("no-wireguard", "wg0"), FAIL, "Load its module"),
    "nothing was sent": (WIREGUARD, unknown("idle", "never heard"), WARN, "PersistentKeepalive"),
}


def found(item: Probe, result: Result) -> list[Finding]:
    """Return what is found of one probe that gives this result."""

    async def ask(_: Probe) -> Result:
        return result

    async def collect() -> list[Finding]:
        return [finding async for finding in tunnels((item,), ask)]

    return asyncio.run(collect())


@pytest.mark.parametrize("case", CASES)
def test_each_finding_says_whose_tunnels_are_seen(case: str) -> None:
    """Whatever is found, a reader learns that another host's tunnels are not seen from here."""
    item, result, state, remedy = CASES[case]
    (finding,) = found(item, result)
    assert (finding.state, finding.subject) == (state, f"probe {item.id}")
    assert OWN in finding.text
    assert remedy in finding.remedy


def test_other_types_are_left_to_others() -> None:
    """A probe of the network is no tunnel's."""
    assert found(probe("gw", "cloud", "icmp", "10.10.0.1", "cloud-host cloud-gw"), unknown("timeout")) == []


def test_an_attempt_is_the_probes_own() -> None:
    """The doctor asks as the agent would: a socket where nobody listens is told."""
    item = probe("site", "cloud", "wireguard", "/nowhere/wg0.sock", "cloud-host vpn")

    item = msgspec.structs.replace(item, settings=Settings(target=item.target))

    async def ask() -> Result:
        return await attempt(item)

    result = asyncio.run(ask())
    assert (result.outcome, result.fault) == (Outcome.UNKNOWN, "wireguard-unreachable")
