"""What else is read of Entra, and every way to sign in, against the Microsoft simulator over real HTTPS."""

import asyncio
import base64
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.clock import SystemClock
from agent.daemon.permissions import permissions
from agent.model import Probe
from lab.microsoft.exchange import PERMISSIONS
from probes import entra_cloud_sync, entra_service_health, entra_sync
from probes.kit.address import endpoint
from probes.kit.https_exchange import ExchangeError, Request, exchange
from probes.kit.microsoft import Blind
from probes.kit.microsoft_client import MicrosoftClient, Visit
from probes.kit.result import Outcome, Result, ok
from probes.kit.secret import Secret
from probes.kit.spec import ProbeModule
from tests.peers.simulated_microsoft import (
    ARC_KEY,
    CLIENT,
    CLOUD_SYNC,
    SECRET,
    TRUSTED,
    Kit,
    Microsoft,
    running,
    write_application,
)

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Microsoft]:
    """Give one simulator for the module."""
    with running(tmp_path_factory.mktemp("microsoft")) as microsoft:
        yield microsoft


@pytest.fixture
def microsoft(shared: Microsoft) -> Microsoft:
    """Give the simulator with its defaults."""
    shared.behave()
    shared.secret_file.write_text(SECRET + "\n")
    return shared


def ask(module: Any, settings: Any, seconds: float = 5.0, times: int = 1) -> Result:
    """Return the last of some attempts with one new runner."""

    async def main() -> Result:
        kit = Kit()
        async with module.open(kit) as runner:
            for _ in range(times):
                result: Result = await runner.attempt(settings, kit.clock.boot() + seconds)
        return result

    return asyncio.run(main())


def settings_of(module: Any, microsoft: Microsoft, **more: object) -> Any:
    """Return a type's settings that reach the simulator by the client secret."""
    access = microsoft.settings()
    common = {name: getattr(access, name) for name in ("target", "authority", "tenant", "ca_file")}
    given = {"client_id": CLIENT, "secret_file": str(microsoft.secret_file)}
    if module is entra_cloud_sync:
        given["service_principal"] = CLOUD_SYNC
    return module.Settings(**{**common, **given, **more})


def without(*roles: str) -> dict[str, object]:
    """Return the switch by which the application lacks some permissions."""
    return {"permissions": [role for role in PERMISSIONS if role not in roles]}


SYNC, CLOUD, HEALTH = entra_sync, entra_cloud_sync, entra_service_health
PASSWORD: dict[str, object] = {"watch": "password"}
OBJECTS: dict[str, object] = {"watch": "objects", "objects": ("users", "groups", "contacts"), "critical_objects": 200}
Case = tuple[ProbeModule, dict[str, object], dict[str, object], Outcome, str | None]
SAID: dict[str, Case] = {
    "passwords in order": (SYNC, PASSWORD, {"sync_age_seconds": 9e5}, Outcome.OK, None),
    "passwords late": (SYNC, PASSWORD, {"password_sync_age_seconds": 3700.0}, Outcome.DEGRADED, "password-late"),
    "passwords stale": (SYNC, PASSWORD, {"password_sync_age_seconds": 7300.0}, Outcome.FAILED, "password-stale"),
    "passwords stale, the rest fresh": (SYNC, {}, {"password_sync_age_seconds": 7300.0}, Outcome.OK, None),
    "beta is broken": (SYNC, PASSWORD, {"mode": "500"}, Outcome.UNKNOWN, "graph-error"),
    "consent removed": (SYNC, {}, without("Organization.Read.All"), Outcome.UNKNOWN, "no-data"),
    "no objects in error": (SYNC, OBJECTS, {}, Outcome.OK, None),
    "a duplicate": (SYNC, OBJECTS, {"contact_errors": 1}, Outcome.DEGRADED, "objects-in-error"),
    "pages of duplicates": (
        SYNC,
        OBJECTS,
        {"user_errors": 150, "group_errors": 60},
        Outcome.FAILED,
        "objects-in-error",
    ),
    "groups not to be read": (SYNC, OBJECTS, without("Group.Read.All"), Outcome.UNKNOWN, "no-permission"),
    "jobs in order": (CLOUD, {"jobs": ("provisioning", "passwords")}, {}, Outcome.OK, None),
    "a job in quarantine": (CLOUD, {}, {"job_code": "Quarantine"}, Outcome.FAILED, "quarantine"),
    "too many deletes": (
        CLOUD,
        {},
        {"job_code": "Quarantine", "job_quarantine": "TooManyDeletes"},
        Outcome.FAILED,
        "quarantine-deletes",
    ),
    "another job in quarantine": (CLOUD, {"jobs": ("passwords",)}, {"job_code": "Quarantine"}, Outcome.OK, None),
    "a job that failed": (CLOUD, {}, {"job_execution": "Failed"}, Outcome.UNKNOWN, "no-data"),
    "a job with errors": (CLOUD, {}, {"job_execution": "EntryLevelErrors"}, Outcome.DEGRADED, "entry-errors"),
    "a job not to be read": (CLOUD, {}, without("Synchronization.Read.All"), Outcome.UNKNOWN, "unavailable"),
    "another principal": (CLOUD, {"service_principal": CLIENT}, {}, Outcome.UNKNOWN, "no-data"),
    "the service operational": (HEALTH, {}, {}, Outcome.OK, None),
    "in other capitals": (HEALTH, {}, {"health": "ServiceOperational"}, Outcome.OK, None),
    "an issue": (HEALTH, {}, {"health": "serviceDegradation"}, Outcome.DEGRADED, "service-issue"),
    "interrupted": (HEALTH, {}, {"health": "serviceInterruption"}, Outcome.DEGRADED, "service-interrupted"),
    "the customer's issue": (
        HEALTH,
        {},
        {"health": "investigating", "health_origin": "customer"},
        Outcome.DEGRADED,
        "issue-elsewhere",
    ),
    "health not to be read": (HEALTH, {}, without("ServiceHealth.Read.All"), Outcome.UNKNOWN, "unavailable"),
    "another service": (HEALTH, {"service_id": "Lync"}, {}, Outcome.UNKNOWN, "no-data"),
    "throttled": (HEALTH, {}, {"mode": "429"}, Outcome.UNKNOWN, "throttled"),
    "a portal": (CLOUD, {}, {"mode": "html"}, Outcome.UNKNOWN, "not-graph"),
}


@pytest.mark.parametrize("name", SAID)
def test_each_source_says_what_microsoft_says(microsoft: Microsoft, name: str) -> None:
    """A state is a result; what we may not or cannot read is unknown."""
    module, more, changes, outcome, fault = SAID[name]
    microsoft.behave(**changes)
    result = ask(module, settings_of(module, microsoft, **more))
    assert (result.outcome, result.fault) == (outcome, fault), result.detail


def test_pages_are_read_and_names_left_where_they_are(microsoft: Microsoft) -> None:
    """Users come in pages of a hundred; their names are neither asked for nor told, unless the file says so."""
    microsoft.behave(user_errors=101, group_errors=1)
    asked = len(microsoft.requests())
    result = ask(SYNC, settings_of(SYNC, microsoft, watch="objects", objects=("users", "groups")))
    assert result.values["entra_object_errors"] == 102.0
    assert result.values["entra_object_errors_upn"] == 51.0
    assert [line.split()[1] for line in microsoft.requests()[asked + 1 :]] == [
        "/v1.0/users",
        "/v1.0/users",
        "/v1.0/groups",
    ]
    assert "@" not in result.detail
    named = ask(SYNC, settings_of(SYNC, microsoft, watch="objects", names=True))
    assert "simulated.0@" in named.detail


def test_nulls_are_told_from_a_permission_that_is_gone(microsoft: Microsoft) -> None:
    """Both are blind; the detail says what the token holds."""
    microsoft.behave(**without("Organization.Read.All"))
    assert ask(SYNC, settings_of(SYNC, microsoft)).detail.endswith("the token holds no Organization.Read.All")
    microsoft.behave(mode="null")
    assert ask(SYNC, settings_of(SYNC, microsoft)).detail == "the time of the last synchronisation is null"


def signing_in(microsoft: Microsoft, way: str) -> dict[str, object]:
    """Return the keys of one way to sign in."""
    directory = microsoft.directory
    ways: dict[str, dict[str, object]] = {
        "certificate": {"certificate_file": str(directory / "app.pem"), "key_file": str(directory / "app.key")},
        "federated": {"token_file": str(directory / "trusted-token")},
        "identity": {"managed_identity": "direct", "client_id": ""},
        "identity for an application": {"managed_identity": "federated", "identity_id": CLIENT},
    }
    return {"secret_file": "", "identity_endpoint": microsoft.identity, **ways[way]}


CREDENTIALS: dict[str, tuple[str, dict[str, object], str | None]] = {
    "certificate": ("certificate", {}, None),
    "certificate unknown": ("certificate", {"credential": "wrong"}, "credential-wrong"),
    "certificate forbidden": ("certificate", {"credential": "policy"}, "token-refused"),
    "federated": ("federated", {}, None),
    "federated, issuer unknown": ("federated", {"credential": "wrong"}, "credential-wrong"),
    "federated, too old": ("federated", {"credential": "expired"}, "clock"),
    "identity": ("identity", {}, None),
    "identity of an application": ("identity for an application", {}, None),
    "no identity": ("identity", {"identity": "missing"}, "identity-unavailable"),
    "identity for an application, none": ("identity for an application", {"identity": "500"}, "identity-unavailable"),
    "identity silent": ("identity", {"identity": "hang"}, "identity-unavailable"),
}


@pytest.mark.parametrize("name", CREDENTIALS)
def test_each_way_to_sign_in(microsoft: Microsoft, name: str) -> None:
    """Certificate, another issuer's token and the host's own identity get a token, or say why not."""
    way, changes, fault = CREDENTIALS[name]
    microsoft.behave(**changes)
    result = ask(SYNC, settings_of(SYNC, microsoft, **signing_in(microsoft, way)), 1.0, times=2 if fault is None else 1)
    assert (result.outcome is Outcome.OK, result.fault) == (fault is None, fault), result.detail
    assert TRUSTED not in repr(result)


def on_arc(microsoft: Microsoft, folder: Path, **changes: object) -> Result:
    """Return the organisation's status by the identity that Azure Arc gives a server, its keys being in `folder`."""
    microsoft.behave(**changes)
    keys = {"secret_file": "", "client_id": "", "identity_endpoint": microsoft.identity, "managed_identity": "arc"}

    async def go() -> Result:
        kit = Kit()
        client = MicrosoftClient(kit, folder)

        async def question(visit: Visit) -> Result | Blind:
            reply = await visit.get(entra_sync.WATCHED["sync"].path)
            return reply if isinstance(reply, Blind) else ok(0.0, detail=str(reply.status))

        return await client.attempt(settings_of(SYNC, microsoft, **keys), kit.clock.boot() + 5.0, question)

    return asyncio.run(go())


def test_a_server_outside_azure_signs_in_by_arc(microsoft: Microsoft, tmp_path: Path) -> None:
    """The key that Arc names is read in Arc's folder and shown once; without it, or with another, we are blind."""
    folder = microsoft.directory / "arc"
    asked = len(microsoft.requests())
    assert on_arc(microsoft, folder).detail == "200"
    token = "GET /metadata/identity/oauth2/token"
    assert [r for r in microsoft.requests()[asked:] if r.startswith(token)] == [f"{token} 401", f"{token} 200"]
    missing = on_arc(microsoft, tmp_path)
    assert (missing.fault, "himds" in missing.detail) == ("credential-unreadable", True)
    wrong = {"another": "identity-unavailable", "": "credential-unreadable", "a\r\nb": "identity-unavailable"}
    for text, fault in wrong.items():
        (tmp_path / "7f.key").write_text(text)
        result = on_arc(microsoft, tmp_path)
        assert result.fault == fault, result.detail
        assert "another" not in repr(result)
    assert on_arc(microsoft, folder, identity="500").fault == "identity-unavailable"
    assert ARC_KEY not in microsoft.log()


def test_the_metadata_service_is_waited_for(microsoft: Microsoft) -> None:
    """410: its tokens are back within 70 s, and nothing is asked before."""
    microsoft.behave(identity="410")
    asked = len(microsoft.requests())
    result = ask(SYNC, settings_of(SYNC, microsoft, **signing_in(microsoft, "identity")), times=2)
    assert result.fault == "identity-unavailable"
    assert "asked to wait 70 s" in result.detail
    assert len(microsoft.requests()) == asked + 1


def test_no_metadata_service_is_our_own_blindness(microsoft: Microsoft) -> None:
    """Outside Azure nothing listens there: said as such, not as Microsoft's silence."""
    keys = signing_in(microsoft, "identity") | {"identity_endpoint": "http://127.0.0.1:1"}
    assert ask(SYNC, settings_of(SYNC, microsoft, **keys)).fault == "identity-unavailable"


def test_the_end_of_a_certificate_is_known(microsoft: Microsoft) -> None:
    """Its own notAfter is a metric, in good times and bad."""
    keys = signing_in(microsoft, "certificate")
    for changes in ({}, {"credential": "wrong"}, {"mode": "500"}):
        microsoft.behave(**changes)
        ends = ask(SYNC, settings_of(SYNC, microsoft, **keys)).values["entra_credential_expiry_timestamp_seconds"]
        assert abs(ends - Kit().clock.wall() - 30 * 86400) < 600


def test_an_expired_certificate_is_called_so(microsoft: Microsoft) -> None:
    """Login only says that it does not know it; the certificate itself says why."""
    write_application(microsoft.directory, "old", days=-1)
    files = {name: str(microsoft.directory / f"old.{name[:3]}") for name in ("pem", "key")}
    keys = {"secret_file": "", "certificate_file": files["pem"], "key_file": files["key"]}
    assert ask(SYNC, settings_of(SYNC, microsoft, **keys)).fault == "credential-expired"


def test_the_end_of_a_secret_is_read_where_that_is_allowed(microsoft: Microsoft) -> None:
    """The one whose first characters are ours; without the permission it is not known, and nothing is lost."""
    microsoft.behave(secret_ends="2027-02-01T00:00:00Z")
    settings = settings_of(SYNC, microsoft, secret_expiry=True)
    result = ask(SYNC, settings, times=2)
    assert result.values["entra_credential_expiry_timestamp_seconds"] == 1801440000.0
    microsoft.behave(**without("Application.Read.All"))
    result = ask(SYNC, settings)
    assert result.outcome is Outcome.OK
    assert "entra_credential_expiry_timestamp_seconds" not in result.values


def test_a_rotated_certificate_counts_at_once(microsoft: Microsoft) -> None:
    """Another key in the file is tried with the next attempt, though the old token still lives."""
    directory = microsoft.directory
    write_application(directory, "new")
    both = directory / "both.pem"
    keys = {"secret_file": "", "certificate_file": str(both)}

    async def main() -> list[str | None]:
        kit, faults = Kit(), []
        async with entra_sync.open(kit) as runner:
            for name in ("app", "new", "app"):
                both.write_text((directory / f"{name}.key").read_text() + (directory / f"{name}.pem").read_text())
                result = await runner.attempt(settings_of(SYNC, microsoft, **keys), kit.clock.boot() + 5.0)
                faults.append(result.fault)
        return faults

    assert asyncio.run(main()) == [None, "credential-wrong", None]


def test_a_refused_token_gives_way_after_a_while(microsoft: Microsoft) -> None:
    """A permission counts in new tokens only: ten minutes after a token came, a refusal ends its use."""

    async def main() -> list[bool]:
        kit, renewed = Kit(), []
        microsoft.behave(**without("Synchronization.Read.All"))
        async with entra_cloud_sync.open(kit) as runner:
            for moved in (0.0, 300.0, 700.0, 701.0):
                kit.clock.moved_seconds = moved
                settings = settings_of(CLOUD, microsoft)
                result = await runner.attempt(settings, kit.clock.boot() + 5.0)
                renewed.append("token" in result.phases)
        return renewed

    assert asyncio.run(main()) == [True, False, False, True]


def test_probes_that_begin_together_share_one_token(microsoft: Microsoft) -> None:
    """Ten attempts at once, and one sign-in."""
    asked = len(microsoft.requests())

    async def main() -> set[Outcome]:
        kit = Kit()
        async with entra_sync.open(kit) as runner:
            settings = settings_of(SYNC, microsoft)
            attempts = (runner.attempt(settings, kit.clock.boot() + 5.0) for _ in range(10))
            return {result.outcome for result in await asyncio.gather(*attempts)}

    assert asyncio.run(main()) == {Outcome.OK}
    assert sum(line.startswith("POST") for line in microsoft.requests()[asked:]) == 1


def test_doctor_signs_in_and_compares(microsoft: Microsoft) -> None:
    """What a real token permits against what the probes need."""
    microsoft.behave(permissions=["Organization.Read.All", "Group.Read.All"])
    url = f"https://127.0.0.1:{microsoft.port}"
    settings = settings_of(SYNC, microsoft, watch="objects", target=url, authority=url)
    flow = entra_sync.flow(settings)
    probe = Probe(
        id="objects",
        type="entra_sync",
        vantage="cloud",
        path=("a",),
        interval=300.0,
        timeout=30.0,
        settings=settings,
        flow=flow,
        target=url,
    )

    async def main() -> list[str]:
        return [finding.text async for finding in permissions((probe,), SystemClock())]

    assert asyncio.run(main()) == [
        "lacks User.Read.All, which objects needs",
        "holds Group.Read.All, which no probe needs",
        "holds Organization.Read.All, which no probe needs",
    ]


FILES: dict[str, dict[str, str]] = {
    "no certificate": {"certificate_file": "/nonexistent/app.pem"},
    "no certificate in it": {"certificate_file": "{}/client-secret"},
    "half a certificate": {"certificate_file": "{}/half.pem"},
    "no key in it": {"certificate_file": "{}/app.pem"},
    "another's key": {"certificate_file": "{}/app.pem", "key_file": "{}/other.key"},
    "a key that is not RSA": {"certificate_file": "{}/server.pem", "key_file": "{}/server.key"},
    "no token": {"token_file": "/nonexistent/token"},
}


@pytest.mark.parametrize("name", FILES)
def test_a_credential_that_cannot_be_used_is_named(microsoft: Microsoft, name: str) -> None:
    """Nothing is asked, and nothing of a file is repeated."""
    write_application(microsoft.directory, "other")
    (microsoft.directory / "half.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    files = {key: path.format(microsoft.directory) for key, path in FILES[name].items()}
    asked = len(microsoft.requests())
    result = ask(SYNC, settings_of(SYNC, microsoft, secret_file="", **files))
    assert result.fault == "credential-unreadable"
    assert SECRET not in result.detail
    assert len(microsoft.requests()) == asked


def test_microsofts_own_library_signs_as_we_do(microsoft: Microsoft) -> None:
    """MSAL's assertion and ours are both taken by the same check."""
    msal = pytest.importorskip("msal")
    requests = pytest.importorskip("requests")
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(microsoft.directory / "ca.pem")
        credential = {
            "private_key": (microsoft.directory / "app.key").read_text(),
            "public_certificate": (microsoft.directory / "app.pem").read_text(),
        }
        application = msal.ConfidentialClientApplication(
            CLIENT,
            client_credential=credential,
            authority=f"https://localhost:{microsoft.port}/{microsoft.settings().tenant}",
            instance_discovery=False,
            http_client=session,
        )
        token = application.acquire_token_for_client(["https://graph.microsoft.com/.default"])["access_token"]
    claims = msgspec.json.decode(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["roles"] == list(PERMISSIONS)


def test_no_traceback_holds_a_key_or_an_assertion(microsoft: Microsoft) -> None:
    """A bug of ours while signing in, shown with every local variable, shows neither key nor token."""
    key = (microsoft.directory / "app.key").read_text()

    async def main(way: str) -> str:
        kit = Kit()

        class Broken:
            def known(self, name: str, family: int) -> str | None:
                return None

            async def resolve(self, name: str, family: int, deadline: float) -> str:
                raise RuntimeError("bug")

        kit.resolver = Broken()
        async with entra_sync.open(kit) as runner:
            with pytest.raises(RuntimeError) as caught:
                await runner.attempt(settings_of(SYNC, microsoft, **signing_in(microsoft, way)), kit.clock.boot() + 5.0)
        return "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())

    for way in ("certificate", "federated"):
        shown = asyncio.run(main(way))
        assert "***" in shown
        assert TRUSTED not in shown
        assert not any(line in shown for line in key.splitlines()[1:-1])


AWAY: dict[str, tuple[str, dict[str, Any], str]] = {
    "a key of Arc's to another host": ("192.0.2.1:80", {"local_key": Secret("k")}, "a key of this host stays on it"),
    "a key to a name": ("localhost:80", {"local_key": Secret("k")}, "a key of this host stays on it"),
    "a token in the clear": ("127.0.0.1:80", {"bearer": Secret("t")}, "a credential goes over TLS only"),
    "a secret in the clear": ("127.0.0.1:80", {"form": Secret("s")}, "a credential goes over TLS only"),
}


@pytest.mark.parametrize("name", AWAY)
def test_no_credential_leaves_in_the_clear(name: str) -> None:
    """Before any packet: what would carry one is refused."""
    server, shown, why = AWAY[name]
    request = Request(server=endpoint(server, 4, 80), path="/", **shown)
    with pytest.raises(ExchangeError, match=why):
        asyncio.run(exchange(request, context=None, resolver=Kit().resolver, deadline=0.0))
