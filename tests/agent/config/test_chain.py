"""Chain files: the contract's example, and what becomes of its values."""

from agent.config.chain import canonical
from agent.model import Witness
from probes.kit.spec import Duration, Evidence, Pace
from tests.agent.config.design import DESIGN, KEY, THIRD, edited, load
from tests.agent.config.fakes import TYPES, WebSettings


def test_the_contract_example() -> None:
    """The example of the contract becomes frozen values, in the file's order."""
    chain = load(DESIGN)
    assert (chain.version, chain.effective, chain.timezone, chain.director) == (
        1,
        "2027-01-15T00:00",
        "Europe/Amsterdam",
        "msp",
    )
    assert list(chain.parties) == ["client", "msp", "carrier", "incumbent"]
    assert chain.parties["msp"].contact == {"phone": "+31 20 000 00 00", "email": "noc@msp.example"}
    assert chain.parties["incumbent"].language == "nl"
    assert chain.segments["vpn"].owners == ("msp", "incumbent")
    assert chain.segments["onprem-fw"].filters is True
    assert chain.segments["erp-app"].until == "2028-07-01"
    assert chain.vantages["onprem"].operator == "incumbent"
    assert chain.services["erp"].availability_norm == 0.995
    assert (chain.services["erp"].page.when, chain.services["erp"].page.after) == ("hours", 120.0)
    assert chain.source == DESIGN
    assert [probe.id for probe in chain.probes_of("onprem")] == ["o-gw", "o-underlay", "erp-local"]


def test_a_probe() -> None:
    """A probe holds its type's own settings, its flow, and the type's nature."""
    erp = load(DESIGN).probes["erp"]
    assert erp.settings == WebSettings(target="https://erp.corp.lab/health")
    assert erp.target == "https://erp.corp.lab/health"
    assert (erp.flow.host, erp.flow.port, erp.flow.named) == ("erp.corp.lab", 443, True)
    assert (erp.interval, erp.timeout, erp.service, erp.resolve) == (5.0, 1.0, "erp", ("dns",))
    assert (erp.evidence, erp.pace) == (Evidence.PATH, Pace.ROUND)
    assert len(erp.settings_hash) == 64


def test_settings_of_every_sort() -> None:
    """Lists, mappings, durations, numbers and booleans reach the type's struct."""
    data = edited(
        'target: "https://erp.corp.lab/health", interval: 5s,',
        'target: "http://erp.corp.lab:8080/", headers: {X-A: b}, accept: [200, 0x12d], slow: 750ms, '
        "verify: false, weight: 2, interval: 5s,",
    )
    settings = load(data).probes["erp"].settings
    assert settings == WebSettings(
        target="http://erp.corp.lab:8080/",
        headers={"X-A": "b"},
        accept=(200, 301),
        slow=Duration(0.75),
        verify=False,
        weight=2.0,
    )
    assert isinstance(settings.slow, Duration)


def test_a_key_is_part_of_what_is_agreed() -> None:
    """A vantage may name its agent's key; that changes the chain's hash, and a chain without keys keeps its own."""
    keyed = load(edited("operator: incumbent", f"operator: incumbent, key: {KEY}"))
    assert keyed.vantages["onprem"].key == str(KEY)
    assert load(DESIGN).vantages["onprem"].key == ""
    assert keyed.hash != load(DESIGN).hash
    assert "key" not in canonical(DESIGN, "chain.yml", TYPES)["vantages"]["onprem"]


def witnessed(key: str, more: str = "") -> bytes:
    """Return the design's chain with a witness that runs no agent."""
    text = f'witnesses:\n  archive: {{party: client, key: "{key}"{more}}}\nservices:'
    return edited("services:", text)


def test_a_witness_without_an_agent_is_agreed_on() -> None:
    """Its key and term are part of the chain; a chain without such witnesses hashes as before."""
    key = str(THIRD)
    chain = load(witnessed(key, ", within: 31d"))
    assert chain.witnesses["archive"] == Witness(id="archive", party="client", key=key, within=31 * 86400.0)
    assert chain.hash not in (load(DESIGN).hash, load(witnessed(key)).hash)
    assert load(witnessed(key)).witnesses["archive"].within == 3600.0
    assert "witnesses" not in canonical(DESIGN, "chain.yml", TYPES)
    assert canonical(witnessed(key), "chain.yml", TYPES)["witnesses"]["archive"]["party"] == "client"


def test_defaults() -> None:
    """`services`, `confirm` and names may be absent; a type's interval and timeout are its own."""
    chain = load(
        b"""
version: 1
effective: 2027-01-15T00:00
timezone: UTC
director: a
parties: {a: {}}
segments: {s: {owner: a, side: saas}, t: {owner: unassigned, side: saas}}
vantages: {v: {segment: s, operator: a}}
probes: {p: {type: sync, from: v, target: 192.0.2.1, path: [s, t]}}
"""
    )
    probe = chain.probes["p"]
    assert chain.parties["a"].name == "a"
    assert chain.services == {}
    assert (chain.confirm.rounds, chain.confirm.spacing, chain.confirm.skew) == (5, 1.0, 1.0)
    assert (probe.interval, probe.timeout, probe.evidence, probe.pace) == (300.0, 20.0, Evidence.STATE, Pace.OWN)
    assert chain.segments["t"].owners == ("unassigned",)


def test_reserved_and_described() -> None:
    """Reserved keys are accepted at the top and in entries; entries carry descriptions."""
    data = edited("director: msp", "director: msp\ncustodian: client\nspoc: [x]\npages: {a: 1}\ndescription: ours")
    data = data.replace(b"{name: GlasNet}", b"{name: GlasNet, people: {jan: {}}, mandates: [], reference: art. 4}")
    chain = load(data.replace(b"{owner: carrier, side", b"{owner: carrier, contract: {a: 1}, description: line, side"))
    assert chain.description == "ours"
    assert chain.parties["carrier"].reference == "art. 4"
    assert chain.segments["carrier"].description == "line"


def test_alias_as_a_named_path() -> None:
    """An anchor names a path that several probes use."""
    data = edited("path: [cloud-host, cloud-gw]}", "path: &near [cloud-host, cloud-gw]}")
    data += b"  again: {type: icmp, from: cloud, target: 10.10.0.1, path: *near}\n"
    assert load(data).probes["again"].path == ("cloud-host", "cloud-gw")
