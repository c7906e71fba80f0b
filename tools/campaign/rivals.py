"""What simpler rules say of the same unanimous results: they always name somebody.

Each takes the segments of the failing and of the passing probes and returns the segments that it holds
to be broken.
"""

from collections import Counter
from collections.abc import Callable, Mapping

from agent.model import Chain

# True: passed in every round, False: failed in every round; probes without a clear result are absent.
Results = Mapping[str, bool]
Rule = Callable[[Chain, Results], set[str]]


def first_failing_hop(chain: Chain, results: Results) -> set[str]:
    """Name the last segment of the shortest path that fails."""
    failing = [p.path for p in chain.probes.values() if results.get(p.key) is False]
    return {min(failing, key=lambda path: (len(path), path))[-1]} if failing else set()


def nagios_parents(chain: Chain, results: Results) -> set[str]:
    """Name each segment whose own check fails while the nearest checked one before it passes."""
    checks = {p.path: results[p.key] for p in chain.probes.values() if p.key in results}
    down = set()
    for path, passed in checks.items():
        parents = [checks[path[:end]] for end in range(len(path) - 1, 1, -1) if path[:end] in checks]
        if not passed and (not parents or parents[0]):
            down.add(path[-1])
    return down


def greedy(chain: Chain, results: Results) -> set[str]:
    """Take away the segments of passing probes; then again and again the segment that explains most fails."""
    good = {s for p in chain.probes.values() if results.get(p.key) is True for s in p.path}
    left = [set(p.path) - good for p in chain.probes.values() if results.get(p.key) is False]
    left, found = [segments for segments in left if segments], set()
    while left:
        count = Counter(s for segments in left for s in segments)
        best = min(count, key=lambda s: (-count[s], s))
        found.add(best)
        left = [segments for segments in left if best not in segments]
    return found


RULES: Mapping[str, Rule] = {
    "first failing hop": first_failing_hop,
    "Nagios parents": nagios_parents,
    "greedy": greedy,
}
__all__ = ["RULES", "Results"]
