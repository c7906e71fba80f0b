"""Direct push of incident alerts to Alertmanager."""
