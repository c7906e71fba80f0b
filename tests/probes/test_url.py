"""URLs of chain files and of redirects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.url import Url, read_url, redirected

BASE = read_url("https://erp.corp.lab/app/start?x=1")

READ = {
    "https://erp.corp.lab": Url(scheme="https", host="erp.corp.lab", port=443, path="/"),
    "http://ERP.corp.lab:8080/a?b=c": Url(scheme="http", host="erp.corp.lab", port=8080, path="/a?b=c"),
    "https://[2001:db8::1]/": Url(scheme="https", host="2001:db8::1", port=443, path="/"),
    "http://10.0.0.1?x": Url(scheme="http", host="10.0.0.1", port=80, path="/?x"),
}


@pytest.mark.parametrize("text", READ)
def test_reads_urls(text: str) -> None:
    """Scheme, host, port and what the request line will hold."""
    assert read_url(text) == READ[text]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ftp://erp/", "write a URL"),
        ("https:///x", "write a URL"),
        ("https://erp:0/", "write a URL"),
        ("https://erp:99999/", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://u:p@erp/", "user"),
        ("https://erp/#x", "fragment"),
        ("https://erp/a b", "percent-encode"),
        ("https://erp/" + "a" * 9000, "percent-encode"),
        ("https://a..b/", "neither"),
    ],
)
def test_wrong_urls_say_why(text: str, words: str) -> None:
    """What cannot be asked for is refused with what to write."""
    with pytest.raises(ValueError, match=words):
        read_url(text)


def test_a_url_is_shown_as_each_place_wants_it() -> None:
    """CONNECT has the port always, Host only where it is unusual, IPv6 in brackets."""
    usual, unusual = read_url("https://[2001:db8::1]/"), read_url("http://erp:8080/x")

    assert (usual.authority, usual.origin, usual.host_field("erp")) == (
        "[2001:db8::1]:443",
        "https://[2001:db8::1]",
        "erp",
    )
    assert (unusual.authority, unusual.origin, unusual.host_field("fe80::1")) == (
        "erp:8080",
        "http://erp:8080",
        "[fe80::1]:8080",
    )
    assert (usual.secure, unusual.secure) == (True, False)


LED = {
    b"/login": "https://erp.corp.lab/login",
    b"next": "https://erp.corp.lab/app/next",
    b"?y=2": "https://erp.corp.lab/app/start?y=2",
    b"//sso.corp.lab/in#part": "https://sso.corp.lab/in",
    b"http://erp.corp.lab:81/": "http://erp.corp.lab:81/",
    b"": "https://erp.corp.lab/app/start?x=1",
}


@pytest.mark.parametrize("location", LED)
def test_redirects_lead_from_where_they_are(location: bytes) -> None:
    """Relative, absolute, without scheme; fragments are for browsers."""
    assert redirected(BASE, location) == read_url(LED[location])


@pytest.mark.parametrize("location", [b"mailto:x@y", b"https://u@erp/", b"/\xe9", b"https://[x/", b"https://erp:x/"])
def test_redirects_to_nowhere(location: bytes) -> None:
    """What is no web URL is not followed."""
    with pytest.raises(ValueError, match=r"URL|percent-encode"):
        redirected(BASE, location)


@given(st.binary(max_size=60))
def test_any_redirect_is_safe_or_a_value_error(location: bytes) -> None:
    """Nothing that a server writes there can break out of a request line."""
    try:
        found = redirected(BASE, location)
    except ValueError:
        return
    assert found.path.startswith("/")
    assert all("\x21" <= letter <= "\x7e" for letter in found.path + found.host)
