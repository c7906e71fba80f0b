"""What ad declares, how controllers are found in an answer, and what answers mean for a domain."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import ad
from probes.kit.ad_answer import Said, of_dns, of_kerberos, of_ldap, of_smb, of_time, weighed
from probes.kit.controllers import MOST, Controller, announced, asked, resolved, service_name, together
from probes.kit.dns_exchange import Answered, Stopped
from probes.kit.dns_message import Message, Record
from probes.kit.kerberos_message import KdcReply
from probes.kit.ldap_message import RootDse
from probes.kit.ntp_message import Reply
from probes.kit.result import Outcome, Result, Stage, failed, ok, unknown
from probes.kit.smb_message import Negotiated
from probes.kit.spec import Duration, Flow
from probes.kit.trouble import Trouble

NAME = "_ldap._tcp.dc._msdcs.corp.lab"
PLACES = Flow(host="10.20.0.53", protocol="udp", port=53, function="controllers of corp.lab", carry_bytes=1280)


def settings(**more: Any) -> ad.Settings:
    """Return settings for corp.lab."""
    return ad.Settings(domain="corp.lab", **more)


FLOWS: dict[str, tuple[ad.Settings, Flow]] = {
    "one controller": (
        settings(target="10.20.0.10"),
        Flow(host="10.20.0.10", protocol="tcp", port=389, function="LDAP root DSE of corp.lab", carry_bytes=576),
    ),
    "by name, elsewhere": (
        settings(target="dc1.corp.lab:3269", check="ldaps"),
        Flow(
            host="dc1.corp.lab",
            protocol="tcp",
            port=3269,
            function="LDAP root DSE over TLS of corp.lab",
            carry_bytes=1500,
            named=True,
        ),
    ),
    "time, IPv6": (
        settings(target="2001:db8::1", check="time"),
        Flow(host="2001:db8::1", protocol="udp", port=123, family=6, function="NTP time of corp.lab", carry_bytes=76),
    ),
    "the domain": (
        ad.Settings(domain="Corp.Lab", check="kerberos", dns="10.20.0.53"),
        Flow(
            host="corp.lab",
            protocol="tcp",
            port=88,
            function="Kerberos AS exchange of corp.lab",
            carry_bytes=576,
            named=True,
            also=(PLACES,),
        ),
    ),
}


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_names_one_function_of_one_port(name: str) -> None:
    """So that a filter is told from a controller; without a target the name server is asked too."""
    made, expected = FLOWS[name]
    assert ad.flow(made) == expected


WRONG: dict[str, tuple[ad.Settings, str]] = {
    "no domain": (ad.Settings(domain="corp", target="10.0.0.1"), "domain: 'corp' is no DNS name"),
    "nobody": (settings(), "dns: write the name server"),
    "both": (settings(target="10.0.0.1", dns="10.0.0.2"), "dns: with `target`"),
    "a site of one": (settings(target="10.0.0.1", site="Delft"), "dns: with `target`"),
    "a site": (settings(dns="10.0.0.2", site="a b"), "site: 'a b'"),
    "a name server by name": (settings(dns="ns.corp.lab"), "dns: 'ns.corp.lab' is no address"),
    "no name server": (settings(dns="a b"), "dns: 'a b' is neither"),
    "a negative offset": (settings(target="10.0.0.1", max_offset=Duration(-1)), "max_offset"),
    "no client": (settings(target="10.0.0.1", client=""), "client"),
    "a client of two lines": (settings(target="10.0.0.1", client="a\nb"), "client"),
    "a target": (settings(target="a b"), "neither"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_with_its_key(name: str) -> None:
    """The operator learns which key to change."""
    made, words = WRONG[name]
    with pytest.raises(ValueError, match=words):
        ad.flow(made)


def test_every_fault_that_a_judgement_gives_is_declared() -> None:
    """The table of the type holds what the pure parts can say, at the stage at which they say it."""
    rows = {(row.name, row.stage) for row in ad.SPEC.faults}
    for name in ("other-domain", "refused-by-service", "malformed", "closed", "no-answer", "rcode-nxdomain"):
        assert (name, Stage.ANSWER) in rows
    for name in ("controllers-missing", "not-synchronized", "clock-apart", "unsynchronised", "rcode-other"):
        assert (name, Stage.ANSWER) in rows
    for name in ("resolve-timeout", "resolve-malformed", "resolve-no-address", "resolve-unreachable"):
        assert (name, Stage.RESOLVE) in rows


def message(*answers: Record, rcode: str = "noerror", truncated: bool = False) -> Message:
    """Return an answer to NAME."""
    return Message(ident=1, response=True, truncated=truncated, rcode=rcode, question=(NAME, "SRV"), answers=answers)


def srv(data: str, name: str = NAME) -> Record:
    """Return one SRV record."""
    return Record(name, "SRV", 600, data)


def test_controllers_are_those_of_the_answer() -> None:
    """Each once, in an order that does not change; what is no host and what answers something else is left out."""
    found = announced(
        message(
            srv("0 100 389 DC2.corp.lab."),
            srv("10 50 389 dc1.corp.lab."),
            srv("0 1 389 dc2.corp.lab"),
            srv("0 100 389 ."),
            srv("0 100 389 other.lab", "other"),
        ),
        NAME,
    )
    assert found == (
        Controller(host="dc1.corp.lab", priority=10, weight=50),
        Controller(host="dc2.corp.lab", weight=100),
    )
    assert service_name("corp.lab") == NAME
    assert service_name("corp.lab", "Delft") == "_ldap._tcp.Delft._sites.dc._msdcs.corp.lab"


def test_of_too_many_controllers_the_preferred_are_asked() -> None:
    """By priority, then weight, as a client would."""
    many = [Controller(host=f"dc{n:02}.corp.lab", priority=n % 3, weight=n) for n in range(40)]
    chosen = asked(many)
    assert len(chosen) == MOST
    assert {one.priority for one in chosen} == {0, 1}
    assert Controller(host="dc00.corp.lab") in chosen
    assert chosen == tuple(sorted(chosen))


PASS, SLOW = ok(0.1, packet_bytes=279), Result(outcome=Outcome.DEGRADED, fault="clock-apart", detail="+301 s")
SILENT = failed(Stage.CONNECT, "timeout", detail="no answer")
REFUSED = failed(Stage.CONNECT, "refused")
CUT = failed(Stage.ANSWER, "reset")
BUSY = failed(Stage.ANSWER, "refused-by-service", answered=True, by="10.0.0.9", packet_bytes=9)
UNNAMED = failed(Stage.RESOLVE, "resolve-no-address")
BLIND = unknown("no-descriptors", "EMFILE")

# Results of dc1, dc2, … -> outcome, stage and fault of the domain.
DOMAINS: dict[str, tuple[list[Result], tuple[Outcome, Stage | None, str | None]]] = {
    "all": ([PASS, PASS], (Outcome.OK, None, None)),
    "one, which answers": ([PASS], (Outcome.OK, None, None)),
    "one of two": ([PASS, SILENT], (Outcome.DEGRADED, None, "controllers-missing")),
    "one of two, who is late": ([SLOW, SILENT], (Outcome.DEGRADED, None, "controllers-missing")),
    "one of two without a name": ([PASS, UNNAMED], (Outcome.DEGRADED, None, "controllers-missing")),
    "one of three, one unseen": ([PASS, SILENT, BLIND], (Outcome.DEGRADED, None, "controllers-missing")),
    "late": ([PASS, SLOW], (Outcome.DEGRADED, None, "clock-apart")),
    "none": ([SILENT, SILENT], (Outcome.FAILED, Stage.CONNECT, "timeout")),
    "silence accuses the way, whatever others say": (
        [BUSY, REFUSED, SILENT],
        (Outcome.FAILED, Stage.CONNECT, "timeout"),
    ),
    "cut, refused": ([REFUSED, CUT], (Outcome.FAILED, Stage.ANSWER, "reset")),
    "refused, busy": ([BUSY, REFUSED], (Outcome.FAILED, Stage.CONNECT, "refused")),
    "busy, without a name": ([UNNAMED, BUSY], (Outcome.FAILED, Stage.ANSWER, "refused-by-service")),
    "no names": ([UNNAMED, UNNAMED], (Outcome.FAILED, Stage.RESOLVE, "resolve-no-address")),
    "unseen": ([PASS, BLIND], (Outcome.UNKNOWN, None, "no-descriptors")),
    "unseen and silent": ([SILENT, BLIND], (Outcome.UNKNOWN, None, "no-descriptors")),
}


@pytest.mark.parametrize("name", DOMAINS)
def test_a_domain_is_what_its_controllers_are_together(name: str) -> None:
    """One that answers is enough for users; one that does not is worth knowing; none accuses nobody wrongly."""
    results, expected = DOMAINS[name]

    found = together({f"dc{n}": one for n, one in enumerate(results, 1)}, 0.5, {"discover": 0.1, "controllers": 0.4})

    assert (found.outcome, found.stage, found.fault) == expected
    assert len(found.rows) == len(results)
    assert len(found.detail) <= 400
    if found.outcome is not Outcome.UNKNOWN:
        assert found.seconds == 0.5
        assert found.values["ad_controllers"] == len(results)
        assert found.values["ad_controllers_answering"] == sum(r.outcome in ("ok", "degraded") for r in results)
    if found.outcome is Outcome.FAILED:
        assert (found.by, found.packet_bytes) == (None, None)


def test_many_details_are_cut() -> None:
    """One line of evidence stays one line of evidence."""
    silent = failed(Stage.CONNECT, "timeout", detail="x" * 300)
    for others in ([silent], [PASS, silent], [BLIND]):
        assert len(together(dict(enumerate_names(others * 3)), 0.5, {}).detail) <= 400


def enumerate_names(results: list[Result]) -> list[tuple[str, Result]]:
    """Return results with names."""
    return [(f"dc{n}.corp.lab", one) for n, one in enumerate(results)]


@given(st.lists(st.sampled_from([PASS, SLOW, SILENT, REFUSED, CUT, BUSY, UNNAMED, BLIND]), min_size=1, max_size=6))
def test_no_domain_is_ok_unless_all_are_and_failed_unless_none_is(results: list[Result]) -> None:
    """Absence of data is never ok, and what could not be looked at never failed."""
    found = together(dict(enumerate_names(results)), 0.5, {})
    outcomes = {one.outcome for one in results}
    assert (found.outcome is Outcome.OK) == (outcomes == {Outcome.OK})
    assert (found.outcome is Outcome.FAILED) == (outcomes == {Outcome.FAILED})


A = Record("dc1", "A", 60, "10.0.0.1")
UNRESOLVED: dict[str, tuple[Answered | Stopped, str | None]] = {
    "found": (Answered(message=message(srv("0 0 389 a.b")), answer_seconds=0.1, packet_bytes=60), None),
    "nothing": (Answered(message=message(), answer_seconds=0.1, packet_bytes=60), "resolve-no-address"),
    "cut": (Answered(message=message(truncated=True), answer_seconds=0.1, packet_bytes=60), "resolve-malformed"),
    "denied": (Answered(message=message(rcode="nxdomain"), answer_seconds=0.1, packet_bytes=60), "resolve-nxdomain"),
    "failing": (Answered(message=message(rcode="notimp"), answer_seconds=0.1, packet_bytes=60), "resolve-servfail"),
    "silent": (Stopped(trouble=Trouble(fault="timeout")), "resolve-timeout"),
    "refused": (Stopped(trouble=Trouble(fault="refused")), "resolve-refused"),
    "far": (Stopped(trouble=Trouble(fault="host-unreachable")), "resolve-unreachable"),
    "foreign": (Stopped(trouble=Trouble(fault="malformed", answered=True)), "resolve-malformed"),
    "our own host": (Stopped(trouble=Trouble(fault="no-route", local=True)), "no-route"),
}


@pytest.mark.parametrize("name", UNRESOLVED)
def test_a_name_that_leads_nowhere_says_why(name: str) -> None:
    """In the words of every other type; what our own host lacks is unknown."""
    outcome, fault = UNRESOLVED[name]
    found = resolved(outcome, NAME, "SRV")
    if fault is None:
        assert isinstance(found, Message)
    else:
        assert isinstance(found, Result)
        assert found.fault == fault
        assert found.outcome is (Outcome.UNKNOWN if fault == "no-route" else Outcome.FAILED)


def reply(**more: Any) -> Reply:
    """Return an NTP answer."""
    plain = {"leap": 0, "stratum": 2, "root_delay": 0.0, "root_dispersion": 0.0, "kiss": "", "synchronised": True}
    return Reply(**{**plain, "received": 1, "sent": 1, **more})


SAID: dict[str, tuple[Said, tuple[str | None, str | None, str]]] = {
    "a controller": (
        of_ldap(RootDse(domain="corp.lab", host="dc1.corp.lab"), "Corp.Lab"),
        (None, None, "dc1.corp.lab"),
    ),
    "another domain": (of_ldap(RootDse(domain="x.lab", host="a"), "corp.lab"), ("other-domain", None, "a keeps x.lab")),
    "no domain": (of_ldap(RootDse(), "corp.lab"), ("other-domain", None, "the directory keeps no domain")),
    "not caught up": (
        of_ldap(RootDse(domain="corp.lab", host="a", synchronized=False, current_time=7.0), "corp.lab"),
        (None, "not-synchronized", "a has not caught up"),
    ),
    "a client unknown": (of_kerberos(KdcReply(code=6, realm="CORP.LAB")), (None, None, "CORP.LAB: KDC_ERR_C_PRIN")),
    "a ticket": (of_kerberos(KdcReply(code=None)), (None, None, "without any proof")),
    "another realm": (of_kerberos(KdcReply(code=68)), ("other-domain", None, "KDC_ERR_WRONG_REALM (68)")),
    "not now": (of_kerberos(KdcReply(code=29)), ("refused-by-service", None, "KDC_ERR_SVC_UNAVAILABLE (29)")),
    "files": (of_smb(Negotiated(dialect="3.1.1", signing=False, server_time=None)), (None, None, "not required")),
    "files, signed": (
        of_smb(Negotiated(dialect="3.0", signing=True, server_time=None)),
        (None, None, "signing required"),
    ),
    "time": (of_time(reply(), (1.5, 0.1)), (None, None, "stratum 2")),
    "go away": (of_time(reply(kiss="DENY"), None), ("refused-by-service", None, "kiss code DENY")),
    "time of nobody": (
        of_time(reply(synchronised=False, leap=3), (1, 1)),
        (None, "unsynchronised", "leap indicator 3"),
    ),
    "time that lies": (of_time(reply(), None), ("malformed", None, "do not fit")),
    "names": (of_dns(message(srv("0 0 389 a.b")), NAME), (None, None, "1 announced")),
    "no names": (of_dns(message(), NAME), ("no-answer", None, "announces no controller")),
    "unknown": (of_dns(message(rcode="nxdomain"), NAME), ("rcode-nxdomain", None, "nxdomain")),
    "other": (of_dns(message(rcode="notimp"), NAME), ("rcode-other", None, "notimp")),
}


@pytest.mark.parametrize("name", SAID)
def test_an_answer_is_weighed(name: str) -> None:
    """Fault, concern and words of each kind of answer."""
    said, (fault, concern, words) = SAID[name]
    assert (said.fault, said.concern) == (fault, concern)
    assert words in said.detail


# what was said, the bound -> outcome, fault, offset
CLOCKS: dict[str, tuple[Said, float, Outcome, str | None, float | None]] = {
    "no clock": (Said(), 300, Outcome.OK, None, None),
    "near": (Said(clock=1299.0), 300, Outcome.OK, None, 299.0),
    "ahead": (Said(clock=1301.0, detail="dc1"), 300, Outcome.DEGRADED, "clock-apart", 301.0),
    "behind": (Said(values={"ad_clock_offset_seconds": -301.0}), 300, Outcome.DEGRADED, "clock-apart", -301.0),
    "any": (Said(clock=9999.0), 0, Outcome.OK, None, 8999.0),
    "another concern comes first": (
        Said(clock=9999.0, concern="not-synchronized"),
        300,
        Outcome.DEGRADED,
        "not-synchronized",
        8999.0,
    ),
    "a fault": (Said(clock=9999.0, fault="other-domain"), 300, Outcome.FAILED, "other-domain", 8999.0),
}


@pytest.mark.parametrize("name", CLOCKS)
def test_clocks_degrade_and_fail_nothing(name: str) -> None:
    """Which of two clocks is wrong, nobody can say who has only these."""
    said, bound, outcome, fault, offset = CLOCKS[name]
    found = weighed(said, 1000.0, bound, 0.2, {"answer": 0.2})
    assert (found.outcome, found.fault) == (outcome, fault)
    assert found.values.get("ad_clock_offset_seconds") == offset
    assert (found.seconds, found.phases) == (0.2, {"answer": 0.2})
    if outcome is Outcome.FAILED:
        assert (found.stage, found.answered) == (Stage.ANSWER, True)
