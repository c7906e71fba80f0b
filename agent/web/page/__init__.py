"""The status page: the chain, its owners, the demarcation line, the findings in plain sentences."""

from agent.web.page.site import routes

__all__ = ["routes"]
