"""Chain file to `Chain`: read, check the meaning, resolve the defaults, hash."""

from collections.abc import Iterable
from typing import Any

import msgspec

from agent.config import meaning
from agent.config.advice import advise
from agent.config.canonical import canonical_chain, sha256_hex
from agent.config.document import parse
from agent.config.forms import ChainForm, PartyForm, SegmentForm, ServiceForm, known
from agent.config.kinds import StructKind
from agent.config.people import read_custodian, read_people
from agent.config.probe import ProbeReader, ReadProbe
from agent.config.problem import ConfigError, Problem, Report
from agent.config.registry import ProbeTypes
from agent.model import Chain, Confirm, Page, Party, Segment, Service, Vantage, Witness

_CHAIN = StructKind(ChainForm)


class ExaminedChain(msgspec.Struct, frozen=True, kw_only=True):
    """A chain file and everything that is to be said of it; `chain` is None with any problem."""

    chain: Chain | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    def loaded(self) -> Chain:
        """Return the chain; ConfigError with all problems when there are any."""
        if self.chain is None:
            raise ConfigError(self.problems)
        return self.chain


class _Read(msgspec.Struct, frozen=True, kw_only=True):
    """A chain file as far as it could be read; complete when the report has no problems."""

    form: ChainForm | None
    probes: dict[str, ReadProbe]
    report: Report

    def body(self) -> dict[str, Any]:
        """Return the canonical object; ConfigError with all problems when there are any."""
        if self.report.problems or self.form is None:
            raise ConfigError(_sorted(self.report.problems))
        return canonical_chain(self.form, {name: probe.canonical() for name, probe in self.probes.items()})


def examine_chain(data: bytes, name: str, types: ProbeTypes) -> ExaminedChain:
    """Return what `data` holds; `name` is the file's name in problems. Never raises for content."""
    read = _read(data, name, types)
    report = read.report
    if read.form is None or report.problems:
        return ExaminedChain(chain=None, problems=_sorted(report.problems), warnings=())
    chain = _chain(read.form, read.probes, sha256_hex(read.body()), data)
    advise(chain, report)
    return ExaminedChain(chain=chain, problems=(), warnings=_sorted(report.warnings))


def canonical(data: bytes, name: str, types: ProbeTypes) -> dict[str, Any]:
    """Return the canonical object that the chain hash is taken of; ConfigError as for loading."""
    return _read(data, name, types).body()


def _read(data: bytes, name: str, types: ProbeTypes) -> _Read:
    """Read and check; everything that is wrong is in the report."""
    document = parse(data, name)
    report = Report(name, document.line_of)
    report.problems.extend(document.problems)
    form = _CHAIN.read(document.root, (), report) if document.root is not None else None
    if not isinstance(form, ChainForm):
        return _Read(form=None, probes={}, report=report)
    probes = _read_probes(form, types, report)
    meaning.check(form, probes, report)
    return _Read(form=form, probes=probes, report=report)


def _sorted(found: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(set(found)))


def _read_probes(form: ChainForm, types: ProbeTypes, report: Report) -> dict[str, ReadProbe]:
    reader = ProbeReader(types)
    nodes = form.probes if known(form.probes) else {}
    read = {name: reader.read(node, ("probes", name), report) for name, node in nodes.items()}
    return {name: probe for name, probe in read.items() if probe is not None}


def _chain(form: ChainForm, probes: dict[str, ReadProbe], chain_hash: str, source: bytes) -> Chain:
    """Return the value of a form without problems."""
    return Chain(
        version=form.version,
        effective=form.effective,
        timezone=form.timezone,
        director=form.director,
        custodian=read_custodian(form.custodian, form.parties),
        parties={name: _party(name, party) for name, party in form.parties.items()},
        segments={name: _segment(name, segment) for name, segment in form.segments.items()},
        vantages={
            name: Vantage(
                id=name,
                segment=v.segment,
                operator=v.operator,
                key=v.key,
                description=v.description,
                reference=v.reference,
            )
            for name, v in form.vantages.items()
        },
        witnesses={
            name: Witness(
                id=name,
                party=w.party,
                key=w.key,
                within=float(w.within),
                description=w.description,
                reference=w.reference,
            )
            for name, w in form.witnesses.items()
        },
        services={name: _service(name, service) for name, service in form.services.items()},
        confirm=Confirm(rounds=form.confirm.rounds, spacing=float(form.confirm.spacing), skew=float(form.confirm.skew)),
        probes={name: probe.probe(name) for name, probe in probes.items()},
        hash=chain_hash,
        source=source,
        description=form.description,
        reference=form.reference,
    )


def _party(name: str, form: PartyForm) -> Party:
    return Party(
        id=name,
        name=form.name or name,
        contact=dict(form.contact),
        language=form.language,
        support=form.support,
        people=read_people(form.people),
        description=form.description,
        reference=form.reference,
    )


def _segment(name: str, form: SegmentForm) -> Segment:
    return Segment(
        id=name,
        owners=form.owner,
        side=form.side,
        filters=form.filters,
        lead=form.lead,
        quote=form.quote,
        until=form.until,
        description=form.description,
        reference=form.reference,
    )


def _service(name: str, form: ServiceForm) -> Service:
    return Service(
        id=name,
        name=form.name or name,
        hours=form.hours,
        page=Page(when=form.page.when, after=float(form.page.after), degraded=form.page.degraded),
        availability_norm=form.norm.availability,
        delay_margin=None if form.norm.delay is None else float(form.norm.delay),
        loss_margin=form.norm.loss,
        description=form.description,
        reference=form.reference,
    )
