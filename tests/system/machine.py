"""A virtual machine with Debian's own kernel and a Debian root: QEMU without KVM, no network card.

What must stay true: nothing of the guest reaches this machine but the lines that it writes to its serial ports, and the
root folder is never changed by what the guest does.
"""

import gzip
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

QEMU = "qemu-system-x86_64"
NEEDED = (QEMU, "busybox", "modprobe", "depmod", "mke2fs", "chroot", "dpkg-query")
APPLETS = ("sh", "mount", "insmod", "switch_root", "sleep")
# Its processor is emulated: what mends real ones costs a tenth of its time.
COMMAND_LINE = "console=ttyS0 panic=-1 quiet mitigations=off"
MODULES = ("virtio_pci", "virtio_blk", "ext4")
_INIT = """#!/bin/sh
mount -t devtmpfs dev /dev
for module in {modules}; do insmod $module; done
while [ ! -b /dev/vda ]; do sleep 0.1; done
mount -t ext4 /dev/vda /root
mount -o move /dev /root/dev
exec switch_root /root /lib/systemd/systemd
"""


class Machine(msgspec.Struct, frozen=True):
    """What boots: a kernel and its release."""

    kernel: Path
    release: str


def find() -> Machine | str:
    """Return the newest installed cloud kernel, or in words what is missing."""
    lacking = [name for name in NEEDED if shutil.which(name) is None]
    if lacking:
        return f"{', '.join(lacking)} (sh tools/install_system_packages.sh machine)"
    kernels = sorted(Path("/boot").glob("vmlinuz-*-cloud-amd64"))
    if not kernels:
        return "a kernel (apt-get install linux-image-cloud-amd64)"
    return Machine(kernels[-1], kernels[-1].name.removeprefix("vmlinuz-"))


def run(machine: Machine, root: Path, work: Path, *, within: float) -> tuple[str, str]:
    """Boot `root` and wait until it powers off; return its console and what it wrote to its other two serial ports.

    TimeoutError after `within` seconds.
    """
    image, disk = work / "root.ext4", work / "initrd.gz"
    subprocess.run(("depmod", "-b", str(root), machine.release), check=True)
    made = ("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(root), str(image), "1G")
    subprocess.run(made, check=True)
    with gzip.open(disk, "wb", compresslevel=1) as file:
        for part in _archive(_files(machine)):
            file.write(part)
    ports = [work / f"ttyS{number}.txt" for number in range(3)]
    command = [QEMU, "-M", "q35", "-accel", "tcg,thread=multi", "-smp", "2", "-m", "1024", "-display", "none"]
    command += ["-no-reboot", "-nic", "none", "-monitor", "none"]
    for port in ports:
        command += ["-serial", f"file:{port}"]
    command += ["-drive", f"file={image},if=virtio,format=raw,snapshot=on", "-device", "virtio-rng-pci"]
    command += ["-kernel", str(machine.kernel), "-initrd", str(disk), "-append", COMMAND_LINE]
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, timeout=within, check=True)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{within:.0f} s; the console ended with\n{_text(ports[0])[-3000:]}") from None
    finally:
        image.unlink()
    return _text(ports[0]), "".join(map(_text, ports[1:]))


def _text(path: Path) -> str:
    return path.read_text("utf-8", "replace").replace("\r", "") if path.exists() else ""


def _files(machine: Machine) -> Iterator[tuple[str, bytes]]:
    """Yield (path, content) of the initial RAM disk: busybox and the modules that reach the disk."""
    modules = _modules(machine.release)
    yield "init", _INIT.format(modules=" ".join(f"/{module.name}" for module in modules)).encode()
    yield "bin/busybox", Path(shutil.which("busybox") or "").read_bytes()
    yield from ((module.name, module.read_bytes()) for module in modules)


def _modules(release: str) -> list[Path]:
    """Return the files of MODULES and of what they need, in the order in which they load; none is built in."""
    found: dict[Path, None] = {}
    for name in MODULES:
        asked = ("modprobe", "-S", release, "--show-depends", name)
        listed = subprocess.run(asked, capture_output=True, text=True, check=False, env={"PATH": "/usr/sbin:/sbin"})
        found |= dict.fromkeys(Path(path) for path in re.findall(r"^insmod (\S+)", listed.stdout, re.MULTILINE))
    return list(found)


def _archive(files: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """Yield a newc archive (Linux, Documentation/driver-api/early-userspace/buffer-format.rst)."""
    for name in ("dev", "root", "bin"):
        yield _entry(name, 0o040755, b"")
    for name, content in files:
        yield _entry(name, 0o100755, content)
    for name in APPLETS:
        yield _entry(f"bin/{name}", 0o120777, b"busybox")
    yield _entry("TRAILER!!!", 0, b"")


def _entry(name: str, mode: int, content: bytes) -> bytes:
    path = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
