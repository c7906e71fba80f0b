"""The Prometheus exposition of one agent.

`Metrics` collects in the daemon's loop, `render` writes a view of it in a thread.
"""

from agent.metrics.exposition import render
from agent.metrics.record import Metrics

__all__ = ["Metrics", "render"]
