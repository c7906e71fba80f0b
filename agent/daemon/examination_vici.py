"""What `demarc doctor` finds of strongSwan's VICI sockets: may we ask, do we get answers, and what would we see.

Nothing is changed; every wait ends. VICI has no read-only access, so that a socket which opens is not all well: it
should be the gate's (`demarc vici`).
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from agent.daemon.finding import FAIL, OK, WARN, Finding
from agent.model import Probe
from probes.kit.charon_view import View, read_view, text
from probes.kit.vici import Session, ViciError, ViciUnknownError
from probes.kit.vici_gate import GATE

# The first question starts the gate, which a slow host takes seconds for.
ANSWER_SECONDS: Final = 3.0
_GATE: Final = "run the gate that passes on reading only (systemctl enable --now demarc-vici.socket) and write"
_GATE_TARGET: Final = f"{_GATE} `target: /run/demarc-vici.sock`"
_OWN: Final = "sees only its own traffic: the tunnels that end on this gateway"


async def vici(probes: tuple[Probe, ...]) -> AsyncIterator[Finding]:
    """Ask every VICI socket that probes name what it is, and what is configured there."""
    for path in sorted({probe.flow.host for probe in probes if probe.type == "strongswan"}):
        own = [probe for probe in probes if probe.type == "strongswan" and probe.flow.host == path]
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                for finding in await _asked(path, own):
                    yield finding
        except (OSError, EOFError, ViciError) as error:
            why, remedy = _trouble(error)
            yield Finding(subject="vici", state=FAIL, text=f"{path}: {why}", remedy=remedy)


def _trouble(error: Exception) -> tuple[str, str]:
    """Return what kept us from asking, and the remedy."""
    if isinstance(error, PermissionError):
        return "permission denied; VICI has no read-only access, whoever may open it controls the VPN", _GATE_TARGET
    if isinstance(error, TimeoutError):
        return f"no answer in {ANSWER_SECONDS:g} s", "look at the load and the state of the strongSwan daemon"
    if isinstance(error, EOFError | ConnectionResetError | BrokenPipeError):
        return "closes the connection", "charon restarts, or the gate cannot reach it: journalctl -u demarc-vici"
    if isinstance(error, ViciError):
        return str(error), "what listens there does not answer as VICI does, or cuts its messages: correct `target`"
    why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return why, "start strongSwan with its vici plugin, or the gate: systemctl start demarc-vici.socket"


async def _asked(path: str, probes: list[Probe]) -> list[Finding]:
    session = await Session.connect(path)
    try:
        version = await session.request("version")
        conns = await session.stream("list-conns", "list-conn")
        sas = await session.stream("list-sas", "list-sa")
        try:
            await session.request(GATE)
        except ViciUnknownError:
            gate = False
        else:
            gate = True
    finally:
        session.close()
    view = read_view(conns, sas)
    release = f"{text(version.get('daemon')) or 'a daemon'} {text(version.get('version'))}".strip()
    seen = f"{path}: {release}, {_counted(view)}; {_OWN}"
    found = [_configured(view, probes, seen)]
    if not gate:
        words = f"{path} is charon's own socket: whoever may open it controls the VPN"
        found.append(Finding(subject="vici", state=WARN, text=words, remedy=_GATE_TARGET))
    return found


def _counted(view: View) -> str:
    return f"{len(view.configured)} children configured, {sum(len(sa.children) for sa in view.ike)} SAs of children"


def _configured(view: View, probes: list[Probe], seen: str) -> Finding:
    connections = {connection for connection, _ in view.configured}
    missing = sorted({str(p.settings.connection) for p in probes if p.settings.connection} - connections)
    if missing or not connections:
        lacking = f"; not configured here: {', '.join(missing)}" if missing else "; no tunnel ends here"
        remedy = "run the probe where the tunnel ends, load its configuration (swanctl --load-all), or correct the name"
        return Finding(subject="vici", state=WARN, text=seen + lacking, remedy=remedy)
    return Finding(subject="vici", state=OK, text=seen)
