"""What this machine lacks to run the lab, said before anything is started."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from lab.rundir import LabError

# program -> Debian package
PROGRAMS = {
    "ip": "iproute2",
    "nft": "nftables",
    "unshare": "util-linux",
    "charon-systemd": "charon-systemd",
    "swanctl": "strongswan-swanctl",
    "nginx": "nginx-light",
    "dnsmasq": "dnsmasq-base",
}
# plugin of strongSwan without which the tunnel does not come up -> Debian package
PLUGINS = {
    "kernel-libipsec": "libcharon-extra-plugins",
    "curve25519": "libstrongswan-extra-plugins",
    "gcm": "libstrongswan-standard-plugins",
}
PLUGIN_FOLDER = Path("/usr/lib/ipsec/plugins")
TUN = "/dev/net/tun"
# An ordinary user's PATH may lack the directories of system programs.
PATH = ":".join(
    dict.fromkeys([*os.environ.get("PATH", "").split(":"), "/usr/local/sbin", "/usr/sbin", "/sbin", "/bin"])
)
ISOLATION = ("--net", "--pid", "--fork", "--kill-child=KILL")
USER = ("--user", "--map-root-user")


def installed_command() -> str | None:
    """Return the `demarc` of the environment that runs the lab, if there is one."""
    beside = Path(sys.executable).with_name("demarc")
    return str(beside) if beside.exists() else shutil.which("demarc")


def console_command() -> str:
    """Return the `demarc` of the environment that runs the lab; LabError when it is not installed."""
    found = installed_command()
    if found is None:
        raise LabError("The command `demarc` is not installed here; run `make venv`, then use .venv/bin/python.")
    return found


def _can(*options: str) -> str:
    """Return why `unshare` with these options fails; empty when it works."""
    try:
        result = subprocess.run(
            ["unshare", *options, "--", "true"],
            env={"PATH": PATH},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return result.stderr.strip() if result.returncode else ""


def isolation() -> tuple[str, ...]:
    """Return the options of `unshare` that give this user namespaces; LabError with all that is missing."""
    missing = [
        f"{program} is not installed (apt install {package})."
        for program, package in PROGRAMS.items()
        if shutil.which(program, path=PATH) is None
    ]
    missing += [
        f"strongSwan's plugin {plugin} is not installed (apt install {package})."
        for plugin, package in PLUGINS.items()
        if not (PLUGIN_FOLDER / f"libstrongswan-{plugin}.so").exists()
    ]
    if not Path(TUN).exists():
        missing.append(f"{TUN} does not exist (modprobe tun; in a container: add the device).")
    elif not os.access(TUN, os.R_OK | os.W_OK):
        missing.append(f"{TUN} is closed to this user (as root: chmod 0666 {TUN}).")
    chosen: tuple[str, ...] = ISOLATION
    if refusal := _can(*ISOLATION):
        chosen = (*USER, *ISOLATION)
        if user_refusal := _can(*chosen):
            missing.append(f"No network namespaces: as this user {refusal}; in a user namespace {user_refusal}.")
    if missing:
        raise LabError("The lab cannot run here:\n" + "\n".join(f"  - {line}" for line in missing))
    return chosen
