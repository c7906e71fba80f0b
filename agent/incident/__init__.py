"""Incidents: a diagnosis that lasts, from suspected to closed. Pure: values in, values out."""
