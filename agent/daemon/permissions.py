"""What `demarc doctor` says of the applications that probes sign in as: permissions lacking, permissions to spare.

What must stay true: least privilege is checked in both directions; a token that does not tell its permissions is said
to be silent, and nothing is concluded from it; no token or credential is shown.
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from agent.clock import Clock
from agent.daemon.finding import FAIL, OK, WARN, Finding
from agent.daemon.runners import SharedKit, load_module
from agent.model import Probe
from probes.kit.microsoft_access import BROADER, Access
from probes.kit.microsoft_client import Examined, examine
from probes.kit.resolver import SystemResolver
from probes.kit.result import Outcome
from probes.kit.secret import CREDENTIAL

_WAIT_SECONDS: Final = 10.0
# Time to have a new credential made by another party, tried and rolled out.
_EXPIRES_SOON_SECONDS: Final = 30 * 86400.0
_UNAVAILABLE: Final = "unavailable"

Needs = dict[str, list[str]]  # permission -> the probes that need it


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """One application that probes sign in as; `optional` are needs of probes that can be left out."""

    access: Access
    needs: Needs
    optional: Needs


def applications(probes: tuple[Probe, ...]) -> list[Application]:
    """Return the applications of `probes`, each with what its probes need together."""
    found: dict[tuple[str, ...], Application] = {}
    for probe in probes:
        module = load_module(probe.type)
        permissions: Callable[[Access], tuple[str, ...]] | None = getattr(module, "permissions", None)
        access = probe.settings
        if permissions is None or not isinstance(access, Access):
            continue
        key = (access.target, access.authority, access.tenant, access.client_id, access.identity_id)
        kept = found.setdefault(key, Application(access=access, needs=defaultdict(list), optional=defaultdict(list)))
        spare = any(fault.name == _UNAVAILABLE for fault in module.SPEC.faults)
        for name in permissions(access):
            (kept.optional if spare else kept.needs)[name].append(probe.id)
    return list(found.values())


async def permissions(probes: tuple[Probe, ...], clock: Clock) -> AsyncIterator[Finding]:
    """Sign in as each application once, and compare what it may with what its probes need."""
    kit = SharedKit(clock, SystemResolver(clock))
    for application in await asyncio.to_thread(applications, probes):
        examined = await examine(kit, application.access, clock.boot() + _WAIT_SECONDS)
        for finding in judge(application, examined, clock.wall()):
            yield finding


def judge(application: Application, examined: Examined, wall: float) -> list[Finding]:
    """Return what is to be said of one application at `wall` (UTC epoch seconds)."""
    access, result = application.access, examined.result
    subject = f"app {access.client_id[:8] or 'of this host'}"
    if result.outcome is not Outcome.OK:
        text = f"no token: {result.fault} ({result.detail})"
        if (
            result.fault == "credential-unreadable"
            and "CREDENTIALS_DIRECTORY" not in os.environ
            and _handed_over(access)
        ):
            remedy = "run this with the unit's LoadCredential=, as systemd-run --property can"
            return [Finding(subject=subject, state=WARN, text="its credential comes from systemd", remedy=remedy)]
        return [Finding(subject=subject, state=FAIL, text=text, remedy="see `demarc probes` for the fault's remedy")]
    found = [_credential(subject, examined.ends, wall)] if examined.ends is not None else []
    if examined.roles is None:
        text = "its token does not tell its permissions; compare them by hand with docs/entra.md"
        return [*found, Finding(subject=subject, state=WARN, text=text)]
    held = examined.roles | {narrow for role in examined.roles for narrow in BROADER.get(role, ())}
    consent = "grant it to the application, with admin consent; it counts with the next token"
    for needs, state in ((application.needs, FAIL), (application.optional, WARN)):
        for name in sorted(needs.keys() - held):
            text = f"lacks {name}, which {', '.join(needs[name])} needs"
            found.append(Finding(subject=subject, state=state, text=text, remedy=consent))
    for name in sorted(examined.roles - application.needs.keys() - application.optional.keys()):
        instead = sorted((application.needs.keys() | application.optional.keys()) & set(BROADER.get(name, ())))
        remedy = f"grant {', '.join(instead)} instead and take it away" if instead else "take it away"
        found.append(Finding(subject=subject, state=WARN, text=f"holds {name}, which no probe needs", remedy=remedy))
    if all(finding.state == OK for finding in found):
        held_text = ", ".join(sorted(examined.roles)) or "none"
        found.append(Finding(subject=subject, state=OK, text=f"signs in, with the permissions needed: {held_text}"))
    return found


def _handed_over(access: Access) -> bool:
    return any(getattr(access, name).startswith(CREDENTIAL) for name in Access.__struct_fields__ if "_file" in name)


def _credential(subject: str, ends: float, wall: float) -> Finding:
    day = datetime.fromtimestamp(ends, UTC).date().isoformat()
    text = f"its credential ends on {day}, in {(ends - wall) / 86400:.0f} days"
    if ends - wall > _EXPIRES_SOON_SECONDS:
        return Finding(subject=subject, state=OK, text=text)
    remedy = "make a new one now, and replace the file; both are valid until the old one ends"
    return Finding(subject=subject, state=WARN, text=text, remedy=remedy)
