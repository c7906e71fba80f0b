"""What a request through a site's exit (a proxy, an inspecting firewall) says of that exit. Pure.

The exit is what is watched, not what lies behind it. What must stay true: only the exit's own words fail it (its
status, a certificate that it put in Microsoft's place); what is silent or fails behind it accuses nobody here; where
no proxy speaks for itself, silence may be anybody's and is `unknown`.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from probes.kit.certificate import Certificate
from probes.kit.response import Body, Head
from probes.kit.result import Outcome, Result, Stage
from probes.kit.trouble import Trouble

_DETAIL: Final = 400
# RFC 9110 section 15.6: what a gateway says of a server behind it.
_BEHIND: Final = frozenset({502, 503, 504})
_CRL_START: Final = 0x30  # X.690: a CertificateList is a SEQUENCE; a page of a portal is not
_ANY: Final = "*"


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """One request: the trouble that ended it and at which stage, or the answer.

    `proxied`: through a proxy; `tunnel` its answer to CONNECT, None where there was none. `secure`: https.
    `connected`: TCP stood, to the proxy where there is one. `leaf` is the certificate shown, trusted or not.
    """

    proxied: bool
    secure: bool
    connected: bool = True
    trouble: Trouble | None = None
    stage: Stage = Stage.CONNECT
    tunnel: Head | None = None
    leaf: Certificate | None = None
    head: Head | None = None
    body: Body | None = None


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What one request says of the exit."""

    outcome: Outcome = Outcome.OK
    stage: Stage | None = None
    fault: str | None = None
    detail: str = ""
    answered: bool = False


def _says_no(fault: str, detail: str, stage: Stage = Stage.ANSWER) -> Said:
    return Said(outcome=Outcome.FAILED, stage=stage, fault=fault, detail=detail, answered=True)


def _behind(detail: str, fault: str = "endpoint-unreachable") -> Said:
    return Said(outcome=Outcome.DEGRADED, fault=fault, detail=detail)


def judge(heard: Heard, issuers: Sequence[str]) -> Said:
    """Return what a request says; `issuers` are globs of those who sign the endpoint's true certificate."""
    trouble = heard.trouble
    if trouble is not None and trouble.local:
        return Said(outcome=Outcome.UNKNOWN, fault=trouble.fault, detail=trouble.detail)
    if heard.tunnel is not None and not 200 <= heard.tunnel.status < 300:
        return _refusal(heard.tunnel)
    if trouble is not None:
        return _stopped(heard, trouble)
    if heard.secure and heard.leaf is not None and not _signed_by(heard.leaf, issuers):
        return _says_no("tls-inspected", f"issued by {heard.leaf.issuer}, trusted here", Stage.SECURE)
    if heard.head is None:
        return _behind("no answer")
    return _answer(heard, heard.head)


def _refusal(head: Head) -> Said:
    """Return what a proxy's status means."""
    detail = f"the proxy answered {head.status} {head.reason}".strip()
    if head.status == 407:
        return _says_no("proxy-authentication", detail)
    if head.status in _BEHIND:
        return _behind(detail)
    return _says_no("proxy-blocked" if head.status in (401, 403, 451) else "proxy-error", detail)


def _stopped(heard: Heard, trouble: Trouble) -> Said:
    detail = trouble.detail or trouble.fault
    if trouble.fault.startswith("certificate-") and trouble.answered:
        issuer = heard.leaf.issuer if heard.leaf else "nobody known"
        return _says_no("tls-inspected", f"issued by {issuer}: {detail}", Stage.SECURE)
    if heard.proxied and not heard.connected:
        return Said(outcome=Outcome.FAILED, stage=Stage.CONNECT, fault=trouble.fault, detail=f"the proxy: {detail}")
    if heard.proxied and trouble.answered and (heard.tunnel is None or not heard.secure):
        return _says_no(trouble.fault, f"the proxy: {detail}")
    if heard.proxied:  # it waits for what lies behind it before it answers
        return _behind(f"{heard.stage.value}: {detail}")
    return Said(outcome=Outcome.UNKNOWN, fault="egress-silent", detail=f"{heard.stage.value}: {detail}")


def _answer(heard: Heard, head: Head) -> Said:
    if heard.proxied and not heard.secure and head.status >= 400:
        return _refusal(head)
    if head.status != 200:
        detail = f"HTTP {head.status} {head.reason}".strip()
        return _behind(detail, "endpoint-error") if heard.secure else _says_no("not-the-list", detail)
    content = heard.body.content if heard.body else b""
    if not heard.secure and (not content or content[0] != _CRL_START):
        return _says_no("not-the-list", "the answer is no revocation list: who answers in its place?")
    return Said()


def _signed_by(leaf: Certificate, issuers: Sequence[str]) -> bool:
    return any(fnmatchcase(leaf.issuer, glob if _ANY in glob else f"*{glob}*") for glob in issuers)


# The nearest to us first: of several faults of the exit the first explains the others.
_ORDER: Final = ("proxy-authentication", "proxy-blocked", "tls-inspected", "not-the-list", "proxy-error")
_RANK: Final = {Outcome.FAILED: 0, Outcome.UNKNOWN: 1, Outcome.DEGRADED: 2, Outcome.OK: 3}


def together(said: Mapping[str, Said]) -> Said:
    """Return what several endpoints say together, at least one: the worst, and in the detail all that is not well."""
    worst = min(said.values(), key=_place)
    if worst.outcome is Outcome.OK:
        return Said(detail=f"{len(said)} of {len(said)} reached")
    good = sum(one.outcome is Outcome.OK for one in said.values())
    parts = [f"{name}: {one.fault} ({one.detail})" for name, one in said.items() if one.outcome is not Outcome.OK]
    detail = f"{good} of {len(said)} reached; {'; '.join(parts)}"[:_DETAIL]
    return msgspec.structs.replace(worst, detail=detail)


def _place(one: Said) -> tuple[int, int]:
    own = _ORDER.index(one.fault) + 1 if one.fault in _ORDER else 0
    return _RANK[one.outcome], own


def result_of(said: Said, seconds: float, phases: dict[str, float], values: dict[str, float]) -> Result:
    """Return the attempt's result."""
    if said.outcome is Outcome.UNKNOWN:
        return Result(outcome=said.outcome, fault=said.fault, detail=said.detail, phases=phases)
    return Result(
        outcome=said.outcome,
        stage=said.stage,
        fault=said.fault,
        seconds=seconds,
        answered=said.answered,
        detail=said.detail,
        phases=phases,
        values=values,
    )
