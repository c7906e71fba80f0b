"""What probes tell of a configuration: only what was seen, nothing that was cut short, never a secret."""

import errno
import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from probes import pmtu, route, tls
from probes.kit.certificate import read_certificate
from probes.kit.size_search import SizeSearch
from tests.probes.certificates import certificate, name
from tests.probes.test_dns import judged
from tests.probes.test_route import ETH, link
from tests.probes.test_route import route as kernel_route

DER = certificate(
    datetime(2027, 2, 1, 12, tzinfo=UTC), subject=name(CN="erp.corp.lab"), issuer=name(CN="CA", O="Zittende ICT")
)
LEAF = read_certificate(DER)
TOLD = {
    "certificate sha256": hashlib.sha256(DER).hexdigest(),
    "certificate key sha256": LEAF.pin,
    "certificate subject": "CN=erp.corp.lab",
    "certificate issuer": LEAF.issuer,
    "certificate expires": "2027-02-01T12:00:00Z",
}
CIPHER = "TLS_AES_256_GCM_SHA384"
TLS_CASES: dict[str, tuple[tls.Seen, dict[str, str]]] = {
    "a whole handshake": (
        tls.Seen(version="TLSv1.3", cipher=CIPHER, presented=(LEAF, None), verified=()),
        TOLD | {"tls version": "TLSv1.3", "tls cipher": CIPHER},
    ),
    "a refused certificate": (tls.Seen(version="", cipher="", presented=(LEAF,), verified=()), TOLD),
    "an unreadable certificate": (tls.Seen(version="", cipher="", presented=(None,), verified=()), {}),
    "no handshake": (tls.Seen(version="", cipher="", presented=(), verified=()), {}),
}


@pytest.mark.parametrize(("seen", "wanted"), TLS_CASES.values(), ids=TLS_CASES)
def test_tls(seen: tls.Seen, wanted: dict[str, str]) -> None:
    """A handshake tells as much as it came to see."""
    assert tls.facts(seen) == wanted


ROUTES: dict[str, tuple[route.Replies, dict[str, str] | None]] = {
    "through the tunnel": (
        route.Replies(route=kernel_route(mtu=1300), out=link()),
        {"route": "via 10.0.0.2 by tun0", "route table": "220", "route mtu": "1300"},
    ),
    "on the link": (
        route.Replies(route=kernel_route(device=2, gateway=None, table=254), out=ETH),
        {"route": "by eth0", "route table": "main", "route mtu": "1400"},
    ),
    "an interface that does not tell": (
        route.Replies(route=kernel_route(), out=errno.ENODEV),
        {"route": "via 10.0.0.2 by interface 6", "route table": "220"},
    ),
    "withdrawn": (route.Replies(route=errno.EHOSTUNREACH), {"route": "none: an unreachable route"}),
    "could not look": (route.Replies(route=errno.EPERM), None),
}


@pytest.mark.parametrize("case", ROUTES)
def test_route(case: str) -> None:
    """The way is one fact, so that a withdrawn route shows as a change; what was not looked at is not told."""
    replies, wanted = ROUTES[case]
    found = route.judge(route.Settings(target="10.20.0.5"), replies).facts
    assert found == wanted


SEARCHES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, str] | None]] = {
    "exact": ((48, 1438), (1439, 1439, 1439, 1500), {"path mtu": "1438"}),
    "everything passes": ((48, 1500), (), {"path mtu": "1500"}),
    "cut short": ((48, 1200), (1439,), None),
    "nothing passes": ((), (48,), None),
}


@pytest.mark.parametrize("case", SEARCHES)
def test_pmtu(case: str) -> None:
    """Only a search that came to its end tells the size."""
    passed, silent, wanted = SEARCHES[case]
    search = SizeSearch(48, 1500, 0, 4)
    for size in (*passed, *silent):
        search.tries[size] = search.tries.get(size, 0) + 1
    for size in passed:
        search.answered(size)
    assert pmtu.facts(search) == wanted


DNS: dict[str, tuple[Any, dict[str, str] | None]] = {
    "in any order": (judged({}, "10.0.0.9", "10.0.0.1"), {"A erp": "10.0.0.1, 10.0.0.9"}),
    "unexpected all the same": (judged({"expect": ("10.0.0.2",)}, "10.0.0.1"), {"A erp": "10.0.0.1"}),
    "no such record": (judged({}), {"A erp": "no such record"}),
    "no such name": (judged({}, rcode="nxdomain"), {"A erp": "no such name"}),
    "a server in trouble": (judged({}, rcode="servfail"), None),
    "cut": (judged({}, "10.0.0.1", truncated=True), None),
    "cut and unexpected": (judged({"rcode": "nxdomain"}, "10.0.0.1", truncated=True), None),
}


@pytest.mark.parametrize("case", DNS)
def test_dns(case: str) -> None:
    """A set of records is told as a set; a server that could not answer whole tells none."""
    result, wanted = DNS[case]
    assert result.facts == wanted
