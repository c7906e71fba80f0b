"""Which tunnels carry packets between which addresses: what is accused with a silent target, and on whose word cleared.

A tunnel may stand for some addresses of a site and not for the next, while what lies behind it answers nothing at all
either way. Where the chain file says for which networks a tunnel was agreed, whoever is silent behind it accuses it for
that very address, until a packet to that address has crossed it, or its gateway says that it stands for all that was
agreed. What must stay true: a pass to one address says nothing of another; what is configured at the gateway counts for
nothing, since it can have been changed with the fault. Without agreed networks a tunnel is a segment like any other.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from agent.diagnosis.role import Carried, Role, plain_address
from agent.model import Chain, Probe


def tunnel_segment(chain: Chain, probe: Probe) -> str:
    """Return the segment that a probe of a VPN type speaks of: its path's one on the line, else its last."""
    on_the_line = [name for name in probe.path if chain.segments[name].side == "line"]
    return on_the_line[-1] if on_the_line else probe.path[-1]


class Tunnels:
    """The tunnels of a chain; immutable after construction."""

    def __init__(self, chain: Chain) -> None:
        told = [p for p in chain.probes.values() if p.flow.carries]
        self._side = {name: segment.side for name, segment in chain.segments.items()}
        self._of = {p.key: tunnel_segment(chain, p) for p in told}
        self._segments = frozenset(self._of.values())
        self._agreed = {p.key: tuple(ip_network(one) for one in p.flow.carries or ()) for p in told}

    def carried(self, probe: Probe, upto: int | None = None) -> tuple[Carried, ...]:
        """Return what the tunnels among the first `upto` segments carry, or all that its packets cross."""
        if not self._segments or probe.flow.local or probe.key in self._of:
            return ()
        crossed = (*probe.path[:-1], *probe.back) if upto is None else probe.path[:upto]
        host = plain_address(probe.flow.host)
        return tuple(Carried(s, probe.path[0], host) for s in dict.fromkeys(crossed) if s in self._segments)

    def told(self, probe: Probe, roles: Iterable[Role]) -> tuple[Carried, ...]:
        """Return those of `roles` that the good word of `probe` clears.

        Names that are asked for from its own side lie in its networks.
        """
        agreed = self._agreed.get(probe.key)
        if not agreed:
            return ()
        own = [role for role in roles if isinstance(role, Carried) and role.segment == self._of[probe.key]]
        beside = self._side[probe.path[0]]
        return tuple(role for role in own if _within(role.host, agreed, named=self._side[role.source] == beside))


def _within(host: str, networks: Iterable[IPv4Network | IPv6Network], *, named: bool) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return named
    return any(address in network for network in networks)


__all__ = ["Tunnels", "tunnel_segment"]
