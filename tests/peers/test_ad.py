"""ad against a real domain controller (Samba), and against what is none."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from probes import ad
from probes.kit.result import Outcome, Result, Stage
from tests.directory import DC, DC2, NAMES, Site, against, site
from tests.peers.probing import Kit, Names, ask, open_descriptors, serve

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Yield a site with a controller, its clock and a name server that knows of a second one."""
    if lacking := against("samba", "chronyd", "dnsmasq"):
        pytest.skip(lacking)
    with site(tmp_path_factory.mktemp("directory")) as made:
        made.start_controller()
        made.start_clock()
        made.start_names()
        yield made


def asked(directory: Site, check: str, **more: Any) -> Result:
    """Return the result of one attempt of a check in corp.lab."""
    where = more or {"target": DC}
    return directory.attempt(ad, ad.Settings(domain="corp.lab", check=check, **where))  # type: ignore[arg-type] # a Literal


# check -> what its detail holds
CHECKS = {
    "ldap": "dc1.corp.lab",
    "kerberos": "CORP.LAB: KDC_ERR_C_PRINCIPAL_UNKNOWN (6)",
    "smb": "SMB 3.1.1, signing required",
    "time": "stratum 5",
    "dns": "1 announced",
}


@pytest.mark.parametrize("check", CHECKS)
def test_a_real_controller_answers_each_check(directory: Site, check: str) -> None:
    """Without anybody signing in; where it tells its clock, that is ours."""
    result = asked(directory, check)

    assert result.outcome is Outcome.OK, result
    assert CHECKS[check] in result.detail
    assert result.packet_bytes
    assert set(result.phases) == ({"answer"} if check in ("time", "dns") else {"connect", "first_byte", "transfer"})
    if check != "dns":
        assert abs(result.values["ad_clock_offset_seconds"]) < 60


def test_ldaps_checks_the_controllers_certificate(directory: Site) -> None:
    """Its name and who signed it, or neither when told so."""
    trusted = asked(directory, "ldaps", target=DC, server_name="dc1.corp.lab", ca_file=str(directory.authority.ca_file))
    strange = asked(directory, "ldaps", target=DC, server_name="dc1.corp.lab")
    unchecked = asked(directory, "ldaps", target=DC, verify=False)

    assert trusted.outcome is unchecked.outcome is Outcome.OK, trusted
    assert "secure" in trusted.phases
    assert (strange.stage, strange.fault, strange.answered) == (Stage.SECURE, "certificate-untrusted", True)


def test_only_the_sign_on_stands_in_the_controllers_log(directory: Site) -> None:
    """What docs/ad.md says that others see of us: a client that does not exist, by its name; nothing of the rest."""
    before = len(directory.log("dc"))
    for check in ("ldap", "smb", "dns"):
        asked(directory, check)
    quiet = directory.log("dc")[before:]
    asked(directory, "kerberos")

    assert "Auth:" not in quiet
    assert "user [(null)]\\[demarc-probe@CORP.LAB]" in directory.log("dc")[before:]
    assert "status [NT_STATUS_NO_SUCH_USER]" in directory.log("dc")[before:]


def test_a_known_client_must_prove_itself(directory: Site) -> None:
    """Which shows the key server as well as an unknown one does."""
    result = asked(directory, "kerberos", target=DC, client="Administrator")

    assert result.outcome is Outcome.OK
    assert "KDC_ERR_PREAUTH_REQUIRED (25)" in result.detail


def test_the_domain_is_found_by_the_controllers_own_dns(directory: Site) -> None:
    """Samba announces itself; the root DSE is read at the address that its DNS gives."""
    result = asked(directory, "ldap", dns=DC)

    assert (result.outcome, result.detail) == (Outcome.OK, "1 of 1 answer"), result
    assert set(result.phases) == {"discover", "controllers"}


@pytest.mark.parametrize("check", CHECKS)
def test_one_of_two_controllers_is_degraded(directory: Site, check: str) -> None:
    """The domain serves, and the one that does not answer is named."""
    result = asked(directory, check, dns=NAMES)

    assert (result.outcome, result.fault) == (Outcome.DEGRADED, "controllers-missing"), result
    assert result.values == {"ad_controllers": 2.0, "ad_controllers_answering": 1.0}
    assert result.facts == {"controllers": "dc1.corp.lab, dc2.corp.lab"}
    assert result.detail.startswith("1 of 2 answer; dc2.corp.lab: refused")


def test_a_site_without_controllers_has_none(directory: Site) -> None:
    """The name server says so; that is its segment's answer, not a controller's."""
    result = asked(directory, "ldap", dns=DC, site="Delft")

    assert (result.outcome, result.stage, result.fault) == (Outcome.FAILED, Stage.RESOLVE, "resolve-nxdomain"), result


@pytest.mark.parametrize(("check", "fault"), [("ldap", "other-domain"), ("dns", "rcode-nxdomain")])
def test_a_controller_of_another_domain_is_none_of_ours(directory: Site, check: str, fault: str) -> None:
    """However well it answers."""
    result = directory.attempt(ad, ad.Settings(domain="other.test", check=check, target=DC))  # type: ignore[arg-type]

    assert (result.outcome, result.stage) == (Outcome.FAILED, Stage.ANSWER), result
    assert result.fault in (fault, "rcode-refused", "rcode-servfail")
    assert result.answered


def test_a_host_that_is_no_controller_refuses(directory: Site) -> None:
    """Nobody listens at the second controller's address."""
    result = asked(directory, "kerberos", target=DC2)

    assert (result.outcome, result.stage, result.fault) == (Outcome.FAILED, Stage.CONNECT, "refused")


def test_a_silent_name_server_is_the_name_service(directory: Site) -> None:
    """Nobody answers there: the controllers are not accused."""
    result = asked(directory, "ldap", dns=DC2)

    assert (result.outcome, result.stage, result.fault) == (Outcome.FAILED, Stage.RESOLVE, "resolve-refused")


async def _silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        await reader.read()


async def _closing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read(4096)  # what is left unread at the end makes a reset of it


async def _foreign(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4096)
    writer.write(b"220 mx.example ESMTP\r\n")


async def _endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = b"\x30\x84\x00\x00\x3f\x00"
    await reader.read(4096)
    with contextlib.suppress(ConnectionError):
        for _ in range(2000):
            writer.write(head + bytes(100))
            await writer.drain()


TROUBLES = {
    "silent": (_silent, "timeout", False),
    "closing": (_closing, "closed", False),
    "another protocol": (_foreign, "malformed", True),
    "endless": (_endless, "malformed", True),
}


@pytest.mark.parametrize("check", ["ldap", "kerberos", "smb"])
@pytest.mark.parametrize("name", TROUBLES)
def test_what_is_no_controller_has_a_name(name: str, check: str) -> None:
    """Dead, closing, foreign and flooding peers end by the deadline with a fault of their own."""
    handler, fault, answered = TROUBLES[name]
    before = open_descriptors()

    async def scenario() -> Result:
        async with serve(handler) as port:
            settings = ad.Settings(domain="corp.lab", check=check, target=f"localhost.test:{port}")  # type: ignore[arg-type]
            within = 0.4 if name == "silent" else 10.0  # the others end before, on however busy a machine
            return await ask(ad, settings, within=within, kit=Kit(Names({"localhost.test": "127.0.0.1"})))

    result = asyncio.run(scenario())

    assert (result.outcome, result.stage) == (Outcome.FAILED, Stage.ANSWER), result
    assert (result.fault, result.answered) == (fault, answered)
    assert "resolve" in result.phases
    assert open_descriptors() <= before
