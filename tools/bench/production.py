"""What an agent has around it where it is installed: its unit's environment, and no package of developers alone.

Some libraries load what happens to be there: structlog takes up rich and all that it brings, 5 MB [measured], which
only the tools of developers install.
"""

import os
import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "systemd" / "demarc.service"
HIDING = Path(__file__).parent / "as_installed"


def environment() -> dict[str, str]:
    """Return what to add to the environment of every agent that is measured."""
    found = dict(re.findall(r"^Environment=(\w+)=(\S+)$", UNIT.read_text(), re.MULTILINE))
    paths = [str(HIDING), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**found, "PYTHONPATH": os.pathsep.join(paths), "DEMARC_BENCH_HIDDEN": ",".join(hidden())}


def hidden() -> list[str]:
    """Return the modules of packages that only developers install; what the product can use is left."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    usable = {normal(re.split(r"[^\w.-]", wanted)[0]) for extra in extras.values() for wanted in extra}
    unused = locked("requirements-dev.lock") - locked("requirements.lock") - usable
    return sorted(
        name for name, owners in packages_distributions().items() if all(normal(owner) in unused for owner in owners)
    )


def locked(name: str) -> frozenset[str]:
    """Return the packages of a lock file."""
    return frozenset(map(normal, re.findall(r"^([\w.-]+)(?:\[.*\])?==", (ROOT / name).read_text(), re.MULTILINE)))


def normal(name: str) -> str:
    """Return a package's name in its one form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
