"""The site-to-site tunnel: strongSwan's configuration for both gateways, and orders by `swanctl`.

IKEv2 with a pre-shared key; ESP in user space (kernel-libipsec, which must load before kernel-netlink) so that no
kernel support is needed. The cloud side initiates and restarts, the on-premise side only answers: with both sides
starting, duplicate SAs pile up. `keyingtries = 0`, since the default of 1 never comes back after a dead peer.
"""

import re
import subprocess
import time
from pathlib import Path

import msgspec

from lab.rundir import LabError
from lab.topology import ADDRESSES, CLOUD_PREFIX, ONPREM_PREFIX

CONNECTION = "site"
CHILD = "lan"
PLUGINS = (
    "random nonce aes sha1 sha2 hmac kdf gcm curve25519 openssl x509 pubkey pem pkcs1 "
    "kernel-libipsec kernel-netlink socket-default vici updown counters"
)
AGREED_SECRET = "lab-secret-agreed-by-both"
DPD_SECONDS = 1
NO_DPD = 0
WAIT_SECONDS = 3.0


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """One end of the tunnel."""

    node: str
    peer: str
    local_ts: str
    remote_ts: str
    starts: bool


CLOUD = Gateway(node="cloud-gw", peer="onprem-gw", local_ts=CLOUD_PREFIX, remote_ts=ONPREM_PREFIX, starts=True)
ONPREM = Gateway(node="onprem-gw", peer="cloud-gw", local_ts=ONPREM_PREFIX, remote_ts=CLOUD_PREFIX, starts=False)
GATEWAYS = {gateway.node: gateway for gateway in (CLOUD, ONPREM)}


def vici_path(run_dir: Path, node: str) -> Path:
    """Return the control socket of the gateway's IKE daemon."""
    return run_dir / f"{node}.vici"


def gate_path(run_dir: Path, node: str) -> Path:
    """Return the socket at which agents read that daemon's state and can change nothing (`demarc vici`)."""
    return run_dir / f"{node}.gate"


def daemon_file(run_dir: Path, node: str) -> Path:
    """Return the path of the daemon's strongswan.conf."""
    return run_dir / "swan" / f"{node}.strongswan.conf"


def connection_file(run_dir: Path, node: str) -> Path:
    """Return the path of the gateway's swanctl.conf."""
    return run_dir / "swan" / f"{node}.swanctl.conf"


def daemon_text(run_dir: Path, node: str) -> str:
    """Return strongswan.conf: short retransmissions, so that a dead peer is noticed in about two seconds."""
    return f"""
charon-systemd {{
  load_modular = no
  load = {PLUGINS}
  retransmit_timeout = 0.5
  retransmit_base = 1.0
  retransmit_tries = 2
  journal {{
    default = -1
  }}
  filelog {{
    file {{
      path = {run_dir}/log/{node}.charon.log
      default = 1
      flush_line = yes
      time_format = %T
    }}
  }}
  plugins {{
    vici {{
      socket = unix://{vici_path(run_dir, node)}
    }}
  }}
}}
swanctl {{
  load = pem pkcs1 x509 pubkey openssl random nonce
}}
"""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A line of what was agreed, and what one side has instead."""

    agreed: str
    other: str


OTHER_KEY = Change(agreed=AGREED_SECRET, other="lab-secret-changed-by-one")
OTHER_IKE = Change(
    agreed="proposals = aes256gcm16-prfsha256-curve25519", other="proposals = aes128gcm16-prfsha384-ecp256"
)
OTHER_ESP = Change(agreed="esp_proposals = aes256gcm16", other="esp_proposals = aes128gcm16")
OTHER_NETWORKS = Change(agreed=f"local_ts = {ONPREM_PREFIX}", other="local_ts = 10.21.0.0/16")
# Of the addresses that matter it holds the gateway's own and the demarcation host's, not the servers'.
NARROW_NETWORKS = Change(agreed=f"local_ts = {ONPREM_PREFIX}", other="local_ts = 10.20.0.0/28,10.20.0.24/29")
# A new negotiation after seconds instead of hours. Reauthentication, since a rekeying goes on with the configuration
# that the SA was made with, whatever was loaded since.
SHORT_KEYS = Change(
    agreed="keyingtries = 0",
    other="keyingtries = 0\n    reauth_time = 2s\n    over_time = 1s\n    rand_time = 0s",
)


def connection_text(node: str, *, change: Change | None = None, dpd_seconds: int = DPD_SECONDS) -> str:
    """Return swanctl.conf of one gateway, with one line of it changed."""
    text = agreed_text(node, dpd_seconds)
    return text if change is None else text.replace(change.agreed, change.other)


def agreed_text(node: str, dpd_seconds: int = DPD_SECONDS) -> str:
    """Return swanctl.conf of one gateway as both have agreed."""
    gateway = GATEWAYS[node]
    actions = ("start", "restart", "start") if gateway.starts else ("none", "clear", "none")
    return f"""
connections {{
  {CONNECTION} {{
    version = 2
    mobike = no
    encap = yes
    unique = replace
    keyingtries = 0
    dpd_delay = {dpd_seconds}s
    proposals = aes256gcm16-prfsha256-curve25519
    local_addrs = {ADDRESSES[f"{node}-outer"]}
    remote_addrs = {ADDRESSES[f"{gateway.peer}-outer"]}
    local {{
      auth = psk
      id = {node}.lab
    }}
    remote {{
      auth = psk
      id = {gateway.peer}.lab
    }}
    children {{
      {CHILD} {{
        local_ts = {gateway.local_ts}
        remote_ts = {gateway.remote_ts}
        esp_proposals = aes256gcm16
        start_action = {actions[0]}
        dpd_action = {actions[1]}
        close_action = {actions[2]}
      }}
    }}
  }}
}}
secrets {{
  ike-{CONNECTION} {{
    id-cloud = cloud-gw.lab
    id-onprem = onprem-gw.lab
    secret = "{AGREED_SECRET}"
  }}
}}
"""


class Association(msgspec.Struct, frozen=True, kw_only=True):
    """An installed child SA of one gateway, by its SPIs (hex)."""

    spi_in: str
    spi_out: str


def parse_associations(text: str) -> tuple[Association, ...]:
    """Read the installed child SAs from `swanctl --list-sas --raw` output; anything else in it is skipped."""
    found = re.findall(r"state=INSTALLED\b[^{}]*?\bspi-in=([0-9a-f]+)[^{}]*?\bspi-out=([0-9a-f]+)", text)
    return tuple(Association(spi_in=spi_in, spi_out=spi_out) for spi_in, spi_out in found)


class Swanctl:
    """Orders to the two IKE daemons; the control sockets are files, so no namespace is entered."""

    def __init__(self, run_dir: Path, environment: dict[str, str]) -> None:
        self._run_dir = run_dir
        self._environment = environment

    def order(self, node: str, *arguments: str, seconds: float = WAIT_SECONDS) -> subprocess.CompletedProcess[str]:
        """Run `swanctl` against the daemon of `node`; the result may be a failure."""
        environment = {**self._environment, "STRONGSWAN_CONF": str(daemon_file(self._run_dir, node))}
        uri = f"unix://{vici_path(self._run_dir, node)}"
        command = ["swanctl", *arguments, "--uri", uri]
        try:
            return subprocess.run(
                command, env=environment, text=True, capture_output=True, timeout=seconds + 1, check=False
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, "", f"no answer in {seconds} s")

    def load(self, node: str, *, change: Change | None = None, dpd_seconds: int = DPD_SECONDS) -> None:
        """Write and load the gateway's configuration; LabError with swanctl's words when it is refused."""
        path = connection_file(self._run_dir, node)
        path.write_text(connection_text(node, change=change, dpd_seconds=dpd_seconds))
        result = self.order(node, "--load-all", "--clear", "--file", str(path))
        if result.returncode:
            raise LabError(f"swanctl refuses {path}: {result.stderr}{result.stdout}")

    def associations(self, node: str) -> tuple[Association, ...]:
        """Return the installed child SAs of `node`; empty when its daemon does not answer."""
        return parse_associations(self.order(node, "--list-sas", "--raw").stdout)

    def agrees(self) -> bool:
        """Return whether both gateways hold the same child SA: the tunnel is up on both sides."""
        mirrored = {(found.spi_out, found.spi_in) for found in self.associations("onprem-gw")}
        return any((found.spi_in, found.spi_out) in mirrored for found in self.associations("cloud-gw"))

    def settled(self, *, seconds: float) -> bool:
        """Return whether both agree and neither waits for an answer of the other's; False after `seconds`.

        A gateway that waits may yet give up a peer that was silent until a moment ago.
        """
        deadline = time.monotonic() + seconds
        while self.agrees() and time.monotonic() < deadline:
            if not any(self._waits(node) for node in GATEWAYS):
                return True
            time.sleep(0.05)
        return False

    def _waits(self, node: str) -> bool:
        return "tasks-active" in self.order(node, "--list-sas", "--raw").stdout

    def drop(self, node: str) -> None:
        """Delete the IKE SA at `node` without waiting for the other side."""
        self.order(node, "--terminate", "--ike", CONNECTION, "--force", "--timeout", "1")

    def start(self, *, seconds: float = WAIT_SECONDS) -> bool:
        """Start the tunnel from the cloud side; return whether both sides agree within `seconds`."""
        deadline = time.monotonic() + seconds
        while not self.agrees():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.order("cloud-gw", "--initiate", "--child", CHILD, "--timeout", "1", seconds=left)
        return True

    def restart(self, *, seconds: float = WAIT_SECONDS) -> bool:
        """Drop whatever either side holds and start anew; return whether both sides agree within `seconds`."""
        for node in GATEWAYS:
            self.drop(node)
        return self.start(seconds=seconds)
