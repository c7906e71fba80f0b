"""What a WireGuard interface tells of its peers: the user-space socket's text and the kernel's netlink bytes.

Text: https://www.wireguard.com/xplatform/, *Configuration Protocol*. Bytes: linux/wireguard.h, generic netlink.
What must stay true: pure, and any input gives peers or a WireguardError. Both forms hold the interface's private
key and the peers' preshared keys: they are passed over here and stand in no value, no error and no log. Hence the
kernel's bytes are read here and not by pyroute2, which turns every key into text of its messages.
"""

import struct
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final

import msgspec

from probes.kit.netlink_message import NetlinkDecodeError, attribute, attributes

KEY_BYTES: Final = 32
QUESTION: Final = b"get=1\n\n"
FAMILY_NAME: Final = "wireguard"

# linux/genetlink.h
GENL_ID_CTRL: Final = 16
_GENL: Final = struct.Struct("=BBH")  # genlmsghdr: command, version, reserved
_CTRL_CMD_GETFAMILY, _CTRL_ATTR_FAMILY_ID, _CTRL_ATTR_FAMILY_NAME = 3, 1, 2
# linux/wireguard.h
_WG_CMD_GET_DEVICE, _WGDEVICE_A_IFNAME, _WGDEVICE_A_PEERS = 0, 2, 8
_PUBLIC_KEY, _ENDPOINT, _KEEPALIVE, _HANDSHAKE, _RECEIVED, _SENT, _ALLOWED = 1, 4, 5, 6, 7, 8, 9
_KERNEL_TOLD: Final = frozenset((_PUBLIC_KEY, _ENDPOINT, _KEEPALIVE, _HANDSHAKE, _RECEIVED, _SENT, _ALLOWED))
_ALLOWED_ADDRESS, _ALLOWED_MASK = 2, 3
_TIME: Final = struct.Struct("=qq")  # struct __kernel_timespec
_ADDRESSES: Final = MappingProxyType({2: slice(4, 8), 10: slice(8, 24)})  # AF_INET, AF_INET6: in struct sockaddr_in(6)
_SHORT: Final = struct.Struct("=H")
_PORT: Final = struct.Struct("!H")


class WireguardError(ValueError):
    """What was read is no answer about a WireGuard interface; the text repeats nothing of it."""


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """One peer by its public key (base64). `handshake_at` in UTC epoch seconds, None before the first one.

    `endpoint` is `address:port` as it was last heard from; `keepalive_seconds` None when switched off.
    """

    key: str
    endpoint: str | None = None
    handshake_at: float | None = None
    received_bytes: int = 0
    sent_bytes: int = 0
    keepalive_seconds: int | None = None
    allowed: tuple[str, ...] = ()


def is_key(text: str) -> bool:
    """Return whether `text` is a key in base64."""
    try:
        return len(b64decode(text, validate=True)) == KEY_BYTES
    except ValueError:
        return False


def read_text(data: bytes) -> tuple[Peer, ...]:
    """Return the peers of the user-space socket's answer."""
    blocks: list[list[tuple[bytes, bytes]]] = []
    refusal = None
    for line in data.split(b"\n"):
        name, _, value = line.partition(b"=")
        if name == b"errno":
            refusal = value
        elif name == b"public_key":
            blocks.append([(name, value)])
        elif blocks and name in _TOLD:
            blocks[-1].append((name, value))
    if refusal is None:
        raise WireguardError("the answer has no end")
    if refusal != b"0":
        raise WireguardError("the interface refuses the question")
    return tuple(_text_peer(block) for block in blocks)


# What is read of a peer; every other line, the keys above all, is passed over.
_TOLD: Final = frozenset(
    (
        b"endpoint",
        b"last_handshake_time_sec",
        b"last_handshake_time_nsec",
        b"rx_bytes",
        b"tx_bytes",
        b"persistent_keepalive_interval",
        b"allowed_ip",
    )
)


def _text_peer(block: list[tuple[bytes, bytes]]) -> Peer:
    told = dict(block)

    def number(name: bytes) -> int:
        return _number(told.get(name, b"0"))

    return Peer(
        key=_hex_key(told[b"public_key"]),
        endpoint=_address(told[b"endpoint"]) if b"endpoint" in told else None,
        handshake_at=_moment(number(b"last_handshake_time_sec"), number(b"last_handshake_time_nsec")),
        received_bytes=number(b"rx_bytes"),
        sent_bytes=number(b"tx_bytes"),
        keepalive_seconds=number(b"persistent_keepalive_interval") or None,
        allowed=tuple(_address(value) for name, value in block if name == b"allowed_ip"),
    )


def _address(value: bytes) -> str:
    # The longest: a bracketed IPv6 address with its zone (IFNAMSIZ) and port.
    if not 0 < len(value) <= 72 or not value.isascii() or not value.decode("ascii").isprintable():
        raise WireguardError("an address is none")
    return value.decode("ascii")


def _number(value: bytes) -> int:
    # 20 digits hold every 64-bit counter.
    if not value.isdigit() or len(value) > 20:
        raise WireguardError("a number is none")
    return int(value)


def _hex_key(value: bytes) -> str:
    try:
        key = bytes.fromhex(value.decode("ascii"))
    except ValueError:
        raise WireguardError("a public key is none") from None
    return _key(key)


def _key(key: bytes) -> str:
    if len(key) != KEY_BYTES:
        raise WireguardError("a public key has another length")
    return b64encode(key).decode("ascii")


def _moment(seconds: int, nanoseconds: int) -> float | None:
    return seconds + nanoseconds / 1e9 if seconds > 0 or nanoseconds > 0 else None


def family_question() -> tuple[int, bytes]:
    """Return type and body of the question for the number that the kernel gave WireGuard's messages."""
    name = attribute(_CTRL_ATTR_FAMILY_NAME, FAMILY_NAME.encode() + b"\0")
    return GENL_ID_CTRL, _GENL.pack(_CTRL_CMD_GETFAMILY, 1, 0) + name


def read_family(messages: Iterable[tuple[int, bytes]]) -> int:
    """Return that number."""
    for _, body in messages:
        number = dict(_attributes(body[_GENL.size :])).get(_CTRL_ATTR_FAMILY_ID, b"")
        if len(number) >= _SHORT.size:
            return int(_SHORT.unpack_from(number)[0])
    raise WireguardError("the kernel gives no number for WireGuard's messages")


def device_question(family: int, interface: str) -> tuple[int, bytes]:
    """Return type and body of the question about an interface."""
    return family, _GENL.pack(_WG_CMD_GET_DEVICE, 1, 0) + attribute(_WGDEVICE_A_IFNAME, interface.encode() + b"\0")


def read_messages(messages: Iterable[tuple[int, bytes]]) -> tuple[Peer, ...]:
    """Return the peers of the kernel's answer; a peer that goes on in the next message is one."""
    found: dict[str, Peer] = {}
    for _, body in messages:
        for kind, value in _attributes(body[_GENL.size :]):
            if kind == _WGDEVICE_A_PEERS:
                for _, told in _attributes(value):
                    peer = _kernel_peer(told)
                    before = found.get(peer.key)
                    more = peer.allowed if before is None else before.allowed + peer.allowed
                    found[peer.key] = msgspec.structs.replace(before or peer, allowed=more)
    return tuple(found.values())


def _kernel_peer(data: bytes) -> Peer:
    told = {kind: value for kind, value in _attributes(data) if kind in _KERNEL_TOLD}
    handshake = told.get(_HANDSHAKE, b"")
    return Peer(
        key=_key(told.get(_PUBLIC_KEY, b"")),
        endpoint=_endpoint(told[_ENDPOINT]) if _ENDPOINT in told else None,
        handshake_at=_moment(*_TIME.unpack(handshake)) if len(handshake) == _TIME.size else None,
        received_bytes=int.from_bytes(told.get(_RECEIVED, b""), sys.byteorder),
        sent_bytes=int.from_bytes(told.get(_SENT, b""), sys.byteorder),
        keepalive_seconds=int.from_bytes(told.get(_KEEPALIVE, b""), sys.byteorder) or None,
        allowed=tuple(_allowed(value) for _, value in _attributes(told.get(_ALLOWED, b""))),
    )


def _endpoint(value: bytes) -> str:
    family = _SHORT.unpack_from(value)[0] if len(value) >= 4 else 0
    address = value[_ADDRESSES[family]] if family in _ADDRESSES else b""
    if len(address) not in {4, 16}:
        raise WireguardError("an endpoint is none")
    port = _PORT.unpack_from(value, 2)[0]
    return f"[{ip_address(address)}]:{port}" if len(address) == 16 else f"{ip_address(address)}:{port}"


def _allowed(value: bytes) -> str:
    told = dict(_attributes(value))
    address, mask = told.get(_ALLOWED_ADDRESS, b""), told.get(_ALLOWED_MASK, b"")
    if len(address) not in {4, 16} or len(mask) != 1:
        raise WireguardError("an allowed address is none")
    return f"{ip_address(address)}/{mask[0]}"


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    try:
        yield from attributes(data)
    except NetlinkDecodeError:
        raise WireguardError("a netlink attribute is cut off") from None
