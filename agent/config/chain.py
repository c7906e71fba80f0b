"""Chain file to `Chain`: read, check the meaning, resolve the defaults, hash."""

from typing import Any

import msgspec

from agent.config import meaning
from agent.config.advice import advise
from agent.config.canonical import canonical_chain, sha256_hex
from agent.config.document import parse
from agent.config.forms import ChainForm, PartyForm, SegmentForm, ServiceForm, known
from agent.config.kinds import StructKind
from agent.config.probe import ProbeReader, ReadProbe
from agent.config.problem import ConfigError, Problem, Report
from agent.config.registry import ProbeTypes
from agent.model import Chain, Confirm, Page, Party, Segment, Service, Vantage

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


def examine_chain(data: bytes, name: str, types: ProbeTypes) -> ExaminedChain:
    """Return what `data` holds; `name` is the file's name in problems. Never raises for content."""
    document = parse(data, name)
    report = Report(name, document.line_of)
    report.problems.extend(document.problems)
    if document.root is None:
        return _examined(None, report)
    form = _CHAIN.read(document.root, (), report)
    if not isinstance(form, ChainForm):
        return _examined(None, report)
    probes = _read_probes(form, types, report)
    meaning.check(form, probes, report)
    if report.problems:
        return _examined(None, report)
    chain = _chain(form, probes, data)
    advise(chain, report)
    return _examined(chain, report)


def canonical(data: bytes, name: str, types: ProbeTypes) -> dict[str, Any]:
    """Return the canonical object that the chain hash is taken of; ConfigError as for loading."""
    examine_chain(data, name, types).loaded()
    report = Report(name, lambda _: 1)
    root = parse(data, name).root
    form = _CHAIN.read(root, (), report) if root is not None else None
    if not isinstance(form, ChainForm):
        raise ConfigError(report.problems)
    probes = _read_probes(form, types, report)
    return canonical_chain(form, {name: probe.canonical() for name, probe in probes.items()})


def _read_probes(form: ChainForm, types: ProbeTypes, report: Report) -> dict[str, ReadProbe]:
    reader = ProbeReader(types)
    nodes = form.probes if known(form.probes) else {}
    read = {name: reader.read(node, ("probes", name), report) for name, node in nodes.items()}
    return {name: probe for name, probe in read.items() if probe is not None}


def _examined(chain: Chain | None, report: Report) -> ExaminedChain:
    return ExaminedChain(
        chain=chain,
        problems=tuple(sorted(set(report.problems))),
        warnings=tuple(sorted(set(report.warnings))),
    )


def _chain(form: ChainForm, probes: dict[str, ReadProbe], source: bytes) -> Chain:
    """Return the value of a form without problems."""
    body = canonical_chain(form, {name: probe.canonical() for name, probe in probes.items()})
    return Chain(
        version=form.version,
        effective=form.effective,
        timezone=form.timezone,
        director=form.director,
        parties={name: _party(name, party) for name, party in form.parties.items()},
        segments={name: _segment(name, segment) for name, segment in form.segments.items()},
        vantages={
            name: Vantage(
                id=name,
                segment=v.segment,
                operator=v.operator,
                description=v.description,
                reference=v.reference,
            )
            for name, v in form.vantages.items()
        },
        services={name: _service(name, service) for name, service in form.services.items()},
        confirm=Confirm(rounds=form.confirm.rounds, spacing=float(form.confirm.spacing), skew=float(form.confirm.skew)),
        probes={name: probe.probe(name) for name, probe in probes.items()},
        hash=sha256_hex(body),
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
        page=Page(when=form.page.when, after=float(form.page.after)),
        availability_norm=form.norm.availability,
        description=form.description,
        reference=form.reference,
    )
