"""dns, pure: which settings hold, what a response means, what a change is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.dns import Memory, Settings, flow, judge, plan, remember
from probes.kit.dns_exchange import Answered, question, read_answer
from probes.kit.dns_message import Message, Record
from probes.kit.result import Outcome, Result
from probes.kit.spec import Duration


def settings(**more: Any) -> Settings:
    """Return settings that ask 10.0.0.1 for `erp`."""
    return Settings(**{"target": "10.0.0.1", "name": "erp", **more})


def judged(
    more: dict[str, Any],
    *data: str,
    rcode: str = "noerror",
    ttl: int = 60,
    alias_ttl: int | None = None,
    truncated: bool = False,
    aa: bool = False,
    ad: bool = False,
) -> Result:
    """Return the verdict over a response with `data`."""
    made = settings(**more)
    records = tuple(Record("erp" if alias_ttl is None else "alias", made.record, ttl, text) for text in data)
    if alias_ttl is not None:
        records = (Record("erp", "CNAME", alias_ttl, "alias"), *records)
    message = Message(
        ident=1,
        response=True,
        truncated=truncated,
        rcode=rcode,
        question=None,
        answers=records,
        authoritative=aa,
        authenticated=ad,
    )
    answered = Answered(message=message, packet_bytes=100, answer_seconds=0.1)
    return judge(answered, plan(made), {"answer": 0.1})


ONE: dict[str, Any] = {"expect": ("10.0.0.1",)}
TWO: dict[str, Any] = {"expect": ("10.0.0.1", "10.0.0.2")}
MX: dict[str, Any] = {"record": "MX", "expect": ("10 Mail.corp.lab.",)}
BOUNDS: dict[str, Any] = {"ttl_at_least": Duration(30), "ttl_at_most": Duration(120)}
GONE: dict[str, Any] = {"rcode": "nxdomain"}
# name -> (verdict, fault)
VERDICTS: dict[str, tuple[Result, str | None]] = {
    "any answer": (judged({}, "10.0.0.9"), None),
    "one of several": (judged(ONE, "10.0.0.9", "10.0.0.1"), None),
    "none of them": (judged(ONE, "10.0.0.2"), "mismatch"),
    "case and final dot": (judged(MX, "10 mail.CORP.lab"), None),
    "another preference": (judged(MX, "20 mail.corp.lab"), "mismatch"),
    "all of them and more": (judged({**TWO, "match": "all"}, "10.0.0.2", "10.0.0.1", "10.0.0.3"), None),
    "not all of them": (judged({**TWO, "match": "all"}, "10.0.0.2"), "mismatch"),
    "exactly them": (judged({**TWO, "match": "exact"}, "10.0.0.2", "10.0.0.1"), None),
    "one too many": (judged({**TWO, "match": "exact"}, "10.0.0.2", "10.0.0.1", "10.0.0.3"), "mismatch"),
    "through an alias": (judged(ONE, "10.0.0.1", alias_ttl=60), None),
    "no answer": (judged({}), "no-answer"),
    "truncated": (judged({}, "10.0.0.1", truncated=True), "truncated"),
    "nxdomain": (judged({}, rcode="nxdomain"), "rcode-nxdomain"),
    "servfail": (judged({}, rcode="servfail"), "rcode-servfail"),
    "refused": (judged({}, rcode="refused"), "rcode-refused"),
    "not implemented": (judged({}, rcode="notimp"), "rcode-other"),
    "nxdomain as agreed": (judged(GONE, rcode="nxdomain"), None),
    "an answer where none is agreed": (judged(GONE, "10.0.0.1"), "rcode-noerror"),
    "servfail where none is agreed": (judged(GONE, rcode="servfail"), "rcode-servfail"),
    "the zone's own": (judged({"authoritative": True}, "10.0.0.1", aa=True), None),
    "a cache's": (judged({"authoritative": True}, "10.0.0.1"), "not-authoritative"),
    "checked": (judged({"authenticated": True}, "10.0.0.1", ad=True), None),
    "not checked": (judged({"authenticated": True}, "10.0.0.1"), "not-authenticated"),
    "a denial of a cache": (judged({**GONE, "authoritative": True}, rcode="nxdomain"), "not-authoritative"),
    "within the bounds": (judged(BOUNDS, "10.0.0.1", ttl=30), None),
    "too short": (judged(BOUNDS, "10.0.0.1", ttl=29), "ttl-outside"),
    "too long": (judged(BOUNDS, "10.0.0.1", ttl=121), "ttl-outside"),
    "an alias that is too short": (judged(BOUNDS, "10.0.0.1", alias_ttl=29), "ttl-outside"),
    "no upper bound": (judged({"ttl_at_least": Duration(30)}, "10.0.0.1", ttl=99999), None),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_verdicts(name: str) -> None:
    """A wrong answer is the server's own word, and its packet came."""
    result, fault = VERDICTS[name]

    assert (result.fault, result.answered) == (fault, fault is not None)
    assert result.outcome == (Outcome.FAILED if fault else Outcome.OK)
    assert (result.packet_bytes, result.phases, result.seconds) == (100, {"answer": 0.1}, 0.1)


def test_values_are_those_of_the_answer() -> None:
    """The number of records of the type, and the shortest TTL on the way to them."""
    assert judged({}, "10.0.0.1", "10.0.0.2", alias_ttl=7).values == {"dns_answers": 2.0, "dns_ttl_seconds": 7.0}
    assert judged({}).values == {"dns_answers": 0.0}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "name": ({"name": "a..b"}, r"^name: .*label"),
    "EDNS too large": ({"edns_bytes": 4096}, r"^edns_bytes: write 0, or 512 to 1232"),
    "EDNS over TCP": ({"edns_bytes": 1232, "protocol": "tcp"}, "^edns_bytes: "),
    "settle": ({"settle": -1}, "^settle: "),
    "match": ({"match": "all"}, "^match: "),
    "records of nothing": ({"rcode": "nxdomain", "expect": ("10.0.0.1",)}, "^rcode: "),
    "no bounds": ({"ttl_at_least": Duration(60), "ttl_at_most": Duration(30)}, "^ttl_at_most: "),
    "target": ({"target": "10.0.0.1:x"}, "port"),
}


@pytest.mark.parametrize("name", WRONG)
def test_settings_that_cannot_hold_are_refused(name: str) -> None:
    """The error begins with its key, so that the loader points at it."""
    more, complaint = WRONG[name]

    with pytest.raises(ValueError, match=complaint):
        flow(settings(**more))


@pytest.mark.parametrize(
    ("more", "largest"),
    [({}, 540), ({"edns_bytes": 1232}, 1260), ({"edns_bytes": 1232, "target": "fd00::1"}, 1280)],
)
def test_the_flow_knows_its_largest_answer(more: dict[str, Any], largest: int) -> None:
    """What EDNS asks for, with its headers, fits every IPv6 link."""
    assert flow(settings(**more)).carry_bytes == largest


FUNCTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "any answer": ({"settle": 3}, "erp A"),
    "records": ({**TWO, "match": "exact"}, "erp A exact 10.0.0.1, 10.0.0.2"),
    "a denial": (GONE, "erp A nxdomain"),
    "flags": ({"authoritative": True, "authenticated": True}, "erp A authoritative authenticated"),
    "bounds": (BOUNDS, "erp A ttl 30..120"),
    "one bound": ({"ttl_at_least": Duration(30)}, "erp A ttl 30..inf"),
    "a large answer": ({"edns_bytes": 1232}, "erp A edns 1232"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_its_own_for_each_demand(name: str) -> None:
    """A server that gives any answer has not given the agreed one: that would clear it of what another probe saw."""
    more, function = FUNCTIONS[name]
    assert flow(settings(**more)).function == function


A, B, C = frozenset("a"), frozenset("b"), frozenset("c")


def test_a_change_is_said_until_it_settles() -> None:
    """Against the last good answer; another one begins anew; what comes back was never away."""
    memory: Memory | None = None
    said = []
    for answer in (A, B, A, B, B, B, A, C, B, B, B):
        memory, changed = remember(memory, answer, 3)
        said.append(changed)

    assert said == [False, True, False, True, True, False, True, True, False, False, False]
    assert memory == Memory(good=B)


@given(st.lists(st.sampled_from([A, B, C])), st.integers(1, 4))
def test_what_is_good_came_often_enough(answers: list[frozenset[str]], settle: int) -> None:
    """After a change is accepted, its answer had come `settle` times in a row."""
    memory: Memory | None = None
    for at, answer in enumerate(answers):
        before = memory
        memory, changed = remember(memory, answer, settle)
        assert changed == (memory.good != answer)
        if before is not None and before.good != memory.good:
            assert answers[at + 1 - settle : at + 1] == [answer] * settle


ASKED = question("192.0.2.1", 53, 4, name="erp", record="A")
OURS = b"\x07\x01"
# the reply behind its identifier -> what it is
REPLIES: dict[str, tuple[bytes, str | None]] = {
    "an answer": (b"\x81\x80" + ASKED.wire[2:], "message"),
    "the question itself": (ASKED.wire, None),
    "an answer to another name": (b"\x81\x80" + ASKED.wire[2:].replace(b"erp", b"x-y"), None),
    "an answer in other letters": (b"\x81\x80" + ASKED.wire[2:].replace(b"erp", b"ERP"), "message"),
    "an answer to another type": (b"\x81\x80" + ASKED.wire[2:-3] + b"\x1c\0\x01", None),
    "a refusal without a question": (b"\x81\x85" + bytes(8), "message"),
    "an answer without a question": (b"\x81\x80" + bytes(8), "malformed"),
    "cut": (b"\x81\x80" + ASKED.wire[2:-1], "malformed"),
    "nothing": (b"", "malformed"),
}


@pytest.mark.parametrize("name", REPLIES)
def test_only_an_answer_to_our_question_counts(name: str) -> None:
    """With our identifier; with another one nothing does, whatever else is right."""
    data, expected = REPLIES[name]
    found = read_answer(OURS + data, ASKED, OURS)

    assert ("message" if isinstance(found, Message) else found.fault if found else None) == expected
    assert read_answer(b"\x07\x02" + data, ASKED, OURS) is None


@given(st.binary(max_size=64))
def test_any_reply_is_an_answer_a_trouble_or_nothing(data: bytes) -> None:
    """No bytes raise."""
    for reply in (data, OURS + data, OURS + b"\x81\x80" + ASKED.wire[2:] + data):
        found = read_answer(reply, ASKED, OURS)
        assert found is None or isinstance(found, Message) or found.fault == "malformed"
