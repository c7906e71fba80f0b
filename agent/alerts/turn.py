"""Which agent pages when several could: one vantage pages each party, the others take over its silence. Pure.

Agents that push to the same Alertmanager would page everybody twice. The first vantage in order pages (those of
the director's operator, then as the chain file lists them); a later one waits while an earlier one was heard
lately. What must stay true: nobody waits longer than HOLD_SECONDS for a page that no earlier agent reports as
fired, and nobody waits for an agent that pages somewhere else.
"""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from agent.incident.value import Incident
from agent.model import Chain
from agent.seal import Pages, place

HOLD_SECONDS = 30.0
"""How long a silence lasts before another agent takes over."""


class Turn:
    """What this agent knows of the others' paging. Times are UTC epoch seconds."""

    def __init__(self, chain: Chain, vantage: str, urls: Iterable[str]) -> None:
        """`urls` are our own Alertmanagers; only who pages by one of them can page for us."""
        self.places = frozenset(place(url) for url in urls if not is_loopback(url))
        self._vantage = vantage
        self._heard: dict[str, float] = {}
        self._told: dict[tuple[str, str], float] = {}
        self._wanted: dict[tuple[str, str], float] = {}
        self.configure(chain)

    def configure(self, chain: Chain) -> None:
        """Take up a chain: the order of its vantages."""
        order = sorted(chain.vantages.values(), key=lambda v: v.operator != chain.director)
        names = [vantage.id for vantage in order]
        self._earlier = frozenset(names[: names.index(self._vantage)] if self._vantage in names else ())

    def heard(self, vantage: str, pages: Pages, now: float) -> None:
        """Take what another agent says that it pages."""
        if vantage not in self._earlier or not self.places.intersection(pages.via):
            return
        self._heard[vantage] = now
        self._told = {what: at for what, at in self._told.items() if now - at < HOLD_SECONDS}
        self._told |= {(to, segment): now for to, segments in pages.alerts for segment in segments}

    def waits(self, incident: Incident, to: str, now: float) -> bool:
        """Say whether the page of `incident` to `to` is left to another agent for now."""
        since = self._wanted.setdefault((incident.id, to), now)
        told = (self._told.get((to, segment), since) for segment in incident.segments)
        heard = any(now - at < HOLD_SECONDS for at in self._heard.values())
        return heard and now - max(since, *told, since) < HOLD_SECONDS

    def keep(self, incidents: Iterable[str]) -> None:
        """Forget all incidents but these."""
        known = frozenset(incidents)
        self._wanted = {key: at for key, at in self._wanted.items() if key[0] in known}


def is_loopback(url: str) -> bool:
    """Say whether a URL names this host itself, so that another host means another server by it."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
