"""What stays valid of the rounds when a new chain file comes into force.

Roles are numbered anew with every chain, so that what was said is translated. A probe that is measured
otherwise than before, or that needs something else, begins without a past.
"""

from collections.abc import Collection, Iterable

from agent.diagnosis.cells import Cell, Round
from agent.diagnosis.evidence import History
from agent.diagnosis.roles import Model
from agent.diagnosis.slow import Fail
from agent.observation import SELF


def unchanged(old: Model, new: Model) -> frozenset[str]:
    """Return the probes (`vantage>probe`) whose results mean the same in both, self-checks included."""
    homes = {v for v, segment in new.home.items() if old.home.get(v) == segment}
    probes = (
        key for key, probe in new.probes.items() if probe.vantage in homes and old.meaning(key) == new.meaning(key)
    )
    return frozenset((*probes, *(f"{vantage}>{SELF}" for vantage in homes)))


class Translator:
    """Role numbers of one model in those of another; what the other does not know is left out."""

    def __init__(self, old: Model, new: Model) -> None:
        known = {role: number for number, role in enumerate(new.roles)}
        self._numbers = {n: known[role] for n, role in enumerate(old.roles) if role in known}
        self._cells: dict[Cell, Cell] = {}

    def roles(self, numbers: Iterable[int]) -> frozenset[int]:
        """Return role numbers of the new model."""
        return frozenset(self._numbers[n] for n in numbers if n in self._numbers)

    def cell(self, said: Cell) -> Cell:
        """Return what a probe said, in the new model."""
        found = self._cells.get(said)
        if found is None:
            found = self._cells[said] = Cell(said.says, self.roles(said.accused), self.roles(said.cleared))
        return found


def carry(old: History, new: History, same: Collection[str]) -> None:
    """Take over from `old` what the probes in `same` said."""
    translator = Translator(old.model, new.model)
    for vantage in new.rounds.keys() & old.rounds.keys():
        if f"{vantage}>{SELF}" in same:
            kept = old.rounds[vantage][-new.kept :]
            new.rounds[vantage] = [_round(entry, translator, same) for entry in kept]
    for key in old.slow.fails.keys() & same:
        new.slow.fails[key] = type(old.slow.fails[key])(
            (_fail(fail, translator, same) for fail in old.slow.fails[key]), maxlen=new.length
        )
    for key in old.slow.passes.keys() & same:
        run = old.slow.passes[key]
        new.slow.passes[key] = run._replace(cleared=translator.roles(run.cleared))


def _round(entry: Round, translator: Translator, same: Collection[str]) -> Round:
    made = Round(entry.number, entry.start)
    for key, said in entry.cells.items():
        if key in same:
            made.add(key, translator.cell(said), entry.times[key])
    made.start, made.end, made.clear_self = entry.start, entry.end, entry.clear_self
    return made


def _fail(fail: Fail, translator: Translator, same: Collection[str]) -> Fail:
    made = Fail(fail.number, fail.start, fail.end, translator.cell(fail.said))
    made.clearing = {key: translator.roles(roles) for key, roles in fail.clearing.items() if key in same}
    made.settled = fail.settled
    return made


__all__ = ["Translator", "carry", "unchanged"]
