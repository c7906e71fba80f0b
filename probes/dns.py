"""DNS: does this server answer this question, with the right answer, and how fast.

What must stay true: one query in one datagram (or over one connection), no second try and no
change from UDP to TCP; the answer is the server's word, so a wrong one is `answered`; what has
changed is said once against the last good answer, not against the one before.
"""

import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Final, Literal

import msgspec

from probes.kit.address import FAMILY_HELP, KEPT, Endpoint, endpoint
from probes.kit.datagram import Batch, Heard
from probes.kit.dns_exchange import Answered, Question, Stopped, ask_tcp, ask_udp, datagram, heard, question
from probes.kit.dns_message import Message, Record
from probes.kit.dns_records import comparable
from probes.kit.resolver import RESOLVE_FAULTS, ResolveError, locate, resolve_result
from probes.kit.result import Outcome, Result, Stage, failed, ok
from probes.kit.spec import Duration, Fault, Flow, Kit, Metric, Spec
from probes.kit.trouble import LOCAL_FAULTS, Trouble, path_faults, result_of

_RCODE_FAULTS: Final = {
    "noerror": "rcode-noerror",
    "servfail": "rcode-servfail",
    "nxdomain": "rcode-nxdomain",
    "refused": "rcode-refused",
}
_EDNS: Final = (512, 1232)  # RFC 6891 section 6.2.3; DNS flag day 2020: what crosses IPv6 unfragmented
_PLAIN_BYTES: Final = 512  # RFC 1035 section 4.2.1: the largest answer without EDNS
_HEADERS: Final = {4: 28, 6: 48}  # IP and UDP
_SMALL: Final = 60  # a SYN with its options; a query is of the same order


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Which server to ask what, and what a good answer is."""

    target: str
    name: str
    record: Literal["A", "AAAA", "SRV", "SOA", "NS", "MX", "CNAME", "TXT", "PTR"] = "A"
    rcode: Literal["noerror", "nxdomain", "refused"] = "noerror"
    expect: tuple[str, ...] = ()
    match: Literal["any", "all", "exact"] = "any"
    authoritative: bool = False
    authenticated: bool = False
    ttl_at_least: Duration = Duration(0)
    ttl_at_most: Duration = Duration(0)
    settle: int = 0
    protocol: Literal["udp", "tcp"] = "udp"
    edns_bytes: int = 0
    family: Literal[4, 6] = 4


SPEC: Final = Spec(
    type="dns",
    summary="DNS: a server answers a question, with the expected answer, and how fast.",
    settings=Settings,
    key_help={
        "target": "The server: `address`, `address:port` or `[v6]:port`; port 53 by default.",
        "name": "The name to ask for; for PTR as `20.0.20.10.in-addr.arpa`. Aliases are followed within the answer.",
        "record": "Record type: A, AAAA, SRV, SOA, NS, MX, CNAME, TXT or PTR.",
        "rcode": "What the server must say: noerror, or nxdomain or refused where a name must not be answered here.",
        "expect": "Record data as a zone file writes it, one or a list; empty: any answer passes.",
        "match": "any: one of `expect` is in the answer; all: all of it is; exact: that and nothing else.",
        "authoritative": "The answer must be the zone's own (flag AA), not a cache's.",
        "authenticated": "The server must have checked the answer's signatures (flag AD of DNSSEC).",
        "ttl_at_least": "Shortest time for which the answer may be kept; of a cache it counts down. 0 sets no bound.",
        "ttl_at_most": "Longest such time, aliases included; 0 sets no bound.",
        "settle": "Notice changes: another set of records than in the last good answer is degraded "
        "(`answer-changed`) until it has come this many times in a row, or `expect` names all of it; "
        "their order does not matter. The first good answer after a start counts as good. 0 notices none.",
        "protocol": "udp or tcp, never both: an answer that does not fit a datagram is `truncated`. "
        "Give the other transport a probe of its own.",
        "edns_bytes": "Largest datagram to ask for by EDNS, 512 to 1232; 0 asks without EDNS, for 512.",
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
        Fault("rcode-noerror", Stage.ANSWER, "The server answers what it should not.", "Check the zone, or `rcode`."),
        Fault("rcode-other", Stage.ANSWER, "The server answered with another error code.", "See the detail."),
        Fault("no-answer", Stage.ANSWER, "The name exists without a record of this type.", "Check the zone."),
        Fault("mismatch", Stage.ANSWER, "The answer is not the expected one.", "Check the zone, or `expect`."),
        Fault("not-authoritative", Stage.ANSWER, "The answer is not the zone's own.", "Does it still serve the zone?"),
        Fault("not-authenticated", Stage.ANSWER, "The signatures were not checked.", "Check DNSSEC and the server."),
        Fault("ttl-outside", Stage.ANSWER, "The answer's TTL is outside its bounds.", "Check the zone."),
        Fault("truncated", Stage.ANSWER, "The answer does not fit a datagram.", "Set `protocol: tcp`."),
        Fault("malformed", Stage.ANSWER, "The answer is not DNS.", "What really listens there?"),
        Fault(
            "answer-changed",
            Stage.ANSWER,
            "The answer is not the last good one (degraded).",
            "If the change was meant, wait for it to settle or write it into `expect`.",
        ),
        *RESOLVE_FAULTS,
        *LOCAL_FAULTS,
    ),
    metrics=(
        Metric("dns_answers", "Answers of the asked type."),
        Metric("dns_ttl_seconds", "Shortest time to live among them and the aliases that led to them."),
    ),
)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Settings, read and checked; `question` lacks its address where the server is given by name."""

    settings: Settings
    end: Endpoint
    question: Question
    expected: frozenset[str]


def flow(settings: Settings) -> Flow:
    """Return the question's flow; ValueError says what is wrong with which key."""
    end = plan(settings).end
    largest = (settings.edns_bytes or _PLAIN_BYTES) + _HEADERS[end.family]
    return Flow(
        host=end.host,
        protocol=settings.protocol,
        port=end.port,
        family=end.family,
        function=" ".join((settings.name, settings.record, *_demands(settings))),
        connect_bytes=_SMALL,
        carry_bytes=largest if settings.protocol == "udp" else 1500,  # full segments
        named=end.named,
    )


def _demands(settings: Settings) -> Iterator[str]:
    """Yield what the answer must be: one that meets less proves nothing of what is asked here."""
    if settings.rcode != "noerror":
        yield settings.rcode
    if settings.expect:
        yield f"{settings.match} {', '.join(sorted(settings.expect))}"
    if settings.authoritative:
        yield "authoritative"
    if settings.authenticated:
        yield "authenticated"
    if settings.ttl_at_least or settings.ttl_at_most:
        yield f"ttl {settings.ttl_at_least:g}..{settings.ttl_at_most or math.inf:g}"
    if settings.edns_bytes:
        yield f"edns {settings.edns_bytes}"


def plan(settings: Settings) -> Plan:
    """Return the settings as an attempt needs them; ValueError names the key and what to write."""
    end = endpoint(settings.target, settings.family, default_port=53)
    if settings.edns_bytes and not _EDNS[0] <= settings.edns_bytes <= _EDNS[1]:
        raise ValueError(f"edns_bytes: write 0, or {_EDNS[0]} to {_EDNS[1]}")
    if settings.edns_bytes and settings.protocol == "tcp":
        raise ValueError("edns_bytes: is about datagrams; leave it out with `protocol: tcp`")
    if settings.settle < 0:
        raise ValueError("settle: write 0 or how often a changed answer must come")
    if settings.match != "any" and not settings.expect:
        raise ValueError("match: write `expect` too, or leave it out")
    if settings.rcode != "noerror" and (settings.expect or settings.settle):
        raise ValueError(f"rcode: `{settings.rcode}` comes without records; leave `expect` and `settle` out")
    if settings.ttl_at_least < 0 or 0 < settings.ttl_at_most < settings.ttl_at_least:
        raise ValueError("ttl_at_most: write a time above `ttl_at_least`")
    try:
        asked = question(
            end.host,
            end.port or 53,
            end.family,
            name=settings.name,
            record=settings.record,
            edns_bytes=settings.edns_bytes,
            authenticated=settings.authenticated,
        )
    except ValueError as error:
        raise ValueError(f"name: {error}") from None
    expected = frozenset(comparable(data, settings.record) for data in settings.expect)
    return Plan(settings=settings, end=end, question=asked, expected=expected)


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The last good answer, and another one that has come `times` in a row since."""

    good: frozenset[str]
    other: frozenset[str] = frozenset()
    times: int = 0


def remember(memory: Memory | None, answer: frozenset[str], settle: int) -> tuple[Memory, bool]:
    """Return what is known after a good `answer`, and whether it differs from what was good and has not settled."""
    if memory is None or answer == memory.good:
        return Memory(good=answer), False
    times = memory.times + 1 if answer == memory.other else 1
    if times >= settle:
        return Memory(good=answer), False
    return Memory(good=memory.good, other=answer, times=times), True


def judge(answered: Answered, made: Plan, phases: dict[str, float]) -> Result:
    """Return what a well-formed response means for these settings."""
    settings = made.settings
    found = answered.message.answers_to(settings.name, settings.record)
    data = tuple(one.data for one in found if one.type == settings.record)
    fault = _fault(answered.message, found, made)
    values = {"dns_answers": float(len(data))}
    known = None if answered.message.truncated else facts(settings, answered.message.rcode, data)
    if found:
        values["dns_ttl_seconds"] = float(min(one.ttl for one in found))
    if fault is None:
        return ok(sum(phases.values()), phases, values=values, packet_bytes=answered.packet_bytes, facts=known)
    return failed(
        Stage.ANSWER,
        fault,
        seconds=sum(phases.values()),
        phases=phases,
        answered=True,
        values=values,
        packet_bytes=answered.packet_bytes,
        detail=_shown(settings, data, answered.message.rcode),
        facts=known,
    )


def facts(settings: Settings, rcode: str, data: tuple[str, ...]) -> dict[str, str] | None:
    """Return the set of records to compare with the approved one; a server in trouble tells none."""
    told = {"noerror": ", ".join(sorted(data)) or "no such record", "nxdomain": "no such name"}.get(rcode)
    return {f"{settings.record} {settings.name}": told} if told else None


def _shown(settings: Settings, data: tuple[str, ...], rcode: str) -> str:
    return f"{settings.name} {settings.record}: {', '.join(data[:4]) or rcode}"[:200]


def _fault(message: Message, found: tuple[Record, ...], made: Plan) -> str | None:
    settings = made.settings
    if message.rcode != settings.rcode:
        return _RCODE_FAULTS.get(message.rcode, "rcode-other")
    if message.truncated:
        return "truncated"
    if settings.authoritative and not message.authoritative:
        return "not-authoritative"
    if settings.authenticated and not message.authenticated:
        return "not-authenticated"
    if settings.rcode != "noerror":
        return None
    if not found:
        return "no-answer"
    if made.expected and not _matches(_comparable(found, settings.record), made.expected, settings.match):
        return "mismatch"
    ttl = min(one.ttl for one in found)
    if ttl < settings.ttl_at_least or 0 < settings.ttl_at_most < ttl:
        return "ttl-outside"
    return None


def _comparable(found: tuple[Record, ...], record: str) -> frozenset[str]:
    return frozenset(comparable(one.data, record) for one in found if one.type == record)


def _matches(found: frozenset[str], expected: frozenset[str], how: str) -> bool:
    if how == "any":
        return not found.isdisjoint(expected)
    return found == expected if how == "exact" else found >= expected


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator["QuestionRunner"]:  # noqa: A001 - the probe interface's name
    """Open the shared runner; every attempt has a socket and port of its own."""
    runner = QuestionRunner(kit)
    try:
        yield runner
    finally:
        runner.close()


class QuestionRunner:
    """All dns probes of the agent; those over UDP to a known address share the wheel's turns."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._plan = lru_cache(KEPT)(plan)
        self._batch: Batch[Message] = Batch(kit.clock)
        self._memories: dict[Settings, Memory] = {}

    def close(self) -> None:
        """Close what is under way."""
        self._batch.close()

    def harvest(self) -> float | None:
        """End what has its answer or is late; return the earliest deadline under way."""
        return self._batch.harvest()

    def flush(self) -> float | None:
        """End what could not be sent; return the earliest deadline under way."""
        return self._batch.flush()

    def launch(self, settings: Settings, deadline: float, done: Callable[[Result], None]) -> bool:
        """Send the question now, when it goes by UDP to an address that is known; otherwise False."""
        made = self._plan(settings)
        address = self._kit.resolver.known(made.end.host, made.end.family) if made.end.named else made.end.host
        if settings.protocol == "tcp" or address is None:
            return False
        start = self._kit.clock.boot()

        def end(outcome: Heard[Message] | Trouble) -> None:
            done(self._result(heard(outcome, made.end.family), made, start, {}))

        self._batch.launch(datagram(_at(made.question, address)), deadline, end)
        return True

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:  # noqa: ARG002
        """Ask once; every attempt is `fresh`."""
        clock = self._kit.clock
        start = clock.boot()
        made = self._plan(settings)
        phases: dict[str, float] = {}
        try:
            address = await locate(self._kit, made.end, deadline, phases)
        except ResolveError as error:
            return resolve_result(error, clock.boot() - start)
        ask = ask_udp if settings.protocol == "udp" else ask_tcp
        outcome = await ask(_at(made.question, address), deadline=deadline, clock=clock)
        return self._result(outcome, made, start, phases)

    def _result(self, outcome: Answered | Stopped, made: Plan, start: float, phases: dict[str, float]) -> Result:
        if outcome.connect_seconds is not None:
            phases["connect"] = outcome.connect_seconds
        if isinstance(outcome, Answered):
            phases["answer"] = outcome.answer_seconds
            return self._compared(outcome, made, judge(outcome, made, phases))
        trouble = outcome.trouble
        stage = Stage.ANSWER if outcome.connect_seconds is not None or trouble.answered else Stage.CONNECT
        result = result_of(trouble, stage, self._kit.clock.boot() - start, phases)
        return msgspec.structs.replace(result, packet_bytes=_SMALL) if trouble.answered else result

    def _compared(self, outcome: Answered, made: Plan, result: Result) -> Result:
        """Return `result`, degraded where a good answer is not the one that was good."""
        settings = made.settings
        if not settings.settle or result.outcome is not Outcome.OK:
            return result
        found = outcome.message.answers_to(settings.name, settings.record)
        answer = _comparable(found, settings.record)
        before = None if made.expected and answer <= made.expected else self._memories.get(settings)
        if len(self._memories) >= KEPT:
            self._memories.clear()
        self._memories[settings], changed = remember(before, answer, settings.settle)
        if not changed:
            return result
        was = ", ".join(sorted(self._memories[settings].good)[:4])
        shown = f"{_shown(settings, tuple(sorted(answer)), '')}; was {was}"[:200]
        return msgspec.structs.replace(result, outcome=Outcome.DEGRADED, fault="answer-changed", detail=shown)


def _at(asked: Question, address: str) -> Question:
    return asked if asked.address == address else msgspec.structs.replace(asked, address=address)
