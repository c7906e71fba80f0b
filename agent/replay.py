"""Recorded observations diagnosed offline, by the file's own clock: same input, same bytes."""

from collections.abc import Iterable, Sequence

import msgspec

from agent.incident.engine import Engine
from agent.incident.value import Event, Excess, Incident, Kind, Standing, State
from agent.model import Chain
from agent.observation import Observation, decode, encode


class ReplaySupport(msgspec.Struct, frozen=True, kw_only=True):
    """Failing probes, and per cleared segment the passing ones (`vantage>probe`)."""

    failing: tuple[str, ...]
    exonerating: dict[str, tuple[str, ...]]


class ReplayIncident(msgspec.Struct, frozen=True, kw_only=True):
    """An incident as `demarc replay` prints it: every key always present, `excess` only for delay and loss."""

    id: str
    opened: float
    closed: float | None
    kind: Kind
    parties: tuple[str, ...]
    candidates: tuple[str, ...]
    segments: tuple[str, ...]
    services: tuple[str, ...]
    standing: Standing | None
    rests_on: tuple[str, ...]
    margin: int | None
    decide_with: tuple[str, ...]
    support: ReplaySupport
    excess: Excess | msgspec.UnsetType = msgspec.UNSET


class BadLineError(ValueError):
    """A line of an observation file that cannot be read; names the line (from 1) and why."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"{line}: {why}")
        self.line = line


def read(lines: Iterable[bytes]) -> list[Observation]:
    """Read JSON Lines into observations by time; blank lines are skipped; raises BadLineError."""
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(decode(line))
            except msgspec.DecodeError as error:
                raise BadLineError(number, f"not an observation: {error}") from error
    # Attempts of the same instant in an order of their own: the lines' order never matters.
    found.sort(key=lambda o: (o.time, o.vantage, o.round, o.probe, encode(o)))
    return found


def replay(chain: Chain, observations: Sequence[Observation]) -> tuple[Incident, ...]:
    """Return every incident that the observations (in time order) confirm, in order of opening.

    Evaluated whenever a vantage begins a new round, so that each round is judged whole, as of the
    last observation before it: what was proven before a gap in the record stays proven.
    """
    engine = Engine(chain, settle=False)
    ended: list[Incident] = []
    current: dict[str, int] = {}
    last = 0.0

    def evaluate(now: float) -> None:
        ended.extend(change.incident for change in engine.evaluate(now) if change.event is Event.CLOSED)

    for observation in observations:
        if current.get(observation.vantage, observation.round) != observation.round:
            evaluate(last)
        current[observation.vantage], last = observation.round, observation.time
        engine.observe(observation)
    if observations:
        evaluate(last)
    going_on = (i for i in engine.incidents() if i.state is not State.SUSPECTED)
    return tuple(sorted((*ended, *going_on), key=lambda i: (i.opened, i.id)))


def shown(incident: Incident) -> ReplayIncident:
    """Return the contract's form of an incident."""
    support = ReplaySupport(failing=incident.support.failing, exonerating=incident.support.exonerating)
    names = [n for n in ReplayIncident.__struct_fields__ if n not in ("support", "excess")]
    excess = msgspec.UNSET if incident.excess is None else incident.excess
    return ReplayIncident(support=support, excess=excess, **{n: getattr(incident, n) for n in names})


def document(incidents: Iterable[Incident]) -> bytes:
    """Return the JSON document of `demarc replay --format json`, without a line feed."""
    return msgspec.json.encode({"incidents": [shown(i) for i in incidents]})
