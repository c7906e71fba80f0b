"""The HTTP server: status page, API, metrics, health, reload."""
