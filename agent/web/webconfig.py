"""The web configuration file in exporter-toolkit's form: TLS, client certificates, basic auth, headers.

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md. What must stay
true: a key that this server cannot honour is an error with its line, never silently ignored,
since whoever wrote it believes in it. Relative paths are resolved beside the file.
"""

import re
import ssl
from pathlib import Path
from typing import TypeVar

import msgspec

from agent.config.document import Document, Entry, Mapping, Node, Scalar, Sequence, parse
from agent.config.problem import ConfigError, Report, Where, did_you_mean, shown
from probes.kit.secret import Secret

VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
# crypto/tls knows five; two of them take a client certificate without checking it, which the
# standard library's ssl cannot do.
CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
UNCHECKED = ("RequestClientCert", "RequireAnyClientCert")
HEADERS = (
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
)
SECTIONS: dict[str, tuple[str, ...]] = {
    "tls_server_config": (
        "cert_file",
        "key_file",
        "client_auth_type",
        "client_ca_file",
        "client_allowed_sans",
        "min_version",
        "max_version",
    ),
    "http_server_config": ("http2", "headers"),
    "basic_auth_users": (),
}
T = TypeVar("T")
# crypt(3) form of bcrypt: version, cost, 22 characters of salt and 31 of hash.
_BCRYPT = re.compile(r"\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}")


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """What a TLS context is made of; `allowed_sans` empty allows every verified client."""

    cert_file: str
    key_file: str
    client_auth: ssl.VerifyMode = ssl.CERT_NONE
    client_ca_file: str | None = None
    allowed_sans: tuple[str, ...] = ()
    min_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    max_version: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED


class WebConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A web configuration; without anything, plain HTTP for everybody. `users`: bcrypt hashes by name."""

    tls: Tls | None = None
    users: dict[str, Secret] = {}
    headers: dict[str, str] = {}


class _Reader:
    """Takes values out of the tree and notes what is wrong with them."""

    def __init__(self, document: Document, folder: Path) -> None:
        self.root = document.root
        self.folder = folder
        self.report = Report(document.file, document.line_of)
        self.report.problems.extend(document.problems)

    def section(self, name: str) -> dict[str, Entry]:
        """Return the entries of a top-level section, or none."""
        if not isinstance(self.root, Mapping) or name not in self.root.entries:
            return {}
        return self.mapping((name,), self.root.entries[name].node)

    def mapping(self, where: Where, node: Node) -> dict[str, Entry]:
        """Return the entries of `node`, which must be a mapping or nothing."""
        if isinstance(node, Mapping):
            return node.entries
        if not (isinstance(node, Scalar) and node.value is None):
            self.report.problem(where, "must hold keys, each on a line of its own")
        return {}

    def text(self, where: Where, entries: dict[str, Entry]) -> str | None:
        """Return the text of the last key of `where`, None when it is absent or wrong."""
        entry = entries.get(str(where[-1]))
        if entry is None:
            return None
        if isinstance(entry.node, Scalar) and isinstance(entry.node.value, str) and entry.node.value:
            return entry.node.value
        self.report.problem(where, "must be text")
        return None

    def path(self, where: Where, entries: dict[str, Entry]) -> str | None:
        """Return the absolute path that a key gives; the file must be readable now."""
        text = self.text(where, entries)
        if text is None:
            return None
        path = self.folder / text
        try:
            path.open("rb").close()
        except OSError as error:
            self.report.problem(where, f"{shown(text)} cannot be read: {error.strerror}")
        return str(path)


def load(path: Path) -> WebConfig:
    """Read and check a web configuration file; ConfigError holds everything that is wrong with it."""
    data = path.read_bytes()
    if not data.strip():
        return WebConfig()
    reader = _Reader(parse(data, str(path)), path.parent)
    _check_keys(reader)
    config = WebConfig(tls=_tls(reader), users=_users(reader), headers=_headers(reader))
    if not reader.report.problems and config.tls is not None:
        try:
            context(config.tls)
        except (OSError, ssl.SSLError) as error:
            reader.report.problem(("tls_server_config",), f"certificate, key and CA do not load: {error}")
    if reader.report.problems:
        raise ConfigError(reader.report.problems)
    return config


def context(tls: Tls) -> ssl.SSLContext:
    """Return a fresh server context; raises OSError or ssl.SSLError when the files do not fit."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = tls.min_version
    made.maximum_version = tls.max_version
    made.load_cert_chain(tls.cert_file, tls.key_file)
    if tls.client_ca_file is not None:
        made.load_verify_locations(tls.client_ca_file)
    made.verify_mode = tls.client_auth
    return made


def _check_keys(reader: _Reader) -> None:
    root = reader.root
    if root is None:
        return
    for section in reader.mapping((), root):
        if section not in SECTIONS:
            reader.report.problem((section,), f"is not supported here; remove it{did_you_mean(section, SECTIONS)}")
        elif SECTIONS[section]:
            for key in reader.section(section):
                if key not in SECTIONS[section]:
                    meant = did_you_mean(key, SECTIONS[section])
                    reader.report.problem((section, key), f"is not supported here; remove it{meant}")


def _tls(reader: _Reader) -> Tls | None:
    name = "tls_server_config"
    entries = reader.section(name)
    if not entries:
        return None
    cert, key = reader.path((name, "cert_file"), entries), reader.path((name, "key_file"), entries)
    if cert is None or key is None:
        reader.report.problem((name,), "needs cert_file and key_file")
        return None
    auth = _choice(reader, (name, "client_auth_type"), entries, CLIENT_AUTH, ssl.CERT_NONE)
    authority = reader.path((name, "client_ca_file"), entries)
    sans = _texts(reader, (name, "client_allowed_sans"), entries)
    if auth is not ssl.CERT_NONE and authority is None:
        reader.report.problem((name, "client_auth_type"), "needs client_ca_file: who may sign a client's certificate")
    if sans and auth is not ssl.CERT_REQUIRED:
        reader.report.problem(
            (name, "client_allowed_sans"),
            "needs `client_auth_type: RequireAndVerifyClientCert`, else it protects nothing",
        )
    return Tls(
        cert_file=cert,
        key_file=key,
        client_auth=auth,
        client_ca_file=authority,
        allowed_sans=sans,
        min_version=_choice(reader, (name, "min_version"), entries, VERSIONS, ssl.TLSVersion.TLSv1_2),
        max_version=_choice(reader, (name, "max_version"), entries, VERSIONS, ssl.TLSVersion.MAXIMUM_SUPPORTED),
    )


def _choice(reader: _Reader, where: Where, entries: dict[str, Entry], table: dict[str, T], default: T) -> T:
    text = reader.text(where, entries)
    if text is None or text in table:
        return table[text] if text is not None else default
    why = "; this server cannot take a certificate that it does not verify" if text in UNCHECKED else ""
    reader.report.problem(where, f"{shown(text)} is not supported{why}; write {' or '.join(table)}")
    return default


def _texts(reader: _Reader, where: Where, entries: dict[str, Entry]) -> tuple[str, ...]:
    entry = entries.get(str(where[-1]))
    if entry is None:
        return ()
    if not isinstance(entry.node, Sequence):
        reader.report.problem(where, "must be a list")
        return ()
    return tuple(item.text for item in entry.node.items if isinstance(item, Scalar))


def _users(reader: _Reader) -> dict[str, Secret]:
    name = "basic_auth_users"
    users: dict[str, Secret] = {}
    entries = reader.section(name)
    for user in entries:
        text = reader.text((name, user), entries)
        if text is not None and not _BCRYPT.fullmatch(text):
            reader.report.problem((name, user), "must be a bcrypt hash, as `htpasswd -nBC 10 NAME` writes it")
        elif text is not None:
            users[user] = Secret(text)
    return users


def _headers(reader: _Reader) -> dict[str, str]:
    name = "http_server_config"
    entries = reader.section(name).get("headers")
    headers: dict[str, str] = {}
    found = reader.mapping((name, "headers"), entries.node) if entries else {}
    for header in found:
        text = reader.text((name, "headers", header), found)
        if header not in HEADERS:
            reader.report.problem((name, "headers", header), f"cannot be set; write {', '.join(HEADERS)}")
        elif text is not None and text.isprintable() and text.isascii():
            headers[header] = text
        elif text is not None:
            reader.report.problem((name, "headers", header), "must be printable ASCII on one line")
    return headers
