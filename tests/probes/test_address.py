"""Targets as written, read into endpoints."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.address import Endpoint, address_family, canonical, endpoint, host_endpoint, is_name, split_port

GOOD = {
    "address": ("10.0.0.1:443", 4, Endpoint(host="10.0.0.1", port=443, family=4, named=False)),
    "name": ("erp.corp.lab:443", 4, Endpoint(host="erp.corp.lab", port=443, family=4, named=True)),
    "name over v6": ("erp:8443", 6, Endpoint(host="erp", port=8443, family=6, named=True)),
    "v6 decides by itself": ("[2001:db8::1]:53", 4, Endpoint(host="2001:db8::1", port=53, family=6, named=False)),
    "default port": ("10.0.0.1", 4, Endpoint(host="10.0.0.1", port=53, family=4, named=False)),
    "bare v6": ("fe80::1%eth0", 6, Endpoint(host="fe80::1%eth0", port=53, family=6, named=False)),
    "bracketed without port": ("[::1]", 4, Endpoint(host="::1", port=53, family=6, named=False)),
}
BAD = {
    "no digits": ("host:http", "port must be a number"),
    "port zero": ("host:0", "port must be a number"),
    "port too large": ("host:65536", "port must be a number"),
    "other digits": ("host:٤٤٣", "port must be a number"),
    "open bracket": ("[::1:53", "write an IPv6 address"),
    "name in brackets": ("[host]:53", "write an IPv6 address"),
    "text behind the bracket": ("[::1]x", "write an IPv6 address"),
    "no host": (":53", "neither an IP address nor a host name"),
    "space": ("a b:53", "neither an IP address nor a host name"),
    "number at the end": ("10.0.0.256:53", "neither an IP address nor a host name"),
    "label starts with a dash": ("-a.example:53", "neither an IP address nor a host name"),
    "multicast": ("224.0.0.1:53", "unicast"),
    "broadcast": ("255.255.255.255:53", "unicast"),
    "unspecified": ("0.0.0.0:53", "unicast"),
    "v6 multicast": ("[ff02::1]:53", "unicast"),
    "v6 unspecified": ("[::]:53", "unicast"),
}


@pytest.mark.parametrize("case", GOOD)
def test_reads_targets(case: str) -> None:
    """A target becomes host, port, family and whether it needs resolving."""
    text, family, expected = GOOD[case]

    assert expected == endpoint(text, family, default_port=53)


@pytest.mark.parametrize("case", BAD)
def test_says_what_is_wrong(case: str) -> None:
    """A bad target is a ValueError that says what to write."""
    text, words = BAD[case]

    with pytest.raises(ValueError, match=words):
        endpoint(text, 4, default_port=53)


@pytest.mark.parametrize(
    ("text", "shown"), [("10.0.0.1", "`10.0.0.1:PORT`"), ("2001:db8::1", r"`\[2001:db8::1\]:PORT`")]
)
def test_asks_for_a_port(text: str, shown: str) -> None:
    """Without a default, a missing port is named with the spelling that is wanted."""
    with pytest.raises(ValueError, match=shown):
        endpoint(text, 4)


def test_a_literal_of_the_other_family_is_refused() -> None:
    """An IPv4 literal with `family: 6` is a mistake of the file."""
    with pytest.raises(ValueError, match="family"):
        host_endpoint("10.0.0.1", 6)


def test_canonical_spelling() -> None:
    """Addresses compare in the kernel's spelling, without scope; names stay as they are."""
    assert [canonical(text) for text in ("2001:DB8:0::1", "fe80::1%eth0", "10.0.0.1", "name")] == [
        "2001:db8::1",
        "fe80::1",
        "10.0.0.1",
        "name",
    ]


def test_family_constants() -> None:
    """Families 4 and 6 are the socket module's."""
    assert (address_family(4), address_family(6)) == (socket.AF_INET, socket.AF_INET6)


def test_names_have_limits() -> None:
    """A name has at most 253 characters, and a final dot does not count."""
    long = ".".join(["a" * 49] * 5)

    assert is_name(long + ".")
    assert not is_name(long + ".abcde")
    assert not is_name("")


@given(st.text(max_size=80))
def test_any_text_is_an_endpoint_or_a_value_error(text: str) -> None:
    """No text makes the reader fail in another way."""
    try:
        found = endpoint(text, 4, default_port=1)
    except ValueError:
        return
    assert found.port is not None
    assert 1 <= found.port <= 65535
    assert split_port(text)[0] == found.host
