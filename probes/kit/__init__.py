"""What every probe type shares: result and specification values, clocks, name resolution, secrets."""
