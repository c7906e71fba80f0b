"""The packet workshop: packets built and dissected by scapy, in a child process.

Probes prebuild their packets here and patch fresh ids in for each attempt; the daemon never holds
scapy. What must stay true: the child lives as long as the `async with` and not a moment longer,
also when the caller is cancelled; every question ends by its time, with an answer or a PacketError;
a child that hung, died or talked nonsense is killed and asked nothing more.
"""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from probes.kit.sockets import ready

# By file and isolated (-I): neither the working directory nor the environment decides what is loaded.
CHILD: Final = (sys.executable, "-I", str(Path(__file__).with_name("packet_child.py")))
# Loading scapy takes 0.5 s of CPU (measured); a small, busy machine takes many times that.
QUESTION_SECONDS: Final = 30.0
_ENVIRONMENT: Final = {"HOME": "/nonexistent"}  # scapy reads files of its user, if there is one
_LONGEST_LINE: Final = 1 << 20  # bytes; a dissected packet of 64 KiB has less
_LONGEST_COMPLAINT: Final = 1 << 16
_END_SECONDS: Final = 1.0  # for a killed process to be gone; the kernel needs milliseconds


class PacketError(Exception):
    """The workshop did not answer. `fault`: `no-child`, `late`, `ended`, `garbled` or `refused`."""

    def __init__(self, fault: str, detail: str) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.detail = detail


class Transform(msgspec.Struct, frozen=True, kw_only=True):
    """One transform of an IKE proposal: IANA's type and id, key length where the id has one."""

    type: int
    id: int
    key_bits: int | None = None


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A prebuilt packet, and where its initiator's SPI (8 bytes) and its nonce stand in it."""

    packet: bytes
    spi: int
    nonce: int
    nonce_bytes: int

    def patched(self, spi: bytes, nonce: bytes) -> bytes:
        """Return the packet with this SPI and nonce; ValueError when one has another length."""
        if len(spi) != 8 or len(nonce) != self.nonce_bytes:
            raise ValueError(f"SPI of {len(spi)} and nonce of {len(nonce)} bytes; not 8 and {self.nonce_bytes}")
        packet = bytearray(self.packet)
        packet[self.spi : self.spi + 8] = spi
        packet[self.nonce : self.nonce + self.nonce_bytes] = nonce
        return bytes(packet)


class _Built(msgspec.Struct, frozen=True):
    """The child's answer to `build_ike_sa_init`."""

    packet: str
    spi: int
    nonce: int


class _Child(msgspec.Struct, frozen=True, kw_only=True):
    """A running child, our end of its input and output, and of its standard error."""

    process: "subprocess.Popen[bytes]"
    pipe: socket.socket
    complaints: socket.socket


class Workshop:
    """One running child; its questions are asked one at a time."""

    def __init__(self, child: _Child, seconds: float) -> None:
        self._child = child
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._ended: PacketError | None = None

    async def build_ike_sa_init(
        self, transforms: Sequence[Transform], *, key_bytes: int = 32, nonce_bytes: int = 32
    ) -> Template:
        """Return an IKE_SA_INIT request (RFC 7296 section 1.2) with one proposal of these transforms.

        The key exchange payload is random and of the first transform of type 4. Raises PacketError.
        """
        rows = [[t.type, t.id] if t.key_bits is None else [t.type, t.id, t.key_bits] for t in transforms]
        reply = await self._ask("build_ike_sa_init", transforms=rows, key_bytes=key_bytes, nonce_bytes=nonce_bytes)
        try:
            built = msgspec.convert(reply, _Built)
            packet = bytes.fromhex(built.packet)
        except ValueError as error:
            raise self._end("garbled", str(error)) from error
        return Template(packet=packet, spi=built.spi, nonce=built.nonce, nonce_bytes=nonce_bytes)

    async def dissect(self, data: bytes, layer: Literal["IKEv2", "IP"] = "IKEv2") -> dict[str, Any]:
        """Return scapy's reading of a message: `layers`, each with its class and fields; `sums`: checksums are right.

        Bytes are hexadecimal text. Raises PacketError, `refused` for what scapy cannot read.
        """
        return await self._ask("dissect", data=data.hex(), layer=layer)

    async def _ask(self, work: str, **question: Any) -> dict[str, Any]:
        line = json.dumps({"work": work, **question}).encode() + b"\n"
        async with self._lock:
            if self._ended is not None:
                raise self._ended
            try:
                reply = json.loads(await self._exchange(line))
            except TimeoutError as error:
                raise self._end("late", f"no answer in {self._seconds:g} s") from error
            except OSError as error:
                raise self._end("ended", await self._last_words()) from error
            except ValueError as error:
                raise self._end("garbled", str(error)) from error
            except asyncio.CancelledError:
                self._end("late", "its caller did not wait for the answer")
                raise
        if not isinstance(reply, dict):
            raise self._end("garbled", "not an object")
        if "error" in reply:
            raise PacketError("refused", str(reply["error"])[:200])
        return reply

    async def _exchange(self, line: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._seconds):
            await loop.sock_sendall(self._child.pipe, line)
            reply = bytearray()
            while not reply.endswith(b"\n"):
                chunk = await loop.sock_recv(self._child.pipe, 65536)
                if not chunk:
                    raise ConnectionResetError
                reply += chunk
                if len(reply) > _LONGEST_LINE:
                    raise ValueError(f"more than {_LONGEST_LINE} bytes")
        return bytes(reply)

    def _end(self, fault: str, detail: str) -> PacketError:
        """Kill the child; every later question fails for the same reason."""
        self._child.process.kill()
        self._ended = PacketError(fault, detail)
        return self._ended

    async def _last_words(self) -> str:
        """Return how the child ended, and the last line that it wrote to its standard error."""
        status = await _gone(self._child.process)
        ended = "it closed its output" if status is None else f"exit status {status}"
        try:
            said = self._child.complaints.recv(_LONGEST_COMPLAINT).decode("utf-8", "replace").strip()
        except OSError:
            return ended
        return f"{ended}: {said.splitlines()[-1][:200]}" if said else ended


@asynccontextmanager
async def open_workshop(
    *, seconds: float = QUESTION_SECONDS, command: Sequence[str] = CHILD
) -> AsyncIterator[Workshop]:
    """Start the child; each question may take `seconds`. Raises PacketError `no-child`."""
    with contextlib.ExitStack() as stack:
        try:
            child = _start(command, stack)
        except OSError as error:
            raise PacketError("no-child", str(error)) from error
        try:
            yield Workshop(child, seconds)
        finally:
            child.process.kill()
            await _gone(child.process)


def _start(command: Sequence[str], stack: contextlib.ExitStack) -> _Child:
    """Start the child; `stack` closes every socket, those of the child's ends as soon as it has them."""
    pipe, its_pipe = map(stack.enter_context, socket.socketpair())
    complaints, its_complaints = map(stack.enter_context, socket.socketpair())
    pipe.setblocking(False)
    complaints.setblocking(False)
    both, errors = its_pipe.fileno(), its_complaints.fileno()
    process = subprocess.Popen(command, stdin=both, stdout=both, stderr=errors, env=_ENVIRONMENT)
    its_pipe.close()
    its_complaints.close()
    return _Child(process=process, pipe=pipe, complaints=complaints)


async def _gone(process: "subprocess.Popen[bytes]") -> int | None:
    """Wait until the process has ended and return its status; None when it goes on."""
    if process.poll() is None:
        handle = os.pidfd_open(process.pid)
        try:
            await ready(handle, seconds=_END_SECONDS)
        finally:
            os.close(handle)
    return process.poll()
