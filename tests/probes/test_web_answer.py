"""Good and bad web answers."""

import gzip
import sys
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.response import Body, Head
from probes.kit.trouble import Trouble
from probes.kit.web_answer import Wanted, parse_fields, parse_pattern, parse_pointers, parse_status, unpack

ANY = ((200, 399),)
JSON = b'{"status":"UP","n":3,"ok":true,"list":[{"a/b":"x~"},null],"":{"":"deep"}}'
BARE = zlib.compressobj(wbits=-15)
RAW_DEFLATE = BARE.compress(b"hello") + BARE.flush()


def head(status: int = 200, **fields: Any) -> Head:
    """Return a head; underscores in names stand for dashes."""
    named = tuple((name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in fields.items())
    return Head(status, "Reason", named)


def verdict(
    wanted: dict[str, Any], body: bytes = b"hello", *, cut: bool = False, **fields: Any
) -> tuple[str, str] | None:
    """Return fault and detail for a body."""
    found = Wanted(status=ANY, **wanted).verdict(head(**fields), Body(body, cut))
    return (found.fault, found.detail) if found else None


MISMATCH = "body-mismatch"
CASES: dict[str, tuple[dict[str, Any], bytes, dict[str, Any], tuple[str, str] | None]] = {
    "nothing wanted": ({}, b"\xff", {"content_encoding": "br"}, None),
    "contains": ({"contains": b"ell"}, b"hello", {}, None),
    "contains not": ({"contains": b"bye"}, b"hello", {}, (MISMATCH, "the body lacks the expected text")),
    "lacks": ({"lacks": b"bye"}, b"hello", {}, None),
    "lacks not": ({"lacks": b"ell"}, b"hello", {}, (MISMATCH, "the body holds the text that it must not")),
    "header is there": ({"fields": parse_fields({"X-Seen": ""})}, b"", {"x_seen": ""}, None),
    "header matches": ({"fields": parse_fields({"content-type": "text/*"})}, b"", {"content_type": "text/html"}, None),
    "header differs": (
        {"fields": parse_fields({"content-type": "text/*"})},
        b"",
        {"content_type": "image/png"},
        ("header-mismatch", "header content-type is 'image/png'"),
    ),
    "header is missing": (
        {"fields": parse_fields({"X-Seen": ""})},
        b"",
        {},
        ("header-mismatch", "header x-seen is missing"),
    ),
    "json": (
        {
            "pointers": {
                "/status": "UP",
                "/n": "3",
                "/ok": "true",
                "/list/0/a~1b": "x~",
                "/list/1": "null",
                "//": "deep",
            }
        },
        JSON,
        {},
        None,
    ),
    "json empty keys": ({"pointers": {"//": "deep"}}, JSON, {}, None),
    "json text": ({"pointers": {"": "x"}}, b'"x"', {}, None),
    "json differs": ({"pointers": {"/status": "DOWN"}}, JSON, {}, (MISMATCH, "/status is UP")),
    "json lacks a key": ({"pointers": {"/state": "UP"}}, JSON, {}, (MISMATCH, "/state is missing")),
    "json index past the end": ({"pointers": {"/list/2": "x"}}, JSON, {}, (MISMATCH, "/list/2 is missing")),
    "json index that is none": ({"pointers": {"/list/01": "x"}}, JSON, {}, (MISMATCH, "/list/01 is missing")),
    "json huge index": (
        {"pointers": {"/list/" + "9" * 5000: "x"}},
        b"[]",
        {},
        (MISMATCH, f"/list/{'9' * 5000} is missing"),
    ),
    "json whole": ({"pointers": {"": "x"}}, b"[1]", {}, (MISMATCH, "the body is [1]")),
    "no json": ({"pointers": {"/a": "x"}}, b"<html>", {}, ("body-unreadable", "the body is not JSON")),
    "json without an end": ({"pointers": {"/a": "x"}}, b"[" * 100_000, {}, ("body-unreadable", "the body is not JSON")),
    "gzip": ({"contains": b"hello"}, gzip.compress(b"hello"), {"content_encoding": "gzip"}, None),
    "deflate": ({"contains": b"hello"}, zlib.compress(b"hello"), {"content_encoding": "Deflate"}, None),
    "bare deflate": ({"contains": b"hello"}, RAW_DEFLATE, {"content_encoding": "deflate"}, None),
    "identity": ({"contains": b"hello"}, b"hello", {"content_encoding": "identity"}, None),
    "bomb": (
        {"contains": b"end"},
        gzip.compress(b"0" * 10_000_000 + b"end"),
        {"content_encoding": "gzip"},
        (MISMATCH, "the first part of the body lacks the expected text"),
    ),
    "cut gzip": (
        {"contains": b"x"},
        gzip.compress(b"hello")[:-9],
        {"content_encoding": "gzip"},
        ("body-unreadable", "the packed body cannot be unpacked"),
    ),
    "no gzip": (
        {"contains": b"x"},
        b"hello",
        {"content_encoding": "gzip"},
        ("body-unreadable", "the packed body cannot be unpacked"),
    ),
    "unknown packing": ({"contains": b"x"}, b"x", {"content_encoding": "br"}, ("body-unreadable", "packed as br")),
}


@pytest.mark.parametrize("case", CASES)
def test_answers_are_judged(case: str) -> None:
    """Each assertion with an answer that meets it and one that does not."""
    wanted, body, fields, expected = CASES[case]

    assert verdict(wanted, body, **fields) == expected


def test_a_cut_body_is_judged_as_far_as_it_came() -> None:
    """The verdict says that it speaks of the first part only."""
    packed = gzip.compress(b"hello" * 1000 + bytes(range(256)) * 9)

    assert verdict({"contains": b"bye"}, cut=True) == (MISMATCH, "the first part of the body lacks the expected text")
    assert verdict({"contains": b"hello"}, packed[:60], cut=True, content_encoding="gzip") is None
    assert verdict({"pointers": {"/a": "b"}}, b'{"a":', cut=True) == (
        "body-unreadable",
        "the body is not JSON, it is longer than `max_bytes`",
    )


def test_the_status_comes_first() -> None:
    """A body that nobody wanted is not judged."""
    wanted = Wanted(status=((200, 200),), contains=b"x")

    refused = wanted.verdict(head(503), None)
    assert refused is not None
    assert (refused.fault, refused.detail, refused.answered) == ("status", "HTTP 503 Reason", True)
    assert wanted.verdict(head(200), None) is None


def test_patterns_take_time_in_proportion() -> None:
    """RE2's patterns match, and one made to be slow is not."""
    pytest.importorskip("re2")

    assert verdict({"pattern": parse_pattern("h.l+o")}) is None
    assert verdict({"pattern": parse_pattern("^x")}) == (MISMATCH, "the body does not match the pattern")
    assert verdict({"pattern": parse_pattern("(a*)*b")}, b"a" * 200_000) is not None
    with pytest.raises(ValueError, match="body_matches"):
        parse_pattern("(a")


def test_without_re2_a_pattern_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing library is found when the file is read."""
    monkeypatch.setitem(sys.modules, "re2", None)

    with pytest.raises(ValueError, match="patterns"):
        parse_pattern("x")


def test_pointers_begin_with_a_slash() -> None:
    """A key without one is refused with what to write."""
    with pytest.raises(ValueError, match="JSON pointer"):
        parse_pointers({"status": "UP"})
    assert parse_pointers({"": "x", "/a": "y"})


@pytest.mark.parametrize(
    ("text", "ranges"), [("200", ((200, 200),)), ("200-399", ((200, 399),)), ("200, 401-403", ((200, 200), (401, 403)))]
)
def test_reads_status_ranges(text: str, ranges: tuple[tuple[int, int], ...]) -> None:
    """Codes and ranges, inclusive."""
    assert ranges == parse_status(text)


@pytest.mark.parametrize("text", ["2xx", "200-", "", "20", "200,,300"])
def test_wrong_status_ranges_say_why(text: str) -> None:
    """Codes have three digits."""
    with pytest.raises(ValueError, match="status"):
        parse_status(text)


@given(st.binary(max_size=80), st.sampled_from([b"gzip", b"deflate", b"x-gzip", b"gzip, gzip", b""]), st.booleans())
def test_any_body_is_unpacked_or_told(content: bytes, coding: bytes, cut: bool) -> None:
    """Whatever a server packs, the result is bounded and nothing raises."""
    found = unpack(Body(content, cut), [(b"content-encoding", coding)], 50)

    assert isinstance(found, Trouble) or len(found.content) <= max(50, len(content) if not coding else 0)
