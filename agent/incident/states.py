"""What a glance shows: the state of every segment and service at one moment."""

from collections.abc import Sequence

from agent.availability.fold import State as Availability
from agent.diagnosis.roles import Model
from agent.incident.memory import Memory
from agent.incident.value import Incident, Kind, State
from agent.model import Chain


def segment_states(model: Model, memory: Memory, incidents: Sequence[Incident], now: float) -> dict[str, str]:
    """Return every segment's state.

    `failed`: proven broken. `suspected`: it may be the cause. `masked`: a failing measurement
    passes through it and nothing proves it at present. `ok`: proven to work within the last
    result's life, and no candidate of a confirmed incident. `unknown`: nobody looked, or the
    vantage there is blind.
    """
    states = {name: _proven(model, memory, name, now) for name in model.chain.segments}
    going_on = [i for i in incidents if i.state is not State.RECOVERING]
    for incident in going_on:
        for name in _touched(model, incident):
            if states[name] == "unknown":
                states[name] = "masked"
    for incident in going_on:
        state = _accused(incident)
        for name in incident.segments:
            if state == "unknown" or (states[name] != "failed" and (incident.confirmed or states[name] != "ok")):
                states[name] = state
    return states


def _accused(incident: Incident) -> str:
    """Return what an incident makes of its segments."""
    if incident.kind is Kind.MONITOR:
        return "unknown"
    if incident.confirmed and (incident.kind is Kind.ATTRIBUTED or len(incident.segments) == 1):
        return "failed"
    return "suspected"


def _touched(model: Model, incident: Incident) -> set[str]:
    """Return the segments on the paths of the incident's probes."""
    probes = (model.probes[key] for key in incident.faults if key in model.probes)
    return {name for probe in probes for name in (*probe.path, *probe.back)}


def _proven(model: Model, memory: Memory, name: str, now: float) -> str:
    """Return `ok` while some pass through or at the segment is fresh, else `unknown`."""
    fresh = memory.proven.get(name)
    if fresh is None:
        return "unknown"
    age = now - fresh - 1.0
    # Asked every round of every segment: it ends at the first probe whose result still holds.
    holding = (
        age <= memory.holds(key) + probe.timeout and not memory.stale(key, now)
        for key, probe in model.probes.items()
        if name in probe.path
    )
    return "ok" if age <= 0 or any(holding) else "unknown"


# What a service's probe counts as, from best to worst; bad seconds that are not yet `down` are shown.
_SERVICE = {
    Availability.UP: "up",
    Availability.UNMEASURED: "unobserved",
    Availability.DEGRADED: "degraded",
    Availability.ERRORED: "degraded",
    Availability.DOWN: "down",
}
_WORST_LAST = tuple(_SERVICE)


def service_states(chain: Chain, memory: Memory, now: float) -> dict[str, str]:
    """Return every service's state (Y.1563), the worst of its probes; `unobserved` without any."""
    states = {}
    for name in chain.services:
        found = (memory.availability_state(p.key, now) for p in chain.probes.values() if p.service == name)
        states[name] = _SERVICE[max(found, key=_WORST_LAST.index, default=Availability.UNMEASURED)]
    return states
