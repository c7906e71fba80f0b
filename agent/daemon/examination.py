"""What `demarc doctor` looks at: what this host lacks to run the configured probes, and the remedy.

Every check is a function from the configuration to findings; none changes anything on the host, and
none raises for what it finds. It sees with the rights of the user that runs it.
"""

import asyncio
import os
import resource
import shutil
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec

from agent.clock import Clock
from agent.daemon.examination_tunnels import tunnels
from agent.daemon.examination_vici import vici
from agent.daemon.finding import FAIL, OK, WARN, Finding
from agent.daemon.host_reader import stolen_and_all
from agent.daemon.http_client import FetchError, get
from agent.daemon.intake import Intake
from agent.daemon.kernel_clock import read_kernel_clock
from agent.daemon.peers import ANSWER_SECONDS, ask
from agent.daemon.permissions import permissions
from agent.model import Chain, Host, Peer, Probe
from probes.kit.resolver import ResolveError, SystemResolver
from probes.kit.secret import CREDENTIAL, secret_path

# The store's and the ledger's months; below this a disk is full within weeks.
FREE_BYTES = 500_000_000
# Averaged over days; seconds in which a tenth is missing come at this average already.
STEAL_OFTEN = 0.02
# A thousand attempts in flight, two descriptors each, and the rest of the process.
DESCRIPTORS = 2_500
# As docs/operations.md has it; a mere change of user lacks what the unit grants.
_AS_THE_UNIT = "systemd-run -qP -p User=demarc -p AmbientCapabilities=CAP_NET_RAW"
_CAN_OPEN = (
    f"the unit grants CAP_NET_RAW: start this with it too ({_AS_THE_UNIT} …); without the unit, grant it to the agent "
    "or set net.ipv4.ping_group_range to its group"
)


async def examine(host: Host, chain: Chain, clock: Clock) -> AsyncIterator[Finding]:
    """Yield every finding, the quick ones first."""
    own = chain.probes_of(host.vantage)
    for finding in (
        *packages(),
        *user(),
        *data_directory(Path(host.data)),
        *descriptors(),
        *clock_state(),
        *stolen_time(),
        *probing_rights(own),
        *files(own),
    ):
        yield finding
    async for finding in vici(own):
        yield finding
    async for finding in tunnels(own):
        yield finding
    async for finding in names(own, clock):
        yield finding
    async for finding in permissions(own, clock):
        yield finding
    async for finding in others(host, chain, clock):
        yield finding


def packages() -> Iterator[Finding]:
    """Check that the import packages `agent` and `probes` are demarc's and belong together."""
    import agent  # noqa: PLC0415 - the packages themselves are what is looked at
    import probes  # noqa: PLC0415

    places = [Path(str(module.__file__)).resolve().parent.parent for module in (agent, probes)]
    if places[0] == places[1]:
        yield Finding(subject="packages", state=OK, text=f"demarc {agent.__version__} in {places[0]}")
    else:
        yield Finding(
            subject="packages",
            state=FAIL,
            text=f"`agent` comes from {places[0]} and `probes` from {places[1]}",
            remedy="install demarc-agent into an environment of its own",
        )
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding(subject="python", state=OK, text=version)


def user() -> Iterator[Finding]:
    """Say as whom we look: root sees rights that the agent's user may not have."""
    if os.geteuid() == 0:
        yield Finding(
            subject="user",
            state=WARN,
            text="this runs as root; the rights found here are not those of the agent",
            remedy=f"run it as the agent does: {_AS_THE_UNIT} /opt/demarc/bin/demarc doctor --config.file …",
        )


def data_directory(folder: Path) -> Iterator[Finding]:
    """Check that the data directory can be written and has room."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        yield Finding(
            subject="data",
            state=FAIL,
            text=f"{nearest} cannot be written",
            remedy=f"install -d -o demarc -g demarc -m 0750 {folder}",
        )
        return
    free = shutil.disk_usage(nearest).free
    room = f"{folder}, {free / 1e9:.1f} GB free"
    if free < FREE_BYTES:
        yield Finding(subject="data", state=WARN, text=room, remedy="make room: recording stops when the disk is full")
    else:
        yield Finding(subject="data", state=OK, text=room)


def descriptors() -> Iterator[Finding]:
    """Check the limit of open files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    state = OK if soft >= DESCRIPTORS else WARN
    remedy = "" if state == OK else "raise LimitNOFILE= of the unit when there are more than a few hundred probes"
    yield Finding(subject="open files", state=state, text=f"at most {soft}", remedy=remedy)


def clock_state() -> Iterator[Finding]:
    """Ask the kernel whether its clock is synchronised (adjtimex(2))."""
    clock = read_kernel_clock()
    if clock is not None and clock.synchronised:
        text = f"synchronised, wrong by at most {clock.error * 1e3:.0f} ms"
        yield Finding(subject="clock", state=OK, text=text)
        return
    yield Finding(
        subject="clock",
        state=WARN,
        text="the kernel does not call it synchronised" if clock else "its state cannot be read",
        remedy="run chrony or systemd-timesyncd: evidence of two vantages is compared by wall time",
    )


def stolen_time() -> Iterator[Finding]:
    """Tell what the hypervisor took of the processor since the host started."""
    try:
        with Path("/proc/stat").open("rb") as file:
            ticks = stolen_and_all(file.read(256))
    except OSError:
        ticks = None
    if ticks is None or not ticks[1]:
        return
    share = ticks[0] / ticks[1]
    remedy = "give the virtual machine a reserved processor: what it misses is missing in its measurements"
    often = share > STEAL_OFTEN
    text = f"{share:.1%} was taken by the hypervisor since the start"
    yield Finding(subject="processor", state=WARN if often else OK, text=text, remedy=remedy if often else "")


def probing_rights(probes: tuple[Probe, ...]) -> Iterator[Finding]:
    """Try to open what the ICMP probes need, for each address family in use."""
    families = sorted({probe.flow.family for probe in probes if probe.flow.protocol.startswith("icmp")})
    for family in families:
        constant, protocol = (
            (socket.AF_INET6, socket.IPPROTO_ICMPV6) if family == 6 else (socket.AF_INET, socket.IPPROTO_ICMP)
        )
        kind = next((k for k in (socket.SOCK_DGRAM, socket.SOCK_RAW) if _opens(constant, k, protocol)), None)
        if kind is None:
            text = f"no socket for IPv{family} echo may be opened: those probes stay unknown"
            yield Finding(subject="icmp", state=FAIL, text=text, remedy=_CAN_OPEN)
        else:
            name = "datagram" if kind == socket.SOCK_DGRAM else "raw"
            yield Finding(subject="icmp", state=OK, text=f"IPv{family} echo by a {name} socket")


def _opens(family: int, kind: int, protocol: int) -> bool:
    try:
        socket.socket(family, kind, protocol).close()
    except OSError:
        return False
    return True


def files(probes: tuple[Probe, ...]) -> Iterator[Finding]:
    """Check that the files which settings name can be read."""
    named = {
        (probe.id, str(getattr(probe.settings, field)))
        for probe in probes
        for field in getattr(probe.settings, "__struct_fields__", ())
        if field.endswith("_file") and getattr(probe.settings, field)
    }
    for name, path in sorted(named):
        if path.startswith(CREDENTIAL) and "CREDENTIALS_DIRECTORY" not in os.environ:
            text = f"{path} is handed to the agent by systemd; it is not to be seen from here"
            yield Finding(subject=f"probe {name}", state=WARN, text=text)
        elif not _readable(path):
            yield Finding(
                subject=f"probe {name}",
                state=FAIL,
                text=f"{path} cannot be read",
                remedy="give the agent's user the right to read it, or hand it over with LoadCredential= of the unit",
            )


def _readable(path: str) -> bool:
    try:
        return os.access(secret_path(path), os.R_OK)
    except OSError:
        return False


async def names(probes: tuple[Probe, ...], clock: Clock) -> AsyncIterator[Finding]:
    """Resolve the names that probes use."""
    resolver = SystemResolver(clock)
    wanted = sorted({(probe.flow.host, probe.flow.family) for probe in probes if probe.flow.named})
    for name, family in wanted:
        try:
            address = await resolver.resolve(name, family, clock.boot() + 2.0)
        except ResolveError as error:
            text = f"{name} does not resolve now: {error.fault} {error.detail}".strip()
            remedy = "not fatal, the probe tells it as its own fault; check /etc/resolv.conf"
            yield Finding(subject="names", state=WARN, text=text, remedy=remedy)
        else:
            yield Finding(subject="names", state=OK, text=f"{name} is {address}")


async def others(host: Host, chain: Chain, clock: Clock) -> AsyncIterator[Finding]:
    """Ask the peers and the Alertmanagers."""
    for peer in host.peers:
        yield await _peer(peer, chain, clock)
    for url in host.alertmanagers:
        try:
            tls = await asyncio.to_thread(default_tls) if url.startswith("https:") else None
            answer = await get(f"{url.rstrip('/')}/-/ready", tls=tls, within_seconds=ANSWER_SECONDS, most_bytes=100_000)
            trouble = "" if answer.status == 200 else f"HTTP status {answer.status}"
        except FetchError as error:
            trouble = str(error)
        remedy = "without it nobody is paged; incidents are kept and sent when it answers" if trouble else ""
        state = FAIL if trouble else OK
        yield Finding(subject="alertmanager", state=state, text=f"{url} {trouble}".strip(), remedy=remedy)


def default_tls() -> ssl.SSLContext:
    """Return the context that trusts what the system trusts."""
    return ssl.create_default_context()


async def _peer(peer: Peer, chain: Chain, clock: Clock) -> Finding:
    subject, intake = f"peer {peer.vantage}", Intake(peer.vantage, chain)
    # A round that never comes: the peer answers with what it is and without observations.
    question = msgspec.structs.replace(intake.question(), since_round=2**53)
    asked = clock.boot()
    try:
        answer = await ask(peer, question)
    except FetchError as error:
        remedy = "start the agent there, open the way; this agent goes on alone"
        return Finding(subject=subject, state=WARN, text=f"{peer.url}: {error}", remedy=remedy)
    took = clock.boot() - asked
    seen, _ = intake.answer(question, answer.status, answer.headers, answer.body, now=clock.wall(), took=took)
    if seen.detail:
        remedy = "nothing of it is merged until `url`, chain file, key and clock are as agreed"
        return Finding(subject=subject, state=FAIL, text=f"{peer.url}: {seen.detail}", remedy=remedy)
    if not seen.signed:
        remedy = f"write what `demarc ledger key` prints there as `vantages.{peer.vantage}.key` in the chain file"
        return Finding(subject=subject, state=WARN, text="answers, same chain, but not signed", remedy=remedy)
    return Finding(subject=subject, state=OK, text="answers, same chain, signed")
