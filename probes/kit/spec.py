"""What a probe type declares about itself, as data.

The loader validates the chain file with it, `demarc probes` prints it, and the diagnosis reads
from it what a pass and a fail of that type prove. A probe module exports

    SPEC: Spec
    def flow(settings) -> Flow                 # raises ValueError: what is wrong with the target
    def open(kit) -> AsyncContextManager[Runner]
"""

import builtins
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import msgspec

from probes.kit.result import Result, Stage


class Evidence(StrEnum):
    """What a pass proves.

    `path`: packets crossed every segment of the path just now. `state`: somebody's word about a
    state (an SA, a time stamp); it proves that the last segment answers and nothing on the way,
    while a fail accuses the whole path.
    """

    PATH = "path"
    STATE = "state"


class Pace(StrEnum):
    """How a type confirms: in the shared rounds, or at its own pace (slow sources)."""

    ROUND = "round"
    OWN = "own"


_LOCAL_PROTOCOLS = frozenset({"netlink", "unix"})


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """The packets that an attempt sends: what firewalls, `check --flows` and the diagnosis see.

    `host` is the address or name as written, `function` names what must answer there (for a web
    probe its URL). `connect_bytes` and `carry_bytes` are the largest packets (bytes on the wire,
    with IP header) until the connection stands, and after it. `also` are further destinations that
    an attempt may need: the firewall request lists them, the diagnosis knows only this one.
    `packets`: at most so many an attempt, both directions together; 0: what its protocol usually takes.
    `carries`: this probe speaks of a tunnel, and a good result says that it stands for all of these networks
    (CIDR, as agreed); empty: none were written down; None: it speaks of no tunnel, or cannot tell for which.
    """

    host: str
    protocol: str
    port: int | None = None
    family: int = 4
    function: str
    connect_bytes: int = 60
    carry_bytes: int = 60
    named: bool = False
    also: tuple["Flow", ...] = ()
    lasts: float = 0.0
    packets: int = 0
    carries: tuple[str, ...] | None = None

    @property
    def local(self) -> bool:
        """Return whether nothing leaves this host: a socket of a neighbour process, or the kernel's own word."""
        return self.protocol in _LOCAL_PROTOCOLS


class Fault(msgspec.Struct, frozen=True):
    """One row of a type's fault table; `stage` None marks an `unknown` (we could not look)."""

    name: str
    stage: Stage | None
    meaning: str
    remedy: str


class Metric(msgspec.Struct, frozen=True):
    """What a type adds for each of its probes: name without prefix, base unit in it.

    A gauge; a `counter` only rises, its name ends in `_total`, and the agent's start sets it to anything.
    """

    name: str
    help: str
    counter: bool = False


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """A probe type. `settings` is a frozen msgspec struct: the keys that the type adds to a probe.

    Field types used: str, int, float, bool, Literal, tuple[str, ...] (a file may hold one text for it),
    Duration (seconds as float), dict[str, str]; a default makes a key optional. `key_help` documents
    each key for the reference.
    `minimum_interval`: seconds below which a file is refused, for what burdens others. `segment_keys`: keys whose
    mapping has names of segments on its left. `path_facts`: the facts of its results speak of the whole path (as
    those of evidence `state` do), not of what answers.
    """

    type: str
    summary: str
    settings: builtins.type[msgspec.Struct]
    key_help: dict[str, str]
    faults: tuple[Fault, ...]
    phases: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()
    evidence: Evidence = Evidence.PATH
    pace: Pace = Pace.ROUND
    default_interval: float = 1.0
    default_timeout: float = 1.0
    minimum_interval: float = 0.0
    segment_keys: tuple[str, ...] = ()
    path_facts: bool = False
    leaves_traces: str = ""


class Duration(float):
    """Seconds; written in files as `1s`, `250ms`, `2m`, `1h`, `3d` or a bare number of seconds."""


class Clock(Protocol):
    """Boot time for scheduling and durations, wall time for records; both in seconds."""

    def boot(self) -> float:
        """Return seconds since boot, counting suspend; never steps."""
        ...

    def wall(self) -> float:
        """Return UTC epoch seconds; may step."""
        ...


class Resolver(Protocol):
    """Names to addresses, one family at a time, kept for their TTL."""

    def known(self, name: str, family: int) -> str | None:
        """Return the address that holds without a question: a literal, the hosts file, an answer within its TTL."""
        ...

    async def resolve(self, name: str, family: int, deadline: float) -> str:
        """Return one address; raise `ResolveError` with a fault name of the `resolve` stage."""
        ...


class Kit(Protocol):
    """What the agent lends to every runner."""

    @property
    def clock(self) -> Clock:
        """Return the injected clocks."""
        ...

    @property
    def resolver(self) -> Resolver:
        """Return the shared resolver."""
        ...


class Runner(Protocol):
    """One per type and agent; shared by all probes of the type, safe to call concurrently."""

    async def attempt(self, settings: Any, deadline: float, *, fresh: bool = False) -> Result:
        """Make one attempt that ends by `deadline` (boot-time seconds).

        `fresh` asks for a new socket and id (confirmation). Never raises for what the network or
        the host does; anything raised is a bug and is counted as `unknown`.
        """
        ...


@runtime_checkable
class BatchRunner(Runner, Protocol):
    """A runner whose steady attempts share system calls and wake-ups, because each is a packet out and one back.

    On every tick of its wheel the agent calls `harvest`, then `launch` for what is due, then `flush`; on ticks
    after `harvest` returned None, and without a launch, neither.
    Kernel time stamps, not the tick, give the durations. Confirmations still go through `attempt`.
    """

    def harvest(self) -> float | None:
        """Take what has arrived and end what is past its deadline, calling each `done` once.

        Return the earliest deadline under way (boot-time seconds), None when nothing is.
        """
        ...

    def launch(self, settings: Any, deadline: float, done: Callable[[Result], None]) -> bool:
        """Queue one attempt for the next `flush`; False when this one needs `attempt` (a name to resolve)."""
        ...

    def flush(self) -> float | None:
        """Send what was queued; return when the next turn is needed at the latest, None for whenever."""
        ...


@runtime_checkable
class EventRunner(Runner, Protocol):
    """A runner whose sources tell by themselves when something changed."""

    def hear(self, changed: Callable[[str], None]) -> None:
        """Call `changed`, in the loop's thread, with the host of the flow whose probes are worth an attempt now."""
        ...


class ProbeModule(Protocol):
    """The shape of a module in `probes`."""

    SPEC: Spec

    def flow(self, settings: Any) -> Flow:
        """Return the flow of these settings; ValueError names what is wrong with the target."""
        ...

    def open(self, kit: Kit) -> AbstractAsyncContextManager[Runner]:
        """Open the shared runner."""
        ...
