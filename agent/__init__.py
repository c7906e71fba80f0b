"""demarc's daemon: chain model, schedule, diagnosis, incidents, record and what shows them.

One-way flow: chain and agent file -> schedule -> probe -> observation -> diagnosis -> incident
-> ledger, metrics, log, alerts; ledger and observations -> status page, report, replay.
"""

__version__ = "0.1.0"
