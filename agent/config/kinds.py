"""The sorts of values that a file may hold: each reads a node, and describes itself.

A struct's annotations decide: `Annotated[str, LINE, "help"]` is read by LINE and documented with
"help"; plain types (those of a probe type's settings) have a kind of their own. What must stay
true: the reader, the JSON Schema and the reference come from the same objects, and reading never
stops at a fault: what cannot be read becomes UNSET, so that everything else is still checked.
"""

import enum
import types
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, Protocol, Union, get_args, get_origin

import msgspec
from msgspec import UNSET

from agent.config import document, scalars
from agent.config.document import Node, Scalar
from agent.config.problem import Report, Where, did_you_mean, shown
from probes.kit.spec import Duration

Schema = dict[str, Any]


class Kind(Protocol):
    """One sort of value. `word` names it in the reference."""

    @property
    def word(self) -> str:
        """Return its name for people: `duration`, `list of name`."""
        ...

    def read(self, node: Node, where: Where, report: Report) -> Any:
        """Return the value, or UNSET after having noted the problem."""
        ...

    def schema(self) -> Schema:
        """Return its JSON Schema (2020-12)."""
        ...


class ScalarKind(msgspec.Struct, frozen=True):
    """A single value; `parse` raises ValueError with what to write instead."""

    word: str
    parse: Callable[[Scalar], Any]
    described: Schema

    def read(self, node: Node, where: Where, report: Report) -> Any:
        """Return the parsed value."""
        if not isinstance(node, Scalar):
            report.problem(where, f"expected one value ({self.word}), not a {_shape(node)}", node.line)
            return UNSET
        try:
            return self.parse(node)
        except ValueError as error:
            report.problem(where, str(error), node.line)
            return UNSET

    def schema(self) -> Schema:
        """Return a copy of the declared schema."""
        return dict(self.described)


class ChoiceKind(msgspec.Struct, frozen=True):
    """One of a few words; `values` maps the word to the value."""

    values: dict[str, Any]

    @property
    def word(self) -> str:
        """Return the choices."""
        return " or ".join(f"`{name}`" for name in self.values)

    def read(self, node: Node, where: Where, report: Report) -> Any:
        """Return the chosen value."""
        written = node.text if isinstance(node, Scalar) else ""
        if written in self.values:
            return self.values[written]
        said = shown(written) if isinstance(node, Scalar) else f"a {_shape(node)}"
        hint = did_you_mean(written, self.values)
        report.problem(where, f"{said} is not one of {', '.join(self.values)}{hint}", node.line)
        return UNSET

    def schema(self) -> Schema:
        """Return an enum."""
        return {"enum": list(self.values.values())}


class ListKind(msgspec.Struct, frozen=True):
    """A list; an item that cannot be read stays in its place as UNSET."""

    item: Kind

    @property
    def word(self) -> str:
        """Return what it is a list of."""
        return f"list of {self.item.word}"

    def read(self, node: Node, where: Where, report: Report) -> Any:
        """Return the items as a tuple."""
        if not isinstance(node, document.Sequence):
            remedy = f"; write [{node.text[:40]}]" if isinstance(node, Scalar) and node.text.isprintable() else ""
            report.problem(where, f"expected a {self.word}, not a {_shape(node)}{remedy}", node.line)
            return UNSET
        return tuple(self.item.read(item, (*where, at), report) for at, item in enumerate(node.items))

    def schema(self) -> Schema:
        """Return an array."""
        return {"type": "array", "items": self.item.schema()}


class OneOrManyKind(msgspec.Struct, frozen=True):
    """One value or a list of them; always read as a tuple."""

    item: Kind

    @property
    def word(self) -> str:
        """Return both forms."""
        return f"{self.item.word}, or list of {self.item.word}"

    def read(self, node: Node, where: Where, report: Report) -> Any:
        """Return a tuple of one or more."""
        if isinstance(node, document.Sequence):
            return ListKind(self.item).read(node, where, report)
        value = self.item.read(node, where, report)
        return UNSET if value is UNSET else (value,)

    def schema(self) -> Schema:
        """Return either form."""
        return {"anyOf": [self.item.schema(), ListKind(self.item).schema()]}


class MapKind(msgspec.Struct, frozen=True):
    """Chosen names to values of one kind; `names` when the keys must be names."""

    item: Kind
    names: bool = True

    @property
    def word(self) -> str:
        """Return what it maps to."""
        return f"mapping: {'name' if self.names else 'text'} to {self.item.word}"

    def read(self, node: Node, where: Where, report: Report) -> Any:
        """Return a dict in the file's order; an entry with a bad value holds UNSET."""
        if not isinstance(node, document.Mapping):
            report.problem(where, f"expected a mapping (`name: ...` lines), not a {_shape(node)}", node.line)
            return UNSET
        values: dict[str, Any] = {}
        for key, entry in node.entries.items():
            fault = scalars.name_fault(key) if self.names else _key_fault(key)
            if fault:
                report.problem((*where, key), fault, entry.line)
            values[key] = self.item.read(entry.node, (*where, key), report)
        return values

    def schema(self) -> Schema:
        """Return an object with named members."""
        described: Schema = {"type": "object", "additionalProperties": self.item.schema()}
        if self.names:
            described["propertyNames"] = NAME.schema()
        return described


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One key: its name in the file and in the struct, and its help for the reference."""

    key: str
    attribute: str
    kind: Kind
    required: bool
    default: Any = UNSET
    help: str = ""


class StructKind(msgspec.Struct, frozen=True):
    """A mapping with fixed keys, read into `struct`; fields that cannot be read hold UNSET."""

    struct: type[msgspec.Struct]

    @property
    def word(self) -> str:
        """Name what it holds."""
        return "mapping with its keys"

    def read(self, node: Node, where: Where, report: Report) -> Any:
        """Return the struct, or UNSET when the node is no mapping."""
        if not isinstance(node, document.Mapping):
            names = _listed(fields_of(self.struct))
            report.problem(where, f"expected a mapping with the keys {names}, not a {_shape(node)}", node.line)
            return UNSET
        return self.struct(**read_fields(node, fields_of(self.struct), where, report))

    def schema(self) -> Schema:
        """Return an object that knows its keys."""
        return object_schema(fields_of(self.struct).values())


class AnyKind(msgspec.Struct, frozen=True):
    """Content that this version keeps and does not interpret."""

    word: str = "anything"

    def read(self, node: Node, where: Where, report: Report) -> Any:
        """Return plain values: dict, list, text, number, true, false or None."""
        match node:
            case document.Mapping():
                return {key: self.read(entry.node, where, report) for key, entry in node.entries.items()}
            case document.Sequence():
                return [self.read(item, where, report) for item in node.items]
            case _:
                return node.value

    def schema(self) -> Schema:
        """Allow everything."""
        return {}


class NodeKind(msgspec.Struct, frozen=True):
    """A node that is read later, when more is known (a probe, once its type is)."""

    word: str = "mapping"

    def read(self, node: Node, where: Where, report: Report) -> Any:  # noqa: ARG002 - every kind reads alike
        """Return the node itself."""
        return node

    def schema(self) -> Schema:
        """Allow everything; the schema of probes is written apart."""
        return {}


class BoundedKind(msgspec.Struct, frozen=True):
    """A kind with the bounds of a `msgspec.Meta`: ge, gt, le, lt, pattern, lengths."""

    inner: Kind
    meta: msgspec.Meta

    @property
    def word(self) -> str:
        """Return the inner kind's name."""
        return self.inner.word

    def read(self, node: Node, where: Where, report: Report) -> Any:
        """Return the value when it keeps the bounds."""
        value = self.inner.read(node, where, report)
        if value is UNSET:
            return UNSET
        if fault := scalars.out_of_bounds(value, self.meta):
            report.problem(where, fault, node.line)
            return UNSET
        return value

    def schema(self) -> Schema:
        """Return the inner schema with the bounds."""
        names = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
        names |= {"pattern": "pattern", "min_length": "minLength", "max_length": "maxLength"}
        bounds = {to: getattr(self.meta, name) for name, to in names.items()}
        return self.inner.schema() | {to: bound for to, bound in bounds.items() if bound is not None}


def read_fields(node: document.Mapping, fields: Mapping[str, Field], where: Where, report: Report) -> dict[str, Any]:
    """Return attribute values of the keys present (UNSET when unreadable or required and absent)."""
    values: dict[str, Any] = {}
    for key, entry in node.entries.items():
        field = fields.get(key)
        if field is None:
            hint = did_you_mean(key, fields) or f"; the keys are {_listed(fields)}"
            report.problem((*where, key), f"no such key{hint}", entry.line)
            continue
        values[field.attribute] = field.kind.read(entry.node, (*where, key), report)
    for field in fields.values():
        if field.required and field.key not in node.entries:
            report.problem(where, f"the key `{field.key}` is missing; write `{field.key}:` and {field.kind.word}")
            values[field.attribute] = UNSET
    return values


def object_schema(fields: Iterable[Field]) -> Schema:
    """Return the JSON Schema of a mapping with these keys and no others."""
    listed = tuple(fields)
    properties = {f.key: f.kind.schema() | ({"description": f.help} if f.help else {}) for f in listed}
    described: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required := [f.key for f in listed if f.required]:
        described["required"] = required
    return described


@cache
def fields_of(struct: type[msgspec.Struct]) -> Mapping[str, Field]:
    """Return the keys by their name in the file: the struct's own in its order, then inherited ones."""
    fields = {}
    parents = [parent for parent in struct.__bases__ if parent is not msgspec.Struct]
    inherited = {info.name for parent in parents for info in msgspec.structs.fields(parent)}
    for info in sorted(msgspec.structs.fields(struct), key=lambda info: info.name in inherited):
        notes = get_args(info.type)[1:] if get_origin(info.type) is Annotated else ()
        default = UNSET if info.default is msgspec.NODEFAULT else info.default
        if info.default_factory is not msgspec.NODEFAULT:
            default = info.default_factory()
        fields[info.encode_name] = Field(
            key=info.encode_name,
            attribute=info.name,
            kind=kind_of(info.type),
            required=info.required,
            default=default,
            help=next((note for note in notes if isinstance(note, str)), ""),
        )
    return types.MappingProxyType(fields)


def kind_of(annotation: Any) -> Kind:
    """Return how values of this annotation are read; TypeError for one that no file can hold."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotated(args[0], args[1:])
    if origin in (Union, types.UnionType) and len(rest := [a for a in args if a is not type(None)]) == 1:
        return kind_of(rest[0])
    if origin is Literal:
        return ChoiceKind({str(value): value for value in args})
    if origin in (tuple, list) and (len(args) == 1 or args[1:] == (Ellipsis,)):
        return OneOrManyKind(PLAIN[str]) if args[0] is str else ListKind(kind_of(args[0]))
    if origin is dict and args[0] is str:
        return MapKind(kind_of(args[1]), names=False)
    if isinstance(annotation, type):
        if issubclass(annotation, enum.Enum):
            return ChoiceKind({str(member.value): member for member in annotation})
        if issubclass(annotation, msgspec.Struct):
            return StructKind(annotation)
        if annotation in PLAIN:
            return PLAIN[annotation]
    raise TypeError(f"no file can hold a value of type {annotation!r}")


def _annotated(inner: Any, notes: tuple[Any, ...]) -> Kind:
    kind: Kind | None = next((note for note in notes if hasattr(note, "read") and hasattr(note, "schema")), None)
    kind = kind or kind_of(inner)
    for note in notes:
        if isinstance(note, msgspec.Meta):
            kind = BoundedKind(kind, note)
    return kind


def _listed(fields: Mapping[str, Field]) -> str:
    return ", ".join(key for key, field in fields.items() if not isinstance(field.kind, AnyKind))


def _key_fault(key: str) -> str:
    return "" if key and key.isprintable() else "is no key; write a word"


def _shape(node: Node) -> str:
    match node:
        case document.Mapping():
            return "mapping"
        case document.Sequence():
            return "list"
        case Scalar(value=None):
            return "missing value"
        case _:
            return f"value ({shown(node.text)})"


_NAME_SCHEMA: Schema = {"type": "string", "pattern": f"^{scalars.NAME.pattern}$", "not": {"const": "self"}}
_HOURS_SCHEMA: Schema = {"type": "string", "examples": ["Mo-Fr 07:00-19:00", "24/7"]}

NAME = ScalarKind("name", scalars.name, _NAME_SCHEMA)
LINE = ScalarKind("text", scalars.line, {"type": "string", "minLength": 1})
PROSE = ScalarKind("text", scalars.prose, {"type": "string"})
HOURS = ScalarKind("hours", scalars.hours, _HOURS_SCHEMA)
LOCAL_TIME = ScalarKind("local date and time", scalars.local_time, {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT"})
DAY = ScalarKind("date", scalars.day, {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"})
URL = ScalarKind("web address", scalars.url, {"type": "string", "pattern": "^https?://"})
PERCENTAGE = ScalarKind("percentage", scalars.percentage, {"type": "string", "pattern": r"^[0-9.]+ ?%$"})
DURATION = ScalarKind(
    "duration",
    scalars.duration,
    {"anyOf": [{"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$"}, {"type": "number", "minimum": 0}]},
)
PLAIN: Mapping[type, Kind] = types.MappingProxyType(
    {
        str: ScalarKind("text", scalars.text, {"type": "string"}),
        int: ScalarKind("whole number", scalars.integer, {"type": "integer"}),
        float: ScalarKind("number", scalars.number, {"type": "number"}),
        bool: ScalarKind("true or false", scalars.boolean, {"type": "boolean"}),
        Duration: DURATION,
    }
)
