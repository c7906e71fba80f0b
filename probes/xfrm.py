"""xfrm: the kernel's IPsec policies against its security associations, for gateways whose daemon cannot be asked.

What must stay true: both are this kernel's word about a state and prove nothing of the way, so every fail accuses
the whole path; a kernel that does not let us ask is `unknown`. No key and no SPI leaves the parser. The kernel tells
by itself when an association comes or goes, and the probes then ask at once.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Final

import msgspec

from probes.kit.address import literal_family
from probes.kit.netlink_dump import NETLINK_XFRM, NetlinkDump
from probes.kit.result import Result, Stage, unknown
from probes.kit.spec import Evidence, Fault, Flow, Kit, Metric, Spec
from probes.kit.tunnel_state import METRICS
from probes.kit.xfrm_message import (
    GROUPS,
    XFRM_MSG_GETPOLICY,
    XFRM_MSG_GETSA,
    XfrmError,
    read_associations,
    read_policies,
    read_statistics,
)
from probes.kit.xfrm_tunnels import Asked, Kernel, Watched, statistics, watch

STATISTICS: Final = Path("/proc/net/xfrm_stat")
# What follows the header of a dump's request is attributes to the kernel: an identity there, as a single question has
# it, makes it write "24 bytes leftover" into its log each time.
_ALL: Final = b""
# Events read in one turn of the loop; each is some hundred bytes, and what they say is asked for anyway.
_EVENTS: Final = 100
# Then the loop belongs to others: short enough that a change's end is seen, long enough that a storm costs little.
_REST_SECONDS: Final = 0.05


class Settings(Asked, frozen=True, kw_only=True):
    """Through which gateway, and to which far network."""


SPEC: Final = Spec(
    type="xfrm",
    summary="The kernel's IPsec policies against its associations. Sees only the host it runs on.",
    settings=Settings,
    key_help={
        "target": "Outer address of the peer's gateway, as the policies of this host's kernel name it.",
        "network": "Far network whose tunnel must stand (`10.20.0.0/16`), as the policy has it; without it all.",
    },
    faults=(
        Fault(
            "not-configured",
            Stage.CONNECT,
            "The kernel has no policy that sends packets to that gateway.",
            "`ip xfrm policy` on this host: is the IPsec daemon running, has it loaded the tunnel?",
        ),
        Fault(
            "sa-missing",
            Stage.CONNECT,
            "There is a policy, and no pair of associations for it.",
            "Read the IPsec daemon's log: no answer, no proposal chosen, or authentication failed.",
        ),
        Fault(
            "sa-one-way",
            Stage.CONNECT,
            "There is an association in one direction only.",
            "One side has forgotten what the other still uses: compare both gateways, have the tunnel set up anew.",
        ),
        Fault(
            "sa-expired",
            Stage.CONNECT,
            "The association's hard limit has passed.",
            "The rekeying failed: compare lifetimes and proposals of both gateways.",
        ),
        Fault(
            "sa-errors",
            Stage.CONNECT,
            "Packets failed the integrity or replay check since the reading before (degraded).",
            "Keys that differ, packets reordered beyond the replay window, or somebody else's packets.",
        ),
        Fault(
            "unanswered",
            Stage.CONNECT,
            "Packets went into the tunnel for a while and none came out (degraded).",
            "A probe through the tunnel says whether that is a fault; compare the counters of the peer's gateway.",
        ),
        Fault("netlink-error", None, "The kernel could not be asked, or its answer not be read.", "See the detail."),
        Fault("xfrm-silent", None, "The kernel did not answer in time.", "Look at the load of this host."),
        Fault(
            "no-permission",
            None,
            "The kernel shows IPsec state only to CAP_NET_ADMIN.",
            "See docs/vpn.md: the right to see associations is the right to change them and to read their keys.",
        ),
    ),
    phases=("query",),
    metrics=(
        *METRICS,
        Metric("xfrm_expiry_seconds", "Time until the next association must not be used any more."),
        Metric(
            "xfrm_replay_errors_total",
            "Packets that associations refused as replayed or too old.",
            counter=True,
        ),
        Metric("xfrm_integrity_errors_total", "Packets whose integrity check failed.", counter=True),
        Metric(
            "xfrm_in_errors_total",
            "Received IPsec packets that this kernel dropped.",
            counter=True,
        ),
        Metric("xfrm_in_no_states_total", "Of these: packets for which there was no association.", counter=True),
        Metric("xfrm_out_errors_total", "Packets that this host's kernel could not send through IPsec.", counter=True),
        Metric("xfrm_out_no_states_total", "Of these: packets for which there was no association.", counter=True),
    ),
    evidence=Evidence.STATE,
    default_interval=5.0,
    leaves_traces="none on the wire; CAP_NET_ADMIN is full control of this host's network",
)


def flow(settings: Settings) -> Flow:
    """Return the flow: a question to this host's kernel; ValueError says which key is wrong."""
    if literal_family(settings.target) is None:
        raise ValueError(f"{settings.target!r} is no plain address; policies name gateways by address")
    try:
        ip_network(settings.network or "0.0.0.0/0")
    except ValueError:
        raise ValueError(f"network: {settings.network!r} is no network; write it as `10.20.0.0/16`") from None
    return Flow(
        host=settings.target,
        protocol="netlink",
        function="xfrm",
        connect_bytes=0,
        carry_bytes=0,
        carries=() if settings.network is None else (settings.network,),
    )


class XfrmRunner:
    """Shared by all xfrm probes: what was seen, and a socket on which the kernel tells of changes."""

    def __init__(self, kit: Kit) -> None:
        self._clock = kit.clock
        self._seen: dict[Settings, Watched] = {}
        self._changed: Callable[[str], None] = lambda _: None
        self._events: socket.socket | None = None
        self._rest: asyncio.TimerHandle | None = None

    def hear(self, changed: Callable[[str], None]) -> None:
        """Call `changed` with the gateway of every probe so far when an association or policy comes or goes."""
        self._changed = changed
        self.close()
        try:
            self._events = _open_events()
        except OSError:  # not allowed: the attempts say so
            return
        self._listen()

    def _listen(self) -> None:
        self._rest = None
        if self._events is not None:
            asyncio.get_running_loop().add_reader(self._events.fileno(), self._told)

    def _told(self) -> None:
        """Tell of a burst of changes once, and then rest: a gateway that rekeys many tunnels wakes us rarely."""
        if self._events is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._events.fileno())
        self._rest = loop.call_later(_REST_SECONDS, self._listen)
        drain(self._events)
        for target in {settings.target for settings in self._seen}:
            self._changed(target)

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:  # noqa: ARG002 - every question has a socket of its own
        """Ask the kernel and judge its answer; ends by `deadline` (boot-time seconds)."""
        began = self._clock.boot()
        errors = await asyncio.to_thread(_statistics)
        try:
            async with asyncio.timeout(max(0.0, deadline - self._clock.boot())):
                kernel = await _ask(errors, self._clock.wall())
        except TimeoutError:
            return unknown("xfrm-silent", "no answer about IPsec state in time", values=statistics(errors))
        except XfrmError as error:
            return unknown("netlink-error", str(error), values=statistics(errors))
        except OSError as error:
            fault = "no-permission" if error.errno in {errno.EPERM, errno.EACCES} else "netlink-error"
            return unknown(fault, error.strerror or type(error).__name__, values=statistics(errors))
        now = self._clock.boot()
        before = self._seen.get(settings, Watched())
        self._seen[settings], result = watch(before, settings, kernel, now)
        return msgspec.structs.replace(result, seconds=now - began, phases={"query": now - began})

    def close(self) -> None:
        """Hear no more."""
        if self._rest is not None:
            self._rest.cancel()
        if self._events is not None:
            asyncio.get_running_loop().remove_reader(self._events.fileno())
            self._events.close()
            self._events = None


def _open_events() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    events = socket.socket(socket.AF_NETLINK, kind, NETLINK_XFRM)
    try:
        events.bind((0, GROUPS))
    except OSError:
        events.close()
        raise
    return events


def drain(events: socket.socket) -> None:
    """Read what is there, and none of what it says: that is asked for anew. More than the queue holds is no trouble."""
    with contextlib.suppress(OSError):
        for _ in range(_EVENTS):
            events.recv(1)


def _statistics() -> Mapping[str, int]:
    try:
        return read_statistics(STATISTICS.read_text("ascii"))
    except (OSError, UnicodeDecodeError):
        return {}


async def _ask(errors: Mapping[str, int], wall: float) -> Kernel:
    dump = NetlinkDump(NETLINK_XFRM)
    try:
        policies = read_policies(await dump.ask(XFRM_MSG_GETPOLICY, _ALL))
        associations = read_associations(await dump.ask(XFRM_MSG_GETSA, _ALL))
    finally:
        dump.close()
    return Kernel(policies=policies, associations=associations, errors=errors, wall=wall)


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator[XfrmRunner]:  # noqa: A001 - the name of the probe interface
    """Open the shared runner; nothing is asked before the first attempt."""
    runner = XfrmRunner(kit)
    try:
        yield runner
    finally:
        runner.close()
