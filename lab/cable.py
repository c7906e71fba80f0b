"""The pure core of a cable with faults: frames in, frames out when due. `now` is an argument, chance is injected.

What must stay true: jitter keeps frames in order as a real queue does (only `reorder` overtakes); a frame
that was accepted leaves exactly once, or twice when duplicated; matching never raises, whatever the frame.
"""

import heapq
from collections.abc import Iterable
from random import Random
from typing import Annotated

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Amount = Annotated[float, msgspec.Meta(ge=0)]

ETHERNET_HEADER = 14
ETHERTYPE_IPV4 = b"\x08\x00"
# IANA protocol numbers
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "esp": 50}
NAT_TRAVERSAL_PORT = 4500
NON_ESP_MARKER = b"\x00\x00\x00\x00"  # RFC 3948 section 2.2: four zero bytes mean IKE, not ESP


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one direction of a cable does to frames; the defaults are a perfect cable.

    Seconds, shares of 0..1, bits a second, bytes. `queue_bytes` bounds what waits for `rate_bits` (0: no
    bound); `max_bytes` is the longest IP packet that passes (0: any); `drop` names what never passes: `all`,
    `icmp`, `tcp`, `udp`, `esp`, `esp-in-udp` (RFC 3948), or `tcp:PORT`, `udp:PORT` (either port).
    """

    delay_seconds: Amount = 0.0
    jitter_seconds: Amount = 0.0
    loss: Share = 0.0
    duplicate: Share = 0.0
    reorder: Share = 0.0
    corrupt: Share = 0.0
    rate_bits: Amount = 0.0
    queue_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    max_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    drop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for rule in self.drop:
            check_rule(rule)


class Counters(msgspec.Struct):
    """Frames of one direction since the cable was laid."""

    received: int = 0
    sent: int = 0
    lost: int = 0
    filtered: int = 0
    too_long: int = 0
    overflowed: int = 0
    duplicated: int = 0
    corrupted: int = 0
    refused: int = 0


def check_rule(rule: str) -> None:
    """Raise ValueError when `rule` is no drop rule."""
    if rule in ("all", "esp-in-udp", *PROTOCOLS):
        return
    protocol, separator, port = rule.partition(":")
    if not (separator and protocol in ("tcp", "udp") and port.isdecimal() and int(port) < 1 << 16):
        raise ValueError(f"no drop rule: {rule!r}; known: all, esp-in-udp, {', '.join(PROTOCOLS)}, tcp:PORT, udp:PORT")


def _matches_one(rule: str, protocol: int, payload: bytes) -> bool:
    if rule in PROTOCOLS:
        return protocol == PROTOCOLS[rule]
    if protocol not in (PROTOCOLS["tcp"], PROTOCOLS["udp"]) or len(payload) < 4:
        return False
    ports = (int.from_bytes(payload[:2]), int.from_bytes(payload[2:4]))
    if rule == "esp-in-udp":
        encapsulated = protocol == PROTOCOLS["udp"] and NAT_TRAVERSAL_PORT in ports
        return encapsulated and len(payload) >= 12 and payload[8:12] != NON_ESP_MARKER
    name, _, port = rule.partition(":")
    return protocol == PROTOCOLS.get(name) and int(port) in ports


def matches(frame: bytes, rules: Iterable[str]) -> bool:
    """Return whether one of `rules` names this Ethernet frame; only `all` names what is not IPv4."""
    rules = tuple(rules)
    if "all" in rules:
        return True
    packet = frame[ETHERNET_HEADER:]
    if frame[12:ETHERNET_HEADER] != ETHERTYPE_IPV4 or len(packet) < 20:
        return False
    payload = packet[(packet[0] & 0x0F) * 4 :]
    return any(_matches_one(rule, packet[9], payload) for rule in rules)


class Direction:
    """One direction of a cable."""

    def __init__(self, chance: Random) -> None:
        self.settings = Settings()
        self.counters = Counters()
        self._chance = chance
        self._waiting: list[tuple[float, int, bytes]] = []
        self._order = 0
        self._line_free = 0.0
        self._latest = 0.0

    def accept(self, frame: bytes, now: float) -> None:
        """Take one frame from the sending end at `now` (seconds)."""
        settings, counters = self.settings, self.counters
        counters.received += 1
        if settings.drop and matches(frame, settings.drop):
            counters.filtered += 1
        elif settings.max_bytes and len(frame) - ETHERNET_HEADER > settings.max_bytes:
            counters.too_long += 1
        elif self._happens(settings.loss):
            counters.lost += 1
        elif (leaves := self._serialise(len(frame), now)) is None:
            counters.overflowed += 1
        else:
            self._hold(self._maybe_corrupt(frame), self._arrival(leaves, now))

    def due(self, now: float) -> list[bytes]:
        """Return the frames that arrive by `now`, in order of arrival."""
        frames = []
        while self._waiting and self._waiting[0][0] <= now:
            frames.append(heapq.heappop(self._waiting)[2])
        return frames

    def next_due(self) -> float | None:
        """Return when the next frame arrives (seconds, same clock as `now`), or None."""
        return self._waiting[0][0] if self._waiting else None

    def _happens(self, share: float) -> bool:
        return share > 0 and self._chance.random() < share

    def _serialise(self, size: int, now: float) -> float | None:
        """Return when the frame's last bit is on the line; None when the queue is full (tail drop)."""
        if not self.settings.rate_bits:
            return now
        start = max(now, self._line_free)
        backlog_bytes = (start - now) * self.settings.rate_bits / 8
        if self.settings.queue_bytes and backlog_bytes + size > self.settings.queue_bytes:
            return None
        self._line_free = start + size * 8 / self.settings.rate_bits
        return self._line_free

    def _arrival(self, leaves: float, now: float) -> float:
        if self._happens(self.settings.reorder):
            return now
        jitter = self.settings.jitter_seconds
        arrival = leaves + self.settings.delay_seconds + (self._chance.uniform(-jitter, jitter) if jitter else 0.0)
        self._latest = max(arrival, self._latest, now)
        return self._latest

    def _maybe_corrupt(self, frame: bytes) -> bytes:
        body = ETHERNET_HEADER + 20  # leave the addresses alone: the frame must still arrive, broken
        if len(frame) <= body or not self._happens(self.settings.corrupt):
            return frame
        self.counters.corrupted += 1
        position = self._chance.randrange(body, len(frame))
        return frame[:position] + bytes([frame[position] ^ 1]) + frame[position + 1 :]

    def _hold(self, frame: bytes, arrival: float) -> None:
        copies = 2 if self._happens(self.settings.duplicate) else 1
        self.counters.duplicated += copies - 1
        for _ in range(copies):
            self._order += 1
            heapq.heappush(self._waiting, (arrival, self._order, frame))
