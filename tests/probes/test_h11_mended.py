"""h11 reads what it always read, in one pass."""

import importlib.util
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.h11_mended import CHUNK, FIELD, h11


def original() -> Any:
    """Return a copy of h11's module that nothing has mended."""
    spec = importlib.util.find_spec("h11._readers")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ORIGINAL = original()
PIECES = st.sampled_from([b"A", b"x-y", b":", b" ", b"\t", b"b", b"\x80", b"\0", b"\x0b", b"\r", b"  "])
CHUNKS = st.sampled_from([b"1", b"aF", b"g", b";", b" ", b"\t", b"x=y", b"\r", b"\n", b"\r\n"])


@given(st.lists(PIECES, max_size=14).map(b"".join))
def test_the_same_lines_are_fields(line: bytes) -> None:
    """Names and values are those that h11's own pattern finds, and so is what is no field."""
    theirs, ours = ORIGINAL.header_field_re.fullmatch(line), FIELD.fullmatch(line)

    assert (theirs and theirs.groupdict()) == (ours and ours.groupdict())


@given(st.lists(CHUNKS, max_size=8).map(b"".join), st.booleans())
def test_the_same_lines_are_chunk_sizes(start: bytes, ends: bool) -> None:
    """Sizes are those that h11's own pattern finds, and so is what is none."""
    line = start + b"\r\n" if ends else start
    theirs, ours = ORIGINAL.chunk_header_re.fullmatch(line), CHUNK.fullmatch(line)

    assert (theirs and theirs["chunk_size"]) == (ours and ours["chunk_size"])


def test_a_chunk_of_blanks_is_refused_at_once() -> None:
    """The same in the size of a chunk."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    connection.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b" " * 60_000 + b"\n\r\n")
    connection.next_event()

    with pytest.raises(h11.RemoteProtocolError):
        connection.next_event()


@pytest.mark.parametrize("role", [h11.CLIENT, h11.SERVER])
def test_a_line_of_blanks_is_refused_at_once(role: Any) -> None:
    """A pattern that backtracks would take a quarter of a minute here."""
    connection = h11.Connection(role)
    if role is h11.CLIENT:
        connection.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    start = b"HTTP/1.1 200 OK\r\n" if role is h11.CLIENT else b"GET / HTTP/1.1\r\nHost: h\r\n"
    connection.receive_data(start + b"A:" + b" " * 60_000 + b"\0\r\n\r\n")

    with pytest.raises(h11.RemoteProtocolError):
        connection.next_event()


def test_uvicorn_reads_with_it() -> None:
    """The agent's web server is mended by being imported."""
    import agent.web.server  # noqa: F401, PLC0415 - importing it is what is tested

    assert sys.modules["h11._readers"].header_field_re is FIELD
