"""The host's resolver files: hosts(5) and resolv.conf(5), text to values. Pure.

What must stay true: any text is read; what a line says that we do not know is left out, as the
system does. Of resolv.conf's options only `ndots` counts: time is the attempt's, and servers are
asked in their order.
"""

from typing import Final

import msgspec

from probes.kit.address import canonical, literal_family

_SERVERS: Final = 3  # MAXNS of resolv.conf(5)
_DOMAINS: Final = 6  # MAXDNSRCH before glibc 2.26; each is one more question
_MOST_DOTS: Final = 15  # resolv.conf(5)


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """What resolv.conf(5) says of servers, search domains and ndots."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    ndots: int = 1


def parse_resolv_conf(text: str) -> Configuration:
    """Read resolv.conf(5)."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    ndots = 1
    for line in text.splitlines():
        words = line.split("#", 1)[0].split(";", 1)[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver" and literal_family(words[1]) is not None:
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            search = tuple(word.strip(".") for word in words[1:] if word.strip("."))
        elif words[0] == "options":
            found = [word[6:] for word in words[1:] if word.startswith("ndots:") and word[6:].isascii()]
            ndots = next((min(int(number[:3]), _MOST_DOTS) for number in found if number.isdigit()), ndots)
    return Configuration(servers=tuple(servers[:_SERVERS]), search=search[:_DOMAINS], ndots=ndots)


def parse_hosts(text: str) -> dict[tuple[str, int], str]:
    """Read hosts(5) into (lower-case name, family) -> address; the first line wins."""
    found: dict[tuple[str, int], str] = {}
    for line in text.splitlines():
        words = line.split("#", 1)[0].split()
        family = literal_family(words[0]) if words else None
        if family is None:
            continue
        for name in words[1:]:
            found.setdefault((name.lower().removesuffix("."), family), canonical(words[0]))
    return found


def candidates(name: str, configuration: Configuration) -> tuple[str, ...]:
    """Return the names to ask for, in order (resolv.conf(5): search, ndots; a final dot is absolute)."""
    if name.endswith("."):
        return (name,)
    searched = tuple(f"{name}.{domain}" for domain in configuration.search)
    return (name, *searched) if name.count(".") >= configuration.ndots else (*searched, name)
