"""The monthly service-level report, a pure function of records and chain file."""
