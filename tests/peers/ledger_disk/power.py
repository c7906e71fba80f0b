"""What a disk holds after a power cut: pure, from a trace of the shim to the content of files.

A write that no sync followed may have reached the disk or not, sector by sector (512 bytes) and in any order; so may
a truncation, and the file itself. What a sync came after is there.
"""

import random
import struct
from collections.abc import Iterator
from typing import NamedTuple

SECTOR = 512
_HEAD = struct.Struct("<cQQQ")


class Event(NamedTuple):
    """One record: `kind` w(rite), t(runcate), s(ync), u(nlink), l(ink: `data` is the old name), m(ark: its text)."""

    kind: str
    name: str
    offset: int
    data: bytes


def events(trace: bytes) -> Iterator[Event]:
    """Yield the records of a trace."""
    at = 0
    while at < len(trace):
        kind, length, offset, size = _HEAD.unpack_from(trace, at)
        at += _HEAD.size
        name = trace[at : at + length].decode()
        at += length
        data = trace[at : at + size] if kind in b"wl" else b""
        at += len(data)
        yield Event(kind.decode(), name, offset, data)


class Disk:
    """The files of one folder: what is on the disk for certain, and what is only on its way."""

    def __init__(self) -> None:
        self._durable: dict[str, bytearray] = {}
        self._pending: dict[str, list[Event]] = {}
        self._linked: dict[str, bytearray] = {}

    def take(self, event: Event) -> None:
        """Take the next event."""
        if event.kind in "wt":
            self._pending.setdefault(event.name, []).append(event)
        elif event.kind == "s":
            self._sync(event.name)
        elif event.kind == "u":
            self._durable.pop(event.name, None)
            self._pending.pop(event.name, None)
        elif event.kind == "l":
            self._linked[event.name] = self._durable[event.data.decode()]

    def _sync(self, name: str) -> None:
        waiting = self._pending.pop(name, [])
        if not waiting and name not in self._durable:
            self._durable |= self._linked  # a folder: its names are on the disk now
            self._linked = {}
            return
        content = self._durable.setdefault(name, bytearray())
        for event in waiting:
            _apply(content, event)

    def cut(self, rng: random.Random) -> dict[str, bytes]:
        """Return the files as a power cut may leave them now."""
        linked = {name: content for name, content in self._linked.items() if rng.random() < 0.5}
        files = {name: bytearray(content) for name, content in (self._durable | linked).items()}
        for name, waiting in self._pending.items():
            if name not in files:
                if rng.random() < 0.5:  # not even its name has reached the disk
                    continue
                files[name] = bytearray()
            for event in waiting:
                for part in _sectors(event):
                    if rng.random() < 0.5:
                        _apply(files[name], part)
        return {name: bytes(content) for name, content in files.items()}


def _sectors(event: Event) -> Iterator[Event]:
    """Cut a write at the sectors' edges."""
    if event.kind == "t":
        yield event
        return
    at, end = event.offset, event.offset + len(event.data)
    while at < end:
        stop = min(end, at - at % SECTOR + SECTOR)
        yield Event("w", event.name, at, event.data[at - event.offset : stop - event.offset])
        at = stop


def _apply(content: bytearray, event: Event) -> None:
    if event.kind == "t":
        content[event.offset :] = b""
        content.extend(bytes(event.offset - len(content)))
        return
    content.extend(bytes(max(0, event.offset - len(content))))
    content[event.offset : event.offset + len(event.data)] = event.data
