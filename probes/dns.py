"""DNS: does this server answer this question, with the right answer, and how fast.

What must stay true: one query in one datagram (or over one connection), no second try and no
change from UDP to TCP; the answer is the server's word, so a wrong one is `answered`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Final, Literal

import msgspec

from probes.kit.address import FAMILY_HELP, KEPT, Endpoint, endpoint
from probes.kit.dns_exchange import Answered, Question, Stopped, ask_tcp, ask_udp
from probes.kit.dns_message import Message, encode_name, same_name
from probes.kit.resolver import RESOLVE_FAULTS, ResolveError, resolve_result
from probes.kit.result import Result, Stage, failed, ok
from probes.kit.spec import Fault, Flow, Kit, Metric, Spec
from probes.kit.trouble import LOCAL_FAULTS, path_faults, result_of

_NAMES: Final = frozenset({"NS", "CNAME", "PTR"})
_RCODE_FAULTS: Final = {
    "servfail": "rcode-servfail",
    "nxdomain": "rcode-nxdomain",
    "refused": "rcode-refused",
}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Which server to ask what."""

    target: str
    name: str
    record: Literal["A", "AAAA", "SRV", "SOA", "NS", "CNAME", "TXT", "PTR"] = "A"
    expect: str = ""
    protocol: Literal["udp", "tcp"] = "udp"
    family: Literal[4, 6] = 4


SPEC: Final = Spec(
    type="dns",
    summary="DNS: a server answers a question, with the expected answer, and how fast.",
    settings=Settings,
    key_help={
        "target": "The server: `address`, `address:port` or `[v6]:port`; port 53 by default.",
        "name": "The name to ask for.",
        "record": "Record type: A, AAAA, SRV, SOA, NS, CNAME, TXT or PTR.",
        "expect": "One answer must be this text, as a zone file writes it; empty: any answer passes.",
        "protocol": "udp or tcp; never both.",
        "family": FAMILY_HELP,
    },
    phases=("resolve", "connect", "answer"),
    faults=(
        *path_faults(Stage.CONNECT),
        *path_faults(Stage.ANSWER),  # after a TCP connect
        Fault("closed", Stage.ANSWER, "The server closed before a whole answer.", "Look at the server's log."),
        Fault("rcode-servfail", Stage.ANSWER, "The server failed.", "Check its zone and its forwarders."),
        Fault("rcode-nxdomain", Stage.ANSWER, "The server says the name does not exist.", "Check the zone."),
        Fault("rcode-refused", Stage.ANSWER, "The server refuses to answer us.", "Check its access list."),
        Fault("rcode-other", Stage.ANSWER, "The server answered with another error code.", "See the detail."),
        Fault("no-answer", Stage.ANSWER, "The name exists without a record of this type.", "Check the zone."),
        Fault("mismatch", Stage.ANSWER, "No answer is the expected one.", "Check the zone, or `expect`."),
        Fault("truncated", Stage.ANSWER, "The answer does not fit a datagram.", "Set `protocol: tcp`."),
        Fault("malformed", Stage.ANSWER, "The answer is not DNS.", "What really listens there?"),
        *RESOLVE_FAULTS,
        *LOCAL_FAULTS,
    ),
    metrics=(Metric("dns_answers", "Answers of the asked type."),),
)


def flow(settings: Settings) -> Flow:
    """Return the question's flow; ValueError says what is wrong with target or name."""
    end = _endpoint(settings)
    encode_name(settings.name)
    return Flow(
        host=end.host,
        protocol=settings.protocol,
        port=end.port,
        family=end.family,
        function=f"{settings.name} {settings.record}",
        connect_bytes=60,
        carry_bytes=512,  # RFC 1035 section 4.2.1: the largest answer without EDNS
        named=end.named,
    )


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator["QuestionRunner"]:  # noqa: A001 - the probe interface's name
    """Open the shared runner; every attempt has a socket and port of its own."""
    yield QuestionRunner(kit)


def _endpoint(settings: Settings) -> Endpoint:
    return endpoint(settings.target, settings.family, default_port=53)


class QuestionRunner:
    """All dns probes of the agent."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._endpoint = lru_cache(KEPT)(_endpoint)

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:  # noqa: ARG002
        """Ask once; every attempt is `fresh`."""
        clock = self._kit.clock
        start = clock.boot()
        end = self._endpoint(settings)
        phases: dict[str, float] = {}
        address = end.host
        if end.named:
            try:
                address = await self._kit.resolver.resolve(end.host, end.family, deadline)
            except ResolveError as error:
                return resolve_result(error, clock.boot() - start)
            phases["resolve"] = clock.boot() - start
        ask = ask_udp if settings.protocol == "udp" else ask_tcp
        question = Question(
            address=address,
            port=end.port or 53,
            family=end.family,
            name=settings.name,
            record=settings.record,
        )
        outcome = await ask(question, deadline=deadline, clock=clock)
        seconds = clock.boot() - start
        if outcome.connect_seconds is not None:
            phases["connect"] = outcome.connect_seconds
        if isinstance(outcome, Stopped):
            connected = outcome.connect_seconds is not None or outcome.trouble.answered
            return result_of(outcome.trouble, Stage.ANSWER if connected else Stage.CONNECT, seconds, phases)
        phases["answer"] = outcome.answer_seconds
        return judge(outcome, settings, end.family, seconds, phases)


def judge(outcome: Answered, settings: Settings, family: int, seconds: float, phases: dict[str, float]) -> Result:
    """Return what a well-formed response means for these settings."""
    message = outcome.message
    found = message.data_of(settings.record)
    fault = _fault(message, found, settings)
    values = {"dns_answers": float(len(found))}
    if fault is None:
        return ok(seconds, phases, values=values, packet_bytes=_packet_bytes(outcome, family, settings.protocol))
    shown = ", ".join(found[:4]) or message.rcode
    return failed(
        Stage.ANSWER,
        fault,
        seconds=seconds,
        phases=phases,
        answered=True,
        values=values,
        detail=f"{settings.name} {settings.record}: {shown}"[:200],
    )


def _fault(message: Message, found: tuple[str, ...], settings: Settings) -> str | None:
    if message.rcode != "noerror":
        return _RCODE_FAULTS.get(message.rcode, "rcode-other")
    if message.truncated:
        return "truncated"
    if not found:
        return "no-answer"
    if settings.expect and not any(_same(answer, settings.expect, settings.record) for answer in found):
        return "mismatch"
    return None


def _same(answer: str, expected: str, record: str) -> bool:
    if record in _NAMES or record in ("SRV", "AAAA"):
        return same_name(answer, expected)
    return answer == expected


def _packet_bytes(outcome: Answered, family: int, protocol: str) -> int | None:
    """Return the answer's packet size: one datagram is one packet unless it was fragmented."""
    size = outcome.size + 8 + (20 if family == 4 else 40)  # UDP and IP headers
    return size if protocol == "udp" and size <= 1280 else None  # 1280: never fragmented on an IPv6 link (RFC 8200)
