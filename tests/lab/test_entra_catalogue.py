"""Failures between a directory and Microsoft, by the simulator's own replies: the verdict, or an honest "blind".

What Graph and login say is read by the probes' own code; what the probes of the way see stands in each case. All goes
through the replay that `demarc replay` runs. Rows are those of the catalogue that the project plans by (15-38).
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec
import pytest

from agent.config import load_chain
from agent.model import Chain
from agent.observation import SELF, Observation, observe
from agent.replay import replay
from lab.microsoft import arm
from lab.microsoft.exchange import Reply as SimulatedReply
from lab.microsoft.exchange import Request, Tenant
from lab.microsoft.replies import answer
from lab.microsoft.state import State, change
from probes import entra_cloud_sync, entra_service_health, entra_sync
from probes.kit.azure_connection import Connection, Health, Watched, read_connection, watch
from probes.kit.entra_objects import HEADERS, first_path, judge_objects, read_page
from probes.kit.https_exchange import Reply
from probes.kit.microsoft import Blind, Token, read_graph_error, read_token, token_form
from probes.kit.microsoft_access import unavailable
from probes.kit.result import Result, Stage, failed, ok, unknown
from probes.kit.secret import Secret
from tests.lab.test_identity_rows import ROWS
from tests.peers.simulated_microsoft import CLIENT, CLOUD_SYNC, SECRET, TENANT

# Monday 23 November 2026, 17:00:00 UTC.
NOW: Final = 1795453200.0
ROUNDS: Final = 3
OWN_SECONDS: Final = 300.0
ACCESS: Final = (
    f'target: "https://graph.test", authority: "https://login.test", tenant: {TENANT}, client_id: {CLIENT}, '
    "secret_file: /none, timeout: 10s,"
)
CHAIN: Final = f"""
version: 1
effective: 2026-01-01T00:00
timezone: Europe/Amsterdam
director: msp
parties: {{msp: {{name: MSP}}, client: {{name: Client}}, carrier: {{name: Carrier}}, incumbent: {{name: Incumbent}},
  microsoft: {{name: Microsoft (simulated)}}}}
segments:
  cloud-host: {{owner: msp, side: cloud}}
  cloud-gw: {{owner: msp, side: cloud}}
  carrier: {{owner: carrier, side: transit}}
  vpn: {{owner: [msp, incumbent], lead: msp, side: line}}
  onprem-gw: {{owner: incumbent, side: onprem}}
  onprem-host: {{owner: incumbent, side: onprem}}
  egress: {{owner: incumbent, side: onprem}}
  connect: {{owner: incumbent, side: onprem}}
  cloud-sync: {{owner: [client, incumbent], lead: client, side: onprem}}
  directory-data: {{owner: client, side: saas}}
  microsoft: {{owner: microsoft, side: saas}}
vantages: {{cloud: {{segment: cloud-host, operator: msp}}, onprem: {{segment: onprem-host, operator: incumbent}}}}
services: {{signin: {{name: Sign-in}}}}
confirm: {{rounds: {ROUNDS}, spacing: 1s, skew: 1s}}
probes:
  gw: {{type: icmp, from: cloud, target: 192.0.2.1, path: [cloud-host, cloud-gw]}}
  login: {{type: http, from: cloud, target: "https://login.test/", path: [cloud-host, cloud-gw, microsoft]}}
  underlay: {{type: icmp, from: cloud, target: 192.0.2.2, path: [cloud-host, cloud-gw, carrier, onprem-gw]}}
  anchor: {{type: icmp, from: cloud, target: 192.0.2.3, path: [cloud-host, cloud-gw, carrier, vpn, onprem-gw]}}
  o-gw: {{type: icmp, from: onprem, target: 192.0.2.3, path: [onprem-host, onprem-gw]}}
  o-outer: {{type: icmp, from: onprem, target: 192.0.2.2, path: [onprem-host, onprem-gw]}}
  o-egress: {{type: tcp, from: onprem, target: "192.0.2.5:3128", path: [onprem-host, egress]}}
  o-login: {{type: http, from: onprem, target: "https://login.test/", path: [onprem-host, egress, carrier, microsoft]}}
  o-server: {{type: metric, from: onprem, target: "http://192.0.2.6:9182/metrics", metric: adsync_healthy, ok: "== 1",
    path: [onprem-host, connect]}}
  sync: {{type: entra_sync, from: cloud, {ACCESS} told_by: microsoft, service: signin,
    path: [cloud-host, cloud-gw, microsoft, carrier, egress, connect]}}
  password: {{type: entra_sync, watch: password, from: cloud, {ACCESS} told_by: microsoft,
    path: [cloud-host, cloud-gw, microsoft, carrier, egress, connect]}}
  objects: {{type: entra_sync, watch: objects, critical_objects: 1, from: cloud, {ACCESS}
    path: [cloud-host, cloud-gw, directory-data]}}
  jobs: {{type: entra_cloud_sync, service_principal: {CLOUD_SYNC}, from: cloud, {ACCESS}
    path: [cloud-host, cloud-gw, cloud-sync]}}
  health: {{type: entra_service_health, from: cloud, {ACCESS} told_by: microsoft,
    path: [cloud-host, cloud-gw, microsoft]}}
"""
OWN: Final = ("sync", "password", "objects", "jobs", "health")


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Load the chain once."""
    file: Path = tmp_path_factory.mktemp("chain") / "chain.yml"
    file.write_text(CHAIN)
    return load_chain(file)


def seen(reply: SimulatedReply) -> Reply:
    """Return a simulated reply as it comes off the wire."""
    return Reply(status=reply.status, headers={name.lower(): value for name, value in reply.headers}, body=reply.body)


class Microsoft:
    """The simulator without a network: asked in its own words, read by the probes' own code."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.tenant = Tenant(id=TENANT, client_id=CLIENT, secret=SECRET)

    def says(self, settings: Any, now: float) -> Result:
        """Return the result of an attempt with `settings` at `now`."""
        form = token_form(CLIENT, {"client_secret": Secret(SECRET)}, "https://graph.test/.default")
        path, host = f"/{TENANT}/oauth2/v2.0/token", {"host": "graph.test"}
        request = Request(method="POST", target=path, headers=host, body=form.reveal().encode())
        token = read_token(seen(answer(request, self.state, self.tenant, now)))
        if isinstance(token, Blind):
            return unknown(token.fault, token.detail)

        def get(target: str, **headers: str) -> Reply | Blind:
            bearer = {"authorization": f"Bearer {token.bearer.reveal()}", **host, **headers}
            asked = Request(method="GET", target=target, headers=bearer)
            reply = seen(answer(asked, self.state, self.tenant, now))
            return reply if reply.status == 200 else read_graph_error(reply)

        found = judged(settings, get, now)
        return unknown(found.fault, found.detail) if isinstance(found, Blind) else found


def judged(settings: Any, get: Any, now: float) -> Result | Blind:
    """Return what a type's own code makes of the replies that `get` gives."""
    if isinstance(settings, entra_cloud_sync.Settings):
        reply = get(f"/v1.0/servicePrincipals/{settings.service_principal}/synchronization/jobs")
        if isinstance(reply, Blind):
            return unavailable(reply, entra_cloud_sync.PERMISSION)
        return entra_cloud_sync.judge(reply, settings, now)
    if isinstance(settings, entra_service_health.Settings):
        reply = get(entra_service_health.OVERVIEW)
        if isinstance(reply, Blind):
            return unavailable(reply, entra_service_health.PERMISSION)
        health = entra_service_health.read_overview(reply, settings)
        if not isinstance(health, entra_service_health.Health):
            raise TypeError(health)
        return entra_service_health.judge(health, get(entra_service_health.issues_path(health)))
    if settings.watch == "objects":
        reply = get(first_path("users", names=False), **{name.lower(): value for name, value in HEADERS.items()})
        page = reply if isinstance(reply, Blind) else read_page(reply, settings.target, names=False)
        return page if isinstance(page, Blind) else judge_objects([("users", page)], 1, settings.critical_objects)
    reply = get(entra_sync.WATCHED[settings.watch].path)
    return reply if isinstance(reply, Blind) else entra_sync.judge(reply, settings, now)


Seen = Mapping[str, Result]
ALL: Final = ("cloud", "onprem")
SILENT: Final = failed(Stage.CONNECT, "timeout")
BAD_SERVER: Final = failed(Stage.CONNECT, "condition")
ERROR_503: Final = failed(Stage.ANSWER, "status", answered=True)
NO_PUBLIC_ISSUER: Final = failed(Stage.SECURE, "certificate-untrusted", answered=True)


def observations(
    chain: Chain, microsoft: Microsoft, way: Seen, vantages: tuple[str, ...] = ALL, times: int = ROUNDS + 1
) -> Iterator[Observation]:
    """Yield what vantages see: slow sources every five minutes, and the rounds around each of those moments."""
    for number in range(times):
        moment = NOW + number * OWN_SECONDS
        results = {name: microsoft.says(chain.probes[name].settings, moment) for name in OWN}
        for second in range(-5, 20):
            for vantage in vantages:
                round_number = int(moment) + second
                at = {"time": moment + second, "round_number": round_number, "vantage": vantage}
                yield observe(ok(0.001), probe=SELF, **at)  # type: ignore[arg-type]
                for probe in chain.probes_of(vantage):
                    if probe.id not in OWN:
                        yield observe(way.get(probe.id, ok(0.01)), probe=probe.id, **at)  # type: ignore[arg-type]
            if second == 0:
                at = {"time": moment, "round_number": int(moment), "vantage": "cloud"}
                for name, result in results.items():
                    yield observe(result, probe=name, **at)  # type: ignore[arg-type]


Verdict = tuple[str, tuple[str, ...], tuple[str, ...]]  # kind, candidates, segments
STALE: Final[dict[str, object]] = {"sync_age_seconds": 2e4, "password_sync_age_seconds": 2e4}
BLIND: Final[list[Verdict]] = []
# That its own proxy forwards is the incumbent's word only.
NOBODY_ALONE: Final = ("undetermined", ("incumbent", "microsoft"), ("connect", "egress", "microsoft"))
INCUMBENT: Final = ("attributed", ("incumbent",), ("connect",))


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What Microsoft does, what the way shows and to whom, what is found, and the faults that are told."""

    state: dict[str, object] = {}
    way: dict[str, Result] = {}
    vantages: tuple[str, ...] = ALL
    found: list[Verdict]
    faults: dict[str, str | None]


CASES: Final[Mapping[str, Case]] = MappingProxyType(
    {
        "in order": Case(found=BLIND, faults={"sync": None, "password": None}),
        "1 the site's circuit": Case(
            state=STALE,
            way={"underlay": SILENT, "anchor": SILENT, "o-login": SILENT},
            found=[("attributed", ("carrier",), ("carrier",))],
            faults={"sync": "sync-stale", "password": "password-stale"},
        ),
        "3 the VPN, and what is fresh is fresh": Case(
            way={"anchor": SILENT},
            found=[("undetermined", ("incumbent", "msp"), ("onprem-gw", "vpn"))],
            faults={"sync": None, "password": None},
        ),
        "1 the site's circuit, seen from the cloud alone": Case(
            state=STALE,
            way={"underlay": SILENT, "anchor": SILENT},
            vantages=("cloud",),
            found=[("undetermined", ("carrier", "incumbent", "msp"), ("carrier", "onprem-gw", "vpn"))],
            faults={"sync": "sync-stale", "password": "password-stale"},
        ),
        "3 the VPN device, seen from the cloud alone": Case(
            state={"sync_age_seconds": 60.0},
            way={"underlay": SILENT, "anchor": SILENT},
            vantages=("cloud",),
            found=[("attributed", ("incumbent",), ("onprem-gw",))],
            faults={"sync": None, "password": None},
        ),
        "17 the proxy blocks Microsoft": Case(
            state=STALE,
            way={"o-egress": SILENT, "o-login": SILENT},
            found=[("attributed", ("incumbent",), ("egress",))],
            faults={"sync": "sync-stale", "password": "password-stale"},
        ),
        "21 the service stopped": Case(
            state=STALE,
            way={"o-server": BAD_SERVER},
            found=[INCUMBENT],
            faults={"sync": "sync-stale", "password": "password-stale"},
        ),
        "21 the service stopped, and nobody looks at the server": Case(
            state=STALE,
            way={"o-server": unknown("exporter-unreachable")},
            found=[NOBODY_ALONE],
            faults={"sync": "sync-stale", "password": "password-stale"},
        ),
        "22 the scheduler is off": Case(
            state={"sync_age_seconds": 2e4},
            way={"o-server": BAD_SERVER},
            found=[INCUMBENT],
            faults={"sync": "sync-stale", "password": None},
        ),
        "23 every server only stages; 29 passwords alone": Case(
            state={"password_sync_age_seconds": 2e4},
            way={"o-server": BAD_SERVER},
            found=[INCUMBENT],
            faults={"sync": None, "password": "password-stale"},
        ),
        "28 duplicates, and all is fresh": Case(
            state={"user_errors": 3},
            found=[("attributed", ("client",), ("directory-data",))],
            faults={"sync": None, "objects": "objects-in-error"},
        ),
        "31 quarantine: too many deletes": Case(
            state={"job_code": "Quarantine", "job_quarantine": "TooManyDeletes"},
            found=[("undetermined", ("client", "incumbent"), ("cloud-sync",))],
            faults={"jobs": "quarantine-deletes"},
        ),
        "34 Microsoft's own incident, from both sides": Case(
            state={"mode": "503", "health": "serviceInterruption"},
            way={"login": ERROR_503, "o-login": ERROR_503},
            found=[("attributed", ("microsoft",), ("microsoft",))],
            faults={"sync": "graph-error", "health": "graph-error"},
        ),
        "34 Microsoft's word alone": Case(
            state={"health": "serviceInterruption"},
            found=BLIND,
            faults={"sync": None, "health": "service-interrupted"},
        ),
        "34 Microsoft's word beside a stale synchronisation": Case(
            state={**STALE, "health": "serviceDegradation"},
            found=[NOBODY_ALONE],
            faults={"sync": "sync-stale", "health": "service-issue"},
        ),
        "18 inspection on site, by a plain web probe": Case(
            way={"o-login": NO_PUBLIC_ISSUER},
            found=[("contradiction", ("microsoft",), ("microsoft",))],
            faults={"sync": None},
        ),
        "35 our secret has expired": Case(
            state={"credential": "expired", **STALE},
            found=BLIND,
            faults=dict.fromkeys(OWN, "credential-expired"),
        ),
        "36 consent was removed": Case(
            state={"permissions": [], **STALE},
            found=BLIND,
            faults={"sync": "no-data", "objects": "no-permission", "jobs": "unavailable", "health": "unavailable"},
        ),
        "37 we are throttled": Case(
            state={"mode": "429", **STALE}, found=BLIND, faults=dict.fromkeys(OWN, "throttled")
        ),
        "38 our own way out": Case(
            state={"login": "html"},
            way={"gw": SILENT, "login": SILENT, "underlay": SILENT, "anchor": SILENT},
            found=[("attributed", ("msp",), ("cloud-gw",))],
            faults=dict.fromkeys(OWN, "not-graph"),
        ),
    }
)


@pytest.mark.parametrize("name", CASES)
def test_each_failure_has_its_verdict_or_is_blind(chain: Chain, name: str) -> None:
    """One cause, the party only where it is proven; what cannot be read accuses nobody."""
    case = CASES[name]
    microsoft = Microsoft(change(State(), case.state))
    faults = {name: microsoft.says(chain.probes[name].settings, NOW).fault for name in case.faults}
    assert faults == case.faults
    found = replay(chain, list(observations(chain, microsoft, case.way, case.vantages)))
    told = [(str(one.kind), tuple(sorted(one.candidates)), tuple(sorted(one.segments))) for one in found]
    assert told == case.found


PAIRS: Final = (
    ("1 the site's circuit", "3 the VPN, and what is fresh is fresh"),
    ("1 the site's circuit, seen from the cloud alone", "3 the VPN device, seen from the cloud alone"),
    ("21 the service stopped", "22 the scheduler is off"),
    ("28 duplicates, and all is fresh", "21 the service stopped"),
    ("17 the proxy blocks Microsoft", "34 Microsoft's own incident, from both sides"),
    ("35 our secret has expired", "34 Microsoft's own incident, from both sides"),
)


@pytest.mark.parametrize("pair", PAIRS)
def test_pairs_come_apart(pair: tuple[str, str]) -> None:
    """What looks alike from one side has another verdict, or another fault beside it."""
    one, other = (CASES[name] for name in pair)
    assert (one.found, one.faults) != (other.found, other.faults)


def test_what_stopped_with_the_site_points_at_the_circuit(chain: Chain) -> None:
    """Row 1 from the cloud alone proves nobody, and one cause explains silence and staleness: the circuit."""
    case = CASES["1 the site's circuit, seen from the cloud alone"]
    microsoft = Microsoft(change(State(), case.state))
    (incident,) = replay(chain, list(observations(chain, microsoft, case.way, case.vantages)))
    assert incident.simplest == ("carrier",)


def returned(*tunnels: str) -> dict[str, float]:
    """Return what azure_vpn counts when the tunnel of instance 0 comes back, an hour later, as these."""
    tenant, watched, values = Tenant(id=TENANT, client_id=CLIENT, secret=SECRET), Watched(), {}
    form = token_form(CLIENT, {"client_secret": Secret(SECRET)}, f"{arm.AUDIENCE}/.default").reveal().encode()
    host = {"host": "management.azure.com"}
    first = State(vpn_tunnels=("site_instance0",), vpn_since=datetime.fromtimestamp(NOW - 3600.0, UTC))
    for hour, state in enumerate(
        (first, first, State(vpn_tunnels=tunnels, vpn_since=datetime.fromtimestamp(NOW, UTC)))
    ):
        now = NOW + 60.0 * hour
        asked = Request(method="POST", target=f"/{TENANT}/oauth2/v2.0/token", headers=host, body=form)
        token = read_token(seen(answer(asked, state, tenant, now)))
        assert isinstance(token, Token)
        bearer = {"authorization": f"Bearer {token.bearer.reveal()}", **host}
        target = f"{arm.CONNECTION}?api-version=2024-05-01"
        reply = seen(answer(Request(method="GET", target=target, headers=bearer), state, tenant, now))
        connection = read_connection(reply)
        assert isinstance(connection, Connection)
        watched, result = watch(watched, "site", connection, Health(), wall=now, now=now)
        values = {name: value for name, value in result.values.items() if "_reconnects_" in name}
    return values


def test_rows_10_and_2_come_apart_by_the_instance() -> None:
    """Maintenance brings the tunnel back on the gateway's other instance, a line that flaps on the same one."""
    same, other = "azure_vpn_reconnects_same_total", "azure_vpn_reconnects_other_total"
    assert returned("site_instance0") == {same: 1.0, other: 0.0}
    assert returned("site_instance1") == {same: 0.0, other: 1.0}


def test_every_row_of_the_catalogue_is_played() -> None:
    """Rows 15 to 38 but 30 (pass-through agents are not watched): here, or in the site's own scenarios."""
    names = [*CASES, *ROWS]
    played = {int(number) for name in names for number in re.findall(r"\b(\d+) [A-Za-z]", name)}
    assert set(range(15, 39)) - {30} <= played


def a_day(now: float) -> State:
    """Return what Microsoft would say at `now`: cycles of 30 minutes, none between 08:00 and 14:30 of a day."""
    began, ended = NOW + 8 * 3600.0, NOW + 14.5 * 3600.0
    cycle = now - now % 1800.0
    last = began if began <= now < ended else cycle
    return State(sync_age_seconds=now - last, password_sync_age_seconds=30.0)


def test_a_day_of_synchronisation_is_replayed_against_its_thresholds(chain: Chain) -> None:
    """It stops for six hours: late after 90 minutes, stale after three hours, one incident, closed by what is fresh.

    Both vantages' rounds are left out: a slow source confirms at its own pace, and alone it cannot tell whom.
    """
    results: dict[float, Result] = {}
    for number in range(int(86400 / OWN_SECONDS)):
        moment = NOW + number * OWN_SECONDS
        results[moment] = Microsoft(a_day(moment)).says(chain.probes["sync"].settings, moment)
    changes = [
        ((moment - NOW) / 3600.0, str(result.outcome))
        for (moment, result), before in zip(results.items(), [None, *results.values()], strict=False)
        if before is None or before.outcome is not result.outcome
    ]
    assert changes == [(0.0, "ok"), (9.5, "degraded"), (11.0, "failed"), (14.5, "ok")]
    seen_by_us = [
        observe(result, time=moment, round_number=int(moment), vantage="cloud", probe="sync")
        for moment, result in results.items()
    ]
    (incident,) = replay(chain, seen_by_us)
    assert incident.closed is not None
    assert ((incident.opened - NOW) / 3600.0, (incident.closed - NOW) / 3600.0) == (11.0, 14.5)
    assert (incident.parties, incident.services) == ((), ("signin",))
