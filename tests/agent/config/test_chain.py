"""Chain files: the contract's example, and a table of mistakes with the exact words of each."""

from pathlib import Path

import pytest

from agent.config.chain import canonical, examine_chain
from agent.config.problem import ConfigError
from agent.config.registry import InstalledTypes
from agent.keys import Signer
from agent.ledger.cosignature import witness_of
from agent.model import Chain, Witness
from probes.kit.spec import Duration, Evidence, Pace
from tests.agent.config.fakes import TYPES, WebSettings

KEY = Signer(name="demarc/onprem", seed=bytes(32)).verifier
THIRD = witness_of(Signer(name="witness.client.example", seed=bytes([1]) * 32).verifier)
PRINTED = "write what `demarc ledger cosign` printed on that host"
HOW = "write what `demarc ledger key` prints on that host"
DESIGN = (Path(__file__).parent / "design.yml").read_bytes()


def load(data: bytes) -> Chain:
    """Load with the fake probe types."""
    return examine_chain(data, "chain.yml", TYPES).loaded()


def edited(old: str, new: str) -> bytes:
    """Return the contract's example with one change, which must apply once."""
    assert DESIGN.count(old.encode()) == 1, old
    return DESIGN.replace(old.encode(), new.encode())


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


BAD: list[tuple[str, str, str, list[tuple[int, str, str]]]] = [
    ("version", "version: 1", "version: 2", [(1, "version", "`2` is not one of 1")]),
    (
        "missing key",
        "director: msp\n",
        "",
        [(1, "", "the key `director` is missing; write `director:` and name")],
    ),
    (
        "misspelt key",
        "director: msp",
        "director: msp\nconfrim: {}",
        [(5, "confrim", "no such key; did you mean `confirm`?")],
    ),
    (
        "unknown key",
        "{name: GlasNet}",
        "{name: GlasNet, x: y}",
        [
            (
                8,
                "parties.carrier.x",
                "no such key; the keys are name, contact, language, support, description, reference",
            )
        ],
    ),
    (
        "director",
        "director: msp",
        "director: mps",
        [(4, "director", "there is no party `mps`; did you mean `msp`?")],
    ),
    (
        "timezone",
        "Europe/Amsterdam",
        "Europe/Amsterdm",
        [(3, "timezone", "there is no timezone `Europe/Amsterdm`; did you mean `Europe/Amsterdam`?")],
    ),
    (
        "timezone directory",
        "Europe/Amsterdam",
        "../x",
        [(3, "timezone", "there is no timezone `../x`; write an IANA name such as Europe/Amsterdam")],
    ),
    (
        "time that the clock skips",
        "2027-01-15T00:00",
        "2027-03-28T02:30",
        [(2, "effective", "`2027-03-28T02:30` does not exist in Europe/Amsterdam; choose another time")],
    ),
    (
        "time before time",
        "2027-01-15T00:00",
        "0001-01-01T00:00",
        [(2, "effective", "`0001-01-01T00:00` does not exist in Europe/Amsterdam; choose another time")],
    ),
    (
        "offset",
        "2027-01-15T00:00",
        "2027-01-15T00:00+01:00",
        [
            (
                2,
                "effective",
                (
                    "`2027-01-15T00:00+01:00` is no local date and time; "
                    "write one such as 2027-01-15T00:00, without offset"
                ),
            )
        ],
    ),
    ("language", "language: nl", "language: de", [(9, "parties.incumbent.language", "`de` is not one of en, nl")]),
    (
        "support hours",
        '"Mo-Fr 08:00-17:00"',
        "office",
        [
            (
                9,
                "parties.incumbent.support",
                "`office` is no opening time; write such as `Mo-Fr 07:00-19:00, Sa 09:00-12:00` or `24/7`",
            )
        ],
    ),
    (
        "reserved party",
        "  client:    {",
        "  unassigned: {",
        [(6, "parties.unassigned", "the name `unassigned` says that nobody owns a segment; choose another")],
    ),
    (
        "reserved name",
        "  client:    {",
        "  self: {",
        [(6, "parties.self", "the name `self` is reserved for the self-check; choose another")],
    ),
    (
        "side",
        "dns:         {owner: msp, side: cloud}",
        "dns:         {owner: msp, side: clout}",
        [(13, "segments.dns.side", "`clout` is not one of cloud, line, transit, onprem, saas; did you mean `cloud`?")],
    ),
    (
        "owner",
        "{owner: carrier,",
        "{owner: carier,",
        [(14, "segments.carrier.owner", "there is no party `carier`; did you mean `carrier`?")],
    ),
    (
        "owner in a list",
        "[msp, incumbent]",
        "[msp, incumbant]",
        [(16, "segments.vpn.owner[1]", "there is no party `incumbant`; did you mean `incumbent`?")],
    ),
    (
        "no owner",
        "[msp, incumbent], lead: msp",
        "[]",
        [(16, "segments.vpn.owner", "has no owner; write a party, several, or `unassigned`")],
    ),
    (
        "no owner key",
        "{owner: carrier,",
        "{",
        [(14, "segments.carrier", "the key `owner` is missing; write `owner:` and name, or list of name")],
    ),
    (
        "path as text",
        "path: [cloud-host, cloud-gw]}",
        "path: cloud-gw}",
        [(27, "probes.gw.path", "expected a list of name, not a value (`cloud-gw`); write [cloud-gw]")],
    ),
    (
        "owner unread",
        "[msp, incumbent]",
        "[msp, 5]",
        [(16, "segments.vpn.owner[1]", '`5` is not text; write it in quotes: "5"')],
    ),
    (
        "owner twice",
        "[msp, incumbent]",
        "[msp, msp]",
        [(16, "segments.vpn.owner[1]", "`msp` stands in the list already; write it once")],
    ),
    (
        "unassigned with a party",
        "[msp, incumbent]",
        "[msp, unassigned]",
        [(16, "segments.vpn.owner[1]", "`unassigned` cannot own together with a party; write one or the other")],
    ),
    (
        "lead",
        "lead: msp",
        "lead: carrier",
        [(16, "segments.vpn.lead", "`carrier` is not an owner of this segment; write one of msp, incumbent")],
    ),
    (
        "filters",
        "filters: true",
        "filters: yes",
        [(17, "segments.onprem-fw.filters", "`yes` is neither true nor false; write true or false, without quotes")],
    ),
    (
        "until",
        "until: 2028-07-01",
        "until: soon",
        [(18, "segments.erp-app.until", "`soon` is no date; write one such as 2028-07-01")],
    ),
    (
        "vantage segment",
        "{segment: cloud-host,",
        "{segment: cloudhost,",
        [
            (21, "vantages.cloud.segment", "there is no segment `cloudhost`; did you mean `cloud-host`?"),
            (
                27,
                "probes.gw.path[0]",
                "a path starts with the vantage's own segment; write `cloudhost` before `cloud-host`",
            ),
            (
                28,
                "probes.underlay.path[0]",
                "a path starts with the vantage's own segment; write `cloudhost` before `cloud-host`",
            ),
            (
                29,
                "probes.anchor.path[0]",
                "a path starts with the vantage's own segment; write `cloudhost` before `cloud-host`",
            ),
            (
                31,
                "probes.erp.path[0]",
                "a path starts with the vantage's own segment; write `cloudhost` before `cloud-host`",
            ),
        ],
    ),
    (
        "operator",
        "operator: msp",
        "operator: zzz",
        [(21, "vantages.cloud.operator", "there is no party `zzz`; describe it under `parties`")],
    ),
    (
        "no key",
        "operator: msp",
        "operator: msp, key: demarc/cloud",
        [
            (
                21,
                "vantages.cloud.key",
                f"'demarc/cloud' is not a verifier key (name+id+base64); {HOW}",
            )
        ],
    ),
    (
        "key of another",
        "operator: msp",
        f"operator: msp, key: {KEY}",
        [(21, "vantages.cloud.key", "is the key of `demarc/onprem`, and this vantage's log is `demarc/cloud`")],
    ),
    (
        "witness of nobody, without a term",
        "services:",
        f'witnesses: {{archive: {{party: x, key: "{THIRD}", within: 0s}}}}\nservices:',
        [
            (23, "witnesses.archive.party", "there is no party `x`; describe it under `parties`"),
            (23, "witnesses.archive.within", "must be longer than nothing; write such as 1h"),
        ],
    ),
    (
        "witness with a log's key, and called like a vantage",
        "services:",
        f'witnesses: {{cloud: {{party: client, key: "{KEY}"}}}}\nservices:',
        [
            (23, "witnesses.cloud", "is the name of a vantage; an agent is a witness by the `key` of its vantage"),
            (
                23,
                "witnesses.cloud.key",
                f"'{KEY}' is not a witness's key (name+id+base64, algorithm 4); {PRINTED}",
            ),
        ],
    ),
    (
        "witness without a key, beside one with it",
        "services:",
        f'witnesses: {{a: {{party: client}}, b: {{party: carrier, key: "{THIRD}"}}}}\nservices:',
        [(23, "witnesses.a", "the key `key` is missing; write `key:` and text")],
    ),
    (
        "an agent's key for a host without an agent",
        "operator: incumbent}",
        f'operator: incumbent, key: {KEY}}}\nwitnesses: {{a: {{party: client, key: "{witness_of(KEY)}"}}}}',
        [(23, "witnesses.a.key", "vantages.onprem has the same key; each witness has one of its own")],
    ),
    (
        "one key for two witnesses",
        "services:",
        f'witnesses: {{a: {{party: client, key: "{THIRD}"}}, b: {{party: carrier, key: "{THIRD}"}}}}\nservices:',
        [
            (23, "witnesses.a.key", "witnesses.b has the same key; each witness has one of its own"),
            (23, "witnesses.b.key", "witnesses.a has the same key; each witness has one of its own"),
        ],
    ),
    (
        "page when",
        "when: hours",
        "when: hour",
        [(24, "services.erp.page.when", "`hour` is not one of always, hours; did you mean `hours`?")],
    ),
    (
        "norm",
        "99.5%",
        "0.995",
        [(24, "services.erp.norm.availability", "`0.995` is no percentage; write one such as 99.5%")],
    ),
    (
        "margins",
        "99.5%",
        "99.5%, delay: 0s, loss: 0%",
        [
            (24, "services.erp.norm.delay", "everything is beyond it; write such as 15ms"),
            (24, "services.erp.norm.loss", "`0%` is not above 0% and at most 100%"),
        ],
    ),
    ("rounds", "rounds: 5", "rounds: 1", [(25, "confirm.rounds", "1 rounds; write 2 to 100")]),
    (
        "spacing",
        "spacing: 1s",
        "spacing: 0s",
        [(25, "confirm.spacing", "rounds cannot start at the same moment; write such as 1s")],
    ),
    (
        "skew",
        "skew: 1s",
        "skew: -1",
        [(25, "confirm.skew", "`-1` is not between 0s and ten years")],
    ),
    (
        "type",
        "gw:         {type: icmp, from: cloud,  target: 10.10.0.1,",
        "gw:         {type: imcp, from: cloud,  target: 10.10.0.1,",
        [(27, "probes.gw.type", "no such probe type `imcp`; did you mean `icmp`?")],
    ),
    (
        "type that cannot be imported",
        "gw:         {type: icmp, from: cloud,  target: 10.10.0.1,",
        "gw:         {type: broken, from: cloud,  target: 10.10.0.1,",
        [(27, "probes.gw.type", "the probe type `broken` cannot be loaded here: No module named 'absent'")],
    ),
    (
        "type and a common key",
        "gw:         {type: icmp, from: cloud,  target: 10.10.0.1,",
        "gw:         {type: imcp, form: cloud,  target: 10.10.0.1,",
        [
            (27, "probes.gw", "the key `from` is missing; write `from:` and name"),
            (27, "probes.gw.form", "no such key; did you mean `from`?"),
            (27, "probes.gw.type", "no such probe type `imcp`; did you mean `icmp`?"),
        ],
    ),
    (
        "type unlike any",
        "gw:         {type: icmp, from: cloud,  target: 10.10.0.1,",
        "gw:         {type: zzz, from: cloud,  target: 10.10.0.1,",
        [(27, "probes.gw.type", "no such probe type `zzz`; there are icmp, http, picky, sync, broken")],
    ),
    (
        "keys that contradict each other",
        "gw:         {type: icmp, from: cloud,  target: 10.10.0.1,",
        "gw:         {type: picky, from: cloud,  server: a, low: 3,",
        [(27, "probes.gw", "`low` is above `high`; swap them")],
    ),
    (
        "key that the type names",
        "gw:         {type: icmp, from: cloud,  target: 10.10.0.1,",
        "gw:         {type: picky, from: cloud, server: a,\n  high: 10,",
        [(28, "probes.gw.high", "write at most 9")],
    ),
    (
        "destination by another name",
        "gw:         {type: icmp, from: cloud,  target: 10.10.0.1,",
        "gw:         {type: picky, from: cloud,\n  server: bad,",
        [(28, "probes.gw.server", "`bad` is no server")],
    ),
    (
        "no type",
        "gw:         {type: icmp, from: cloud,  target: 10.10.0.1,",
        "gw:         {from: cloud,  target: 10.10.0.1,",
        [(27, "probes.gw", "the key `type` is missing; write `type:` and name")],
    ),
    (
        "type is no text",
        "gw:         {type: icmp, from: cloud,  target: 10.10.0.1,",
        "gw:         {type: 1, from: cloud,  target: 10.10.0.1,",
        [(27, "probes.gw.type", '`1` is not text; write it in quotes: "1"')],
    ),
    (
        "vantage",
        "from: cloud,  target: 10.10.0.1,",
        "from: clud,  target: 10.10.0.1,",
        [(27, "probes.gw.from", "there is no vantage `clud`; did you mean `cloud`?")],
    ),
    (
        "misspelt common key",
        "target: 10.10.0.1,    interval: 1s,",
        "target: 10.10.0.1,    interval: 1s, timout: 1s,",
        [(27, "probes.gw.timout", "no such key; did you mean `timeout`?")],
    ),
    (
        "misspelt key of the type",
        "target: 10.10.0.1,",
        "targt: 10.10.0.1,",
        [
            (27, "probes.gw", "the key `target` is missing; write `target:` and text"),
            (27, "probes.gw.targt", "no such key; did you mean `target`?"),
        ],
    ),
    (
        "setting",
        "target: 10.10.0.1,",
        "target: 10.10.0.1, family: 5, size: big,",
        [
            (27, "probes.gw.family", "`5` is not one of 4, 6"),
            (27, "probes.gw.size", "`big` is no whole number; write one such as 3, without quotes"),
        ],
    ),
    (
        "target",
        '"https://erp.corp.lab/health"',
        "erp.corp.lab",
        [(30, "probes.erp.target", "`erp.corp.lab` is no web address; write one such as https://erp.example/health")],
    ),
    (
        "interval",
        "target: 10.10.0.1,    interval: 1s,",
        "target: 10.10.0.1,    interval: 0s,",
        [(27, "probes.gw.interval", "must be longer than nothing; write such as 1s")],
    ),
    (
        "timeout",
        "target: 10.10.0.1,    interval: 1s,",
        "target: 10.10.0.1,    timeout: 1 s,",
        [(27, "probes.gw.timeout", "`1 s` is no duration; write one such as 250ms, 1s, 2m, 1h or 3d")],
    ),
    (
        "service",
        "service: erp,",
        "service: epr,",
        [(30, "probes.erp.service", "there is no service `epr`; did you mean `erp`?")],
    ),
    (
        "resolve",
        "resolve: [dns]",
        "resolve: [dms]",
        [(30, "probes.erp.resolve[0]", "there is no segment `dms`; did you mean `dns`?")],
    ),
    (
        "resolve as text",
        "resolve: [dns]",
        "resolve: dns",
        [(30, "probes.erp.resolve", "expected a list of name, not a value (`dns`); write [dns]")],
    ),
    (
        "path with an unknown segment",
        "path: [cloud-host, cloud-gw]}",
        "path: [cloud-host, cloud-gv]}",
        [(27, "probes.gw.path[1]", "there is no segment `cloud-gv`; did you mean `cloud-gw`?")],
    ),
    (
        "path that starts elsewhere",
        "path: [cloud-host, cloud-gw]}",
        "path: [cloud-gw]}",
        [
            (
                27,
                "probes.gw.path[0]",
                "a path starts with the vantage's own segment; write `cloud-host` before `cloud-gw`",
            )
        ],
    ),
    (
        "path with a loop",
        "path: [cloud-host, cloud-gw]}",
        "path: [cloud-host, cloud-gw, cloud-host]}",
        [(27, "probes.gw.path[2]", "`cloud-host` stands in this list already; write it once")],
    ),
    (
        "empty path",
        "path: [cloud-host, cloud-gw]}",
        "path: []}",
        [(27, "probes.gw.path", "is empty; write every segment that is crossed, the vantage's own first")],
    ),
    (
        "path without quotes on a number",
        "path: [cloud-host, cloud-gw]}",
        "path: [cloud-host, 5, cloud-gw]}",
        [(27, "probes.gw.path[1]", '`5` is not text; write it in quotes: "5"')],
    ),
    (
        "back",
        "path: [cloud-host, cloud-gw]}",
        "path: [cloud-host, cloud-gw], back: [wan]}",
        [(27, "probes.gw.back[0]", "there is no segment `wan`; describe it under `segments`")],
    ),
    (
        "probe is no mapping",
        "{type: icmp, from: cloud,  target: 10.10.0.1,    interval: 1s, path: [cloud-host, cloud-gw]}",
        "icmp",
        [(27, "probes.gw", "expected a mapping with at least type, from, target and path")],
    ),
    (
        "segment is no mapping",
        '{owner: carrier, side: transit, quote: "circuit NL-123456"}',
        "[carrier]",
        [
            (
                14,
                "segments.carrier",
                (
                    "expected a mapping with the keys owner, side, filters, lead, quote, until, "
                    "description, reference, not a list"
                ),
            )
        ],
    ),
    (
        "one value where a mapping belongs",
        'contact: {phone: "+31 20 000 00 00", email: noc@msp.example}',
        "contact: noc@msp.example",
        [(7, "parties.msp.contact", "expected a mapping (`name: ...` lines), not a value (`noc@msp.example`)")],
    ),
    (
        "mapping where one value belongs",
        "{name: GlasNet}",
        "{name: {nl: GlasNet}}",
        [(8, "parties.carrier.name", "expected one value (text), not a mapping")],
    ),
    (
        "nothing where a mapping belongs",
        "{name: GlasNet}",
        "",
        [
            (
                8,
                "parties.carrier",
                (
                    "expected a mapping with the keys name, contact, language, support, description, reference, "
                    "not a missing value"
                ),
            )
        ],
    ),
    (
        "key of a contact",
        '{phone: "+31 20 000 00 00",',
        '{"": x,',
        [(7, "parties.msp.contact.", "is no key; write a word")],
    ),
    (
        "list where a word belongs",
        "when: hours",
        "when: [hours]",
        [(24, "services.erp.page.when", "a list is not one of always, hours")],
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_mistakes(old: str, new: str, expected: list[tuple[int, str, str]]) -> None:
    """Every mistake is reported once, at its line, with its key and what to write instead."""
    found = examine_chain(edited(old, new), "chain.yml", TYPES)
    assert found.chain is None
    assert [(p.line, p.key, p.text) for p in found.problems] == expected


def test_all_mistakes_at_once() -> None:
    """All the independent mistakes of one file come together, each as in a file of its own."""
    data, expected = DESIGN, set()
    for name, old, new, problems in BAD:
        if name in ("operator", "language", "rounds", "owner in a list", "target", "back", "norm", "until"):
            data = data.replace(old.encode(), new.encode())
            expected |= set(problems)
    found = {(p.line, p.key, p.text) for p in examine_chain(data, "chain.yml", TYPES).problems}
    assert found == expected


def test_empty_sections() -> None:
    """A chain that describes nothing is refused section by section."""
    data = b"{version: 1, effective: 2027-01-15T00:00, timezone: UTC, director: a, parties: {}, segments: {}, "
    data += b"vantages: {}, probes: {}}"
    found = examine_chain(data, "chain.yml", TYPES).problems
    assert [(p.key, p.text.partition(";")[0]) for p in found] == [
        ("director", "there is no party `a`"),
        ("parties", "is empty"),
        ("probes", "is empty"),
        ("segments", "is empty"),
        ("vantages", "is empty"),
    ]


def test_names_that_cannot_be_read() -> None:
    """A section whose only name is no text is not called empty as well."""
    data = DESIGN[: DESIGN.index(b"parties:")] + b"parties: {1: {}}\nsegments: {}\nvantages: {}\nprobes: {}\n"
    found = examine_chain(data, "chain.yml", TYPES).problems
    assert [p.text.partition(";")[0] for p in found if p.key == "parties"] == ["the key `1` is not text"]


def test_unread_sections_raise_no_echo() -> None:
    """A section that cannot be read is reported once, without complaints about references into it."""
    data = DESIGN.replace(b"parties:\n", b"partys:\n").replace(b"confirm: {", b"confirm: 3 #{")
    data = data.replace(b"timezone: Europe/Amsterdam", b"timezone: 5").replace(b"effective: 2027", b"effective: x2027")
    found = examine_chain(data, "chain.yml", TYPES).problems
    assert [p.key for p in found] == ["", "effective", "timezone", "partys", "confirm"]


def test_no_sections_at_all() -> None:
    """Sections that are no mappings are reported, and nothing fails on them."""
    data = b"version: 1\nparties: 1\nsegments: 2\nvantages: 3\nprobes: 4\nservices: 5\ndirector: a\n"
    found = examine_chain(data, "chain.yml", TYPES).problems
    assert [p.key for p in found] == ["", "", "parties", "segments", "vantages", "probes", "services"]


def test_partly_read_probe() -> None:
    """A probe without vantage, or with a vantage that cannot be read, raises no further complaint."""
    data = edited("{segment: cloud-host, operator: msp}", "{operator: msp}")
    found = examine_chain(data.replace(b"from: cloud,  target: 10.10.0.1,", b"target: 10.10.0.1,"), "c", TYPES).problems
    assert [(p.key, p.text.partition(";")[0]) for p in found] == [
        ("vantages.cloud", "the key `segment` is missing"),
        ("probes.gw", "the key `from` is missing"),
    ]


def test_error_text() -> None:
    """The error's text is one line for each problem, as file:line: key: text."""
    with pytest.raises(ConfigError) as caught:
        load(edited("director: msp", "director: mps"))
    assert str(caught.value) == "chain.yml:4: director: there is no party `mps`; did you mean `msp`?"


WARNINGS = [
    (
        "two vantages in one segment",
        "onprem: {segment: onprem-host, operator: incumbent}",
        "onprem: {segment: onprem-host, operator: incumbent}\n  third: {segment: onprem-host, operator: client}",
        [
            (23, "vantages.third", "no probe runs here; add probes with `from: third`"),
            (
                23,
                "vantages.third.segment",
                "is the segment of vantage `onprem` too; give every host a segment of its own",
            ),
        ],
    ),
    (
        "name without resolve",
        "resolve: [dns],",
        "",
        [
            (13, "segments.dns", "no probe crosses it; add it to the paths that do, or add a probe"),
            (
                30,
                "probes.erp",
                (
                    "`erp.corp.lab` is resolved by name, and a failure to resolve it accuses nobody; "
                    "write `resolve: [segments]` with what resolution needs"
                ),
            ),
        ],
    ),
    (
        "resolve without name",
        "target: 10.10.0.1,",
        "target: 10.10.0.1, resolve: [dns],",
        [(27, "probes.gw.resolve", "the target is an address, nothing is resolved; remove `resolve`")],
    ),
    (
        "overlap",
        "target: 10.10.0.1,    interval: 1s,",
        "target: 10.10.0.1,    interval: 500ms,",
        [
            (
                27,
                "probes.gw.interval",
                (
                    "attempts start every 0.5 s and may last 1 s, so they overlap; "
                    "write an interval of at least the timeout"
                ),
            )
        ],
    ),
    (
        "patience",
        "target: 10.10.0.1,    interval: 1s,",
        "target: 10.10.0.1,    interval: 3s, timeout: 3s,",
        [
            (
                27,
                "probes.gw.timeout",
                (
                    "3 s, while the probes that share segments with it use 1 s; write the same, "
                    "or their results speak of different moments"
                ),
            )
        ],
    ),
    (
        "service without probe",
        "service: erp,",
        "",
        [(24, "services.erp", "no probe observes it; write `service: erp` with the probe that does")],
    ),
    (
        "hours that are none",
        'hours: "Mo-Fr 07:00-19:00", ',
        "",
        [(24, "services.erp.page", "pages in its hours, and has none: always; write `hours`")],
    ),
    (
        "vantage without probe",
        "vantages:\n",
        "vantages:\n  third: {segment: dns, operator: msp}\n",
        [(21, "vantages.third", "no probe runs here; add probes with `from: third`")],
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "expected"), [case[1:] for case in WARNINGS], ids=[case[0] for case in WARNINGS]
)
def test_warnings(old: str, new: str, expected: list[tuple[int, str, str]]) -> None:
    """What is allowed and probably not meant is a warning; the chain loads."""
    found = examine_chain(edited(old, new), "chain.yml", TYPES)
    assert found.chain is not None
    assert [(p.line, p.key, p.text) for p in found.warnings] == expected


def test_a_network_with_several_exits() -> None:
    """A network crossed between three neighbours is warned of: a tunnel within another way is no neighbour."""
    data = (
        DESIGN
        + b"  other: {type: icmp, from: onprem, target: 192.0.2.9, path: [onprem-host, onprem-gw, carrier, dns]}\n"
    )
    (warning,) = examine_chain(data, "chain.yml", TYPES).warnings
    assert warning.key == "segments.carrier"
    assert "is crossed between cloud-gw, onprem-gw, dns, and a pass between two of them" in warning.text


@pytest.mark.parametrize(("networks", "warned"), [("", ["probes.tunnel"]), (" networks: [10.20.0.0/16],", [])])
def test_a_tunnel_without_its_networks(networks: str, warned: list[str]) -> None:
    """Which addresses a tunnel was agreed to carry is asked for where its gateway can be asked."""
    path = "path: [cloud-host, cloud-gw, carrier, onprem-gw, vpn]"
    tunnel = f"  tunnel: {{type: strongswan, from: cloud, target: /run/charon.vici,{networks} {path}}}\n"
    found = examine_chain(DESIGN + tunnel.encode(), "chain.yml", InstalledTypes()).warnings
    assert [w.key for w in found if w.key.startswith("probes")] == warned


def test_margins_that_nothing_can_show() -> None:
    """A margin needs a probe whose round trip can be told; the contract's own web probe is one."""
    data = DESIGN.replace(b"99.5%", b"99.5%, delay: 15ms")
    assert examine_chain(data, "chain.yml", TYPES).warnings == ()
    found = examine_chain(data.replace(b"service: erp,", b""), "chain.yml", TYPES).warnings
    assert [w.key for w in found] == ["services.erp", "services.erp.norm"]
    assert found[1].text == "none of its probes measures a round trip, so no margin is watched"


def test_no_warning_for_slow_types() -> None:
    """A slow type keeps its own timeout without a warning: it never joins the rounds."""
    data = DESIGN + b"  slow: {type: sync, from: cloud, target: 10.10.0.1, path: [cloud-host, cloud-gw]}\n"
    assert examine_chain(data, "chain.yml", TYPES).warnings == ()


def test_the_example_has_no_warnings() -> None:
    """The contract's own example is clean."""
    assert examine_chain(DESIGN, "chain.yml", TYPES).warnings == ()
