"""What the running agent sees of its own host: the reader for the self-check, and the kernel's word of changes.

What must stay true: whatever changes, the reader looks anew before anybody hears of the change; where the
kernel may not be asked or heard, the host is looked at all the same, once a round.
"""

from collections.abc import Callable

from agent.clock import Clock
from agent.daemon.attempts import Log
from agent.daemon.host_reader import Reader
from agent.daemon.host_watch import HostWatch
from agent.model import Chain
from probes.kit.address import literal_family
from probes.kit.netlink_socket import Changes, Ways


class HostSight:
    """Made in the loop's thread; `changed` hears of each change, or burst of changes, of links and routes."""

    def __init__(self, clock: Clock, log: Log, changed: Callable[[], None]) -> None:
        self._heard = changed
        self._ways = open_ways()
        self.reader = Reader(clock, device_of=self._ways.device if self._ways else None)
        self.watch = HostWatch(self._changed, log)

    def configure(self, chain: Chain, vantage: str) -> None:
        """Take up a chain: the addresses to which its probes send packets are those whose way matters."""
        self.reader.reach(plain_targets(chain, vantage))

    def start(self) -> None:
        """Begin to hear of changes."""
        self.watch.start()
        self.reader.told = self.watch.listening

    def close(self) -> None:
        """Hear no more, and release what is open."""
        self.watch.stop()
        self.reader.close()
        if self._ways is not None:
            self._ways.close()

    def _changed(self, changes: Changes) -> None:
        self.reader.told = self.watch.listening
        self.reader.changed(changes.lost)
        self._heard()


def plain_targets(chain: Chain, vantage: str) -> tuple[str, ...]:
    """Return the addresses, written as such in the chain file, to which a vantage's probes send packets."""
    flows = (probe.flow for probe in chain.probes_of(vantage) if not probe.flow.local)
    return tuple(flow.host for flow in flows if literal_family(flow.host) is not None and "%" not in flow.host)


def open_ways() -> Ways | None:
    """Return what asks the kernel for ways, None where we may not ask."""
    try:
        return Ways()
    except OSError:
        return None
