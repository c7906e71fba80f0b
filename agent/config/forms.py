"""The shape of the two files, key by key, with the help that the reference prints.

These structs say what may be written; `agent.model` says what the product works with. A value that
could not be read is UNSET in here, whatever its annotation says: test with `known` before use.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET

from agent.config.kinds import (
    DAY,
    DURATION,
    HOURS,
    LINE,
    LOCAL_TIME,
    NAME,
    PERCENTAGE,
    PROSE,
    URL,
    AnyKind,
    ListKind,
    MapKind,
    NodeKind,
    OneOrManyKind,
    StructKind,
)

RESERVED_KEYS = ("custodian", "people", "mandates", "contract", "spoc", "pages")
_LATER = "reserved for a later version: kept, part of the hash, not interpreted"

Later = Annotated[Any, AnyKind(), _LATER]
Description = Annotated[str, PROSE, "what this is, for readers of the file and of reports"]
Reference = Annotated[str, LINE, "the contract article or document that this entry follows"]


def known(value: object) -> bool:
    """Tell whether a form's field was read."""
    return value is not UNSET


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What every entry may carry."""

    description: Description = ""
    reference: Reference = ""
    custodian: Later = UNSET
    people: Later = UNSET
    mandates: Later = UNSET
    contract: Later = UNSET
    spoc: Later = UNSET
    pages: Later = UNSET


class PartyForm(Form, frozen=True, kw_only=True):
    """A contractual party: client, provider, incumbent, carrier, Microsoft."""

    name: Annotated[str, LINE, "the name on screen and in reports; default: the party's key"] = ""
    contact: Annotated[dict[str, str], MapKind(LINE, names=False), "how to reach it: `phone`, `email`, anything"] = {}
    language: Annotated[Literal["en", "nl"], "the language in which this party is addressed"] = "en"
    support: Annotated[str, HOURS, "its support hours, in the chain's timezone; default: always"] = ""
    people: Annotated[
        Any,
        AnyKind(),
        "who may approve for it: a name each with `role`, `key` (the line of their SSH public key) and `name`",
    ] = UNSET


class SegmentForm(Form, frozen=True, kw_only=True):
    """One thing that must work, with one owner or several."""

    owner: Annotated[
        tuple[str, ...],
        OneOrManyKind(NAME),
        "a party; a list of parties when they own it jointly (then none is ever named alone); "
        "`unassigned` when nobody has accepted it",
    ]
    side: Annotated[Literal["cloud", "line", "transit", "onprem", "saas"], "where it stands in the chain"]
    filters: Annotated[bool, "true for a firewall or security group: it may drop one port and pass another"] = False
    lead: Annotated[str | None, NAME, "of a joint segment: the owner whose move it is first; default: the director"] = (
        None
    )
    quote: Annotated[str, LINE, "what its owner wants to read in a ticket, such as a circuit number"] = ""
    until: Annotated[str | None, DAY, "the date on which it is to disappear"] = None


class VantageForm(Form, frozen=True, kw_only=True):
    """A host that runs demarc."""

    segment: Annotated[str, NAME, "the segment that the host itself is"]
    operator: Annotated[str, NAME, "the party that operates the host; evidence from here rests on its word"]
    key: Annotated[str, LINE, "the agent's verifier key (`demarc ledger key`); with it only signed answers count"] = ""


class WitnessForm(Form, frozen=True, kw_only=True):
    """A host that runs no agent and cosigns ledgers, by a timer or by files carried over (`demarc ledger cosign`)."""

    party: Annotated[str, NAME, "the party that it cosigns for; it counts for the ledgers of other parties only"]
    key: Annotated[str, LINE, "its witness's key, as `demarc ledger cosign` printed it"]
    within: Annotated[float, DURATION, "what it has not cosigned for so long makes it silent"] = 3600.0


class PageForm(msgspec.Struct, frozen=True, kw_only=True):
    """When a service pages."""

    when: Annotated[Literal["always", "hours"], "page always, or only in the service's `hours`"] = "always"
    after: Annotated[float, DURATION, "how long the disturbance must last before it pages"] = 0.0
    degraded: Annotated[bool, "true: delay and loss beyond their margins page too, not only warn"] = False


class NormForm(msgspec.Struct, frozen=True, kw_only=True):
    """The absolute minimum, from day one and apart from any baseline."""

    availability: Annotated[float | None, PERCENTAGE, "the share of the month's `hours` in which the service works"] = (
        None
    )
    delay: Annotated[float | None, DURATION, "so much more than the usual round trip or response is a disturbance"] = (
        None
    )
    loss: Annotated[float | None, PERCENTAGE, "so much more than the usual loss is a disturbance"] = None


class ServiceForm(Form, frozen=True, kw_only=True):
    """What users use and what has a norm."""

    name: Annotated[str, LINE, "the name on screen and in reports; default: the service's key"] = ""
    hours: Annotated[str, HOURS, "when it must work, in the chain's timezone; default: always"] = ""
    page: Annotated[PageForm, StructKind(PageForm), "when it pages"] = PageForm()
    norm: Annotated[NormForm, StructKind(NormForm), "its minimum norm"] = NormForm()


class ConfirmForm(msgspec.Struct, frozen=True, kw_only=True):
    """How a failure is confirmed before anybody is paged."""

    rounds: Annotated[int, "so many rounds in which all results agree; at least 2"] = 5
    spacing: Annotated[float, DURATION, "rounds start so far apart"] = 1.0
    skew: Annotated[float, DURATION, "the largest difference between the clocks of two vantages"] = 1.0


class ProbeForm(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """The keys that every probe has; the others belong to its type."""

    type: Annotated[str, NAME, "the probe type; `demarc probes` lists them with their own keys"]
    from_: Annotated[str, NAME, "the vantage that runs it"]
    path: Annotated[
        tuple[str, ...],
        ListKind(NAME),
        "every segment crossed, there and back, in forward order: the vantage's own first, the one that answers last",
    ]
    back: Annotated[tuple[str, ...], ListKind(NAME), "the return path, where it differs from `path`"] = ()
    resolve: Annotated[
        tuple[str, ...],
        ListKind(NAME),
        "what resolving the target's name needs, as a path: what is crossed, the name server last",
    ] = ()
    service: Annotated[str | None, NAME, "the service whose users see what this probe sees"] = None
    interval: Annotated[float | None, DURATION, "one attempt every so often; default: the type's"] = None
    timeout: Annotated[
        float | None, DURATION, "an attempt without an answer by then has failed; default: the type's"
    ] = None
    approved: Annotated[
        dict[str, str],
        MapKind(LINE, names=False),
        "facts that were agreed on, as `demarc drift show` names them (`certificate sha256`, `path mtu`): "
        "another value is drift; it makes no verdict",
    ] = {}
    told_by: Annotated[
        str,
        NAME,
        "the party on whose word the state is known (Microsoft for what Graph says): what is concluded from it rests "
        "on that party too. `path` then leads to its segment, and on along the way of what it tells of",
    ] = ""
    description: Description = ""
    reference: Reference = ""


class ChainForm(Form, frozen=True, kw_only=True):
    """The chain file: what the parties agree on."""

    version: Annotated[Literal[1], "the version of this file format"]
    effective: Annotated[str, LOCAL_TIME, "from when this chain holds, local time in `timezone`"]
    timezone: Annotated[str, LINE, "an IANA timezone; hours and months are counted in it"]
    director: Annotated[str, NAME, "the party that coordinates the chain, addressed when nobody owns the cause alone"]
    custodian: Annotated[
        Any,
        AnyKind(),
        "the party that keeps the agreement (the client): no correction without it; default: the director",
    ] = UNSET
    parties: Annotated[dict[str, PartyForm], MapKind(StructKind(PartyForm)), "who the parties are"]
    segments: Annotated[dict[str, SegmentForm], MapKind(StructKind(SegmentForm)), "what must work, and who owns it"]
    vantages: Annotated[dict[str, VantageForm], MapKind(StructKind(VantageForm)), "the hosts that run demarc"]
    witnesses: Annotated[
        dict[str, WitnessForm], MapKind(StructKind(WitnessForm)), "who cosigns ledgers without running demarc"
    ] = {}
    services: Annotated[dict[str, ServiceForm], MapKind(StructKind(ServiceForm)), "what users use"] = {}
    confirm: Annotated[ConfirmForm, StructKind(ConfirmForm), "how a failure is confirmed"] = ConfirmForm()
    probes: Annotated[dict[str, Any], MapKind(NodeKind()), "what is measured"]


class PeerForm(msgspec.Struct, frozen=True, kw_only=True):
    """Another agent whose recent observations this one reads."""

    vantage: Annotated[str, NAME, "its vantage in the chain file"]
    url: Annotated[str, URL, "the base address of its web server"]
    ca_file: Annotated[str | None, LINE, "the certificates that verify it, when they are not the host's"] = None
    cert_file: Annotated[str | None, LINE, "our own certificate, where it wants one"] = None
    key_file: Annotated[str | None, LINE, "the private key of `cert_file`"] = None


class RetentionForm(msgspec.Struct, frozen=True, kw_only=True):
    """How long things are kept; the ledger's entries themselves stay for ever."""

    raw: Annotated[float, DURATION, "single results"] = 7 * 86400.0
    raw_megabytes: Annotated[int, "of the observation store at most, the oldest single results go first"] = 2000
    rollups: Annotated[float, DURATION, "minutes, and which seconds counted as what: reports need them"] = 761 * 86400.0
    evidence: Annotated[float, DURATION, "the single results around an incident, unless it is held"] = 761 * 86400.0
    people: Annotated[float, DURATION, "names and signatures of people, unless the incident is held"] = 761 * 86400.0


class HostForm(msgspec.Struct, frozen=True, kw_only=True):
    """The agent file: what is local to one host."""

    vantage: Annotated[str, NAME, "which vantage of the chain this host is"]
    chain: Annotated[str, LINE, "the chain file; a relative path starts at this file's directory"]
    data: Annotated[str, LINE, "the directory of the ledger and the observation store"]
    peers: Annotated[tuple[PeerForm, ...], ListKind(StructKind(PeerForm)), "the agents at other vantages"] = ()
    alertmanagers: Annotated[tuple[str, ...], ListKind(URL), "the Alertmanagers that this agent tells"] = ()
    external_url: Annotated[str, URL, "the address under which people reach this agent's page"] = ""
    retention: Annotated[RetentionForm, StructKind(RetentionForm), "how long what is stored"] = RetentionForm()
