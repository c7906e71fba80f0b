"""The child process of the packet workshop: builds and dissects packets with scapy.

Started by file (`python -I packet_child.py`), never imported: scapy is large, slow to load and under
another licence than ours (GPL-2.0-only). One JSON object a line in, one out: an answer, or
`{"error": why}`. What must stay true: every question gets exactly one line, whatever is in it; the
process ends with its input, and in any case after LIFETIME_SECONDS.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

from scapy.contrib import ikev2
from scapy.fields import FlagValue
from scapy.layers import inet
from scapy.packet import Packet

# No use of a workshop takes longer; it ends a child whose parent was killed while it was at work.
LIFETIME_SECONDS: Final = 60
# RFC 7296 sections 3.1 and 3.3.2.
_IKE_SA_INIT: Final = 34
_INITIATOR: Final = 0x08
_GROUP: Final = 4


def build_ike_sa_init(transforms: list[list[int]], key_bytes: int, nonce_bytes: int) -> dict[str, Any]:
    """Return an IKE_SA_INIT request with one proposal, and where its SPI and its nonce stand.

    A transform is [type, id] or [type, id, key length in bits].
    """
    spi, nonce = os.urandom(8), os.urandom(nonce_bytes)
    layers = [_transform(*transform) for transform in transforms]
    trans = layers[0]
    for layer in layers[1:]:
        trans /= layer
    group = next(number for kind, number, *_ in transforms if kind == _GROUP)
    proposal = ikev2.IKEv2_Proposal(proposal=1, proto=1, trans_nb=len(layers), trans=trans)
    packet = bytes(
        ikev2.IKEv2(init_SPI=spi, exch_type=_IKE_SA_INIT, flags=_INITIATOR)
        / ikev2.IKEv2_SA(prop=proposal)
        / ikev2.IKEv2_KE(group=group, ke=os.urandom(key_bytes))
        / ikev2.IKEv2_Nonce(nonce=nonce)
    )
    return {"packet": packet.hex(), "spi": packet.index(spi), "nonce": packet.index(nonce)}


def _transform(kind: int, number: int, key_bits: int | None = None) -> Packet:
    # A key length is an attribute of four bytes behind the transform's eight (RFC 7296 section 3.3.5).
    more: dict[str, Any] = {} if key_bits is None else {"length": 12, "key_length": key_bits}
    return ikev2.IKEv2_Transform(transform_type=kind, transform_id=number, **more)


def dissect(data: str, layer: str = "IKEv2") -> dict[str, Any]:
    """Return the layers of an IKE message (hexadecimal, without non-ESP marker) or IPv4 packet, outermost first.

    `sums`: whether every checksum is the one that scapy computes.
    """
    packet = _READERS[layer](bytes.fromhex(data))
    fresh = packet.copy()
    for one in fresh.iterpayloads():
        if "chksum" in one.fields:
            one.delfieldval("chksum")
    return {"layers": _layers(packet), "sums": bytes(fresh).hex() == data}


def _layers(packet: Packet) -> list[dict[str, Any]]:
    found = []
    while packet:
        fields = {name: _plain(value) for name, value in packet.fields.items()}
        found.append({"layer": type(packet).__name__, "fields": fields})
        packet = packet.payload
    return found


def _plain(value: Any) -> Any:
    """Return a field's value as JSON has it; bytes as hexadecimal."""
    if isinstance(value, Packet):
        return _layers(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, FlagValue):
        return int(value)
    if isinstance(value, bytes):
        return value.hex()
    return value if value is None or isinstance(value, int | str) else str(value)


_READERS: Final = {"IKEv2": ikev2.IKEv2, "IP": inet.IP}
_WORKS: Final[dict[str, Callable[..., dict[str, Any]]]] = {"build_ike_sa_init": build_ike_sa_init, "dissect": dissect}


def answer(line: bytes) -> dict[str, Any]:
    """Return the answer to one line."""
    try:
        question = json.loads(line)
        return _WORKS[question.pop("work")](**question)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Answer line by line until the input ends."""
    signal.alarm(LIFETIME_SECONDS)
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(json.dumps(answer(line)).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
