"""`make test`: everything of `make check`, then real servers, then each lab scenario once.

Prints the time of each group at the end, and what was left out and why. With CI set in the environment a lab
that could not run is a failure: there a silent gap would look like a pass.

What talks to real servers can fail because this host stood still or a kernel was a moment late. A few such failures
are run once more, and told by name with the result; never a finding: whoever is named wrongly once is named wrongly.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

PYTHON = sys.executable
BIN = Path(PYTHON).parent
PURE = Path(__file__).parents[1] / "tests" / "pure_modules.txt"
LEFT_OUT = "LEFT OUT"

PYTEST = (PYTHON, "-m", "pytest", "-q")
# Groups of which failed tests are run once more, if they are few; the files whose first answer counts.
ONCE_MORE = ("peers", "lab")
FEW = 3
FINDINGS = tuple(f"tests/lab/test_{name}.py" for name in ("scenarios", "entra_catalogue", "identity_rows", "lateness"))

COVERAGE = (PYTHON, "-m", "coverage")

Command = tuple[str, ...]


def groups() -> dict[str, list[tuple[Command, ...]]]:
    """Return the steps of each group, in order; the commands of one step run side by side."""
    pure = ",".join(PURE.read_text().split())
    # Two halves that take about as long: what is long of the agent goes with the probes.
    long = ("tests/agent/diagnosis", "tests/agent/incident")
    paths = {"agent": ("tests/agent", *(f"--ignore={path}" for path in long)), "probes": ("tests/probes", *long)}
    halves = tuple(
        (*COVERAGE, "run", f"--data-file=.coverage.{half}", *PYTEST[1:], "-p", "no:cacheprovider", *where)
        for half, where in paths.items()
    )
    return {
        "lint": [((str(BIN / "ruff"), "check", "."),), ((str(BIN / "ruff"), "format", "--check", "."),)],
        "types": [((str(BIN / "mypy"),),)],
        "contracts": [((str(BIN / "lint-imports"), "--no-cache"),)],
        "unit": [
            halves,
            ((*COVERAGE, "combine", "-q", ".coverage.agent", ".coverage.probes"),),
            ((*COVERAGE, "report", f"--include={pure}", "--fail-under=100", "--show-missing", "--skip-covered"),),
        ],
        "rules": [(("sh", "tools/check_rules.sh"),)],
        "peers": [((*PYTEST, "tests/peers"),)],
        "lab": [((*PYTEST, "tests/lab"),)],
    }


def run(name: str, steps: list[tuple[Command, ...]]) -> tuple[bool, float, str]:
    """Run a group, passing its output on; return success, seconds and its output."""
    print(f"\n=== {name}", flush=True)
    start, output, good = time.monotonic(), "", True
    for commands in steps:
        started = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for command in commands
        ]
        # Each is heard in its turn; one whose pipe is full meanwhile waits.
        for process in started:
            assert process.stdout is not None
            for line in process.stdout:
                print(line, end="", flush=True)
                output += line
            good &= process.wait() == 0
    return good, time.monotonic() - start, output


def repeatable(output: str) -> list[str]:
    """Return which tests failed in a group's output; empty when they are not to be run once more."""
    told = [
        line.partition(" ")[2] for line in output.splitlines() if line.startswith(("FAILED tests/", "ERROR tests/"))
    ]
    names = [line.partition(" - ")[0] for line in told]
    return [] if len(names) > FEW or any(name.startswith(FINDINGS) for name in names) else names


def run_with_patience(name: str, steps: list[tuple[Command, ...]]) -> tuple[bool, float, str]:
    """Run a group, and the few tests of real servers that failed once more; what became of them is in the output."""
    good, seconds, output = run(name, steps)
    again = repeatable(output) if name in ONCE_MORE and not good else []
    if not again:
        return good, seconds, output
    good, more, second = run(f"{name}, once more", [((*PYTEST, *again),)])
    told = "".join(f"UNSTEADY {test}\n" for test in again) if good else ""
    return good, seconds + more, output + second + told


def main() -> int:
    """Run every group, or those named on the command line; return the exit status."""
    every = groups()
    wanted = sys.argv[1:] or list(every)
    if strangers := [name for name in wanted if name not in every]:
        print(f"no such group: {', '.join(strangers)}; there are {', '.join(every)}")
        return 2
    results = {name: run_with_patience(name, every[name]) for name in wanted}
    print("\n=== result")
    for name, (good, seconds, _) in results.items():
        print(f"{name:<10} {'ok' if good else 'FAILED':<7} {seconds:7.1f} s")
    left_out = [name for name, (_, _, output) in results.items() if LEFT_OUT.lower() in output.lower()]
    if left_out:
        print(f"tests were left out in: {', '.join(left_out)}; the reason stands above")
    failed = [name for name, (good, _, _) in results.items() if not good]
    for name, (_, _, output) in results.items():
        if skipped := [line for line in output.splitlines() if line.startswith("SKIPPED")]:
            print("\n".join([f"single tests skipped in {name}:", *skipped]))
        if unsteady := [line for line in output.splitlines() if line.startswith("UNSTEADY ")]:
            print("\n".join([f"passed only when run once more in {name}; why stands above:", *unsteady]))
    if left_out and os.environ.get("CI"):
        failed += [f"{name} (left out)" for name in left_out]
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
