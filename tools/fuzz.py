"""`make fuzz`: coverage-guided bytes into every parser of foreign bytes, each in a process of its own.

A find is an exception that the parser does not declare, five seconds over one input, or two gigabytes of
memory. Finds are left in the folder that is printed; the exit code says whether there were any. Needs
atheris (libFuzzer for Python), which only this command installs.
"""

import argparse
import importlib
import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from tools.fuzz_targets import TARGETS

SLOW_SECONDS = 5
MOST_MEGABYTES = 2048
LONGEST_INPUT = 4096  # the largest structures of the seeds fit; libFuzzer is slow with more
INSTRUMENTED = ["agent", "probes", "h11", "prometheus_client.parser"]


class Fuzzed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one target: inputs tried, features covered, and the files of its finds."""

    target: str
    executed: int
    features: int
    finds: tuple[Path, ...]


def child(target: str, seconds: int, folder: Path) -> None:
    """Fuzz one target until the time is over or something is found; does not return."""
    atheris = importlib.import_module("atheris")  # for this command only
    with atheris.instrument_imports(include=INSTRUMENTED):
        run, seeds = TARGETS[target]()
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)

    def once(data: bytes) -> None:
        run(data)

    options = (
        f"-max_total_time={seconds}",
        f"-timeout={SLOW_SECONDS}",
        f"-rss_limit_mb={MOST_MEGABYTES}",
        f"-max_len={LONGEST_INPUT}",
        "-print_final_stats=1",
        f"-artifact_prefix={folder}/find-",
    )
    atheris.Setup([sys.argv[0], *options, str(corpus)], once)
    atheris.Fuzz()


def fuzz(target: str, seconds: int, folder: Path) -> Fuzzed:
    """Run a child and read what it printed."""
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "tools.fuzz", "--child", str(folder), "--seconds", str(seconds), target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (folder / "log").write_text(done.stderr + done.stdout)
    executed = re.findall(r"stat::number_of_executed_units: (\d+)", done.stderr)
    features = re.findall(r"\bft: (\d+)", done.stderr)
    finds = tuple(sorted(folder.glob("find-*")))
    if done.returncode and not finds:
        finds = (folder / "log",)  # it did not even run
    return Fuzzed(
        target=target,
        executed=int(executed[-1]) if executed else 0,
        features=int(features[-1]) if features else 0,
        finds=finds,
    )


def main() -> int:
    """Fuzz the named targets, or all; return 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="targets; all by default")
    parser.add_argument("--seconds", type=int, default=60, help="time for each target")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.targets[0], options.seconds, options.child)
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed; `make fuzz` installs it from requirements-fuzz.lock", file=sys.stderr)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="demarc-fuzz-"))
    found = False
    print(f"{'target':<16}{'inputs':>12}{'features':>10}  finds ({options.seconds} s each)")
    for target in options.targets or TARGETS:
        result = fuzz(target, options.seconds, folder / target)
        found = found or bool(result.finds)
        shown = ", ".join(map(str, result.finds)) or "none"
        print(f"{target:<16}{result.executed:>12,}{result.features:>10,}  {shown}", flush=True)
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
