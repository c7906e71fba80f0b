"""Targets as written in a chain file, read into hosts, ports and families.

Pure. Every function returns a value or raises ValueError with a sentence that says what to write.
"""

import re
import socket
from typing import Final

import msgspec

_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z")
_FAMILIES: Final = {4: socket.AF_INET, 6: socket.AF_INET6}
# How many targets a runner keeps read: more probes than one agent runs.
KEPT: Final = 8192
FAMILY_HELP: Final = "Address family, 4 or 6; a literal address decides by itself."


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a probe goes: an address or a name, a port (None for icmp), and family 4 or 6."""

    host: str
    port: int | None
    family: int
    named: bool


def address_family(family: int) -> socket.AddressFamily:
    """Return the socket constant of family 4 or 6."""
    return _FAMILIES[family]


def literal_family(host: str) -> int | None:
    """Return 4 or 6 when `host` is a literal address (a scope as in `fe80::1%eth0` allowed), else None."""
    for family, constant in _FAMILIES.items():
        try:
            socket.inet_pton(constant, host.split("%", 1)[0] if family == 6 else host)
        except (OSError, ValueError):
            continue
        return family
    return None


def canonical(address: str) -> str:
    """Return a literal address in the kernel's own spelling, without a scope."""
    bare = address.split("%", 1)[0]
    family = literal_family(bare)
    if family is None:
        return address
    constant = _FAMILIES[family]
    return socket.inet_ntop(constant, socket.inet_pton(constant, bare))


def is_name(text: str) -> bool:
    """Return whether `text` can be a host name (RFC 1123, with underscores)."""
    bare = text.removesuffix(".")
    if not bare or len(bare) > 253:
        return False
    labels = bare.split(".")
    return all(_LABEL.match(label) for label in labels) and not labels[-1].isdigit()


def host_endpoint(host: str, family: int, port: int | None = None) -> Endpoint:
    """Return the endpoint of a host without a port in its text; ValueError says what is wrong."""
    literal = literal_family(host)
    if literal is None:
        if not is_name(host):
            raise ValueError(f"{host!r} is neither an IP address nor a host name")
        return Endpoint(host=host, port=port, family=family, named=True)
    if literal == 4 and family == 6:
        raise ValueError(f"{host} is an IPv4 address but `family` is 6; write `family: 4` or an IPv6 address")
    if _is_group(canonical(host), literal):
        raise ValueError(f"{host} is not the address of one host; write a unicast address")
    return Endpoint(host=host, port=port, family=literal, named=False)


def split_port(text: str) -> tuple[str, int | None]:
    """Split `host`, `host:port`, `[v6]`, `[v6]:port` or a bare v6 address; ValueError says what is wrong."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or literal_family(host) != 6 or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r}: write an IPv6 address with a port as `[2001:db8::1]:443`")
        return host, _port(rest[1:], text) if rest else None
    if literal_family(text) == 6:
        return text, None
    host, colon, port = text.partition(":")
    return host, _port(port, text) if colon else None


def endpoint(text: str, family: int, default_port: int | None = None) -> Endpoint:
    """Return the endpoint of `host:port`; without a port `default_port`, ValueError when that is None."""
    host, port = split_port(text)
    if port is None and default_port is None:
        shown = f"[{host}]" if literal_family(host) == 6 else host
        raise ValueError(f"{text!r} has no port; write `{shown}:PORT`")
    return host_endpoint(host, family, port if port is not None else default_port)


def _port(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65535 and len(text) <= 5):
        raise ValueError(f"{whole!r}: the port must be a number from 1 to 65535")
    return int(text)


def _is_group(address: str, family: int) -> bool:
    packed = socket.inet_pton(_FAMILIES[family], address)
    if family == 6:
        return packed[0] == 0xFF or not any(packed)
    return packed[0] >= 224 or packed[0] == 0  # 224/4 multicast, 240/4 reserved and broadcast, 0/8 this host
