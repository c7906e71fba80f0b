"""The only module of the probes that reads a clock."""

import time


class SystemClock:
    """The host's clocks. Boot time counts suspend, so a suspended host shows as a gap."""

    def boot(self) -> float:
        """Return CLOCK_BOOTTIME in seconds."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall(self) -> float:
        """Return CLOCK_REALTIME in seconds (UTC epoch)."""
        return time.time()
