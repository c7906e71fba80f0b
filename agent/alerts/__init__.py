"""Direct push of incident alerts to Alertmanager.

`Notifier` is the sink; `plan` decides what fires, `message` words it, `push` sends it.
"""

from agent.alerts.notifier import Notifier

__all__ = ["Notifier"]
