"""What `demarc doctor` says of applications: lacking, to spare, ending; nothing where a token is silent."""

from collections.abc import Mapping

import pytest

from agent.daemon.finding import FAIL, OK, WARN
from agent.daemon.permissions import Application, applications, judge
from agent.model import Probe
from probes import entra_cloud_sync, entra_sync, icmp
from probes.kit.microsoft_client import Examined
from probes.kit.result import Outcome, Result, unknown
from probes.kit.spec import Flow

UUID = "66666666-7777-8888-9999-000000000000"
SYNC = entra_sync.Settings(tenant="corp.lab", client_id=UUID, secret_file="/none")
OBJECTS = entra_sync.Settings(tenant="corp.lab", client_id=UUID, secret_file="/none", watch="objects")
CLOUD = entra_cloud_sync.Settings(tenant="corp.lab", client_id=UUID, secret_file="/none", service_principal=UUID)
FLOW = Flow(host="x", protocol="tcp", function="x")
NEEDS = {"Organization.Read.All": ["entra"], "User.Read.All": ["objects"]}
WALL = 1_795_453_210.0
GOOD = Result(outcome=Outcome.OK)


def probe(name: str, kind: str, settings: object) -> Probe:
    """Return a probe of some type."""
    return Probe(
        id=name,
        type=kind,
        vantage="cloud",
        path=("a",),
        interval=300,
        timeout=30,
        settings=settings,
        flow=FLOW,
        target="x",
    )


def test_probes_of_one_application_are_one_question() -> None:
    """Their needs are joined, those that can be left out apart; other types are none of it."""
    found = applications(
        (
            probe("gw", "icmp", icmp.Settings(target="192.0.2.1")),
            probe("entra", "entra_sync", SYNC),
            probe("objects", "entra_sync", OBJECTS),
            probe("cloud", "entra_cloud_sync", CLOUD),
        )
    )
    assert [application.needs for application in found] == [NEEDS]
    assert found[0].optional == {"Synchronization.Read.All": ["cloud"]}


Said = tuple[str, str]
CASES: Mapping[str, tuple[Examined, list[Said]]] = {
    "as needed": (
        Examined(result=GOOD, roles=frozenset({"Organization.Read.All", "User.Read.All", "S"}), ends=None),
        [(OK, "signs in, with the permissions needed: Organization.Read.All, S, User.Read.All")],
    ),
    "lacking": (
        Examined(result=GOOD, roles=frozenset({"User.Read.All"}), ends=None),
        [(FAIL, "lacks Organization.Read.All, which entra needs"), (WARN, "lacks S, which cloud needs")],
    ),
    "to spare": (
        Examined(result=GOOD, roles=frozenset({*NEEDS, "S", "Mail.Read"}), ends=None),
        [(WARN, "holds Mail.Read, which no probe needs")],
    ),
    "broader than needed": (
        Examined(result=GOOD, roles=frozenset({"Directory.Read.All", "S"}), ends=None),
        [(WARN, "holds Directory.Read.All, which no probe needs")],
    ),
    "a silent token": (
        Examined(result=GOOD, roles=None, ends=None),
        [(WARN, "its token does not tell its permissions; compare them by hand with docs/entra.md")],
    ),
    "no token": (
        Examined(result=unknown("credential-expired", "login answered 401"), roles=None, ends=None),
        [(FAIL, "no token: credential-expired (login answered 401)")],
    ),
    "a credential that ends soon": (
        Examined(result=GOOD, roles=frozenset({*NEEDS, "S"}), ends=WALL + 29 * 86400.0),
        [(WARN, "its credential ends on 2026-12-22, in 29 days")],
    ),
    "a credential that lasts": (
        Examined(result=GOOD, roles=frozenset({*NEEDS, "S"}), ends=WALL + 31 * 86400.0),
        [
            (OK, "its credential ends on 2026-12-24, in 31 days"),
            (OK, "signs in, with the permissions needed: Organization.Read.All, S, User.Read.All"),
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_application_is_judged(name: str) -> None:
    """What lacks fails where a probe is blind without it; what is to spare is warned of."""
    examined, said = CASES[name]
    application = Application(access=SYNC, needs=NEEDS, optional={"S": ["cloud"]})
    assert [(finding.state, finding.text) for finding in judge(application, examined, WALL)] == said


def test_a_credential_of_systemd_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run by hand, systemd hands nothing over: that is said, and is no fault."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    access = entra_sync.Settings(tenant="corp.lab", client_id=UUID, secret_file="credential:entra")
    examined = Examined(result=unknown("credential-unreadable", "x"), roles=None, ends=None)
    for given, state in ((access, WARN), (SYNC, FAIL)):
        found = judge(Application(access=given, needs=NEEDS, optional={}), examined, WALL)
        assert [finding.state for finding in found] == [state]


def test_a_broader_permission_names_the_narrow_ones() -> None:
    """The remedy says what to grant in its place."""
    examined = Examined(result=GOOD, roles=frozenset({"Directory.Read.All", "S"}), ends=None)
    found = judge(Application(access=SYNC, needs=NEEDS, optional={"S": ["cloud"]}), examined, WALL)
    assert found[0].remedy == "grant Organization.Read.All, User.Read.All instead and take it away"
