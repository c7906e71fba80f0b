"""The kinds of roles: what can be broken, in words that a reader of a finding understands. Pure.

A segment is not one thing that works or does not: it forwards, lets through, carries, answers and resolves, each for
itself. Which probe proves and which accuses a role is in `agent.diagnosis.roles`.
"""

from ipaddress import ip_address
from typing import NamedTuple

# What forwards at all forwards packets of this size: the datagram that every IPv4 host must accept
# (RFC 791, 3.2) and the smallest MTU of an IPv6 link (RFC 8200, 5). Holes begin above it.
SMALL_PACKET = {4: 576, 6: 1280}


class Crossed(NamedTuple):
    """`segment` forwards packets of `family` as large as `size` bytes."""

    segment: str
    family: int
    size: int

    def __str__(self) -> str:
        """Return the role in words."""
        return f"{self.segment} forwards IPv{self.family} packets of {self.size} bytes"


def plain_address(text: str) -> str:
    """Return an address in its one written form (RFC 5952), without its zone; other text as it is."""
    try:
        return str(ip_address(text.partition("%")[0]))
    except ValueError:
        return text


def crossed(segment: str, family: int, size: int) -> Crossed:
    """Return the crossed role for packets of `size` bytes; small ones are all of one kind."""
    return Crossed(segment, family, max(size, SMALL_PACKET[family]))


class Filtered(NamedTuple):
    """`segment` lets this flow through, coming from `before` (its direction)."""

    segment: str
    before: str
    protocol: str
    port: int | None
    host: str

    def __str__(self) -> str:
        """Return the role in words."""
        port = f"/{self.port}" if self.port else ""
        return f"{self.segment} lets {self.protocol}{port} from {self.before or 'itself'} through to {self.host}"


class Answers(NamedTuple):
    """`segment` answers at this address, protocol and port; `function` is empty for the bare port."""

    segment: str
    host: str
    protocol: str
    port: int | None
    function: str

    def __str__(self) -> str:
        """Return the role in words."""
        port = f"/{self.port}" if self.port else ""
        what = f" ({self.function})" if self.function else ""
        return f"{self.segment} answers {self.protocol}{port} at {self.host}{what}"


class Resolves(NamedTuple):
    """`segment` resolves `name`."""

    segment: str
    name: str

    def __str__(self) -> str:
        """Return the role in words."""
        return f"{self.segment} resolves {self.name}"


class Carried(NamedTuple):
    """The tunnel `segment` carries packets between the host of `source` and this address.

    A tunnel's two ends agree on the addresses for which it stands; others are dropped without a word, while the
    tunnel is up and forwards (RFC 7296 section 2.9, traffic selectors).
    """

    segment: str
    source: str
    host: str

    def __str__(self) -> str:
        """Return the role in words."""
        return f"{self.segment} carries packets from {self.source} to {self.host}"


Role = Crossed | Filtered | Carried | Answers | Resolves
# Roles of what lies on the way; the others are of a path's end.
ON_THE_WAY = Crossed | Filtered | Carried

__all__ = [
    "ON_THE_WAY",
    "SMALL_PACKET",
    "Answers",
    "Carried",
    "Crossed",
    "Filtered",
    "Resolves",
    "Role",
    "crossed",
    "plain_address",
]
