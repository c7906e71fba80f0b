"""One result of one probe, with where and when; the record that is kept, exchanged and replayed."""

from sys import intern

import msgspec

from probes.kit.json_errors import JSON_ERRORS
from probes.kit.result import Outcome, Result, Stage

SELF = "self"


class Observation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A JSON line of the observation record; unknown keys are ignored on reading.

    `time`: UTC epoch seconds when the attempt started. `round` rises within one vantage and is
    comparable only there. `probe` is a probe's name, or `self` for the vantage's self-check. `as_of`: the moment that a
    told state speaks of (probes.kit.result).
    A hundred thousand are kept, none in a cycle: the garbage collector need not go through them.
    """

    time: float
    round: int
    vantage: str
    probe: str
    outcome: Outcome
    stage: Stage | None = None
    fault: str | None = None
    seconds: float | None = None
    answered: bool = False
    by: str | None = None
    packet_bytes: int | None = None
    as_of: float | None = None
    verified: bool = True
    detail: str = ""
    phases: dict[str, float] = {}

    @property
    def key(self) -> str:
        """Return the probe's name across vantages, `vantage>probe`; one text for all observations of a probe."""
        return intern(f"{self.vantage}>{self.probe}")


def observe(
    result: Result, *, time: float, round_number: int, vantage: str, probe: str, verified: bool = True
) -> Observation:
    """Return the observation that `result` makes when it started at `time` (UTC epoch seconds)."""
    return Observation(
        time=time,
        round=round_number,
        vantage=vantage,
        probe=probe,
        verified=verified,
        outcome=result.outcome,
        stage=result.stage,
        fault=result.fault,
        seconds=result.seconds,
        answered=result.answered,
        by=result.by,
        packet_bytes=result.packet_bytes,
        as_of=result.as_of,
        detail=result.detail,
        phases=result.phases,
    )


_DECODER = msgspec.json.Decoder(Observation)
_ENCODER = msgspec.json.Encoder()


def decode(line: bytes | str) -> Observation:
    """Read one JSON line; raises msgspec.DecodeError (ValidationError) with what is wrong, and nothing else."""
    try:
        return _DECODER.decode(line)
    except msgspec.DecodeError:
        raise
    except JSON_ERRORS as error:
        raise msgspec.DecodeError(str(error)) from error


def encode(observation: Observation) -> bytes:
    """Write one JSON line without its line feed; defaults are left out."""
    return _ENCODER.encode(observation)
