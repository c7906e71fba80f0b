"""docs/metrics.md, from the same tables as the exposition.

`python -m agent.metrics.reference docs/metrics.md` writes the page; a test asserts that the
committed one is current.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from agent.config import InstalledTypes
from agent.config.schema import specs
from agent.metrics.exposition import extra_name
from agent.metrics.families import FAMILIES
from agent.metrics.family import AnyFamily
from agent.metrics.probe_families import SELF_METRICS
from probes.kit.spec import Metric, Spec

_HEAD = """# Metrics

<!-- Written by `python -m agent.metrics.reference docs/metrics.md`; edit the code, not this page. -->

What an agent exposes at `/metrics`, as Prometheus text or OpenMetrics. Names and labels stay as they are.
Base units, 1 is good, UTC epoch seconds for moments. A series that is absent says that nothing is known:
`demarc_probe_success` is absent while a probe's result is unknown or overdue, and a phase that was not reached
has no duration. Probes run on their own timer, so a scrape sees the last result only; count with
`demarc_probe_results_total`. An agent exposes its own probes; segments, services and incidents are the whole
chain's, as this agent diagnoses them. No label holds free text.

Metadata joins by `group_left`: the share of failed results per service and type is

    sum by (svc, type) (
      rate(demarc_probe_results_total{outcome="failed"}[5m])
        * on (instance, probe) group_left (svc, type) demarc_probe_info
    )

## The agent

| metric | type | labels | meaning |
|---|---|---|---|
"""

_TYPES = """
## Probe types and the self-check

Each has the label `probe` (`self` for the self-check), and is absent while the probe's last result does not hold or
did not give it.

| metric | probe type | meaning |
|---|---|---|
"""

_TAIL = """
Beside these, `process_*` as every Prometheus client exposes them (processor time, memory, descriptors).
"""


def page(found: Iterable[Spec]) -> str:
    """Return the page for the probe types `found`."""
    rows = [_row(family) for family in FAMILIES]
    declared: dict[Metric, list[str]] = {metric: ["self"] for metric in SELF_METRICS}
    for spec in found:
        for metric in spec.metrics:
            declared.setdefault(metric, []).append(spec.type)
    types = [f"| `{extra_name(m)}` | {', '.join(names)} | {_sentence(m.help)} |" for m, names in declared.items()]
    return _HEAD + "\n".join(rows) + "\n" + _TYPES + "\n".join(types) + "\n" + _TAIL


def _row(family: AnyFamily) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    text = _sentence(family.help)
    if family.bounds:
        text += f" Buckets: {', '.join(f'{bound:g}' for bound in family.bounds)}."
    return f"| `{family.name}` | {family.kind.value} | {labels} | {text} |"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def main(arguments: list[str]) -> None:
    """Write the page to the file that the only argument names."""
    Path(arguments[0]).write_text(page(specs(InstalledTypes())), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
