"""One value has one form, and no other form is accepted."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.ledger.canonical import BODY_BYTES, DEPTH, CanonicalError, decode, encode

KEYS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=5)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
BODIES = st.dictionaries(KEYS, VALUES, max_size=5)


@given(body=BODIES)
def test_what_is_written_is_read_back(body: dict[str, object]) -> None:
    """Encoding loses nothing, and the order of keys does not matter."""
    form = encode(body)
    assert decode(form) == body
    assert encode(dict(reversed(body.items()))) == form


@given(form=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_value_or_an_error(form: bytes) -> None:
    """Reading gives a value whose form is these very bytes, or CanonicalError; nothing else."""
    try:
        value = decode(form)
    except CanonicalError:
        return
    assert encode(value) == form


@given(body=BODIES.filter(bool), style=st.sampled_from(["space", "ascii", "order", "bom", "newline"]))
def test_another_way_of_writing_the_same_is_refused(body: dict[str, object], style: str) -> None:
    """Spaces, escapes, another order, a byte order mark or a line feed make other bytes, so they are refused."""
    form = encode(body)
    other = {
        "space": json.dumps(body, ensure_ascii=False, sort_keys=True).encode(),
        "ascii": json.dumps(body, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode(),
        "order": json.dumps(
            dict(sorted(body.items(), reverse=True)), ensure_ascii=False, separators=(",", ":")
        ).encode(),
        "bom": b"\xef\xbb\xbf" + form,
        "newline": form + b"\n",
    }[style]
    if other != form:
        with pytest.raises(CanonicalError):
            decode(other)


@pytest.mark.parametrize(
    "form",
    [
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":-0}',
        b'{"a":01}',
        b'{"a":+1}',
        b'{"a":true}',
        b'{"a":null}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":9223372036854775808}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b'{"a":"\\u001F"}',
        b'{"a":"\\ud800"}',
        b'{"":1}',
        b'{"\xc3\xa9":1}',
        b'{"b":1,"a":1}',
        b"[]",
        b"1",
        b"",
        b'{"a":"\xff"}',
        b'{"a":' + b"[" * 17 + b"]" * 17 + b"}",
        b'{"a":' + b"[" * 30000,
        b'{"a":"' + b"x" * BODY_BYTES + b'"}',
    ],
)
def test_forms_that_are_refused(form: bytes) -> None:
    """Each of these is JSON to somebody, and none is canonical."""
    with pytest.raises(CanonicalError):
        decode(form)


def test_control_characters_and_others_have_the_form_of_the_specification() -> None:
    """The short escapes, lower-case hex for the rest, everything else as it is."""
    assert encode({"a": '"\\\b\t\n\f\r\x1f\x7f/é€😀'}) == '{"a":"\\"\\\\\\b\\t\\n\\f\\r\\u001f\x7f/é€😀"}'.encode()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"a": 1.5}, "body.a: float"),
        ({"a": True}, "body.a: bool"),
        ({"a": None}, "body.a: NoneType"),
        ({"a": [1, {"b": 2**63}]}, r"body.a\[1\].b: an integer beyond"),
        ({"a": -(2**63) - 1}, "beyond 64 bits"),
        ({"é": 1}, "is not printable ASCII"),
        ({1: 1}, "is not printable ASCII"),
        ({"a": "\ud800"}, "surrogate"),
        ({"a": "x" * BODY_BYTES}, "put bulk into a detail"),
    ],
)
def test_values_without_a_form(body: dict[str, object], message: str) -> None:
    """The error names the place."""
    with pytest.raises(CanonicalError, match=message):
        encode(body)


def test_a_tuple_is_written_as_a_list() -> None:
    """Frozen values hold tuples."""
    assert encode({"a": (1, "b")}) == b'{"a":[1,"b"]}'


def test_both_writers_escape_alike() -> None:
    """For every character msgspec writes what the standard library writes, and so what the verifier reads."""
    for start in range(0, 0x110000, 64):
        text = "".join(chr(number) for number in range(start, start + 64) if not 0xD800 <= number < 0xE000)
        assert encode({"a": text}) == json.dumps({"a": text}, ensure_ascii=False, separators=(",", ":")).encode()


def nested(make: Callable[[object], object], depth: int) -> dict[str, object]:
    """Return a body that is so many objects or lists deep, the body itself counted."""
    value: object = make(1)
    for _ in range(depth - 2):
        value = make(value)
    return {"a": value}


@pytest.mark.parametrize("make", [lambda value: {"a": value}, lambda value: [value]], ids=["objects", "lists"])
def test_bodies_may_be_so_deep_and_no_deeper(make: Callable[[object], object]) -> None:
    """A value stands at most at the sixteenth level; what is too deep is refused in either direction."""
    good = nested(make, DEPTH - 1)
    assert decode(encode(good)) == good
    with pytest.raises(CanonicalError, match=f"nested deeper than {DEPTH}"):
        encode(nested(make, DEPTH))
    with pytest.raises(CanonicalError, match=f"nested deeper than {DEPTH}"):
        decode(json.dumps(nested(make, DEPTH), separators=(",", ":")).encode())


def test_what_is_wrong_is_found_behind_what_is_right() -> None:
    """The sentence names its place."""
    with pytest.raises(CanonicalError, match=r"body\.d\[1\]: float"):
        encode({"a": "x", "b": [1, "x"], "c": {"e": 1}, "d": [(2,), 0.5]})
