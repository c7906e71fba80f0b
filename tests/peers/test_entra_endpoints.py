"""entra_endpoints through a real proxy (squid) that lets through, forbids, asks who it is, or inspects TLS."""

import time
from collections.abc import Iterator

import pytest

from probes import entra_endpoints
from probes.kit.result import Outcome, Result, Stage
from tests.directory import ASKS_WHO, EDGES, FORBIDS, INSPECTS, LETS, PROXY, Site, against, site
from tests.peers.probing import CLOCK, Kit, Names

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def exit_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Yield a site with a proxy, and with what is simulated of Microsoft behind it."""
    if lacking := against("squid", "nft"):
        pytest.skip(lacking)
    with site(tmp_path_factory.mktemp("exit")) as made:
        made.start_edges()
        made.start_proxy()
        yield made


def asked(
    exit_site: Site, port: int | None, *, within: float = 10.0, trust: bool = False, silent: bool = False
) -> Result:
    """Return the result of one attempt through the proxy at `port`, or straight; `trust` its inspection."""
    ca = exit_site.folder / "trusted.pem"
    texts = [exit_site.microsoft.ca_file.read_text(), exit_site.inspection.ca_file.read_text() if trust else ""]
    ca.write_text("".join(texts))
    more = {"login": "https://silent.microsoftonline.com/"} if silent else {}
    settings = entra_endpoints.Settings(
        proxy=f"http://{PROXY}:{port}" if port else "",
        ca_file=str(ca),
        issuers=("Microsoft, simulated",),
        endpoints=more,
    )
    entra_endpoints.flow(settings)
    return exit_site.attempt(entra_endpoints, settings, within=within, kit=Kit(Names(EDGES)))


def test_an_exit_that_lets_through(exit_site: Site) -> None:
    """All three addresses answer, through the proxy and without one."""
    for port in (LETS, None):
        result = asked(exit_site, port)
        assert (result.outcome, result.detail) == (Outcome.OK, "3 of 3 reached"), result
        assert result.values == {"entra_endpoints_asked": 3.0, "entra_endpoints_reached": 3.0}
    assert {"connect", "secure", "first_byte"} <= set(result.phases)


NO: dict[str, tuple[int, bool, Stage, str, str]] = {
    "forbids": (FORBIDS, False, Stage.ANSWER, "proxy-blocked", "403 Forbidden"),
    "asks who it is": (ASKS_WHO, False, Stage.ANSWER, "proxy-authentication", "407 Proxy Authentication Required"),
    "inspects": (INSPECTS, False, Stage.SECURE, "tls-inspected", "issued by CN=corp.lab TLS inspection"),
    "inspects, and is trusted": (INSPECTS, True, Stage.SECURE, "tls-inspected", "trusted here"),
}


@pytest.mark.parametrize("case", NO)
def test_an_exit_that_does_not_says_how(exit_site: Site, case: str) -> None:
    """Its own words: its segment, and nobody else's."""
    port, trust, stage, fault, words = NO[case]

    result = asked(exit_site, port, trust=trust)

    assert (result.outcome, result.stage, result.fault) == (Outcome.FAILED, stage, fault), result
    assert result.answered
    assert words in result.detail


def test_a_proxy_that_is_not_there_is_on_the_path(exit_site: Site) -> None:
    """Nobody listens at that port: a refusal, as of any other target."""
    result = asked(exit_site, 3999)

    assert (result.outcome, result.stage, result.fault) == (Outcome.FAILED, Stage.CONNECT, "refused")


def test_silence_behind_the_proxy_accuses_nobody_here(exit_site: Site) -> None:
    """The proxy waits for what does not answer; without a proxy nobody knows who is silent."""
    through, straight = (asked(exit_site, port, within=1.0, silent=True) for port in (LETS, None))

    assert (through.outcome, through.fault) == (Outcome.DEGRADED, "endpoint-unreachable"), through
    assert (straight.outcome, straight.fault) == (Outcome.UNKNOWN, "egress-silent"), straight


def test_the_proxys_log_shows_a_line_for_each_address(exit_site: Site) -> None:
    """What an attempt leaves with others, as its type says."""
    asked(exit_site, LETS)

    log, deadline = exit_site.proxy_log, CLOCK.boot() + 10
    wanted = {f"CONNECT {name}:443" for name in list(EDGES)[:2]} | {"GET http://crl3.digicert.com/"}
    while not all(line in log.read_text() for line in wanted):  # squid writes it when the connection has ended
        assert CLOCK.boot() < deadline, log.read_text()
        time.sleep(0.02)
