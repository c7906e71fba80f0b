"""A loopback address for an agent's page: the agent lives in a namespace that a browser cannot reach.

Bytes are passed between a TCP port on 127.0.0.1 and the agent's unix socket; nothing is read or changed.
"""

import contextlib
import socket
import threading
from pathlib import Path

CHUNK = 65536


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _serve(listener: socket.socket, path: Path) -> None:
    while True:
        try:
            visitor, _ = listener.accept()
        except OSError:
            return  # closed: the demo is over
        agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            agent.connect(str(path))
        except OSError:
            visitor.close()
            agent.close()
            continue
        for pair in ((visitor, agent), (agent, visitor)):
            threading.Thread(target=_pump, args=pair, daemon=True).start()


def page_address(path: Path, wanted: int = 10199) -> str:
    """Serve the agent at unix socket `path` on loopback; return its URL. `wanted` is used when it is free."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", wanted))
    except OSError:
        listener.bind(("127.0.0.1", 0))
    listener.listen()
    threading.Thread(target=_serve, args=(listener, path), daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/"
