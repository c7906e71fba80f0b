"""Kerberos sign-on with a real key server (MIT's) and a service that checks tokens with the same library as Apache."""

import asyncio
import base64
import ctypes
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from probes import http
from probes.kit import kerberos
from probes.kit.result import Outcome, Result
from tests.peers.probing import CLOCK, Handler, Kit, Names, ask, serve

pytestmark = pytest.mark.peer

REALM = """[libdefaults]
  default_realm = PROBE.TEST
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
[realms]
  PROBE.TEST = {{
    kdc = 127.0.0.1:{port}
  }}
[domain_realm]
  .test = PROBE.TEST
"""
SERVER = """[realms]
  PROBE.TEST = {{
    kdc_listen = 127.0.0.1:{port}
    kdc_tcp_listen = 127.0.0.1:{port}
    database_name = {folder}/principal
    key_stash_file = {folder}/stash
  }}
[logging]
  kdc = FILE:{folder}/log
"""
PRINCIPALS = ("addprinc -randkey probe", "addprinc -randkey HTTP/erp.test")
KEYTABS = ("ktadd -k {folder}/probe.keytab probe", "ktadd -k {folder}/http.keytab HTTP/erp.test")


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield the folder of a running key server: keytabs of the probe and of the web service."""
    programs = [shutil.which(name, path="/usr/sbin:/usr/bin") for name in ("krb5kdc", "kdb5_util", "kadmin.local")]
    if None in programs:
        pytest.skip("krb5-kdc and krb5-admin-server are not installed")
    folder = tmp_path_factory.mktemp("realm")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "krb5.conf").write_text(REALM.format(port=port))
    (folder / "kdc.conf").write_text(SERVER.format(port=port, folder=folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRB5_CONFIG", str(folder / "krb5.conf"))
        patch.setenv("KRB5_KDC_PROFILE", str(folder / "kdc.conf"))
        patch.setenv("KRB5_KTNAME", str(folder / "http.keytab"))
        patch.setenv("KRB5CCNAME", f"FILE:{folder}/none")
        kdc, util, kadmin = (str(program) for program in programs)
        orders = [order.format(folder=folder).split() for order in (*PRINCIPALS, *KEYTABS)]
        create = [util, "create", "-r", "PROBE.TEST", "-s", "-P", "master"]
        for command in (create, *([kadmin, "-r", "PROBE.TEST", *order] for order in orders)):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        server = subprocess.Popen([kdc, "-n"], stdout=subprocess.DEVNULL)
        try:
            deadline = CLOCK.boot() + 10
            while True:
                assert CLOCK.boot() < deadline, "the key server did not start"
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
                    break
                time.sleep(0.02)
            yield folder
        finally:
            server.terminate()
            server.wait()


def accepted(token: bytes) -> bool:
    """Return whether the web service's keytab opens `token`, asking MIT's library as mod_auth_gssapi does."""
    gss = kerberos._library()
    minor, context = ctypes.c_uint32(), ctypes.c_void_p()
    given = kerberos._Buffer(len(token), ctypes.cast(ctypes.c_char_p(token), ctypes.c_void_p))
    out = kerberos._Buffer()
    at = ctypes.byref
    major = gss.gss_accept_sec_context(
        at(minor), at(context), None, at(given), None, None, None, at(out), None, None, None
    )
    gss.gss_release_buffer(at(minor), at(out))
    gss.gss_delete_sec_context(at(minor), at(context), None)
    return bool(major == 0)


def guarded(seen: list[bytes]) -> Handler:
    """Return a web service that lets in who shows a ticket."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        tokens = [base64.b64decode(line[25:]) for line in lines if line.startswith(b"Authorization: Negotiate ")]
        seen.extend(tokens)
        let_in = [await asyncio.to_thread(accepted, token) for token in tokens]
        if True in let_in:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nwelcome")
        else:
            writer.write(b"HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    return handler


def probe(seen: list[bytes], times: int = 1, **settings: Any) -> list[Result]:
    """Probe the guarded service at erp.test."""

    async def scenario() -> list[Result]:
        async with serve(guarded(seen)) as port:
            made = http.Settings(target=f"http://erp.test:{port}/", **settings)
            kit = Kit(Names({"erp.test": "127.0.0.1"}))
            return [await ask(http, made, within=1.0, kit=kit) for _ in range(times)]

    return asyncio.run(scenario())


def test_a_ticket_lets_in(realm: Path) -> None:
    """The service's own keytab opens the token; every attempt has a token of its own; time to get it is a phase."""
    seen: list[bytes] = []

    results = probe(seen, 2, kerberos=True, keytab=str(realm / "probe.keytab"), body_contains="welcome")

    assert [result.outcome for result in results] == [Outcome.OK, Outcome.OK], results
    assert list(results[0].phases) == ["sign_on", "resolve", "connect", "first_byte", "transfer"]
    assert len(set(seen)) == 2


def test_without_a_ticket_the_service_says_no(realm: Path) -> None:
    """What is missing then is the service's word, 401."""
    (result,) = probe([])

    assert (result.outcome, result.fault) == (Outcome.FAILED, "status")


def test_a_credential_of_systemd_is_a_keytab(realm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found in the directory that systemd passes."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(realm))

    (result,) = probe([], kerberos=True, keytab="credential:probe.keytab")

    assert result.outcome is Outcome.OK, result


WRONG = {
    "no such keytab": ("/nonexistent/probe.keytab", "keytab"),
    "no such credential": ("credential:none", "systemd passed no credential"),
    "no ticket cache": ("", "No credentials"),
}


@pytest.mark.parametrize("case", WRONG)
def test_no_ticket_is_our_own_trouble(realm: Path, case: str) -> None:
    """Nothing is asked of the service, and the library's words say why."""
    keytab, words = WRONG[case]
    seen: list[bytes] = []

    (result,) = probe(seen, kerberos=True, keytab=keytab)

    assert (result.outcome, result.fault) == (Outcome.UNKNOWN, "sign-on-failed"), result
    assert words.lower() in result.detail.lower()
    assert seen == []


def test_a_service_without_a_principal(realm: Path) -> None:
    """The key server knows no such service: our own configuration or the realm's."""
    keytab = str(realm / "probe.keytab")

    (result,) = probe([], kerberos=True, keytab=keytab, server_name="hr.test")

    assert (result.outcome, result.fault) == (Outcome.UNKNOWN, "sign-on-failed"), result
    assert "not found in Kerberos database" in result.detail


def test_a_silent_key_server_holds_nobody_up(realm: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The attempt ends by its deadline while the library still waits in its thread."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (tmp_path / "krb5.conf").write_text(REALM.format(port=silent.getsockname()[1]))
        keytab = tmp_path / "probe.keytab"
        keytab.write_bytes((realm / "probe.keytab").read_bytes())  # another name, another ticket cache
        monkeypatch.setenv("KRB5_CONFIG", str(tmp_path / "krb5.conf"))

        (result,) = probe([], kerberos=True, keytab=str(keytab))

    assert (result.outcome, result.fault) == (Outcome.UNKNOWN, "sign-on-failed")
    assert "in time" in result.detail
