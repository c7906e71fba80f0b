"""The kernel's IPsec state as bytes (linux/xfrm.h): security associations, policies, and its error counters.

Pure. What must stay true: any bytes give values or an XfrmError. A dump of associations holds their keys: of an
algorithm its name is read and nothing behind it, and no SPI goes into a name or a metric. pyroute2 has no reader of
this family, and one that decodes keys would be no help.
"""

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final

import msgspec

from probes.kit.netlink_message import NetlinkDecodeError, attributes

XFRM_MSG_GETSA: Final = 18
XFRM_MSG_GETPOLICY: Final = 21
# The multicast groups of what changes: associations that expire, come and go, and policies, as bits.
GROUPS: Final = 0x2 | 0x4 | 0x8

_NEWSA, _NEWPOLICY = 16, 19
_SELECTOR: Final = struct.Struct("=16s16s8xHBBB3xiI")  # xfrm_selector: daddr, saddr, ports, family, prefix lengths …
_ID: Final = struct.Struct("=16s4sB3x")  # xfrm_id: daddr, spi, proto
_LIMITS: Final = struct.Struct("=8Q")  # xfrm_lifetime_cfg: soft, hard bytes; packets; seconds since added, used
_CURRENT: Final = struct.Struct("=4Q")  # xfrm_lifetime_cur: bytes, packets, when added, when first used
_STATS: Final = struct.Struct("=III")  # xfrm_stats: replay window misses, replays, failed integrity checks
_SA_REST: Final = struct.Struct("=IIHBBB")  # sequence, reqid, family, mode, replay window, flags
_POLICY_REST: Final = struct.Struct("=IIBBBB")  # priority, index, direction, action, flags, share
_TEMPLATE: Final = struct.Struct("=16s4sB3xH2x16sI16x")  # xfrm_user_tmpl: id, family, saddr, reqid, …
_SA_BYTES: Final = 224  # xfrm_usersa_info, padded
_POLICY_BYTES: Final = 168  # xfrm_userpolicy_info, padded
_XFRMA_TMPL: Final = 5
_ALGORITHMS: Final = frozenset((1, 2, 3, 18, 20))  # authentication, encryption, compression, AEAD, truncated hash
_NAME_BYTES: Final = 64  # alg_name of xfrm_algo and its kin: the key stands behind it
_UNLIMITED: Final = 2**64 - 1
_LENGTHS: Final = MappingProxyType({2: 4, 10: 16})  # AF_INET, AF_INET6
_DIRECTIONS: Final = MappingProxyType({0: "in", 1: "out", 2: "fwd"})
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9()_,.+-]{0,63}\Z")
_COUNTER: Final = re.compile(r"(Xfrm[A-Za-z]{1,40})\s+([0-9]{1,20})\Z")


class XfrmError(ValueError):
    """What was read is no IPsec state; the text repeats nothing of it."""


class Association(msgspec.Struct, frozen=True, kw_only=True):
    """One security association. `spi` tells it from others and is shown nowhere. Times in UTC epoch seconds.

    `algorithms` are names; an association that is only being negotiated has none. Limits are None where there are
    none; `soft_seconds` and `hard_seconds` count from `added_at`.
    """

    source: str
    destination: str
    spi: str
    reqid: int
    algorithms: tuple[str, ...] = ()
    bytes: int = 0
    packets: int = 0
    added_at: int = 0
    soft_seconds: int | None = None
    hard_seconds: int | None = None
    soft_bytes: int | None = None
    hard_bytes: int | None = None
    replays: int = 0
    integrity_failures: int = 0


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """One policy that sends packets through a tunnel: between which networks, and between which gateways."""

    direction: str
    source: str
    destination: str
    local: str
    remote: str
    reqid: int
    priority: int = 0


def read_associations(messages: Iterable[tuple[int, bytes]]) -> tuple[Association, ...]:
    """Return the associations of a dump (message type, body)."""
    return tuple(_association(body) for kind, body in messages if kind == _NEWSA)


def _association(body: bytes) -> Association:
    if len(body) < _SA_BYTES:
        raise XfrmError("an association is cut off")
    destination, spi, _ = _ID.unpack_from(body, 56)
    source = body[80:96]
    limits = [None if value in {0, _UNLIMITED} else value for value in _LIMITS.unpack_from(body, 96)]
    counted, packets, added, _ = _CURRENT.unpack_from(body, 160)
    window, replays, failures = _STATS.unpack_from(body, 192)
    _, reqid, family, _, _, _ = _SA_REST.unpack_from(body, 204)
    named = (_algorithm(value) for kind, value in _attributes(body[_SA_BYTES:]) if kind in _ALGORITHMS)
    return Association(
        source=_address(family, source),
        destination=_address(family, destination),
        spi=spi.hex(),
        reqid=reqid,
        algorithms=tuple(dict.fromkeys(named)),  # a truncated hash is told twice, under its older name too
        bytes=counted,
        packets=packets,
        added_at=added,
        soft_bytes=limits[0],
        hard_bytes=limits[1],
        soft_seconds=limits[4],
        hard_seconds=limits[5],
        replays=window + replays,
        integrity_failures=failures,
    )


def _algorithm(value: bytes) -> str:
    """Return the name of an algorithm; what stands behind the name is its key."""
    name = value[:_NAME_BYTES].partition(b"\0")[0].decode("ascii", "replace")
    if not _NAME.match(name):
        raise XfrmError("an algorithm's name is none")
    return name


def read_policies(messages: Iterable[tuple[int, bytes]]) -> tuple[Policy, ...]:
    """Return the policies of a dump that lead through a tunnel; those that pass or block have no gateways."""
    found = (_policy(body) for kind, body in messages if kind == _NEWPOLICY)
    return tuple(policy for policy in found if policy is not None)


def _policy(body: bytes) -> Policy | None:
    if len(body) < _POLICY_BYTES:
        raise XfrmError("a policy is cut off")
    destination, source, family, length, source_length, _, _, _ = _SELECTOR.unpack_from(body)
    priority, _, direction, _, _, _ = _POLICY_REST.unpack_from(body, 152)
    templates = dict(_attributes(body[_POLICY_BYTES:])).get(_XFRMA_TMPL, b"")
    if direction not in _DIRECTIONS or len(templates) < _TEMPLATE.size:
        return None
    remote, _, _, outer, local, reqid = _TEMPLATE.unpack_from(templates)
    return Policy(
        direction=_DIRECTIONS[direction],
        source=f"{_address(family, source)}/{source_length}",
        destination=f"{_address(family, destination)}/{length}",
        local=_address(outer, local),
        remote=_address(outer, remote),
        reqid=reqid,
        priority=priority,
    )


def _address(family: int, value: bytes) -> str:
    if family not in _LENGTHS:
        raise XfrmError("an address is of no family")
    return str(ip_address(value[: _LENGTHS[family]]))


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    try:
        yield from attributes(data)
    except NetlinkDecodeError:
        raise XfrmError("a netlink attribute is cut off") from None


def read_statistics(text: str) -> Mapping[str, int]:
    """Return the counters of /proc/net/xfrm_stat by name (Linux, Documentation/networking/xfrm_proc.rst)."""
    matched = (_COUNTER.match(line) for line in text.splitlines())
    return {found[1]: int(found[2]) for found in matched if found is not None}
