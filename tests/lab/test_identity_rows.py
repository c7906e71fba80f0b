"""Rows 15 to 33 of the identity catalogue that a site can show: a real fault, real probes, and the verdict or "blind".

The directory is Samba, the name server dnsmasq, the proxy with its TLS inspection squid; Microsoft's addresses and the
Connect server's page are simulated. Each probe is really asked once before and once after the fault; what it said is
recorded at the chain's intervals by times of the test's own, and replayed. So nothing is timed, and the verdict is the
product's.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from agent.config import load_chain
from agent.incident.value import Incident, Kind
from agent.model import Chain
from agent.observation import SELF, Observation, observe
from agent.replay import replay
from probes import ad, adsync, dns, entra_endpoints, http
from probes.kit.result import Outcome, Result, ok
from probes.kit.spec import Pace
from tests.directory import ASKS_WHO, DC, EDGES, FORBIDS, INSPECTS, PROXY, Site, against, site
from tests.peers.probing import Kit, Names
from tests.probes.adsync_pages import (
    EXPORT,
    HEARTBEAT,
    IMPORT,
    MINUTE,
    NOW,
    directory,
    entra,
    exposition,
    last_good,
)

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab_possible")]
CHAIN: Chain = load_chain(Path(__file__).parents[1] / "data" / "identity-chain.yml")
MODULES = MappingProxyType({"ad": ad, "adsync": adsync, "dns": dns, "entra_endpoints": entra_endpoints, "http": http})
START = 1_795_442_400.0
SILENT = ("timeout", "endpoint-unreachable")
HEALTHY_SECONDS, BROKEN_SECONDS = 20, 60
CONNECT = 9182


@pytest.fixture(scope="module")
def corp(lab_possible: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Yield the site with everything that the chain's probes ask."""
    if lacking := against("samba", "squid", "chronyd"):
        pytest.skip(lacking)
    with site(tmp_path_factory.mktemp("corp")) as made:
        made.start_controller()
        made.start_clock()
        made.start_names()
        made.start_edges()
        made.start_proxy()
        made.start_page()
        made.write_page(exposition({}))
        yield made


Change = Callable[[Site], dict[str, Any]]  # breaks something; returns settings of probes that stand for a change


def nothing(_site: Site) -> dict[str, Any]:
    """Break nothing."""
    return {}


def stop(name: str) -> Change:
    """Stop a program."""

    def change(corp: Site) -> dict[str, Any]:
        corp.stop(name)
        return {}

    return change


def drop(rule: str) -> Change:
    """Drop packets: as a dead host, or a filter."""

    def change(corp: Site) -> dict[str, Any]:
        corp.drop(rule)
        return {}

    return change


def policy(port: int) -> Change:
    """Change what the proxy does, by asking it at another of its ports."""
    return lambda _site: {"exit": {"proxy": f"http://{PROXY}:{port}"}}


def page(changes: Mapping[str, float | None]) -> Change:
    """Change what the Connect server tells of itself."""

    def change(corp: Site) -> dict[str, Any]:
        corp.write_page(exposition(changes))
        return {}

    return change


def heal(corp: Site) -> None:
    """Bring everything back."""
    corp.drop("")
    corp.write_page(exposition({}))
    for name, start in (("dc", corp.start_controller), ("names", corp.start_names), ("page", corp.start_page)):
        if not corp.runs(name):
            start()


def asked(corp: Site, changes: Mapping[str, Any], silent: frozenset[str] = frozenset()) -> dict[str, Result]:
    """Return what every probe of the chain says now; those that will hear nothing wait for a second only."""
    kit, found = Kit(Names(EDGES)), {}
    for probe in CHAIN.probes.values():
        settings = msgspec.structs.replace(probe.settings, **changes.get(probe.id, {}))
        if probe.type == "entra_endpoints":
            settings = msgspec.structs.replace(settings, ca_file=str(corp.microsoft.ca_file))
        within = 1.0 if probe.id in silent else 10.0
        found[probe.id] = corp.attempt(MODULES[probe.type], settings, within=within, kit=kit)
    return found


def recorded(states: list[tuple[int, dict[str, Result]]]) -> list[Observation]:
    """Return observations of `states`, each so many seconds long, in rounds of one second."""
    found, second = [], 0
    for seconds, results in states:
        for _ in range(seconds):
            time = START + second
            for place, (name, result) in enumerate(results.items()):
                probe = CHAIN.probes[name]
                if probe.pace is Pace.ROUND or second % probe.interval == 0:
                    moment = time + 0.9 * place / len(results)
                    found.append(observe(result, time=moment, round_number=second + 1, vantage="onprem", probe=name))
            found.append(observe(ok(0.0), time=time + 0.95, round_number=second + 1, vantage="onprem", probe=SELF))
            second += 1
    return found


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a row must come to: the segments of the one incident, and who of them; or nothing and why.

    `says` are probes and the faults that they must tell; what they do not tell is honest blindness.
    """

    segments: frozenset[str] = frozenset()
    party: str = ""
    candidates: frozenset[str] = frozenset()
    says: Mapping[str, str | None]


INCUMBENT = "incumbent"
# What a state shows and no packet: the server, what it reads, where it writes, whose settings and data they are.
SHARED = frozenset({"client", "incumbent", "microsoft"})
ROWS: dict[str, tuple[Change, Verdict]] = {
    "15 controller's services stopped": (
        stop("dc"),
        Verdict(
            candidates=frozenset({"incumbent", "msp"}),
            says={
                "ldap": "refused",
                "kerberos": "refused",
                "smb": "refused",
                "time": None,
                "names": None,
                "exit": None,
            },
        ),
    ),
    "15 LDAP ill on a controller that answers": (
        lambda _site: {"ldap": {"domain": "other.test"}},
        Verdict(segments=frozenset({"dc1"}), party=INCUMBENT, says={"ldap": "other-domain", "kerberos": None}),
    ),
    "1 circuit dead behind the proxy": (
        drop("ip daddr 203.0.113.0/24"),
        Verdict(
            candidates=frozenset({"incumbent", "carrier", "microsoft"}),
            says={"exit": "endpoint-unreachable", "through": "timeout", "ldap": None},
        ),
    ),
    "13 a filter before the controller": (
        drop(f"ip daddr {DC} tcp dport 88"),
        Verdict(
            candidates=frozenset({"incumbent", "msp"}),
            says={"kerberos": "timeout", "ldap": None, "time": None},
        ),
    ),
    "16 name server stopped": (
        stop("names"),
        Verdict(
            segments=frozenset({"onprem-dns"}),
            party=INCUMBENT,
            says={"names": "refused", "domain": "resolve-refused", "ldap": None},
        ),
    ),
    "17 proxy forbids": (
        policy(FORBIDS),
        Verdict(segments=frozenset({"egress"}), party=INCUMBENT, says={"exit": "proxy-blocked", "through": None}),
    ),
    "17 proxy wants a sign-on": (
        policy(ASKS_WHO),
        Verdict(segments=frozenset({"egress"}), party=INCUMBENT, says={"exit": "proxy-authentication"}),
    ),
    "17 proxy silent": (
        drop(f"ip daddr {PROXY} tcp dport 3128"),
        Verdict(segments=frozenset({"egress"}), party=INCUMBENT, says={"exit": "timeout", "through": "timeout"}),
    ),
    "18 TLS inspection added": (
        policy(INSPECTS),
        Verdict(segments=frozenset({"egress"}), party=INCUMBENT, says={"exit": "tls-inspected"}),
    ),
    "19 TLS 1.2 disabled on the server": (
        page({EXPORT: None, **entra(result="no-start-connection"), **last_good("entra", "Export", 90 * MINUTE)}),
        Verdict(candidates=SHARED, says={"connect": "entra-run-failed", "exit": None, "through": None}),
    ),
    "20 proxy cuts long requests": (
        page({EXPORT: None, **entra(result="stopped-connectivity"), **last_good("entra", "Export", 90 * MINUTE)}),
        Verdict(candidates=SHARED, says={"connect": "entra-run-failed", "exit": None}),
    ),
    "21 ADSync stopped": (
        page({"adsync_service_running": 0.0}),
        Verdict(segments=frozenset({"entra-connect"}), party=INCUMBENT, says={"connect": "service-stopped"}),
    ),
    "22 scheduler disabled": (
        page({"adsync_sync_cycle_enabled": 0.0}),
        Verdict(segments=frozenset({"entra-connect"}), party=INCUMBENT, says={"connect": "scheduler-disabled"}),
    ),
    "23 all servers staging": (
        page({"adsync_staging_mode": 1.0, HEARTBEAT: None}),
        Verdict(segments=frozenset({"entra-connect"}), party=INCUMBENT, says={"connect": "staging"}),
    ),
    "24 sync certificate expired": (
        page({'adsync_event_timestamp_seconds{id="1012"}': NOW - 60}),
        Verdict(segments=frozenset({"entra-connect"}), party=INCUMBENT, says={"connect": "sync-certificate-expired"}),
    ),
    "25 Conditional Access blocks": (
        page({EXPORT: None, **entra(result="stopped-extension-dll-exception"), **last_good("entra", "Export", 9000)}),
        Verdict(candidates=SHARED, says={"connect": "entra-run-failed"}),
    ),
    "26 connector account broken": (
        page({IMPORT: None, **directory(result="stopped-connectivity"), **last_good("ad", "Delta Import", 9000)}),
        Verdict(candidates=SHARED, says={"connect": "ad-run-failed", "ldap": None}),
    ),
    "27 deletion threshold": (
        page({EXPORT: None, **entra(result="stopped-deletion-threshold-exceeded")}),
        Verdict(candidates=SHARED, says={"connect": "deletion-threshold"}),
    ),
    "28 duplicate attributes": (
        page({EXPORT: None, **entra(result="completed-export-errors")}),
        Verdict(says={"connect": "run-errors"}),
    ),
    "29 password synchronisation stalled": (
        page({HEARTBEAT: NOW - 121 * MINUTE}),
        Verdict(candidates=SHARED, says={"connect": "password-stale"}),
    ),
    "32 unsupported version": (
        page({'adsync_version_info{version="2.5.190.0"}': None, 'adsync_version_info{version="2.4.131.0"}': 1.0}),
        Verdict(segments=frozenset({"entra-connect"}), party=INCUMBENT, says={"connect": "version-unsupported"}),
    ),
    "33 LocalDB full": (
        page({"adsync_service_running": 0.0, 'adsync_collector_success{section="scheduler"}': 0.0}),
        Verdict(segments=frozenset({"entra-connect"}), party=INCUMBENT, says={"connect": "service-stopped"}),
    ),
    "blind: the collector died": (
        page({"adsync_collector_timestamp_seconds": NOW - 3600, "adsync_service_running": 0.0}),
        Verdict(says={"connect": "collector-stale"}),
    ),
    "blind: the exporter is gone": (stop("page"), Verdict(says={"connect": "exporter-unreachable"})),
}


def test_everything_is_well_at_first(corp: Site) -> None:
    """Every probe passes but the domain's, which knows of a second controller that is not there: degraded."""
    heal(corp)
    results = asked(corp, {})

    assert {name: result.outcome for name, result in results.items() if result.outcome is not Outcome.OK} == {
        "domain": Outcome.DEGRADED
    }
    assert replay(CHAIN, recorded([(60, results)])) == ()


@pytest.mark.parametrize("row", ROWS)
def test_each_row_has_its_verdict_or_is_blind(corp: Site, row: str) -> None:
    """One cause and its owner, or several candidates, or honest silence; nobody else is ever named."""
    change, expected = ROWS[row]
    heal(corp)
    before = asked(corp, {})
    try:
        after = asked(corp, change(corp), frozenset(n for n, fault in expected.says.items() if fault in SILENT))
    finally:
        heal(corp)

    incidents = replay(CHAIN, recorded([(HEALTHY_SECONDS, before), (BROKEN_SECONDS, after)]))

    told = {name: after[name].fault for name in expected.says}
    assert told == dict(expected.says), after
    agrees(incidents, expected)


def agrees(incidents: tuple[Incident, ...], expected: Verdict) -> None:
    """Assert that the incidents are what is expected."""
    shown = [(one.kind, one.parties, one.candidates, one.segments, one.support.failing) for one in incidents]
    if not expected.party and not expected.candidates:
        assert incidents == (), shown
        return
    assert len(incidents) == 1, shown
    (one,) = incidents
    if expected.party:
        assert (one.kind, one.parties) == (Kind.ATTRIBUTED, (expected.party,)), shown
        assert frozenset(one.segments) == expected.segments, shown
    else:
        assert one.kind is Kind.UNDETERMINED, shown
        assert frozenset(one.candidates) == expected.candidates, shown


def test_the_rows_name_every_state_of_the_server() -> None:
    """No stopping fault of the server is without a row, but those that only a second server or a long age can show."""
    told = {fault for _, verdict in ROWS.values() for name, fault in verdict.says.items() if name == "connect"}
    stopping = {row.name for row in adsync.SPEC.faults if row.stage is not None and "(degraded)" not in row.meaning}
    shared = {"exporter-error", "malformed", "not-staging", "other-run-failed", "runs-stale"}
    assert stopping - told <= shared
