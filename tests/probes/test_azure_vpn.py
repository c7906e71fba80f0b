"""azure_vpn, pure: a connection in ARM's words, and on which instance its tunnels came back."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.azure_vpn import SPEC, Settings, flow
from probes.kit.azure_connection import (
    AzureTunnel,
    Connection,
    Health,
    Watched,
    read_connection,
    read_health,
    read_moment,
    watch,
)
from probes.kit.https_exchange import Reply
from probes.kit.microsoft import Blind
from probes.kit.result import Outcome

KEY = "canary-SharedKey-1234"
WALL = 1_795_442_000.0
FAULTS = {fault.name: fault.stage for fault in SPEC.faults}
RESOURCE = (
    "/subscriptions/99999999-8888-7777-6666-555555555555/resourceGroups/rg/providers/Microsoft.Network/connections/site"
)
SETTINGS = Settings(
    connection=RESOURCE,
    tenant="contoso.example",
    client_id="66666666-7777-8888-9999-000000000000",
    secret_file="/run/secret",
)


def reply(properties: Any) -> Reply:
    """Return ARM's 200."""
    return Reply(status=200, headers={}, body=msgspec.json.encode({"id": RESOURCE, "properties": properties}))


TOLD = {
    "sharedKey": KEY,
    "connectionStatus": "Connected",
    "ingressBytesTransferred": 1200,
    "egressBytesTransferred": 3400,
    "tunnelConnectionStatus": [
        {
            "tunnel": "site_instance0",
            "connectionStatus": "Connected",
            "lastConnectionEstablishedUtcTime": "11/23/2026 14:33:20",
        }
    ],
}


def test_a_connection_is_read() -> None:
    """Status, bytes and tunnels; the shared key beside them is passed over."""
    found = read_connection(reply(TOLD))
    assert found == Connection(
        status="Connected",
        received_bytes=1200,
        sent_bytes=3400,
        tunnels=(AzureTunnel(name="site_instance0", connected=True, since=1_795_444_400.0),),
    )
    assert KEY not in repr(found)


BLANK = {
    "nulls, as without rights": {"connectionStatus": None, "tunnelConnectionStatus": None},
    "nothing": {},
    "a word that we do not know": {"connectionStatus": "Perhaps"},
    "Unknown": {"connectionStatus": "Unknown"},
}


@pytest.mark.parametrize("case", BLANK)
def test_what_azure_does_not_tell_is_unknown(case: str) -> None:
    """A null is never a fault, and never a success."""
    found = read_connection(reply(BLANK[case]))
    assert isinstance(found, Connection)
    result = seen((0.0, found, Health()))
    assert (result.outcome, result.fault) == (Outcome.UNKNOWN, "no-data")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"properties":[]}', b'{"properties":{"connectionStatus":1}}']
)
def test_another_200_is_not_azures(body: bytes) -> None:
    """A portal in Microsoft's place is said to be one."""
    found = read_connection(Reply(status=200, headers={}, body=body))
    assert isinstance(found, Blind)
    assert found.fault == "not-graph"


MOMENTS = {
    "11/23/2026 14:03:05": 1_795_442_585.0,
    "11/23/2026 2:03:05 PM": 1_795_442_585.0,
    "2026-11-23T14:03:05Z": 1_795_442_585.0,
    "23/11/2026 14:03:05": None,
    "": None,
}


@pytest.mark.parametrize("text", MOMENTS)
def test_times_are_the_united_states(text: str) -> None:
    """Month before day, twelve hours or twenty-four; what is none is not known."""
    assert read_moment(text) == MOMENTS[text]


HEALTHS = {
    "available": ({"availabilityState": "Available", "reasonType": ""}, Health("Available")),
    "unavailable, and why": (
        {"availabilityState": "Unavailable", "reasonType": "Customer Initiated"},
        Health("Unavailable", "Customer Initiated"),
    ),
    "a state that we do not know": ({"availabilityState": "Unknown"}, Health()),
    "a reason that is no word": ({"availabilityState": "Degraded", "reasonType": "\x1b[2J"}, Health("Degraded")),
}


@pytest.mark.parametrize("case", HEALTHS)
def test_health_is_read_in_microsofts_words(case: str) -> None:
    """Documented states, and a reason that is a word."""
    told, expected = HEALTHS[case]
    assert read_health(reply(told)) == expected


def test_health_that_does_not_answer_says_nothing() -> None:
    """It is a witness more, and optional."""
    assert read_health(None) == read_health(Blind(fault="no-permission", detail="")) == Health()


def seen(*readings: tuple[float, Connection, Health]) -> Any:
    """Return the result after readings, each at its moment."""
    before = Watched()
    for now, connection, health in readings:
        before, result = watch(before, "site", connection, health, wall=WALL + now, now=now)
    return result


def up(*names: str, since: float = WALL - 100.0, down: tuple[str, ...] = (), **more: Any) -> Connection:
    """Return a connection with these tunnels connected since then, and those not."""
    tunnels = [AzureTunnel(name=name, connected=True, since=since) for name in names]
    tunnels += [AzureTunnel(name=name, connected=False, since=since - 9) for name in down]
    status = more.pop("status", "Connected" if names else "NotConnected")
    return Connection(status=status, tunnels=tuple(tunnels), **more)


JUDGED = {
    "connected": (up("a"), Health(), Outcome.OK, None),
    "without tunnels of its own": (Connection(status="Connected"), Health(), Outcome.OK, None),
    "not connected": (up(down=("a",)), Health(), Outcome.FAILED, "not-connected"),
    "connecting": (up(status="Connecting"), Health(), Outcome.FAILED, "connecting"),
    "one of two": (up("a", down=("b",)), Health(), Outcome.DEGRADED, "tunnel-down"),
    "not healthy": (up("a"), Health("Unavailable", "Unplanned"), Outcome.DEGRADED, "health-unavailable"),
    "healthy": (up("a"), Health("Available"), Outcome.OK, None),
}


@pytest.mark.parametrize("case", JUDGED)
def test_a_status_is_judged(case: str) -> None:
    """Azure's word about its end of the tunnel."""
    connection, health, outcome, fault = JUDGED[case]
    result = seen((0.0, connection, health))
    assert (result.outcome, result.fault) == (outcome, fault)
    if outcome is Outcome.FAILED:
        assert FAULTS[fault or ""] is result.stage


def test_details_hold_microsofts_words() -> None:
    """Status, tunnels and health in one line."""
    result = seen((0.0, up("a", down=("b",)), Health("Degraded", "Planned")))
    assert result.detail == "Azure: Connected, 1 of 2 tunnels connected; Resource Health: Degraded (Planned)"


OFF = up(down=("a", "b"))
RETURNS: dict[str, tuple[tuple[Connection, ...], tuple[int, int]]] = {
    "nothing happened": ((up("a"), up("a")), (0, 0)),
    "the first reading": ((up("a"),), (0, 0)),
    "came back under its name": ((up("a"), OFF, up("a", since=WALL)), (1, 0)),
    "reconnected between two readings": ((up("a"), up("a", since=WALL)), (1, 0)),
    "came back as the other": ((up("a"), OFF, up("b", since=WALL)), (0, 1)),
    "and back again": ((up("a"), up("b", since=WALL), up("a", since=WALL + 9)), (0, 2)),
    "one of two, and back": ((up("a", "b"), up("b", down=("a",)), up("b", "a", since=WALL)), (2, 0)),
    "one of two, alone back": (
        (
            up("a", "b"),
            up("b", down=("a",)),
            msgspec.structs.replace(
                up("b"), tunnels=(*up("b").tunnels, AzureTunnel(name="a", connected=True, since=WALL))
            ),
        ),
        (1, 0),
    ),
    "a second tunnel is added": ((up("a"), up("a", "b")), (0, 0)),
    "no times are told": (
        tuple(Connection(status="Connected", tunnels=(AzureTunnel(name=name, connected=True),)) for name in "ab"),
        (0, 0),
    ),
}


@pytest.mark.parametrize("case", RETURNS)
def test_reconnects_tell_the_instance(case: str) -> None:
    """Under the same name: the way or the other device. Under the other: Microsoft's failover or maintenance."""
    readings, expected = RETURNS[case]
    values = seen(*((float(number), one, Health()) for number, one in enumerate(readings))).values
    assert (values["azure_vpn_reconnects_same_total"], values["azure_vpn_reconnects_other_total"]) == expected


def test_values_are_those_of_the_family() -> None:
    """Tunnels, ages, and the connection's bytes where its tunnels have none of their own."""
    first = up("a", "b", received_bytes=1000, sent_bytes=10)
    second = up("a", "b", received_bytes=1500, sent_bytes=30)
    values = seen((0.0, first, Health("Available")), (60.0, second, Health("Available"))).values
    assert values == {
        "vpn_tunnels_configured": 2,
        "vpn_tunnels_established": 2,
        "vpn_received_bytes_total": 1500,
        "vpn_sent_bytes_total": 30,
        "vpn_received_age_seconds": 0,
        "vpn_unanswered_seconds": 0,
        "vpn_established_seconds": 160,
        "vpn_duplicates": 0,
        "azure_vpn_reconnects_same_total": 0,
        "azure_vpn_reconnects_other_total": 0,
        "azure_vpn_available": 1,
    }
    assert set(values) <= {metric.name for metric in SPEC.metrics}


def test_a_tunnels_own_bytes_come_first() -> None:
    """Where each tunnel counts, the connection's sum is not counted again."""
    tunnel = AzureTunnel(name="a", connected=True, received_bytes=7, sent_bytes=8)
    values = seen((0.0, Connection(status="Connected", received_bytes=99, tunnels=(tunnel,)), Health())).values
    assert values["vpn_received_bytes_total"] == 7


@given(st.binary(max_size=200), st.text(max_size=40))
def test_any_bytes_give_a_value_or_a_reason(body: bytes, text: str) -> None:
    """A connection or a Blind, nothing else; any health; any time."""
    for one in (body, b'{"properties":' + body + b"}"):
        told = Reply(status=200, headers={}, body=one)
        assert isinstance(read_connection(told), Connection | Blind)
        assert isinstance(read_health(told), Health)
    assert read_moment(text) is None or text


WRONG = {
    "a name": ("site", "connection:"),
    "another resource": (RESOURCE.replace("connections", "virtualNetworkGateways"), "connection:"),
    "a query behind it": (RESOURCE + "?x=1", "connection:"),
    "a way out of it": (RESOURCE + "/../../x", "connection:"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_connection_is_said(case: str) -> None:
    """Only a connection's resource id is asked for."""
    connection, text = WRONG[case]
    with pytest.raises(ValueError, match=text):
        flow(msgspec.structs.replace(SETTINGS, connection=connection))


def test_the_flow_leads_to_arm_and_to_login() -> None:
    """The firewall request names both."""
    found = flow(SETTINGS)
    assert (found.host, found.port, [also.host for also in found.also]) == (
        "management.azure.com",
        443,
        ["login.microsoftonline.com"],
    )


CONFIGURED: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "defaults": (
        {"connectionProtocol": "IKEv2", "dpdTimeoutSeconds": 45, "ipsecPolicies": []},
        {"connection_protocol": "IKEv2", "dpd_timeout_seconds": "45", "ipsec_policies": "Azure's defaults"},
    ),
    "a policy of one's own": (
        {"ipsecPolicies": [{"saLifeTimeSeconds": 27000, "ipsecEncryption": "GCMAES256", "dhGroup": "DHGroup14"}]},
        {"ipsec_policies": "sa_life_time_seconds 27000, ipsec_encryption GCMAES256, dh_group DHGroup14"},
    ),
    "nulls tell nothing": ({"connectionProtocol": None, "ipsecPolicies": None}, {}),
    "what is no word is left out": (
        {"connectionProtocol": "\x1b[2J", "usePolicyBasedTrafficSelectors": False},
        {"use_policy_based_traffic_selectors": "False"},
    ),
}


@pytest.mark.parametrize("case", CONFIGURED)
def test_facts_are_what_is_configured(case: str) -> None:
    """Protocol, dead peer detection and policies, to be compared with what was approved; never the shared key."""
    told, expected = CONFIGURED[case]
    found = read_connection(reply({"sharedKey": KEY, "connectionStatus": "Connected", **told}))
    assert isinstance(found, Connection)
    assert seen((0.0, found, Health())).facts == expected
