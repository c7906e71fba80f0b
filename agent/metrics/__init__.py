"""The Prometheus exposition of one agent."""
