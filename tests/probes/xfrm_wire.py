"""The kernel's IPsec structures as linux/xfrm.h declares them, laid out by ctypes: an encoder that is not ours.

No kernel here has ESP; tests/lab/test_xfrm.py reads what this one can hold (policies, associations under negotiation).
"""

import ctypes
import struct
from ipaddress import ip_address

KEY = b"canary-esp-key-0123456789abcdef!"
U8, U16, U32, U64 = ctypes.c_uint8, ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64
# A union with 32-bit members: that gives its alignment.
Address = U32 * 4


class Selector(ctypes.Structure):
    """struct xfrm_selector."""

    _fields_ = (
        ("daddr", Address),
        ("saddr", Address),
        ("dport", U16),
        ("dport_mask", U16),
        ("sport", U16),
        ("sport_mask", U16),
        ("family", U16),
        ("prefixlen_d", U8),
        ("prefixlen_s", U8),
        ("proto", U8),
        ("ifindex", ctypes.c_int),
        ("user", U32),
    )


class Id(ctypes.Structure):
    """struct xfrm_id."""

    _fields_ = (("daddr", Address), ("spi", U32), ("proto", U8))


class Limits(ctypes.Structure):
    """struct xfrm_lifetime_cfg."""

    _fields_ = tuple(
        (name, U64)
        for name in (
            "soft_bytes",
            "hard_bytes",
            "soft_packets",
            "hard_packets",
            "soft_add",
            "hard_add",
            "soft_use",
            "hard_use",
        )
    )


class Current(ctypes.Structure):
    """struct xfrm_lifetime_cur."""

    _fields_ = (("bytes", U64), ("packets", U64), ("add_time", U64), ("use_time", U64))


class SaInfo(ctypes.Structure):
    """struct xfrm_usersa_info."""

    _fields_ = (
        ("sel", Selector),
        ("id", Id),
        ("saddr", Address),
        ("lft", Limits),
        ("curlft", Current),
        ("replay_window", U32),
        ("replay", U32),
        ("integrity_failed", U32),
        ("seq", U32),
        ("reqid", U32),
        ("family", U16),
        ("mode", U8),
        ("window", U8),
        ("flags", U8),
    )


class PolicyInfo(ctypes.Structure):
    """struct xfrm_userpolicy_info."""

    _fields_ = (
        ("sel", Selector),
        ("lft", Limits),
        ("curlft", Current),
        ("priority", U32),
        ("index", U32),
        ("dir", U8),
        ("action", U8),
        ("flags", U8),
        ("share", U8),
    )


class Template(ctypes.Structure):
    """struct xfrm_user_tmpl."""

    _fields_ = (
        ("id", Id),
        ("family", U16),
        ("saddr", Address),
        ("reqid", U32),
        ("mode", U8),
        ("share", U8),
        ("optional", U8),
        ("aalgos", U32),
        ("ealgos", U32),
        ("calgos", U32),
    )


def address(text: str) -> "ctypes.Array[ctypes.c_uint32]":
    """Return an xfrm_address_t."""
    return Address.from_buffer_copy(ip_address(text).packed.ljust(16, b"\0"))


def family(text: str) -> int:
    """Return AF_INET or AF_INET6."""
    return {4: 2, 6: 10}[ip_address(text).version]


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def algorithm(kind: int, name: str) -> bytes:
    """Return an algorithm with its key, as XFRMA_ALG_AEAD and its kin hold it."""
    return attribute(kind, name.encode().ljust(64, b"\0") + struct.pack("=II", len(KEY) * 8, 128) + KEY)


def association(
    source: str,
    destination: str,
    spi: int,
    *,
    reqid: int = 7,
    counted: tuple[int, int] = (0, 0),
    added: int = 0,
    limits: tuple[int, int] = (0, 0),
    refused: tuple[int, int, int] = (0, 0, 0),
    larval: bool = False,
) -> tuple[int, bytes]:
    """Return XFRM_MSG_NEWSA: bytes and packets counted, soft and hard seconds, packets refused."""
    info = SaInfo(saddr=address(source), reqid=reqid, family=family(source), mode=1)
    info.id.daddr, info.id.spi, info.id.proto = address(destination), spi, 50
    info.curlft.bytes, info.curlft.packets, info.curlft.add_time = *counted, added
    info.lft.soft_add, info.lft.hard_add = limits
    info.lft.soft_bytes = info.lft.hard_bytes = info.lft.soft_packets = info.lft.hard_packets = 2**64 - 1
    info.replay_window, info.replay, info.integrity_failed = refused
    more = b"" if larval else algorithm(18, "rfc4106(gcm(aes))")
    return 16, bytes(info) + more + attribute(99, b"later")


def policy(
    source: str,
    destination: str,
    local: str,
    remote: str,
    *,
    direction: int = 1,
    reqid: int = 7,
    tunnel: bool = True,
) -> tuple[int, bytes]:
    """Return XFRM_MSG_NEWPOLICY between two networks; without a tunnel it only passes."""
    info = PolicyInfo(priority=375423, index=9, dir=direction)
    near, near_bits = source.split("/")
    far, far_bits = destination.split("/")
    info.sel = Selector(
        daddr=address(far),
        saddr=address(near),
        family=family(far),
        prefixlen_d=int(far_bits),
        prefixlen_s=int(near_bits),
    )
    template = Template(family=family(local), saddr=address(local), reqid=reqid, mode=1)
    template.id.daddr, template.id.proto = address(remote), 50
    return 19, bytes(info) + (attribute(5, bytes(template)) if tunnel else b"")
