"""The YAML reader: core schema, bounds, and a line for every fault."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config import document
from agent.config.document import Document, Mapping, Scalar, Sequence, core_value, parse

VALUES = [
    ("", None),
    ("~", None),
    ("null", None),
    ("NULL", None),
    ("nUll", "nUll"),
    ("true", True),
    ("FALSE", False),
    ("no", "no"),
    ("on", "on"),
    ("y", "y"),
    ("12", 12),
    ("-12", -12),
    ("+7", 7),
    ("007", 7),
    ("0o7", 7),
    ("0o8", "0o8"),
    ("0x1F", 31),
    ("0b1", "0b1"),
    ("1_000", "1_000"),
    ("1:30", "1:30"),
    ("190:20:30", "190:20:30"),
    ("2027-01-15", "2027-01-15"),
    ("2027-01-15T00:00", "2027-01-15T00:00"),
    ("1.5", 1.5),
    (".5", 0.5),
    ("1.", 1.0),
    ("1e3", 1000.0),
    ("1e", "1e"),
    ("-", "-"),
    ("10.20.0.1", "10.20.0.1"),
    (".inf", math.inf),
    ("-.INF", -math.inf),
    ("+.Inf", math.inf),
    ("99.5%", "99.5%"),
    ("9" * 33, float("9" * 33)),
    ("9" * 5000, math.inf),
    ("0x" + "f" * 40, "0x" + "f" * 40),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_core_schema(text: str, value: object) -> None:
    """A plain scalar means what the core schema of YAML 1.2 says, and nothing that 1.1 said."""
    assert core_value(text) == value
    assert type(core_value(text)) is type(value)


def test_not_a_number() -> None:
    """`.nan` is the float that is not itself."""
    value = core_value(".nan")
    assert isinstance(value, float)
    assert math.isnan(value)


BAD = [
    ("nothing", b"", [(1, "", "the file is empty")]),
    ("only a comment", b"# a\n", [(1, "", "the file is empty")]),
    ("latin-1", b"a: 1\nb: caf\xe9\n", [(2, "", "byte 0xe9 is not UTF-8; save the file as UTF-8")]),
    ("utf-16", "a: 1".encode("utf-16"), [(1, "", "byte 0xff is not UTF-8; save the file as UTF-8")]),
    (
        "tab",
        b"a:\n\tb: 1\n",
        [
            (
                2,
                "",
                (
                    "not valid YAML: found character that cannot start any token; indent with spaces, "
                    "and quote text that starts with @, ` or %"
                ),
            )
        ],
    ),
    (
        "colon",
        b"a: 1\nb: c: d\n",
        [
            (
                2,
                "",
                (
                    "not valid YAML: mapping values are not allowed in this context; quote text that holds `: `, "
                    "or check the indentation"
                ),
            )
        ],
    ),
    ("open list", b"a: [1,\nb", [(2, "", "not valid YAML: did not find expected ',' or ']'")]),
    (
        "control",
        b"a: 1\nb: \x01\n",
        [(2, "", "not valid YAML: control characters are not allowed; remove the character")],
    ),
    (
        "old directive",
        b"%YAML 3.1\n---\na: 1\n",
        [(1, "", "not valid YAML: found incompatible YAML document; remove the %YAML line")],
    ),
    (
        "two documents",
        b"a: 1\n---\nb: 1\n",
        [(2, "", "a second document starts here; keep one document in a file, remove this `---`")],
    ),
    ("duplicate", b"a: 1\nb: 2\na: 3\n", [(3, "", "the key `a` stands at line 1 already; keep one of them")]),
    (
        "duplicate inside",
        b"p:\n  q: {a: 1,\n  a: 2}\n",
        [(3, "p.q", "the key `a` stands at line 2 already; keep one of them")],
    ),
    ("number as key", b"p:\n  1: x\n", [(2, "p", 'the key `1` is not text; write it in quotes: "1"')]),
    ("list as key", b"? [a]\n: b\nc: d\n", [(1, "", "a key must be text; a `{` or `[` may lack its quotes")]),
    ("template", b"a: {{ b }}\n", [(1, "a", "a key must be text; a `{` or `[` may lack its quotes")]),
    (
        "merge",
        b"a: &x {b: 1}\nc:\n  <<: *x\n",
        [(3, "c", "merge keys are not read; write the keys out, or alias the whole value")],
    ),
    ("unknown alias", b"a: *b\n", [(1, "a", "no anchor `&b` ends before this alias `*b`")]),
    ("alias of itself", b"a: &b [*b]\n", [(1, "a[0]", "no anchor `&b` ends before this alias `*b`")]),
    ("tag", b"a: !secret x\n", [(1, "a", "tags mean nothing here; remove `!secret`")]),
    ("tag on a mapping", b"a: !!set {b}\n", [(1, "a", "tags mean nothing here; remove `!!set`")]),
    ("date tag", b"a: !!timestamp 2027-01-15\n", [(1, "a", "tags mean nothing here; remove `!!timestamp`")]),
    ("lying tag", b"a: !!int x\n", [(1, "a", "`x` is not what its tag `!!int` says; remove the tag")]),
    (
        "several at once",
        b"a: 1\na: 2\n3: 4\nb: *c\n",
        [
            (2, "", "the key `a` stands at line 1 already; keep one of them"),
            (3, "", 'the key `3` is not text; write it in quotes: "3"'),
            (4, "b", "no anchor `&c` ends before this alias `*c`"),
        ],
    ),
]


@pytest.mark.parametrize(("data", "expected"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_faults(data: bytes, expected: list[tuple[int, str, str]]) -> None:
    """Every fault of the text is reported with its line, its key and a remedy."""
    found = parse(data, "bad.yml").problems
    assert [(p.line, p.key, p.text) for p in found] == expected


def test_quoted_and_tagged() -> None:
    """Quotes and `!!str` make text; other core tags hold when the value agrees."""
    root = parse(
        b"{a: \"1\", b: '~', c: !!str 1, d: ! 2, e: !!float 3, f: !!null ~, g: !!seq [], h: !!map {}}", ""
    ).root
    assert isinstance(root, Mapping)
    values = [entry.node.value for entry in root.entries.values() if isinstance(entry.node, Scalar)]
    assert values == ["1", "~", "1", "2", 3, None]


def test_byte_order_mark() -> None:
    """A UTF-8 byte order mark is no part of the first key."""
    root = parse(b"\xef\xbb\xbfa: 1", "").root
    assert isinstance(root, Mapping)
    assert list(root.entries) == ["a"]


def test_alias_repeats_the_value() -> None:
    """An alias stands for the whole anchored value."""
    root = parse(b"a: &wan [x, y]\nb: *wan\n", "").root
    assert isinstance(root, Mapping)
    assert root.entries["b"].node == root.entries["a"].node
    assert root.entries["b"].line == 2


def test_billion_laughs() -> None:
    """Aliases of aliases stop at the bound, before they are expanded."""
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    found = parse("\n".join(lines).encode(), "bomb.yml")
    assert found.root is None
    assert "once aliases are expanded" in found.problems[0].text


@pytest.mark.parametrize("data", [b"[" * 100_000, b"{a: " * 100_000, b"- " * 100_000])
def test_depth(data: bytes) -> None:
    """Nesting stops at the bound."""
    found = parse(data, "deep.yml")
    assert found.root is None
    assert "levels deep" in found.problems[0].text


def test_size() -> None:
    """A file beyond the bound is not parsed at all."""
    found = parse(b"#" * (document.MAX_BYTES + 1), "big.yml")
    assert found.problems[0].text.endswith("at most 8388608 are read")


LINES = [
    ((), 1),
    (("a",), 2),
    (("a", "b"), 3),
    (("a", "b", 1), 5),
    (("a", "b", 7), 3),
    (("a", "zz"), 2),
    (("c",), 7),
    (("c", "d"), 6),
    (("zz",), 1),
]


@pytest.mark.parametrize(("where", "line"), LINES)
def test_line_of(where: tuple[str | int, ...], line: int) -> None:
    """A path of keys has the line of its key, or of the nearest enclosing one."""
    found = parse(b"# x\na:\n  b:\n    - c\n    - d\nc:\n  e\n", "")
    assert found.line_of(where) == line


def test_empty_collection_is_something() -> None:
    """An empty list is a document, not an empty file."""
    found = parse(b"[]", "")
    assert isinstance(found.root, Sequence)
    assert found.problems == ()


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """Any bytes give a document, with a root or with problems, and lines within the text."""
    found = parse(data, "any")
    assert isinstance(found, Document)
    assert (found.root is not None) or found.problems
    assert all(1 <= p.line <= data.count(b"\n") + data.count(b"\r") + 2 and "\n" not in str(p) for p in found.problems)


FRAGMENTS = st.sampled_from(
    [
        "a",
        ": ",
        "\n",
        "  ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "&x ",
        "*x",
        "!t ",
        "'",
        '"',
        "|\n",
        "<<",
        "? ",
        "#",
        "1",
        "---\n",
        "\t",
    ]
)


@settings(deadline=None)
@given(st.lists(FRAGMENTS, max_size=40).map("".join))
def test_any_yaml_like_text(text: str) -> None:
    """Text made of YAML's own signs gives a document, whatever their order."""
    found = parse(text.encode(), "any")
    assert (found.root is not None) or found.problems
