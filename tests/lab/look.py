"""Look at the chain from inside a node with the standard library alone; one JSON object out.

usage: look.py JSON   with {name: {"ping": address} | {"url": url, "ca": file} | {"ask": server, "name": name}}

Each name gets `ok`, or the stage that failed: resolve, refused, connect, secure, answer, unreachable. A ping with a
`count` gets the round trips in seconds instead; lost ones are absent.
"""

import json
import os
import socket
import ssl
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

SECONDS = 0.6  # the lab's longest healthy round trip is a few milliseconds
ECHO_REQUEST, ECHO_REPLY = 8, 0


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return int(~(total + (total >> 16)) & 0xFFFF)


def _echo(identifier: int, sequence: int) -> bytes:
    body = struct.pack("!HHd", identifier, sequence, time.monotonic()) + bytes(40)
    checksum = _checksum(struct.pack("!BBH", ECHO_REQUEST, 0, 0) + body)
    return struct.pack("!BBH", ECHO_REQUEST, 0, checksum) + body


def ping(address: str, count: int = 1, interval: float = 0.01) -> list[float]:
    """Return the round trips (seconds) of those of `count` echoes that came back; sent every `interval` seconds."""
    identifier = int.from_bytes(os.urandom(2))
    trips: dict[int, float] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.connect((address, 0))
        start = time.monotonic()
        sent = 0
        while len(trips) < count and time.monotonic() < start + count * interval + SECONDS:
            if sent < count and time.monotonic() >= start + sent * interval:
                raw.send(_echo(identifier, sent))
                sent += 1
            due = start + sent * interval if sent < count else time.monotonic() + 0.05
            raw.settimeout(max(0.0001, due - time.monotonic()))
            try:
                packet = raw.recv(2048)
            except TimeoutError:
                continue
            message = packet[(packet[0] & 15) * 4 :]
            kind, found, sequence, began = message[0], *struct.unpack_from("!HHd", message, 4)
            if kind == ECHO_REPLY and found == identifier:
                trips[sequence] = time.monotonic() - began
    return list(trips.values())


def fetch(url: str, ca: str) -> str:
    """Fetch `url` over TLS; return `ok` or the stage that failed."""
    place = urlsplit(url)
    stage = "resolve"
    try:
        address = socket.gethostbyname(place.hostname or "")
        stage = "connect"
        with socket.create_connection((address, place.port or 443), SECONDS) as plain:
            stage = "secure"
            with ssl.create_default_context(cafile=ca).wrap_socket(plain, server_hostname=place.hostname) as secure:
                stage = "answer"
                secure.sendall(f"GET {place.path} HTTP/1.0\r\nHost: {place.hostname}\r\n\r\n".encode())
                return "ok" if b" 200 " in secure.recv(4096) else "answer"
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return stage
    except OSError:
        return "resolve" if stage == "resolve" else "unreachable"


def ask(server: str, name: str) -> str:
    """Ask `server` for the address of `name` over UDP; return `ok` or the stage that failed."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        datagram.settimeout(SECONDS)
        try:
            datagram.connect((server, 53))
            datagram.send(struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, 1, 1))
            answer = datagram.recv(512)
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "connect"
        except OSError:
            return "unreachable"
    return "ok" if struct.unpack_from("!H", answer, 6)[0] else "answer"


def look(what: dict[str, object]) -> object:
    """Do one look."""
    if "ping" in what:
        try:
            trips = ping(str(what["ping"]), int(str(what.get("count", 1))), float(str(what.get("interval", 0.01))))
        except OSError:
            return "unreachable"
        return trips if what.get("count") else ("ok" if trips else "connect")
    if "url" in what:
        return fetch(str(what["url"]), str(what["ca"]))
    return ask(str(what["ask"]), str(what["name"]))


def main(text: str) -> None:
    """Do all looks at once and print what they found."""
    looks = json.loads(text)
    with ThreadPoolExecutor(len(looks)) as pool:
        found = dict(zip(looks, pool.map(look, looks.values()), strict=True))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
