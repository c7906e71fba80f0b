"""strongSwan, pure: what a gateway's answers say of the children that must be established."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.result import Outcome, Result, Stage
from probes.strongswan import SPEC, ChildSa, IkeSa, Settings, View, flow, judge, read_view, socket_path

# As strongSwan 5.9.8 answered on a real gateway (shortened).
CONN: dict[str, Any] = {
    "site": {
        "local_addrs": [b"192.0.2.1"],
        "version": b"IKEv2",
        "local-1": {"id": b"a.lab", "class": b"pre-shared key"},
        "children": {
            "net": {"mode": b"TUNNEL", "rekey_time": b"3600", "local-ts": [b"10.1.0.0/24"]},
            "lan-bypass": {"mode": b"PASS"},
        },
    }
}
SA: dict[str, Any] = {
    "site": {
        "uniqueid": b"1",
        "state": b"ESTABLISHED",
        "established": b"79",
        "initiator-spi": b"19b6539c8bd26e29",
        "child-sas": {
            "net-1": {
                "name": b"net",
                "state": b"INSTALLED",
                "bytes-in": b"1200",
                "bytes-out": b"3400",
                "rekey-time": b"3288",
                "spi-in": b"d1109242",
            }
        },
    }
}


def ike(state: str, *children: ChildSa, connection: str = "site", age_seconds: int | None = 5) -> IkeSa:
    """Return an IKE SA."""
    return IkeSa(connection=connection, state=state, age_seconds=age_seconds, children=children)


def child(state: str = "INSTALLED", name: str = "net") -> ChildSa:
    """Return a child SA."""
    return ChildSa(name=name, state=state, received_bytes=10, sent_bytes=20, rekey_seconds=300)


def view(*sas: IkeSa, configured: tuple[str, ...] = ("site/net",)) -> View:
    """Return a view with these `connection/child` pairs configured."""
    pairs = frozenset((name.split("/")[0], name.split("/")[1]) for name in configured)
    return View(configured=pairs, ike=sas)


def test_real_answers_are_read() -> None:
    """The keys of a real daemon become configured pairs and SAs; bypass policies are left out."""
    assert read_view([CONN], [SA]) == View(
        configured=frozenset({("site", "net")}),
        ike=(
            IkeSa(
                connection="site",
                state="ESTABLISHED",
                age_seconds=79,
                children=(
                    ChildSa(name="net", state="INSTALLED", received_bytes=1200, sent_bytes=3400, rekey_seconds=3288),
                ),
            ),
        ),
    )


JUDGED: dict[str, tuple[Settings, View, str | None]] = {
    "installed": (Settings(), view(ike("ESTABLISHED", child())), None),
    "both SAs while the child is rekeyed": (
        Settings(),
        view(ike("ESTABLISHED", child("REKEYED"), child())),
        None,
    ),
    "the old child while its rekeying runs": (Settings(), view(ike("ESTABLISHED", child("REKEYING"))), None),
    "the IKE SA is being rekeyed": (Settings(), view(ike("REKEYING", child())), None),
    "nothing but an IKE SA": (Settings(), view(ike("ESTABLISHED")), "child-missing"),
    "a child that is being made": (Settings(), view(ike("ESTABLISHED", child("INSTALLING"))), "child-missing"),
    "a child that is being deleted": (Settings(), view(ike("ESTABLISHED", child("DELETING"))), "child-missing"),
    "an installed child of a dying IKE SA": (Settings(), view(ike("DELETING", child())), "ike-missing"),
    "an installed child of a rekeyed IKE SA": (Settings(), view(ike("REKEYED", child())), "ike-missing"),
    "negotiating": (Settings(), view(ike("CONNECTING", age_seconds=None)), "ike-connecting"),
    "a new IKE SA beside the dying one": (Settings(), view(ike("DELETING", child()), ike("CREATED")), "ike-connecting"),
    "no SA at all": (Settings(), view(), "ike-missing"),
    "an SA of another connection only": (
        Settings(),
        view(ike("ESTABLISHED", child(), connection="other")),
        "ike-missing",
    ),
    "an unknown state": (Settings(), view(ike("SOMETHING", child())), "ike-missing"),
    "nothing configured": (Settings(), view(configured=()), "not-configured"),
    "established but no longer configured": (
        Settings(),
        view(ike("ESTABLISHED", child()), configured=()),
        "not-configured",
    ),
    "another connection configured": (Settings(connection="b"), view(ike("ESTABLISHED", child())), "not-configured"),
    "another child configured": (Settings(child="b"), view(ike("ESTABLISHED", child())), "not-configured"),
    "the child asked for is up, another is not": (
        Settings(child="net"),
        view(ike("ESTABLISHED", child()), configured=("site/net", "site/voice")),
        None,
    ),
    "one of two children is up": (
        Settings(connection="site"),
        view(ike("ESTABLISHED", child()), configured=("site/net", "site/voice")),
        "child-missing",
    ),
    "the worst of two connections names the fault": (
        Settings(),
        view(ike("ESTABLISHED"), configured=("site/net", "b/net")),
        "ike-missing",
    ),
    "the other connection is not asked for": (
        Settings(connection="site"),
        view(ike("ESTABLISHED", child()), configured=("site/net", "b/net")),
        None,
    ),
}


@pytest.mark.parametrize("name", JUDGED)
def test_a_view_is_judged(name: str) -> None:
    """Only installed children of established IKE SAs count; every fail is of the stage connect."""
    settings, seen, fault = JUDGED[name]
    result = judge(settings, seen)
    assert (result.outcome, result.fault) == (Outcome.FAILED if fault else Outcome.OK, fault)
    assert result.stage == (Stage.CONNECT if fault else None)
    assert not result.answered


def test_values_count_duplicates_and_sum_bytes() -> None:
    """Two SAs of one child are one established child and one duplicate."""
    seen = view(ike("ESTABLISHED", child(), age_seconds=90), ike("ESTABLISHED", child(), age_seconds=7))
    assert judge(Settings(), seen).values == {
        "vpn_ike_up": 1.0,
        "vpn_child_up": 1.0,
        "vpn_children_configured": 1,
        "vpn_children_established": 1,
        "vpn_child_duplicates": 1,
        "vpn_received_bytes": 20,
        "vpn_sent_bytes": 40,
        "vpn_rekey_seconds": 300,
        "vpn_ike_age_seconds": 7,
    }


def test_a_missing_child_leaves_ike_up() -> None:
    """The values tell an IKE SA that stands from a child that does not; absent times are absent."""
    values = judge(Settings(), view(ike("ESTABLISHED", age_seconds=None))).values
    assert (values["vpn_ike_up"], values["vpn_child_up"]) == (1.0, 0.0)
    assert not {"vpn_rekey_seconds", "vpn_ike_age_seconds"} & set(values)


def test_many_missing_children_are_named_in_one_line() -> None:
    """The detail names five and counts the rest."""
    detail = judge(Settings(), view(configured=tuple(f"site/c{n}" for n in range(8)))).detail
    assert detail == "not established: site/c0, site/c1, site/c2, site/c3, site/c4 and 3 more"


@pytest.mark.parametrize("child_name", ["net", None])
def test_what_is_not_configured_is_named(child_name: str | None) -> None:
    """The detail repeats what the chain file asks for."""
    asked = Settings(connection="branch", child=child_name)
    expected = f"branch{'/net' if child_name else ''} is not configured"
    assert judge(asked, view()).detail == expected


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


VALUES = st.recursive(
    st.binary(max_size=12)
    | st.lists(st.binary(max_size=4), max_size=2)
    | st.sampled_from([b"INSTALLED", b"ESTABLISHED"]),
    lambda inner: st.dictionaries(
        st.sampled_from(["site", "net", "children", "child-sas", "state", "name", "mode", "bytes-in", "rekey-time"]),
        inner,
        max_size=4,
    ),
    max_leaves=20,
)
MESSAGES = st.lists(st.dictionaries(st.sampled_from(["site", "b"]), VALUES, max_size=2), max_size=3)
DECLARED = {fault.name for fault in SPEC.faults}
MEASURED = {metric.name for metric in SPEC.metrics}


@given(MESSAGES, MESSAGES, st.sampled_from([None, "site"]), st.sampled_from([None, "net"]))
def test_any_answers_give_a_declared_result(
    conns: list[dict[str, Any]], sas: list[dict[str, Any]], connection: str | None, child_name: str | None
) -> None:
    """Whatever shape the values have, the result is ok or a fault of the table, with declared values."""
    result = judge(Settings(connection=connection, child=child_name), read_view(conns, sas))
    assert isinstance(result, Result)
    assert result.fault is None or result.fault in DECLARED
    assert set(result.values) <= MEASURED
    assert (result.outcome is Outcome.OK) == (result.values["vpn_child_up"] == 1.0)


def test_every_key_is_documented() -> None:
    """The reference explains each key of the settings."""
    assert set(SPEC.key_help) == set(Settings.__struct_fields__)
