"""What a file server says in SMB2's NEGOTIATE, before anybody signs in ([MS-SMB2] 2.2.3, 2.2.4). Pure.

What must stay true: any bytes lead to a `Negotiated`, a Trouble or the wish for more; at most `LARGEST` bytes are kept.
"""

import struct
from typing import Final

import msgspec

from probes.kit.dialogue import Done
from probes.kit.greetings import GREETINGS, LARGEST, judge
from probes.kit.trouble import Trouble

_TRANSPORT: Final = 4  # 2.1: a zero and the length in three bytes
_HEADER: Final = 64
# 2.2.4: StructureSize, SecurityMode, DialectRevision, contexts, guid, capabilities, three sizes, SystemTime.
_BODY: Final = struct.Struct("<HHHH16sIIIIQ")
_SIGNING_REQUIRED: Final = 0x0002
_DIALECTS: Final = {0x0202: "2.0.2", 0x0210: "2.1", 0x0300: "3.0", 0x0302: "3.0.2", 0x0311: "3.1.1"}
# [MS-DTYP] 2.3.3: FILETIME counts 100 ns from 1601.
_TICKS: Final = 10_000_000
_EPOCH: Final = 11_644_473_600


class Negotiated(msgspec.Struct, frozen=True, kw_only=True):
    """The dialect, whether every message must be signed, and the server's clock (UTC epoch seconds, None: not said)."""

    dialect: str
    signing: bool
    server_time: float | None


class NegotiateQuestion:
    """The question as a dialogue; `found` holds the answer once it is done."""

    def __init__(self) -> None:
        self.first: Final = GREETINGS["smb"].opening
        self.found: Negotiated | None = None
        self._data = b""

    def feed(self, data: bytes) -> Done | Trouble | None:
        """Take bytes until the fixed part of the answer has come."""
        if not data:
            detail = f"closed after {len(self._data)} bytes" if self._data else "closed without an answer"
            return Trouble(fault="closed", detail=detail, answered=bool(self._data))
        self._data = (self._data + data)[:LARGEST]
        verdict = judge("smb", self._data)
        if verdict is not None and verdict.fault is not None:
            return Trouble(fault=verdict.fault, detail=verdict.text or "no answer of SMB", answered=True)
        if verdict is None or len(self._data) < _TRANSPORT + _HEADER + _BODY.size:
            return None
        size, mode, dialect, *_rest, moment = _BODY.unpack_from(self._data, _TRANSPORT + _HEADER)
        if size != 65:
            return Trouble(fault="malformed", detail="no NEGOTIATE response", answered=True)
        self.found = Negotiated(
            dialect=_DIALECTS.get(dialect, f"{dialect:#06x}"),
            signing=bool(mode & _SIGNING_REQUIRED),
            server_time=moment / _TICKS - _EPOCH if moment else None,
        )
        return Done()
