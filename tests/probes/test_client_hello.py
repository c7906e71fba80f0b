"""The ClientHello of any length, read back by Python's own TLS."""

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.client_hello import client_hello
from tests.peers.probing import Authority


@given(st.integers(0, 16_389), st.sampled_from(["", "erp.corp.example"]))
def test_any_length(length: int, name: str) -> None:
    """It is as long as asked for, up to three bytes less where no padding fits, and never less than whole."""
    hello = client_hello(length, name)
    assert len(hello) >= min(length, 16_389) - 3
    assert len(hello) <= max(length, len(client_hello(0, name)))
    assert int.from_bytes(hello[3:5]) == len(hello) - 5
    assert int.from_bytes(hello[6:9]) == len(hello) - 9
    assert (name.encode() in hello) is bool(name) or not name


@pytest.mark.parametrize("length", [16_390, 70_000])
def test_more_than_a_record(length: int) -> None:
    """What no record holds is an error of the caller's."""
    with pytest.raises(ValueError, match="more than"):
        client_hello(length)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server with a certificate, TLS 1.2 and 1.3."""
    return Authority(tmp_path_factory.mktemp("hello")).server("erp.corp.example")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("length", [0, 1400, 9000])
def test_a_server_goes_on_with_it(server: ssl.SSLContext, version: ssl.TLSVersion, length: int) -> None:
    """It answers with its hello and certificate, and then waits for more, as in any handshake."""
    server.minimum_version, server.maximum_version = ssl.TLSVersion.TLSv1_2, version
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = server.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(client_hello(length, "erp.corp.example"))
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    answer = outgoing.read()
    assert (answer[0], answer[5]) == (22, 2)  # a handshake record, a ServerHello
    assert len(answer) > 500
