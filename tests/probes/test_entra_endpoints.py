"""What entra_endpoints declares, and what each answer says of a site's exit."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import entra_endpoints
from probes.kit.certificate import read_certificate
from probes.kit.egress import Heard, Said, judge, result_of, together
from probes.kit.response import Body, Head
from probes.kit.result import Outcome, Stage
from probes.kit.spec import Flow
from probes.kit.trouble import Trouble
from tests.probes.certificates import certificate, name

LOGIN = "https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration"


UNTIL = datetime(2027, 1, 15, tzinfo=UTC)
TRUE = read_certificate(certificate(UNTIL, issuer=name(CN="DigiCert SHA2", O="DigiCert Inc")))
OWN = read_certificate(certificate(UNTIL, issuer=name(O="Corp", CN="corp.lab inspection")))
FINE, LIST = Head(200, "OK"), Body(b"\x30\x82\x01", True)
OPEN = Head(200, "Connection established")


def through(**more: Any) -> Heard:
    """Return what was heard of an https address through a proxy that lets us."""
    return Heard(**{"proxied": True, "secure": True, "stage": Stage.ANSWER, "tunnel": OPEN, "leaf": TRUE, **more})


def straight(**more: Any) -> Heard:
    """Return what was heard without a proxy."""
    return Heard(**{"proxied": False, "secure": True, "stage": Stage.ANSWER, "leaf": TRUE, **more})


def trouble(fault: str, *, answered: bool = False, local: bool = False) -> Trouble:
    """Return trouble."""
    return Trouble(fault=fault, answered=answered, local=local, detail=f"{fault} it is")


# heard -> outcome, stage, fault, what the detail holds
HEARD: dict[str, tuple[Heard, Outcome, Stage | None, str | None, str]] = {
    "well, through a proxy": (through(head=FINE), Outcome.OK, None, None, ""),
    "well, without one": (straight(head=FINE), Outcome.OK, None, None, ""),
    "a list": (straight(secure=False, leaf=None, head=FINE, body=LIST), Outcome.OK, None, None, ""),
    "a list, through a proxy": (
        through(secure=False, tunnel=None, leaf=None, head=FINE, body=LIST),
        Outcome.OK,
        None,
        None,
        "",
    ),
    "403": (
        through(tunnel=Head(403, "Forbidden"), trouble=trouble("proxy-refused", answered=True), stage=Stage.CONNECT),
        Outcome.FAILED,
        Stage.ANSWER,
        "proxy-blocked",
        "the proxy answered 403 Forbidden",
    ),
    "407": (
        through(tunnel=Head(407, ""), trouble=trouble("proxy-refused", answered=True)),
        Outcome.FAILED,
        Stage.ANSWER,
        "proxy-authentication",
        "407",
    ),
    "504": (
        through(tunnel=Head(504, "Gateway Timeout"), trouble=trouble("proxy-refused", answered=True)),
        Outcome.DEGRADED,
        None,
        "endpoint-unreachable",
        "504",
    ),
    "405": (
        through(tunnel=Head(405, "No"), trouble=trouble("proxy-refused", answered=True)),
        Outcome.FAILED,
        Stage.ANSWER,
        "proxy-error",
        "405",
    ),
    "403 for a list": (
        through(secure=False, tunnel=None, leaf=None, head=Head(403, "Forbidden")),
        Outcome.FAILED,
        Stage.ANSWER,
        "proxy-blocked",
        "403",
    ),
    "a proxy that is not there": (
        through(tunnel=None, leaf=None, connected=False, trouble=trouble("timeout"), stage=Stage.CONNECT),
        Outcome.FAILED,
        Stage.CONNECT,
        "timeout",
        "the proxy: timeout it is",
    ),
    "a proxy that waits for what is behind it": (
        through(tunnel=None, leaf=None, trouble=trouble("timeout"), stage=Stage.CONNECT),
        Outcome.DEGRADED,
        None,
        "endpoint-unreachable",
        "connect: timeout",
    ),
    "no proxy at all": (
        through(tunnel=None, leaf=None, trouble=trouble("malformed", answered=True), stage=Stage.CONNECT),
        Outcome.FAILED,
        Stage.ANSWER,
        "malformed",
        "the proxy: malformed",
    ),
    "no proxy at all, for a list": (
        through(secure=False, tunnel=None, leaf=None, trouble=trouble("truncated", answered=True)),
        Outcome.FAILED,
        Stage.ANSWER,
        "truncated",
        "the proxy",
    ),
    "cut behind the proxy": (
        through(trouble=trouble("reset"), stage=Stage.SECURE),
        Outcome.DEGRADED,
        None,
        "endpoint-unreachable",
        "secure: reset",
    ),
    "an alert behind the proxy": (
        through(trouble=trouble("tls-alert", answered=True), stage=Stage.SECURE),
        Outcome.DEGRADED,
        None,
        "endpoint-unreachable",
        "secure: tls-alert",
    ),
    "inspected": (
        through(leaf=OWN, trouble=trouble("certificate-untrusted", answered=True), stage=Stage.SECURE),
        Outcome.FAILED,
        Stage.SECURE,
        "tls-inspected",
        "issued by CN=corp.lab inspection, O=Corp",
    ),
    "inspected by nobody that can be read": (
        straight(leaf=None, trouble=trouble("certificate-hostname", answered=True), stage=Stage.SECURE),
        Outcome.FAILED,
        Stage.SECURE,
        "tls-inspected",
        "issued by nobody known",
    ),
    "inspected, and trusted": (
        straight(leaf=OWN, head=FINE),
        Outcome.FAILED,
        Stage.SECURE,
        "tls-inspected",
        "trusted here",
    ),
    "silence without a proxy": (
        straight(leaf=None, connected=False, trouble=trouble("timeout"), stage=Stage.CONNECT),
        Outcome.UNKNOWN,
        None,
        "egress-silent",
        "connect: timeout",
    ),
    "our own host": (straight(trouble=trouble("no-route", local=True)), Outcome.UNKNOWN, None, "no-route", ""),
    "Microsoft's own error": (
        through(head=Head(503, "Busy")),
        Outcome.DEGRADED,
        None,
        "endpoint-error",
        "HTTP 503 Busy",
    ),
    "a block page": (
        straight(secure=False, leaf=None, head=FINE, body=Body(b"<html>", False)),
        Outcome.FAILED,
        Stage.ANSWER,
        "not-the-list",
        "no revocation list",
    ),
    "an empty page": (
        straight(secure=False, leaf=None, head=FINE),
        Outcome.FAILED,
        Stage.ANSWER,
        "not-the-list",
        "no revocation list",
    ),
    "a portal": (
        straight(secure=False, leaf=None, head=Head(302, "Found")),
        Outcome.FAILED,
        Stage.ANSWER,
        "not-the-list",
        "HTTP 302 Found",
    ),
    "nothing": (straight(), Outcome.DEGRADED, None, "endpoint-unreachable", "no answer"),
}


@pytest.mark.parametrize("case", HEARD)
def test_only_the_exits_own_words_fail_it(case: str) -> None:
    """Its status, a certificate of its own; what is behind it accuses nobody here."""
    heard, outcome, stage, fault, words = HEARD[case]

    said = judge(heard, entra_endpoints.ISSUERS)

    assert (said.outcome, said.stage, said.fault) == (outcome, stage, fault), said
    assert words in said.detail
    assert said.answered is (outcome is Outcome.FAILED and stage is not Stage.CONNECT)
    rows = {(row.name, row.stage) for row in entra_endpoints.SPEC.faults}
    if outcome is Outcome.FAILED:
        assert (fault, stage) in rows
    elif fault is not None:
        assert fault in {row for row, _ in rows}


def test_issuers_may_be_globs() -> None:
    """A text is found anywhere in the issuer; a glob must fit it whole."""
    heard = straight(head=FINE, leaf=OWN)
    assert judge(heard, ["O=Corp"]).outcome is Outcome.OK
    assert judge(heard, ["CN=corp.lab*"]).outcome is Outcome.OK
    assert judge(heard, ["corp.lab*"]).outcome is Outcome.FAILED


KINDS = [judge(heard, entra_endpoints.ISSUERS) for heard, *_ in HEARD.values()]


def test_the_first_of_several_faults_is_told() -> None:
    """The nearest to us explains the others; all are named."""
    blocked, inspected, fine = (
        judge(HEARD[case][0], entra_endpoints.ISSUERS) for case in ("403", "inspected", "a list")
    )

    said = together({"login": inspected, "provisioning": blocked, "revocation": fine})

    assert said.fault == "proxy-blocked"
    assert said.detail.startswith("1 of 3 reached; login: tls-inspected (issued by CN=corp.lab")
    assert "provisioning: proxy-blocked" in said.detail
    assert together({"a": fine, "b": fine}).detail == "2 of 2 reached"


@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5))
def test_together_they_are_as_the_worst(said: list[Said]) -> None:
    """Fine only when all are; unknown never fails, and no fail is hidden."""
    whole = together({str(n): one for n, one in enumerate(said)})
    outcomes = {one.outcome for one in said}
    assert (whole.outcome is Outcome.OK) == (outcomes == {Outcome.OK})
    assert (whole.outcome is Outcome.FAILED) == (Outcome.FAILED in outcomes)
    assert (whole.outcome is Outcome.UNKNOWN) == (Outcome.UNKNOWN in outcomes and Outcome.FAILED not in outcomes)
    assert len(whole.detail) <= 400
    result = result_of(whole, 0.5, {"connect": 0.1}, {"entra_endpoints_asked": 1.0})
    assert (result.outcome, result.fault) == (whole.outcome, whole.fault)
    assert (result.seconds is None) == (whole.outcome is Outcome.UNKNOWN)


def test_flows_are_to_the_proxy_or_to_every_address() -> None:
    """What a firewall must let through."""
    proxied = entra_endpoints.flow(entra_endpoints.Settings(proxy="http://10.20.0.80:3128"))
    direct = entra_endpoints.flow(entra_endpoints.Settings(endpoints={"login": LOGIN, "list": "http://crl.test/a.crl"}))

    assert proxied == Flow(
        host="10.20.0.80",
        protocol="tcp",
        port=3128,
        function="Entra endpoints through a proxy: login, provisioning, revocation",
        carry_bytes=1500,
    )
    assert (direct.host, direct.port, direct.named) == ("login.microsoftonline.com", 443, True)
    assert [(one.host, one.port) for one in direct.also] == [("crl.test", 80)]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a proxy by TLS": ({"proxy": "https://proxy:3128"}, "proxy"),
    "a proxy with a path": ({"proxy": "http://proxy:3128/x"}, "proxy"),
    "a proxy that is none": ({"proxy": "proxy:3128"}, "proxy"),
    "an address that is none": ({"endpoints": {"login": "login"}}, "endpoints: login"),
    "too many": ({"endpoints": {str(n): LOGIN for n in range(17)}}, "endpoints: write at most"),
    "nobody signs": ({"issuers": ()}, "issuers"),
    "anybody signs": ({"issuers": ("",)}, "issuers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_its_key(case: str) -> None:
    """The operator learns which key to change."""
    more, words = WRONG[case]
    with pytest.raises(ValueError, match=words):
        entra_endpoints.flow(entra_endpoints.Settings(**more))
