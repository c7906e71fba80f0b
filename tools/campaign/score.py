"""How one trial went: for the product, through its own replay, and for the rivals on the same results."""

from collections.abc import Iterable
from random import Random

import msgspec

from agent.incident.recovery import GOOD_SECONDS
from agent.incident.value import Incident, Kind, Standing
from agent.observation import SELF
from agent.replay import replay
from agent.words import LANGUAGES, sentences
from probes.kit.result import Outcome
from tools.campaign.cells import Cell, Trial
from tools.campaign.physics import START
from tools.campaign.rivals import RULES, Results

# Seconds by which an attribution may begin or end beside the fault: an attempt and its timeout on either side.
SLACK = 3.0


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """`false`: an innocent was named. `right`: somebody was, and all of them rightly.

    `late`: a party was named for seconds in which nothing of it was broken. `lost`: something was
    told, and what broke is among no candidates. `mute`: a finding whose text is not three to six sentences.
    """

    false: bool = False
    right: bool = False
    late: bool = False
    lost: bool = False
    mute: bool = False


def run(cell: Cell, topology: str, seed: str) -> dict[str, Score]:
    """Return the scores of one trial, by who judged."""
    trial = cell.make(topology, Random(seed))
    found = replay(trial.chain, trial.observations)
    scores = {"demarc": judge(trial, found, cell.counts)}
    results = unanimous(trial)
    for name, rule in RULES.items():
        scores[name] = _rival(trial, rule(trial.chain, results))
    return scores


def judge(trial: Trial, found: Iterable[Incident], counts: str) -> Score:
    """Return how the incidents of one trial are to be judged."""
    told = [i for i in found if i.kind is not Kind.MONITOR]
    named = [i for i in told if i.kind is Kind.ATTRIBUTED and _counts(i, counts)]
    wrong = [i for i in named if i.parties[0] not in trial.nameable and i.parties[0] != trial.weather.liar]
    candidates = {party for i in told for party in i.candidates}
    broken = {party for f in trial.faults for party in trial.owners(f)}
    right = bool(named) and not wrong if trial.nameable else not named and broken <= candidates
    return Score(
        false=bool(wrong),
        right=right,
        # Noise is a fail like any other: what it prolongs has not had its ten good seconds.
        late=not trial.weather.noise and any(_outside(trial, i) > 2 * SLACK for i in named if i not in wrong),
        mute=any(not 3 <= len(sentences(i, trial.chain, None, lang)) <= 6 for i in told for lang in LANGUAGES),
        lost=bool(told) and not broken & candidates and bool(broken),
    )


def _counts(incident: Incident, counts: str) -> bool:
    if counts == "margin":
        return (incident.margin or 0) >= 2
    return counts == "all" or incident.standing is Standing.CORROBORATED


def _outside(trial: Trial, incident: Incident) -> float:
    """Return for how many seconds an attribution lies outside the faults of its party.

    Faults that follow within the ten good seconds that end an incident are one (ITU-T Y.1563).
    """
    spans: list[tuple[float, float]] = []
    own = (f.spans for f in trial.faults if trial.owners(f) == incident.parties)
    for start, stop in sorted(span for some in own for span in some):
        if spans and start - spans[-1][1] < GOOD_SECONDS + SLACK:
            spans[-1] = (spans[-1][0], max(stop, spans[-1][1]))
        else:
            spans.append((start, stop))
    skew, last = trial.chain.confirm.skew, trial.observations[-1].time
    opened = incident.opened - START
    closed = (last if incident.closed is None else incident.closed) - START
    inside = sum(max(0.0, min(closed, stop + skew) - max(opened, start - skew)) for start, stop in spans)
    return (closed - opened) - inside


def unanimous(trial: Trial) -> Results:
    """Return what each probe said in all of the last rounds before the rivals look."""
    rounds = range(trial.look - trial.chain.confirm.rounds, trial.look)
    said: dict[str, set[bool]] = {}
    for seen in trial.observations:
        if seen.round in rounds and seen.probe != SELF:
            said.setdefault(seen.key, set()).add(seen.outcome is Outcome.OK)
    return {key: next(iter(values)) for key, values in said.items() if len(values) == 1}


def _rival(trial: Trial, segments: Iterable[str]) -> Score:
    """Judge a rule that names segments; one of several owners is laid with the first of them."""
    named = {trial.chain.segments[s].owners[0] for s in segments}
    false = bool(named - trial.nameable)
    return Score(false=false, right=bool(named) and not false)


__all__ = ["Score", "judge", "run", "unanimous"]
