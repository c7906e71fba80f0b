"""Which VICI packets a gate passes on: those that read, and nothing else. Pure.

VICI has no read-only access: who may open charon's socket may terminate tunnels, load keys and reconfigure the
gateway. What must stay true: a packet passes only if its command or event is in these tables and its message is
whole and small; everything else is answered as charon answers what it does not know, without reaching it. No
command of the tables changes anything, and no answer to one holds a secret (VICI README: list-certs gives
certificates, list-conns names and identities).
"""

from typing import Final

import msgspec
from vici.protocol import Message, Packet

from probes.kit.vici import ViciError, parse

COMMANDS: Final = frozenset(
    {
        "version",
        "stats",
        "get-counters",
        "list-sas",
        "list-policies",
        "list-conns",
        "list-certs",
        "list-authorities",
    }
)
EVENTS: Final = frozenset(
    {
        "list-sa",
        "list-policy",
        "list-conn",
        "list-cert",
        "list-authority",
        "ike-updown",
        "ike-rekey",
        "ike-update",
        "child-updown",
        "child-rekey",
        "log",
        "control-log",
    }
)
# A request that reads has a filter at most.
MAX_REQUEST_BYTES: Final = 4096
# A command that charon does not know: who answers it is a gate.
GATE: Final = "demarc-gate"


class Decision(msgspec.Struct, frozen=True):
    """What becomes of a client's packet: it is passed on, or answered by the gate itself; `name` is what it asks."""

    name: str
    answer: bytes | None = None


def decide(packet: bytes) -> Decision:
    """Return what becomes of `packet` (without its length); ViciError when it is no request at all."""
    kind, name, message = _request(packet)
    if kind == Packet.CMD_REQUEST:
        parse(bytes([Packet.CMD_RESPONSE]) + message)
        if name == GATE:
            return Decision(name, bytes([Packet.CMD_RESPONSE]) + Message.serialize({"gate": "reads only"}))
        return Decision(name, None if name in COMMANDS else bytes([Packet.CMD_UNKNOWN]))
    if message:
        raise ViciError("an event is registered without a message")
    return Decision(name, None if name in EVENTS else bytes([Packet.EVENT_UNKNOWN]))


def _request(packet: bytes) -> tuple[int, str, bytes]:
    """Split a named packet: its type, its name and the bytes of its message."""
    if len(packet) < 2 or packet[0] not in (Packet.CMD_REQUEST, Packet.EVENT_REGISTER, Packet.EVENT_UNREGISTER):
        raise ViciError("no request")
    end = 2 + packet[1]
    if len(packet) < end:
        raise ViciError("a request that ends within its name")
    return packet[0], packet[2:end].decode("ascii", "replace"), packet[end:]
