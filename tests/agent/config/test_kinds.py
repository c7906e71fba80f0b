"""Kinds: what annotations of a settings struct mean, for the reader and for the schema."""

import enum
from typing import Annotated, Any, Literal, Optional

import msgspec
import pytest
from msgspec import UNSET, Meta

from agent.config.document import Mapping, parse
from agent.config.kinds import fields_of, kind_of
from agent.config.problem import Report
from probes.kit.spec import Duration


class Colour(enum.StrEnum):
    RED = "red"


class Inner(msgspec.Struct, frozen=True):
    depth: int


READ: list[tuple[Any, str, object]] = [
    (str, "x", "x"),
    (int, "3", 3),
    (float, "3", 3.0),
    (bool, "true", True),
    (Duration, "2s", 2.0),
    (str | None, "x", "x"),
    (Optional[int], "3", 3),  # noqa: UP045 - the older spelling is what this case is about
    (Literal["a", "b"], "b", "b"),
    (Literal[4, 6], "6", 6),
    (tuple[str, ...], "[a, b]", ("a", "b")),
    (list[int], "[1]", (1,)),
    (dict[str, int], "{a: 1}", {"a": 1}),
    (Colour, "red", Colour.RED),
    (Inner, "{depth: 2}", Inner(depth=2)),
    (tuple[Inner, ...], "[{depth: 1}]", (Inner(depth=1),)),
    (Annotated[int, Meta(ge=1, le=9)], "9", 9),
    (Annotated[Duration, Meta(gt=0)], "1s", 1.0),
    (Annotated[str, Meta(pattern="^a")], "ab", "ab"),
]


def read(annotation: Any, written: str) -> tuple[Any, list[str]]:
    """Return what the annotation's kind reads, and the problems."""
    document = parse(f"key: {written}".encode(), "x")
    assert isinstance(document.root, Mapping)
    report = Report("x", document.line_of)
    value = kind_of(annotation).read(document.root.entries["key"].node, ("key",), report)
    return value, [p.text for p in report.problems]


@pytest.mark.parametrize(("annotation", "written", "value"), READ)
def test_read(annotation: Any, written: str, value: object) -> None:
    """Every annotation that a settings struct may use is read."""
    assert read(annotation, written) == (value, [])


REFUSED: list[tuple[Any, str, str]] = [
    (Annotated[int, Meta(ge=1, le=9)], "10", "10 is out of bounds; at most 9 is meant"),
    (Annotated[int, Meta(ge=1)], "0", "0 is out of bounds; at least 1 is meant"),
    (Annotated[Duration, Meta(gt=0)], "0s", "0.0 is out of bounds; more than 0 is meant"),
    (Annotated[float, Meta(lt=1)], "1", "1.0 is out of bounds; less than 1 is meant"),
    (Annotated[str, Meta(pattern="^a$")], "b", "`b` does not match `^a$`"),
    (Annotated[str, Meta(min_length=2)], "b", "`b` is too short; at least 2 are meant"),
    (Annotated[str, Meta(max_length=2)], "bcd", "`bcd` is too long; at most 2 are meant"),
    (Annotated[int, Meta(ge=1)], "x", "`x` is no whole number; write one such as 3, without quotes"),
    (Inner, "{}", "the key `depth` is missing; write `depth:` and whole number"),
    (Colour, "blue", "`blue` is not one of red"),
]


@pytest.mark.parametrize(("annotation", "written", "text"), REFUSED)
def test_refused(annotation: Any, written: str, text: str) -> None:
    """A value outside the bounds says what is meant."""
    assert read(annotation, written)[1] == [text]


@pytest.mark.parametrize("annotation", [bytes, object, int | str, tuple[int, str], dict[int, str]])
def test_no_kind(annotation: Any) -> None:
    """An annotation that no file can hold is a mistake in the probe type, found at once."""
    with pytest.raises(TypeError, match="no file can hold"):
        kind_of(annotation)


SCHEMAS: list[tuple[Any, dict[str, Any]]] = [
    (int, {"type": "integer"}),
    (Annotated[int, Meta(ge=1, lt=5)], {"type": "integer", "minimum": 1, "exclusiveMaximum": 5}),
    (tuple[bool, ...], {"type": "array", "items": {"type": "boolean"}}),
    (Literal[4, 6], {"enum": [4, 6]}),
    (dict[str, str], {"type": "object", "additionalProperties": {"type": "string"}}),
    (
        Inner,
        {
            "type": "object",
            "properties": {"depth": {"type": "integer"}},
            "additionalProperties": False,
            "required": ["depth"],
        },
    ),
]


@pytest.mark.parametrize(("annotation", "schema"), SCHEMAS)
def test_schema(annotation: Any, schema: dict[str, Any]) -> None:
    """The schema says what the reader accepts."""
    assert kind_of(annotation).schema() == schema


def test_fields() -> None:
    """A struct's own keys come before inherited ones, by their name in the file."""

    class Parent(msgspec.Struct, kw_only=True):
        last: str = ""

    class Child(Parent, kw_only=True, rename={"from_": "from"}):
        from_: Annotated[str, "where it starts"]
        tags: tuple[str, ...] = ()

    fields = fields_of(Child)
    assert list(fields) == ["from", "tags", "last"]
    assert (fields["from"].required, fields["from"].help) == (True, "where it starts")
    assert (fields["tags"].required, fields["tags"].default) == (False, ())
    assert fields["last"].default == ""
    assert fields["from"].default is UNSET


def test_word() -> None:
    """Bounds do not change what a value is called."""
    assert kind_of(Annotated[int, Meta(ge=1)]).word == "whole number"
