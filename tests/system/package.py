"""The agent installed in a Debian root as README and docs/operations.md say, by their own lines.

What must stay true: the commands are read from the documents; a line that no longer works fails here.
"""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.system import debian_root

ROOT = Path(__file__).parents[2]
SOURCE = "opt/demarc/src"
WHEELS = "var/cache/wheels"
DEBIAN_PYTHON = "/usr/bin/python3"


def install_lines(page: Path) -> list[str]:
    """Return the commands under `## Install` of a page, without their comments."""
    section = page.read_text().split("\n## Install\n", 1)[1].split("\n## ", 1)[0]
    section = re.sub(r"\\\n\s*", "", section)
    fenced = re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    lines = fenced[0].splitlines() if fenced else re.findall(r"^    (.*)", section, re.MULTILINE)
    return [bare for line in lines if (bare := re.sub(r"\s+#.*", "", line).strip())]


def is_pip(line: str) -> bool:
    """Tell whether a line makes the environment or fills it: that is done before the guest boots."""
    return "-m venv" in line or "/pip install" in line


def make(cache: Path, packages: tuple[str, ...]) -> Path:
    """Return a root folder with the packages and the product; what changes rarely is kept in `cache`."""
    versions = debian_root.closure(packages)
    lock = ROOT / "requirements.lock"
    made_of = (repr(sorted(versions.items())), lock.read_text(), Path(debian_root.__file__).read_text())
    root = cache / hashlib.sha256("".join(made_of).encode()).hexdigest()[:16]
    if not root.exists():
        shutil.rmtree(cache, ignore_errors=True)
        half = cache / "half"
        debian_root.build(half, versions)
        _fetch(half / WHEELS, cache / "env", lock)
        _put_source(half)
        _run_in(half, [line for line in install_lines(ROOT / "docs/operations.md") if is_pip(line)])
        half.rename(root)
    else:
        _put_source(root)
        _run_in(root, [line for line in install_lines(ROOT / "README.md") if "--no-deps ." in line])
    return root


def _fetch(wheels: Path, env: Path, lock: Path) -> None:
    """Fetch what the lock file names, for Debian's Python, and what builds the product."""
    subprocess.run((DEBIAN_PYTHON, "-m", "venv", str(env)), check=True)
    asked = (str(env / "bin/pip"), "download", "-q", "--dest", str(wheels))
    subprocess.run((*asked, "--require-hashes", "-r", str(lock)), check=True)
    subprocess.run((*asked, "setuptools>=77"), check=True)


def _put_source(root: Path) -> None:
    """Put the checkout where the documents clone it to."""
    source = root / SOURCE
    shutil.rmtree(source, ignore_errors=True)
    for name in ("agent", "probes", "deploy", "docs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "requirements.lock"):
        shutil.copy(ROOT / name, source / name)


def _run_in(root: Path, lines: list[str]) -> None:
    """Run lines of a shell in the root, without a network: the wheels are there."""
    for name, minor in (("null", 3), ("urandom", 9)):  # the guest has its own /dev
        if not (root / "dev" / name).exists():
            os.mknod(root / "dev" / name, 0o020666, os.makedev(1, minor))
    environment = {"PATH": "/usr/sbin:/usr/bin", "HOME": "/root", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"/{WHEELS}"}
    environment |= {"PIP_ROOT_USER_ACTION": "ignore", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_QUIET": "1"}
    for line in lines:
        script = f"cd /{SOURCE} && {line}"
        subprocess.run(("chroot", str(root), "/bin/sh", "-ec", script), env=environment, check=True)
