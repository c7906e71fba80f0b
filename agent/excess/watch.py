"""What every probe of a chain shows beyond its usual. Pure.

Only chains whose services name a margin (`norm: {delay, loss}`) are watched. A round trip is what the wire took
(echo, handshake, datagram), a response what the server took after the handshake: a whole attempt of a web probe
holds several round trips and would not add up with others. What must stay true: nothing is learned from a probe
that something open may touch, and a probe without a reference shows nothing.
"""

import math
from collections.abc import Collection, Mapping
from zoneinfo import ZoneInfo

from agent.excess.bounds import Element, Shown, elements_of
from agent.excess.reference import SavedSketch
from agent.excess.series import LOST, Rise, Series
from agent.excess.trigger import Cusum
from agent.model import Chain, Probe
from agent.observation import Observation
from probes.kit.result import Outcome, Stage
from probes.kit.spec import Evidence

ROUND_TRIP, RESPONSE, LOSS = "round-trip", "response", "loss"
KINDS = (ROUND_TRIP, RESPONSE, LOSS)
# The phase of an attempt that is one round trip, by the protocol of its flow.
_PHASE = {"icmp": "answer", "tcp": "connect", "udp": "answer"}
# What has not been heard of for so long (s) beyond two intervals shows nothing: a peer may be silent.
_STALE_SECONDS = 15.0
# Half a margin: who worsens a line in steps, each of them learned as usual, shows at one and a half margins.
_CREEP = 0.5

SavedSeries = dict[str, SavedSketch]


class Watch:
    """The series of a chain's probes, of every vantage."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        services = chain.services.values()
        delays = [s.delay_margin for s in services if s.delay_margin is not None]
        losses = [s.loss_margin for s in services if s.loss_margin is not None]
        norms = {s.id for s in services if s.delay_margin is not None or s.loss_margin is not None}
        self.watched = tuple(p for p in chain.probes.values() if p.service in norms and _is_path(p))
        """The probes whose services have a margin."""
        self.probes = {p.key: p for p in chain.probes.values() if _is_path(p)} if self.watched else {}
        self._rise = Rise(_CREEP * min(delays, default=0.0), _CREEP * min(losses, default=0.0))
        self._zone = ZoneInfo(chain.timezone)
        self._saved: Mapping[str, SavedSeries] = {}
        self._series: dict[tuple[str, str], Series] = {}
        self._neighbours: dict[str, tuple[str, ...]] = {}
        self._elements = {key: elements_of(probe) for key, probe in self.probes.items()}
        homes = {v.segment: v.operator for v in chain.vantages.values()}
        self.held = {
            s.id: frozenset((*s.owners, *((homes[s.id],) if s.id in homes else ()))) for s in chain.segments.values()
        }
        """Who may hold each segment; a vantage's own is its operator's too, as in `Model.remains`."""
        self.owners: dict[Element, frozenset[str]] = {
            element: self.held[element.segment]
            for key, probe in self.probes.items()
            for element in (*self._elements[key], served(probe))
        }
        """Who may hold each element."""

    def recall(self, saved: Mapping[str, SavedSeries]) -> None:
        """Go on from what an earlier `save` returned; before the first observation."""
        self._saved = saved

    def elements(self, key: str) -> frozenset[Element]:
        """Return the elements that the round trip of a probe passes."""
        return self._elements[key]

    def touching(self, keys: Collection[str]) -> frozenset[str]:
        """Return the probes that share an element with one of `keys`, other than the host that they start from."""
        known = [self.probes[key] for key in keys if key in self.probes]
        hit = {e for p in known for e in self._elements[p.key] if e.segment != p.path[0]}
        return frozenset(key for key, elements in self._elements.items() if not hit.isdisjoint(elements)) | set(keys)

    def _near(self, key: str) -> tuple[str, ...]:
        known = self._neighbours.get(key)
        if known is None:
            touching = self.touching((key,))
            known = self._neighbours[key] = tuple(k for k in self.probes if k in touching)
        return known

    def observe(self, observation: Observation, *, learn: bool) -> None:
        """Take one observation of any vantage; what could not be looked at shows nothing."""
        probe = self.probes.get(observation.key)
        if probe is None or not observation.verified:
            return
        silent = observation.stage is Stage.CONNECT and observation.fault == "timeout"
        if observation.outcome is Outcome.FAILED and silent:
            self._get(probe, ROUND_TRIP).add(observation.time, LOST, learn=learn)
        elif observation.outcome in (Outcome.OK, Outcome.DEGRADED):
            for kind, seconds in durations(probe, observation.phases).items():
                self._get(probe, kind).add(observation.time, seconds, learn=learn)

    def series(self, key: str, kind: str) -> Series | None:
        """Return a series that holds attempts; loss is seen in the round trips."""
        return self._series.get((key, ROUND_TRIP if kind == LOSS else kind))

    def trigger(self, key: str, kind: str) -> Cusum | None:
        """Return what notices a change of `kind`."""
        found = self.series(key, kind)
        return None if found is None else found.loss if kind == LOSS else found.late

    def shown(self, kind: str, since: float, now: float, *, near: str) -> tuple[Shown, ...]:
        """Return what the probes that touch `near` and were heard of lately show of `kind` from `since` on.

        Only beyond their usual. A probe that shares nothing with another but its own host bounds nothing of it.
        """
        found = []
        for key in self._near(near):
            probe, series = self.probes[key], self.series(key, kind)
            if series is None or now - series.newest > _STALE_SECONDS + 2 * probe.interval:
                continue
            bounds = series.losing(since) if kind == LOSS else series.delay(since)
            if bounds is not None:
                found.append(shown_by(probe, kind, self._parts(key, kind), *bounds))
        return tuple(found)

    def unheard(self, kind: str, shown: Collection[Shown], *, near: str) -> tuple[Shown, ...]:
        """Return the probes that touch `near` and show nothing now: what each may show, anything."""
        heard = {one.probe for one in shown}
        return tuple(
            shown_by(self.probes[key], kind, self._parts(key, kind), 0.0, math.inf)
            for key in self._near(near)
            if key not in heard
        )

    def _parts(self, key: str, kind: str) -> frozenset[Element]:
        return frozenset((served(self.probes[key]),)) if kind == RESPONSE else self._elements[key]

    def save(self) -> dict[str, SavedSeries]:
        """Return what survives a restart; what was saved and has not been heard of since stays."""
        names = {self._name(probe, kind) for probe in self.probes.values() for kind in (ROUND_TRIP, RESPONSE)}
        kept = {name: saved for name, saved in self._saved.items() if name in names}
        return kept | {name: series.save() for name, series in self.named().items()}

    def named(self) -> dict[str, Series]:
        """Return the series by the names under which they are saved."""
        return {self._name(self.probes[key], kind): series for (key, kind), series in self._series.items()}

    def carry(self, before: "Watch") -> None:
        """Go on with the series of another chain's watch that measured the same, attempts and all."""
        self.recall(before.save())
        old = before.named()
        for probe in self.probes.values():
            for kind in (ROUND_TRIP, RESPONSE):
                if (series := old.get(self._name(probe, kind))) is not None:
                    self._series[probe.key, kind] = series

    def _get(self, probe: Probe, kind: str) -> Series:
        found = self._series.get((probe.key, kind))
        if found is None:
            saved = self._saved.get(self._name(probe, kind), {})
            found = self._series[probe.key, kind] = Series(self._zone, probe.interval, self._rise, saved)
        return found

    def _name(self, probe: Probe, kind: str) -> str:
        """Return the name under which a series is saved: another measurement, or other margins, have another one."""
        rise = f"{self._rise.seconds:g},{self._rise.share:g}"
        return f"{probe.key} {kind} {probe.settings_hash} {probe.interval:g} {','.join(probe.path)} {rise}"


def _is_path(probe: Probe) -> bool:
    return probe.evidence is Evidence.PATH and probe.flow.protocol in _PHASE


def shown_by(probe: Probe, kind: str, parts: frozenset[Element], low: float, high: float) -> Shown:
    """Return what a probe shows of a kind of excess, of which only the same kind and protocol says anything."""
    return Shown(probe.key, probe.vantage, f"{kind} {probe.flow.protocol}{probe.flow.family}", parts, low, high)


def durations(probe: Probe, phases: Mapping[str, float]) -> dict[str, float]:
    """Return the round trip and the response time (s) of an attempt that passed, where it shows them."""
    found = {}
    if (trip := phases.get(_PHASE[probe.flow.protocol])) is not None:
        found[ROUND_TRIP] = trip
        if (first := phases.get("first_byte")) is not None:
            found[RESPONSE] = first - trip
    return found


def served(probe: Probe) -> Element:
    """Return the element that answers for itself after the handshake."""
    return Element(probe.path[-1], at=probe.flow.function)
