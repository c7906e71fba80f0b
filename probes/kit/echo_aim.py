"""Where an echo goes: a literal address as Python's sockets and as the kernel want it, and as replies carry it."""

import socket
import struct
from typing import cast

from probes.kit.address import address_family
from probes.kit.echo_burst import Aim


def aim_at(address: str, family: int) -> Aim:
    """Return the aim at a literal address, its scope resolved; OSError for a scope that this host does not have."""
    found = socket.getaddrinfo(address, 0, family=address_family(family), flags=socket.AI_NUMERICHOST)
    where = cast("tuple[str, int]", found[0][4])  # or four for IPv6; sendto(2) takes either
    packed = socket.inet_pton(address_family(family), where[0].split("%", 1)[0])
    if family == 4:
        return Aim(where, packed, struct.pack("=HH4s8x", socket.AF_INET, 0, packed))
    scope = cast("tuple[str, int, int, int]", where)[3]
    return Aim(where, packed, struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, packed, scope))
