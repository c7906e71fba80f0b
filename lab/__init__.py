"""A hybrid environment on one machine: namespaces, a real VPN, applications, Microsoft simulated, faults.

From a checkout only: `python -m lab up`. Imports nothing of the product; runs its console command.
"""
