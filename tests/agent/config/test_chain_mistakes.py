"""Mistakes in a chain file's parties, segments, vantages and services: a table with the exact words of each."""

import pytest

from agent.config.chain import examine_chain
from agent.ledger.cosignature import witness_of
from tests.agent.config.design import KEY, THIRD, edited
from tests.agent.config.fakes import TYPES

PRINTED = "write what `demarc ledger cosign` printed on that host"
HOW = "write what `demarc ledger key` prints on that host"

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
]


@pytest.mark.parametrize(("old", "new", "expected"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_mistakes(old: str, new: str, expected: list[tuple[int, str, str]]) -> None:
    """Every mistake is reported once, at its line, with its key and what to write instead."""
    found = examine_chain(edited(old, new), "chain.yml", TYPES)
    assert found.chain is None
    assert [(p.line, p.key, p.text) for p in found.problems] == expected
