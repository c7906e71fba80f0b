"""A virtual machine with Debian's own kernel, for what the kernel of this machine lacks: WireGuard and ESP.

No image and no root file system: an initial RAM disk of busybox, `ip`, `wg`, strongSwan, the kernel's modules, this
very Python and the folders that a test needs, so that the guest runs the product's code as it is checked out. QEMU
without KVM boots it in some fifteen seconds. Nothing of the guest reaches a network: it has no network card.
"""

import gzip
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

QEMU = "qemu-system-x86_64"
PROGRAMS = ("ip", "wg", "charon-systemd", "swanctl")
# strongSwan's own libraries and plugins: no program names them.
STRONGSWAN = Path("/usr/lib/ipsec")
APPLETS = ("sh", "mount", "mkdir", "cat", "insmod", "ping", "poweroff")
# ESP's random numbers come from drbg, which the kernel would load by itself if it had modprobe.
MODULES = (
    *("jitterentropy_rng", "sha512_generic", "drbg", "ctr", "ghash-generic", "authenc", "gcm", "echainiv", "seqiv"),
    *("wireguard", "esp4", "xfrm_user", "xfrm4_tunnel", "veth"),
)
_LEFT_OUT = {"test", "site-packages", "idlelib", "lib2to3", "ensurepip", "tkinter", "__pycache__", "turtledemo"}
_INIT = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mkdir -p /run/netns
for module in $(cat /modules); do insmod $module; done
cd /app && PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 {python} -m {module} 2>&1
poweroff -f
"""


class Machine(msgspec.Struct, frozen=True):
    """What boots: a kernel and its release."""

    kernel: Path
    release: str


def find() -> Machine | str:
    """Return the newest installed cloud kernel, or in words what is missing."""
    lacking = [name for name in (QEMU, "busybox", "modprobe", *PROGRAMS) if shutil.which(name) is None]
    if lacking:
        return f"{', '.join(lacking)} (sh tools/install_system_packages.sh machine)"
    kernels = sorted(Path("/boot").glob("vmlinuz-*-cloud-amd64"))
    if not kernels:
        return "a kernel (apt-get install linux-image-cloud-amd64)"
    return Machine(kernels[-1], kernels[-1].name.removeprefix("vmlinuz-"))


def run(machine: Machine, module: str, folders: Iterable[Path], work: Path, *, within: float) -> str:
    """Boot, run `python -m module` with the `folders` on its path, and return what it printed; `within` seconds."""
    disk = work / "initrd.gz"
    with gzip.open(disk, "wb", compresslevel=1) as file:
        for part in _archive(_files(machine, module, folders)):
            file.write(part)
    command = [QEMU, "-M", "q35", "-m", "1024", "-nographic", "-no-reboot", "-nic", "none"]
    command += ["-kernel", str(machine.kernel), "-initrd", str(disk), "-append", "console=ttyS0 quiet panic=-1"]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=within, check=True)
    return done.stdout.decode("utf-8", "replace").replace("\r", "")


def _files(machine: Machine, module: str, folders: Iterable[Path]) -> Iterator[tuple[str, Path | bytes]]:
    """Yield (path in the guest, source): a file, a folder that is a symbolic link's target as text, or its content."""
    python = Path(sys.executable).resolve()
    yield "init", _INIT.format(python=python, module=module).encode()
    yield "bin/busybox", Path(shutil.which("busybox") or "")
    programs = [python, *(Path(shutil.which(name) or "").resolve() for name in PROGRAMS)]
    stdlib, extensions = Path(sysconfig.get_paths()["stdlib"]), Path(msgspec.__file__).parent
    for folder in (stdlib, STRONGSWAN, extensions, *folders):
        root = str(folder)[1:] if folder in {stdlib, STRONGSWAN} else f"app/{folder.name}"
        for file in _walk(folder):
            yield f"{root}/{file.relative_to(folder)}", file
            if ".so" in file.suffixes:
                programs.append(file)
    for program in programs:
        yield str(program)[1:], program
    # Loaded by name when a thread is cancelled, as strongSwan does.
    programs += Path("/lib").glob("*-linux-gnu/libgcc_s.so.1")
    yield from ((str(program)[1:], program) for program in programs if program.name == "libgcc_s.so.1")
    for library in {library for program in programs for library in _libraries(program)}:
        yield str(library)[1:], library
    names = []
    for source in _modules(machine.release):
        names.append(f"/modules.d/{source.name}")
        yield names[-1][1:], source
    yield "modules", "\n".join(names).encode()


def _walk(folder: Path) -> Iterator[Path]:
    for place, below, files in os.walk(folder):
        below[:] = [name for name in below if name not in _LEFT_OUT and not name.startswith("config-")]
        yield from (Path(place, name) for name in files)


def _libraries(program: Path) -> list[Path]:
    listed = subprocess.run(("ldd", str(program)), capture_output=True, text=True, check=False).stdout
    return [Path(found) for found in re.findall(r"(/[^ )]+)", listed)]


def _modules(release: str) -> list[Path]:
    """Return the files of MODULES and of what they need, in the order in which they load."""
    found: dict[Path, None] = {}
    for name in MODULES:
        asked = ("modprobe", "-S", release, "--show-depends", name)
        listed = subprocess.run(asked, capture_output=True, text=True, check=False, env={"PATH": "/usr/sbin:/sbin"})
        found |= dict.fromkeys(Path(path) for path in re.findall(r"^insmod (\S+)", listed.stdout, re.MULTILINE))
    return list(found)


def _archive(files: Iterable[tuple[str, Path | bytes]]) -> Iterator[bytes]:
    """Yield a newc archive (Linux, Documentation/driver-api/early-userspace/buffer-format.rst)."""
    folders = ["dev", "proc", "sys", "run", "tmp"]
    seen = set[str]()
    for name in folders:
        seen.add(name)
        yield _entry(name, 0o040755, b"")
    for name, source in files:
        for parent in reversed(Path(name).parents[:-1]):
            if str(parent) not in seen:
                seen.add(str(parent))
                yield _entry(str(parent), 0o040755, b"")
        if name not in seen:
            seen.add(name)
            yield _entry(name, 0o100755, source if isinstance(source, bytes) else source.read_bytes())
    for name in APPLETS:
        yield _entry(f"bin/{name}", 0o120777, b"busybox")
    yield _entry("TRAILER!!!", 0, b"")


def _entry(name: str, mode: int, content: bytes) -> bytes:
    path = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
