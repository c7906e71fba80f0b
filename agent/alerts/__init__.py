"""Direct push of incident alerts to Alertmanager.

`Notifier` is the sink; `plan` decides what fires, `message` words it, `push` sends it.
"""

from agent.alerts.message import ALERTNAME
from agent.alerts.notifier import Handed, Notifier
from agent.alerts.plan import Work

__all__ = ["ALERTNAME", "Handed", "Notifier", "Work"]
