"""A real Active Directory domain controller: Samba, provisioned once a machine, unpacked for each use.

Provisioning takes ten seconds of a processor, unpacking a few tenths. What must stay true: the archive is made on
this machine and kept outside of the checkout (`$XDG_CACHE_HOME` or `~/.cache`, `demarc-lab`), a changed recipe or
another Samba makes another one; nothing of the host's own Samba is read or written; the password is the lab's own.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from lab.preflight import PATH
from lab.rundir import LabError

DOMAIN = "corp.lab"
HOST = "dc1"
_TOOL = "samba-tool"
_PROVISION_SECONDS = 300  # on a machine that does other things meanwhile
# program or file -> Debian package
_NEEDED: Mapping[str, str] = MappingProxyType(
    {
        "samba": "samba",
        _TOOL: "samba",
        "smbd": "samba",
        "/usr/share/samba/setup": "samba-ad-provision",
        "/usr/share/doc/samba-ad-dc": "samba-ad-dc",
        "/usr/share/doc/samba-dsdb-modules": "samba-dsdb-modules",
    }
)
_RECIPE = (
    "domain",
    "provision",
    f"--realm={DOMAIN.upper()}",
    "--domain=CORP",
    "--server-role=dc",
    "--dns-backend=SAMBA_INTERNAL",
    "--adminpass=Lab-only-1!",
    f"--host-name={HOST}",
    "--option=interfaces=lo",
    "--option=bind interfaces only=yes",
)


def missing() -> tuple[str, ...]:
    """Return the Debian packages that are not installed here, each once."""
    lacking = [
        package
        for name, package in _NEEDED.items()
        if not (Path(name).exists() if "/" in name else shutil.which(name, path=PATH))
    ]
    return tuple(dict.fromkeys(lacking))


def archive(address: str) -> Path:
    """Return the packed controller whose DNS says that it is at `address`, made now if this machine has none."""
    if lacking := missing():
        raise LabError(f"Samba is not installed: apt-get install --no-install-recommends {' '.join(lacking)}")
    version = subprocess.run(["samba", "--version"], capture_output=True, env={"PATH": PATH}, check=True).stdout
    recipe = repr((version, _RECIPE, address))
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "demarc-lab"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"samba-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.tar.gz"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs on one machine: one of them provisions
        if not path.exists():
            _provision(path, address)
    return path


def _provision(path: Path, address: str) -> None:
    with tempfile.TemporaryDirectory(prefix="demarc-samba-") as scratch:
        target = Path(scratch, "dc")
        target.mkdir()
        command = [_TOOL, *_RECIPE, f"--host-ip={address}", f"--targetdir={target}"]
        result = subprocess.run(
            command, capture_output=True, text=True, env={"PATH": PATH}, timeout=_PROVISION_SECONDS, check=False
        )
        if result.returncode:
            raise LabError(f"samba-tool does not provision: {result.stderr.strip()[-600:]}")
        part = path.with_suffix(".part")
        with tarfile.open(part, "w:gz", compresslevel=1) as packed:
            packed.add(target, ".")
        part.rename(path)


def install(packed: Path, folder: Path, *, interfaces: str, tls: Path, key: Path, ca: Path) -> tuple[str, ...]:
    """Unpack the controller into `folder` and return the command that runs it in the foreground.

    It listens on `interfaces` only (names or addresses, as smb.conf(5) has them) and shows the certificate `tls`.
    Its log of sign-ons is its standard output.
    """
    with tarfile.open(packed) as archived:
        archived.extraction_filter = lambda member, _path: member  # this machine has made it (PEP 706)
        archived.extractall(folder)
    options = {
        "workgroup": "CORP",
        "realm": DOMAIN.upper(),
        "netbios name": HOST.upper(),
        "server role": "active directory domain controller",
        "interfaces": interfaces,
        "bind interfaces only": "yes",
        "server services": "ldap, kdc, dns, s3fs",
        "disable netbios": "yes",
        "private dir": f"{folder}/private",
        "state directory": f"{folder}/state",
        "cache directory": f"{folder}/cache",
        "lock directory": str(folder),
        "pid directory": str(folder),
        "binddns dir": f"{folder}/bind-dns",
        "ncalrpc dir": f"{folder}/ncalrpc",
        "winbindd socket directory": f"{folder}/winbindd",
        "ntp signd socket directory": f"{folder}/ntp",
        "log file": f"{folder}/log",
        "log level": "1 auth_audit:3 kerberos:3 ldb:0",
        "tls certfile": str(tls),
        "tls keyfile": str(key),
        "tls cafile": str(ca),
    }
    lines = [f"{name} = {value}" for name, value in options.items()]
    shares = ["[sysvol]", f"path = {folder}/state/sysvol", "read only = no"]
    text = "\n".join(["[global]", *lines, *shares, ""])
    configuration = folder / "smb.conf"
    configuration.write_text(text)
    key.chmod(0o600)  # Samba refuses a key that others can read
    return ("samba", "-s", str(configuration), "--interactive", "--model=single", "--debug-stdout")
