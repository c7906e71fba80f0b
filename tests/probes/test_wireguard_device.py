"""WireGuard's two answers, text and netlink: peers or a typed error, and never a secret key."""

import base64
import errno
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.generic.wireguard import wgmsg

from probes.kit.netlink_message import NetlinkDecodeError, part, question
from probes.kit.wireguard_device import (
    GENL_ID_CTRL,
    Peer,
    WireguardError,
    device_question,
    family_question,
    is_key,
    read_family,
    read_messages,
    read_text,
)

PRIVATE, PRESHARED = b"canary-private-key-" + bytes(13), b"canary-preshared-k-" + bytes(13)
ONE, OTHER = bytes(range(32)), bytes(range(32, 64))
KEY, OTHER_KEY = base64.b64encode(ONE).decode(), base64.b64encode(OTHER).decode()
PEER = Peer(
    key=KEY,
    endpoint="203.0.113.2:51820",
    handshake_at=1_795_442_000.5,
    received_bytes=1200,
    sent_bytes=3400,
    keepalive_seconds=25,
    allowed=("10.20.0.0/16", "2001:db8::/48"),
)
# As wireguard-go 0.0.20220316 answers (keys replaced, one peer that nobody spoke to yet).
TEXT = (
    b"private_key=" + PRIVATE.hex().encode() + b"\nlisten_port=51820\nfwmark=12\n"
    b"public_key=" + ONE.hex().encode() + b"\npreshared_key=" + PRESHARED.hex().encode() + b"\nprotocol_version=1\n"
    b"endpoint=203.0.113.2:51820\nlast_handshake_time_sec=1795442000\nlast_handshake_time_nsec=500000000\n"
    b"tx_bytes=3400\nrx_bytes=1200\npersistent_keepalive_interval=25\n"
    b"allowed_ip=10.20.0.0/16\nallowed_ip=2001:db8::/48\n"
    b"public_key=" + OTHER.hex().encode() + b"\npreshared_key=" + bytes(32).hex().encode() + b"\nprotocol_version=1\n"
    b"last_handshake_time_sec=0\nlast_handshake_time_nsec=0\ntx_bytes=0\nrx_bytes=0\npersistent_keepalive_interval=0\n"
    b"errno=0\n\n"
)


def by_pyroute2(*peers: dict[str, Any]) -> bytes:
    """Return the body of a kernel's message, written by pyroute2: no kernel here has WireGuard."""
    message = wgmsg()
    message["cmd"] = 0
    message["attrs"] = [
        ["WGDEVICE_A_IFNAME", "wg0"],
        ["WGDEVICE_A_PRIVATE_KEY", {"value": base64.b64encode(PRIVATE)}],
        ["WGDEVICE_A_LISTEN_PORT", 51820],
        ["WGDEVICE_A_PEERS", [{"attrs": attributes(**peer)} for peer in peers]],
    ]
    message.encode()
    return bytes(message.data[16:])


def attributes(
    *,
    key: str,
    endpoint: tuple[str, int] | None = None,
    handshake: tuple[int, int] = (0, 0),
    counted: tuple[int, int] = (0, 0),
    keepalive: int = 0,
    allowed: tuple[tuple[int, bytes, int], ...] = (),
) -> list[list[Any]]:
    """Return a peer's attributes as pyroute2 writes them."""
    found: list[list[Any]] = [
        ["WGPEER_A_PUBLIC_KEY", {"value": key}],
        ["WGPEER_A_PRESHARED_KEY", {"value": base64.b64encode(PRESHARED)}],
        ["WGPEER_A_LAST_HANDSHAKE_TIME", {"tv_sec": handshake[0], "tv_nsec": handshake[1]}],
        ["WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL", keepalive],
        ["WGPEER_A_RX_BYTES", counted[0]],
        ["WGPEER_A_TX_BYTES", counted[1]],
    ]
    if endpoint is not None:
        found.append(["WGPEER_A_ENDPOINT", {"addr": endpoint[0], "port": endpoint[1]}])
    if allowed:
        listed = [
            {
                "attrs": [
                    ["WGALLOWEDIP_A_FAMILY", family],
                    ["WGALLOWEDIP_A_IPADDR", address],
                    ["WGALLOWEDIP_A_CIDR_MASK", mask],
                ]
            }
            for family, address, mask in allowed
        ]
        found.append(["WGPEER_A_ALLOWEDIPS", listed])
    return found


V4, V6 = bytes((10, 20, 0, 0)), b"\x20\x01\x0d\xb8" + bytes(12)
WHOLE = by_pyroute2(
    {
        "key": KEY,
        "endpoint": ("203.0.113.2", 51820),
        "handshake": (1_795_442_000, 500_000_000),
        "counted": (1200, 3400),
        "keepalive": 25,
        "allowed": ((2, V4, 16), (10, V6, 48)),
    },
    {"key": OTHER_KEY},
)


def test_the_user_space_answer_is_read() -> None:
    """Every peer comes with its endpoint, handshake, counters and networks; zero is never."""
    assert read_text(TEXT) == (PEER, Peer(key=OTHER_KEY))


def test_the_kernels_answer_is_read() -> None:
    """The same from the kernel's bytes."""
    assert read_messages([(28, WHOLE)]) == (PEER, Peer(key=OTHER_KEY))


def test_an_ipv6_endpoint_is_bracketed() -> None:
    """An address of the other family is told as it is written."""
    found = read_messages([(28, by_pyroute2({"key": KEY, "endpoint": ("2001:db8::9", 7)}))])
    assert found[0].endpoint == "[2001:db8::9]:7"


def test_a_peer_that_goes_on_in_the_next_message_is_one() -> None:
    """The kernel splits long lists of networks over messages that repeat the peer's key."""
    first = by_pyroute2({"key": KEY, "counted": (5, 6), "allowed": ((2, V4, 16),)})
    second = by_pyroute2({"key": KEY, "allowed": ((2, V4, 24),)})
    assert read_messages([(28, first), (28, second)]) == (
        Peer(key=KEY, received_bytes=5, sent_bytes=6, allowed=("10.20.0.0/16", "10.20.0.0/24")),
    )


def test_no_secret_key_leaves_the_parser() -> None:
    """Neither the private nor the preshared key stands in any value, in any spelling."""
    told = repr(read_text(TEXT)) + repr(read_messages([(28, WHOLE)]))
    for secret in (PRIVATE, PRESHARED):
        assert secret in WHOLE
        for spelled in (secret.decode().strip("\0"), secret.hex(), base64.b64encode(secret).decode()):
            assert spelled not in told


def test_the_questions_are_the_kernels() -> None:
    """The family is asked by its name, the interface by its own."""
    kind, body = family_question()
    assert (kind, body) == (GENL_ID_CTRL, struct.pack("=BBHHH", 3, 1, 0, 14, 2) + b"wireguard\0\0\0")
    assert device_question(28, "wg0") == (28, struct.pack("=BBHHH", 0, 1, 0, 8, 2) + b"wg0\0")
    assert question(28, 7, b"body", dump=True) == struct.pack("=IHHII", 20, 28, 0x301, 7, 0) + b"body"
    assert read_family([(16, bytes(4) + struct.pack("=HHH", 6, 1, 28))]) == 28


BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "no end": b"private_key=00\n",
    "a refusal": b"errno=1\n\n",
    "a short key": b"public_key=00\nerrno=0\n\n",
    "a key that is none": b"public_key=" + b"zz" * 32 + b"\nerrno=0\n\n",
    "a counter that is none": b"public_key=" + b"00" * 32 + b"\nrx_bytes=-1\nerrno=0\n\n",
    "a huge counter": b"public_key=" + b"00" * 32 + b"\nrx_bytes=" + b"9" * 21 + b"\nerrno=0\n\n",
    "an address of control characters": b"public_key=" + b"00" * 32 + b"\nendpoint=\x1b[2J\nerrno=0\n\n",
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_text_is_an_error(case: str) -> None:
    """What is no answer is said to be none, and repeated nowhere."""
    with pytest.raises(WireguardError) as caught:
        read_text(BROKEN[case])
    assert "zz" not in str(caught.value)


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def kernel_peer(*told: tuple[int, bytes]) -> bytes:
    """Return a message with one peer of these attributes."""
    peer = b"".join(attribute(kind, value) for kind, value in told)
    return bytes(4) + attribute(8 | 0x8000, attribute(0x8000, peer))


MALFORMED: dict[str, bytes] = {
    "an attribute that is cut off": bytes(4) + b"\xff\xff\0\0",
    "a peer without a key": kernel_peer((7, bytes(8))),
    "a key of another length": kernel_peer((1, bytes(31))),
    "an endpoint of a foreign family": kernel_peer((1, bytes(32)), (4, bytes(28))),
    "an endpoint that is cut off": kernel_peer((1, bytes(32)), (4, b"\x02\0\0\0")),
    "an allowed address without a mask": kernel_peer((1, bytes(32)), (9, attribute(0, attribute(2, bytes(4))))),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_broken_bytes_are_an_error(case: str) -> None:
    """The kernel's bytes are trusted no more than others."""
    with pytest.raises(WireguardError):
        read_messages([(28, MALFORMED[case])])


def test_a_kernel_without_wireguard_has_no_number() -> None:
    """An answer that does not name the family is an error."""
    with pytest.raises(WireguardError):
        read_family([(16, bytes(4) + attribute(2, b"other\0"))])


KEYS = {
    "a public key": (KEY, True),
    "too short": (KEY[:-4], False),
    "not base64": ("é" * 44, False),
    "empty": ("", False),
}


@pytest.mark.parametrize("case", KEYS)
def test_keys_are_known(case: str) -> None:
    """A public key is 32 bytes in base64."""
    text, expected = KEYS[case]
    assert is_key(text) is expected


@given(st.binary(max_size=300))
def test_any_text_gives_peers_or_an_error(data: bytes) -> None:
    """A value or a WireguardError, nothing else."""
    for seed in (data, TEXT[: len(data)] + data, b"public_key=" + b"00" * 32 + b"\n" + data + b"\nerrno=0\n"):
        try:
            read_text(seed)
        except WireguardError:
            continue


@given(st.binary(max_size=300), st.integers(0, len(WHOLE)))
def test_any_bytes_give_peers_or_an_error(data: bytes, at: int) -> None:
    """A value or a WireguardError, nothing else."""
    for seed in (data, WHOLE[:at] + data, kernel_peer((1, bytes(32)), (4, data[:40]), (6, data[:16]), (9, data))):
        for read in (read_messages, read_family):
            try:
                read([(28, seed)])
            except WireguardError:
                continue


def reply(kind: int, body: bytes, sequence: int = 7) -> bytes:
    """Return a netlink message."""
    return struct.pack("=IHHII", 16 + len(body), kind, 2, sequence, 0) + body + bytes(-len(body) % 4)


def test_a_dump_ends_where_the_kernel_says() -> None:
    """Messages of the answer, the end, a refusal; what answers another question is passed over."""
    assert part(reply(28, b"abcd") + reply(28, b"efgh", 8), 7).messages == ((28, b"abcd"),)
    assert not part(reply(28, b"abcd"), 7).last
    assert part(reply(3, struct.pack("=i", 0)), 7).last
    assert part(reply(2, struct.pack("=i", -errno.EPERM)), 7).refusal == errno.EPERM
    assert part(reply(3, b""), 7) == part(reply(3, struct.pack("=i", 0)), 7)
    with pytest.raises(NetlinkDecodeError):
        part(b"abc", 7)
