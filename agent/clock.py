"""The only module of the agent that reads a clock: wall time for records, boot time for the rest.

The agent and its probes must agree on what time it is, so this is the probes' own clock.
"""

from probes.kit.clock import SystemClock
from probes.kit.spec import Clock

__all__ = ["Clock", "SystemClock"]
