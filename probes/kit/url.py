"""URLs of web services, as a chain file names them and as a redirect gives them.

Pure. What must stay true: any text gives a `Url` that is safe to write into a request line, or a ValueError with a
sentence that says what to write.
"""

import re
from typing import Final
from urllib.parse import urljoin, urlsplit

import msgspec

from probes.kit.address import is_name, literal_family

_PORTS: Final = {"http": 80, "https": 443}
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+\Z")
_LONGEST: Final = 8192  # what common servers take as a request line


class Url(msgspec.Struct, frozen=True, kw_only=True):
    """An http or https URL without user and fragment; `path` begins with a slash and holds the query too."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def secure(self) -> bool:
        """Return whether it is https."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """Return host and port, as CONNECT wants them."""
        return f"{bracketed(self.host)}:{self.port}"

    @property
    def origin(self) -> str:
        """Return scheme, host and port, as people write them."""
        return f"{self.scheme}://{self.host_field(self.host)}"

    def host_field(self, name: str) -> str:
        """Return the Host field for this URL when its server is called `name`: the port only where it is unusual."""
        shown = bracketed(name)
        return shown if self.port == _PORTS[self.scheme] else f"{shown}:{self.port}"


def bracketed(host: str) -> str:
    """Return `host` as a URL holds it."""
    return f"[{host}]" if literal_family(host) == 6 else host


def read_url(text: str) -> Url:
    """Read a URL; ValueError says what to write."""
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise ValueError(f"{text!r} is not a URL: {error}") from None
    if url.scheme not in _PORTS or not url.hostname or port == 0:
        raise ValueError(f"{text!r}: write a URL as `https://host/path`")
    if "@" in url.netloc or url.fragment:
        raise ValueError(f"{text!r}: leave user, password and fragment out of the URL")
    if not _VISIBLE.match(text) or len(text) > _LONGEST:
        raise ValueError(f"{text!r}: percent-encode spaces and letters outside ASCII")
    if literal_family(url.hostname) is None and not is_name(url.hostname):
        raise ValueError(f"{url.hostname!r} is neither an IP address nor a host name")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return Url(scheme=url.scheme, host=url.hostname, port=port or _PORTS[url.scheme], path=path)


def redirected(base: Url, location: bytes) -> Url:
    """Return where a Location field leads from `base` (RFC 9110 section 10.2.2); ValueError when nowhere."""
    text = location.decode("latin-1").partition("#")[0]
    try:
        whole = urljoin(f"{base.scheme}://{base.authority}{base.path}", text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a URL: {error}") from None
    return read_url(whole)
