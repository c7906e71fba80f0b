"""A name server whose every answer is scripted, over UDP, in the running loop."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from probes.kit.dns_message import decode
from probes.kit.dns_names import encode_name
from probes.kit.dns_records import TYPES

# query bytes -> the datagrams sent back, in order
Script = Callable[[bytes], list[bytes]]


def answer(
    query: bytes,
    *data: bytes,
    kind: str = "A",
    ttl: int = 60,
    rcode: int = 0,
    flags: int = 0x8180,
    shift: int = 0,
    authority: tuple[bytes, ...] = (),
) -> bytes:
    """Return a response to `query` with records of `kind`; `shift` changes its identifier."""
    asked = decode(query)
    assert asked.question is not None
    name, wanted = asked.question
    head = struct.pack("!HHHHHH", (asked.ident + shift) & 0xFFFF, flags | rcode, 1, len(data), len(authority), 0)
    question = encode_name(name) + struct.pack("!HH", TYPES[wanted], 1)
    records = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", TYPES[kind], 1, ttl, len(one)) + one for one in data)
    return head + question + records + b"".join(authority)


@asynccontextmanager
async def name_server(script: Script, asked: list[bytes] | None = None) -> AsyncIterator[int]:
    """Serve `script` over UDP on a free loopback port; queries are added to `asked`."""
    loop = asyncio.get_running_loop()
    with socket.socket(type=socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.bind(("127.0.0.1", 0))

        def reply() -> None:
            query, sender = sock.recvfrom(65535)
            if asked is not None:
                asked.append(query)
            for one in script(query):
                with suppress(ConnectionRefusedError):  # the one who asked has gone
                    sock.sendto(one, sender)

        loop.add_reader(sock, reply)
        try:
            yield sock.getsockname()[1]
        finally:
            loop.remove_reader(sock)
