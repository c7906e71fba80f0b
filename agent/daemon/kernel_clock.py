"""What the kernel says of its wall clock (adjtimex(2)); reading only, which needs no right."""

import ctypes
import sys

import msgspec

# struct timex on 64-bit Linux: 208 bytes; `maxerror` (us) is the long at 24, `status` the int at 40.
_TIMEX_BYTES, _ERROR_AT, _STATUS_AT = 208, 24, 40
_STA_UNSYNC = 0x40
_ADJTIMEX = ctypes.CDLL(None, use_errno=True).adjtimex  # looked up once: that takes longer than the call


class KernelClock(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a time service disciplines the clock, and the most by which it may be wrong (s)."""

    synchronised: bool
    error: float


def read_kernel_clock() -> KernelClock | None:
    """Return what the kernel says; None when it cannot be asked."""
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    if _ADJTIMEX(buffer) < 0:
        return None
    status = int.from_bytes(buffer.raw[_STATUS_AT : _STATUS_AT + 4], sys.byteorder)
    error = int.from_bytes(buffer.raw[_ERROR_AT : _ERROR_AT + 8], sys.byteorder, signed=True)
    return KernelClock(synchronised=not status & _STA_UNSYNC, error=error / 1e6)
