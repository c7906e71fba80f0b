"""A Debian root folder made of the packages that are installed on this machine: nothing is downloaded.

A package's files are those that dpkg lists. Its maintainer scripts do not run: what they would have made and the
guest needs is written here. What must stay true: nothing outside the folder is changed.
"""

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGES = (
    *(
        "base-files",
        "base-passwd",
        "bash",
        "coreutils",
        "dash",
        "grep",
        "kmod",
        "libc-bin",
        "procps",
        "sed",
        "util-linux",
    ),
    *("systemd", "dbus", "python3", "python3-venv", "iproute2", "iputils-ping", "wireguard-tools"),
    *("charon-systemd", "strongswan-swanctl", "libstrongswan-standard-plugins", "libstrongswan-extra-plugins"),
)
# What nobody reads in the guest.
_LEFT_OUT = re.compile(r"/usr/share/(doc|man|locale|info|lintian|bash-completion|doc-base|zoneinfo)/|/boot/")
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_FOLDERS = ("dev", "proc", "sys", "run", "tmp", "root", "var/lib", "var/log", "var/tmp", "etc/swanctl/conf.d")
# Unpacked and configured; another package's installation may have left a trigger to run (dpkg(1)).
_PRESENT = {"installed", "triggers-pending", "triggers-awaited"}
_FIELDS = "${Package}\t${db:Status-Status}\t${Pre-Depends}, ${Depends}\t${Provides}\t${Version}\n"


class MissingPackageError(Exception):
    """A package that is not installed here."""


def closure(wanted: Iterable[str]) -> dict[str, str]:
    """Return `wanted` and all that they depend on, each with its version; MissingPackageError."""
    asked = ("dpkg-query", "-W", "-f", _FIELDS)
    depends: dict[str, list[list[str]]] = {}
    versions, provided = dict[str, str](), dict[str, str]()
    for line in subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines():
        name, status, needs, gives, version = line.split("\t")
        if status not in _PRESENT:
            continue
        versions[name] = version
        depends[name] = [[_bare(one) for one in choice.split("|")] for choice in needs.split(",") if choice.strip()]
        provided |= {_bare(one): name for one in gives.split(",") if one.strip()}
    found: dict[str, str] = {}
    waiting = list(wanted)
    if lacking := [name for name in waiting if name not in versions]:
        raise MissingPackageError(", ".join(lacking))
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = versions[name]
        for choice in depends[name]:
            here = [one if one in versions else provided[one] for one in choice if one in versions or one in provided]
            waiting += here[:1]
    return found


def _bare(dependency: str) -> str:
    """Return the name in `name:arch (>= 1)`."""
    return re.split(r"[ :(]", dependency.strip(), maxsplit=1)[0]


def build(root: Path, packages: Iterable[str]) -> None:
    """Copy what the packages hold into `root`, which must not exist, and make it start."""
    for folder in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib32", "usr/lib64", "usr/libx32", *_FOLDERS):
        (root / folder).mkdir(parents=True)
    for name in _MERGED:
        (root / name).symlink_to(f"usr/{name}")
    for source in _listed(packages):
        _copy(source, root)
    _settle(root)


def _listed(packages: Iterable[str]) -> Iterator[Path]:
    done = subprocess.run(("dpkg-query", "-L", *packages), capture_output=True, text=True, check=True)
    yield from (
        Path(line)
        for line in dict.fromkeys(done.stdout.splitlines())
        if line.startswith("/") and line != "/." and not _LEFT_OUT.search(line)
    )


def _copy(source: Path, root: Path) -> None:
    """Copy one file with owner, mode and capabilities; a diversion that has gone is passed over."""
    target = root / str(source)[1:]
    try:
        found = source.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISDIR(found.st_mode):
        target.mkdir(parents=True, exist_ok=True)
        target.chmod(stat.S_IMODE(found.st_mode))
        return
    if os.path.lexists(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)
    if not stat.S_ISLNK(found.st_mode):
        os.chown(target, found.st_uid, found.st_gid)
        target.chmod(stat.S_IMODE(found.st_mode))  # chown clears set-user-id


def _settle(root: Path) -> None:
    """Write what maintainer scripts, an installer and a first boot would have."""
    share = root / "usr/share"
    for name in ("passwd", "group"):
        shutil.copy(share / f"base-passwd/{name}.master", root / f"etc/{name}")
    shutil.copy(share / "libc-bin/nsswitch.conf", root / "etc/nsswitch.conf")
    (root / "etc/shadow").touch(0o640)
    (root / "etc/machine-id").write_text(f"{'5e' * 16}\n")
    (root / "etc/hostname").write_text("guest\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost guest\n")
    (root / "etc/resolv.conf").touch()
    (root / "tmp").chmod(0o1777)
    subprocess.run(("chroot", str(root), "/sbin/ldconfig"), check=True)
