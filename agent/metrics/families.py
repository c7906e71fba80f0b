"""Every metric family of the agent, in the order of the exposition and of docs/metrics.md.

Names and labels are public (design.md, *Metrics*). No row puts free text, an SPI or a cookie into a label.
"""

from agent.metrics.agent_families import AGENT_FAMILIES
from agent.metrics.chain_families import CHAIN_FAMILIES
from agent.metrics.drift_families import DRIFT_FAMILIES
from agent.metrics.family import AnyFamily, FamilyKind
from agent.metrics.probe_families import PROBE_FAMILIES

FAMILIES: tuple[AnyFamily, ...] = (*PROBE_FAMILIES, *CHAIN_FAMILIES, *DRIFT_FAMILIES, *AGENT_FAMILIES)

__all__ = ["FAMILIES", "AnyFamily", "FamilyKind"]
