"""The gate's decision: what reads passes, everything else is answered here."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vici.protocol import Message, Packet

from probes.kit.vici import ViciError, parse
from probes.kit.vici_gate import COMMANDS, EVENTS, GATE, decide

# Every command of strongSwan's vici README that changes something, or shows what is loaded as a secret.
CHANGING = (
    "initiate",
    "terminate",
    "rekey",
    "redirect",
    "install",
    "uninstall",
    "reload-settings",
    "load-conn",
    "unload-conn",
    "load-cert",
    "load-key",
    "unload-key",
    "get-keys",
    "load-token",
    "load-shared",
    "unload-shared",
    "get-shared",
    "flush-certs",
    "clear-creds",
    "load-authority",
    "unload-authority",
    "load-pool",
    "unload-pool",
    "reset-counters",
)


def test_what_reads_passes() -> None:
    """Each command of the table with a filter in it, and each event, goes on as it came."""
    for command in COMMANDS:
        assert decide(Packet.request(command, Message.serialize({"ike": "site"}))).answer is None
    for event in EVENTS:
        assert decide(Packet.register_event(event)).answer is None
        assert decide(Packet.unregister_event(event)).answer is None


@pytest.mark.parametrize("command", [*CHANGING, "list-sas2", "LIST-SAS", "", "list-sas\0"])
def test_what_changes_does_not_pass(command: str) -> None:
    """It is answered as charon answers what it does not know."""
    assert decide(Packet.request(command)).answer == bytes([Packet.CMD_UNKNOWN])


def test_an_unknown_event_does_not_pass() -> None:
    """Registering for what is not in the table is answered as charon answers it."""
    assert decide(Packet.register_event("everything")).answer == bytes([Packet.EVENT_UNKNOWN])


def test_the_gate_says_that_it_is_one() -> None:
    """The command that charon does not know tells the two apart."""
    answer = decide(Packet.request(GATE)).answer
    assert answer is not None
    assert parse(answer).message == {"gate": b"reads only"}


BROKEN = {
    "nothing": b"",
    "a type only": bytes([Packet.CMD_REQUEST]),
    "an answer": bytes([Packet.CMD_RESPONSE, 0]),
    "an event": bytes([Packet.EVENT, 1]) + b"x",
    "a name that is cut": bytes([Packet.CMD_REQUEST, 9]) + b"list-sa",
    "a message that is cut": Packet.request("list-sas", Message.serialize({"a": "b"})[:-1]),
    "an event with a message": Packet.register_event("log") + b"\x06",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_request_is_an_error(name: str) -> None:
    """Nothing of it reaches charon."""
    with pytest.raises(ViciError):
        decide(BROKEN[name])


@given(st.binary(max_size=60), st.sampled_from([b"", b"\x00\x08list-sas", b"\x03\x03log", b"\x00\x09terminate"]))
def test_any_bytes_pass_only_with_a_name_of_the_tables(tail: bytes, head: bytes) -> None:
    """Whatever comes passes only as a whole request that is in the tables."""
    packet = head + tail
    try:
        decision = decide(packet)
    except ViciError:
        return
    if decision.answer is None:
        (length,) = struct.unpack("!B", packet[1:2])
        assert packet[2 : 2 + length].decode() in COMMANDS | EVENTS
