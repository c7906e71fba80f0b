"""Web addresses as a chain file writes them, read into where to connect and what to ask for.

Pure. Every function returns a value or raises ValueError with a sentence that says what to write.
"""

import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

from probes.kit.address import literal_family

PORTS: Final = {"http": 80, "https": 443}
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")


class WebAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A URL's parts: `host` as a name or address without brackets, `path` with its query."""

    secure: bool
    host: str
    port: int
    path: str


def web_address(text: str, example: str) -> WebAddress:
    """Return the parts of a http or https URL; `example` shows what to write."""
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise ValueError(f"{text!r} is not a URL: {error}") from None
    if url.scheme not in PORTS or not url.hostname or port == 0:
        raise ValueError(f"{text!r}: write a URL as `{example}`")
    if "@" in url.netloc or url.fragment:
        raise ValueError(f"{text!r}: leave user, password and fragment out of the URL")
    if not _PRINTABLE.fullmatch(text):
        raise ValueError(f"{text!r}: percent-encode spaces and letters outside ASCII")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return WebAddress(secure=url.scheme == "https", host=url.hostname, port=port or PORTS[url.scheme], path=path)


def host_field(host: str, port: int, *, secure: bool) -> str:
    """Return the Host header's value (RFC 9110 section 7.2): a usual port is left out."""
    shown = f"[{host}]" if literal_family(host) == 6 else host
    return shown if port == PORTS["https" if secure else "http"] else f"{shown}:{port}"
