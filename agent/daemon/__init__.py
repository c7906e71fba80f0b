"""The running agent: schedule, attempts, confirmation, self-check, peers."""
