"""One probe of the chain file: the keys every probe has, and those of its type, checked together."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import UNSET

from agent.config import canonical, document
from agent.config.document import Node
from agent.config.forms import ProbeForm, known
from agent.config.kinds import Field, fields_of, read_fields
from agent.config.problem import Report, Where, did_you_mean, shown
from agent.config.registry import ProbeTypes
from agent.model import Probe
from probes.kit.spec import Flow, ProbeModule, Spec

COMMON: Mapping[str, Field] = fields_of(ProbeForm)
_TARGET_KEYS = ("target", "url", "server", "host", "address")  # where a type's destination stands, best first
_ANY_TYPE: Mapping[str, Field] = MappingProxyType({})


class ReadProbe(msgspec.Struct, frozen=True, kw_only=True):
    """A probe as far as it could be read; `settings` and `flow` are None when something is wrong."""

    form: ProbeForm
    spec: Spec | None
    settings: Any = None
    flow: Flow | None = None

    @property
    def interval(self) -> float:
        """Return the interval in seconds, the type's default where the file has none."""
        return float(self.form.interval or (self.spec.default_interval if self.spec else 1.0))

    @property
    def timeout(self) -> float:
        """Return the timeout in seconds, the type's default where the file has none."""
        return float(self.form.timeout or (self.spec.default_timeout if self.spec else 1.0))

    def named_segments(self) -> Iterable[tuple[str, str]]:
        """Yield key and name of each segment that the type's own settings name."""
        for key in self.spec.segment_keys if self.spec and self.settings else ():
            yield from ((key, name) for name in getattr(self.settings, key))

    def canonical(self) -> dict[str, Any]:
        """Return the probe's part of the canonical chain."""
        return canonical.canonical_probe(self.form, self.settings, self.interval, self.timeout)

    def probe(self, name: str) -> Probe:
        """Return the value that the product works with."""
        if self.spec is None or self.flow is None:
            raise AssertionError(f"probe {name} has problems, and is used all the same")
        form = self.form
        return Probe(
            id=name,
            type=form.type,
            vantage=form.from_,
            path=form.path,
            back=form.back,
            resolve=form.resolve,
            service=form.service,
            interval=self.interval,
            timeout=self.timeout,
            settings=self.settings,
            flow=self.flow,
            target=str(getattr(self.settings, "target", "") or self.flow.host),
            evidence=self.spec.evidence,
            pace=self.spec.pace,
            settings_hash=canonical.settings_hash(form, self.settings),
            approved=dict(form.approved),
            told_by=form.told_by,
            path_facts=self.spec.path_facts,
            description=form.description,
            reference=form.reference,
        )


class ProbeReader:
    """Reads the probes of one file; a type is loaded once."""

    def __init__(self, types: ProbeTypes) -> None:
        self._types = types
        self._loaded: dict[str, ProbeModule | str] = {}
        self._fields: dict[str, Mapping[str, Field]] = {}

    def read(self, node: Node, where: Where, report: Report) -> ReadProbe | None:
        """Return the probe, or None when the node is no mapping."""
        if not isinstance(node, document.Mapping):
            report.problem(where, "expected a mapping with at least type, from, target and path")
            return None
        module = self._module(node, where, report)
        if module is None:
            self._near_misses(node, where, report)
            mine = {key: entry for key, entry in node.entries.items() if key in COMMON}
            partial = document.Mapping(node.line, mine, node.size)
            return ReadProbe(form=ProbeForm(**read_fields(partial, COMMON, where, report)), spec=None)
        spec = module.SPEC
        values = read_fields(node, self._keys(spec), where, report)
        form = ProbeForm(**{f.attribute: values[f.attribute] for f in COMMON.values() if f.attribute in values})
        own = {f.attribute: values[f.attribute] for f in self._own(spec).values() if f.attribute in values}
        _not_too_often(form, spec, where, report)
        if any(value is UNSET for value in own.values()):
            return ReadProbe(form=form, spec=spec)
        return self._settled(module, form, own, where, report)

    def _near_misses(self, node: document.Mapping, where: Where, report: Report) -> None:
        """Report misspelt common keys of a probe whose own keys are not known."""
        missing = [key for key, field in COMMON.items() if field.required and key not in node.entries]
        for key in node.entries.keys() - COMMON.keys():
            if hint := did_you_mean(key, missing):
                report.problem((*where, key), f"no such key{hint}")

    def _settled(
        self, module: ProbeModule, form: ProbeForm, own: dict[str, Any], where: Where, report: Report
    ) -> ReadProbe:
        """Make the settings and ask the type for their flow."""
        spec = module.SPEC
        try:
            settings = spec.settings(**own)
        except (ValueError, TypeError) as error:
            report.problem(where, str(error))
            return ReadProbe(form=form, spec=spec)
        try:
            flow = module.flow(settings)
        except ValueError as error:
            key, text = self._culprit(spec, str(error))
            report.problem((*where, key) if key else where, text)
            return ReadProbe(form=form, spec=spec, settings=settings)
        read = ReadProbe(form=form, spec=spec, settings=settings, flow=flow)
        if flow.lasts > read.timeout / 2:
            report.problem(
                where,
                f"sending takes {flow.lasts:g} s, over half of the timeout of {read.timeout:g} s; "
                f"send fewer packets or closer together, or write `timeout: {flow.lasts * 2:g}s`",
            )
        return read

    def _culprit(self, spec: Spec, text: str) -> tuple[str | None, str]:
        """Return the key that a type complains of (`KEY: what is wrong`, else its target), and the complaint."""
        key, colon, rest = text.partition(": ")
        own = self._own(spec)
        if colon and key in own:
            return key, rest
        return next((key for key in _TARGET_KEYS if key in own), None), text

    def _module(self, node: document.Mapping, where: Where, report: Report) -> ProbeModule | None:
        entry = node.entries.get("type")
        if entry is None:
            return None
        if not isinstance(entry.node, document.Scalar) or not isinstance(entry.node.value, str):
            return None
        name = entry.node.value
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        found = self._loaded[name]
        if isinstance(found, str):
            report.problem((*where, "type"), found)
            return None
        return found

    def _load(self, name: str) -> ProbeModule | str:
        """Return the module, or what is wrong with the type's name."""
        try:
            module = self._types.load(name)
        except ImportError as error:
            return f"the probe type {shown(name)} cannot be loaded here: {error}"
        if module is None:
            names = self._types.names()
            return f"no such probe type {shown(name)}{did_you_mean(name, names) or '; there are ' + ', '.join(names)}"
        return module

    def _own(self, spec: Spec) -> Mapping[str, Field]:
        return fields_of(spec.settings)

    def _keys(self, spec: Spec) -> Mapping[str, Field]:
        if spec.type not in self._fields:
            self._fields[spec.type] = {**COMMON, **self._own(spec)}
        return self._fields[spec.type]


def _not_too_often(form: ProbeForm, spec: Spec, where: Where, report: Report) -> None:
    """Report an interval below the type's least: each attempt burdens others."""
    interval = form.interval
    if interval is not None and known(interval) and 0 < interval < spec.minimum_interval:
        least = f"{spec.minimum_interval:g}s"
        text = f"{interval:g}s is too often for {spec.type}, whose attempts burden others; write {least} or more"
        report.problem((*where, "interval"), text)


def references(form: ProbeForm) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the key and the segments of each list of segments that was read."""
    lists = (("path", form.path), ("back", form.back), ("resolve", form.resolve))
    return tuple((key, names) for key, names in lists if known(names))
