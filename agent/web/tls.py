"""TLS and basic auth that follow their files: what changed on disk holds from the next connection on.

A certificate is renewed by somebody else's job, so nobody tells us. What must stay true: a changed
file that does not load leaves the old state in force and is logged once, loudly; a password is
checked outside the event loop, since bcrypt is slow by design.
"""

import asyncio
import base64
import binascii
import hashlib
import os
import ssl
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog

from agent.config.problem import ConfigError, Problem
from agent.web.webconfig import WebConfig, context, load

Stamp = tuple[tuple[int, int, int] | None, ...]

# Accepted credentials that are remembered; a scraper has one, a team a handful.
REMEMBERED = 64
# bcrypt of an unknown user's password, so that a name cannot be told from its time
# (exporter-toolkit does the same, with the same hash).
NOBODY = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"


class Security:
    """The web configuration in force. `current` looks at the files and loads them when they changed."""

    def __init__(self, path: Path) -> None:
        """Load `path`; raises ConfigError or OSError, since an agent must not start half protected."""
        self._path = path
        self._config = load(path)
        _require_bcrypt(self._config, path)
        self._context = context(self._config.tls) if self._config.tls else None
        self._stamp = self._look()

    def current(self) -> WebConfig:
        """Return the configuration in force, reloaded when a file has changed."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            self._reload()
        return self._config

    def current_context(self) -> ssl.SSLContext:
        """Return the TLS context in force; only for a configuration that had TLS at the start."""
        self.current()
        if self._context is None:
            raise ssl.SSLError("TLS was taken out of the web configuration; restart the agent to serve plainly")
        return self._context

    def _look(self) -> Stamp:
        tls = self._config.tls
        files = (tls.cert_file, tls.key_file, tls.client_ca_file) if tls else ()
        return tuple(_stamp(file) for file in (str(self._path), *files) if file)

    def _reload(self) -> None:
        log = structlog.get_logger()
        try:
            config = load(self._path)
            _require_bcrypt(config, self._path)
            made = context(config.tls) if config.tls else None
        except (ConfigError, OSError) as error:
            log.error(  # noqa: TRY400 - the operator's file is at fault, our traceback says nothing
                "web configuration refused, the old one stays", file=str(self._path), error=str(error)
            )
            return
        if (made is None) != (self._context is None):
            log.error("TLS cannot be switched on or off while running; restart the agent", file=str(self._path))
            return
        self._config, self._context = config, made
        self._stamp = self._look()
        log.info("web configuration reloaded", file=str(self._path))


def _stamp(file: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - per connection; a Path costs more than the call
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _require_bcrypt(config: WebConfig, path: Path) -> None:
    if config.users and _bcrypt() is None:
        text = "needs the Python package `bcrypt`; install it beside the agent, or use client certificates"
        raise ConfigError([Problem(file=str(path), line=1, key="basic_auth_users", text=text)])


def _bcrypt() -> Any:
    try:
        import bcrypt  # noqa: PLC0415 - optional, and only where basic auth is configured
    except ImportError:
        return None
    return bcrypt


class FollowingContext(ssl.SSLContext):
    """A listener's context that hands every new connection to the context in force."""

    security: Security

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Begin a connection (asyncio calls this once for each)."""
        return self.security.current_context().wrap_bio(*args, **kwargs)


def following(security: Security) -> FollowingContext:
    """Return the listener's context for `security`."""
    made = FollowingContext(ssl.PROTOCOL_TLS_SERVER)
    made.security = security
    return made


def allowed(certificate: dict[str, Any] | None, sans: Iterable[str]) -> bool:
    """Tell whether a verified client certificate (getpeercert's form) bears one of `sans`."""
    named = {value for _, value in (certificate or {}).get("subjectAltName", ())}
    return not named.isdisjoint(sans)


class PasswordCheck:
    """Checks basic auth headers against bcrypt hashes, in a thread of its own."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="password")
        self._good: dict[bytes, None] = {}

    async def __call__(self, header: str, config: WebConfig) -> bool:
        """Tell whether the Authorization header names a user of `config` with the right password."""
        user, password = credentials(header)
        known = config.users.get(user)
        hashed = known.reveal() if known else NOBODY
        key = hashlib.sha256(f"{user}\0{password}\0{hashed}".encode()).digest()
        if key in self._good:
            return True
        right = await asyncio.get_running_loop().run_in_executor(self._pool, _matches, password, hashed)
        if not (right and known):
            return False
        while len(self._good) >= REMEMBERED:
            self._good.pop(next(iter(self._good)))
        self._good[key] = None
        return True


def credentials(header: str) -> tuple[str, str]:
    """Return user and password of a basic Authorization header (RFC 7617); empty when it is none."""
    scheme, _, coded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(coded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


def _matches(password: str, hashed: str) -> bool:
    # bcrypt reads 72 bytes and no NUL; longer passwords are refused by newer versions of the library.
    data = password.encode()
    return len(data) <= 72 and b"\0" not in data and bool(_bcrypt().checkpw(data, hashed.encode()))
