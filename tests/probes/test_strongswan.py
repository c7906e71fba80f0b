"""strongSwan, pure: what a gateway's word says of the children that must be established."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.charon_log import LogReader
from probes.kit.charon_verdict import Asked, judge
from probes.kit.charon_view import View, read_view
from probes.kit.result import Outcome, Stage
from probes.kit.tunnel_state import SILENT_SECONDS, Progress
from probes.strongswan import SPEC, Settings, flow, socket_path
from tests.probes.charon_samples import child, ike, line, situation, view
from tests.probes.test_charon_view import MESSAGES

JUDGED: dict[str, tuple[Asked, View, str | None]] = {
    "installed": (Asked(), view(ike("ESTABLISHED", child())), None),
    "both SAs while the child is rekeyed": (Asked(), view(ike("ESTABLISHED", child("REKEYED"), child())), None),
    "the old child while its rekeying runs": (Asked(), view(ike("ESTABLISHED", child("REKEYING"))), None),
    "the IKE SA is being rekeyed": (Asked(), view(ike("REKEYING", child())), None),
    "nothing but an IKE SA": (Asked(), view(ike("ESTABLISHED")), "child-missing"),
    "a child that is being made": (Asked(), view(ike("ESTABLISHED", child("INSTALLING"))), "child-missing"),
    "a child that is being deleted": (Asked(), view(ike("ESTABLISHED", child("DELETING"))), "child-missing"),
    "an installed child of a dying IKE SA": (Asked(), view(ike("DELETING", child())), "ike-missing"),
    "an installed child of a rekeyed IKE SA": (Asked(), view(ike("REKEYED", child())), "ike-missing"),
    "negotiating": (Asked(), view(ike("CONNECTING", age_seconds=None)), "ike-connecting"),
    "a new IKE SA beside the dying one": (Asked(), view(ike("DELETING", child()), ike("CREATED")), "ike-connecting"),
    "no SA at all": (Asked(), view(), "ike-missing"),
    "an SA of another connection only": (Asked(), view(ike("ESTABLISHED", child(), connection="b")), "ike-missing"),
    "an unknown state": (Asked(), view(ike("SOMETHING", child())), "ike-missing"),
    "nothing configured": (Asked(), view(configured=()), "not-configured"),
    "established but no longer configured": (
        Asked(),
        view(ike("ESTABLISHED", child()), configured=()),
        "not-configured",
    ),
    "another connection configured": (Asked(connection="b"), view(ike("ESTABLISHED", child())), "not-configured"),
    "another child configured": (Asked(child="b"), view(ike("ESTABLISHED", child())), "not-configured"),
    "the child asked for is up, another is not": (
        Asked(child="net"),
        view(ike("ESTABLISHED", child()), configured=("site/net", "site/voice")),
        None,
    ),
    "one of two children is up": (
        Asked(connection="site"),
        view(ike("ESTABLISHED", child()), configured=("site/net", "site/voice")),
        "child-missing",
    ),
    "the worst of two connections names the fault": (
        Asked(),
        view(ike("ESTABLISHED"), configured=("site/net", "b/net")),
        "ike-missing",
    ),
    "the other connection is not asked for": (
        Asked(connection="site"),
        view(ike("ESTABLISHED", child()), configured=("site/net", "b/net")),
        None,
    ),
}


@pytest.mark.parametrize("name", JUDGED)
def test_a_view_is_judged(name: str) -> None:
    """Only installed children of established IKE SAs count; every fail is of the stage connect."""
    asked, seen, fault = JUDGED[name]
    result = judge(asked, situation(seen))
    assert (result.outcome, result.fault) == (Outcome.FAILED if fault else Outcome.OK, fault)
    assert result.stage == (Stage.CONNECT if fault else None)
    assert not result.answered


def test_values_of_a_tunnel_that_stands() -> None:
    """What the gateway tells becomes metrics, the shared ones of every VPN among them."""
    values = judge(Asked(), situation(view(ike("ESTABLISHED", child(), age_seconds=90)))).values
    assert values == {
        "vpn_ike_up": 1.0,
        "vpn_child_up": 1.0,
        "vpn_ike_age_seconds": 90,
        "vpn_listening": 1.0,
        "vpn_unanswered_requests": 0,
        "vpn_downs_total": 0,
        "vpn_rekeys_total": 0,
        "vpn_tunnels_configured": 1,
        "vpn_tunnels_established": 1,
        "vpn_received_bytes_total": 10,
        "vpn_sent_bytes_total": 20,
        "vpn_received_packets_total": 1,
        "vpn_sent_packets_total": 2,
        "vpn_unanswered_seconds": 0,
        "vpn_established_seconds": 60,
        "vpn_rekey_seconds": 300,
        "vpn_duplicates": 0,
    }


def test_a_missing_child_is_a_series_at_zero() -> None:
    """The values tell an IKE SA that stands from a child that does not; absent times are absent."""
    values = judge(Asked(), situation(view(ike("ESTABLISHED", age_seconds=None)))).values
    assert (values["vpn_ike_up"], values["vpn_child_up"]) == (1.0, 0.0)
    assert (values["vpn_tunnels_configured"], values["vpn_tunnels_established"]) == (1, 0)
    assert not {"vpn_rekey_seconds", "vpn_ike_age_seconds"} & set(values)


def test_events_are_counted_for_the_connections_asked_for() -> None:
    """Another connection's downs are not this probe's."""
    seen = situation(view(ike("ESTABLISHED", child()), configured=("site/net", "b/net")))
    counted = type(seen)(
        now=1.0,
        view=seen.view,
        tunnels=seen.tunnels,
        progress=seen.progress,
        log=seen.log,
        downs={"site": 2, "b": 5},
        rekeys={"b": 1},
    )
    values = judge(Asked(connection="site"), counted).values
    assert (values["vpn_downs_total"], values["vpn_rekeys_total"], values["vpn_listening"]) == (2, 0, 0)
    assert "vpn_unanswered_requests" not in values


def test_many_missing_children_are_named_in_one_line() -> None:
    """The detail names five and counts the rest."""
    detail = judge(Asked(), situation(view(configured=tuple(f"site/c{n}" for n in range(8))))).detail
    assert detail == "not established: site/c0, site/c1, site/c2, site/c3, site/c4 and 3 more"


@pytest.mark.parametrize("child_name", ["net", None])
def test_what_is_not_configured_is_named(child_name: str | None) -> None:
    """The detail repeats what the chain file asks for."""
    expected = f"branch{'/net' if child_name else ''} is not configured"
    assert judge(Asked(connection="branch", child=child_name), situation(view())).detail == expected


def said(*lines: str) -> LogReader:
    """Return a log that has brought these lines one after the other."""
    log = LogReader()
    for number, words in enumerate(lines):
        log.take(line(words), 90.0 + number, {})
    return log


def test_the_log_says_why_a_child_is_missing() -> None:
    """The fault becomes the one that the log tells of, and its line stands in the detail."""
    log = said("received TS_UNACCEPTABLE notify, no CHILD_SA built")
    result = judge(Asked(), situation(view(ike("ESTABLISHED")), log=log))
    assert (result.outcome, result.stage, result.fault) == (Outcome.FAILED, Stage.CONNECT, "selectors-mismatch")
    assert result.detail == (
        "not established: site/net; the gateway's log: received TS_UNACCEPTABLE notify, no CHILD_SA built"
    )


def test_the_last_word_of_the_log_counts() -> None:
    """A peer that refused and then falls silent is silent; of another connection the log says nothing here."""
    log = said("received AUTHENTICATION_FAILED notify error", "retransmit 1 of request with message ID 0")
    assert judge(Asked(), situation(view(ike("CONNECTING")), log=log)).fault == "peer-silent"
    assert judge(Asked(), situation(view(configured=("b/net",)), log=log)).fault == "ike-missing"


def silent(seconds: float) -> dict[str, Progress]:
    """Return the progress of a tunnel that has been sending for so long without receiving."""
    return {"site/net": Progress(at=100.0, sent_at=100.0, unanswered_at=100.0 - seconds)}


SIGNS: dict[str, tuple[Asked, View, LogReader, float, str | None]] = {
    "nothing": (Asked(), view(ike("ESTABLISHED", child())), said(), 0.0, None),
    "a request sent again": (
        Asked(),
        view(ike("ESTABLISHED", child())),
        said("retransmit 1 of request with message ID 7"),
        0.0,
        "peer-silent",
    ),
    "nothing comes back": (Asked(), view(ike("ESTABLISHED", child())), said(), SILENT_SECONDS, "inbound-silent"),
    "not for long": (Asked(), view(ike("ESTABLISHED", child())), said(), SILENT_SECONDS - 1, None),
    "nothing need come back": (Asked(one_way=True), view(ike("ESTABLISHED", child())), said(), 60.0, None),
    "no new keys": (
        Asked(),
        view(ike("ESTABLISHED", child())),
        said("received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built"),
        0.0,
        "rekey-failing",
    ),
    "fewer networks": (
        Asked(),
        View(
            configured=frozenset({("site", "net")}),
            ike=(ike("ESTABLISHED", child()),),
            networks={("site", "net"): ("10.1.0.0/24",)},
        ),
        said(),
        0.0,
        "selectors-narrowed",
    ),
    "less than was agreed": (
        Asked(networks=("10.0.0.0/8",)),
        view(ike("ESTABLISHED", child())),
        said(),
        0.0,
        "selectors-narrowed",
    ),
    "side by side": (
        Asked(),
        view(ike("ESTABLISHED", child(), child(spi="b"))),
        said(),
        0.0,
        "child-duplicate",
    ),
    "another child side by side": (
        Asked(child="net"),
        view(
            ike("ESTABLISHED", child(), child(name="voice"), child(name="voice", spi="b")),
            configured=("site/net", "site/voice"),
        ),
        said(),
        0.0,
        None,
    ),
}


@pytest.mark.parametrize("name", SIGNS)
def test_a_tunnel_that_stands_can_show_signs_of_trouble(name: str) -> None:
    """It is degraded then, never failed; a tunnel that carries nothing is ok."""
    asked, seen, log, seconds, fault = SIGNS[name]
    result = judge(asked, situation(seen, log=log, progress=silent(seconds)))
    assert (result.outcome, result.fault) == (Outcome.DEGRADED if fault else Outcome.OK, fault)
    assert result.stage is None
    assert bool(result.detail) == bool(fault)


def test_an_earlier_try_says_nothing_of_the_sa_that_stands() -> None:
    """Evidence of another IKE SA than the one that is up is no sign of trouble."""
    log = LogReader()
    log.take(line("received AUTHENTICATION_FAILED notify error", ike="9"), 99.0, {})
    assert judge(Asked(), situation(view(ike("ESTABLISHED", child())), log=log)).outcome is Outcome.OK


TARGETS = {"/run/charon.vici": "/run/charon.vici", "unix:///run/charon.vici": "/run/charon.vici"}


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_a_path_or_a_unix_url(target: str) -> None:
    """Both spellings mean the same socket, and the flow leaves no host."""
    assert socket_path(target) == TARGETS[target]
    assert (flow(Settings(target=target)).protocol, flow(Settings(target=target)).host) == ("unix", TARGETS[target])


@pytest.mark.parametrize("target", ["", "charon.vici", "tcp://127.0.0.1:4502", "unix://charon.vici", "/" + "x" * 107])
def test_another_target_is_refused(target: str) -> None:
    """The error repeats the target and says what to write."""
    with pytest.raises(ValueError, match=r"write /run/charon\.vici|longer than"):
        flow(Settings(target=target))


def test_agreed_networks_are_networks() -> None:
    """What was agreed goes into the flow, which the diagnosis reads; a host within a network is refused."""
    assert flow(Settings(networks=("10.20.0.0/16",))).carries == ("10.20.0.0/16",)
    with pytest.raises(ValueError, match=r"10\.20\.0\.1/16"):
        flow(Settings(networks=("10.20.0.1/16",)))


DECLARED = {fault.name for fault in SPEC.faults}
MEASURED = {metric.name for metric in SPEC.metrics}
LOGS = st.lists(st.sampled_from(["no acceptable proposal found", "retransmit 1 of request with message ID 0"]))


@given(MESSAGES, MESSAGES, st.sampled_from([None, "site"]), st.sampled_from([None, "net"]), LOGS)
def test_any_answers_give_a_declared_result(
    conns: list[dict[str, Any]],
    sas: list[dict[str, Any]],
    connection: str | None,
    child_name: str | None,
    lines: list[str],
) -> None:
    """Whatever shape the values have, the result is ok or a fault of the table, with declared values."""
    asked = Asked(connection=connection, child=child_name)
    result = judge(asked, situation(read_view(conns, sas), log=said(*lines)))
    assert result.fault is None or result.fault in DECLARED
    assert set(result.values) <= MEASURED
    assert (result.outcome is not Outcome.FAILED) == (result.values["vpn_child_up"] == 1.0)


def test_every_key_is_documented() -> None:
    """The reference explains each key of the settings."""
    assert set(SPEC.key_help) == set(Settings.__struct_fields__)
