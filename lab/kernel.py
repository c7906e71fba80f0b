"""The few system calls that Python 3.11 does not wrap: namespaces, mounts, parent-death signal.

Must stay free of other lab modules: `lab/enter.py` runs as a plain script between fork and exec.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

# <linux/sched.h>, <linux/mount.h>, <linux/prctl.h>
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
PR_SET_PDEATHSIG = 1

_LIBC = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def setns(descriptor: int, kind: int = 0) -> None:
    """Join the namespace behind an open descriptor; OSError when the kernel refuses."""
    _check(_LIBC.setns(descriptor, kind), "setns")


def unshare(kinds: int) -> None:
    """Leave the shared namespaces of these kinds for new ones; OSError when the kernel refuses."""
    _check(_LIBC.unshare(kinds), "unshare")


def attach(source: str, target: str, kind: str | None, flags: int) -> None:
    """Attach a filesystem as mount(2) describes. OSError when the kernel refuses."""
    kind_bytes = kind.encode() if kind else None
    _check(_LIBC.mount(source.encode(), target.encode(), kind_bytes, ctypes.c_ulong(flags), None), f"mount {target}")


def die_with_parent(signal_number: int) -> None:
    """Ask for `signal_number` when the thread that started this process ends."""
    _check(_LIBC.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl")


@contextmanager
def inside(network: int) -> Iterator[None]:
    """Run the block in another network namespace; single-threaded callers only."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(network, CLONE_NEWNET)
        try:
            yield
        finally:
            setns(home, CLONE_NEWNET)
    finally:
        os.close(home)


def new_network() -> int:
    """Return a descriptor of a fresh network namespace; the caller stays where it is.

    The namespace lives as long as the descriptor, a process in it, or a device's other end needs it.
    """
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        unshare(CLONE_NEWNET)
        fresh = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        setns(home, CLONE_NEWNET)
    finally:
        os.close(home)
    return fresh
