"""UDP: something answers a datagram at this address and port, with the agreed bytes where that is asked.

What must stay true: one datagram out; the first that comes back from that address and port is the
answer, right or wrong; silence says nothing of how far ours came.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, Literal

import msgspec

from probes.kit.address import FAMILY_HELP, Endpoint, endpoint
from probes.kit.datagram import Datagram, Heard
from probes.kit.datagram_runner import DatagramRunner, Plan
from probes.kit.resolver import RESOLVE_FAULTS
from probes.kit.result import Result, Stage, failed, ok
from probes.kit.spec import Fault, Flow, Kit, Metric, Spec
from probes.kit.trouble import LOCAL_FAULTS, path_faults

_HEADERS: Final = {4: 28, 6: 48}  # IP and UDP
_UNFRAGMENTED: Final = 1280  # what every IPv6 link carries in one packet (RFC 8200 section 5)
_HEX: Final = "hex:"
_SHOWN: Final = 60
_BYTES_HELP: Final = "Text, or bytes as `hex:0a 0b 0c`"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to send what, and what must come back."""

    target: str
    send: str
    expect: str = ""
    match: Literal["contains", "prefix", "equal"] = "contains"
    family: Literal[4, 6] = 4


SPEC: Final = Spec(
    type="udp",
    summary="UDP: a service answers a datagram, with the agreed bytes, and how fast.",
    settings=Settings,
    key_help={
        "target": "`address:port`, `name:port` or `[v6]:port`.",
        "send": f"{_BYTES_HELP}; what the service answers. No secrets: the chain file is shared.",
        "expect": f"{_BYTES_HELP}; empty: any answer passes.",
        "match": "Whether the answer `contains` what is expected, has it as its `prefix`, or is `equal` to it.",
        "family": FAMILY_HELP,
    },
    phases=("resolve", "answer"),
    faults=(
        *path_faults(Stage.CONNECT),
        Fault(
            "answer-mismatch", Stage.ANSWER, "The answer is not as expected.", "Check the service, or `send`, `expect`."
        ),
        *RESOLVE_FAULTS,
        *LOCAL_FAULTS,
    ),
    metrics=(Metric("udp_answer_bytes", "Bytes of the datagram that came back."),),
    leaves_traces="One datagram; some services log it.",
)


def flow(settings: Settings) -> Flow:
    """Return the exchange's flow; ValueError says what is wrong with target or bytes."""
    end = _endpoint(settings)
    wire_bytes = len(written(settings.send, "send")) + _HEADERS[end.family]
    if wire_bytes == _HEADERS[end.family]:
        raise ValueError("send: write what the service answers")
    if wire_bytes > _UNFRAGMENTED:
        raise ValueError(f"send: {wire_bytes} bytes with headers; write no more than fit {_UNFRAGMENTED}")
    written(settings.expect, "expect")
    return Flow(
        host=end.host,
        protocol="udp",
        port=end.port,
        family=end.family,
        function=f"udp/{end.port}",
        connect_bytes=wire_bytes,
        carry_bytes=wire_bytes,
        named=end.named,
    )


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator[DatagramRunner[bytes]]:  # noqa: A001 - the probe interface's name
    """Open the shared runner; every attempt has a socket and port of its own."""
    runner = DatagramRunner(kit, plan)
    try:
        yield runner
    finally:
        runner.close()


def _endpoint(settings: Settings) -> Endpoint:
    return endpoint(settings.target, settings.family)


def written(text: str, key: str) -> bytes:
    """Return the bytes that `text` stands for; ValueError names the key."""
    if not text.startswith(_HEX):
        return text.encode()
    try:
        return bytes.fromhex(text.removeprefix(_HEX))
    except ValueError:
        raise ValueError(f"{key}: after `{_HEX}` write pairs of hexadecimal digits") from None


def plan(settings: Settings) -> Plan[bytes]:
    """Return how to ask this service."""
    end = _endpoint(settings)
    payload = written(settings.send, "send")
    datagram: Datagram[bytes] = Datagram(
        address=end.host, port=end.port or 0, family=end.family, payload=payload, read=_whatever
    )
    return Plan(
        end=end,
        ask=lambda address: msgspec.structs.replace(datagram, address=address) if end.named else datagram,
        judge=partial(judge, settings, _HEADERS[end.family], len(payload)),
    )


def _whatever(data: bytes) -> bytes:
    return data


def judge(settings: Settings, headers: int, sent_bytes: int, heard: Heard[bytes], phases: dict[str, float]) -> Result:
    """Return what an answer means; the packet that surely crossed both ways is the smaller of the two."""
    answer, expected, seconds = heard.answer, written(settings.expect, "expect"), sum(phases.values())
    packet_bytes = min(sent_bytes, heard.size, _UNFRAGMENTED - headers) + headers
    values = {"udp_answer_bytes": float(heard.size)}
    if matches(answer, expected, settings.match):
        return ok(seconds, phases, values=values, packet_bytes=packet_bytes)
    return failed(
        Stage.ANSWER,
        "answer-mismatch",
        seconds=seconds,
        phases=phases,
        answered=True,
        values=values,
        packet_bytes=packet_bytes,
        detail=f"{len(answer)} bytes: {answer[:_SHOWN]!r}",
    )


def matches(answer: bytes, expected: bytes, how: str) -> bool:
    """Return whether the answer is as expected; nothing expected is met by anything."""
    if not expected:
        return True
    return {"contains": expected in answer, "prefix": answer.startswith(expected), "equal": answer == expected}[how]
