"""The only module of the probes that reads a clock."""

import time
from functools import partial


class SystemClock:
    """The host's clocks. Boot time counts suspend, so a suspended host shows as a gap."""

    # No methods of our own: a packet asks for the time twice, and each frame that is left out counts.
    boot = staticmethod(partial(time.clock_gettime, time.CLOCK_BOOTTIME))
    """Return CLOCK_BOOTTIME in seconds."""
    wall = staticmethod(time.time)
    """Return CLOCK_REALTIME in seconds (UTC epoch)."""
