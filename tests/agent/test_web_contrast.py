"""The stylesheet's colours can be read: WCAG 2.2 contrast, in light and in dark."""

import re
from importlib.resources import files

import pytest

CSS = (files("agent.web") / "static" / "page.css").read_text()
BLOCKS = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
LIGHT = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", BLOCKS[0]))
THEMES = {"light": LIGHT, "dark": {**LIGHT, **dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", BLOCKS[1]))}}

# text -> what it stands on
PAIRS = [
    *((text, ground) for text in ("ink", "soft", "link") for ground in ("ground", "sheet", "tint")),
    *((state, "sheet") for state in ("ok", "degraded", "failed", "suspected", "masked", "unknown")),
    *((state, "tint") for state in ("masked", "unknown")),
    ("failed", "failed-tint"),
    ("ink", "failed-tint"),
    ("soft", "failed-tint"),
    ("suspected", "suspected-tint"),
    ("ok", "suspected-tint"),
    ("soft", "suspected-tint"),
    ("ok", "ok-tint"),
    ("soft", "ok-tint"),
    ("unknown", "unknown-tint"),
    ("soft", "unknown-tint"),
]


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rgb` or `#rrggbb` (WCAG 2.2, definition)."""
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    linear = []
    for part in (digits[0:2], digits[2:4], digits[4:6]):
        value = int(part, 16) / 255
        linear.append(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio, 1 to 21."""
    dark, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_can_be_read(theme: str, text: str, ground: str) -> None:
    """Text reaches 4.5 to 1 (WCAG 2.2, 1.4.3, level AA)."""
    colours = THEMES[theme]
    assert contrast(colours[text], colours[ground]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_party_colours_are_seen(theme: str) -> None:
    """The bars of the parties stand out from the sheet, and no two parties share a colour."""
    colours = [THEMES[theme][f"p{n}"] for n in range(8)]
    assert len(set(colours)) == 8
    assert all(contrast(c, THEMES[theme]["sheet"]) >= 1.6 for c in colours)
