"""An attempt of one or several requests: each a leg to one server, measured together.

What must stay true: the probe's path leads to its own target only, so that trouble with another server, to which the
target sends on, is `degraded` and accuses nobody on the path; connection and certificate are those of the first leg.
"""

from collections.abc import Callable

import msgspec

from probes.kit.asker import Heard, Target
from probes.kit.exchange import Opening
from probes.kit.response import Asking, Tunnel
from probes.kit.result import Outcome, Result, Stage
from probes.kit.trouble import Trouble, result_of
from probes.kit.url import Url

# When a certificate expires (UTC epoch seconds), and what it tells as facts.
CertificateTold = tuple[float, dict[str, str]]


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One request to one server; `own` when that is the probe's own target and not where it sends on to."""

    url: Url
    target: Target
    request: bytes
    own: bool
    tunnel: str = ""

    def opening(self) -> Opening | None:
        """Return the words to the proxy, for one connection."""
        return Opening(Tunnel(self.tunnel), "proxy", Stage.CONNECT) if self.tunnel else None


class Trail:
    """What an attempt has measured so far."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self._seconds = 0.0
        self._phases: dict[str, float] = {}
        self._packet_bytes: int | None = None
        self._legs = 0
        self._facts: dict[str, str] | None = None

    def add(self, leg: Leg, asking: Asking, heard: Heard, read: Callable[[bytes], CertificateTold | None]) -> None:
        """Take in one leg; `read` reads what a certificate (DER) tells."""
        made, values = heard.made, self.values
        if self._legs == 0:
            if made.round_trip is not None:
                values["http_handshake_seconds"] = made.round_trip
            if made.certificate and (told := read(made.certificate)) is not None:
                values["http_certificate_expiry_timestamp_seconds"], self._facts = told
        if asking.head is not None:
            values["http_status_code"] = float(asking.head.status)
        if asking.body is not None:
            values["http_response_bytes"] = float(len(asking.body.content))
        if leg.own and made.packet_bytes is not None:
            self._packet_bytes = max(self._packet_bytes or 0, made.packet_bytes)
        self._legs += 1
        self.spend(heard.seconds, heard.phases)

    def spend(self, seconds: float, phases: dict[str, float]) -> None:
        """Add to the whole and to each phase."""
        self._seconds += seconds
        for phase, part in phases.items():
            self._phases[phase] = self._phases.get(phase, 0.0) + part

    def ended_before(self, result: Result, leg: Leg) -> Result:
        """Return the result of an attempt whose last leg did not come to a connection, as `result` says."""
        if result.outcome is Outcome.UNKNOWN:
            return result
        self.spend(result.seconds or 0.0, result.phases)
        trouble = Trouble(fault=result.fault or "", detail=result.detail)
        return self.end(trouble, result.stage or Stage.RESOLVE, leg)

    def end(self, trouble: Trouble | None, stage: Stage, leg: Leg, detail: str = "") -> Result:
        """Return the result of an attempt that ended with `leg`."""
        if trouble is not None and (leg.own or trouble.local):
            result = result_of(trouble, stage, self._seconds, self._phases)
        else:
            fault = None
            if trouble is not None:
                fault, detail = "hop-failed", f"{leg.url.origin}: {stage} {trouble.fault} {trouble.detail}".strip()
            result = Result(
                outcome=Outcome.DEGRADED if fault else Outcome.OK,
                fault=fault,
                seconds=self._seconds,
                phases=self._phases,
                detail=detail,
            )
        return msgspec.structs.replace(result, values=self.values, packet_bytes=self._packet_bytes, facts=self._facts)
