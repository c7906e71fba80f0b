"""What people hand in for the ledger. Pure.

What must stay true: a person's name is a field of its own, so that it can go into a detail and never into a
body. `agent.ledger.drafting` judges it.
"""

from typing import Literal, TypeAlias

import msgspec

from agent.ledger import correction, dossier
from agent.ledger.baseline import Figures
from agent.ledger.correction import Refused
from agent.ledger.entry import Hash
from probes.kit.json_errors import JSON_ERRORS


class Submission(msgspec.Struct, frozen=True, kw_only=True, tag_field="submit", forbid_unknown_fields=True):
    """Who hands something in: a party, and if they like the name of the person (erasable)."""

    party: str
    person: str = ""

    def incidents(self) -> tuple[str, ...]:
        """Return the incidents that it speaks of."""
        named = getattr(self, "incident", "")
        return (named,) if named else ()


class Hold(Submission, frozen=True, kw_only=True, tag="hold"):
    """Hold an incident's details while it is disputed, or release them."""

    incident: str
    state: Literal["held", "released"]
    reason: str


class Erase(Submission, frozen=True, kw_only=True, tag="erase"):
    """Erase details."""

    details: tuple[dossier.Erased, ...]
    reason: str


class Ask(Submission, frozen=True, kw_only=True, tag="request"):
    """Ask `to` for something within so many seconds."""

    to: str
    what: Literal["vantage", "cosign", "acknowledge", "explain", "other"]
    within: float
    incident: str = ""
    text: str = ""


class Answer(Submission, frozen=True, kw_only=True, tag="reply"):
    """Say how a request ended."""

    request: str
    outcome: Literal["done", "partly", "refused", "withdrawn"]
    text: str = ""


class Object(Submission, frozen=True, kw_only=True, tag="objection"):
    """Object to what stands of an incident, to be decided within so many seconds."""

    incident: str
    text: str
    within: float


class Decide(Submission, frozen=True, kw_only=True, tag="decision"):
    """Say how an objection ended."""

    objection: str
    outcome: Literal["upheld", "rejected", "withdrawn"]
    text: str = ""


class Acknowledge(Submission, frozen=True, kw_only=True, tag="acknowledgement"):
    """Say that somebody of `party` took note of an incident."""

    incident: str
    via: Literal["command", "silence"] = "command"


class Correct(Submission, frozen=True, kw_only=True, tag="correction"):
    """Hand in a proposal file (its text) with the approvals of it."""

    proposal: str
    signatures: tuple[correction.Signature, ...] = ()
    papers: tuple[correction.Paper, ...] = ()

    def incidents(self) -> tuple[str, ...]:
        """Return the incident of the proposal."""
        return (correction.read_proposal(self.proposal.encode()).incident,)


class Announce(Submission, frozen=True, kw_only=True, tag="maintenance"):
    """Announce maintenance of `party` in [opened, closed) (UTC epoch seconds), agreed with whom and when."""

    opened: float
    closed: float
    agreed: str
    services: tuple[str, ...] = ()


class Withdraw(Submission, frozen=True, kw_only=True, tag="withdrawal"):
    """Take back maintenance that has not begun."""

    window: str


class Fix(Submission, frozen=True, kw_only=True, tag="baseline"):
    """Fix what was usual in [opened, closed) (UTC epoch seconds), by probe key, as the baseline."""

    opened: float
    closed: float
    probes: dict[str, Figures]
    rollups: Hash
    reason: str = ""


AnySubmission: TypeAlias = (
    Hold | Erase | Ask | Answer | Object | Decide | Acknowledge | Correct | Announce | Withdraw | Fix
)


def read_submission(data: bytes) -> AnySubmission:
    """Read a submission; Refused."""
    try:
        read: AnySubmission = msgspec.json.decode(data, type=AnySubmission)
    except JSON_ERRORS as error:
        raise Refused(f"not a submission: {error}") from error
    return read
