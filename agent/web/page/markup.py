"""HTML from values: every text is escaped unless it is already Markup. Pure.

Small on purpose: elements, attributes and text are all that the page needs, and a template engine
would be one more dependency on a host that holds keys.
"""

from collections.abc import Iterable
from typing import Final


class Markup(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


Child = str | Iterable[str]
# What html.escape() makes of text, whose module brings every named character along: a third of a megabyte.
_ESCAPED: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
# HTML Living Standard, section 13.1.2 "Void elements"; those that the page uses.
_VOID: Final = frozenset(("link", "meta"))
NOTHING: Final = Markup("")


def el(name: str, /, *children: Child, **attributes: str | bool | None) -> Markup:
    """Return an element.

    Attribute names lose a trailing underscore (`class_`) and have others turned into dashes
    (`data_label`). True gives a bare attribute; None, False and an empty class are left out.
    """
    if name not in _VOID:
        return Markup(f"<{name}{_attributes(attributes)}>{joined(*children)}</{name}>")
    return Markup(f"<{name}{_attributes(attributes)}>")


def joined(*children: Child) -> Markup:
    """Return the children one after the other, escaped where they are plain text."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, str):
            parts.append(text(child))
        else:
            parts.extend(text(item) for item in child)
    return Markup("".join(parts))


def text(value: str) -> Markup:
    """Return `value` safe for element content and double-quoted attributes."""
    return value if isinstance(value, Markup) else Markup(value.translate(_ESCAPED))


def _attributes(attributes: dict[str, str | bool | None]) -> str:
    parts = []
    for key, value in attributes.items():
        if value is None or value is False or (value == "" and key == "class_"):
            continue
        name = key.rstrip("_").replace("_", "-")
        parts.append(f" {name}" if value is True else f' {name}="{text(str(value))}"')
    return "".join(parts)
