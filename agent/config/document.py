"""YAML text to a tree of nodes that know their line; every fault of the text at once.

The C parser's events are read one by one rather than composed: so nesting, aliases and size are
bounded before they cost anything, and a line is kept for every key. What must stay true: any bytes
give a `Document`, never an exception; plain scalars mean what the YAML 1.2 core schema says
(section 10.3 of the specification, revision 1.2.2), so `no`, `on`, dates and `1:30` are text.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec
import yaml

from agent.config.problem import Problem, Where, key_path, shown

MAX_BYTES = 8 << 20  # 5,000 probes written out in full take about 1.5 MB
MAX_NODES = 1_000_000  # nodes after aliases are expanded; 5,000 probes are about 150,000
MAX_DEPTH = 32  # the deepest contract form has 5 levels


class Scalar(msgspec.Struct, frozen=True):
    """One value: its text as written, and what the core schema makes of it."""

    line: int
    text: str
    value: str | int | float | bool | None
    size: int = 1


class Sequence(msgspec.Struct, frozen=True):
    """A list; `size` counts the nodes in it, itself included, with aliases expanded."""

    line: int
    items: tuple["Node", ...]
    size: int


class Entry(msgspec.Struct, frozen=True):
    """A value of a mapping, with the line of its key."""

    line: int
    node: "Node"


class Mapping(msgspec.Struct, frozen=True):
    """Keys (text, each once) in the file's order."""

    line: int
    entries: dict[str, Entry]
    size: int


Node = Scalar | Sequence | Mapping


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """The tree of one file; `root` is None when the text is no YAML or holds nothing."""

    file: str
    root: Node | None
    problems: tuple[Problem, ...]

    def line_of(self, where: Where) -> int:
        """Return the line of `where`, or of the nearest enclosing key that exists."""
        node, line = self.root, 1
        for step in where:
            if isinstance(node, Mapping) and step in node.entries:
                entry = node.entries[str(step)]
                node, line = entry.node, entry.line
            elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
                line = node.line
            else:
                return line
        return node.line if isinstance(node, Scalar) else line


_NULLS = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WORDS: dict[str, bool | float | None] = {
    **_NULLS,
    **_BOOLS,
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INT_DIGITS = 32  # more is read as a float: int() of thousands of digits is slow and then refused


def core_value(text: str) -> str | int | float | bool | None:
    """Return what a plain scalar means in the YAML 1.2 core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "-+.0123456789":
        return text
    if _BASED.fullmatch(text) and len(text) <= _INT_DIGITS:
        return int(text, 0)
    if _DECIMAL.fullmatch(text) and len(text) <= _INT_DIGITS:
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS: dict[str, tuple[type, ...]] = {
    _TAG + "int": (int,),
    _TAG + "float": (float, int),
    _TAG + "bool": (bool,),
    _TAG + "null": (type(None),),
}
_TEXT_TAGS = (_TAG + "str", "!")
_REMEDIES = {
    "found character that cannot start any token": "; indent with spaces, and quote text that starts with @, ` or %",
    "mapping values are not allowed in this context": "; quote text that holds `: `, or check the indentation",
    "could not find expected ':'": "; a key needs `: ` after it, and its children more indentation",
    "did not find expected key": "; check the indentation and unclosed quotes",
    "found unexpected end of stream": "; a quote is not closed",
    "found incompatible YAML document": "; remove the %YAML line",
}


class _Stop(Exception):  # noqa: N818 - ends the reading; the problem is already noted
    """The rest of the text cannot be read."""


class _Open:
    """A collection that is being read; `pending` is the key that waits for its value."""

    def __init__(self, line: int, anchor: str | None, *, mapping: bool) -> None:
        self.line = line
        self.anchor = anchor
        self.mapping = mapping
        self.items: list[Node] = []
        self.entries: dict[str, Entry] = {}
        self.pending: tuple[str | None, int] | None = None
        self.size = 1

    def close(self) -> Node:
        if self.mapping:
            return Mapping(self.line, self.entries, self.size)
        return Sequence(self.line, tuple(self.items), self.size)


class _Composer:
    """Events to nodes. A fault in a key drops that entry only; the reading goes on."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.root: Node | None = None
        self.documents = 0
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._nodes = 0

    def feed(self, event: Any) -> None:
        """Take one parser event."""
        line = event.start_mark.line + 1
        match event:
            case yaml.ScalarEvent():
                self._add(self._scalar(event, line), event.anchor)
            case yaml.AliasEvent():
                self._alias(event.anchor or "", line)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._open(event, line)
            case yaml.CollectionEndEvent():
                opened = self._stack.pop()
                self._add(opened.close(), opened.anchor)
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    self._fatal(line, "a second document starts here; keep one document in a file, remove this `---`")

    def problem(self, line: int, text: str) -> None:
        """Note a fault at `line`, in the collection that is being read."""
        self.problems.append(Problem(file=self.file, line=line, key=key_path(self._where()), text=text))

    def unreadable(self, line: int, text: str) -> None:
        """Note why the text cannot be read on from `line`: where in the tree is not known."""
        self.problems.append(Problem(file=self.file, line=line, key="", text=text))

    def _fatal(self, line: int, text: str) -> None:
        self.problem(line, text)
        raise _Stop

    def _where(self) -> Where:
        steps: list[str | int] = []
        for opened in self._stack:
            if not opened.mapping:
                steps.append(len(opened.items))
            elif opened.pending is not None and opened.pending[0] is not None:
                steps.append(opened.pending[0])
        return tuple(steps)

    def _open(self, event: Any, line: int) -> None:
        mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", _TAG + ("map" if mapping else "seq")):
            self.problem(line, f"tags mean nothing here; remove {shown(_written(event.tag))}")
        if len(self._stack) >= MAX_DEPTH:
            self._fatal(line, f"more than {MAX_DEPTH} levels deep; no key of this file goes so deep")
        self._stack.append(_Open(line, event.anchor, mapping=mapping))

    def _scalar(self, event: Any, line: int) -> Scalar:
        text, tag = event.value, event.tag
        plain = event.implicit[0]
        if tag is None:
            return Scalar(line, text, core_value(text) if plain else text)
        if tag in _TEXT_TAGS:
            return Scalar(line, text, text)
        value = core_value(text)
        if tag not in _SCALAR_TAGS:
            self.problem(line, f"tags mean nothing here; remove {shown(_written(tag))}")
        elif not isinstance(value, _SCALAR_TAGS[tag]):
            self.problem(line, f"{shown(text)} is not what its tag {shown(_written(tag))} says; remove the tag")
        return Scalar(line, text, value)

    def _alias(self, anchor: str, line: int) -> None:
        node = self._anchors.get(anchor)
        if node is None:
            self.problem(line, f"no anchor {shown('&' + anchor)} ends before this alias {shown('*' + anchor)}")
            node = Scalar(line, "", None)
        self._add(node, None, count=node.size)

    def _add(self, node: Node, anchor: str | None, count: int = 1) -> None:
        self._nodes += count
        if self._nodes > MAX_NODES:
            self._fatal(node.line, f"more than {MAX_NODES} values once aliases are expanded; write fewer aliases")
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._stack:
            self.root = node
            return
        parent = self._stack[-1]
        parent.size += node.size
        if not parent.mapping:
            parent.items.append(node)
        elif parent.pending is None:
            parent.pending = (self._key(node, parent), node.line)
        else:
            (key, line), parent.pending = parent.pending, None
            if key is not None:
                parent.entries[key] = Entry(line, node)

    def _key(self, node: Node, parent: _Open) -> str | None:
        """Return the key that `node` is, or None when its entry must be dropped."""
        if not isinstance(node, Scalar):
            self.problem(node.line, "a key must be text; a `{` or `[` may lack its quotes")
        elif not isinstance(node.value, str):
            self.problem(node.line, f'the key {shown(node.text)} is not text; write it in quotes: "{node.text[:40]}"')
        elif node.text == "<<":
            self.problem(node.line, "merge keys are not read; write the keys out, or alias the whole value")
        elif node.text in parent.entries:
            first = parent.entries[node.text].line
            self.problem(node.line, f"the key {shown(node.text)} stands at line {first} already; keep one of them")
        else:
            return node.text
        return None


def _written(tag: str) -> str:
    return "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag


def parse(data: bytes, file: str) -> Document:
    """Return the tree of `data`; `file` is the name that problems carry."""
    composer = _Composer(file)
    try:
        _compose(data, composer)
    except _Stop:
        composer.root = None
    if composer.root is None and not composer.problems:
        composer.problem(1, "the file is empty")
    return Document(file=file, root=composer.root, problems=tuple(sorted(composer.problems, key=_line)))


def _line(problem: Problem) -> int:
    return problem.line


def _compose(data: bytes, composer: _Composer) -> None:
    if len(data) > MAX_BYTES:
        composer.unreadable(1, f"the file has {len(data)} bytes; at most {MAX_BYTES} are read")
        raise _Stop
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        composer.unreadable(line, f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8")
        raise _Stop from None
    try:
        for event in _events(text):
            composer.feed(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or "unreadable"
        line = min(mark.line, text.count("\n")) + 1 if mark else 1
        composer.unreadable(line, f"not valid YAML: {problem}{_REMEDIES.get(problem, '')}")
        raise _Stop from None
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n") + 1
        composer.unreadable(line, f"not valid YAML: {error.reason}; remove the character")
        raise _Stop from None


def _events(text: str) -> Iterable[Any]:
    return yaml.parse(text, Loader=yaml.CSafeLoader)
