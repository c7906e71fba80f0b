"""WireGuard's and IPsec's answers as a real kernel gave them (tests/data/kernel-tunnels.json): read whole, no key kept.

The kernel here has neither; the recording is of Debian's 6.1, with keys made for it and thrown away.
"""

import base64
import json
from pathlib import Path
from typing import Any

from probes.kit.wireguard_device import Peer, read_messages
from probes.kit.xfrm_message import Policy, read_associations, read_policies
from probes.kit.xfrm_tunnels import Asked, Kernel, Watched, watch

RECORDED: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "kernel-tunnels.json").read_text())
KEYS: dict[str, str] = RECORDED["keys_thrown_away"]
# What the associations were made with.
ESP_KEYS = ("0102030405060708090a0b0c0d0e0f1011121314", "11" * 32, "22" * 16)


def messages(what: str) -> list[tuple[int, bytes]]:
    """Return recorded messages."""
    return [(kind, base64.b64decode(body)) for kind, body in RECORDED[what]]


def test_the_kernels_peer_is_read() -> None:
    """Public key, endpoint, handshake, counters, keep-alive and networks of both families."""
    (peer,) = read_messages(messages("wireguard"))
    assert peer.handshake_at is not None
    assert peer == Peer(
        key=KEYS["peer"],
        endpoint="192.0.2.2:51820",
        handshake_at=peer.handshake_at,
        received_bytes=peer.received_bytes,
        sent_bytes=peer.sent_bytes,
        keepalive_seconds=25,
        allowed=("10.9.0.2/32", "2001:db8::2/128"),
    )
    assert peer.received_bytes > 400
    assert peer.sent_bytes > 400


def test_the_kernels_associations_are_read() -> None:
    """Both directions with what they were made with; counters and limits are theirs."""
    found = {(one.source, one.destination): one for one in read_associations(messages("associations"))}
    out, back = found["192.0.2.1", "192.0.2.2"], found["192.0.2.2", "192.0.2.1"]
    assert (out.algorithms, out.soft_seconds, out.hard_seconds) == (("rfc4106(gcm(aes))",), 3000, 3600)
    assert sorted(back.algorithms) == ["cbc(aes)", "hmac(sha256)"]
    assert (back.soft_seconds, back.hard_bytes) == (None, None)
    assert {out.reqid, back.reqid} == {7}
    assert out.packets == back.packets > 0
    assert out.bytes == 84 * out.packets


def test_the_kernels_policies_are_read() -> None:
    """One outward, one inward, one to forward."""
    found = read_policies(messages("policies"))
    assert sorted(policy.direction for policy in found) == ["fwd", "in", "out"]
    assert (
        Policy(
            direction="out",
            source="10.1.0.0/24",
            destination="10.2.0.0/24",
            local="192.0.2.1",
            remote="192.0.2.2",
            reqid=7,
        )
        in found
    )


def test_together_they_are_a_tunnel() -> None:
    """The recorded kernel has the tunnel configured and established."""
    kernel = Kernel(
        policies=read_policies(messages("policies")), associations=read_associations(messages("associations"))
    )
    _, result = watch(Watched(), Asked(target="192.0.2.2", network="10.2.0.0/24"), kernel, 0.0)
    assert (result.outcome, result.values["vpn_tunnels_established"]) == ("ok", 1)


def test_no_key_of_the_recording_is_kept() -> None:
    """The dumps hold every key; what is read of them holds none but public ones."""
    raw = b"".join(body for what in ("wireguard", "associations") for _, body in messages(what))
    told = repr(read_messages(messages("wireguard"))) + repr(read_associations(messages("associations")))
    secrets = [base64.b64decode(KEYS[name]) for name in ("private", "preshared")]
    for secret in (*secrets, *map(bytes.fromhex, ESP_KEYS)):
        assert secret in raw
        for spelled in (secret.hex(), base64.b64encode(secret).decode(), repr(secret)[2:-1]):
            assert spelled not in told
