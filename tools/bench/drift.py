"""What the facts of 500 probes cost, ten each: a look, the picture, the saved state; CPU time of one core."""

import statistics
import time
from collections.abc import Callable, Mapping

import msgspec

from agent.drift.book import Book
from agent.model import Chain
from tools.bench.diagnosis import large_chain
from tools.bench.table import Row

PROBES = 500
# A gateway with one connection and one child tells 26 facts (docs/drift.md), a certificate five; ten lie between.
FACTS = 10
RUNS = 9


def facts(seed: int) -> dict[str, str]:
    """Return the facts of one look, as long as digests and proposals are."""
    return {f"fact number {number}": f"{seed:064x}" for number in range(FACTS)}


def cpu(step: Callable[[], object]) -> float:
    """Return the median CPU seconds of a step."""
    took = []
    for _ in range(RUNS):
        begin = time.process_time()
        step()
        took.append(time.process_time() - begin)
    return statistics.median(took)


def looks(book: Book, chain: Chain, told: Mapping[str, Mapping[str, str]], at: float) -> None:
    """Take one look of every probe."""
    for probe in chain.probes.values():
        book.look(probe, told[probe.id], at)


def configured(book: Book, chain: Chain) -> None:
    """Reload, and draw what drifted."""
    book.configure(chain, "v")
    book.drift()


def measure() -> list[Row]:
    """Return what 500 probes of ten facts cost."""
    chain = large_chain(40, PROBES)
    told = {name: facts(number) for number, name in enumerate(chain.probes)}
    other = {name: facts(number + PROBES) for number, name in enumerate(chain.probes)}
    book = Book()
    book.configure(chain, "v")
    for at in (0.0, 1.0):
        looks(book, chain, told, at)
    fresh = {name: dict(one) for name, one in told.items()}
    same = cpu(lambda: looks(book, chain, fresh, 2.0))
    drawn = cpu(book.drift)
    anew = cpu(lambda: configured(book, chain))
    saved = cpu(lambda: msgspec.json.encode(book.save()))
    size = len(msgspec.json.encode(book.save()))
    begin = time.process_time()
    for at in (10.0, 11.0):
        looks(book, chain, other, at)
    changed = time.process_time() - begin
    return [
        Row(what="a look that sees what the last one saw", measured=per(same)),
        Row(what=f"two looks that change all {FACTS} facts", measured=per(changed)),
        Row(what="the picture, while nothing has changed", measured=f"{drawn * 1e3:.2f} ms"),
        Row(what="the picture anew, after a reload", measured=f"{anew * 1e3:.1f} ms"),
        Row(what="the state to be saved", measured=f"{saved * 1e3:.1f} ms, {size / 1024:.0f} KiB"),
    ]


def per(seconds: float) -> str:
    """Return the share of one probe."""
    return f"{seconds / PROBES * 1e6:.2f} us a probe"
