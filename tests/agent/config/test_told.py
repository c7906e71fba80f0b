"""`told_by`: on whose word a state is known; a chain without it hashes as before."""

import pytest

from agent.config import ConfigError, load_chain_text
from agent.config.canonical import sha256_hex
from agent.config.chain import canonical, examine_chain
from agent.config.registry import InstalledTypes

CHAIN = """version: 1
effective: 2026-01-01T00:00
timezone: Europe/Amsterdam
director: client
parties: {client: {name: C}, microsoft: {name: S}, carrier: {name: L}}
segments:
  host: {owner: client, side: cloud}
  saas: {owner: microsoft, side: saas}
  line: {owner: carrier, side: transit}
vantages: {cloud: {segment: host, operator: client}}
probes:
  sync: {type: entra_sync, from: cloud, tenant: a.example, client_id: 66666666-7777-8888-9999-000000000000,
    secret_file: /none, resolve: [host, saas], TOLD path: [host, saas, line]}
  echo: {type: icmp, from: cloud, target: 192.0.2.1, ECHO path: [host, line]}
"""


def written(told: str = "", echo: str = "") -> bytes:
    """Return the chain with keys of either probe."""
    return CHAIN.replace("TOLD ", told).replace("ECHO ", echo).encode()


def test_a_teller_is_part_of_what_was_agreed() -> None:
    """It changes the hash, and only where it is given; the measurement stays the same one."""
    plain, told = written(), written("told_by: microsoft, ")
    before, after = (load_chain_text(data, "chain.yml") for data in (plain, told))
    assert (before.probes["sync"].told_by, after.probes["sync"].told_by) == ("", "microsoft")
    assert before.hash != after.hash
    assert before.probes["sync"].settings_hash == after.probes["sync"].settings_hash
    body = canonical(told, "chain.yml", InstalledTypes())
    assert body["probes"]["sync"].pop("told_by") == "microsoft"
    assert sha256_hex(body) == before.hash


REFUSED = {
    "nobody of that name": (
        written("told_by: microsft, "),
        "probes.sync.told_by: there is no party `microsft`; did you mean `microsoft`?",
    ),
    "no name": (written('told_by: "a b", '), "probes.sync.told_by: "),
    "what the vantage measures itself": (
        written(echo="told_by: carrier, "),
        "probes.echo.told_by: icmp measures by itself, nobody tells it anything; remove `told_by`",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_teller_that_is_none_is_refused(name: str) -> None:
    """The complaint has its place and says what to write."""
    data, text = REFUSED[name]
    with pytest.raises(ConfigError) as refused:
        load_chain_text(data, "chain.yml")
    assert text in str(refused.value)


def test_a_path_that_does_not_lead_to_the_teller_is_noted() -> None:
    """Its dates place nothing then: a warning, no error."""
    warned = [str(one) for one in examine_chain(written("told_by: carrier, "), "c", InstalledTypes()).warnings]
    assert not any("told_by" in text for text in warned), warned
    away = written("told_by: microsoft, ").replace(b"path: [host, saas, line]", b"path: [host, line]")
    warned = [str(one) for one in examine_chain(away, "c", InstalledTypes()).warnings]
    assert any("no segment of the path is `microsoft`'s alone" in text for text in warned), warned
