"""The Prometheus exposition of one agent.

`Metrics` collects in the daemon's loop, `Exposition` writes a view of it in a thread.
"""

from agent.metrics.exposition import Exposition
from agent.metrics.record import Metrics

__all__ = ["Exposition", "Metrics"]
