"""What strongSwan's log says of a negotiation that fails, and of a peer that does not answer. Pure.

The lines are those of 5.9.8's libcharon and libstrongswan (IKEv2 and IKEv1), as the `log` event of VICI brings
them: loglevel 1 and below, which holds no key. What must stay true: a line names a technical place and no party; it
refines a fault that the gateway's state shows and makes none of its own; memory is bounded, whoever talks to the
gateway. A line of an IKE SA without a name yet counts only for the connection whose configured peer it came from,
and an offer of private-use transforms never: that is a liveness probe's, like ours (probes/ike.py).
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from probes.kit.charon_view import text
from probes.kit.vici import Section

# strongSwan's first try ends after 165 s with the default timers (strongswan.conf(5), retransmit_*), and the next
# one begins: what was said this long ago was said of an earlier try.
EVIDENCE_SECONDS: Final = 180.0
# IKE SAs that are remembered at a time, and characters of a line.
SAS_MOST: Final = 64
LINE_MOST: Final = 200
UNNAMED: Final = "(unnamed)"

PEER_SILENT: Final = "peer-silent"
# What a line begins with or holds -> the fault; the first row that matches counts.
_LINES: Final[tuple[tuple[str, re.Pattern[str]], ...]] = tuple(
    (fault, re.compile(pattern))
    for fault, pattern in (
        ("auth-refused", r"^received AUTHENTICATION_FAILED (notify )?error|^received AUTH_FAILED"),
        ("key-mismatch", r"^tried \d+ shared keys? for .*, but MAC mismatched|^no shared key found for"),
        ("no-proposal", r"^received NO_PROPOSAL_CHOSEN|^received proposals unacceptable"),
        ("no-proposal", r"^no (acceptable|matching) proposal found|^received INVALID_KE_PAYLOAD .*no CHILD_SA built"),
        ("selectors-mismatch", r"^received TS_UNACCEPTABLE|^traffic selectors .* unacceptable"),
        ("certificate-refused", r"^no (issuer certificate|trusted .* public key) found for"),
        ("certificate-refused", r"certificate (was revoked|invalid \(valid)|^signature validation failed"),
        ("identity-mismatch", r"^no matching peer config found|^constraint check failed: .*identity"),
        ("identity-mismatch", r"^no IKE config found for|^no peer config found"),
        (PEER_SILENT, r"^giving up after \d+ retransmits|peer not responding"),
    )
)
_INITIATING: Final = re.compile(r"^(\S+) is initiating an? ")
_OFFER: Final = re.compile(r"^(received|configured) proposals: (.*)$")
_PRIVATE_USE: Final = re.compile(r"\(\d+\)")
_RETRANSMIT: Final = re.compile(r"^retransmit (\d+) of request with message ID (\d+)$")
_ANSWERED: Final = re.compile(r"^parsed \S+ response (\d+) ")


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One line: the fault that it tells of, its words, its IKE SA and when it came (boot-time seconds)."""

    fault: str
    line: str
    ike: str
    at: float


class Unanswered(msgspec.Struct, frozen=True, kw_only=True):
    """A request that the peer has not answered: how often it was sent again."""

    request: int
    times: int
    at: float


class _Young(msgspec.Struct, kw_only=True):
    """An IKE SA on its way: who began it, and what was offered."""

    peer: str = ""
    offers: dict[str, str] = {}


class LogReader:
    """Reads the log of one gateway, line by line."""

    def __init__(self) -> None:
        self._young: dict[str, _Young] = {}
        self._evidence: dict[str, Evidence] = {}
        self._unanswered: dict[str, Unanswered] = {}

    def take(self, message: Section, now: float, peers: Mapping[str, tuple[str, ...]]) -> str:
        """Take up the message of one `log` event; return the connection that it is evidence for, or nothing.

        `peers` has the configured addresses of each connection's other end.
        """
        line, ike = clean(text(message.get("msg"))), text(message.get("ikesa-uniqueid"))
        if not ike or not line:
            return ""
        if self._passing_by(ike, line, now):
            return ""
        fault = next((fault for fault, pattern in _LINES if pattern.search(line)), None)
        connection = self._connection(text(message.get("ikesa-name")), ike, peers)
        young = self._young.get(ike)
        if (
            fault is None
            or not connection
            or (young is not None and _PRIVATE_USE.search(young.offers.get("received", "")))
        ):
            return ""
        if fault == "no-proposal" and young is not None and young.offers:
            line = clean(f"{line} ({', '.join(f'{who}: {what}' for who, what in young.offers.items())})")
        known = self._evidence.get(connection)
        if known is not None and (known.ike, known.fault) == (ike, fault):
            return ""  # the first of two lines says why, the second what followed
        self._evidence[connection] = Evidence(fault=fault, line=line, ike=ike, at=now)
        _bound(self._evidence)
        return connection

    def settled(self, connection: str) -> None:
        """Forget what was said of a connection: it came up, or got new keys."""
        self._evidence.pop(connection, None)

    def ended(self, ike: str) -> None:
        """Forget what an IKE SA that is gone waited for; its last lines come after the event of its end."""
        self._unanswered.pop(ike, None)

    def evidence(self, connection: str, now: float) -> Evidence | None:
        """Return the last line that told why this connection does not come up."""
        found = self._evidence.get(connection)
        return found if found is not None and now - found.at <= EVIDENCE_SECONDS else None

    def unanswered(self, ike: str) -> Unanswered | None:
        """Return the request by this IKE SA that the peer has not answered although it was sent again."""
        return self._unanswered.get(ike)

    def _passing_by(self, ike: str, line: str, now: float) -> bool:
        """Remember what later lines need; return whether that is all that this line is for."""
        if found := _RETRANSMIT.match(line):
            self._unanswered[ike] = Unanswered(request=int(found[2]), times=int(found[1]), at=now)
            _bound(self._unanswered)
        elif found := _ANSWERED.match(line):
            waiting = self._unanswered.get(ike)
            if waiting is not None and waiting.request == int(found[1]):
                del self._unanswered[ike]
        elif found := _INITIATING.match(line):
            self._young[ike] = _Young(peer=found[1])
            _bound(self._young)
        elif (found := _OFFER.match(line)) and ike in self._young:
            self._young[ike].offers = {**self._young[ike].offers, found[1]: found[2]}
        else:
            return False
        return True

    def _connection(self, name: str, ike: str, peers: Mapping[str, tuple[str, ...]]) -> str:
        if name != UNNAMED:
            return name
        young = self._young.get(ike)
        matching = [connection for connection, addresses in peers.items() if young and young.peer in addresses]
        return matching[0] if len(matching) == 1 else ""


def clean(line: str) -> str:
    """Return a foreign line as one short line of printable characters."""
    shown = "".join(char if char.isprintable() else " " for char in line[: 2 * LINE_MOST])
    shown = " ".join(shown.split())
    return shown if len(shown) <= LINE_MOST else shown[: LINE_MOST - 1] + "…"


def _bound(known: dict[str, _Young] | dict[str, Evidence] | dict[str, Unanswered]) -> None:
    """Forget the oldest when there are too many."""
    while len(known) > SAS_MOST:
        del known[next(iter(known))]
