"""docs/metrics.md is what the tables say, and the tables keep Prometheus' habits."""

import re
from pathlib import Path

import pytest

from agent.config import InstalledTypes
from agent.config.schema import specs
from agent.metrics.exposition import extra_name
from agent.metrics.families import FAMILIES
from agent.metrics.family import AnyFamily, FamilyKind
from agent.metrics.reference import main
from agent.metrics.text import heading

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"


def test_the_committed_page_is_current(tmp_path: Path) -> None:
    """The committed page is what `python -m agent.metrics.reference docs/metrics.md` writes."""
    main([str(tmp_path / "page.md")])
    assert PAGE.read_text(encoding="utf-8") == (tmp_path / "page.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_names(family: AnyFamily) -> None:
    """One prefix, `_total` on counters only, no label that target labels take, no `_created`."""
    assert re.fullmatch(r"demarc_[a-z_]+", family.name)
    assert family.name.endswith("_total") is (family.kind is FamilyKind.COUNTER)
    assert not {"service", "owner", "instance", "job"} & set(family.labels)
    assert family.name.endswith("_info") is (family.kind is FamilyKind.INFO)
    assert bool(family.bounds) is (family.kind is FamilyKind.HISTOGRAM)
    assert family.help.endswith(".")


def test_no_name_stands_twice() -> None:
    """Families and metrics have different names, in both formats; types that share a name share the metric."""
    names = [family.name for family in FAMILIES]
    names += [extra_name(metric) for metric in {m for spec in specs(InstalledTypes()) for m in spec.metrics}]
    assert len(names) == len(set(names))
    headings = [heading(family, openmetrics=True).split()[2] for family in FAMILIES]
    assert len(headings) == len(set(headings))
