"""NTP: a time server answers, trusts its own clock, and how far ours is from it.

What must stay true: one request with a random cookie from a random port (RFC 9109); the offset is
taken between the kernel's stamps of our packets, not our wake-ups; without a server that trusts
itself there is no offset.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, Literal

import msgspec

from probes.kit.address import FAMILY_HELP, Endpoint, endpoint
from probes.kit.datagram import Datagram, Heard
from probes.kit.datagram_runner import DatagramRunner, Plan
from probes.kit.ntp_message import COOKIE_BYTES, PACKET_BYTES, Reply, offset_and_delay, parse_reply, request
from probes.kit.resolver import RESOLVE_FAULTS
from probes.kit.result import Outcome, Result, Stage, failed, ok
from probes.kit.spec import Duration, Fault, Flow, Kit, Metric, Spec
from probes.kit.trouble import LOCAL_FAULTS, Trouble, path_faults

_HEADERS: Final = {4: 28, 6: 48}  # IP and UDP
# RFC 5905 section 7.4: what a kiss-o'-death wants of us.
_KISSES: Final = {"RATE": "kiss-rate", "DENY": "kiss-deny", "RSTR": "kiss-deny"}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Which server to ask, and how far apart the clocks may be."""

    target: str
    max_offset: Duration = Duration(0)
    family: Literal[4, 6] = 4


SPEC: Final = Spec(
    type="ntp",
    summary="NTP: a time server answers and is synchronised; how far this vantage's clock is from it.",
    settings=Settings,
    key_help={
        "target": "The server: `address`, `name` or `[v6]`, with `:port` when it is not 123.",
        "max_offset": "Degraded when the clocks are further apart, in either direction; 0: any offset passes.",
        "family": FAMILY_HELP,
    },
    phases=("resolve", "answer"),
    faults=(
        *path_faults(Stage.CONNECT),
        Fault("kiss-rate", Stage.ANSWER, "The server says that we ask too often.", "Raise the interval."),
        Fault("kiss-deny", Stage.ANSWER, "The server says that it does not serve us.", "Check its access list."),
        Fault("kiss-other", Stage.ANSWER, "The server refuses for another reason.", "See the code in the detail."),
        Fault(
            "unsynchronised",
            Stage.ANSWER,
            "The server does not trust its own clock.",
            "Check the server's own sources.",
        ),
        Fault(
            "offset",
            Stage.ANSWER,
            "The clocks are further apart than `max_offset` (degraded).",
            "Compare with another server: is it this vantage's clock or the server's?",
        ),
        Fault("malformed", Stage.ANSWER, "The answer is no NTP answer, or its times cannot be.", "What listens there?"),
        *RESOLVE_FAULTS,
        *LOCAL_FAULTS,
    ),
    metrics=(
        Metric("ntp_offset_seconds", "How far the server's clock is ahead of this vantage's (negative: behind)."),
        Metric("ntp_delay_seconds", "Time on the way, there and back, without the server's own."),
        Metric("ntp_stratum", "Steps from the server to a reference clock; 1 has one itself."),
        Metric("ntp_root_delay_seconds", "The server's round trip to its reference clock."),
        Metric("ntp_root_dispersion_seconds", "How uncertain the server is of its clock."),
        Metric("ntp_leap", "Leap indicator: 1 a second is added today, 2 one is left out, 3 unknown."),
    ),
    default_interval=16.0,  # RFC 5905 section 7.2: MINPOLL, the shortest interval of a polite client
)


def flow(settings: Settings) -> Flow:
    """Return the exchange's flow; ValueError says what is wrong with target or offset."""
    end = _endpoint(settings)
    if settings.max_offset < 0:
        raise ValueError(f"max_offset {settings.max_offset}: write a positive time, or 0 for any")
    wire_bytes = PACKET_BYTES + _HEADERS[end.family]
    return Flow(
        host=end.host,
        protocol="udp",
        port=end.port,
        family=end.family,
        function="NTP time",
        connect_bytes=wire_bytes,
        carry_bytes=wire_bytes,
        named=end.named,
    )


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator[DatagramRunner[Reply]]:  # noqa: A001 - the probe interface's name
    """Open the shared runner; every attempt has a socket and port of its own."""
    runner = DatagramRunner(kit, plan)
    try:
        yield runner
    finally:
        runner.close()


def _endpoint(settings: Settings) -> Endpoint:
    return endpoint(settings.target, settings.family, default_port=123)


def plan(settings: Settings) -> Plan[Reply]:
    """Return how to ask this server."""
    end = _endpoint(settings)
    return Plan(
        end=end,
        ask=partial(_ask, end),
        judge=partial(judge, settings.max_offset, PACKET_BYTES + _HEADERS[end.family]),
    )


def _ask(end: Endpoint, address: str) -> Datagram[Reply]:
    cookie = secrets.token_bytes(COOKIE_BYTES)
    return Datagram(
        address=address,
        port=end.port or 123,
        family=end.family,
        payload=request(cookie),
        read=partial(_read, cookie),
    )


def _read(cookie: bytes, data: bytes) -> Reply | Trouble | None:
    found = parse_reply(data, cookie)
    return Trouble(fault="malformed", detail=found, answered=True) if isinstance(found, str) else found


def judge(max_offset: float, packet_bytes: int, heard: Heard[Reply], phases: dict[str, float]) -> Result:
    """Return what an answer means; `max_offset` in seconds, 0 for any."""
    reply, seconds = heard.answer, sum(phases.values())
    values = {"ntp_stratum": float(reply.stratum), "ntp_leap": float(reply.leap)}
    fault, detail = _refusal(reply)
    times = offset_and_delay(reply, heard.sent, heard.seconds)
    if fault is None and times is None:
        fault, detail = "malformed", "the server's receive and transmit times do not fit in between"
    if fault is not None or times is None:
        stamped = {} if reply.kiss else values
        return failed(
            Stage.ANSWER, fault or "", seconds=seconds, phases=phases, answered=True, detail=detail, values=stamped
        )
    offset, delay = times
    values |= {
        "ntp_offset_seconds": offset,
        "ntp_delay_seconds": delay,
        "ntp_root_delay_seconds": reply.root_delay,
        "ntp_root_dispersion_seconds": reply.root_dispersion,
    }
    passed = ok(seconds, phases, values=values, packet_bytes=packet_bytes)
    if not max_offset or abs(offset) <= max_offset:
        return passed
    detail = f"the server's clock is {offset:+.6f} s from ours, more than {max_offset:g} s"
    return msgspec.structs.replace(passed, outcome=Outcome.DEGRADED, fault="offset", detail=detail)


def _refusal(reply: Reply) -> tuple[str | None, str]:
    if reply.kiss:
        return _KISSES.get(reply.kiss, "kiss-other"), f"kiss code {reply.kiss}"
    if not reply.synchronised:
        return "unsynchronised", f"stratum {reply.stratum}, leap indicator {reply.leap}"
    return None, ""
