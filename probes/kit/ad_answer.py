"""What a domain controller's answer means for the domain that it should serve. Pure.

What must stay true: a controller of another domain is none of ours, however well it answers; how far two clocks are
apart says nothing of which of them is wrong, so that it degrades and fails nothing.
"""

from typing import Final

import msgspec

from probes.kit.dns_message import Message
from probes.kit.kerberos_message import OTHER_REALM, WORKS, KdcReply
from probes.kit.ldap_message import RootDse
from probes.kit.ntp_message import Reply
from probes.kit.result import Outcome, Result, Stage, failed, ok
from probes.kit.smb_message import Negotiated

_DETAIL: Final = 200
_RCODES: Final = {"nxdomain": "rcode-nxdomain", "servfail": "rcode-servfail", "refused": "rcode-refused"}


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A controller's answer, weighed: `fault` is why it is none that serves us, `concern` what is wrong all the same.

    `clock` is its own (UTC epoch seconds, at the moment of the answer) where it told; `values` the type's metrics.
    """

    detail: str = ""
    fault: str | None = None
    concern: str | None = None
    clock: float | None = None
    values: dict[str, float] = {}


def of_ldap(found: RootDse, domain: str) -> Said:
    """Weigh a root DSE; its clock is told in whole seconds, so half of one is added."""
    clock = None if found.current_time is None else found.current_time + 0.5
    if found.domain != domain.lower():
        shown = f"keeps {found.domain}" if found.domain else "keeps no domain"
        return Said(fault="other-domain", detail=f"{found.host or 'the directory'} {shown}", clock=clock)
    if found.synchronized is False:
        return Said(concern="not-synchronized", detail=f"{found.host} has not caught up with its partners", clock=clock)
    return Said(detail=found.host, clock=clock)


def of_kerberos(found: KdcReply) -> Said:
    """Weigh a key server's answer: that it had to look the client up is what was to be shown."""
    fault = None
    if found.code in OTHER_REALM:
        fault = "other-domain"
    elif found.code is not None and found.code not in WORKS:
        fault = "refused-by-service"
    return Said(fault=fault, detail=f"{found.realm}: {found.shown}", clock=found.server_time)


def of_smb(found: Negotiated) -> Said:
    """Weigh a NEGOTIATE answer."""
    signing = "signing required" if found.signing else "signing not required"
    return Said(detail=f"SMB {found.dialect}, {signing}", clock=found.server_time)


def of_time(found: Reply, times: tuple[float, float] | None) -> Said:
    """Weigh a time server's answer; `times` are offset and delay (`offset_and_delay`)."""
    if found.kiss:
        return Said(fault="refused-by-service", detail=f"kiss code {found.kiss}")
    if not found.synchronised:
        return Said(concern="unsynchronised", detail=f"stratum {found.stratum}, leap indicator {found.leap}")
    if times is None:
        return Said(fault="malformed", detail="the server's receive and transmit times do not fit in between")
    return Said(detail=f"stratum {found.stratum}", values={"ad_clock_offset_seconds": times[0]})


def of_dns(found: Message, name: str) -> Said:
    """Weigh a name server's answer to `name`, the SRV record of the domain's controllers."""
    if found.rcode != "noerror":
        return Said(fault=_RCODES.get(found.rcode, "rcode-other"), detail=f"{name}: {found.rcode}")
    count = sum(record.type == "SRV" for record in found.answers_to(name, "SRV"))
    if not count:
        return Said(fault="no-answer", detail=f"{name} announces no controller")
    return Said(detail=f"{count} announced", values={"ad_controllers": float(count)})


def weighed(said: Said, now: float, max_offset: float, seconds: float, phases: dict[str, float]) -> Result:
    """Return the result of an attempt that got this answer at `now` (our clock, UTC epoch seconds).

    `max_offset` in seconds, 0 where the clocks do not matter.
    """
    values = dict(said.values)
    if said.clock is not None:
        values["ad_clock_offset_seconds"] = said.clock - now
    detail = said.detail[:_DETAIL]
    if said.fault is not None:
        return failed(
            Stage.ANSWER, said.fault, seconds=seconds, phases=phases, answered=True, detail=detail, values=values
        )
    offset = values.get("ad_clock_offset_seconds", 0.0)
    concern = said.concern
    if concern is None and max_offset and abs(offset) > max_offset:
        concern = "clock-apart"
        detail = f"its clock is {offset:+.3f} s from ours, more than {max_offset:g} s; {detail}"[:_DETAIL]
    passed = ok(seconds, phases, values=values, detail=detail)
    return passed if concern is None else msgspec.structs.replace(passed, outcome=Outcome.DEGRADED, fault=concern)
