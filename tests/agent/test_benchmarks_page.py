"""docs/benchmarks.md: renewed group by group."""

from pathlib import Path

from tools.bench.table import Row, renewed, section

ABOUT = "What one costs.\n\nHow it is measured is no business of the page."
ORDER = ("one", "two")
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def test_renewing_a_group_leaves_the_others() -> None:
    """A section is replaced in its place, the others keep every byte."""
    both = renewed("", ORDER, {name: section(ABOUT, [Row(what=name, measured="1 s", goal="2 s")]) for name in ORDER})
    assert both.index("## one\n") < both.index("## two\n")
    again = renewed(both, ORDER, {"one": section(ABOUT, [Row(what="one", measured="3 s")])})
    assert again == both.replace("| one | 1 s | 2 s |", "| one | 3 s |  |")
    assert "What one costs." in again
    assert "business" not in again


def test_group_that_is_gone_leaves_the_page() -> None:
    """A section that no group renews is dropped."""
    both = renewed("", ORDER, {name: section(ABOUT, []) for name in ORDER})
    assert "## one" not in renewed(both, ("two",), {})


def test_page_is_in_its_own_form() -> None:
    """The committed page is what renewing nothing leaves."""
    text = PAGE.read_text()
    groups = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert renewed(text, groups, {}) == text
