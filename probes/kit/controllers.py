"""A domain's controllers: how they are looked for in DNS, and what the domain's state is when some answer. Pure.

What must stay true: whoever is told of comes from the name server's answer and from nothing else; at most MOST of them
are asked; what could not be looked at is neither an answer nor a fault; when none answers, the way is exonerated by
nobody's word, since another controller's says nothing of the way to this one.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from probes.kit.address import is_name
from probes.kit.dns_exchange import Answered, Stopped
from probes.kit.dns_message import Message
from probes.kit.result import Outcome, Result, Stage, failed, ok, unknown

# Microsoft's largest domains have more, in many sites: `site` narrows them to those that matter here.
MOST: Final = 16
_SHOWN: Final = 400
# Faults of an exchange with a name server, as RESOLVE_FAULTS calls them; all others of the way are unreachable.
_SILENT: Final = {"timeout": "resolve-timeout", "neighbour-silent": "resolve-timeout", "refused": "resolve-refused"}
_RCODES: Final = {"nxdomain": "resolve-nxdomain", "refused": "resolve-refused"}


class Controller(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A domain controller as DNS announces it (RFC 2782)."""

    host: str
    priority: int = 0
    weight: int = 0


def service_name(domain: str, site: str = "") -> str:
    """Return the name under which controllers of `domain` (in `site`) are announced ([MS-ADTS] 6.3.2.3)."""
    where = f"{site}._sites." if site else ""
    return f"_ldap._tcp.{where}dc._msdcs.{domain}"


def announced(message: Message, name: str) -> tuple[Controller, ...]:
    """Return the controllers in an answer to `name`, each once, by name; entries that are none are left out."""
    found: dict[str, Controller] = {}
    for record in message.answers_to(name, "SRV"):
        words = record.data.split(" ")
        host = words[-1].removesuffix(".").lower()
        if record.type == "SRV" and len(words) == 4 and is_name(host):
            found.setdefault(host, Controller(host=host, priority=int(words[0]), weight=int(words[1])))
    return tuple(sorted(found.values()))


def asked(found: Sequence[Controller]) -> tuple[Controller, ...]:
    """Return those that are asked, when there are more than MOST: the preferred ones."""
    preferred = sorted(found, key=lambda one: (one.priority, -one.weight, one.host))
    return tuple(sorted(preferred[:MOST]))


def together(results: dict[str, Result], seconds: float, phases: dict[str, float]) -> Result:
    """Return what the results of a domain's controllers (by name, at least one) say of the domain."""
    good = [one for one in results.values() if one.outcome in (Outcome.OK, Outcome.DEGRADED)]
    bad = {name: one for name, one in results.items() if one.outcome is Outcome.FAILED}
    blind = {name: one for name, one in results.items() if one.outcome is Outcome.UNKNOWN}
    values = {"ad_controllers": float(len(results)), "ad_controllers_answering": float(len(good))}
    rows = tuple(_row(name, one) for name, one in results.items())
    sizes = [one.packet_bytes for one in good if one.packet_bytes is not None]
    passed = ok(seconds, phases, values=values, rows=rows, packet_bytes=max(sizes, default=None))
    if blind and not (good and bad):
        one = next(iter(blind.values()))
        detail = _listed("could not look", blind)
        return Result(outcome=Outcome.UNKNOWN, fault=one.fault, detail=detail, rows=rows)
    if good and bad:
        detail = _listed(f"{len(good)} of {len(results)} answer", bad)
        return msgspec.structs.replace(
            passed, outcome=Outcome.DEGRADED, fault="controllers-missing", detail=detail[:_SHOWN]
        )
    if bad:
        worst = min(bad.values(), key=_narrowness)
        detail = _listed(f"none of {len(results)} answers", bad)
        return msgspec.structs.replace(
            worst, seconds=seconds, phases=phases, detail=detail, values=values, rows=rows, by=None, packet_bytes=None
        )
    late = next((one for one in good if one.outcome is Outcome.DEGRADED), None)
    if late is None:
        return msgspec.structs.replace(passed, detail=f"{len(good)} of {len(results)} answer")
    concerned = {name: one for name, one in results.items() if one.outcome is Outcome.DEGRADED}
    detail = _listed(f"{len(good)} of {len(results)} answer", concerned)
    return msgspec.structs.replace(passed, outcome=Outcome.DEGRADED, fault=late.fault, detail=detail)


def _narrowness(one: Result) -> int:
    """Return how little of the path a fail accuses: silence the most, a name that was not found nothing of it."""
    if one.stage is Stage.CONNECT:
        return 2 if one.fault == "refused" else 0
    if one.stage is Stage.RESOLVE:
        return 4
    return 3 if one.answered else 1


def _listed(head: str, results: dict[str, Result]) -> str:
    parts = [f"{name}: {one.fault}" + (f" ({one.detail})" if one.detail else "") for name, one in results.items()]
    return f"{head}; {'; '.join(parts)}"[:_SHOWN]


def _row(name: str, one: Result) -> dict[str, str | int | float | None]:
    return {
        "controller": name,
        "outcome": one.outcome.value,
        "fault": one.fault,
        "seconds": one.seconds,
        "detail": one.detail,
    }


def resolved(outcome: Answered | Stopped, name: str, record: str) -> Message | Result:
    """Return the answer that holds a `record` for `name`, or why there is none (without durations)."""
    if isinstance(outcome, Stopped):
        trouble = outcome.trouble
        detail = f"{name}: {trouble.detail or trouble.fault}"
        if trouble.local:
            return unknown(trouble.fault, detail)
        fault = "resolve-malformed" if trouble.answered else _SILENT.get(trouble.fault, "resolve-unreachable")
        return failed(Stage.RESOLVE, fault, detail=detail)
    message = outcome.message
    if message.rcode != "noerror":
        fault = _RCODES.get(message.rcode, "resolve-servfail")
        return failed(Stage.RESOLVE, fault, detail=f"{name}: {message.rcode}")
    if message.answers_to(name, record):
        return message
    if message.truncated:
        return failed(Stage.RESOLVE, "resolve-malformed", detail=f"{name}: the answer was cut")
    return failed(Stage.RESOLVE, "resolve-no-address", detail=f"{name}: no {record} record")
