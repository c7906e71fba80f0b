"""IKE messages as a responder would send them, for the tests of what reads them."""

import struct

from hypothesis import strategies as st

from probes.kit.ike_message import HEADER

OURS = b"ourspi.."
NOTIFY, KEY_EXCHANGE, SA, NONCE, VENDOR = 41, 34, 33, 40, 43
NOTIFY_V1 = 11


def message(*payloads: tuple[int, bytes], spi: bytes = OURS, **header: int) -> bytes:
    """Return an IKE message with these (number, body) payloads."""
    body = b""
    for at, (_, content) in enumerate(payloads, start=1):
        following = payloads[at][0] if at < len(payloads) else 0
        body += struct.pack("!BBH", following, 0, 4 + len(content)) + content
    first = payloads[0][0] if payloads else 0
    values = {
        "first": first,
        "version": 0x20,
        "exchange": 34,
        "flags": 0x20,
        "length": HEADER.size + len(body),
    } | header
    return (
        HEADER.pack(
            spi,
            bytes(8),
            values["first"],
            values["version"],
            values["exchange"],
            values["flags"],
            0,
            values["length"],
        )
        + body
    )


def notify(kind: int, spi: bytes = b"", data: bytes = b"") -> tuple[int, bytes]:
    """Return a Notify payload."""
    return NOTIFY, struct.pack("!BBH", 0, len(spi), kind) + spi + data


bodies = st.tuples(st.sampled_from([NOTIFY, KEY_EXCHANGE, SA, NONCE, VENDOR, 47, 200]), st.binary(max_size=40))
notifies = st.builds(notify, st.integers(0, 65535), st.binary(max_size=8), st.binary(max_size=32))
