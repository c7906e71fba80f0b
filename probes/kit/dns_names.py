"""Names of the DNS, on the wire and as text (RFC 1035 section 3.1, RFC 4343). Pure.

What must stay true: a compression pointer must point before the name that uses it, so no loop is
possible; one message may spell out MAX_LABELS at most, so that 64 KiB of pointers cost milliseconds;
names are text with every odd byte escaped as RFC 4343 writes it, so they are safe on a screen.
"""

import re
from typing import Final

# A message of 64 KiB with the shortest answers (12 bytes behind a pointer) spells out its question once and
# remembers it; this allows for five thousand answers with names of their own.
MAX_LABELS: Final = 16_384
_PLAIN: Final = re.compile(rb"[A-Za-z0-9_-]+")
_ESCAPED: Final = frozenset(b'."\\()@;$')


class DecodeError(ValueError):
    """The bytes are not a DNS message; the text says where."""


def encode_name(name: str) -> bytes:
    """Return a name's wire form; ValueError when it is too long or has an empty label."""
    bare = name.removesuffix(".")
    if not bare:
        return b"\0"
    wire = bytearray()
    for label in bare.split("."):
        raw = label.encode("ascii", "strict")
        if not 1 <= len(raw) <= 63:
            raise ValueError(f"{name!r}: a label has 1 to 63 characters")
        wire += bytes([len(raw)]) + raw
    if len(wire) > 254:
        raise ValueError(f"{name!r}: a name has at most 253 characters")
    return bytes(wire) + b"\0"


def same_name(one: str, other: str) -> bool:
    """Return whether two names are equal: case and a final dot do not matter (RFC 4343)."""
    return one.removesuffix(".").lower() == other.removesuffix(".").lower()


class Names:
    """Reads the names of one message; what a pointer led to is remembered."""

    def __init__(self, data: bytes) -> None:
        self.data: Final = data
        self._known: dict[int, str] = {}
        self._room = MAX_LABELS

    def read(self, position: int) -> tuple[str, int]:
        """Return the name at `position` and the position behind it; DecodeError when there is none."""
        if position + 1 < len(self.data) and self.data[position] >= 0xC0:  # most names are only a pointer
            target = self._target(position, position)
            if target not in self._known:
                self._known[target] = self._spell(target)[0]
            return self._known[target], position + 2
        return self._spell(position)

    def read_all(self, start: int, end: int) -> str:
        """Return the name that fills `start` to `end`."""
        name, behind = self.read(start)
        if behind != end:
            raise DecodeError("record data has the wrong length")
        return name

    def _spell(self, position: int) -> tuple[str, int]:
        data = self.data
        labels: list[str] = []
        limit = position
        after = -1
        length = 0
        while True:
            if position >= len(data):
                raise DecodeError("a name runs past the end")
            size = data[position]
            if size >= 0xC0:
                after = position + 2 if after < 0 else after
                position = limit = self._target(position, limit)
                continue
            if size > 63:
                raise DecodeError("a label of unknown type")
            if size == 0:
                break
            label = data[position + 1 : position + 1 + size]
            length += size + 1
            self._room -= 1
            if len(label) < size or length > 254 or self._room < 0:
                raise DecodeError("a label is cut short, the name is too long or they are too many")
            labels.append(label.decode() if _PLAIN.fullmatch(label) else _escape(label))
            position += size + 1
        return ".".join(labels) or ".", position + 1 if after < 0 else after

    def _target(self, position: int, limit: int) -> int:
        if position + 1 >= len(self.data):
            raise DecodeError("a pointer is cut short")
        target = (self.data[position] & 0x3F) << 8 | self.data[position + 1]
        if target >= limit:
            raise DecodeError("a compression pointer does not point back")
        return target


def _escape(label: bytes) -> str:
    return "".join(
        f"\\{byte:03d}" if not 0x21 <= byte <= 0x7E else f"\\{chr(byte)}" if byte in _ESCAPED else chr(byte)
        for byte in label
    )
