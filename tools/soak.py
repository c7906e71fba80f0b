"""`make soak`: the full counts, one group after the other, what is quick and tells most first.

Says before each group what it is, passes its output on, and ends with a table of groups, verdicts and minutes; a
group that fails stops none of the others. `python -m tools.soak GROUP…` runs some of them, `--list` names them.
Figures of a whole run, and what it found, stand in docs/soak.md.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

_PYTEST: Final = (sys.executable, "-m", "pytest", "-v", "--tb=short", "-p", "no:cacheprovider", "-m")
_HARD: Final = MappingProxyType({"HYPOTHESIS_PROFILE": "soak"})


class Group(NamedTuple):
    """What a group is for a person who waits, and its commands."""

    what: str
    commands: tuple[tuple[str, ...], ...]
    environment: Mapping[str, str] = MappingProxyType({})


def _fuzz() -> tuple[str, ...]:
    return (sys.executable, "-m", "tools.fuzz", "--seconds", os.environ.get("FUZZ_SECONDS", "60"))


def groups() -> dict[str, Group]:
    """Return the groups in their order."""
    return {
        "ledger": Group(
            "200 kills and 10,000 mutations of exports",
            ((*_PYTEST, "soak", "tests/agent/ledger"),),
        ),
        "disk": Group(
            "each system call of the ledger fails at each of its times; 1,500 power cuts",
            ((*_PYTEST, "soak", "tests/peers/test_ledger_disk.py"),),
        ),
        "lab": Group(
            "every row of the failure catalogue, and one agent that takes over from the other",
            ((*_PYTEST, "soak", "tests/lab"),),
        ),
        "endurance": Group(
            "an agent that runs on while its world breaks, lies and is changed",
            ((*_PYTEST, "soak", "tests/peers/test_endurance.py"),),
        ),
        "campaign": Group(
            "random disturbances by the thousand",
            (
                (sys.executable, "-m", "tools.campaign", "--trials", "1000", "--seed", "2"),
                (sys.executable, "-m", "tools.campaign.late", "--trials", "200", "--seed", "2"),
                (*_PYTEST, "soak", "tests/agent/incident"),
            ),
        ),
        "fuzz": Group("coverage-guided bytes into every parser", (_fuzz(),)),
        "properties": Group(
            "every property test with 2,000 examples and other seeds",
            ((*_PYTEST, "hypothesis and not soak", "tests"),),
            _HARD,
        ),
    }


def run(group: Group) -> bool:
    """Run a group's commands, all of them; return whether all succeeded."""
    environment = {**os.environ, **group.environment}
    root = Path(__file__).parents[1]
    codes = [subprocess.run(command, cwd=root, env=environment, check=False).returncode for command in group.commands]
    return not any(codes)


def main() -> int:
    """Run all groups or those named; return the exit status."""
    every = groups()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", choices=[*every, []], help="groups; all by default")
    parser.add_argument("--list", action="store_true", help="name the groups and what they are")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{name:<12}{group.what}" for name, group in every.items()))
        return 0
    wanted = options.groups or list(every)
    results = []
    for number, name in enumerate(wanted, 1):
        print(f"\n=== {number} of {len(wanted)}: {name}: {every[name].what}", flush=True)
        begin = time.monotonic()
        results.append((name, run(every[name]), (time.monotonic() - begin) / 60))
        print(f"=== {name} {'ok' if results[-1][1] else 'FAILED'} after {results[-1][2]:.1f} minutes", flush=True)
    print("\n=== result")
    for name, good, minutes in results:
        print(f"{name:<12} {'ok' if good else 'FAILED':<7} {minutes:6.1f} min")
    return int(not all(good for _, good, _ in results))


if __name__ == "__main__":
    sys.exit(main())
