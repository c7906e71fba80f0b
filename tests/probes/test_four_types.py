"""What icmp, tcp, http and dns declare: flows, settings, fault tables."""

import ast
import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import dns, http, icmp, tcp, tls
from probes.kit.resolver import RESOLVE_FAULTS
from probes.kit.spec import Duration, Flow

MODULES: tuple[ModuleType, ...] = (icmp, tcp, http, dns, tls)

FLOWS: dict[str, tuple[ModuleType, Any, Flow]] = {
    "icmp": (
        icmp,
        icmp.Settings(target="10.0.0.1"),
        Flow(host="10.0.0.1", protocol="icmp", function="echo", connect_bytes=84, carry_bytes=84, packets=2),
    ),
    "icmp v6, full size": (
        icmp,
        icmp.Settings(target="2001:db8::1", size=1452),
        Flow(
            host="2001:db8::1",
            protocol="icmp",
            family=6,
            function="echo of 1500 bytes",
            connect_bytes=1500,
            carry_bytes=1500,
            packets=2,
        ),
    ),
    "icmp burst, in pieces": (
        icmp,
        icmp.Settings(target="10.0.0.1", size=3000, dont_fragment=False, count=11, gap=Duration(0.05)),
        Flow(
            host="10.0.0.1",
            protocol="icmp",
            function="echo",
            connect_bytes=68,
            carry_bytes=68,
            packets=22,
            lasts=0.5,
        ),
    ),
    "tcp": (
        tcp,
        tcp.Settings(target="erp.corp.lab:443"),
        Flow(host="erp.corp.lab", protocol="tcp", port=443, function="tcp/443", named=True),
    ),
    "https": (
        http,
        http.Settings(target="https://erp.corp.lab/health"),
        Flow(
            host="erp.corp.lab",
            protocol="tcp",
            port=443,
            function="GET https://erp.corp.lab/health",
            carry_bytes=1500,
            named=True,
        ),
    ),
    "http by address": (
        http,
        http.Settings(target="http://erp.corp.lab:8080/", method="HEAD", connect_to="10.20.0.20"),
        Flow(
            host="10.20.0.20",
            protocol="tcp",
            port=8080,
            function="HEAD http://erp.corp.lab:8080/",
            carry_bytes=1500,
        ),
    ),
    "http through a proxy": (
        http,
        http.Settings(target="https://erp.corp.lab/", proxy="http://10.10.0.8:3128"),
        Flow(
            host="10.10.0.8",
            protocol="tcp",
            port=3128,
            function="GET https://erp.corp.lab/ through http://10.10.0.8:3128",
            carry_bytes=1500,
        ),
    ),
    "http that may be sent on": (
        http,
        http.Settings(target="http://erp.corp.lab/", follow=2, hops=("https://10.10.0.9",)),
        Flow(
            host="erp.corp.lab",
            protocol="tcp",
            port=80,
            function="GET http://erp.corp.lab/",
            carry_bytes=1500,
            named=True,
            also=(
                Flow(
                    host="10.10.0.9",
                    protocol="tcp",
                    port=443,
                    function="GET https://10.10.0.9, where http://erp.corp.lab/ sends on to",
                    carry_bytes=1500,
                ),
            ),
        ),
    ),
    "dns": (
        dns,
        dns.Settings(target="10.10.0.53", name="erp.corp.lab", record="SRV", protocol="tcp"),
        Flow(host="10.10.0.53", protocol="tcp", port=53, function="erp.corp.lab SRV", carry_bytes=1500),
    ),
}
WRONG: dict[str, tuple[ModuleType, Any, str]] = {
    "icmp size": (icmp, icmp.Settings(target="10.0.0.1", size=65508), "size"),
    "icmp negative size": (icmp, icmp.Settings(target="10.0.0.1", size=-1), "size"),
    "icmp dscp": (icmp, icmp.Settings(target="10.0.0.1", dscp=64), "dscp"),
    "icmp count": (icmp, icmp.Settings(target="10.0.0.1", count=0), "count"),
    "icmp many": (icmp, icmp.Settings(target="10.0.0.1", count=101), "count"),
    "icmp gap": (icmp, icmp.Settings(target="10.0.0.1", count=2, gap=Duration(0.001)), "gap"),
    "icmp loss": (icmp, icmp.Settings(target="10.0.0.1", count=10, max_loss=5), "max_loss"),
    "icmp loss of one": (icmp, icmp.Settings(target="10.0.0.1", max_loss=0.1), "count: 10"),
    "icmp target": (icmp, icmp.Settings(target="10.0.0.1:80"), "neither"),
    "tcp without port": (tcp, tcp.Settings(target="erp"), "no port"),
    "dns name": (dns, dns.Settings(target="10.0.0.1", name="a..b"), "label"),
    "http scheme": (http, http.Settings(target="ftp://erp/"), "write a URL"),
    "http without host": (http, http.Settings(target="https:///x"), "write a URL"),
    "http port": (http, http.Settings(target="https://erp:99999/"), "not a URL"),
    "http port zero": (http, http.Settings(target="https://erp:0/"), "write a URL"),
    "http user": (http, http.Settings(target="https://u:p@erp/"), "user"),
    "http fragment": (http, http.Settings(target="https://erp/#x"), "fragment"),
    "http space": (http, http.Settings(target="https://erp/a b"), "percent-encode"),
    "http status": (http, http.Settings(target="https://erp/", status="2xx"), "status"),
    "http headers": (http, http.Settings(target="https://erp/", headers={"A b": "c"}), "header"),
    "http header value": (http, http.Settings(target="https://erp/", headers={"A": "b\r\nC: d"}), "header"),
    "http host header": (http, http.Settings(target="https://erp/", headers={"Host": "x"}), "server_name"),
    "http server name": (http, http.Settings(target="https://erp/", server_name="a b"), "server_name"),
    "http connect_to": (http, http.Settings(target="https://erp/", connect_to="erp"), "connect_to"),
    "http connect_to and proxy": (
        http,
        http.Settings(target="http://erp/", connect_to="10.0.0.1", proxy="http://proxy:3128"),
        "connect_to",
    ),
    "http proxy": (http, http.Settings(target="http://erp/", proxy="https://proxy:3128"), "proxy"),
    "http key without certificate": (http, http.Settings(target="https://erp/", key_file="x"), "certificate_file"),
    "http keytab": (http, http.Settings(target="https://erp/", keytab="x"), "kerberos"),
    "http follow": (http, http.Settings(target="https://erp/", follow=11), "follow"),
    "http hops": (http, http.Settings(target="https://erp/", hops=("https://sso/",)), "follow"),
    "http hop": (http, http.Settings(target="https://erp/", follow=1, hops=("sso",)), "write a URL"),
    "http response header": (http, http.Settings(target="https://erp/", response_headers={"a b": ""}), "header"),
    "http pointer": (http, http.Settings(target="https://erp/", body_json={"status": "UP"}), "pointer"),
    "http max_bytes": (http, http.Settings(target="https://erp/", max_bytes=0), "max_bytes"),
}


@pytest.mark.parametrize("case", FLOWS)
def test_flows(case: str) -> None:
    """A flow says what firewalls and the diagnosis must know."""
    module, settings, expected = FLOWS[case]

    assert expected == module.flow(settings)


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_say_why(case: str) -> None:
    """What cannot work is refused when the file is read."""
    module, settings, words = WRONG[case]

    with pytest.raises(ValueError, match=words):
        module.flow(settings)


@given(st.text(max_size=60))
def test_any_url_is_a_flow_or_a_value_error(text: str) -> None:
    """No text breaks the URL reader."""
    for target in (text, "https://" + text):
        with contextlib.suppress(ValueError):
            http.flow(http.Settings(target=target))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.SPEC.type))
def test_the_reference_is_whole(module: ModuleType) -> None:
    """Every key has its help, every row its texts, and no row stands twice."""
    spec = module.SPEC

    assert set(spec.key_help) == {field.name for field in msgspec.structs.fields(spec.settings)}
    rows = [(row.name, row.stage) for row in spec.faults]
    assert len(rows) == len(set(rows))
    assert all(row.meaning.endswith(".") and row.remedy for row in spec.faults)
    assert all(metric.name.startswith(spec.type + "_") and metric.help for metric in spec.metrics)


def faults_named(path: Path) -> Iterator[str]:
    """Yield every fault that a module names: first text argument of Trouble, failed, unknown, or a table's value."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        given_faults = [keyword.value for keyword in node.keywords if keyword.arg == "fault"]
        if name in ("unknown", "_trouble"):
            given_faults += node.args[:1]
        elif name == "failed":
            given_faults += node.args[1:2]
        for value in given_faults:
            if isinstance(value, ast.Constant):
                yield str(value.value)


KIT = Path(icmp.__file__).parent / "kit"
# module -> the kit modules whose troubles it can report
USES = {
    icmp: ("trouble.py", "sockets.py", "echo_burst.py", "echo_port.py", "echo_table.py"),
    tcp: ("trouble.py", "sockets.py"),
    http: ("trouble.py", "sockets.py", "exchange.py", "tls.py", "response.py", "web_answer.py", "legs.py"),
    tls: ("trouble.py", "sockets.py", "exchange.py", "tls.py", "starttls.py"),
    dns: ("trouble.py", "sockets.py", "dns_exchange.py"),
}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.SPEC.type))
def test_every_fault_has_a_row(module: ModuleType) -> None:
    """No attempt can end with a fault that the reference does not explain."""
    rows = {row.name for row in module.SPEC.faults}
    files = [Path(str(module.__file__)), *(KIT / name for name in USES[module])]

    named = {fault for file in files for fault in faults_named(file)}

    assert named
    assert named <= rows, named - rows


def test_tables_of_faults_have_rows() -> None:
    """Faults that come out of tables, not calls, have rows too."""
    dns_rows = {row.name for row in dns.SPEC.faults}
    http_rows = {row.name for row in http.SPEC.faults}

    assert set(dns._RCODE_FAULTS.values()) | {"rcode-other", "truncated", "no-answer", "mismatch"} <= dns_rows
    assert {"not-authoritative", "not-authenticated", "ttl-outside", "answer-changed"} <= dns_rows
    assert {"certificate-untrusted", "certificate-expired", "certificate-hostname", "tls-alert"} <= http_rows
    for module in MODULES:
        assert set(RESOLVE_FAULTS) <= set(module.SPEC.faults)
