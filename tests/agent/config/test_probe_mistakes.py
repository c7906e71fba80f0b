"""Mistakes in a chain file's probes: a table with the exact words of each, and many at once."""

import pytest

from agent.config.chain import examine_chain
from agent.config.problem import ConfigError
from tests.agent.config.design import DESIGN, edited, load
from tests.agent.config.fakes import TYPES

BAD: list[tuple[str, str, str, list[tuple[int, str, str]]]] = [
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
