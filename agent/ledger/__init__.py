"""The append-only signed record; FORMAT.md in this folder is its specification."""
